#include "proto/turn/turn_peers.h"

#include <string.h>

#include "base/memory.h"
#include "proto/turn/turn_networks_int.h"

struct turn_peers {
    struct turn_network_set allowed;
    struct turn_network_set denied;
    struct net_address *own; /**< unmapped */
    size_t own_count;
};

struct turn_peers *turn_peers_new(const struct turn_peers_config *config)
{
    struct turn_peers *peers = memory_new(struct turn_peers);
    turn_network_set_init(&peers->allowed, config->allowed, config->allowed_count);
    turn_network_set_init(&peers->denied, config->denied, config->denied_count);
    peers->own_count = config->own_count;
    peers->own = memory_new_array(struct net_address, config->own_count);
    for (size_t i = 0; i < config->own_count; i++)
        peers->own[i] = net_address_unmapped(&config->own[i]);
    return peers;
}

struct turn_peers *turn_peers_free(struct turn_peers *peers)
{
    if (!peers)
        return NULL;
    turn_network_set_done(&peers->allowed);
    turn_network_set_done(&peers->denied);
    memory_free_at(&peers->own);
    memory_free_at(&peers);
    return NULL;
}

static bool is_own(const struct turn_peers *peers, const struct net_address *address)
{
    for (size_t i = 0; i < peers->own_count; i++) {
        if (net_address_same_ip(&peers->own[i], address))
            return true;
    }
    return false;
}

/**
 * Whether an allow rule of prefix `allowed` is meant for this address: what only this machine
 * should reach, and this machine itself, have to be named, not just be somewhere in a large
 * network. (A rule for loopback names this machine.)
 */
static bool is_opened(const struct net_address *address, int allowed, bool own,
                      const struct turn_known_network *known)
{
    if (allowed < 0)
        return false;
    if (known && known->narrow)
        return allowed >= known->prefix;
    return !own || allowed == (address->family == NET_IPV4 ? 32 : 128);
}

/**
 * One form of an address: the operator's rules by longest prefix (a tie denies), then whether it
 * is our own, then the built-in table.
 */
static struct turn_peer_decision judge_form(const struct turn_peers *peers,
                                            const struct net_address *address)
{
    const struct turn_known_network *known = turn_known_network_of(address);
    bool own = is_own(peers, address);
    int allowed = turn_network_set_match(&peers->allowed, address);
    int denied = turn_network_set_match(&peers->denied, address);
    if (denied >= 0 && denied >= allowed)
        return (struct turn_peer_decision){
            TURN_PEER_DENIED, "turn.denied_peers",
            "To relay to this peer remove the network from turn.denied_peers, or name a smaller "
            "one in turn.allowed_peers."
        };
    if (is_opened(address, allowed, own, known))
        return (struct turn_peer_decision){ TURN_PEER_ALLOWED, "turn.allowed_peers", NULL };
    if (own)
        return (struct turn_peer_decision){
            TURN_PEER_OWN, "addresses of this server",
            "Of this machine peers reach the media server and the relayed addresses only; to "
            "relay to its other services add this very address to turn.allowed_peers."
        };
    if (known)
        return (struct turn_peer_decision){ TURN_PEER_DENIED, known->name, known->remedy };
    return (struct turn_peer_decision){ TURN_PEER_ALLOWED, "public addresses", NULL };
}

enum turn_peer_verdict turn_peers_judge(const struct turn_peers *peers,
                                        const struct net_address *peer,
                                        struct turn_peer_decision *ret_decision)
{
    if (peer->family != NET_IPV4 && peer->family != NET_IPV6) {
        *ret_decision = (struct turn_peer_decision){ TURN_PEER_DENIED, "not an IP address",
                                                     "The client sent a wrong candidate." };
        return TURN_PEER_DENIED;
    }
    struct net_address forms[TURN_CANONICAL_MAX];
    size_t count = turn_peer_canonical(peer, forms);
    struct turn_peer_decision strictest = judge_form(peers, &forms[0]);
    for (size_t i = 1; i < count; i++) {
        struct turn_peer_decision decision = judge_form(peers, &forms[i]);
        if (decision.verdict > strictest.verdict)
            strictest = decision;
    }
    *ret_decision = strictest;
    return strictest.verdict;
}
