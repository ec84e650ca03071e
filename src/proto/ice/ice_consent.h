/**
 * Consent to send on one path (RFC 7675): when to check, which answers count, when the peer is
 * silent and when consent is gone. Both agents embed it; they write the checks themselves.
 *
 * Only answers to our own checks renew consent, since nobody can forge them without receiving what
 * we send there. Checks of the peer count as life, which delays the warning only. An unanswered
 * check is followed by others every second until one is answered.
 */
#pragma once

#include "base/bytes.h"
#include "base/random.h"
#include "proto/ice/ice.h"

#define ICE_CONSENT_CHECKS 4 /**< unanswered ones that an answer may still match */

enum ice_consent_state {
    ICE_CONSENT_NONE, /**< no path is selected */
    ICE_CONSENT_ALIVE,
    ICE_CONSENT_SILENT,  /**< a check was unanswered for ICE_DISCONNECT_US */
    ICE_CONSENT_EXPIRED, /**< sending must stop */
};

struct ice_consent {
    uint8_t state;          /**< enum ice_consent_state */
    uint8_t reported;       /**< the state that events told last */
    uint8_t newest;         /**< index of the last check sent */
    uint32_t rtt_us;        /**< smoothed; 0 before the first answer */
    uint64_t next_us;       /**< when the next check is due; TIME_NEVER: none */
    uint64_t expiry_us;     /**< when consent ends */
    uint64_t heard_us;      /**< last sign of life */
    uint64_t unanswered_us; /**< when the oldest check since the last answer left; 0: none */
    struct ice_consent_check {
        uint8_t transaction_id[12];
        uint64_t sent_us; /**< 0: no check */
    } checks[ICE_CONSENT_CHECKS];
};

/**
 * A path was selected: the first check is due at once. `answered_us`: when it answered one last,
 * from which its consent lasts; 0: never, then an answer must come within ICE_CONSENT_UNPROVEN_US
 * of the first selection, however often another path is selected until then.
 */
void ice_consent_start(struct ice_consent *consent, uint64_t now_us, uint64_t answered_us);
/** Forgets the checks in flight: their credentials are void. */
void ice_consent_forget_checks(struct ice_consent *consent, uint64_t now_us);
/** Whether a check is due. */
bool ice_consent_due(const struct ice_consent *consent, uint64_t now_us);
/** Chooses the id of a check that leaves now, and the time of the next one. */
void ice_consent_sent(struct ice_consent *consent, uint64_t now_us, struct random *random,
                      uint8_t ret_transaction_id[12]);
/** Whether one of our checks has this id. */
bool ice_consent_matches(const struct ice_consent *consent, const uint8_t transaction_id[12]);
/** A valid answer to the check with this id, which must match. */
void ice_consent_answered(struct ice_consent *consent, uint64_t now_us,
                          const uint8_t transaction_id[12], struct random *random);
/** Takes a round trip measured elsewhere into the smoothed one. */
void ice_consent_measure(struct ice_consent *consent, uint64_t rtt_us);
/** The peer refused with error 403 (RFC 7675, section 5.2): consent ends at once. */
void ice_consent_revoke(struct ice_consent *consent);
/** Any other authenticated sign of life on the path. After expiry it causes a new check. */
void ice_consent_heard(struct ice_consent *consent, uint64_t now_us);
/** Moves on to SILENT or EXPIRED when time says so. Returns whether consent expired just now. */
bool ice_consent_tick(struct ice_consent *consent, uint64_t now_us);
/** When ice_consent_tick or a check is due next. */
uint64_t ice_consent_deadline(const struct ice_consent *consent);
/** DISCONNECTED, RECONNECTED or CONSENT_EXPIRED, when the state has changed since the last event.
 */
bool ice_consent_event(struct ice_consent *consent, enum ice_event_kind *ret_kind);
