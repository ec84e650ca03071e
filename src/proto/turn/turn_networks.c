/*
 * Where no peer of a relay has any business unless an operator says so: the IANA registries of
 * special-purpose addresses (RFC 6890 and what came later), and the addresses where clouds answer
 * with credentials.
 */
#include "proto/turn/turn_networks_int.h"

#include <string.h>

#define REMEDY_NETWORK "To relay to this network add it to turn.allowed_peers."
#define REMEDY_LOOPBACK                                                                            \
    "Loopback reaches the services of this machine itself; for tests on one machine add it to "    \
    "turn.allowed_peers."
#define REMEDY_METADATA                                                                            \
    "This address hands out the credentials of this machine; only a rule for this very address "   \
    "in turn.allowed_peers opens it."
#define REMEDY_NO_PEER                                                                             \
    "No host can have this address: the client sent a wrong candidate, or probes this server."
#define REMEDY_RESERVED "If your network uses these addresses add them to turn.allowed_peers."

/** The first bytes; the rest is zero. */
#define BYTES(...) __VA_ARGS__
#define NETWORK(of_family, bytes, bits, is_narrow, text, advice)                                   \
    {                                                                                              \
        .ip = { bytes }, .family = (of_family), .prefix = (bits), .narrow = (is_narrow),           \
        .name = (text), .remedy = (advice)                                                         \
    }
#define V4(a, b, c, d, bits, text, advice)                                                         \
    NETWORK(NET_IPV4, BYTES(a, b, c, d), bits, false, text, advice)
#define V4_NARROW(a, b, c, d, bits, text, advice)                                                  \
    NETWORK(NET_IPV4, BYTES(a, b, c, d), bits, true, text, advice)
#define V6(bytes, bits, text, advice) NETWORK(NET_IPV6, BYTES(bytes), bits, false, text, advice)
#define V6_NARROW(bytes, bits, text, advice)                                                       \
    NETWORK(NET_IPV6, BYTES(bytes), bits, true, text, advice)

