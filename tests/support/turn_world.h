/**
 * A TURN server without a network. What the engine asks of its owner is recorded. Time is
 * `world.now_us`. Its clients are in turn_client.h.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/turn/turn_server.h"

#define TURN_WORLD_SENT     16
#define TURN_WORLD_UNIX_S   1700000000ll
#define TURN_WORLD_REALM    "example.org"
#define TURN_WORLD_PORT_MIN 50000
#define TURN_WORLD_PORT_MAX 50999

/** A message that the engine sent. */
struct turn_sent {
    struct turn_source to;
    size_t size;
    uint8_t data[1500];
};

/** What differs from the usual server. */
struct turn_world_options {
    struct turn_settings_config settings; /**< users and peers.own are set by the world */
    struct turn_quota_limits limits;
    uint32_t worker;
    uint32_t worker_count;    /**< 0: 1 */
    uint32_t allocations_max; /**< 0: 10000 */
    uint16_t port_max;        /**< 0: TURN_WORLD_PORT_MAX */
    bool ipv4_only;
    bool ipv6_only;
    bool own_relays_allowed;      /**< relay addresses are not told as own ones */
    struct turn_ports *ports;     /**< of another world, or NULL */
    struct turn_nonce_key *nonce; /**< of another world, or NULL */
    bool relays_at_once;
};

struct turn_world {
    uint64_t now_us;
    struct random random;
    struct turn_world_options options;
    struct turn_nonce_key own_nonce_key;
    struct turn_ports *ports;
    struct turn_quota *quota;
    struct turn_settings *settings;
    struct turn_server *server;
    metric_value metrics[TURN_METRIC_COUNT];
    struct turn_static_user users[2];
    struct net_address own[3];
    // what the engine asked for
    struct turn_sent sent[TURN_WORLD_SENT];
    size_t sent_count; /**< in all; the last TURN_WORLD_SENT are kept */
    size_t sent_bytes;
    int opened;
    int sockets; /**< open now */
    int closed;
    int began;
    int moved;
    int refused;
    int ended[TURN_END_COUNT];
    int open_error;
    int open_errors; /**< how often; 0: always */
    bool opened_tcp;
    struct turn_relay *relay; /**< the last one opened */
    struct turn_peer_decision decision;
    struct turn_source moved_from;
    struct turn_allocation_info ended_info;
    int connects;
    int connect_error;
    uint32_t connection; /**< the last one connected or bound */
    int binds;
    size_t sent_before_bind;
    int closes;
    uint32_t closed_connection;
    /** Memories of allocations to clear in `ended` and `moved`, as callers of the engine do. */
    struct turn_allocation **caches[8];
};

static inline void turn_world_forget(struct turn_world *world,
                                     const struct turn_allocation *allocation)
{
    for (size_t i = 0; i < array_size(world->caches); i++) {
        if (world->caches[i] && *world->caches[i] == allocation)
            *world->caches[i] = NULL;
    }
}

static inline void turn_world_send(void *owner, const struct turn_source *to, struct bytes message)
{
    struct turn_world *world = owner;
    struct turn_sent *sent = &world->sent[world->sent_count++ % TURN_WORLD_SENT];
    ensure(message.size <= sizeof(sent->data));
    sent->to = *to;
    sent->size = message.size;
    memcpy(sent->data, message.data, message.size);
    world->sent_bytes += message.size;
}

static inline int turn_world_open(void *owner, struct turn_relay *relay, bool tcp)
{
    struct turn_world *world = owner;
    int error = world->open_error;
    if (error && world->open_errors > 0 && --world->open_errors == 0)
        world->open_error = 0;
    if (error)
        return error;
    ensure(!relay->socket);
    world->opened++;
    world->sockets++;
    world->opened_tcp = tcp;
    world->relay = relay;
    relay->socket = world;
    return 0;
}

static inline void turn_world_close(void *owner, struct turn_relay *relay)
{
    struct turn_world *world = owner;
    world->closed++;
    world->sockets -= relay->socket != NULL;
    relay->socket = NULL;
    if (world->relay == relay)
        world->relay = NULL;
}

