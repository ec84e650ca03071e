/**
 * A token bucket in one word, for any number of threads. It keeps the time at which the bucket will
 * be full again (the "generic cell rate algorithm"); how much that is in tokens depends on the rate
 * of the moment, so that limits may change at any time. Shared by this folder only.
 */
#pragma once

#include <stdatomic.h>

#include "base/compiler.h"

/** Times in 1/1024 microseconds since the start of the caller's clock: 570 years. */
struct turn_bucket {
    _Atomic uint64_t full_at;
};

#define TURN_BUCKET_TICKS_PER_S (1000000ull << 10)

static inline uint64_t turn_bucket_ticks(uint64_t now_us)
{
    return now_us << 10;
}

/** How long `amount` tokens take to come back at `per_s`. */
static inline uint64_t turn_bucket_cost(uint64_t amount, uint64_t per_s)
{
    return amount * TURN_BUCKET_TICKS_PER_S / per_s;
}

/**
 * Takes tokens that cost `cost` out of a bucket that is empty `depth` before it is full. A full
 * bucket gives any amount, so that no packet is too large for ever.
 */
static inline bool turn_bucket_take(struct turn_bucket *bucket, uint64_t now, uint64_t cost,
                                    uint64_t depth)
{
    uint64_t full_at = atomic_load_explicit(&bucket->full_at, memory_order_relaxed);
    for (;;) {
        uint64_t from = full_at > now ? full_at : now;
        if (from != now && from + cost > now + depth)
            return false;
        if (atomic_compare_exchange_weak_explicit(&bucket->full_at, &full_at, from + cost,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    }
}

/** Gives back what was taken just now. */
static inline void turn_bucket_return(struct turn_bucket *bucket, uint64_t cost)
{
    atomic_fetch_sub_explicit(&bucket->full_at, cost, memory_order_relaxed);
}
