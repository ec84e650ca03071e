/**
 * A bounded queue of fixed-size slots from many threads to one, lock-free, allocated once. Each
 * slot carries a turn number that says whose it is, so producers agree with one compare-exchange
 * and the consumer with none. Mailboxes and handoff are made of it.
 */
#pragma once

#include <stdatomic.h>

#include "base/compiler.h"

struct ring {
    uint8_t *slots;
    size_t stride; /**< bytes from slot to slot */
    size_t mask;
    uint8_t apart_first[64]; /**< each of these on a cache line of its own */
    _Atomic size_t tail;     /**< next to fill: producers */
    _Atomic uint64_t refused;
    uint8_t apart_second[64];
    size_t head; /**< next to take: the consumer */
};

/** What a producer holds between claim and publish. */
struct ring_claim {
    void *slot; /**< NULL: the ring is full */
    size_t turn;
};

/** `capacity` is rounded up to a power of two. Slots are aligned to 16 bytes. */
void ring_init(struct ring *ring, size_t slot_size, size_t capacity);
/** Accepts a zeroed ring. */
void ring_done(struct ring *ring);
/** A slot to fill, from any thread; counts a refusal when there is none. */
struct ring_claim ring_claim(struct ring *ring);
/** Whether half of the slots or more are taken: an estimate, from any thread. */
bool ring_is_crowded(const struct ring *ring);
/** Gives the filled slot to the consumer. Between the two nothing may block or fail. */
void ring_publish(struct ring *ring, struct ring_claim claim);
/** The published slot behind `skip` older ones, or NULL. Consumer only. */
void *ring_peek(const struct ring *ring, size_t skip);
/** The oldest published slot, or NULL. Consumer only. */
static inline void *ring_front(const struct ring *ring)
{
    return ring_peek(ring, 0);
}
/** Gives the front slot back to producers. Consumer only. */
void ring_pop(struct ring *ring);
