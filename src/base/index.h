/**
 * Hash table of objects that hold their own keys: chains through the objects, so that one takes a
 * pointer of the table and 16 bytes of itself. The hash is keyed (SipHash-1-3), as in base/map.h,
 * which copies keys and holds any pointer. For objects in their tens of thousands.
 */
#pragma once

#include "base/bytes.h"

/** What an object embeds. Its key lies behind it, at the distance that index_init was told. */
struct index_entry {
    struct index_entry *next; /**< in its chain */
    uint32_t hash;
    uint32_t key_size;
};

struct index {
    struct index_entry **chains;
    uint32_t chain_count; /**< a power of two, or 0 before the first insertion */
    uint32_t count;
    size_t key_offset;
    const uint64_t *secret;
};

/**
 * `secret` is as in map_init and must outlive the index; `key_offset` is from an object's entry to
 * the first byte of its key.
 */
void index_init(struct index *index, const uint64_t secret[2], size_t key_offset);
/** Frees the table, not the objects. Accepts a zeroed index. */
void index_done(struct index *index);
/** NULL: none has that key. */
struct index_entry *index_find(const struct index *index, struct bytes key);
/** Puts an object in whose `key_size` is set and whose key is written. None may have that key. */
void index_add(struct index *index, struct index_entry *entry);
/** Takes an object out that is in. */
void index_remove(struct index *index, struct index_entry *entry);
/** Walks all in any order: the first one, and the one behind another; NULL: there is none. */
struct index_entry *index_first(const struct index *index);
struct index_entry *index_next(const struct index *index, const struct index_entry *entry);

/** The key of an object that is in the index. */
static inline struct bytes index_key(const struct index *index, const struct index_entry *entry)
{
    return bytes_of((const uint8_t *)entry + index->key_offset, entry->key_size);
}

/** What index_init wants of a type whose last member is its key. */
#define index_key_offset(type, entry, key) (offsetof(type, key) - offsetof(type, entry))

/** Walks all objects; the body may take out and free the current one. */
#define index_each(object, index, member)                                                          \
    for (struct index_entry *object##_at = index_first(index), *object##_after;                    \
         object##_at && (object##_after = index_next(index, object##_at),                          \
                        (object) = container_of(object##_at, typeof(*(object)), member), true);    \
         object##_at = object##_after)
