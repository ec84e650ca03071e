/*
 * One IPv6 address can mean several IPv4 ones. What carries which, as bytes of the address:
 *
 *      0        2        4                 8                12               15
 *     | 0                                            ffff  | IPv4            |  mapped (RFC 4291)
 *     | 0                                   ffff     0     | IPv4            |  translated (RFC
 * 2765) | 0                                                  | IPv4            |  compatible (RFC
 * 4291) | 0064     ff9b     0                                | IPv4            |  NAT64 (RFC 6052)
 *     | 0064     ff9b     0001     suffix with the IPv4 in one of four places |  NAT64 (RFC 8215)
 *     | 2002   | IPv4            | ...                                        |  6to4 (RFC 3056)
 *     | 2001     0      | IPv4 of the server | flags, port | ~IPv4 of client  |  Teredo (RFC 4380)
 *     | ...                      | 0000 or 0200    5efe    | IPv4            |  ISATAP (RFC 5214)
 *
 * NAT64 prefixes that a network chose itself (RFC 7050) cannot be known here: an operator who has
 * one names it in the denied networks.
 */
#include <string.h>

#include "proto/turn/turn_peers.h"

struct forms {
    struct net_address *out;
    size_t count;
    uint16_t port;
};

static void add_ipv4(struct forms *forms, const uint8_t ip[4])
{
    forms->out[forms->count++] = net_address_ipv4(ip[0], ip[1], ip[2], ip[3], forms->port);
}

static bool starts_with(const uint8_t ip[16], const uint8_t *prefix, size_t size)
{
    return memcmp(ip, prefix, size) == 0;
}

static bool is_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != 0)
            return false;
    }
    return true;
}

/** Whether the last four bytes of `::a.b.c.d` are an IPv4 address: not for :: and ::1. */
static bool is_compatible(const uint8_t ip[16])
{
    return is_zero(ip, 12) && load_u32(ip + 12) > 1;
}

/**
 * 64:ff9b:1::/48 is divided as its network likes: the IPv4 address follows a prefix of 48, 56, 64
 * or 96 bits, around the zero byte 8, and zeros fill the rest (RFC 6052 section 2.2).
 */
static void add_local_nat64(struct forms *forms, const uint8_t ip[16])
{
    if (is_zero(ip + 11, 5))
        add_ipv4(forms, (const uint8_t[]){ ip[6], ip[7], ip[9], ip[10] });
    else if (is_zero(ip + 12, 4))
        add_ipv4(forms, (const uint8_t[]){ ip[7], ip[9], ip[10], ip[11] });
    else if (is_zero(ip + 13, 3))
        add_ipv4(forms, ip + 9);
    else
        add_ipv4(forms, ip + 12);
}

/** Prefixes exclude one another. */
static void add_by_prefix(struct forms *forms, const uint8_t ip[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    static const uint8_t translated[12] = { [8] = 0xff, [9] = 0xff };
    static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
    static const uint8_t local_nat64[6] = { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 };
    static const uint8_t six_to_four[2] = { 0x20, 0x02 };
    static const uint8_t teredo[4] = { 0x20, 0x01, 0x00, 0x00 };

    if (starts_with(ip, mapped, sizeof(mapped)) ||
        starts_with(ip, translated, sizeof(translated)) || starts_with(ip, nat64, sizeof(nat64)) ||
        is_compatible(ip)) {
        add_ipv4(forms, ip + 12);
    } else if (starts_with(ip, local_nat64, sizeof(local_nat64))) {
        add_local_nat64(forms, ip);
    } else if (starts_with(ip, six_to_four, sizeof(six_to_four))) {
        add_ipv4(forms, ip + 2);
    } else if (starts_with(ip, teredo, sizeof(teredo))) {
        add_ipv4(forms, (const uint8_t[]){ (uint8_t)~ip[12], (uint8_t)~ip[13], (uint8_t)~ip[14],
                                           (uint8_t)~ip[15] });
        add_ipv4(forms, ip + 4);
    }
}

static bool is_isatap(const uint8_t ip[16])
{
    // the bit 0x02 says whether the IPv4 address is globally unique
    return (ip[8] & 0xfd) == 0 && ip[9] == 0 && ip[10] == 0x5e && ip[11] == 0xfe;
}

size_t turn_peer_canonical(const struct net_address *address,
                           struct net_address out[TURN_CANONICAL_MAX])
{
    struct forms forms = { .out = out, .port = address->port };
    if (address->family == NET_IPV6) {
        add_by_prefix(&forms, address->ip);
        if (is_isatap(address->ip))
            add_ipv4(&forms, address->ip + 12);
    }
    out[forms.count++] = *address;
    return forms.count;
}
