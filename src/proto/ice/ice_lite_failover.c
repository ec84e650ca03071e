#include <string.h>

#include "proto/ice/ice_lite_int.h"

/** Browsers check paths that they do not use every 25 seconds; NATs forget them in 30 at the
 * soonest. */
#define SPARE_US time_from_s(40)
/** The peer is told of a move until its packets come that way, but not more often than this. */
#define CLAIM_TRIES 5
/** Until the next time; it doubles. */
#define CLAIM_INTERVAL_US (50 * TIME_US_PER_MS)
/**
 * Each time it is told twice. Chromium has two listeners to a role conflict, each of which reverses
 * the role: together they leave it as it was, and disagree; after the second conflict it is what it
 * shall be.
 */
#define CLAIM_CHECKS 2
/**
 * For so long the peer is left controlled: browsers that decide for themselves go back to the path
 * that they like best, alive or not, until it was silent for 3.5 seconds.
 */
#define CONTROL_US time_from_s(10)

static bool is_spare(const struct ice_lite *ice, int8_t index, uint64_t now_us)
{
    const struct ice_lite_path *path = &ice->paths[index];
    return index != ice->selected && path->heard_us != 0 && now_us - path->heard_us < SPARE_US;
}

static bool any_spare(const struct ice_lite *ice, uint64_t now_us)
{
    for (int8_t i = 0; i < ice->path_count; i++) {
        if (is_spare(ice, i, now_us))
            return true;
    }
    return false;
}

static bool watched(const struct ice_lite *ice)
{
    return ice->selected != ICE_LITE_NONE && ice->path_count > 1 &&
           ice->consent.state != ICE_CONSENT_EXPIRED;
}

static uint64_t decide_us(const struct ice_lite *ice)
{
    return ice_failover_decide_us(&ice->failover, ice_lite_rtt_us(ice));
}

uint64_t ice_lite_failover_deadline(const struct ice_lite *ice)
{
    if (!watched(ice))
        return TIME_NEVER;
    uint64_t deadline_us = time_earlier(ice_failover_due_us(&ice->failover), decide_us(ice));
    return ice->claim.left > 0 ? time_earlier(deadline_us, ice->claim.next_us) : deadline_us;
}

/**
 * Sends there from now on, and claims the controlling role for it (RFC 8445, section 7.3.1.1: the
 * peer gives way to the larger tie-breaker): then USE-CANDIDATE is ours to say, and the peer's
 * packets follow.
 */
static void take_over(struct ice_lite *ice, uint64_t now_us, int8_t index)
{
    ice->paths[index].nominated_us = now_us;
    ice_lite_select(ice, now_us, index);
    ice->claim.next_us = now_us;
    ice->claim.left = CLAIM_TRIES;
    random_fill(ice->random, ice->claim.id, sizeof(ice->claim.id));
    ice->controlling_until_us = now_us + CONTROL_US;
    ice_count(ice->metrics, ICE_FAILOVERS);
}

void ice_lite_failover_tick(struct ice_lite *ice, uint64_t now_us)
{
    if (!watched(ice) || decide_us(ice) > now_us)
        return;
    int8_t best = ICE_LITE_NONE;
    for (int8_t i = 0; i < ice->path_count; i++) {
        if ((ice->failover.answered >> i & 1) == 0 || i == ice->selected)
            continue;
        if (best == ICE_LITE_NONE || ice->paths[i].priority > ice->paths[best].priority)
            best = i;
    }
    if (best != ICE_LITE_NONE)
        take_over(ice, now_us, best);
}

static void write_questions(struct ice_lite *ice, uint64_t now_us, struct datagram_batch *batch)
{
    if (!any_spare(ice, now_us)) { // look again when packets have come for a while
        ice_failover_start(&ice->failover, now_us);
        return;
    }
    if (ice->failover.silent_us == 0)
        ice_count(ice->metrics, ICE_SILENCES);
    ice_failover_asked(&ice->failover, now_us);
    for (int8_t i = 0; i < ice->path_count; i++) {
        if (i != ice->selected && !is_spare(ice, i, now_us))
            continue;
        const uint8_t *id = ice_failover_id(&ice->failover, (uint8_t)i, ice->random);
        // what has no room goes with the next round
        if (!ice_lite_write_check(ice, now_us, &ice->paths[i].path, id, false, batch))
            return;
    }
}

static void write_claim(struct ice_lite *ice, uint64_t now_us, struct datagram_batch *batch)
{
    const struct net_path *path = &ice->paths[ice->selected].path;
    for (uint8_t i = 0; i < CLAIM_CHECKS; i++) {
        uint8_t transaction_id[STUN_TRANSACTION_ID_SIZE];
        memcpy(transaction_id, ice->claim.id, sizeof(ice->claim.id));
        transaction_id[sizeof(ice->claim.id)] = i;
        if (!ice_lite_write_check(ice, now_us, path, transaction_id, true, batch))
            return;
    }
    ice->claim.left--;
    ice->claim.next_us = now_us + (CLAIM_INTERVAL_US << (CLAIM_TRIES - 1 - ice->claim.left));
}

void ice_lite_failover_output(struct ice_lite *ice, uint64_t now_us, struct datagram_batch *batch)
{
    if (!watched(ice))
        return;
    if (ice->claim.left > 0 && ice->claim.next_us <= now_us)
        write_claim(ice, now_us, batch);
    if (ice_failover_due_us(&ice->failover) <= now_us)
        write_questions(ice, now_us, batch);
}

static bool is_claim(const struct ice_lite *ice, const uint8_t transaction_id[12])
{
    return memcmp(ice->claim.id, transaction_id, sizeof(ice->claim.id)) == 0;
}

bool ice_lite_failover_matches(const struct ice_lite *ice, const uint8_t transaction_id[12])
{
    uint8_t index;
    return is_claim(ice, transaction_id) ||
           ice_failover_matches(&ice->failover, transaction_id, &index);
}

int ice_lite_failover_answer(struct ice_lite *ice, uint64_t now_us, const struct net_path *path,
                             const struct stun_message *message)
{
    const uint8_t *transaction_id = stun_message_transaction_id(message);
    bool claim = is_claim(ice, transaction_id);
    uint8_t index = (uint8_t)ice->selected;
    if (!claim)
        (void)ice_failover_matches(&ice->failover, transaction_id, &index);
    if (index >= ice->path_count || !net_path_equal(&ice->paths[index].path, path))
        return ice_drop(ice->metrics, ICE_DROPPED_PATH);
    int error = ice_answer_authenticate(message, ice->session, ice->metrics);
    if (error < 0)
        return error;
    if (message->class != STUN_SUCCESS)
        return 0;
    ice->paths[index].heard_us = now_us;
    if (!claim) // the ids of those do not tell one path from another
        ice_lite_proven(ice, now_us, (int8_t)index);
    if (index == ice->selected) {
        ice_failover_heard(&ice->failover, now_us);
        ice_consent_heard(&ice->consent, now_us);
    } else {
        ice_failover_answered(&ice->failover, now_us, index);
    }
    return 0;
}
