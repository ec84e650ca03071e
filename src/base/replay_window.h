/**
 * Which of the latest packet indices were seen: a ring of bits (RFC 6479) whose words the caller
 * owns, so that each use chooses its depth. `words` is a power of two; what is more than
 * (words - 1) * 64 behind the newest index cannot be told any more.
 */
#pragma once

#include <errno.h>

#include "base/compiler.h"

/** Zeroed memory is the start. */
struct replay_window {
    uint64_t newest; /**< highest index seen; meaningless before `started` */
    bool started;
};

/** Returns 0 for an index that is new, -EALREADY for one seen, -ESTALE for one too old to tell. */
static inline int replay_window_check(const struct replay_window *window, const uint64_t *bits,
                                      size_t words, uint64_t index)
{
    if (!window->started || index > window->newest)
        return 0;
    if (window->newest - index >= (words - 1) * 64)
        return -ESTALE;
    return bits[index / 64 & (words - 1)] >> (index & 63) & 1 ? -EALREADY : 0;
}

/** Marks an index that replay_window_check has passed. */
static inline void replay_window_add(struct replay_window *window, uint64_t *bits, size_t words,
                                     uint64_t index)
{
    if (!window->started) {
        window->started = true;
        window->newest = index;
        for (size_t i = 0; i < words; i++)
            bits[i] = 0;
    } else if (index > window->newest) {
        uint64_t steps = min_of(index / 64 - window->newest / 64, (uint64_t)words);
        for (uint64_t i = 1; i <= steps; i++)
            bits[(window->newest / 64 + i) & (words - 1)] = 0;
        window->newest = index;
    }
    bits[index / 64 & (words - 1)] |= 1ull << (index & 63);
}
