/**
 * The rate that arrived, by feedback. Departures bound it as arrivals do: a burst let go by a radio
 * link, or made up by the receiver, is no rate that the path carries.
 */
#pragma once

#include "base/compiler.h"

#define BWE_ACKNOWLEDGED_POINTS 16

/** How far things stood when feedback came. Low halves of times and sums: only differences count.
 */
struct bwe_acknowledged_point {
    uint32_t bytes; /**< received so far */
    uint32_t sent_us;
    uint32_t arrival_us;
};

struct bwe_acknowledged {
    struct bwe_acknowledged_point points[BWE_ACKNOWLEDGED_POINTS]; /**< a ring */
    uint8_t at;                                                    /**< place of the next */
    uint8_t count;
    struct bwe_acknowledged_point now;
    bool some; /**< `now` has times */
};

/** Forgets all: arrivals have another clock now. */
void bwe_acknowledged_clear(struct bwe_acknowledged *acknowledged);
/** Takes a packet that arrived. */
void bwe_acknowledged_add(struct bwe_acknowledged *acknowledged, uint64_t sent_us,
                          int64_t arrival_us, uint32_t bytes);
/** The end of one feedback: sets a point. */
void bwe_acknowledged_mark(struct bwe_acknowledged *acknowledged);
/**
 * Bits/s over the newest points that span `window_us`, or as much of it as there is; 0 when that is
 * under 100 ms.
 */
uint64_t bwe_acknowledged_bps(const struct bwe_acknowledged *acknowledged, uint32_t window_us);
