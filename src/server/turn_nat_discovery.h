/**
 * NAT behaviour discovery (RFC 5780) of one worker: a second port on two IP addresses of this host,
 * besides the port shared with TURN and media. Every worker has its own sockets on the second port
 * (SO_REUSEPORT), so each answers by itself, whichever it was that the kernel chose; nothing is
 * kept per client.
 *
 *                       shared port               second port
 *     first address     the caller's socket       opened here
 *     second address    the caller's, if it is    opened here
 *                       bound to all addresses;
 *                       else opened here
 */
#pragma once

#include "base/bytes.h"
#include "base/metric.h"
#include "runtime/udp.h"

struct turn_nat_discovery;
struct turn_quota;

enum turn_nat_discovery_metric {
#define METRIC(id, kind, name, labels, help) TURN_NAT_DISCOVERY_##id,
#include "server/turn_nat_discovery_metrics.def"
#undef METRIC
    TURN_NAT_DISCOVERY_METRIC_COUNT,
};
extern const struct metric_description
    turn_nat_discovery_metric_descriptions[TURN_NAT_DISCOVERY_METRIC_COUNT];

struct turn_nat_discovery_config {
    struct loop *loop;
    struct udp_socket *socket; /**< of the shared port; outlives this object */
    bool socket_is_bound;      /**< to addresses[0] alone, not to all addresses */
    /** The two IPs, of one family, as this host has them; ports are ignored. */
    struct net_address addresses[2];
    /** The same as clients see them (cloud NAT); NET_NONE: the same. */
    struct net_address external[2];
    uint16_t other_port;      /**< 0: a free one; later workers get that of the first */
    bool first;               /**< the first worker: fails when somebody has the second port */
    struct bytes software;    /**< SOFTWARE; must outlive this object; empty: not sent */
    struct turn_quota *quota; /**< how often strangers are answered; NULL: always */
};

/** Returns 0, -EINVAL (addresses of two families or of none, or equal) or an error of the sockets.
 */
must_check int turn_nat_discovery_new(const struct turn_nat_discovery_config *config,
                                      struct turn_nat_discovery **ret_discovery);
/** Accepts NULL; returns NULL. */
struct turn_nat_discovery *turn_nat_discovery_free(struct turn_nat_discovery *discovery);
/** The second port. */
uint16_t turn_nat_discovery_port(const struct turn_nat_discovery *discovery);
/**
 * A Binding request without USERNAME that arrived on the shared port. True: it was answered, or
 * dropped and counted. False: it was sent to an address that is none of the two; answer it as a
 * plain STUN server does.
 */
bool turn_nat_discovery_input(struct turn_nat_discovery *discovery,
                              const struct udp_datagram *datagram);
/** The set of turn_nat_discovery_metrics.def; lives as long as `discovery`. */
struct metric_set turn_nat_discovery_metrics(const struct turn_nat_discovery *discovery,
                                             const char *labels);
