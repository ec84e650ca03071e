#include "proto/ice/ice_consent.h"

#include <string.h>

void ice_consent_start(struct ice_consent *consent, uint64_t now_us, uint64_t answered_us)
{
    if (answered_us != 0)
        consent->expiry_us = answered_us + ICE_CONSENT_EXPIRY_US;
    else if (consent->state == ICE_CONSENT_NONE)
        consent->expiry_us = now_us + ICE_CONSENT_UNPROVEN_US;
    consent->state = ICE_CONSENT_ALIVE;
    if (consent->reported == ICE_CONSENT_NONE)
        consent->reported = ICE_CONSENT_ALIVE;
    consent->next_us = now_us;
    consent->heard_us = now_us;
    consent->unanswered_us = 0;
    memset(consent->checks, 0, sizeof(consent->checks));
}

void ice_consent_forget_checks(struct ice_consent *consent, uint64_t now_us)
{
    memset(consent->checks, 0, sizeof(consent->checks));
    if (consent->state == ICE_CONSENT_ALIVE || consent->state == ICE_CONSENT_SILENT) {
        consent->unanswered_us = 0;
        consent->next_us = now_us;
    }
}

bool ice_consent_due(const struct ice_consent *consent, uint64_t now_us)
{
    return consent->state != ICE_CONSENT_NONE && consent->next_us <= now_us;
}

void ice_consent_sent(struct ice_consent *consent, uint64_t now_us, struct random *random,
                      uint8_t ret_transaction_id[12])
{
    consent->newest = (uint8_t)((consent->newest + 1) % ICE_CONSENT_CHECKS);
    struct ice_consent_check *check = &consent->checks[consent->newest];
    random_fill(random, check->transaction_id, sizeof(check->transaction_id));
    check->sent_us = max_of(now_us, (uint64_t)1); // 0 means none
    memcpy(ret_transaction_id, check->transaction_id, sizeof(check->transaction_id));
    if (consent->unanswered_us == 0)
        consent->unanswered_us = check->sent_us;
    // an expired path is asked once for each sign of life
    consent->next_us =
        consent->state == ICE_CONSENT_EXPIRED ? TIME_NEVER : now_us + ICE_CONSENT_PROBE_US;
}

/** The time at which the check with this id left, or 0. */
static uint64_t find_check(const struct ice_consent *consent, const uint8_t transaction_id[12])
{
    for (size_t i = 0; i < ICE_CONSENT_CHECKS; i++) {
        const struct ice_consent_check *check = &consent->checks[i];
        if (check->sent_us != 0 && memcmp(check->transaction_id, transaction_id, 12) == 0)
            return check->sent_us;
    }
    return 0;
}

bool ice_consent_matches(const struct ice_consent *consent, const uint8_t transaction_id[12])
{
    return find_check(consent, transaction_id) != 0;
}

/** The interval of RFC 7675, section 5.1: 5 s, times 0.8 to 1.2. */
static uint64_t random_interval(struct random *random)
{
    return ICE_CONSENT_INTERVAL_US * 8 / 10 +
           random_below(random, (uint32_t)(ICE_CONSENT_INTERVAL_US * 4 / 10) + 1);
}

void ice_consent_measure(struct ice_consent *consent, uint64_t rtt_us)
{
    uint32_t sample_us = (uint32_t)min_of(max_of(rtt_us, (uint64_t)1), (uint64_t)UINT32_MAX / 8);
    // RFC 6298, section 2: a gain of 1/8
    consent->rtt_us = consent->rtt_us ? (consent->rtt_us * 7 + sample_us) / 8 : sample_us;
}

void ice_consent_answered(struct ice_consent *consent, uint64_t now_us,
                          const uint8_t transaction_id[12], struct random *random)
{
    uint64_t sent_us = find_check(consent, transaction_id);
    ensure(sent_us != 0);
    ice_consent_measure(consent, now_us > sent_us ? now_us - sent_us : 1);
    // one answer makes earlier checks void: they may be lost or late, both no matter now
    memset(consent->checks, 0, sizeof(consent->checks));
    consent->state = ICE_CONSENT_ALIVE;
    consent->expiry_us = now_us + ICE_CONSENT_EXPIRY_US;
    consent->heard_us = now_us;
    consent->unanswered_us = 0;
    consent->next_us = max_of(sent_us + random_interval(random), now_us);
}

void ice_consent_revoke(struct ice_consent *consent)
{
    if (consent->state == ICE_CONSENT_NONE)
        return;
    consent->state = ICE_CONSENT_EXPIRED;
    consent->next_us = TIME_NEVER;
    memset(consent->checks, 0, sizeof(consent->checks));
}

void ice_consent_heard(struct ice_consent *consent, uint64_t now_us)
{
    consent->heard_us = now_us;
    if (consent->state == ICE_CONSENT_SILENT)
        consent->state = ICE_CONSENT_ALIVE;
    if (consent->state == ICE_CONSENT_EXPIRED && consent->next_us == TIME_NEVER) {
        uint64_t last_us = consent->checks[consent->newest].sent_us;
        consent->next_us = max_of(now_us, last_us + ICE_CONSENT_PROBE_US);
    }
}

/** When silence turns into ICE_CONSENT_SILENT. */
static uint64_t silent_us(const struct ice_consent *consent)
{
    if (consent->unanswered_us == 0 || consent->state != ICE_CONSENT_ALIVE)
        return TIME_NEVER;
    return max_of(consent->unanswered_us, consent->heard_us) + ICE_DISCONNECT_US;
}

bool ice_consent_tick(struct ice_consent *consent, uint64_t now_us)
{
    if (consent->state == ICE_CONSENT_NONE || consent->state == ICE_CONSENT_EXPIRED)
        return false;
    if (now_us >= consent->expiry_us) {
        consent->state = ICE_CONSENT_EXPIRED;
        consent->next_us = TIME_NEVER;
        return true;
    }
    if (now_us >= silent_us(consent))
        consent->state = ICE_CONSENT_SILENT;
    return false;
}

uint64_t ice_consent_deadline(const struct ice_consent *consent)
{
    switch (consent->state) {
    case ICE_CONSENT_NONE:
        return TIME_NEVER;
    case ICE_CONSENT_EXPIRED:
        return consent->next_us;
    default:
        return time_earlier(time_earlier(consent->next_us, consent->expiry_us), silent_us(consent));
    }
}

bool ice_consent_event(struct ice_consent *consent, enum ice_event_kind *ret_kind)
{
    if (consent->state == consent->reported)
        return false;
    if (consent->state == ICE_CONSENT_EXPIRED) {
        consent->reported = ICE_CONSENT_EXPIRED;
        *ret_kind = ICE_EVENT_CONSENT_EXPIRED;
        return true;
    }
    // alive again, or it was for a while and the next call tells of the silence after it
    if (consent->reported == ICE_CONSENT_SILENT || consent->reported == ICE_CONSENT_EXPIRED) {
        consent->reported = ICE_CONSENT_ALIVE;
        *ret_kind = ICE_EVENT_RECONNECTED;
        return true;
    }
    consent->reported = ICE_CONSENT_SILENT;
    *ret_kind = ICE_EVENT_DISCONNECTED;
    return true;
}
