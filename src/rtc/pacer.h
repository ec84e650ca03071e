/**
 * How much may go to one receiver now, so that no queue on its path overflows: a bucket that fills
 * at the path's pace and that everything sent is taken from, also what is not asked for first
 * (sound). It holds nothing back by itself; who sends asks for room, and comes back later.
 */
#pragma once

#include "base/compiler.h"

struct rtc_pacer {
    uint64_t sent_bytes; /**< by the sender, ever; it adds what it sends */
    uint64_t seen_bytes; /**< of these, counted in `debt` */
    uint64_t debt;       /**< sent ahead of the pace, in millionths of a bit */
    uint64_t at_us;      /**< when the debt was that */
};

/** What may always be sent ahead: the largest packet and one more. */
#define RTC_PACER_AHEAD_MIN 3000
/** More debt than this takes to pay is forgiven: the pace may have been another before. */
#define RTC_PACER_DEBT_MAX_US 250000

/**
 * Bytes that may be sent now at `pace_bps` (above 0), when a burst may be as long as the pace makes
 * good in `burst_us`.
 */
uint32_t rtc_pacer_room(struct rtc_pacer *pacer, uint64_t now_us, uint64_t pace_bps,
                        uint32_t burst_us);