static const struct turn_known_network known[] = {
    V4_NARROW(0, 0, 0, 0, 8, "this network (RFC 1122)", REMEDY_NO_PEER),
    V4(10, 0, 0, 0, 8, "private networks (RFC 1918)", REMEDY_NETWORK),
    V4(100, 64, 0, 0, 10, "shared address space of providers (RFC 6598)", REMEDY_NETWORK),
    V4_NARROW(127, 0, 0, 0, 8, "loopback", REMEDY_LOOPBACK),
    V4(169, 254, 0, 0, 16, "link-local and cloud metadata (RFC 3927)", REMEDY_NETWORK),
    V4(172, 16, 0, 0, 12, "private networks (RFC 1918)", REMEDY_NETWORK),
    V4(192, 0, 0, 0, 24, "protocol assignments (RFC 6890)", REMEDY_RESERVED),
    V4(192, 0, 2, 0, 24, "documentation (RFC 5737)", REMEDY_RESERVED),
    V4(192, 88, 99, 0, 24, "6to4 relay anycast (RFC 7526)", REMEDY_RESERVED),
    V4(192, 168, 0, 0, 16, "private networks (RFC 1918)", REMEDY_NETWORK),
    V4(198, 18, 0, 0, 15, "benchmarks (RFC 2544)", REMEDY_NETWORK),
    V4(198, 51, 100, 0, 24, "documentation (RFC 5737)", REMEDY_RESERVED),
    V4(203, 0, 113, 0, 24, "documentation (RFC 5737)", REMEDY_RESERVED),
    V4(224, 0, 0, 0, 4, "multicast (RFC 5771)", REMEDY_NO_PEER),
    V4(240, 0, 0, 0, 4, "reserved (RFC 1112)", REMEDY_NO_PEER),
    V4(255, 255, 255, 255, 32, "broadcast (RFC 919)", REMEDY_NO_PEER),
    V4_NARROW(169, 254, 169, 254, 32, "cloud metadata", REMEDY_METADATA),
    V4_NARROW(169, 254, 170, 2, 32, "cloud metadata (AWS, containers)", REMEDY_METADATA),
    V4_NARROW(100, 100, 100, 200, 32, "cloud metadata (Alibaba)", REMEDY_METADATA),
    V4_NARROW(192, 0, 0, 192, 32, "cloud metadata (Oracle)", REMEDY_METADATA),
    V4_NARROW(168, 63, 129, 16, 32, "cloud metadata (Azure)", REMEDY_METADATA),

    // unicast is 2000::/3 today (RFC 4291 section 2.4); all else is closed unless named here
    V6(BYTES(0), 0, "reserved (RFC 4291)", REMEDY_RESERVED),
    V6(BYTES(0x20), 3, NULL, NULL),
    // judged as the IPv4 address inside, see turn_canonical.c
    V6(BYTES(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff), 96, NULL, NULL),
    V6(BYTES(0x00, 0x64, 0xff, 0x9b), 96, NULL, NULL),
    V6(BYTES(0), 96, "IPv4-compatible (RFC 4291)", REMEDY_NO_PEER),
    V6_NARROW(BYTES(0), 128, "unspecified address", REMEDY_NO_PEER),
    V6_NARROW(BYTES(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 128, "loopback",
              REMEDY_LOOPBACK),
    V6(BYTES(0x00, 0x64, 0xff, 0x9b, 0x00, 0x01), 48, "NAT64 of a local network (RFC 8215)",
       REMEDY_NETWORK),
    V6(BYTES(0x01), 64, "discard-only (RFC 6666)", REMEDY_NO_PEER),
    V6(BYTES(0x20, 0x01, 0x00, 0x02), 48, "benchmarks (RFC 5180)", REMEDY_NETWORK),
    V6(BYTES(0x20, 0x01, 0x0d, 0xb8), 32, "documentation (RFC 3849)", REMEDY_RESERVED),
    V6(BYTES(0x3f, 0xff), 20, "documentation (RFC 9637)", REMEDY_RESERVED),
    V6(BYTES(0x5f), 16, "segment routing (RFC 9602)", REMEDY_RESERVED),
    V6(BYTES(0xfc), 7, "private networks (RFC 4193)", REMEDY_NETWORK),
    V6(BYTES(0xfe, 0x80), 10, "link-local (RFC 4291)", REMEDY_NETWORK),
    V6(BYTES(0xfe, 0xc0), 10, "site-local (RFC 3879)", REMEDY_NETWORK),
    V6(BYTES(0xff), 8, "multicast (RFC 4291)", REMEDY_NO_PEER),
    V6_NARROW(BYTES(0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54), 128,
              "cloud metadata (AWS)", REMEDY_METADATA),
    V6_NARROW(BYTES(0xfd, 0x20, 0x00, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54), 128,
              "cloud metadata (Google)", REMEDY_METADATA),
    V6_NARROW(BYTES(0xfd, 0x00, 0x00, 0xc1, 0, 0, 0, 0, 0, 0, 0, 0, 0xa9, 0xfe, 0xa9, 0xfe), 128,
              "cloud metadata (Oracle)", REMEDY_METADATA),
};

bool turn_prefix_equal(const uint8_t *a, const uint8_t *b, unsigned prefix)
{
    unsigned whole = prefix / 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return prefix % 8 == 0 || (a[whole] ^ b[whole]) >> (8 - prefix % 8) == 0;
}

const struct turn_known_network *turn_known_network_of(const struct net_address *address)
{
    const struct turn_known_network *found = NULL;
    for (size_t i = 0; i < array_size(known); i++) {
        if (known[i].family == address->family && (!found || known[i].prefix > found->prefix) &&
            turn_prefix_equal(known[i].ip, address->ip, known[i].prefix))
            found = &known[i];
    }
    return found && found->name ? found : NULL;
}
