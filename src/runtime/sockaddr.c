#include "runtime/sockaddr.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct in6_addr sockaddr_to_ipv6(const struct net_address *address)
{
    struct in6_addr ip = { 0 };
    if (address->family == NET_IPV4) {
        ip.s6_addr[10] = 0xff;
        ip.s6_addr[11] = 0xff;
        memcpy(&ip.s6_addr[12], address->ip, 4);
    } else {
        memcpy(ip.s6_addr, address->ip, 16);
    }
    return ip;
}

socklen_t sockaddr_write(const struct net_address *address, int family,
                         struct sockaddr_storage *out)
{
    if (family == AF_INET6 && address->family != NET_NONE) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        *in6 = (struct sockaddr_in6){
            .sin6_family = AF_INET6,
            .sin6_port = htons(address->port),
            .sin6_addr = sockaddr_to_ipv6(address),
            .sin6_scope_id = address->scope,
        };
        return sizeof(*in6);
    }
    if (family == AF_INET && address->family == NET_IPV4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        *in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(address->port) };
        memcpy(&in->sin_addr, address->ip, 4);
        return sizeof(*in);
    }
    return 0;
}

struct net_address sockaddr_from_ipv4(const struct in_addr *ip, uint16_t port)
{
    struct net_address address = { .family = NET_IPV4, .port = port };
    memcpy(address.ip, ip, 4);
    return address;
}

struct net_address sockaddr_from_ipv6(const struct in6_addr *ip, uint16_t port, unsigned interface)
{
    struct net_address address = { .family = NET_IPV6, .port = port };
    if (IN6_IS_ADDR_V4MAPPED(ip)) {
        address.family = NET_IPV4;
        memcpy(address.ip, &ip->s6_addr[12], 4);
        return address;
    }
    memcpy(address.ip, ip->s6_addr, 16);
    if (IN6_IS_ADDR_LINKLOCAL(ip))
        address.scope = interface;
    return address;
}

struct net_address sockaddr_read(const struct sockaddr_storage *from)
{
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        return sockaddr_from_ipv4(&in->sin_addr, ntohs(in->sin_port));
    }
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
        return sockaddr_from_ipv6(&in6->sin6_addr, ntohs(in6->sin6_port), in6->sin6_scope_id);
    }
    return (struct net_address){ .family = NET_NONE };
}

void sockaddr_wish(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

/** Whether IPv6 sockets can be bound here: the module may be there and disabled by sysctl. */
static bool ipv6_works(int fd)
{
    struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
    return bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;
}

static bool system_has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool works = ipv6_works(fd);
    close(fd);
    return works;
}

int sockaddr_open_socket(int type, bool ipv4_only, struct net_address *bind_to, int *ret_family)
{
    bool any = bind_to->family == NET_NONE;
    if (any)
        bind_to->family = ipv4_only || !system_has_ipv6() ? NET_IPV4 : NET_IPV6;
    int family = bind_to->family == NET_IPV4 ? AF_INET : AF_INET6;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (family == AF_INET6)
        sockaddr_wish(fd, IPPROTO_IPV6, IPV6_V6ONLY, !any);
    *ret_family = family;
    return fd;
}

uint16_t sockaddr_bound_port(int fd)
{
    struct sockaddr_storage name = { 0 };
    socklen_t size = sizeof(name);
    if (getsockname(fd, (struct sockaddr *)&name, &size) < 0)
        return 0;
    return sockaddr_read(&name).port;
}
