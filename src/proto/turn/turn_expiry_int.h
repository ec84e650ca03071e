/** Allocations by the time they are due: a binary heap that each one knows its place in. */
#pragma once

#include "base/time.h"

struct turn_allocation;

struct turn_expiry_entry {
    uint64_t due_us;
    struct turn_allocation *allocation;
};

struct turn_expiry {
    struct turn_expiry_entry *entries;
    uint32_t count;
    uint32_t capacity;
};

void turn_expiry_done(struct turn_expiry *expiry);
/** Adds the allocation, or changes when it is due. */
void turn_expiry_set(struct turn_expiry *expiry, struct turn_allocation *allocation,
                     uint64_t due_us);
/** Harmless for one that is not in the queue. */
void turn_expiry_remove(struct turn_expiry *expiry, struct turn_allocation *allocation);
/** The allocation due next if that is not after `now_us`, else NULL. It stays in the queue. */
struct turn_allocation *turn_expiry_due(const struct turn_expiry *expiry, uint64_t now_us);
/** TIME_NEVER when it is empty. */
uint64_t turn_expiry_first_us(const struct turn_expiry *expiry);
