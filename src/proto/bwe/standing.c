#include "proto/bwe/standing.h"

#include "base/time.h"

/** Less is no queue. */
#define QUEUE_MIN_US (50 * (int64_t)TIME_US_PER_MS)
/** A queue of ours drains when less is sent: below this share of it after ... */
#define DRAINED 0.8
/** ... so long and so many decreases. */
#define WAIT_US     (2 * TIME_US_PER_S)
#define LOWERED_MIN 3

void bwe_standing_update(struct bwe_standing *standing, uint64_t now_us, int64_t queue_us,
                         bool lowered)
{
    if (queue_us < QUEUE_MIN_US) {
        *standing = (struct bwe_standing){ 0 };
        return;
    }
    if (standing->since_us == 0 || (double)queue_us < DRAINED * (double)standing->queue_us) {
        standing->since_us = now_us;
        standing->queue_us = queue_us;
        standing->lowered = 0;
    }
    standing->lowered = (uint8_t)min_of(standing->lowered + lowered, UINT8_MAX);
    standing->found |= standing->lowered >= LOWERED_MIN && now_us - standing->since_us >= WAIT_US;
}
