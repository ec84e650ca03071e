#include "runtime/interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include "base/text.h"
#include "runtime/sockaddr.h"

static bool usable(const struct ifaddrs *at, struct net_address *ret_address)
{
    if (!at->ifa_addr || !(at->ifa_flags & IFF_UP))
        return false;
    struct sockaddr_storage name = { 0 };
    size_t size = at->ifa_addr->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
                  : at->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                        : 0;
    __builtin_memcpy(&name, at->ifa_addr, size);
    *ret_address = sockaddr_read(&name);
    return ret_address->family != NET_NONE &&
           !(ret_address->family == NET_IPV6 && net_address_is_link_local(ret_address));
}

static bool listed(const struct interface_address *list, size_t count,
                   const struct net_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (net_address_same_ip(&list[i].address, address))
            return true;
    }
    return false;
}

/** Adds the addresses of one family behind `count` others; returns the new count. */
static size_t add_family(const struct ifaddrs *all, uint8_t family, struct interface_address *out,
                         size_t count, size_t capacity)
{
    for (const struct ifaddrs *at = all; at && count < capacity; at = at->ifa_next) {
        struct net_address address;
        if (!usable(at, &address) || address.family != family || listed(out, count, &address))
            continue;
        struct interface_address *entry = &out[count++];
        *entry = (struct interface_address){
            .address = address,
            .index = if_nametoindex(at->ifa_name),
            .loopback = net_address_is_loopback(&address),
            .private_use = net_address_is_private(&address),
            .point_to_point = (at->ifa_flags & IFF_POINTOPOINT) != 0,
        };
        if (text_copy(entry->name, sizeof(entry->name), bytes_of_text(at->ifa_name)) < 0)
            entry->name[0] = '\0';
    }
    return count;
}

int interface_list(struct interface_address *out, size_t capacity)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return -errno;
    size_t count = add_family(all, NET_IPV4, out, 0, capacity);
    count = add_family(all, NET_IPV6, out, count, capacity);
    freeifaddrs(all);
    return (int)count;
}

int interface_try_bind(const struct net_address *address)
{
    struct sockaddr_storage name;
    struct net_address any_port = *address;
    any_port.port = 0;
    int domain = address->family == NET_IPV4 ? AF_INET : AF_INET6;
    socklen_t size = sockaddr_write(&any_port, domain, &name);
    int fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int result = bind(fd, (const struct sockaddr *)&name, size) < 0 ? -errno : 0;
    close(fd);
    return result;
}

int interface_source(uint8_t family, struct net_address *ret_address)
{
    // addresses of nobody (RFC 5737, RFC 3849): nothing is sent, the kernel only picks a route
    struct net_address to;
    const char *text = family == NET_IPV4 ? "198.51.100.1" : "2001:db8::1";
    if (net_address_parse_ip(text, 9, &to) < 0)
        return -EINVAL;
    struct sockaddr_storage name;
    int domain = family == NET_IPV4 ? AF_INET : AF_INET6;
    socklen_t size = sockaddr_write(&to, domain, &name);
    int fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int result = connect(fd, (const struct sockaddr *)&name, size) < 0 ? -errno : 0;
    size = sizeof(name);
    if (result == 0 && getsockname(fd, (struct sockaddr *)&name, &size) < 0)
        result = -errno;
    close(fd);
    if (result < 0)
        return result;
    struct net_address source = sockaddr_read(&name);
    source.port = 0;
    *ret_address = source;
    return 0;
}
