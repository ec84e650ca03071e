#include <errno.h>
#include <string.h>

#include "proto/ice/ice_agent_int.h"

/** Selections younger than this stand against nominations of lower priority (see below). */
#define SELECTION_FRESH_US 1000000ull

enum { CURRENT = 0, PREVIOUS = 1 };

static void switch_role(struct ice_agent *agent, bool controlling)
{
    agent->controlling = controlling;
    ice_pairs_prioritize(agent);
}

/**
 * RFC 8445, section 7.3.1.1. Returns whether the request has to be refused with 487; otherwise our
 * own role may have changed.
 */
static bool role_conflict(struct ice_agent *agent, const struct ice_request *request)
{
    bool both_controlling = agent->controlling && request->role == ICE_ROLE_CONTROLLING;
    bool both_controlled = !agent->controlling && request->role == ICE_ROLE_CONTROLLED;
    if (!both_controlling && !both_controlled)
        return false;
    ice_count(agent->metrics, ICE_ROLE_CONFLICTS);
    bool ours_wins = agent->tie_breaker >= request->tie_breaker;
    // the larger tie-breaker is the controlling one
    if (both_controlling == ours_wins)
        return true;
    switch_role(agent, both_controlled);
    return false;
}

static int find_local(const struct ice_agent *agent, const struct net_path *path)
{
    for (int i = 0; i < agent->local_count; i++) {
        const struct net_address *local = &agent->locals[i].address;
        bool any = path->local.port == 0 && local->family == path->remote.family;
        if (any || net_address_equal(local, &path->local))
            return i;
    }
    return ICE_NONE;
}

/** A source that no candidate told of (section 7.3.1.3). Returns its index or -ENOSPC. */
static int learn_remote(struct ice_agent *agent, const struct net_address *source,
                        uint32_t priority)
{
    int index = ice_remote_find(agent, source);
    if (index != ICE_NONE)
        return index;
    const struct ice_remote remote = {
        .address = *source,
        .priority = priority,
        .foundation = random_u32(agent->random), // like no other
        .type = ICE_PEER_REFLEXIVE,
    };
    return ice_remote_add(agent, &remote);
}

/**
 * The controlling peer nominates a pair that has succeeded. A peer that still nominates all pairs
 * at once means the one of highest priority; later, a nomination means what it says.
 */
static void take_nomination(struct ice_agent *agent, int index, uint64_t now_us)
{
    struct ice_pair *pair = &agent->pairs[index];
    if (agent->selected == index)
        return;
    bool fresh = agent->selected != ICE_NONE &&
                 now_us - agent->selected_at_us < SELECTION_FRESH_US &&
                 agent->consent.state == ICE_CONSENT_ALIVE;
    if (!fresh || pair->priority > agent->pairs[agent->selected].priority)
        ice_agent_select(agent, index, now_us);
}

/** A valid request over a pair (sections 7.3.1.4 and 7.3.1.5). */
static void take_check(struct ice_agent *agent, int index, const struct ice_request *request,
                       uint64_t now_us)
{
    struct ice_pair *pair = &agent->pairs[index];
    pair->heard = true;
    bool nominates = request->use_candidate && !agent->controlling;
    if (pair->state == ICE_PAIR_SUCCEEDED) {
        if (nominates && !pair->nominated) {
            pair->nominated = true;
            take_nomination(agent, index, now_us);
        }
        return;
    }
    pair->nominated = pair->nominated || nominates;
    if (pair->state == ICE_PAIR_IN_PROGRESS) {
        // the way to us is open now: do not wait for the next retransmission
        if (now_us - pair->sent_us >= agent->pace_us && pair->sends < ICE_SENDS_MAX)
            pair->resend_us = min_of(pair->resend_us, now_us);
        return;
    }
    pair->state = ICE_PAIR_WAITING;
    ice_pair_trigger(agent, pair);
}

static int take_request(struct ice_agent *agent, uint64_t now_us, const struct net_path *path,
                        const struct stun_message *message)
{
    const struct ice_session *const sessions[] = {
        [CURRENT] = agent->session,
        [PREVIOUS] = agent->previous,
    };
    struct ice_request request;
    size_t session;
    int error = ice_request_read(message, sessions, array_size(sessions), agent->metrics, &request,
                                 &session);
    if (error < 0)
        return error;
    if (ice_answers_full(&agent->answers))
        return ice_drop(agent->metrics, ICE_DROPPED_BUSY);
    int local = find_local(agent, path);
    if (local == ICE_NONE)
        return ice_drop(agent->metrics, ICE_DROPPED_PATH);
    uint16_t refusal = 0;
    if (role_conflict(agent, &request))
        refusal = STUN_ROLE_CONFLICT;
    else if (request.unknown)
        refusal = STUN_UNKNOWN_ATTRIBUTE;
    if (refusal == 0 && session == CURRENT) {
        int remote = learn_remote(agent, &path->remote, request.priority);
        int pair = remote < 0 ? ICE_NONE : ice_pair_find(agent, local, remote);
        if (pair == ICE_NONE)
            return ice_drop(agent->metrics, ICE_DROPPED_BUSY); // the lists are full
        take_check(agent, pair, &request, now_us);
    }
    if (refusal == 0) {
        if (net_path_equal(path, &agent->selected_path))
            ice_consent_heard(&agent->consent, now_us);
        ice_count(agent->metrics, ICE_CHECKS_RECEIVED);
    }
    ice_answers_add(&agent->answers, message, path, (uint8_t)session, refusal, request.unknown);
    return 0;
}

