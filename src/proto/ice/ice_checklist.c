#include <errno.h>

#include "base/memory.h"
#include "proto/ice/ice_agent_int.h"

int ice_remote_find(const struct ice_agent *agent, const struct net_address *address)
{
    for (int i = 0; i < agent->remote_count; i++) {
        if (net_address_equal(&agent->remotes[i].address, address))
            return i;
    }
    return ICE_NONE;
}

int ice_pair_find(const struct ice_agent *agent, int local, int remote)
{
    for (int i = 0; i < agent->pair_count; i++) {
        if (agent->pairs[i].local == local && agent->pairs[i].remote == remote)
            return i;
    }
    return ICE_NONE;
}

static uint64_t pair_priority(const struct ice_agent *agent, const struct ice_pair *pair)
{
    uint32_t ours = agent->locals[pair->local].priority;
    uint32_t theirs = agent->remotes[pair->remote].priority;
    return agent->controlling ? ice_pair_priority(ours, theirs) : ice_pair_priority(theirs, ours);
}

/** Same family, and link-local addresses among themselves only (RFC 8445, section 6.1.2.2). */
static bool may_pair(const struct net_address *local, const struct net_address *remote)
{
    return local->family == remote->family &&
           net_address_is_link_local(local) == net_address_is_link_local(remote);
}

static bool same_foundation(const struct ice_agent *agent, const struct ice_pair *a,
                            const struct ice_pair *b)
{
    // local candidates are host candidates: the foundation is the IP
    return net_address_same_ip(&agent->locals[a->local].address,
                               &agent->locals[b->local].address) &&
           agent->remotes[a->remote].foundation == agent->remotes[b->remote].foundation;
}

static bool is_open(const struct ice_pair *pair)
{
    return pair->state == ICE_PAIR_FROZEN || pair->state == ICE_PAIR_WAITING ||
           pair->state == ICE_PAIR_IN_PROGRESS;
}

/** The least worthy pair that has achieved nothing, when the list is full. */
static struct ice_pair *least_pair(struct ice_agent *agent)
{
    struct ice_pair *least = NULL;
    for (int i = 0; i < agent->pair_count; i++) {
        struct ice_pair *pair = &agent->pairs[i];
        if (pair->state != ICE_PAIR_SUCCEEDED && pair->state != ICE_PAIR_IN_PROGRESS &&
            (!least || pair->priority < least->priority))
            least = pair;
    }
    return least;
}

static void add_pair(struct ice_agent *agent, uint8_t local, uint8_t remote)
{
    struct ice_pair pair = { .local = local, .remote = remote, .state = ICE_PAIR_WAITING };
    pair.priority = pair_priority(agent, &pair);
    // with trickling, a pair waits unless one of its foundation is under way (RFC 8838, section 12)
    for (int i = 0; i < agent->pair_count; i++) {
        const struct ice_pair *other = &agent->pairs[i];
        if ((other->state == ICE_PAIR_WAITING || other->state == ICE_PAIR_IN_PROGRESS) &&
            same_foundation(agent, &pair, other))
            pair.state = ICE_PAIR_FROZEN;
    }
    if (agent->pair_count < ICE_AGENT_PAIRS_MAX) {
        // grows by doubling
        if ((agent->pair_count & (agent->pair_count - 1)) == 0) {
            size_t capacity = agent->pair_count ? (size_t)agent->pair_count * 2 : 1;
            agent->pairs = memory_resize(agent->pairs, capacity * sizeof(struct ice_pair));
        }
        agent->pairs[agent->pair_count++] = pair;
        return;
    }
    struct ice_pair *least = least_pair(agent);
    if (least && least->priority < pair.priority)
        *least = pair;
}

