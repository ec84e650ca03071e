#include "runtime/handoff.h"

#include <string.h>

/** Datagrams given to the owner at once; their slots stay taken until the handler returns. */
#define HANDOFF_BATCH 32

struct handoff_slot {
    struct net_path path;
    size_t size;
    uint8_t bytes[DATAGRAM_SIZE_MAX];
};

static size_t deliver_batch(struct handoff *handoff)
{
    struct udp_datagram datagrams[HANDOFF_BATCH];
    size_t count = 0;
    struct handoff_slot *slot;
    while (count < HANDOFF_BATCH && (slot = ring_peek(&handoff->ring, count)))
        datagrams[count++] = (struct udp_datagram){ slot->path, slot->bytes, slot->size };
    if (count > 0)
        handoff->received(handoff->owner, datagrams, count);
    for (size_t i = 0; i < count; i++)
        ring_pop(&handoff->ring);
    return count;
}

static void on_rung(struct wakeup *wakeup)
{
    struct handoff *handoff = container_of(wakeup, struct handoff, wakeup);
    struct runtime_metrics *metrics = &handoff->loop->metrics;
    size_t total = 0, count;
    do {
        count = deliver_batch(handoff);
        total += count;
    } while (count == HANDOFF_BATCH && total < HANDOFF_TURN_MAX);
    runtime_count(metrics, RUNTIME_HANDOFF_RECEIVED, total);
    metric_set(&metrics->values[RUNTIME_HANDOFF_REFUSED],
               atomic_load_explicit(&handoff->ring.refused, memory_order_relaxed));
    if (ring_front(&handoff->ring))
        wakeup_ring(wakeup);
}

int handoff_init(struct handoff *handoff, struct loop *loop, size_t capacity,
                 handoff_received *received, void *owner)
{
    *handoff = (struct handoff){ .loop = loop, .received = received, .owner = owner };
    int error = wakeup_init(&handoff->wakeup, loop, on_rung);
    if (error < 0)
        return error;
    ring_init(&handoff->ring, sizeof(struct handoff_slot), capacity);
    return 0;
}

void handoff_done(struct handoff *handoff)
{
    if (!handoff->ring.slots)
        return;
    ring_done(&handoff->ring);
    wakeup_done(&handoff->wakeup);
}

bool handoff_give(struct handoff *handoff, const struct udp_datagram *datagram)
{
    if (datagram->size > DATAGRAM_SIZE_MAX) {
        atomic_fetch_add_explicit(&handoff->ring.refused, 1, memory_order_relaxed);
        return false;
    }
    struct ring_claim claim = ring_claim(&handoff->ring);
    struct handoff_slot *slot = claim.slot;
    if (!slot)
        return false;
    slot->path = datagram->path;
    slot->size = datagram->size;
    memcpy(slot->bytes, datagram->data, datagram->size);
    ring_publish(&handoff->ring, claim);
    wakeup_ring(&handoff->wakeup);
    return true;
}
