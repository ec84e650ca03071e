#include <errno.h>

#include "proto/ice/ice_agent_int.h"

#define RTO_MIN_US 500000ull // RFC 8445, section 14.3
#define LAST_WAIT  16        // Rm: RTOs after the last transmission
/** How long the controlling agent waits for better pairs once one has succeeded. */
#define SETTLE_US 200000ull
/** Patience before failure: peer-reflexive candidates may come (RFC 8863, section 4). */
#define PATIENCE_US 39500000ull

void ice_agent_select(struct ice_agent *agent, int index, uint64_t now_us)
{
    const struct net_path path = ice_pair_path(agent, &agent->pairs[index]);
    agent->pairs[index].nominated = true;
    agent->selected = index;
    agent->selected_at_us = now_us;
    agent->selected_path = path;
    agent->selected_pending = true;
    agent->settle_us = TIME_NEVER;
    if (agent->previous) {
        agent->previous = ice_session_free(agent->previous);
        agent->restarted_pending = true;
        ice_count(agent->metrics, ICE_RESTARTS);
    }
    // a successful check is consent (RFC 7675, section 5.1)
    ice_consent_start(&agent->consent, now_us, max_of(now_us, (uint64_t)1));
    ice_count(agent->metrics, ICE_SELECTIONS);
}

void ice_agent_nominate(struct ice_agent *agent, uint64_t now_us)
{
    if (!agent->controlling || agent->selected != ICE_NONE)
        return;
    for (int i = 0; i < agent->pair_count; i++) {
        const struct ice_pair *pair = &agent->pairs[i];
        if (pair->nominate || (pair->nominating && pair->state == ICE_PAIR_IN_PROGRESS))
            return; // under way
    }
    int index = ice_pair_best(agent);
    if (index == ICE_NONE)
        return;
    struct ice_pair *best = &agent->pairs[index];
    if (agent->settle_us == TIME_NEVER)
        agent->settle_us = now_us + SETTLE_US;
    if (now_us < agent->settle_us && ice_pair_better_pending(agent, best))
        return;
    agent->settle_us = TIME_NEVER;
    best->nominate = true;
    ice_pair_trigger(agent, best);
}

/** Section 14.3: more checks under way mean longer timeouts. */
static uint64_t initial_rto_us(const struct ice_agent *agent)
{
    uint64_t busy = 0;
    for (int i = 0; i < agent->pair_count; i++)
        busy += agent->pairs[i].state == ICE_PAIR_WAITING ||
                agent->pairs[i].state == ICE_PAIR_IN_PROGRESS;
    return max_of(RTO_MIN_US, agent->pace_us * busy);
}

/** Sends the request of a pair, for the first time or again. Returns false without room. */
static bool write_check(struct ice_agent *agent, struct ice_pair *pair,
                        struct datagram_batch *batch)
{
    uint8_t *at = datagram_batch_reserve(batch, ICE_MESSAGE_MAX);
    if (!at)
        return false;
    const struct ice_check check = {
        .transaction_id = pair->transaction_id,
        .priority = ice_priority(ICE_PEER_REFLEXIVE, (uint16_t)(UINT16_MAX - pair->local), 1),
        .tie_breaker = agent->tie_breaker,
        .controlling = pair->was_controlling,
        .use_candidate = pair->nominating,
    };
    size_t size = ice_check_write(&check, agent->session, at, ICE_MESSAGE_MAX);
    const struct net_path path = ice_pair_path(agent, pair);
    datagram_batch_commit(batch, &path, size);
    ice_count(agent->metrics, ICE_CHECKS_SENT);
    return true;
}

static bool begin_check(struct ice_agent *agent, struct ice_pair *pair, uint64_t now_us,
                        struct datagram_batch *batch)
{
    uint64_t rto_us = initial_rto_us(agent);
    random_fill(agent->random, pair->transaction_id, sizeof(pair->transaction_id));
    pair->was_controlling = agent->controlling;
    pair->nominating = pair->nominate && agent->controlling;
    if (!write_check(agent, pair, batch))
        return false;
    pair->state = ICE_PAIR_IN_PROGRESS;
    pair->trigger = 0;
    pair->nominate = false;
    pair->sends = 1;
    pair->sent_us = now_us;
    pair->rto_us = rto_us;
    pair->resend_us = now_us + rto_us;
    return true;
}

