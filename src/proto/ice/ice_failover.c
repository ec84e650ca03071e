#include "proto/ice/ice_failover.h"

#include <string.h>

/** Longer pauses are all the same, so that they are forgotten as soon as each other. */
#define PAUSE_LIMIT_US (500 * TIME_US_PER_MS)
/** A pause is forgotten by this part of it with each later one: half of it in 45 packets. */
#define PAUSE_FADES_BY    64
#define INTERVAL_LIMIT_US TIME_US_PER_S

void ice_failover_start(struct ice_failover *failover, uint64_t now_us)
{
    *failover = (struct ice_failover){ .heard_us = now_us, .pause_us = PAUSE_LIMIT_US };
}

void ice_failover_heard(struct ice_failover *failover, uint64_t now_us)
{
    if (now_us == failover->heard_us) // of one batch
        return;
    uint64_t pause_us = min_of(now_us - failover->heard_us, PAUSE_LIMIT_US);
    failover->heard_us = now_us;
    failover->pause_us = max_of(pause_us, failover->pause_us - failover->pause_us / PAUSE_FADES_BY);
    if (failover->silent_us != 0)
        failover->vain_us = failover->silent_us;
    failover->silent_us = 0;
}

uint64_t ice_failover_due_us(const struct ice_failover *failover)
{
    if (failover->silent_us != 0)
        return failover->next_us;
    if (failover->heard_us == 0 || failover->pause_us > ICE_FAILOVER_PAUSE_MAX_US)
        return TIME_NEVER;
    uint64_t unusual_us = max_of(failover->pause_us * 5 / 4, ICE_FAILOVER_PATIENCE_MIN_US);
    uint64_t again_us = failover->vain_us ? failover->vain_us + ICE_FAILOVER_VAIN_US : 0;
    return time_earlier(failover->heard_us + unusual_us,
                        max_of(failover->heard_us + ICE_FAILOVER_PATIENCE_MAX_US, again_us));
}

void ice_failover_asked(struct ice_failover *failover, uint64_t now_us)
{
    if (failover->silent_us == 0) {
        failover->silent_us = now_us;
        failover->answered_us = 0;
        failover->answered = 0;
        failover->asked = 0;
        failover->rounds = 0;
    }
    uint64_t interval_us = ICE_FAILOVER_INTERVAL_US;
    for (uint8_t i = 2; i < failover->rounds && interval_us < INTERVAL_LIMIT_US; i++)
        interval_us *= 2;
    failover->rounds++;
    failover->next_us = now_us - failover->silent_us < ICE_FAILOVER_ASK_US
                            ? now_us + min_of(interval_us, INTERVAL_LIMIT_US)
                            : TIME_NEVER;
}

const uint8_t *ice_failover_id(struct ice_failover *failover, uint8_t index, struct random *random)
{
    if ((failover->asked >> index & 1) == 0)
        random_fill(random, failover->ids[index], sizeof(failover->ids[index]));
    failover->asked |= 1u << index;
    return failover->ids[index];
}

bool ice_failover_matches(const struct ice_failover *failover, const uint8_t transaction_id[12],
                          uint8_t *ret_index)
{
    for (uint8_t i = 0; failover->silent_us != 0 && i < ICE_FAILOVER_PATHS; i++) {
        if ((failover->asked >> i & 1) == 0 || memcmp(transaction_id, failover->ids[i], 12) != 0)
            continue;
        *ret_index = i;
        return true;
    }
    return false;
}

void ice_failover_answered(struct ice_failover *failover, uint64_t now_us, uint8_t index)
{
    if (failover->answered == 0)
        failover->answered_us = now_us;
    failover->answered |= 1u << index;
}

void ice_failover_forget(struct ice_failover *failover, uint8_t index)
{
    failover->asked &= ~(1u << index);
    failover->answered &= ~(1u << index);
}

uint64_t ice_failover_decide_us(const struct ice_failover *failover, uint32_t rtt_us)
{
    if (failover->silent_us == 0 || failover->answered == 0)
        return TIME_NEVER;
    uint64_t decide_us = max_of(ICE_FAILOVER_DECIDE_US, rtt_us + ICE_FAILOVER_GRACE_US);
    return max_of(failover->silent_us + decide_us, failover->answered_us + ICE_FAILOVER_GRACE_US);
}
