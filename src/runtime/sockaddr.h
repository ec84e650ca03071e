/** Between net_address and the kernel's socket addresses. Private to this folder. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/address.h"

/**
 * Writes `address` for a socket of `family`: for AF_INET6, IPv4 becomes a mapped address. Returns
 * the size, or 0 when the family cannot reach it.
 */
socklen_t sockaddr_write(const struct net_address *address, int family,
                         struct sockaddr_storage *out);
/** Mapped IPv4 becomes NET_IPV4; other families NET_NONE. */
struct net_address sockaddr_read(const struct sockaddr_storage *from);
/** From an in6_addr of packet information, with `interface` for link-local ones. */
struct net_address sockaddr_from_ipv6(const struct in6_addr *ip, uint16_t port, unsigned interface);
struct net_address sockaddr_from_ipv4(const struct in_addr *ip, uint16_t port);
/** The mapped or plain IPv6 form. */
struct in6_addr sockaddr_to_ipv6(const struct net_address *address);

/**
 * A non-blocking socket for `bind`'s family, or dual stack (IPV6_V6ONLY off) when `bind` is
 * NET_NONE and the system has IPv6. Fills in `bind` when it was NET_NONE. Returns a descriptor or
 * a negative errno; `ret_family` gets AF_INET or AF_INET6.
 */
must_check int sockaddr_open_socket(int type, bool ipv4_only, struct net_address *bind,
                                    int *ret_family);
/** The port a socket is bound to. */
uint16_t sockaddr_bound_port(int fd);
/** setsockopt with an int, for options that are wishes. */
void sockaddr_wish(int fd, int level, int option, int value);
