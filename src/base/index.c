#include "base/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/memory.h"

/** Small: nodes of trees have an index each. */
#define CHAINS_MIN 4

void index_init(struct index *index, const uint64_t secret[2], size_t key_offset)
{
    *index = (struct index){ .key_offset = key_offset, .secret = secret };
}

void index_done(struct index *index)
{
    free(index->chains);
    index->chains = NULL;
    index->chain_count = index->count = 0;
}

static struct index_entry **chain_of(const struct index *index, uint32_t hash)
{
    return &index->chains[hash & (index->chain_count - 1)];
}

static void push(struct index *index, struct index_entry *entry)
{
    struct index_entry **chain = chain_of(index, entry->hash);
    entry->next = *chain;
    *chain = entry;
}

static void grow(struct index *index)
{
    struct index former = *index;
    index->chain_count = max_of(former.chain_count * 2, (uint32_t)CHAINS_MIN);
    index->chains = memory_new_array(struct index_entry *, index->chain_count);
    struct index_entry *after;
    for (struct index_entry *at = index_first(&former); at; at = after) {
        after = index_next(&former, at);
        push(index, at);
    }
    index_done(&former);
}

struct index_entry *index_find(const struct index *index, struct bytes key)
{
    if (index->chain_count == 0)
        return NULL;
    uint32_t hash = (uint32_t)map_hash(index->secret, key);
    struct index_entry *entry = *chain_of(index, hash);
    while (entry && !(entry->hash == hash && bytes_equal(index_key(index, entry), key)))
        entry = entry->next;
    return entry;
}

void index_add(struct index *index, struct index_entry *entry)
{
    if (index->count == index->chain_count)
        grow(index);
    entry->hash = (uint32_t)map_hash(index->secret, index_key(index, entry));
    push(index, entry);
    index->count++;
}

void index_remove(struct index *index, struct index_entry *entry)
{
    struct index_entry **at = chain_of(index, entry->hash);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    entry->next = NULL;
    index->count--;
}

/** The first entry of a chain from `from` on. */
static struct index_entry *first_from(const struct index *index, uint32_t from)
{
    for (uint32_t i = from; i < index->chain_count; i++) {
        if (index->chains[i])
            return index->chains[i];
    }
    return NULL;
}

struct index_entry *index_first(const struct index *index)
{
    return first_from(index, 0);
}

struct index_entry *index_next(const struct index *index, const struct index_entry *entry)
{
    return entry->next ? entry->next
                       : first_from(index, (entry->hash & (index->chain_count - 1)) + 1);
}
