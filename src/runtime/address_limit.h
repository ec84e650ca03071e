/** How many things (connections, sessions) each remote address has, and how often; IPv6 counts per
 *  /64. */
#pragma once

#include "base/address.h"
#include "base/map.h"

/** What counts as one address: an IPv4 address, or a /64 of IPv6 (a household has one). */
struct address_key {
    uint8_t bytes[17];
    size_t size;
};

struct address_key address_key_of(const struct net_address *address);

struct address_limit {
    struct map counts;
    uint32_t per_address;
    uint32_t total;
    uint32_t taken;
};

/** 0 means no limit of that kind. `secret` keys the hash (strangers choose addresses). */
void address_limit_init(struct address_limit *limit, uint32_t per_address, uint32_t total,
                        const uint64_t secret[2]);
void address_limit_done(struct address_limit *limit);
/** True and one more for `address`, or false when it (or all together) has its share. */
must_check bool address_limit_take(struct address_limit *limit, const struct net_address *address);
/** One less; pairs with a successful take. */
void address_limit_release(struct address_limit *limit, const struct net_address *address);

#define ADDRESS_RATE_CELLS 4096

/**
 * How often each address comes, in memory that does not grow with their number: addresses share
 * cells by a keyed hash, so a stranger cannot choose whom to share with.
 */
struct address_rate {
    uint64_t secret[2];
    uint64_t due_us[ADDRESS_RATE_CELLS]; /**< when all that came so far is paid for */
};

/** `secret` keys the hash. */
void address_rate_init(struct address_rate *rate, const uint64_t secret[2]);
/** True when `address` may come once more: `per_s` times a second (not 0), `burst` at once. */
must_check bool address_rate_take(struct address_rate *rate, const struct net_address *address,
                                  uint64_t now_us, uint32_t per_s, uint32_t burst);
/** Whether address_rate_take would be true; takes nothing. */
must_check bool address_rate_has(const struct address_rate *rate, const struct net_address *address,
                                 uint64_t now_us, uint32_t per_s, uint32_t burst);
