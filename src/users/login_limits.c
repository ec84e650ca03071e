#include "users/login_limits.h"

#include <string.h>

#include "base/map.h"
#include "base/time.h"
#include "runtime/address_limit.h"
#include "users/user_store.h"

/** Tries cost time: each `each_us`, and so many may be owed at most. */
struct price {
    uint64_t each_us;
    unsigned burst;   /**< tries on credit */
    unsigned owe_max; /**< tries that began before the first of them was counted */
};

static const struct price address_price = { TIME_US_PER_S, 10, 64 };
static const struct price pair_price = { 10 * TIME_US_PER_S, 5, 9 };

static bool has_credit(uint64_t due_us, uint64_t now_us, const struct price *price)
{
    return due_us <= now_us || due_us - now_us <= (price->burst - 1) * price->each_us;
}

static void charge(uint64_t *due_us, uint64_t now_us, const struct price *price)
{
    *due_us =
        min_of(max_of(*due_us, now_us) + price->each_us, now_us + price->owe_max * price->each_us);
}

/** ---- cells ---- */

static uint64_t hash_address(const struct login_limits *limits, const struct net_address *remote)
{
    struct address_key key = address_key_of(remote);
    return map_hash(limits->secret, bytes_of(key.bytes, key.size));
}

static uint64_t hash_pair(const struct login_limits *limits, struct bytes name,
                          const struct net_address *remote)
{
    struct address_key key = address_key_of(remote);
    uint8_t text[sizeof(key.bytes) + USER_NAME_MAX];
    size_t size = min_of(name.size, (size_t)USER_NAME_MAX);
    memcpy(text, key.bytes, key.size);
    if (size > 0)
        memcpy(text + key.size, name.data, size);
    return map_hash(limits->secret, bytes_of(text, key.size + size));
}

static size_t cell_of(uint64_t hash)
{
    return hash % LOGIN_LIMITS_CELLS;
}

static bool is_known(const struct login_limits *limits, uint64_t pair)
{
    return limits->known[cell_of(pair)] == pair;
}

/** ---- tries ---- */

void login_limits_init(struct login_limits *limits, const uint64_t secret[2])
{
    memset(limits, 0, sizeof(*limits));
    memcpy(limits->secret, secret, sizeof(limits->secret));
}

bool login_limits_allow_address(const struct login_limits *limits, const struct net_address *remote,
                                uint64_t now_us)
{
    return net_address_is_loopback(remote) ||
           has_credit(limits->address_due_us[cell_of(hash_address(limits, remote))], now_us,
                      &address_price);
}

void login_limits_address_failed(struct login_limits *limits, const struct net_address *remote,
                                 uint64_t now_us)
{
    if (!net_address_is_loopback(remote))
        charge(&limits->address_due_us[cell_of(hash_address(limits, remote))], now_us,
               &address_price);
}

bool login_limits_allow(const struct login_limits *limits, struct bytes name,
                        const struct net_address *remote, uint64_t now_us)
{
    if (net_address_is_loopback(remote))
        return true;
    uint64_t pair = hash_pair(limits, name, remote);
    if (!has_credit(limits->pair_due_us[cell_of(pair)], now_us, &pair_price))
        return false;
    return is_known(limits, pair) || login_limits_allow_address(limits, remote, now_us);
}

void login_limits_failed(struct login_limits *limits, struct bytes name,
                         const struct net_address *remote, uint64_t now_us)
{
    if (net_address_is_loopback(remote))
        return;
    uint64_t pair = hash_pair(limits, name, remote);
    charge(&limits->pair_due_us[cell_of(pair)], now_us, &pair_price);
    if (!is_known(limits, pair))
        login_limits_address_failed(limits, remote, now_us);
}

void login_limits_succeeded(struct login_limits *limits, struct bytes name,
                            const struct net_address *remote)
{
    if (net_address_is_loopback(remote))
        return;
    uint64_t pair = hash_pair(limits, name, remote);
    limits->known[cell_of(pair)] = pair;
}
