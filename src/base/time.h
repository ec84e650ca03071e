/**
 * Time as engines see it: microseconds on a clock that only goes forward. Engines never read a
 * clock; the caller reads it once per loop turn and passes it in. runtime/clock.h is the reader.
 */
#pragma once

#include <stdint.h>

#define TIME_US_PER_MS 1000ull
#define TIME_US_PER_S  1000000ull
/** "Never": what an engine's deadline function returns when it waits for input only. */
#define TIME_NEVER UINT64_MAX

static inline uint64_t time_from_ms(uint64_t ms)
{
    return ms * TIME_US_PER_MS;
}

static inline uint64_t time_from_s(uint64_t s)
{
    return s * TIME_US_PER_S;
}

/** The earlier of two deadlines. */
static inline uint64_t time_earlier(uint64_t a_us, uint64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/** NTP timestamp (RFC 5905: 32.32 fixed point since 1900) of a Unix time in microseconds. */
static inline uint64_t time_ntp_from_unix_us(uint64_t unix_us)
{
    uint64_t seconds = unix_us / TIME_US_PER_S + 2208988800ull;
    uint64_t fraction = ((unix_us % TIME_US_PER_S) << 32) / TIME_US_PER_S;
    return (seconds << 32) | fraction;
}
