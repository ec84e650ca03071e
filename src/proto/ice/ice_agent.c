#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/ice/ice_agent_int.h"

#define PACE_DEFAULT_US 50000u
#define PACE_MIN_US     5000u // RFC 8445, section 14.2

int ice_agent_new(const struct ice_agent_config *config, struct ice_agent **ret_agent)
{
    struct ice_session *session = ice_session_new(&config->local, NULL);
    if (!session)
        return -EINVAL;
    struct ice_agent *agent = memory_new(struct ice_agent);
    *agent = (struct ice_agent){
        .random = config->random,
        .metrics = config->metrics,
        .pace_us = max_of(config->pace_us ? config->pace_us : PACE_DEFAULT_US, PACE_MIN_US),
        .controlling = config->controlling,
        .tie_breaker = random_u64(config->random),
        .session = session,
        .selected = ICE_NONE,
        .settle_us = TIME_NEVER,
    };
    *ret_agent = agent;
    return 0;
}

struct ice_agent *ice_agent_free(struct ice_agent *agent)
{
    if (!agent)
        return NULL;
    ice_session_free(agent->session);
    ice_session_free(agent->previous);
    free(agent->locals);
    free(agent->remotes);
    free(agent->pairs);
    free(agent);
    return NULL;
}

int ice_agent_add_local(struct ice_agent *agent, const struct net_address *address)
{
    for (uint8_t i = 0; i < agent->local_count; i++) {
        if (net_address_equal(&agent->locals[i].address, address))
            return -EEXIST;
    }
    if (agent->local_count == ICE_AGENT_LOCAL_MAX)
        return -ENOSPC;
    uint8_t index = agent->local_count++;
    agent->locals = memory_resize(agent->locals, agent->local_count * sizeof(struct ice_candidate));
    agent->locals[index] = ice_candidate_host(address, (uint16_t)(UINT16_MAX - index));
    ice_pairs_of_local(agent, index);
    return 0;
}

const struct ice_candidate *ice_agent_local(const struct ice_agent *agent, size_t index)
{
    return index < agent->local_count ? &agent->locals[index] : NULL;
}

/** A new session begins: what was found in the one before is void, but its path stays in use. */
static void begin_session(struct ice_agent *agent, struct ice_session *session)
{
    if (agent->selected != ICE_NONE) {
        // this session has a path: it is the one to keep meanwhile
        ice_session_free(agent->previous);
        agent->previous = agent->session;
    } else {
        ice_session_free(agent->session);
    }
    agent->session = session;
    agent->remote_known = session->remote_size > 0;
    agent->answers.count = 0;
    agent->remote_count = 0;
    agent->pair_count = 0;
    agent->selected = ICE_NONE;
    agent->end_of_candidates = false;
    agent->failed = false;
    agent->failed_pending = false;
    agent->checking_us = 0;
    agent->settle_us = TIME_NEVER;
}

int ice_agent_restart(struct ice_agent *agent, const struct ice_credentials *local)
{
    struct ice_session *session = ice_session_new(local, NULL);
    if (!session)
        return -EINVAL;
    begin_session(agent, session);
    return 0;
}

/** Whether these are the peer's credentials that the session has. */
static bool is_same_remote(const struct ice_agent *agent, const struct ice_session *session)
{
    return agent->remote_known &&
           bytes_equal(ice_session_outgoing(agent->session), ice_session_outgoing(session)) &&
           memcmp(&agent->session->remote_key, &session->remote_key,
                  offsetof(struct hmac_key, kind)) == 0;
}

int ice_agent_set_remote(struct ice_agent *agent, uint64_t now_us,
                         const struct ice_credentials *remote, bool lite)
{
    struct ice_session *session = ice_session_with_remote(agent->session, remote);
    if (!session)
        return -EINVAL;
    agent->remote_lite = lite;
    if (lite && !agent->controlling) {
        agent->controlling = true; // RFC 8445, section 6.1.1
        ice_pairs_prioritize(agent);
    }
    if (is_same_remote(agent, session)) {
        ice_session_free(session);
        return 0;
    }
    if (agent->remote_known) {
        begin_session(agent, session);
    } else {
        // early checks may have brought peer-reflexive candidates: they stay
        ice_session_free(agent->session);
        agent->session = session;
        agent->remote_known = true;
    }
    agent->checking_us = max_of(now_us, (uint64_t)1);
    agent->next_check_us = now_us;
    return 0;
}

static uint32_t foundation_hash(const struct ice_candidate *candidate)
{
    uint32_t hash = 2166136261u; // FNV-1a; the type keeps equal texts of other types apart
    hash = (hash ^ (uint32_t)candidate->type) * 16777619u;
    for (const char *at = candidate->foundation; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    return hash;
}

int ice_agent_add_remote(struct ice_agent *agent, uint64_t now_us,
                         const struct ice_candidate *candidate)
{
    if (candidate->transport != ICE_UDP || candidate->component != 1 ||
        candidate->address.family == NET_NONE || candidate->address.port == 0)
        return 0;
    agent->next_check_us = max_of(agent->next_check_us, now_us);
    int known = ice_remote_find(agent, &candidate->address);
    if (known != ICE_NONE) {
        // learned from a check before it was signaled (RFC 8445, section 7.3.1.3)
        agent->remotes[known].priority = candidate->priority;
        agent->remotes[known].type = (uint8_t)candidate->type;
        ice_pairs_prioritize(agent);
        return 0;
    }
    const struct ice_remote remote = {
        .address = candidate->address,
        .priority = candidate->priority,
        .foundation = foundation_hash(candidate),
        .type = (uint8_t)candidate->type,
    };
    return ice_remote_add(agent, &remote) < 0 ? -ENOSPC : 0;
}

void ice_agent_end_of_candidates(struct ice_agent *agent)
{
    agent->end_of_candidates = true;
}

bool ice_agent_event(struct ice_agent *agent, struct ice_event *ret_event)
{
    struct ice_event event = { .path = agent->selected_path };
    if (agent->restarted_pending) {
        agent->restarted_pending = false;
        event.kind = ICE_EVENT_RESTARTED;
    } else if (agent->selected_pending) {
        agent->selected_pending = false;
        event.kind = ICE_EVENT_SELECTED;
    } else if (agent->failed_pending) {
        agent->failed_pending = false;
        event.kind = ICE_EVENT_FAILED;
    } else if (!ice_consent_event(&agent->consent, &event.kind)) {
        return false;
    }
    *ret_event = event;
    return true;
}

bool ice_agent_path(const struct ice_agent *agent, struct net_path *ret_path)
{
    if (agent->selected_path.remote.family != NET_NONE) {
        if (agent->consent.state == ICE_CONSENT_EXPIRED)
            return false;
        *ret_path = agent->selected_path;
        return true;
    }
    int best = ice_pair_best(agent);
    if (best == ICE_NONE)
        return false;
    *ret_path = ice_pair_path(agent, &agent->pairs[best]);
    return true;
}

bool ice_agent_knows(const struct ice_agent *agent, const struct net_path *path)
{
    if (net_path_equal(&agent->selected_path, path))
        return true;
    for (int i = 0; i < agent->pair_count; i++) {
        const struct ice_pair *pair = &agent->pairs[i];
        const struct net_path checked = ice_pair_path(agent, pair);
        if ((pair->heard || pair->valid) && net_path_equal(&checked, path))
            return true;
    }
    return false;
}

bool ice_agent_controlling(const struct ice_agent *agent)
{
    return agent->controlling;
}

uint32_t ice_agent_rtt_us(const struct ice_agent *agent)
{
    return agent->consent.rtt_us;
}
