#include "base/handle.h"

#include <stdlib.h>

#include "base/memory.h"

static handle handle_make(uint32_t index, uint32_t generation)
{
    return (uint64_t)generation << 32 | (index + 1);
}

static struct handle_entry *entry_of(const struct handle_table *table, handle name)
{
    uint32_t index = (uint32_t)name - 1;
    if (name == 0 || index >= table->capacity)
        return NULL;
    struct handle_entry *entry = &table->entries[index];
    return entry->object && entry->generation == name >> 32 ? entry : NULL;
}

void handle_table_init(struct handle_table *table, uint32_t limit)
{
    *table = (struct handle_table){ .limit = limit };
}

void handle_table_done(struct handle_table *table)
{
    free(table->entries);
    *table = (struct handle_table){ 0 };
}

static void grow(struct handle_table *table)
{
    uint32_t capacity = table->capacity ? table->capacity * 2 : 16;
    if (capacity > table->limit)
        capacity = table->limit;
    table->entries = memory_resize(table->entries, capacity * sizeof(*table->entries));
    for (uint32_t i = capacity; i > table->capacity; i--) {
        table->entries[i - 1] = (struct handle_entry){ .next_free = table->first_free };
        table->first_free = i;
    }
    table->capacity = capacity;
}

handle handle_table_add(struct handle_table *table, void *object)
{
    ensure(object != NULL);
    if (table->count >= table->limit)
        return 0;
    if (table->first_free == 0)
        grow(table);
    uint32_t index = table->first_free - 1;
    struct handle_entry *entry = &table->entries[index];
    table->first_free = entry->next_free;
    entry->object = object;
    entry->generation++;
    table->count++;
    return handle_make(index, entry->generation);
}

void *handle_table_find(const struct handle_table *table, handle name)
{
    struct handle_entry *entry = entry_of(table, name);
    return entry ? entry->object : NULL;
}

void *handle_table_remove(struct handle_table *table, handle name)
{
    struct handle_entry *entry = entry_of(table, name);
    if (!entry)
        return NULL;
    void *object = entry->object;
    entry->object = NULL;
    entry->next_free = table->first_free;
    table->first_free = (uint32_t)name;
    table->count--;
    return object;
}

void *handle_table_next(const struct handle_table *table, uint32_t *cursor, handle *ret_handle)
{
    while (*cursor < table->capacity) {
        uint32_t index = (*cursor)++;
        const struct handle_entry *entry = &table->entries[index];
        if (!entry->object)
            continue;
        if (ret_handle)
            *ret_handle = handle_make(index, entry->generation);
        return entry->object;
    }
    return NULL;
}
