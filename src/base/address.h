/** Network addresses as values: no socket types, comparable with memcmp, usable as map keys. */
#pragma once

#include "base/compiler.h"

enum net_family {
    NET_NONE = 0,
    NET_IPV4 = 4,
    NET_IPV6 = 6,
};

/** An IP address and a port. Unused bytes are zero, so that equality is equality of bytes. */
struct net_address {
    uint8_t ip[16]; /**< network order; IPv4 in the first 4 bytes */
    uint32_t scope; /**< IPv6 interface index of a link-local address, else 0 */
    uint16_t port;  /**< host order */
    uint8_t family; /**< enum net_family */
    uint8_t stream; /**< 1: the end of a TCP connection (RFC 6544), 0: UDP */
};

/** The two ends of a datagram's way: ours and theirs. A local port of 0 means "any of ours". */
struct net_path {
    struct net_address local;
    struct net_address remote;
};

/** Longest text of net_address_format with its terminator: "[ipv6%scope]:port". */
#define NET_ADDRESS_TEXT_MAX 64

/** From 4 octets, most significant first. */
struct net_address net_address_ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);
/**
 * Parses "192.0.2.1", "2001:db8::1" or "fe80::1" (no port, no brackets).
 * Returns 0, or -EINVAL with `ret_address` untouched.
 */
must_check int net_address_parse_ip(const char *text, uint16_t port,
                                    struct net_address *ret_address);
/** Parses "192.0.2.1:5000" or "[2001:db8::1]:5000". Returns 0 or -EINVAL. */
must_check int net_address_parse(const char *text, struct net_address *ret_address);
/** Writes "ip:port" ("[ip]:port" for IPv6); returns `out`. */
const char *net_address_format(const struct net_address *address, char out[NET_ADDRESS_TEXT_MAX]);
/** Writes the IP alone; returns `out`. */
const char *net_address_format_ip(const struct net_address *address,
                                  char out[NET_ADDRESS_TEXT_MAX]);
bool net_address_equal(const struct net_address *a, const struct net_address *b);
/** Equality of the IP alone. */
bool net_address_same_ip(const struct net_address *a, const struct net_address *b);
bool net_path_equal(const struct net_path *a, const struct net_path *b);

bool net_address_is_loopback(const struct net_address *address);
bool net_address_is_link_local(const struct net_address *address);
bool net_address_is_unspecified(const struct net_address *address);
/** RFC 1918, RFC 4193, RFC 6598 (shared address space). */
bool net_address_is_private(const struct net_address *address);
/** Turns ::ffff:a.b.c.d into the IPv4 address it means; leaves others as they are. */
struct net_address net_address_unmapped(const struct net_address *address);
