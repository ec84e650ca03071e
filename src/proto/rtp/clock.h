/** Conversions between microseconds, NTP time, RTP timestamps and RTCP's short forms. */
#pragma once

#include "base/time.h"

/** The middle 32 bits of an NTP time (RFC 3550, 4): 16.16 fixed point seconds. */
static inline uint32_t rtp_ntp_middle(uint64_t ntp)
{
    return (uint32_t)(ntp >> 16);
}

/** A duration in 1/65536 s as in DLSR, clamped to 32 bits. */
static inline uint32_t rtp_short_from_us(uint64_t duration_us)
{
    uint64_t whole = duration_us / TIME_US_PER_S;
    if (whole > 0xffff)
        return UINT32_MAX;
    return (uint32_t)(whole << 16 | ((duration_us % TIME_US_PER_S) << 16) / TIME_US_PER_S);
}

static inline uint64_t rtp_short_to_us(uint32_t duration)
{
    return ((uint64_t)duration * TIME_US_PER_S) >> 16;
}

/** Timestamp units that pass in a duration. */
static inline uint64_t rtp_units_from_us(uint64_t duration_us, uint32_t clock_rate_hz)
{
    uint64_t whole = duration_us / TIME_US_PER_S * clock_rate_hz;
    return whole + duration_us % TIME_US_PER_S * clock_rate_hz / TIME_US_PER_S;
}

static inline uint64_t rtp_units_to_us(uint64_t units, uint32_t clock_rate_hz)
{
    return units / clock_rate_hz * TIME_US_PER_S +
           units % clock_rate_hz * TIME_US_PER_S / clock_rate_hz;
}

/**
 * Round-trip time from a report about us (RFC 3550, 6.4.1): A - LSR - DLSR. 0 when the reporter
 * has no report of ours yet or the result would be negative.
 */
static inline uint64_t rtp_round_trip_us(uint64_t now_ntp, uint32_t last_report, uint32_t delay)
{
    if (last_report == 0)
        return 0;
    uint32_t elapsed = rtp_ntp_middle(now_ntp) - last_report;
    return elapsed > delay && elapsed - delay < 0x80000000u ? rtp_short_to_us(elapsed - delay) : 0;
}
