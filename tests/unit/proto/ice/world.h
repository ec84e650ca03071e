/** ICE agents on the virtual network: what the tests of this folder share. */
#pragma once

#include "support/check.h"
#include "support/network.h"

#include "base/text.h"
#include "proto/ice/ice_agent.h"
#include "proto/ice/ice_lite.h"

#define EVENTS_MAX 32

struct node {
    bool is_lite;
    struct ice_lite lite;
    struct ice_agent *full;
    struct ice_metrics metrics;
    struct random random;
    struct network *net;
    struct network_endpoint *endpoint;
    struct ice_event events[EVENTS_MAX];
    uint64_t event_times[EVENTS_MAX];
    size_t event_count;
};

static inline void node_input(void *owner, uint64_t now_us, const struct net_path *path,
                              struct bytes datagram)
{
    struct node *node = owner;
    if (node->is_lite)
        (void)ice_lite_input(&node->lite, now_us, path, datagram);
    else
        (void)ice_agent_input(node->full, now_us, path, datagram);
}

static inline void node_tick(void *owner, uint64_t now_us)
{
    struct node *node = owner;
    if (node->is_lite)
        ice_lite_tick(&node->lite, now_us);
    else
        ice_agent_tick(node->full, now_us);
}

static inline uint64_t node_deadline(void *owner)
{
    struct node *node = owner;
    return node->is_lite ? ice_lite_deadline(&node->lite) : ice_agent_deadline(node->full);
}

static inline void node_output(void *owner, uint64_t now_us, struct datagram_batch *batch)
{
    struct node *node = owner;
    if (node->is_lite)
        ice_lite_output(&node->lite, now_us, batch);
    else
        ice_agent_output(node->full, now_us, batch);
    struct ice_event event;
    while (node->is_lite ? ice_lite_event(&node->lite, &event)
                         : ice_agent_event(node->full, &event)) {
        assert_true(node->event_count < EVENTS_MAX);
        node->event_times[node->event_count] = now_us;
        node->events[node->event_count++] = event;
    }
}

static const struct network_ops node_ops = {
    .input = node_input,
    .tick = node_tick,
    .deadline = node_deadline,
    .output = node_output,
};

static inline struct ice_credentials credentials(const char *ufrag, const char *pwd)
{
    return (struct ice_credentials){ bytes_of_text(ufrag), bytes_of_text(pwd) };
}

static inline struct ice_credentials client_credentials(void)
{
    return credentials("cli1", "clientclientclientclient");
}

static inline struct ice_credentials server_credentials(void)
{
    return credentials("srv1srv1", "serverserverserverserver");
}

static inline void node_start(struct node *node, struct network *net, uint64_t seed)
{
    *node = (struct node){ .net = net };
    random_seeded_init(&node->random, seed);
    node->endpoint = network_add(net, &node_ops, node);
}

static inline void lite_start(struct node *node, struct network *net,
                              const struct net_address *address)
{
    node_start(node, net, 77);
    node->is_lite = true;
    const struct ice_lite_config config = {
        .local = server_credentials(),
        .remote = client_credentials(),
        .random = &node->random,
        .metrics = &node->metrics,
    };
    assert_int_equal(ice_lite_init(&node->lite, &config), 0);
    network_bind(node->endpoint, address);
}

static inline void full_start(struct node *node, struct network *net,
                              const struct ice_credentials *local, bool controlling, uint64_t seed)
{
    node_start(node, net, seed);
    const struct ice_agent_config config = {
        .local = *local,
        .controlling = controlling,
        .random = &node->random,
        .metrics = &node->metrics,
    };
    assert_int_equal(ice_agent_new(&config, &node->full), 0);
}

static inline void full_add_local(struct node *node, const struct net_address *address)
{
    network_bind(node->endpoint, address);
    assert_int_equal(ice_agent_add_local(node->full, address), 0);
}

static inline void full_add_remote(struct node *node, const struct net_address *address)
{
    const struct ice_candidate candidate = ice_candidate_host(address, UINT16_MAX);
    assert_int_equal(ice_agent_add_remote(node->full, network_now(node->net), &candidate), 0);
}

static inline void node_end(struct node *node)
{
    if (node->is_lite)
        ice_lite_done(&node->lite);
    node->full = ice_agent_free(node->full);
}

static inline size_t count_events(const struct node *node, enum ice_event_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < node->event_count; i++)
        count += node->events[i].kind == kind;
    return count;
}

static inline uint64_t last_event_time(const struct node *node, enum ice_event_kind kind)
{
    for (size_t i = node->event_count; i-- > 0;) {
        if (node->events[i].kind == kind)
            return node->event_times[i];
    }
    return 0;
}

static inline bool node_path(const struct node *node, struct net_path *ret_path)
{
    return node->is_lite ? ice_lite_path(&node->lite, ret_path)
                         : ice_agent_path(node->full, ret_path);
}

static inline uint64_t counter(const struct node *node, enum ice_metric metric)
{
    return metric_get(&node->metrics.values[metric]);
}

/** A client and a lite server with one address each. */
struct pair_world {
    struct network *net;
    struct node client, server;
    struct net_address client_address, server_address;
};

static inline void world_start(struct pair_world *world, uint64_t seed)
{
    world->net = network_new(seed);
    world->client_address = net_address_ipv4(192, 0, 2, 1, 40000);
    world->server_address = net_address_ipv4(198, 51, 100, 1, 3478);
    lite_start(&world->server, world->net, &world->server_address);
    const struct ice_credentials local = client_credentials(), remote = server_credentials();
    full_start(&world->client, world->net, &local, true, seed + 1000);
    full_add_local(&world->client, &world->client_address);
    assert_int_equal(
        ice_agent_set_remote(world->client.full, network_now(world->net), &remote, true), 0);
    full_add_remote(&world->client, &world->server_address);
}

static inline void world_end(struct pair_world *world)
{
    node_end(&world->client);
    node_end(&world->server);
    network_free(world->net);
}

/** One more selection on both sides since `client` and `server` ones. */
struct both_selected {
    const struct node *a, *b;
    size_t count;
};

static inline bool both_are_selected(void *owner)
{
    const struct both_selected *both = owner;
    return count_events(both->a, ICE_EVENT_SELECTED) >= both->count &&
           count_events(both->b, ICE_EVENT_SELECTED) >= both->count;
}

static inline bool run_until_selected(struct network *net, const struct node *a,
                                      const struct node *b, size_t count, uint64_t timeout_us)
{
    struct both_selected both = { a, b, count };
    return network_run_until(net, timeout_us, both_are_selected, &both);
}

/** Both sides use the same way. */
static inline void assert_paths_meet(const struct node *a, const struct node *b)
{
    struct net_path from_a, from_b;
    assert_true(node_path(a, &from_a));
    assert_true(node_path(b, &from_b));
    assert_true(net_address_equal(&from_a.local, &from_b.remote));
    assert_true(net_address_equal(&from_a.remote, &from_b.local));
}
