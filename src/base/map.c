#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define INLINE_KEY_MAX 32

struct map_slot {
    uint64_t hash;
    void *value; /**< NULL: never used; DELETED_MARK: removed */
    uint8_t *long_key;
    uint32_t key_size;
    uint8_t key[INLINE_KEY_MAX];
};

/** What a removed slot holds; never a caller's value, which are all aligned objects. */
#define DELETED_MARK ((void *)1)

static bool slot_live(const struct map_slot *slot)
{
    return slot->value && slot->value != DELETED_MARK;
}

static struct bytes slot_key(const struct map_slot *slot)
{
    return bytes_of(slot->long_key ? slot->long_key : slot->key, slot->key_size);
}

static inline uint64_t rotate_left(uint64_t value, int count)
{
    return value << count | value >> (64 - count);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[3];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[2] = rotate_left(v[2], 32);
}

uint64_t map_hash(const uint64_t secret[2], struct bytes key)
{
    uint64_t v[4] = { secret[0] ^ 0x736f6d6570736575ull, secret[1] ^ 0x646f72616e646f6dull,
                      secret[0] ^ 0x6c7967656e657261ull, secret[1] ^ 0x7465646279746573ull };
    size_t at = 0;
    for (; at + 8 <= key.size; at += 8) {
        uint64_t word;
        memcpy(&word, key.data + at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)key.size << 56;
    if (at < key.size)
        memcpy(&last, key.data + at, key.size - at);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *map, const uint64_t secret[2])
{
    *map = (struct map){ .secret = { secret[0], secret[1] } };
}

void map_done(struct map *map)
{
    for (size_t i = 0; i < map->capacity; i++)
        free(map->slots[i].long_key);
    free(map->slots);
    map->slots = NULL;
    map->capacity = map->count = map->filled = 0;
}

/** The slot that holds `key`, or NULL. */
static struct map_slot *find_slot(const struct map *map, struct bytes key, uint64_t hash)
{
    if (map->capacity == 0)
        return NULL;
    for (size_t i = hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        struct map_slot *slot = &map->slots[i];
        if (!slot->value)
            return NULL;
        if (slot_live(slot) && slot->hash == hash && bytes_equal(slot_key(slot), key))
            return slot;
    }
}

static struct map_slot *find_free_slot(struct map *map, uint64_t hash)
{
    size_t i = hash & (map->capacity - 1);
    while (map->slots[i].value)
        i = (i + 1) & (map->capacity - 1);
    return &map->slots[i];
}

static void grow(struct map *map)
{
    struct map_slot *old = map->slots;
    size_t old_capacity = map->capacity;
    // doubling only when really full: a map with many removals is rebuilt at its size
    map->capacity =
        map->count * 2 >= old_capacity ? max_of(old_capacity * 2, (size_t)16) : old_capacity;
    map->slots = memory_new_array(struct map_slot, map->capacity);
    map->filled = map->count;
    for (size_t i = 0; i < old_capacity; i++) {
        if (slot_live(&old[i]))
            *find_free_slot(map, old[i].hash) = old[i];
    }
    free(old);
}

void *map_find(const struct map *map, struct bytes key)
{
    struct map_slot *slot = find_slot(map, key, map_hash(map->secret, key));
    return slot ? slot->value : NULL;
}

void *map_set(struct map *map, struct bytes key, void *value)
{
    ensure(value != NULL);
    uint64_t hash = map_hash(map->secret, key);
    struct map_slot *slot = find_slot(map, key, hash);
    if (slot) {
        void *old = slot->value;
        slot->value = value;
        return old;
    }
    if ((map->filled + 1) * 4 > map->capacity * 3)
        grow(map);
    slot = find_free_slot(map, hash);
    *slot = (struct map_slot){ .hash = hash, .value = value, .key_size = (uint32_t)key.size };
    if (key.size > INLINE_KEY_MAX)
        slot->long_key = memory_new_array(uint8_t, key.size);
    if (key.size > 0)
        memcpy(slot->long_key ? slot->long_key : slot->key, key.data, key.size);
    map->count++;
    map->filled++;
    return NULL;
}

void *map_remove(struct map *map, struct bytes key)
{
    struct map_slot *slot = find_slot(map, key, map_hash(map->secret, key));
    if (!slot)
        return NULL;
    void *value = slot->value;
    free(slot->long_key);
    *slot = (struct map_slot){ .value = DELETED_MARK };
    map->count--;
    return value;
}

bool map_next(const struct map *map, size_t *cursor, struct bytes *ret_key, void **ret_value)
{
    while (*cursor < map->capacity) {
        const struct map_slot *slot = &map->slots[(*cursor)++];
        if (!slot_live(slot))
            continue;
        if (ret_key)
            *ret_key = slot_key(slot);
        *ret_value = slot->value;
        return true;
    }
    return false;
}