static inline void turn_world_began(void *owner, const struct turn_allocation *allocation)
{
    struct turn_world *world = owner;
    ensure(turn_allocation_source(allocation) != NULL);
    world->began++;
}

static inline void turn_world_ended(void *owner, const struct turn_allocation *allocation,
                                    enum turn_end why)
{
    struct turn_world *world = owner;
    world->ended[why]++;
    turn_world_forget(world, allocation);
    turn_allocation_info(allocation, &world->ended_info);
}

static inline void turn_world_refused(void *owner, const struct turn_allocation *allocation,
                                      const struct net_address *peer,
                                      const struct turn_peer_decision *decision)
{
    struct turn_world *world = owner;
    ensure(allocation && peer && decision->rule && decision->remedy);
    world->refused++;
    world->decision = *decision;
}

static inline void turn_world_moved(void *owner, const struct turn_allocation *allocation,
                                    const struct turn_source *before)
{
    struct turn_world *world = owner;
    ensure(allocation != NULL);
    world->moved++;
    turn_world_forget(world, allocation);
    world->moved_from = *before;
}

static inline int turn_world_connect(void *owner, struct turn_relay *relay, uint32_t connection,
                                     const struct net_address *peer)
{
    struct turn_world *world = owner;
    ensure(relay->told.family == peer->family);
    world->connects++;
    world->connection = connection;
    return world->connect_error;
}

static inline int turn_world_bind(void *owner, uint32_t connection,
                                  const struct turn_source *client)
{
    struct turn_world *world = owner;
    ensure(client != NULL);
    world->binds++;
    world->connection = connection;
    world->sent_before_bind = world->sent_count;
    return 0;
}

static inline void turn_world_tcp_close(void *owner, uint32_t connection)
{
    struct turn_world *world = owner;
    world->closes++;
    world->closed_connection = connection;
}

static const struct turn_ops turn_world_ops = {
    .send = turn_world_send,
    .relay_open = turn_world_open,
    .relay_close = turn_world_close,
    .began = turn_world_began,
    .ended = turn_world_ended,
    .refused = turn_world_refused,
    .moved = turn_world_moved,
    .tcp_connect = turn_world_connect,
    .tcp_bind = turn_world_bind,
    .tcp_close = turn_world_tcp_close,
};

static inline struct net_address turn_world_address(const char *text)
{
    struct net_address address;
    ensure(net_address_parse(text, &address) == 0);
    return address;
}

static inline void turn_world_user(struct turn_static_user *user, const char *name,
                                   const char *password)
{
    struct bytes realm = bytes_of_text(TURN_WORLD_REALM);
    user->username = name;
    stun_long_term_key(bytes_of_text(name), realm, bytes_of_text(password), user->md5_key);
    stun_long_term_key_sha256(bytes_of_text(name), realm, bytes_of_text(password),
                              user->sha256_key);
}

/** Settings made of world->options.settings, as a reload would. */
static inline struct turn_settings *turn_world_settings(struct turn_world *world)
{
    struct turn_settings_config config = world->options.settings;
    config.realm = TURN_WORLD_REALM;
    config.users = world->users;
    config.user_count = 2;
    if (!world->options.own_relays_allowed) {
        config.peers.own = world->own;
        config.peers.own_count = 3;
    }
    return turn_settings_new(&config);
}

static inline void turn_world_reload(struct turn_world *world)
{
    struct turn_settings *settings = turn_world_settings(world);
    turn_settings_unref(world->settings);
    world->settings = settings;
    turn_server_set_settings(world->server, settings);
}

#define TURN_WORLD_IPV4      "51.15.0.1:0"
#define TURN_WORLD_IPV6      "[2a01:4f8::1]:0"
#define TURN_WORLD_NO_RELAYS "51.15.0.77:0" /**< of this machine, but not for relays */

