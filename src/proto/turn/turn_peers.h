/**
 * Which peers a relay may reach: the rule that keeps a TURN server from being turned against the
 * network it stands in (RFC 8656 section 21; CVE-2020-26262, CVE-2026-27624).
 *
 * Every address is first brought to one form: an IPv6 address that carries an IPv4 one (mapped,
 * compatible, NAT64, 6to4, Teredo, ISATAP) is judged as what it carries, and as itself.
 */
#pragma once

#include "base/address.h"
#include "base/text.h"

/** A CIDR block. */
struct turn_network {
    struct net_address address; /**< port 0; unmapped */
    uint8_t prefix;             /**< bits: 0 to 32, or to 128 */
};

enum turn_peer_verdict {
    TURN_PEER_ALLOWED, /**< reach it through a socket */
    TURN_PEER_OWN,     /**< an address of this server: only in-process, see below */
    TURN_PEER_DENIED,
};

/** What the decision rests on: for the log line of a refusal, and for tests. */
struct turn_peer_decision {
    enum turn_peer_verdict verdict;
    const char *rule;   /**< "private networks (RFC 1918)", "turn.denied_peers", ...; static */
    const char *remedy; /**< what an operator may do, a sentence; static; NULL when allowed */
};

struct turn_peers_config {
    /**
     * Win over everything but `denied` of the same or a longer prefix. What only this machine
     * should reach (loopback, "this network", cloud metadata, its own addresses) opens to a rule
     * that names it, not to a large network around it: a rule at least as long as the built-in
     * one (127.0.0.0/8, ::1), or for an own address that very address.
     */
    const struct turn_network *allowed;
    size_t allowed_count;
    const struct turn_network *denied;
    size_t denied_count;
    const struct net_address *own; /**< every address of this machine and its external ones */
    size_t own_count;
};

struct turn_peers;

/** An immutable rule set; what `config` points to is copied. Never NULL. */
struct turn_peers *turn_peers_new(const struct turn_peers_config *config);
/** Accepts NULL; returns NULL. */
struct turn_peers *turn_peers_free(struct turn_peers *peers);

/**
 * All IPv4 addresses that `address` can mean go to `out` (capacity TURN_CANONICAL_MAX), most
 * specific first, then the address itself when it is IPv6. Returns how many. Ports are kept.
 */
#define TURN_CANONICAL_MAX 4
size_t turn_peer_canonical(const struct net_address *address,
                           struct net_address out[TURN_CANONICAL_MAX]);
/**
 * Judges the IP of `peer` (its port does not matter). The strictest judgement of all forms counts.
 * TURN_PEER_OWN: an address of this server that no allow rule names; such a peer can be reached
 * inside the process only (our media port, another allocation). `ret_decision` is set always.
 */
enum turn_peer_verdict turn_peers_judge(const struct turn_peers *peers,
                                        const struct net_address *peer,
                                        struct turn_peer_decision *ret_decision);
/**
 * Parses "10.0.0.0/8", "2001:db8::/32" or a single address. Bits behind the prefix must be zero:
 * "10.0.0.1/8" more likely means one host than all of them. Returns 0 or -EINVAL.
 */
must_check int turn_network_parse(const char *text, struct turn_network *ret_network);
