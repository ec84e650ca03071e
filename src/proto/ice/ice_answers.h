/** Answers to checks that wait for the next output. Private to ice/. */
#pragma once

#include "proto/ice/ice.h"

struct ice_session;
struct stun_message;

#define ICE_ANSWERS_MAX 8

struct ice_answers {
    struct ice_waiting_answer {
        struct net_path path;
        uint8_t transaction_id[12];
        uint16_t error;   /**< 0: success */
        uint16_t unknown; /**< the attribute that we did not know, for error 420 */
        uint8_t session;  /**< index in the sessions given to ice_answers_write */
    } waiting[ICE_ANSWERS_MAX];
    uint8_t count;
};

static inline bool ice_answers_full(const struct ice_answers *answers)
{
    return answers->count == ICE_ANSWERS_MAX;
}

/** Must not be full. */
void ice_answers_add(struct ice_answers *answers, const struct stun_message *request,
                     const struct net_path *path, uint8_t session, uint16_t error,
                     uint16_t unknown);
/** Writes as many as the batch takes; returns whether all left. */
bool ice_answers_write(struct ice_answers *answers, const struct ice_session *const *sessions,
                       struct datagram_batch *batch);
