/**
 * A queue that stays although less and less is sent belongs to others: TCP fills whatever there is.
 * Who keeps giving way to it ends with nothing. When one is found, only steeper slopes of delay
 * count as overuse (bwe_trend).
 */
#pragma once

#include "base/compiler.h"

struct bwe_standing {
    uint64_t since_us; /**< 0: there is no queue */
    int64_t queue_us;  /**< when it was looked at first */
    uint8_t lowered;   /**< times that the rate went down since */
    bool found;        /**< it is a queue of others */
};

/** One feedback: the queue now, and whether the rate went down for it. */
void bwe_standing_update(struct bwe_standing *standing, uint64_t now_us, int64_t queue_us,
                         bool lowered);
