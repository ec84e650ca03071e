/** How many things (connections, sessions) each remote address has; IPv6 counts per /64. */
#pragma once

#include "base/address.h"
#include "base/map.h"

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
