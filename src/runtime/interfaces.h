/** The addresses of this machine. */
#pragma once

#include "base/address.h"

#define INTERFACE_NAME_MAX 16

struct interface_address {
    struct net_address address; /**< port 0 */
    char name[INTERFACE_NAME_MAX];
    uint32_t index;
    bool loopback;
    bool private_use; /**< net_address_is_private */
    bool point_to_point;
};

/**
 * Addresses of interfaces that are up, without link-local IPv6 (nobody can name it), IPv4 first,
 * no address twice. Writes at most `capacity`; returns how many, or a negative errno.
 */
must_check int interface_list(struct interface_address *out, size_t capacity);
/** Whether sockets can have this address. Returns 0, -EADDRNOTAVAIL or another negative errno. */
must_check int interface_try_bind(const struct net_address *address);
/**
 * The address of ours from which the internet is reached, by the routing table; nothing is sent.
 * Returns 0 or a negative errno (-ENETUNREACH without a route).
 */
must_check int interface_source(uint8_t family, struct net_address *ret_address);
