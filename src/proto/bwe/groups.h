/**
 * Inter-arrival filter (draft-ietf-rmcat-gcc-02, 5.2 and 5.3): packets sent together are one group,
 * as are those that queued together; between two groups there is a difference of departures and
 * one of arrivals.
 */
#pragma once

#include "base/compiler.h"

struct bwe_group {
    uint64_t first_sent_us;
    uint64_t sent_us; /**< of the last packet */
    int64_t first_arrival_us;
    int64_t arrival_us;
};

struct bwe_groups {
    struct bwe_group current;
    struct bwe_group previous;
    uint8_t count;     /**< of those two that are there */
    uint8_t reordered; /**< groups in a row that arrived before their predecessor */
};

/** Between two groups. */
struct bwe_spacing {
    int64_t sent_us;
    int64_t arrival_us;
};

/** Forgets all: arrivals have another clock now. */
void bwe_groups_clear(struct bwe_groups *groups);
/**
 * Takes a packet that arrived, in the order of sending. Returns true when it begins a new group and
 * the two before it are complete: `ret_spacing` is theirs.
 */
bool bwe_groups_add(struct bwe_groups *groups, uint64_t sent_us, int64_t arrival_us,
                    struct bwe_spacing *ret_spacing);
