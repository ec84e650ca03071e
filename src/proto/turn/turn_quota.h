/**
 * What users and the whole server may take: allocations, bandwidth; and how often strangers are
 * answered. One object for all workers; every function may be called from any thread.
 *
 * A user's entry exists while the user has an allocation, so memory is bounded by allocations, and
 * nothing at all is kept for someone who has not authenticated.
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"

struct turn_quota;
struct turn_user;

/** 0 is "no limit" everywhere. May be replaced at any time (reload). */
struct turn_quota_limits {
    uint32_t allocations; /**< in all */
    uint32_t allocations_per_user;
    uint64_t bytes_per_s; /**< relayed, both ways together, in all */
    uint64_t bytes_per_s_per_user;
    uint32_t unauthenticated_per_s; /**< answers to strangers per prefix (IPv4 /24, IPv6 /48) */
    uint32_t unauthenticated_burst;
};

/** `secret` keys the tables. Never NULL. */
struct turn_quota *turn_quota_new(const struct turn_quota_limits *limits, const uint64_t secret[2]);
/** All users must have been left. Accepts NULL; returns NULL. */
struct turn_quota *turn_quota_free(struct turn_quota *quota);
/** Any thread. Allocations that live stay, even beyond the new limits. */
void turn_quota_set_limits(struct turn_quota *quota, const struct turn_quota_limits *limits);
/** Those that hold now. Any thread. */
struct turn_quota_limits turn_quota_limits(const struct turn_quota *quota);

/**
 * One more allocation of `username` (of REST credentials "expiry:user" only what follows the colon
 * counts, so that a fresh credential is no fresh quota; the caller passes that part). Returns 0
 * with the user's entry, -EDQUOT (the user has its share) or -EUSERS (the server is full).
 */
must_check int turn_quota_join(struct turn_quota *quota, struct bytes username,
                               struct turn_user **ret_user);
/** One less; the entry may be gone afterwards. */
void turn_quota_leave(struct turn_quota *quota, struct turn_user *user);
/** Whether `size` more bytes may be relayed now (token buckets of user and server, 1 s deep). */
must_check bool turn_quota_spend(struct turn_quota *quota, struct turn_user *user, uint64_t now_us,
                                 size_t size);
/** Living allocations of all users. Any thread. */
uint32_t turn_quota_allocations(const struct turn_quota *quota);

/**
 * Whether a stranger's request from `source` may be answered: an error without credentials, or a
 * Binding response. Fixed memory, prefixes share cells by a keyed hash.
 */
must_check bool turn_quota_stranger(struct turn_quota *quota, const struct net_address *source,
                                    uint64_t now_us);
