#include "room/packet_ring.h"

#include <stdlib.h>

#include "base/memory.h"

/** A voice needs no more. Packets from so long before a stream's first one are taken, too. */
#define CAPACITY_FIRST 64

void packet_ring_init(struct packet_ring *ring, uint32_t capacity_max)
{
    ensure(capacity_max > 0 && (capacity_max & (capacity_max - 1)) == 0);
    *ring = (struct packet_ring){ .capacity_max = capacity_max, .limit = capacity_max };
}

void packet_ring_clear(struct packet_ring *ring)
{
    if (!ring->slots)
        return;
    for (uint32_t i = 0; i < ring->capacity; i++)
        packet_unref(ring->slots[i]);
    free(ring->slots);
    ring->slots = NULL;
    ring->count = 0;
}

void packet_ring_done(struct packet_ring *ring)
{
    packet_ring_clear(ring);
}

void packet_ring_limit(struct packet_ring *ring, uint32_t packets)
{
    ring->limit = min_of(packets, ring->capacity_max);
}

static struct packet **slot_of(const struct packet_ring *ring, uint64_t sequence)
{
    return &ring->slots[sequence & (ring->capacity - 1)];
}

static void drop_oldest(struct packet_ring *ring)
{
    struct packet **slot = slot_of(ring, ring->oldest++);
    if (!*slot)
        return;
    packet_unref(*slot);
    *slot = NULL;
    ring->count--;
}

/** Doubles the slots until `sequence` has one, or there are as many as may be. */
static void grow(struct packet_ring *ring, uint64_t sequence)
{
    struct packet_ring before = *ring;
    while (ring->capacity < ring->capacity_max && sequence >= ring->oldest + ring->capacity)
        ring->capacity *= 2;
    if (ring->capacity == before.capacity)
        return;
    ring->slots = memory_new_array(struct packet *, ring->capacity);
    for (uint64_t at = before.oldest; at < before.oldest + before.capacity; at++)
        *slot_of(ring, at) = *slot_of(&before, at);
    free(before.slots);
}

/** Widens the window or moves it up, so that `sequence` has a place in it. */
static void make_place(struct packet_ring *ring, uint64_t sequence)
{
    if (sequence < ring->oldest + ring->capacity)
        return;
    if (ring->count > 0)
        grow(ring, sequence);
    if (sequence < ring->oldest + ring->capacity)
        return;
    uint64_t oldest = sequence + 1 - ring->capacity;
    while (ring->oldest < oldest && ring->count > 0)
        drop_oldest(ring);
    ring->oldest = oldest;
}

bool packet_ring_put(struct packet_ring *ring, struct packet *packet)
{
    uint64_t sequence = media_info_of(packet)->sequence;
    if (!ring->slots) {
        ring->capacity = min_of((uint32_t)CAPACITY_FIRST, ring->capacity_max);
        ring->slots = memory_new_array(struct packet *, ring->capacity);
        ring->oldest = sequence + 1 > ring->capacity ? sequence + 1 - ring->capacity : 0;
        ring->newest = sequence;
    }
    if (sequence < ring->oldest)
        return false;
    make_place(ring, sequence);
    struct packet **slot = slot_of(ring, sequence);
    if (*slot)
        return false;
    *slot = packet_ref(packet);
    ring->newest = max_of(ring->newest, sequence);
    ring->count++;
    while (ring->count > ring->limit)
        drop_oldest(ring);
    return true;
}

void packet_ring_expire(struct packet_ring *ring, uint64_t before_us)
{
    while (ring->count > 0) {
        const struct packet *packet = *slot_of(ring, ring->oldest);
        if (packet && packet->received_us >= before_us)
            return;
        drop_oldest(ring);
    }
}

struct packet *packet_ring_find(const struct packet_ring *ring, uint64_t sequence)
{
    if (!ring->slots)
        return NULL;
    struct packet *packet = *slot_of(ring, sequence);
    return packet && media_info_of(packet)->sequence == sequence ? packet : NULL;
}
