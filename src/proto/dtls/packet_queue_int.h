/** A bounded queue of byte strings (records out, application data in), one allocation. */
#pragma once

#include "base/bytes.h"

#define PACKET_QUEUE_SIZE_MAX (64u << 10)

struct packet_queue {
    uint8_t *bytes; // each packet behind its 16-bit size
    size_t capacity;
    size_t begin;
    size_t end;
};

static inline bool packet_queue_empty(const struct packet_queue *queue)
{
    return queue->begin == queue->end;
}

/** Room for a packet of `size` bytes at the end, or NULL when the queue is full. */
uint8_t *packet_queue_reserve(struct packet_queue *queue, size_t size);
/** Adds the packet written at the reserved place. */
void packet_queue_commit(struct packet_queue *queue, size_t size);
/** The first packet; empty data when there is none. Stays valid until the next reserve. */
struct bytes packet_queue_first(const struct packet_queue *queue);
void packet_queue_remove(struct packet_queue *queue);
void packet_queue_done(struct packet_queue *queue);