int ice_remote_add(struct ice_agent *agent, const struct ice_remote *remote)
{
    if (agent->remote_count == ICE_AGENT_REMOTE_MAX)
        return -ENOSPC;
    if ((agent->remote_count & (agent->remote_count - 1)) == 0) {
        size_t capacity = agent->remote_count ? (size_t)agent->remote_count * 2 : 1;
        agent->remotes = memory_resize(agent->remotes, capacity * sizeof(struct ice_remote));
    }
    uint8_t index = agent->remote_count++;
    agent->remotes[index] = *remote;
    for (uint8_t i = 0; i < agent->local_count; i++) {
        if (may_pair(&agent->locals[i].address, &remote->address))
            add_pair(agent, i, index);
    }
    return index;
}

void ice_pairs_of_local(struct ice_agent *agent, uint8_t local)
{
    for (uint8_t i = 0; i < agent->remote_count; i++) {
        if (may_pair(&agent->locals[local].address, &agent->remotes[i].address))
            add_pair(agent, local, i);
    }
}

void ice_pairs_prioritize(struct ice_agent *agent)
{
    for (int i = 0; i < agent->pair_count; i++)
        agent->pairs[i].priority = pair_priority(agent, &agent->pairs[i]);
}

void ice_pair_trigger(struct ice_agent *agent, struct ice_pair *pair)
{
    if (pair->trigger == 0)
        pair->trigger = ++agent->triggers;
}

void ice_pairs_thaw(struct ice_agent *agent, const struct ice_pair *like)
{
    for (int i = 0; i < agent->pair_count; i++) {
        struct ice_pair *pair = &agent->pairs[i];
        if (pair->state == ICE_PAIR_FROZEN && same_foundation(agent, pair, like))
            pair->state = ICE_PAIR_WAITING;
    }
}

/** Whether a pair of the same foundation is being checked or about to be. */
static bool foundation_busy(const struct ice_agent *agent, const struct ice_pair *pair)
{
    for (int i = 0; i < agent->pair_count; i++) {
        const struct ice_pair *other = &agent->pairs[i];
        if ((other->state == ICE_PAIR_WAITING || other->state == ICE_PAIR_IN_PROGRESS) &&
            same_foundation(agent, pair, other))
            return true;
    }
    return false;
}

/** Whether pair `index` comes before `best`, which may be ICE_NONE. */
static bool ranks_before(const struct ice_agent *agent, int index, int best)
{
    return best == ICE_NONE || agent->pairs[index].priority > agent->pairs[best].priority;
}

int ice_pair_next(const struct ice_agent *agent)
{
    int triggered = ICE_NONE, waiting = ICE_NONE, frozen = ICE_NONE;
    for (int i = 0; i < agent->pair_count; i++) {
        const struct ice_pair *pair = &agent->pairs[i];
        if (pair->trigger != 0 &&
            (triggered == ICE_NONE || pair->trigger < agent->pairs[triggered].trigger))
            triggered = i;
        if (pair->state == ICE_PAIR_WAITING && ranks_before(agent, i, waiting))
            waiting = i;
        if (pair->state == ICE_PAIR_FROZEN && ranks_before(agent, i, frozen) &&
            !foundation_busy(agent, pair))
            frozen = i;
    }
    if (triggered != ICE_NONE)
        return triggered;
    // once a pair is selected no more is looked for (RFC 8445, section 8.1.2)
    if (agent->selected != ICE_NONE)
        return ICE_NONE;
    return waiting != ICE_NONE ? waiting : frozen;
}

int ice_pair_best(const struct ice_agent *agent)
{
    int best = ICE_NONE;
    for (int i = 0; i < agent->pair_count; i++) {
        if (agent->pairs[i].valid &&
            (best == ICE_NONE || agent->pairs[i].priority > agent->pairs[best].priority))
            best = i;
    }
    return best;
}

bool ice_pair_better_pending(const struct ice_agent *agent, const struct ice_pair *pair)
{
    for (int i = 0; i < agent->pair_count; i++) {
        if (is_open(&agent->pairs[i]) && agent->pairs[i].priority > pair->priority)
            return true;
    }
    return false;
}

bool ice_pair_any_pending(const struct ice_agent *agent)
{
    for (int i = 0; i < agent->pair_count; i++) {
        if (is_open(&agent->pairs[i]) || agent->pairs[i].trigger != 0)
            return true;
    }
    return false;
}
