/**
 * Hash map from byte keys to pointers: open addressing, keyed hash (SipHash-1-3), so that a
 * stranger who chooses keys cannot choose collisions. Keys are copied; values are the caller's.
 */
#pragma once

#include "base/bytes.h"

struct map_slot;

struct map {
    struct map_slot *slots;
    size_t capacity; /**< a power of two, or 0 before the first insertion */
    size_t count;
    size_t filled; /**< occupied and deleted slots */
    uint64_t secret[2];
};

/** `secret` is random for maps whose keys come from outside; zeros do for the others. */
void map_init(struct map *map, const uint64_t secret[2]);
/** Frees the map's own memory, not the values. Accepts a zeroed map. */
void map_done(struct map *map);
/** The value of `key`, or NULL. */
void *map_find(const struct map *map, struct bytes key);
/**
 * Sets `key` to `value` (not NULL). Returns the value replaced, or NULL. Aborts only when the
 * system has no memory: bound what you insert.
 */
void *map_set(struct map *map, struct bytes key, void *value);
/** Removes `key`; returns its value, or NULL when it was not there. */
void *map_remove(struct map *map, struct bytes key);
/**
 * Walks all entries: start with `*cursor` = 0; false at the end. Removing the current entry is
 * allowed, inserting is not. `ret_key` may be NULL.
 */
bool map_next(const struct map *map, size_t *cursor, struct bytes *ret_key, void **ret_value);

/** The keyed hash itself, for other tables. */
uint64_t map_hash(const uint64_t secret[2], struct bytes key);

/** Keys that are one 64-bit number. */
static inline struct bytes map_key_u64(const uint64_t *key)
{
    return bytes_of(key, sizeof(*key));
}
