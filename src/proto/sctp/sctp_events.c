#include <stdlib.h>

#include "base/memory.h"
#include "proto/sctp/sctp_events_int.h"

#define CAPACITY_FIRST 8u
/** An empty queue that was larger gives its memory back. */
#define CAPACITY_KEPT 64u

static size_t cost_of(const struct sctp_event *event)
{
    return SCTP_EVENT_COST + (event->message ? blob_bytes(event->message).size : 0);
}

static void grow(struct sctp_events *events)
{
    uint32_t capacity = events->capacity ? 2 * events->capacity : CAPACITY_FIRST;
    struct sctp_event *ring = memory_new_array(struct sctp_event, capacity);
    for (uint32_t i = 0; i < events->count; i++)
        ring[i] = events->ring[(events->first + i) & (events->capacity - 1)];
    free(events->ring);
    events->ring = ring;
    events->capacity = capacity;
    events->first = 0;
}

void sctp_events_add(struct sctp_events *events, const struct sctp_event *event)
{
    if (events->count == events->capacity)
        grow(events);
    events->ring[(events->first + events->count++) & (events->capacity - 1)] = *event;
    events->held += cost_of(event);
}

bool sctp_events_next(struct sctp_events *events, struct sctp_event *ret_event)
{
    if (events->count == 0)
        return false;
    *ret_event = events->ring[events->first];
    events->first = (events->first + 1) & (events->capacity - 1);
    events->count--;
    events->held -= cost_of(ret_event);
    if (events->count == 0 && events->capacity > CAPACITY_KEPT) {
        free(events->ring);
        *events = (struct sctp_events){ 0 };
    }
    return true;
}

void sctp_events_done(struct sctp_events *events)
{
    struct sctp_event event;
    while (sctp_events_next(events, &event))
        blob_unref(event.message);
    free(events->ring);
    *events = (struct sctp_events){ 0 };
}
