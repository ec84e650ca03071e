#include "rtc/pacer.h"

#include "base/time.h"

/** Debt of one byte. */
#define BYTE (8 * TIME_US_PER_S)
/** Rates above this would overflow in products with times; none is paced. */
#define PACE_MAX_BPS 1000000000000ull

uint32_t rtc_pacer_room(struct rtc_pacer *pacer, uint64_t now_us, uint64_t pace_bps,
                        uint32_t burst_us)
{
    pace_bps = min_of(pace_bps, (uint64_t)PACE_MAX_BPS);
    uint64_t most = pace_bps * RTC_PACER_DEBT_MAX_US;
    uint64_t passed_us = min_of(now_us - pacer->at_us, (uint64_t)TIME_US_PER_S);
    uint64_t paid = pace_bps * passed_us;
    uint64_t sent = min_of(pacer->sent_bytes - pacer->seen_bytes, (uint64_t)UINT32_MAX) * BYTE;
    uint64_t debt = pacer->debt + sent;
    pacer->debt = min_of(debt > paid ? debt - paid : 0, most);
    pacer->seen_bytes = pacer->sent_bytes;
    pacer->at_us = now_us;
    uint64_t ahead = max_of(pace_bps * burst_us, (uint64_t)RTC_PACER_AHEAD_MIN * BYTE);
    uint64_t room = ahead > pacer->debt ? (ahead - pacer->debt) / BYTE : 0;
    return (uint32_t)min_of(room, (uint64_t)UINT32_MAX - 1);
}
