#include "room/protection.h"

#include "base/time.h"

/** Shorter than this, a retransmission comes in time for a jitter buffer. */
#define ROUND_TRIP_US (100 * TIME_US_PER_MS)
/** Of 256: losses that are worth it (2 %), and those that are hardly any. */
#define LOSS_MIN  5
#define LOSS_GOOD 2
#define GOOD_US   (10 * TIME_US_PER_S)
/** One lost packet of so many comes back: an eighth more is sent, or a quarter where much is lost.
 */
#define GROUP_LARGE 8
#define GROUP_SMALL 4

uint8_t protection_update(struct protection *protection, uint64_t now_us,
                          const struct rtc_reported *reported)
{
    if (protection->mode != PROTECTION_AUTO) {
        protection->group = protection->mode == PROTECTION_ALWAYS ? GROUP_LARGE : 0;
        return protection->group;
    }
    if (reported->at_us == protection->reported_us)
        return protection->group;
    protection->reported_us = reported->at_us;
    if (reported->fraction_lost > LOSS_GOOD)
        protection->good_us = 0;
    else if (protection->good_us == 0)
        protection->good_us = now_us;
    if (reported->fraction_lost >= LOSS_MIN && reported->round_trip_us >= ROUND_TRIP_US) {
        // half of the packets that are expected between two losses
        uint32_t group = 128u / reported->fraction_lost;
        protection->group =
            (uint8_t)max_of(min_of(group, (uint32_t)GROUP_LARGE), (uint32_t)GROUP_SMALL);
    } else if (protection->good_us > 0 && now_us - protection->good_us >= GOOD_US) {
        protection->group = 0;
    }
    return protection->group;
}
