/**
 * Layers inside one stream: several frame rates (temporal layers) and several sizes (spatial
 * layers, SVC), told alike whatever the codec and whichever way it says so: the dependency
 * descriptor where the publisher sends it, else the payload descriptors of VP8 and VP9.
 *
 * What a receiver gets is an *operating point*: a spatial and a temporal layer and all that these
 * need. There is a grid of them, 3 by 3. The highest row and column always mean "all", so that the
 * best point is everything in any stream; of fewer layers, upper points are equal.
 *
 * A frame says to which points it belongs, and which may be begun with it.
 */
#pragma once

#include "media/payload.h"
#include "proto/rtp/dependency_descriptor.h"

#define MEDIA_SPATIAL_LAYERS  3
#define MEDIA_TEMPORAL_LAYERS 3
#define MEDIA_POINTS          (MEDIA_SPATIAL_LAYERS * MEDIA_TEMPORAL_LAYERS)
#define MEDIA_POINT_BEST      (MEDIA_POINTS - 1)
#define MEDIA_POINTS_ALL      ((1u << MEDIA_POINTS) - 1)

static inline uint8_t media_point(unsigned spatial, unsigned temporal)
{
    return (uint8_t)(spatial * MEDIA_TEMPORAL_LAYERS + temporal);
}

static inline uint8_t media_point_spatial(uint8_t point)
{
    return point / MEDIA_TEMPORAL_LAYERS;
}

static inline uint8_t media_point_temporal(uint8_t point)
{
    return point % MEDIA_TEMPORAL_LAYERS;
}

/** What a packet says of its frame. Sets of points are bits, 1 << point. */
struct media_layers {
    uint16_t points;           /**< to which the frame belongs: others need not get it */
    uint16_t starts;           /**< that may be begun with this frame ... */
    uint16_t follows;          /**< ... by receivers of any of these: they have what it refers to */
    uint8_t spatial : 2;       /**< row of the grid */
    uint8_t temporal : 2;      /**< column */
    uint8_t rows : 2;          /**< that the stream has from now on; 0: this packet does not tell */
    uint8_t up_from : 2;       /**< with this frame, who gets this column or a higher one ... */
    uint8_t up_to : 2;         /**< ... may go up to this one, in its row; 0: nobody */
    uint8_t picture_start : 1; /**< first packet of a picture: of all its spatial layers */
    uint8_t frame_start : 1;   /**< by the dependency descriptor: first packet of a frame */
    uint8_t layer_end : 1;     /**< last packet of its spatial layer */
    uint8_t nested : 1;        /**< every point of a row has all frames of the rows below */
    uint8_t key_frame : 1;     /**< by the dependency descriptor: a decoder may begin here */
    uint8_t broken : 1;        /**< with this frame, points went over to targets that ... */
                               /**< ... cannot be followed before the next key frame */
    uint8_t described : 1;     /**< it had a descriptor that could be read */
    uint8_t has_structure : 1;
    struct dependency_mask_place mask; /**< in its descriptor */
    uint32_t active_targets; /**< that the publisher sends, by its last word: of use if described */
};

/** Frames whose points are remembered for those that refer to them. */
#define MEDIA_LAYERING_FRAMES 128

/** What is known of one incoming stream. Zeroed: nothing yet. */
struct media_layering {
    bool has_structure;
    bool spatially_apart; /**< VP9: lower layers are not needed by upper ones (K-SVC) */
    bool started;
    uint8_t spatial_top;           /**< VP9: the highest spatial layer */
    uint8_t temporal_top;          /**< VP8: the highest temporal layer */
    uint32_t timestamp;            /**< of the newest picture */
    uint32_t active_targets;       /**< as the publisher said last */
    uint8_t targets[MEDIA_POINTS]; /**< the decode target of each point, of those that are sent */
    uint16_t broken;               /**< points that get nothing until a key frame */
    struct {
        uint16_t frame_number;
        uint16_t points; /**< 0: no frame */
    } frames[MEDIA_LAYERING_FRAMES];
    struct dependency_structure structure;
};

/**
 * Describes a packet. `payload` is NULL when it could not be read; `descriptor` is the value of its
 * dependency descriptor, empty when it has none. What cannot be read belongs to all points.
 */
void media_layering_read(struct media_layering *layering, enum codec_id codec,
                         const struct payload_info *payload, struct bytes descriptor,
                         uint32_t timestamp, struct media_layers *ret_layers);

/** For each point, the decode targets that a receiver of it can decode. */
struct media_targets {
    uint8_t count; /**< 0: not known */
    uint32_t active[MEDIA_POINTS];
    uint16_t width[MEDIA_SPATIAL_LAYERS]; /**< of each row's pictures; 0: not known */
    uint16_t height[MEDIA_SPATIAL_LAYERS];
};

/** Reads the structure in a descriptor; false, and `*ret_targets` untouched, without one. */
bool media_targets_read(struct bytes descriptor, struct media_targets *ret_targets);
