#include "runtime/ring.h"

#include <stdlib.h>

#include "base/memory.h"

// A slot is a turn number and the content. Of the slot at position p (mod capacity):
//   turn == p              free for the producer that claims position p
//   turn == p + 1          published, the consumer's when head == p
//   turn == p + capacity   given back: free for position p + capacity
struct slot {
    _Atomic size_t turn;
    _Alignas(16) uint8_t content[];
};

static struct slot *slot_at(const struct ring *ring, size_t position)
{
    return (struct slot *)(void *)(ring->slots + (position & ring->mask) * ring->stride);
}

void ring_init(struct ring *ring, size_t slot_size, size_t capacity)
{
    size_t count = 2;
    while (count < capacity)
        count *= 2;
    *ring = (struct ring){
        .stride = (sizeof(struct slot) + slot_size + 63) / 64 * 64,
        .mask = count - 1,
    };
    ring->slots = aligned_alloc(64, ring->stride * count);
    ensure(ring->slots != NULL);
    for (size_t i = 0; i < count; i++)
        atomic_init(&slot_at(ring, i)->turn, i);
}

void ring_done(struct ring *ring)
{
    free(ring->slots);
    ring->slots = NULL;
}

struct ring_claim ring_claim(struct ring *ring)
{
    size_t position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    for (;;) {
        struct slot *slot = slot_at(ring, position);
        size_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        if (turn == position) {
            if (atomic_compare_exchange_weak_explicit(&ring->tail, &position, position + 1,
                                                      memory_order_relaxed, memory_order_relaxed))
                return (struct ring_claim){ .slot = slot->content, .turn = position + 1 };
        } else if (turn < position) {
            // the consumer has not given back what was here one lap ago
            atomic_fetch_add_explicit(&ring->refused, 1, memory_order_relaxed);
            return (struct ring_claim){ .slot = NULL };
        } else {
            position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        }
    }
}

bool ring_is_crowded(const struct ring *ring)
{
    size_t ahead = atomic_load_explicit(&ring->tail, memory_order_relaxed) + (ring->mask + 1) / 2;
    // behind: the consumer has not given back what was there one lap ago
    return atomic_load_explicit(&slot_at(ring, ahead)->turn, memory_order_relaxed) < ahead;
}

void ring_publish(struct ring *ring, struct ring_claim claim)
{
    atomic_store_explicit(&slot_at(ring, claim.turn - 1)->turn, claim.turn, memory_order_release);
}

void *ring_peek(const struct ring *ring, size_t skip)
{
    struct slot *slot = slot_at(ring, ring->head + skip);
    if (atomic_load_explicit(&slot->turn, memory_order_acquire) != ring->head + skip + 1)
        return NULL;
    return slot->content;
}

void ring_pop(struct ring *ring)
{
    struct slot *slot = slot_at(ring, ring->head);
    atomic_store_explicit(&slot->turn, ring->head + ring->mask + 1, memory_order_release);
    ring->head++;
}