static inline struct turn_ports *turn_world_ports(const struct turn_world_options *options)
{
    struct turn_relay_address addresses[2];
    size_t count = 0;
    if (!options->ipv6_only) {
        addresses[count].bind = turn_world_address("10.9.9.9:0"); // a cloud's 1:1 NAT
        addresses[count++].told = turn_world_address(TURN_WORLD_IPV4);
    }
    if (!options->ipv4_only) {
        addresses[count].bind = turn_world_address(TURN_WORLD_IPV6);
        addresses[count++].told = turn_world_address(TURN_WORLD_IPV6);
    }
    const struct turn_ports_config config = {
        .addresses = addresses,
        .address_count = count,
        .port_min = TURN_WORLD_PORT_MIN,
        .port_max = options->port_max ? options->port_max : TURN_WORLD_PORT_MAX,
    };
    return turn_ports_new(&config);
}

/** `options` may be NULL. */
static inline void turn_world_init(struct turn_world *world,
                                   const struct turn_world_options *options)
{
    static const struct turn_world_options usual;
    static const uint64_t secret[2] = { 1, 2 };
    memset(world, 0, sizeof(*world));
    world->options = options ? *options : usual;
    world->now_us = time_from_s(1000);
    random_seeded_init(&world->random, 7);
    turn_world_user(&world->users[0], "alice", "wonderland");
    turn_world_user(&world->users[1], "bob", "builder");
    world->own[0] = turn_world_address(TURN_WORLD_IPV4);
    world->own[1] = turn_world_address(TURN_WORLD_IPV6);
    world->own[2] = turn_world_address(TURN_WORLD_NO_RELAYS);
    turn_nonce_key_init(&world->own_nonce_key, &world->random);
    world->ports = world->options.ports ? world->options.ports : turn_world_ports(&world->options);
    world->quota = turn_quota_new(&world->options.limits, secret);
    world->settings = turn_world_settings(world);
    const struct turn_server_config config = {
        .worker = world->options.worker,
        .worker_count = world->options.worker_count ? world->options.worker_count : 1,
        .ports = world->ports,
        .quota = world->quota,
        .nonce_key = world->options.nonce ? world->options.nonce : &world->own_nonce_key,
        .settings = world->settings,
        .random = &world->random,
        .unix_offset_us = TURN_WORLD_UNIX_S * (int64_t)TIME_US_PER_S - (int64_t)world->now_us,
        .allocations_max = world->options.allocations_max ? world->options.allocations_max : 10000,
        .relays_at_once = world->options.relays_at_once,
        .ops = &turn_world_ops,
        .owner = world,
        .metrics = world->metrics,
    };
    world->server = turn_server_new(&config);
}

/** Everything must be given back. */
static inline void turn_world_done(struct turn_world *world)
{
    world->server = turn_server_free(world->server);
    ensure(turn_quota_allocations(world->quota) == 0);
    turn_quota_free(world->quota);
    turn_settings_unref(world->settings);
    if (!world->options.ports) {
        ensure(turn_ports_taken(world->ports) == 0);
        turn_ports_free(world->ports);
    }
    int ended = 0;
    for (size_t i = 0; i < TURN_END_COUNT; i++)
        ended += world->ended[i];
    ensure(world->began == ended);
}

static inline uint64_t turn_world_metric(const struct turn_world *world, enum turn_metric metric)
{
    return metric_get(&world->metrics[metric]);
}

/** Lets time pass; the server does what is due on the way. */
static inline void turn_world_pass(struct turn_world *world, uint64_t us)
{
    uint64_t end_us = world->now_us + us;
    while (turn_server_deadline(world->server) <= end_us) {
        uint64_t due_us = turn_server_deadline(world->server);
        if (due_us > world->now_us)
            world->now_us = due_us;
        turn_server_tick(world->server, world->now_us);
    }
    world->now_us = end_us;
}

static inline void turn_world_pass_s(struct turn_world *world, uint64_t s)
{
    turn_world_pass(world, time_from_s(s));
}

/** The last message sent; `back` 0 is the newest. */
static inline const struct turn_sent *turn_world_sent(const struct turn_world *world, size_t back)
{
    ensure(world->sent_count > back && back < TURN_WORLD_SENT);
    return &world->sent[(world->sent_count - 1 - back) % TURN_WORLD_SENT];
}
