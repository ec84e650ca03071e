#include "server/turn_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define CAPACITY_FIRST 4096u

struct entry {
    uint64_t time_us;
    uint32_t size; /**< END: the rest of the memory is unused, go on at 0 */
    uint32_t reserved;
};

#define END UINT32_MAX

static uint32_t space_of(uint32_t size)
{
    return (uint32_t)sizeof(struct entry) + ((size + 7) & ~7u);
}

/** Entries stand at multiples of 8 in memory that malloc has aligned. */
static struct entry *entry_at(const struct turn_queue *queue, uint32_t at)
{
    return (struct entry *)(void *)(queue->data + at);
}

/** Where the entry at `at` really is: behind a mark, or where no head fits, the start. */
static uint32_t skip_end(const struct turn_queue *queue, uint32_t at)
{
    bool at_end = queue->capacity - at < sizeof(struct entry) || entry_at(queue, at)->size == END;
    return at_end ? 0 : at;
}

void turn_queue_done(struct turn_queue *queue)
{
    free(queue->data);
    *queue = (struct turn_queue){ 0 };
}

/** Moves all entries to more memory, in order and from its start. */
static void grow(struct turn_queue *queue, uint32_t needed)
{
    uint32_t capacity = max_of(queue->capacity * 2, CAPACITY_FIRST);
    while (capacity < needed)
        capacity *= 2;
    struct turn_queue larger = { .data = memory_allocate(1, capacity), .capacity = capacity };
    uint32_t at = queue->head;
    for (uint32_t i = 0; i < queue->count; i++) {
        at = skip_end(queue, at);
        uint32_t space = space_of(entry_at(queue, at)->size);
        memcpy(larger.data + larger.tail, queue->data + at, space);
        larger.tail += space;
        at += space;
    }
    larger.used = queue->used;
    larger.count = queue->count;
    free(queue->data);
    *queue = larger;
}

/** Whether `space` bytes in one piece begin at `tail`, which may go to the start for that. */
static bool find_room(struct turn_queue *queue, uint32_t space)
{
    if (queue->count > 0 && queue->tail <= queue->head)
        return queue->head - queue->tail >= space;
    uint32_t behind = queue->capacity - queue->tail;
    if (behind >= space)
        return true;
    if (queue->count == 0 || queue->head < space)
        return false;
    if (behind >= sizeof(struct entry))
        entry_at(queue, queue->tail)->size = END;
    queue->tail = 0;
    return true;
}

uint8_t *turn_queue_add(struct turn_queue *queue, uint32_t limit, uint64_t now_us, uint32_t size)
{
    uint32_t space = space_of(size);
    if (size > limit || space > limit - min_of(queue->used, limit))
        return NULL;
    if (!find_room(queue, space))
        grow(queue, queue->used + space);
    struct entry *entry = entry_at(queue, queue->tail);
    *entry = (struct entry){ .time_us = now_us, .size = size };
    queue->tail += space;
    queue->used += space;
    queue->count++;
    return (uint8_t *)(entry + 1);
}

bool turn_queue_first(const struct turn_queue *queue, uint64_t *ret_time_us,
                      struct bytes *ret_message)
{
    if (queue->count == 0)
        return false;
    const struct entry *entry = entry_at(queue, skip_end(queue, queue->head));
    *ret_time_us = entry->time_us;
    *ret_message = bytes_of(entry + 1, entry->size);
    return true;
}

void turn_queue_remove(struct turn_queue *queue)
{
    ensure(queue->count > 0);
    uint32_t at = skip_end(queue, queue->head);
    uint32_t space = space_of(entry_at(queue, at)->size);
    queue->head = at + space;
    queue->used -= space;
    if (--queue->count == 0)
        turn_queue_done(queue);
}
