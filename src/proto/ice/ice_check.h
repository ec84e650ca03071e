/** Connectivity checks on the wire: reading and writing requests and answers. Private to ice/. */
#pragma once

#include "proto/ice/ice_session.h"
#include "proto/stun/stun.h"

enum ice_role {
    ICE_ROLE_UNKNOWN, /**< neither attribute: a consent check of a peer that leaves it out */
    ICE_ROLE_CONTROLLING,
    ICE_ROLE_CONTROLLED,
};

/** An authenticated request. */
struct ice_request {
    uint32_t priority; /**< 0: not given */
    uint64_t tie_breaker;
    enum ice_role role; /**< of the sender */
    bool use_candidate;
    uint16_t unknown; /**< the first comprehension-required attribute we do not know; 0: none */
};

static inline void ice_count(struct ice_metrics *metrics, enum ice_metric metric)
{
    metric_add(&metrics->values[metric], 1);
}

/**
 * Counts a drop. Returns the error: -EACCES for what is not authentic, -EBUSY for what found no
 * room, -EBADMSG otherwise.
 */
int ice_drop(struct ice_metrics *metrics, enum ice_metric reason);

/** Parses a Binding message. Returns 0 or a counted drop. */
must_check int ice_message_read(struct bytes datagram, struct ice_metrics *metrics,
                                struct stun_message *ret_message);
/**
 * Authenticates a request against sessions in order (NULL ones are skipped); `ret_index` is the one
 * it belongs to. Returns 0 or a counted drop.
 */
must_check int ice_request_read(const struct stun_message *message,
                                const struct ice_session *const *sessions, size_t count,
                                struct ice_metrics *metrics, struct ice_request *ret_request,
                                size_t *ret_index);
/** Authenticates an answer to a request made in `session`. Returns 0 or a counted drop. */
must_check int ice_answer_authenticate(const struct stun_message *message,
                                       const struct ice_session *session,
                                       struct ice_metrics *metrics);

struct ice_check {
    const uint8_t *transaction_id;
    uint32_t priority;
    uint64_t tie_breaker;
    bool controlling;
    bool use_candidate;
};

/** Writes a request of `session`. Returns its size; ICE_MESSAGE_MAX always suffices. */
size_t ice_check_write(const struct ice_check *check, const struct ice_session *session,
                       uint8_t *out, size_t capacity);

struct ice_answer {
    const uint8_t *transaction_id;
    const struct net_address *mapped; /**< where the request came from */
    uint16_t error;                   /**< 0: success */
    uint16_t unknown;                 /**< for error 420 */
};

size_t ice_answer_write(const struct ice_answer *answer, const struct ice_session *session,
                        uint8_t *out, size_t capacity);
