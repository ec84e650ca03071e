// An address (16 bytes) and then networks as text, one per line, allowed and denied in turn: what
// parses is well-formed, and the judgement of the address obeys the laws that rules have.
#include <string.h>

#include "base/text.h"
#include "proto/turn/turn_peers.h"

#define NETWORKS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_network(const struct turn_network *network)
{
    ensure(network->address.family == NET_IPV4 || network->address.family == NET_IPV6);
    ensure(network->prefix <= (network->address.family == NET_IPV4 ? 32 : 128));
    // it reads the same when it is written down
    char text[NET_ADDRESS_TEXT_MAX + 4];
    char ip[NET_ADDRESS_TEXT_MAX];
    struct turn_network again;
    struct text_builder builder = text_builder_of(text, sizeof(text));
    text_append_format(&builder, "%s/%u", net_address_format_ip(&network->address, ip),
                       network->prefix);
    ensure(turn_network_parse(text, &again) == 0);
    ensure(net_address_equal(&again.address, &network->address));
    ensure(again.prefix == network->prefix);
}

static size_t parse_all(struct bytes text, struct turn_network out[NETWORKS_MAX])
{
    size_t count = 0;
    while (text.size > 0 && count < NETWORKS_MAX) {
        char line[80];
        struct bytes taken = text_take_until(&text, '\n');
        if (text_copy(line, sizeof(line), taken) == 0 && turn_network_parse(line, &out[count]) == 0)
            check_network(&out[count++]);
    }
    return count;
}

static enum turn_peer_verdict judge(const struct turn_peers_config *config,
                                    const struct net_address *peer)
{
    struct turn_peer_decision decision;
    struct turn_peers *peers = turn_peers_new(config);
    enum turn_peer_verdict verdict = turn_peers_judge(peers, peer, &decision);
    ensure(decision.verdict == verdict && decision.rule);
    ensure((decision.remedy == NULL) == (verdict == TURN_PEER_ALLOWED));
    turn_peers_free(peers);
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct turn_network networks[NETWORKS_MAX];
    if (size < 16)
        return 0;
    struct net_address peer = { .family = NET_IPV6 };
    memcpy(peer.ip, data, 16);
    struct net_address forms[TURN_CANONICAL_MAX];
    size_t form_count = turn_peer_canonical(&peer, forms);
    ensure(form_count >= 1 && form_count <= TURN_CANONICAL_MAX);
    size_t count = parse_all(bytes_of(data + 16, size - 16), networks);
    struct turn_peers_config config = { .allowed = networks,
                                        .allowed_count = count / 2,
                                        .denied = networks + count / 2,
                                        .denied_count = count - count / 2 };
    enum turn_peer_verdict verdict = judge(&config, &peer);
    // no form of an address is judged more strictly than the address
    for (size_t i = 0; i + 1 < form_count; i++)
        ensure(judge(&config, &forms[i]) <= verdict);
    // denying more never opens, allowing less never opens
    struct turn_peers_config stricter = config;
    stricter.allowed_count = 0;
    ensure(judge(&stricter, &peer) >= verdict);
    // what is ours is never simply relayed to, whatever was allowed around it
    stricter = config;
    stricter.own = &peer;
    stricter.own_count = 1;
    ensure(judge(&stricter, &peer) >= verdict || verdict == TURN_PEER_DENIED);
    return 0;
}
