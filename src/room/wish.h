/** How a subscriber wants to get one video track: where it is shown decides. */
#pragma once

#include "base/compiler.h"

struct media_wish {
    uint16_t width; /**< in pixels of the screen; 0 with `height` 0: the best there is */
    uint16_t height;
    uint8_t priority;   /**< 0 to 255; higher is served first */
    bool paused;        /**< not shown at all: nothing is sent */
    bool detail;        /**< to be read rather than watched: size before frame rate */
    uint8_t frame_rate; /**< pictures per second that are enough; 0: as many as there are */
    uint8_t layers;     /**< so many of the smallest sizes come into question; 0: all */
};

#define MEDIA_WISH_PRIORITY 100 /**< of who said nothing */
#define MEDIA_WISH_DEFAULT  ((struct media_wish){ .priority = MEDIA_WISH_PRIORITY })
