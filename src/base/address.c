#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct net_address net_address_ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct net_address){ .ip = { a, b, c, d }, .port = port, .family = NET_IPV4 };
}

int net_address_parse_ip(const char *text, uint16_t port, struct net_address *ret_address)
{
    struct net_address address = { .port = port };
    if (inet_pton(AF_INET, text, address.ip) == 1)
        address.family = NET_IPV4;
    else if (inet_pton(AF_INET6, text, address.ip) == 1)
        address.family = NET_IPV6;
    else
        return -EINVAL;
    *ret_address = address;
    return 0;
}

int net_address_parse(const char *text, struct net_address *ret_address)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text)
        return -EINVAL;
    char *end = NULL;
    errno = 0;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (errno || end == colon + 1 || *end || port > UINT16_MAX || colon[1] == '-' ||
        colon[1] == '+' || colon[1] == ' ')
        return -EINVAL;
    bool bracketed = text[0] == '[' && colon[-1] == ']';
    const char *start = bracketed ? text + 1 : text;
    size_t length = (size_t)(colon - start) - (bracketed ? 1 : 0);
    char ip[NET_ADDRESS_TEXT_MAX];
    if (length >= sizeof(ip))
        return -EINVAL;
    memcpy(ip, start, length);
    ip[length] = '\0';
    // an IPv6 address without brackets cannot be told from its port
    if (!bracketed && strchr(ip, ':'))
        return -EINVAL;
    return net_address_parse_ip(ip, (uint16_t)port, ret_address);
}

const char *net_address_format_ip(const struct net_address *address, char out[NET_ADDRESS_TEXT_MAX])
{
    int family = address->family == NET_IPV6 ? AF_INET6 : AF_INET;
    if (address->family == NET_NONE || !inet_ntop(family, address->ip, out, NET_ADDRESS_TEXT_MAX))
        snprintf(out, NET_ADDRESS_TEXT_MAX, "none");
    return out;
}

const char *net_address_format(const struct net_address *address, char out[NET_ADDRESS_TEXT_MAX])
{
    char ip[NET_ADDRESS_TEXT_MAX];
    net_address_format_ip(address, ip);
    bool bracketed = address->family == NET_IPV6;
    snprintf(out, NET_ADDRESS_TEXT_MAX, "%s%.45s%s:%u", bracketed ? "[" : "", ip,
             bracketed ? "]" : "", address->port);
    return out;
}

bool net_address_equal(const struct net_address *a, const struct net_address *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool net_address_same_ip(const struct net_address *a, const struct net_address *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool net_path_equal(const struct net_path *a, const struct net_path *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool net_address_is_loopback(const struct net_address *address)
{
    static const uint8_t ipv6_loopback[16] = { [15] = 1 };
    if (address->family == NET_IPV4)
        return address->ip[0] == 127;
    return address->family == NET_IPV6 && memcmp(address->ip, ipv6_loopback, 16) == 0;
}

bool net_address_is_link_local(const struct net_address *address)
{
    if (address->family == NET_IPV4)
        return address->ip[0] == 169 && address->ip[1] == 254;
    return address->family == NET_IPV6 && address->ip[0] == 0xfe && (address->ip[1] & 0xc0) == 0x80;
}

bool net_address_is_unspecified(const struct net_address *address)
{
    static const uint8_t zero[16];
    return memcmp(address->ip, zero, sizeof(zero)) == 0;
}

bool net_address_is_private(const struct net_address *address)
{
    const uint8_t *ip = address->ip;
    if (address->family == NET_IPV4)
        return ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) ||
               (ip[0] == 192 && ip[1] == 168) || (ip[0] == 100 && (ip[1] & 0xc0) == 64);
    return address->family == NET_IPV6 && (ip[0] & 0xfe) == 0xfc;
}

struct net_address net_address_unmapped(const struct net_address *address)
{
    static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };
    if (address->family != NET_IPV6 || memcmp(address->ip, prefix, sizeof(prefix)) != 0)
        return *address;
    const uint8_t *ip = address->ip + 12;
    return net_address_ipv4(ip[0], ip[1], ip[2], ip[3], address->port);
}
