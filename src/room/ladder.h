/**
 * Everything that may be sent of a track, from the worst to the best, for the division of bandwidth
 * (allocate.h). A step is a *row*, which is a size: a simulcast layer, or a spatial layer of a
 * single stream; and a *column*, which is a frame rate: a temporal layer.
 *
 * Which step is better is a matter of taste. Of moving pictures, half the frame rate goes first,
 * then the size, and less than half only where there is no smaller size. Of a screen, all of the
 * frame rate goes before the size, for who reads wants sharp letters.
 */
#pragma once

#include "room/allocate.h"
#include "room/shed.h"
#include "room/track.h"
#include "room/wish.h"

_Static_assert(TRACK_LAYERS_MAX *MEDIA_TEMPORAL_LAYERS == ALLOCATE_STEPS_MAX &&
                   MEDIA_POINTS == ALLOCATE_STEPS_MAX,
               "a step for each size and frame rate");

/** What a step means to a subscription. */
struct ladder_place {
    uint8_t layer; /**< the best simulcast layer */
    uint8_t point; /**< operating point inside of it */
};

/**
 * Fills in the steps of an item: those that are sent now, up to the one that `wish` asks for, with
 * their measured rates.
 */
void ladder_describe(const struct track *track, uint64_t now_us, const struct media_wish *wish,
                     struct allocate_item *item);
/**
 * Takes those steps out of a described item that a worker without time leaves out: all but those of
 * the smallest row (of a screen: of the lowest column), all but the lowest, all.
 */
void ladder_shed(struct allocate_item *item, enum shed_level level);
/**
 * How many of the smallest rows a wish has a use for, whether they are sent now or rest: up to the
 * one that fills the place, for those below are what a narrow path falls back to. 0: paused. What
 * rests of a single stream is known by `track->demand.told` alone: if that is not all, the largest
 * row that is sent need not be the largest there is.
 */
uint8_t ladder_wanted_rows(const struct track *track, uint64_t now_us,
                           const struct media_wish *wish);
/** What is to be forwarded at a step. */
struct ladder_place ladder_place(const struct track *track, uint64_t now_us,
                                 const struct media_wish *wish, uint8_t step);