static int find_transaction(const struct ice_agent *agent, const uint8_t transaction_id[12])
{
    for (int i = 0; i < agent->pair_count; i++) {
        const struct ice_pair *pair = &agent->pairs[i];
        if (pair->state == ICE_PAIR_IN_PROGRESS &&
            memcmp(pair->transaction_id, transaction_id, sizeof(pair->transaction_id)) == 0)
            return i;
    }
    return ICE_NONE;
}

/** Section 7.2.5.3. */
static void check_succeeded(struct ice_agent *agent, int index, uint64_t now_us)
{
    struct ice_pair *pair = &agent->pairs[index];
    pair->state = ICE_PAIR_SUCCEEDED;
    pair->valid = true;
    if (pair->sends == 1) // else nobody knows which transmission was answered
        ice_consent_measure(&agent->consent, now_us - pair->sent_us);
    ice_pairs_thaw(agent, pair);
    if (agent->controlling && pair->nominating)
        ice_agent_select(agent, index, now_us);
    else if (!agent->controlling && pair->nominated)
        take_nomination(agent, index, now_us);
    else
        ice_agent_nominate(agent, now_us);
}

/** Section 7.2.5.1 and 7.2.5.2.4. */
static void check_refused(struct ice_agent *agent, struct ice_pair *pair,
                          const struct stun_message *message)
{
    uint16_t code = 0;
    bool conflict =
        stun_message_find_error(message, &code, NULL) == 0 && code == STUN_ROLE_CONFLICT;
    if (!conflict || agent->remote_lite) { // beside a lite peer there is no other role for us
        ice_pair_fail(pair);
        return;
    }
    ice_count(agent->metrics, ICE_ROLE_CONFLICTS);
    if (pair->was_controlling == agent->controlling) {
        switch_role(agent, !agent->controlling);
        agent->tie_breaker = random_u64(agent->random);
    }
    pair->state = ICE_PAIR_WAITING;
    ice_pair_trigger(agent, pair);
}

/** An answer to a consent check. */
static int take_consent_answer(struct ice_agent *agent, uint64_t now_us,
                               const struct net_path *path, const struct stun_message *message)
{
    if (!net_path_equal(path, &agent->selected_path))
        return ice_drop(agent->metrics, ICE_DROPPED_PATH);
    const struct ice_session *session = agent->previous ? agent->previous : agent->session;
    int error = ice_answer_authenticate(message, session, agent->metrics);
    if (error < 0)
        return error;
    uint16_t code = 0;
    if (message->class == STUN_SUCCESS) {
        ice_consent_answered(&agent->consent, now_us, stun_message_transaction_id(message),
                             agent->random);
        ice_count(agent->metrics, ICE_CONSENT_ANSWERED);
    } else if (stun_message_find_error(message, &code, NULL) == 0 && code == STUN_FORBIDDEN) {
        ice_consent_revoke(&agent->consent);
        ice_count(agent->metrics, ICE_EXPIRATIONS);
    }
    return 0;
}

static int take_answer(struct ice_agent *agent, uint64_t now_us, const struct net_path *path,
                       const struct stun_message *message)
{
    const uint8_t *transaction_id = stun_message_transaction_id(message);
    if (ice_consent_matches(&agent->consent, transaction_id))
        return take_consent_answer(agent, now_us, path, message);
    int index = find_transaction(agent, transaction_id);
    if (index == ICE_NONE)
        return ice_drop(agent->metrics, ICE_DROPPED_TRANSACTION);
    int error = ice_answer_authenticate(message, agent->session, agent->metrics);
    if (error < 0)
        return error;
    struct ice_pair *pair = &agent->pairs[index];
    const struct net_path sent = ice_pair_path(agent, pair);
    bool same_local = path->local.port == 0 || net_address_equal(&path->local, &sent.local);
    struct net_address mapped;
    if (!same_local || !net_address_equal(&path->remote, &sent.remote)) {
        ice_pair_fail(pair); // not symmetric (section 7.2.5.2.1)
        return ice_drop(agent->metrics, ICE_DROPPED_PATH);
    }
    if (message->class == STUN_ERROR) {
        check_refused(agent, pair, message);
        return 0;
    }
    if (stun_message_find_address(message, STUN_XOR_MAPPED_ADDRESS, &mapped) < 0)
        return ice_drop(agent->metrics, ICE_DROPPED_ATTRIBUTE);
    // a mapped address other than ours is a peer-reflexive local candidate; we send from its base,
    // which is the candidate of this pair (section 7.2.5.3.1): nothing changes for us
    check_succeeded(agent, index, now_us);
    return 0;
}

int ice_agent_input(struct ice_agent *agent, uint64_t now_us, const struct net_path *path,
                    struct bytes datagram)
{
    struct stun_message message;
    int error = ice_message_read(datagram, agent->metrics, &message);
    if (error < 0)
        return error;
    switch (message.class) {
    case STUN_REQUEST:
        return take_request(agent, now_us, path, &message);
    case STUN_INDICATION:
        return 0; // a keepalive (section 11)
    default:
        return take_answer(agent, now_us, path, &message);
    }
}
