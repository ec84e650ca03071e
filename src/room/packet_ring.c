#include "room/packet_ring.h"

#include <stdlib.h>

#include "base/memory.h"

void packet_ring_init(struct packet_ring *ring, uint32_t capacity)
{
    ensure(capacity > 0 && (capacity & (capacity - 1)) == 0);
    *ring = (struct packet_ring){ .capacity = capacity };
}

void packet_ring_clear(struct packet_ring *ring)
{
    if (!ring->slots)
        return;
    for (uint32_t i = 0; i < ring->capacity; i++) {
        if (ring->slots[i])
            packet_unref(ring->slots[i]);
    }
    free(ring->slots);
    ring->slots = NULL;
}

void packet_ring_done(struct packet_ring *ring)
{
    packet_ring_clear(ring);
}

bool packet_ring_put(struct packet_ring *ring, struct packet *packet)
{
    uint64_t sequence = media_info_of(packet)->sequence;
    if (!ring->slots) {
        ring->slots = memory_new_array(struct packet *, ring->capacity);
        ring->newest = sequence;
    }
    if (sequence + ring->capacity <= ring->newest)
        return false;
    struct packet **slot = &ring->slots[sequence & (ring->capacity - 1)];
    if (*slot) {
        if (media_info_of(*slot)->sequence >= sequence)
            return false;
        packet_unref(*slot);
    }
    *slot = packet_ref(packet);
    if (sequence > ring->newest)
        ring->newest = sequence;
    return true;
}

struct packet *packet_ring_find(const struct packet_ring *ring, uint64_t sequence)
{
    if (!ring->slots)
        return NULL;
    struct packet *packet = ring->slots[sequence & (ring->capacity - 1)];
    return packet && media_info_of(packet)->sequence == sequence ? packet : NULL;
}
