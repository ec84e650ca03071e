/**
 * Whole messages that wait for a slow client, each with the time it came: first in, first out, in
 * one piece of memory that is there only while something waits.
 *
 *     | time 8 | size 4 | 4 | message, to a multiple of 8 |  next ...
 *
 * A message is never split at the end of the memory, so that it can be written as one.
 */
#pragma once

#include "base/bytes.h"

struct turn_queue {
    uint8_t *data;
    uint32_t capacity;
    uint32_t head;  /**< first byte of the oldest entry */
    uint32_t tail;  /**< where the next entry goes */
    uint32_t used;  /**< bytes of all entries with their heads */
    uint32_t count; /**< entries */
};

/** Frees all; the queue is empty and usable. */
void turn_queue_done(struct turn_queue *queue);
/**
 * Room for one more message of `size` bytes, to be written by the caller; NULL when all together
 * would take more than `limit` bytes (up to 1 GiB). The memory is at most twice the limit.
 */
uint8_t *turn_queue_add(struct turn_queue *queue, uint32_t limit, uint64_t now_us, uint32_t size);
/** The oldest message, valid until the next call; false when none waits. */
bool turn_queue_first(const struct turn_queue *queue, uint64_t *ret_time_us,
                      struct bytes *ret_message);
/** Removes the oldest message. */
void turn_queue_remove(struct turn_queue *queue);