/** Sends again what was not answered. Returns false without room. */
static bool resend_checks(struct ice_agent *agent, uint64_t now_us, struct datagram_batch *batch)
{
    for (int i = 0; i < agent->pair_count; i++) {
        struct ice_pair *pair = &agent->pairs[i];
        if (pair->state != ICE_PAIR_IN_PROGRESS || pair->resend_us > now_us ||
            pair->sends >= ICE_SENDS_MAX)
            continue;
        if (!write_check(agent, pair, batch))
            return false;
        pair->sends++;
        pair->rto_us *= 2;
        pair->resend_us = now_us + (pair->sends == ICE_SENDS_MAX
                                        ? LAST_WAIT * (pair->rto_us >> (ICE_SENDS_MAX - 1))
                                        : pair->rto_us);
    }
    return true;
}

static void write_consent_check(struct ice_agent *agent, uint64_t now_us,
                                struct datagram_batch *batch)
{
    uint8_t *at = datagram_batch_reserve(batch, ICE_MESSAGE_MAX);
    if (!at)
        return;
    uint8_t transaction_id[STUN_TRANSACTION_ID_SIZE];
    ice_consent_sent(&agent->consent, now_us, agent->random, transaction_id);
    const struct ice_check check = {
        .transaction_id = transaction_id,
        .priority = ice_priority(ICE_PEER_REFLEXIVE, UINT16_MAX, 1),
        .tie_breaker = agent->tie_breaker,
        .controlling = agent->controlling,
        // a lite peer learns by it that a NAT has moved us to another port
        .use_candidate = agent->controlling && agent->remote_lite,
    };
    const struct ice_session *session = agent->previous ? agent->previous : agent->session;
    size_t size = ice_check_write(&check, session, at, ICE_MESSAGE_MAX);
    datagram_batch_commit(batch, &agent->selected_path, size);
    ice_count(agent->metrics, ICE_CONSENT_SENT);
}

void ice_agent_output(struct ice_agent *agent, uint64_t now_us, struct datagram_batch *batch)
{
    const struct ice_session *const sessions[] = { agent->session, agent->previous };
    if (!ice_answers_write(&agent->answers, sessions, batch))
        return;
    if (agent->remote_known) {
        if (!resend_checks(agent, now_us, batch))
            return;
        int next = now_us >= agent->next_check_us ? ice_pair_next(agent) : ICE_NONE;
        if (next != ICE_NONE) {
            if (!begin_check(agent, &agent->pairs[next], now_us, batch))
                return;
            agent->next_check_us = now_us + agent->pace_us;
        }
    }
    if (ice_consent_due(&agent->consent, now_us))
        write_consent_check(agent, now_us, batch);
}

static void expire_checks(struct ice_agent *agent, uint64_t now_us)
{
    for (int i = 0; i < agent->pair_count; i++) {
        struct ice_pair *pair = &agent->pairs[i];
        if (pair->state == ICE_PAIR_IN_PROGRESS && pair->sends >= ICE_SENDS_MAX &&
            pair->resend_us <= now_us)
            ice_pair_fail(pair);
    }
}

/** When failure could be declared: TIME_NEVER while there is hope without end. */
static uint64_t failure_us(const struct ice_agent *agent)
{
    if (agent->failed || agent->selected != ICE_NONE || !agent->end_of_candidates ||
        agent->checking_us == 0)
        return TIME_NEVER;
    return agent->checking_us + PATIENCE_US;
}

void ice_agent_tick(struct ice_agent *agent, uint64_t now_us)
{
    if (ice_consent_tick(&agent->consent, now_us))
        ice_count(agent->metrics, ICE_EXPIRATIONS);
    expire_checks(agent, now_us);
    ice_agent_nominate(agent, now_us);
    if (now_us >= failure_us(agent) && !ice_pair_any_pending(agent) &&
        ice_pair_best(agent) == ICE_NONE) {
        agent->failed = true;
        agent->failed_pending = true;
    }
}

uint64_t ice_agent_deadline(const struct ice_agent *agent)
{
    if (agent->answers.count > 0)
        return 0;
    uint64_t deadline_us = ice_consent_deadline(&agent->consent);
    if (!agent->remote_known)
        return deadline_us;
    for (int i = 0; i < agent->pair_count; i++) {
        const struct ice_pair *pair = &agent->pairs[i];
        if (pair->state == ICE_PAIR_IN_PROGRESS)
            deadline_us = time_earlier(deadline_us, pair->resend_us);
    }
    if (ice_pair_next(agent) != ICE_NONE)
        deadline_us = time_earlier(deadline_us, agent->next_check_us);
    if (agent->selected == ICE_NONE && agent->controlling)
        deadline_us = time_earlier(deadline_us, agent->settle_us);
    if (!ice_pair_any_pending(agent) && ice_pair_best(agent) == ICE_NONE)
        deadline_us = time_earlier(deadline_us, failure_us(agent));
    return deadline_us;
}
