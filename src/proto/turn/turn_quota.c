#include "proto/turn/turn_quota.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/memory.h"
#include "proto/turn/turn_bucket_int.h"

/** Cells of one row for strangers; 2 rows of 8 bytes each: 256 KiB. */
#define STRANGER_CELLS 16384
#define CACHE_LINE     64

struct turn_user {
    struct turn_bucket bytes;
    uint32_t allocations; /**< under the lock */
    uint32_t name_size;
    uint8_t name[];
};

struct atomic_limits {
    _Atomic uint32_t allocations;
    _Atomic uint32_t allocations_per_user;
    _Atomic uint64_t bytes_per_s;
    _Atomic uint64_t bytes_per_s_per_user;
    _Atomic uint32_t unauthenticated_per_s;
    _Atomic uint32_t unauthenticated_burst;
};

struct turn_quota {
    // what every packet reads, and nobody writes but a reload
    struct atomic_limits limits;
    uint64_t secret[2];
    // what every packet writes when the server has a limit
    _Alignas(CACHE_LINE) struct turn_bucket bytes;
    // joining and leaving: rare, short, and the one place with a lock
    _Alignas(CACHE_LINE) atomic_flag lock;
    struct map users;
    _Atomic uint32_t allocations; /**< written under the lock */
    _Alignas(CACHE_LINE) struct turn_bucket strangers[2][STRANGER_CELLS];
};

struct turn_quota *turn_quota_new(const struct turn_quota_limits *limits, const uint64_t secret[2])
{
    struct turn_quota *quota = aligned_alloc(CACHE_LINE, sizeof(*quota));
    ensure(quota);
    memset(quota, 0, sizeof(*quota)); // all buckets full, since long ago
    atomic_flag_clear(&quota->lock);
    memcpy(quota->secret, secret, sizeof(quota->secret));
    map_init(&quota->users, secret);
    turn_quota_set_limits(quota, limits);
    return quota;
}

struct turn_quota *turn_quota_free(struct turn_quota *quota)
{
    if (!quota)
        return NULL;
    ensure(quota->users.count == 0);
    map_done(&quota->users);
    free(quota);
    return NULL;
}

#define SET(member) atomic_store_explicit(&to->member, limits->member, memory_order_relaxed)
#define GET(member) atomic_load_explicit(&quota->limits.member, memory_order_relaxed)

void turn_quota_set_limits(struct turn_quota *quota, const struct turn_quota_limits *limits)
{
    struct atomic_limits *to = &quota->limits;
    SET(allocations);
    SET(allocations_per_user);
    SET(bytes_per_s);
    SET(bytes_per_s_per_user);
    SET(unauthenticated_per_s);
    SET(unauthenticated_burst);
}

struct turn_quota_limits turn_quota_limits(const struct turn_quota *quota)
{
    return (struct turn_quota_limits){
        .allocations = GET(allocations),
        .allocations_per_user = GET(allocations_per_user),
        .bytes_per_s = GET(bytes_per_s),
        .bytes_per_s_per_user = GET(bytes_per_s_per_user),
        .unauthenticated_per_s = GET(unauthenticated_per_s),
        .unauthenticated_burst = GET(unauthenticated_burst),
    };
}

static void lock(struct turn_quota *quota)
{
    while (atomic_flag_test_and_set_explicit(&quota->lock, memory_order_acquire)) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

static void unlock(struct turn_quota *quota)
{
    atomic_flag_clear_explicit(&quota->lock, memory_order_release);
}

static struct bytes name_of(const struct turn_user *user)
{
    return bytes_of(user->name, user->name_size);
}

static struct turn_user *new_user(struct turn_quota *quota, struct bytes username)
{
    struct turn_user *user = memory_allocate(1, sizeof(*user) + username.size);
    user->name_size = (uint32_t)username.size;
    struct writer writer = writer_of(user->name, username.size);
    writer_bytes(&writer, username.data, username.size);
    (void)map_set(&quota->users, username, user);
    return user;
}

/** Whether `count` is below a limit. */
static bool is_below(uint32_t count, uint32_t limit)
{
    return limit == 0 || count < limit;
}

static int join(struct turn_quota *quota, struct bytes username, struct turn_user **ret_user)
{
    uint32_t all = atomic_load_explicit(&quota->allocations, memory_order_relaxed);
    struct turn_user *user = map_find(&quota->users, username);
    if (!is_below(user ? user->allocations : 0, GET(allocations_per_user)))
        return -EDQUOT;
    if (!is_below(all, GET(allocations)))
        return -EUSERS;
    if (!user)
        user = new_user(quota, username);
    user->allocations++;
    atomic_store_explicit(&quota->allocations, all + 1, memory_order_relaxed);
    *ret_user = user;
    return 0;
}

int turn_quota_join(struct turn_quota *quota, struct bytes username, struct turn_user **ret_user)
{
    lock(quota);
    int result = join(quota, username, ret_user);
    unlock(quota);
    return result;
}

void turn_quota_leave(struct turn_quota *quota, struct turn_user *user)
{
    lock(quota);
    ensure(user->allocations > 0);
    atomic_fetch_sub_explicit(&quota->allocations, 1, memory_order_relaxed);
    if (--user->allocations == 0) {
        (void)map_remove(&quota->users, name_of(user));
        free(user);
    }
    unlock(quota);
}

bool turn_quota_spend(struct turn_quota *quota, struct turn_user *user, uint64_t now_us,
                      size_t size)
{
    uint64_t per_user = GET(bytes_per_s_per_user);
    uint64_t in_all = GET(bytes_per_s);
    if (likely(per_user == 0 && in_all == 0))
        return true;
    uint64_t now = turn_bucket_ticks(now_us);
    uint64_t user_cost = per_user ? turn_bucket_cost(size, per_user) : 0;
    if (per_user && !turn_bucket_take(&user->bytes, now, user_cost, TURN_BUCKET_TICKS_PER_S))
        return false;
    if (in_all == 0 || turn_bucket_take(&quota->bytes, now, turn_bucket_cost(size, in_all),
                                        TURN_BUCKET_TICKS_PER_S))
        return true;
    // the server is out of bytes: that is not this user's spending
    turn_bucket_return(&user->bytes, user_cost);
    return false;
}

uint32_t turn_quota_allocations(const struct turn_quota *quota)
{
    return atomic_load_explicit(&quota->allocations, memory_order_relaxed);
}

/** The bytes of a source that many hosts of one owner share. */
static struct bytes prefix_of(const struct net_address *address)
{
    return bytes_of(address->ip, address->family == NET_IPV4 ? 3 : 6);
}

bool turn_quota_stranger(struct turn_quota *quota, const struct net_address *source,
                         uint64_t now_us)
{
    uint64_t per_s = GET(unauthenticated_per_s);
    if (per_s == 0)
        return true;
    uint64_t burst = GET(unauthenticated_burst);
    struct net_address plain = net_address_unmapped(source);
    uint64_t hash = map_hash(quota->secret, prefix_of(&plain));
    uint64_t now = turn_bucket_ticks(now_us);
    uint64_t cost = turn_bucket_cost(1, per_s);
    // Two rows: a prefix is refused only if both of its cells are empty, so that one who floods
    // takes an innocent one along only by meeting it in both.
    bool first =
        turn_bucket_take(&quota->strangers[0][hash % STRANGER_CELLS], now, cost, burst * cost);
    bool second = turn_bucket_take(&quota->strangers[1][(hash >> 32) % STRANGER_CELLS], now, cost,
                                   burst * cost);
    return first || second;
}
