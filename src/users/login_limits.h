/**
 * What wrong passwords cost those who try them.
 *
 * Every address (a /64 of IPv6) has tries, ten at once and one per second; and for each account
 * tries of its own, five at once and one in ten seconds. So a device that has an old password and
 * does not give up uses up its own tries and not those of its neighbours. Whoever signed in from an
 * address before needs the second kind alone there: a stranger behind the same NAT cannot use up
 * the first kind for them.
 *
 * Nothing is counted for an account as such: whoever wants to lock somebody out of an account would
 * need that somebody's address. Who has many addresses gets the tries of each.
 *
 * The memory is bounded: accounts and addresses share cells by a keyed hash, so nobody can choose
 * with whom. With loopback addresses, where proxies are, it has nothing to do.
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"

#define LOGIN_LIMITS_CELLS 16384

struct login_limits {
    uint64_t secret[2];
    /** When all tries until now are paid for. */
    uint64_t address_due_us[LOGIN_LIMITS_CELLS];
    uint64_t pair_due_us[LOGIN_LIMITS_CELLS]; /**< of an address with an account */
    uint64_t known[LOGIN_LIMITS_CELLS];       /**< the hash of a pair that signed in; 0: none */
};

/** `secret` keys the hash. */
void login_limits_init(struct login_limits *limits, const uint64_t secret[2]);
/** Whether a password is to be looked at. `name` may be that of nobody. */
bool login_limits_allow(const struct login_limits *limits, struct bytes name,
                        const struct net_address *remote, uint64_t now_us);
/** It was wrong. Counts also when tries were not allowed: those of a moment end together. */
void login_limits_failed(struct login_limits *limits, struct bytes name,
                         const struct net_address *remote, uint64_t now_us);
/** It was right. */
void login_limits_succeeded(struct login_limits *limits, struct bytes name,
                            const struct net_address *remote);
/** The first kind alone, for secrets that belong to no account. */
bool login_limits_allow_address(const struct login_limits *limits, const struct net_address *remote,
                                uint64_t now_us);
void login_limits_address_failed(struct login_limits *limits, const struct net_address *remote,
                                 uint64_t now_us);
