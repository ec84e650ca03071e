/** Numbers that wrap: 16-bit sequence numbers and 32-bit timestamps made 64 bits wide. */
#pragma once

#include "base/compiler.h"

/** True when `a` comes after `b` in 16-bit serial arithmetic (RFC 1982). */
static inline bool rtp_sequence_after(uint16_t a, uint16_t b)
{
    return a != b && (uint16_t)(a - b) < 0x8000;
}

static inline bool rtp_timestamp_after(uint32_t a, uint32_t b)
{
    return a != b && (uint32_t)(a - b) < 0x80000000u;
}

/** Zeroed = nothing seen yet. Results begin one cycle above 0, so that older ones fit below. */
struct rtp_unwrapper {
    uint64_t highest;
    bool started;
};

/** The 64-bit number nearest to the highest one seen; moves the highest one up, never down. */
uint64_t rtp_sequence_unwrap(struct rtp_unwrapper *unwrapper, uint16_t sequence);
uint64_t rtp_timestamp_unwrap(struct rtp_unwrapper *unwrapper, uint32_t timestamp);
/** The same without remembering: for numbers that others report about our packets. */
uint64_t rtp_sequence_unwrap_near(uint64_t reference, uint16_t sequence);
