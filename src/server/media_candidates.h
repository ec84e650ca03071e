/** Which of our addresses a client is told: the server's ICE candidates. */
#pragma once

#include "base/address.h"
#include "base/bytes.h"

#define MEDIA_CANDIDATES_MAX     32
#define MEDIA_CANDIDATES_TCP_MAX 4

struct media_candidate_config {
    /** Chosen by the operator; none: every usable interface address. */
    const struct net_address *addresses;
    size_t address_count;
    /** The one address that the socket is bound to; unspecified or NET_NONE: all. */
    struct net_address bound;
    /** What the world sees in place of our private addresses (1:1 NAT); NET_NONE: nothing. */
    struct net_address external;
    bool ipv6; /**< the socket can reach IPv6 (media_host_start sets it) */
};

struct media_candidates {
    struct net_address addresses[MEDIA_CANDIDATES_MAX]; /**< port 0 */
    bool loopback[MEDIA_CANDIDATES_MAX];
    size_t count;
    /** TCP ports for ICE: the address they listen on (unspecified: all of ours) and the port. */
    struct net_address tcp[MEDIA_CANDIDATES_TCP_MAX];
    size_t tcp_count;
};

/** Collects the addresses as they are now. Returns 0 or a negative errno. */
must_check int media_candidates_collect(const struct media_candidate_config *config,
                                        struct media_candidates *ret_candidates);
/**
 * Writes the values of a=candidate lines for `port`, most preferred first. Loopback addresses are
 * told only to clients on this machine (`loopback`) and when there is nothing else. `lines` point
 * into `text`. Returns how many.
 */
size_t media_candidates_write(const struct media_candidates *candidates, uint16_t port,
                              bool loopback, char *text, size_t capacity,
                              struct bytes lines[MEDIA_CANDIDATES_MAX]);
