#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "broker/broker_int.h"

#define CAPACITY_MIN 4

static void grow(struct broker_queue *queue)
{
    uint32_t capacity = max_of(queue->capacity * 2, (uint32_t)CAPACITY_MIN);
    struct broker_entry *entries = memory_allocate(capacity, sizeof(*entries));
    for (uint32_t i = 0; i < queue->count; i++)
        entries[i] = queue->waiting[(queue->at + i) & (queue->capacity - 1)];
    free(queue->waiting);
    queue->waiting = entries;
    queue->at = 0;
    queue->capacity = capacity;
}

void broker_queue_push(struct broker_queue *queue, const struct broker_entry *entry)
{
    if (queue->count == queue->capacity)
        grow(queue);
    queue->waiting[(queue->at + queue->count) & (queue->capacity - 1)] = *entry;
    queue->count++;
    queue->bytes += broker_message_size(entry->message);
}

struct broker_entry *broker_queue_first(const struct broker_queue *queue)
{
    return queue->count > 0 ? &queue->waiting[queue->at] : NULL;
}

struct broker_entry broker_queue_pop(struct broker_queue *queue)
{
    ensure(queue->count > 0);
    struct broker_entry entry = queue->waiting[queue->at];
    queue->at = (queue->at + 1) & (queue->capacity - 1);
    queue->bytes -= broker_message_size(entry.message);
    if (--queue->count == 0) {
        free(queue->waiting);
        queue->waiting = NULL;
        queue->at = queue->capacity = 0;
    }
    return entry;
}

static uint16_t free_packet_id(struct broker_queue *queue)
{
    do {
        if (++queue->last_packet_id == 0)
            queue->last_packet_id = 1;
    } while (broker_queue_find(queue, queue->last_packet_id));
    return queue->last_packet_id;
}

struct broker_entry *broker_queue_start(struct broker_queue *queue, struct broker_entry entry)
{
    ensure(queue->inflight_count < BROKER_INFLIGHT_MAX);
    if (queue->inflight_count == queue->inflight_capacity) {
        queue->inflight_capacity =
            (uint16_t)max_of(queue->inflight_capacity * 2, (int)CAPACITY_MIN);
        queue->inflight =
            memory_resize(queue->inflight, queue->inflight_capacity * sizeof(*queue->inflight));
    }
    if (entry.packet_id == 0)
        entry.packet_id = free_packet_id(queue);
    if (entry.state == BROKER_ENTRY_WAITING)
        entry.state = BROKER_ENTRY_STARTED;
    queue->inflight[queue->inflight_count] = entry;
    return &queue->inflight[queue->inflight_count++];
}

struct broker_entry *broker_queue_find(const struct broker_queue *queue, uint16_t packet_id)
{
    for (uint16_t i = 0; i < queue->inflight_count; i++) {
        if (queue->inflight[i].packet_id == packet_id)
            return &queue->inflight[i];
    }
    return NULL;
}

struct broker_entry broker_queue_remove(struct broker_queue *queue, struct broker_entry *entry)
{
    uint16_t index = (uint16_t)(entry - queue->inflight);
    ensure(index < queue->inflight_count);
    struct broker_entry taken = *entry;
    queue->inflight_count--;
    memmove(entry, entry + 1, (size_t)(queue->inflight_count - index) * sizeof(*entry));
    if (index < queue->sent_count)
        queue->sent_count--;
    if (queue->inflight_count == 0) {
        free(queue->inflight);
        queue->inflight = NULL;
        queue->inflight_capacity = 0;
    }
    return taken;
}

/** What an entry takes itself, without the message that it shares. */
static size_t own_size(const struct broker_entry *entry)
{
    size_t count = 0;
    while (entry->ids && entry->ids[count])
        count++;
    return sizeof(*entry) + count * sizeof(*entry->ids);
}

void broker_entry_count(struct broker *broker, const struct broker_entry *entry)
{
    metric_add(&broker->metrics[BROKER_METRIC_MESSAGE_BYTES], own_size(entry));
}

void broker_entry_done(struct broker *broker, struct broker_entry *entry)
{
    metric_subtract(&broker->metrics[BROKER_METRIC_MESSAGE_BYTES], own_size(entry));
    entry->message = broker_message_unref(broker, entry->message);
    free(entry->ids);
    entry->ids = NULL;
}

void broker_queue_done(struct broker *broker, struct broker_queue *queue)
{
    while (queue->count > 0) {
        struct broker_entry entry = broker_queue_pop(queue);
        broker_entry_done(broker, &entry);
    }
    for (uint16_t i = 0; i < queue->inflight_count; i++)
        broker_entry_done(broker, &queue->inflight[i]);
    free(queue->inflight);
    *queue = (struct broker_queue){ 0 };
}
