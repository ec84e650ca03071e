#include "runtime/address_limit.h"

#include <stdint.h>
#include <string.h>

#include "base/time.h"

void address_limit_init(struct address_limit *limit, uint32_t per_address, uint32_t total,
                        const uint64_t secret[2])
{
    *limit = (struct address_limit){ .per_address = per_address, .total = total };
    map_init(&limit->counts, secret);
}

void address_limit_done(struct address_limit *limit)
{
    map_done(&limit->counts);
}

struct address_key address_key_of(const struct net_address *address)
{
    struct address_key key = { .bytes = { address->family },
                               .size = address->family == NET_IPV6 ? 9 : 5 };
    memcpy(key.bytes + 1, address->ip, key.size - 1);
    return key;
}

// The count is kept in the map's pointer itself, aligned as a pointer to an object would be.
#define COUNT_SHIFT 3

static uint32_t count_of(const struct address_limit *limit, const struct address_key *key)
{
    void *value = map_find(&limit->counts, bytes_of(key->bytes, key->size));
    return (uint32_t)((uintptr_t)value >> COUNT_SHIFT);
}

static void set_count(struct address_limit *limit, const struct address_key *key, uint32_t count)
{
    struct bytes name = bytes_of(key->bytes, key->size);
    if (count > 0)
        map_set(&limit->counts, name, (void *)((uintptr_t)count << COUNT_SHIFT));
    else
        map_remove(&limit->counts, name);
}

bool address_limit_take(struct address_limit *limit, const struct net_address *address)
{
    struct address_key key = address_key_of(address);
    uint32_t count = count_of(limit, &key);
    if ((limit->total && limit->taken >= limit->total) ||
        (limit->per_address && count >= limit->per_address))
        return false;
    set_count(limit, &key, count + 1);
    limit->taken++;
    return true;
}

void address_limit_release(struct address_limit *limit, const struct net_address *address)
{
    struct address_key key = address_key_of(address);
    uint32_t count = count_of(limit, &key);
    ensure(count > 0 && limit->taken > 0);
    set_count(limit, &key, count - 1);
    limit->taken--;
}

void address_rate_init(struct address_rate *rate, const uint64_t secret[2])
{
    *rate = (struct address_rate){ .secret = { secret[0], secret[1] } };
}

static size_t cell_of(const struct address_rate *rate, const struct net_address *address)
{
    struct address_key key = address_key_of(address);
    return map_hash(rate->secret, bytes_of(key.bytes, key.size)) % ADDRESS_RATE_CELLS;
}

static uint64_t interval_of(uint32_t per_s)
{
    return max_of(TIME_US_PER_S / per_s, (uint64_t)1);
}

bool address_rate_has(const struct address_rate *rate, const struct net_address *address,
                      uint64_t now_us, uint32_t per_s, uint32_t burst)
{
    uint64_t from_us = max_of(rate->due_us[cell_of(rate, address)], now_us);
    return from_us - now_us <= (burst - 1) * interval_of(per_s);
}

bool address_rate_take(struct address_rate *rate, const struct net_address *address,
                       uint64_t now_us, uint32_t per_s, uint32_t burst)
{
    if (!address_rate_has(rate, address, now_us, per_s, burst))
        return false;
    uint64_t *due_us = &rate->due_us[cell_of(rate, address)];
    *due_us = max_of(*due_us, now_us) + interval_of(per_s);
    return true;
}
