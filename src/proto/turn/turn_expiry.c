#include <stdlib.h>

#include "base/memory.h"
#include "proto/turn/turn_server_int.h"

void turn_expiry_done(struct turn_expiry *expiry)
{
    free(expiry->entries);
    *expiry = (struct turn_expiry){ 0 };
}

static void place(struct turn_expiry *expiry, uint32_t at, struct turn_expiry_entry entry)
{
    expiry->entries[at] = entry;
    entry.allocation->expiry_at = at + 1;
}

static void move_up(struct turn_expiry *expiry, uint32_t at, struct turn_expiry_entry entry)
{
    while (at > 0 && expiry->entries[(at - 1) / 2].due_us > entry.due_us) {
        place(expiry, at, expiry->entries[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(expiry, at, entry);
}

static void move_down(struct turn_expiry *expiry, uint32_t at, struct turn_expiry_entry entry)
{
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= expiry->count)
            break;
        if (child + 1 < expiry->count &&
            expiry->entries[child + 1].due_us < expiry->entries[child].due_us)
            child++;
        if (expiry->entries[child].due_us >= entry.due_us)
            break;
        place(expiry, at, expiry->entries[child]);
        at = child;
    }
    place(expiry, at, entry);
}

void turn_expiry_set(struct turn_expiry *expiry, struct turn_allocation *allocation,
                     uint64_t due_us)
{
    struct turn_expiry_entry entry = { .due_us = due_us, .allocation = allocation };
    if (allocation->expiry_at == 0) {
        if (expiry->count == expiry->capacity) {
            expiry->capacity = expiry->capacity ? expiry->capacity * 2 : 16;
            expiry->entries =
                memory_resize(expiry->entries, expiry->capacity * sizeof(*expiry->entries));
        }
        move_up(expiry, expiry->count++, entry);
        return;
    }
    uint32_t at = allocation->expiry_at - 1;
    if (due_us < expiry->entries[at].due_us)
        move_up(expiry, at, entry);
    else
        move_down(expiry, at, entry);
}

void turn_expiry_remove(struct turn_expiry *expiry, struct turn_allocation *allocation)
{
    if (allocation->expiry_at == 0)
        return;
    uint32_t at = allocation->expiry_at - 1;
    allocation->expiry_at = 0;
    struct turn_expiry_entry last = expiry->entries[--expiry->count];
    if (at == expiry->count)
        return;
    if (at > 0 && expiry->entries[(at - 1) / 2].due_us > last.due_us)
        move_up(expiry, at, last);
    else
        move_down(expiry, at, last);
}

struct turn_allocation *turn_expiry_due(const struct turn_expiry *expiry, uint64_t now_us)
{
    return expiry->count > 0 && expiry->entries[0].due_us <= now_us ? expiry->entries[0].allocation
                                                                    : NULL;
}

uint64_t turn_expiry_first_us(const struct turn_expiry *expiry)
{
    return expiry->count > 0 ? expiry->entries[0].due_us : TIME_NEVER;
}
