/**
 * Tables of objects named by handles. A handle is (index, generation): after its object is gone it
 * finds nothing, however often the place is used again. Handles, never pointers, cross threads.
 */
#pragma once

#include "base/compiler.h"

/** 0 is never a valid handle. */
typedef uint64_t handle;

struct handle_entry {
    void *object;
    uint32_t generation;
    uint32_t next_free;
};

struct handle_table {
    struct handle_entry *entries;
    uint32_t capacity;
    uint32_t count;
    uint32_t first_free; /**< index + 1, or 0 */
    uint32_t limit;
};

/** At most `limit` objects at a time. */
void handle_table_init(struct handle_table *table, uint32_t limit);
void handle_table_done(struct handle_table *table);
/** The new handle of `object`, or 0 when the table holds its limit. */
must_check handle handle_table_add(struct handle_table *table, void *object);
/** The object, or NULL when the handle is stale or was never given out. */
void *handle_table_find(const struct handle_table *table, handle name);
/** Forgets the handle; returns the object it named, or NULL. */
void *handle_table_remove(struct handle_table *table, handle name);
/** Walks all objects: `*cursor` = 0 first; NULL at the end. The current one may be removed. */
void *handle_table_next(const struct handle_table *table, uint32_t *cursor, handle *ret_handle);
