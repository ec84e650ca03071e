/**
 * TURN's TCP ports (3478, 5349) on the control thread: accepts, limits per address and in all, and
 * gives each connection to a worker by turn_host_connection, or turn_host_stream when it comes from
 * the HTTPS port.
 */
#pragma once

#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "proto/turn/turn_peers.h"
#include "runtime/loop.h"
#include "server/turn_message.h"

struct turn_host;
struct turn_listener;

/** Zero fields take the defaults in brackets. */
struct turn_listener_options {
    uint32_t connections_max;             /**< [10000] */
    uint32_t connections_per_address_max; /**< [1000]; IPv6 addresses count by /64 */
    /** New connections per second and address, four times as many at once
     *  [connections_per_address_max]. Loopback is exempt. */
    uint32_t rate_per_address;
    /** Load balancers: their connections begin with a PROXY protocol v2 header. The limits per
     *  address do not hold for them; those in all do. Copied. */
    const struct turn_network *proxies;
    size_t proxy_count;
};

struct turn_listener_config {
    struct loop *loop; /**< of the control thread */
    struct random *random;
    struct turn_host *host; /**< outlives the listener */
    struct turn_listener_options options;
};

/** Never NULL. */
struct turn_listener *turn_listener_new(const struct turn_listener_config *config);
/** Accepts NULL; returns NULL. Connections given to workers live on. */
struct turn_listener *turn_listener_free(struct turn_listener *listener);
/**
 * Listens on one more address (port 0: `ret_bound` gets the one chosen). TLS and plain TURN are
 * told apart by their first bytes on every port. Returns 0 or a negative errno of bind.
 */
must_check int turn_listener_listen(struct turn_listener *listener,
                                    const struct net_address *address,
                                    struct net_address *ret_bound);
/**
 * A connection of the HTTPS port that speaks TURN: http_server_config.adopt_turn. Owns the parcel;
 * closes it when the limits say no.
 */
void turn_listener_adopt(void *listener, struct stream_parcel *parcel,
                         const struct net_address *remote, const struct net_address *local);
/** A connection that was `limited` has ended: turn_host_config.connection_closed. */
void turn_listener_release(void *listener, const struct net_address *remote);
/** Reload. */
void turn_listener_set_options(struct turn_listener *listener,
                               const struct turn_listener_options *options);
/** No new connections from now on; those that live stay. */
void turn_listener_drain(struct turn_listener *listener);
/** Connections that workers hold. */
uint32_t turn_listener_connection_count(const struct turn_listener *listener);
/** The set of turn_listener_metrics.def; lives as long as the listener. */
struct metric_set turn_listener_metrics(const struct turn_listener *listener);

enum turn_listener_metric {
#define METRIC(id, kind, name, labels, help) TURN_LISTENER_##id,
#include "server/turn_listener_metrics.def"
#undef METRIC
    TURN_LISTENER_METRIC_COUNT,
};
