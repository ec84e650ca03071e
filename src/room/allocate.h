/**
 * Divides what the path to one receiver carries over the video that it watches: which step of
 * its ladder (ladder.h) each subscription gets, or none. The policy alone: numbers in, choices out.
 *
 * Audio has been taken off before. Every subscription gets its lowest step before any gets a
 * better one; what is left goes to the higher priorities first and in equal steps among equals.
 * Down is immediate. Up needs room to spare and a pause after the last time down, which doubles
 * each time that going up soon led down again: so pictures do not flap. Where there is room for
 * twice the step there is no pause.
 */
#pragma once

#include "base/compiler.h"

#define ALLOCATE_STEPS_MAX 9
#define ALLOCATE_ITEMS_MAX 512  /**< per receiver */
#define ALLOCATE_NONE      0xff /**< nothing of it is sent */

/** What a subscription remembers from one division to the next. */
struct allocate_state {
    uint8_t step; /**< the best one that may be sent, or ALLOCATE_NONE */
    bool fresh;   /**< never divided: what comes out is no way up or down */
    uint64_t up_after_us;
    uint64_t raised_us;
    uint64_t thin_us;  /**< when its lowest step fitted last, and nothing better; 0: better does */
    uint64_t pause_us; /**< the last one before going up again */
};

struct allocate_step {
    bool sent; /**< there is such a one now, and it is not more than what is wished for */
    uint64_t bitrate_bps;
};

struct allocate_item {
    struct allocate_state *state;
    uint8_t priority;                               /**< higher comes first */
    bool paused;                                    /**< nothing of it is wanted */
    struct allocate_step steps[ALLOCATE_STEPS_MAX]; /**< lowest first */
};

struct allocate_sums {
    uint64_t allocated_bps; /**< of what was chosen */
    uint64_t wanted_bps;    /**< if the path carried everything */
};

/** At the start of a subscription: whatever the first division finds is right. */
void allocate_state_init(struct allocate_state *state);
/**
 * Chooses for all items, and sets their states. `available_bps` 0: not known, everyone gets what *
 * was wished for. `starved` says that audio has left nothing. `explored`: probes tell what the path
 * carries, nothing has to be tried out with pictures.
 */
void allocate_divide(uint64_t now_us, uint64_t available_bps, bool starved, bool explored,
                     const struct allocate_item *items, size_t count,
                     struct allocate_sums *ret_sums);
