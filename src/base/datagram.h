/**
 * Batches of outgoing datagrams. Engines write into a batch that the caller owns; the runtime sends
 * it with as few system calls as it can. Datagrams that follow each other on one path with one size
 * form a run, which becomes one UDP_SEGMENT message (the last of a run may be shorter).
 *
 *     uint8_t *at = datagram_batch_reserve(batch, 1500);
 *     if (at)
 *         datagram_batch_commit(batch, &path, write_something(at, 1500));
 */
#pragma once

#include "base/address.h"

/** Largest datagram the batch takes: an Ethernet MTU with room to spare. */
#define DATAGRAM_SIZE_MAX 2048
/** Kernel limits of one UDP_SEGMENT send. */
#define DATAGRAM_RUN_COUNT_MAX 64
#define DATAGRAM_RUN_SIZE_MAX  65000

struct datagram_run {
    struct net_path path;
    uint32_t offset;       /**< of its first datagram in `bytes` */
    uint32_t size;         /**< of all its datagrams */
    uint16_t segment_size; /**< of every datagram but the last */
    uint16_t count;
};

struct datagram_batch {
    uint8_t *bytes;
    uint32_t capacity;
    uint32_t used;
    struct datagram_run *runs;
    uint32_t run_capacity;
    uint32_t run_count;
    /**
     * Called when there is no room for another datagram; sends all and empties the batch. NULL in
     * tests: then reserve returns NULL.
     */
    void (*flush)(struct datagram_batch *batch, void *owner);
    void *owner;
};

/** Allocates room for `capacity` bytes and `run_capacity` runs. */
void datagram_batch_init(struct datagram_batch *batch, uint32_t capacity, uint32_t run_capacity);
void datagram_batch_done(struct datagram_batch *batch);
/** Forgets what was committed. */
void datagram_batch_clear(struct datagram_batch *batch);
/**
 * Room for one datagram of at most `size` (<= DATAGRAM_SIZE_MAX) bytes, valid until the next call.
 * NULL when the batch is full and cannot flush. A reservation without commit costs nothing.
 */
uint8_t *datagram_batch_reserve(struct datagram_batch *batch, size_t size);
/** Adds the `size` bytes written at the reserved place. A size of 0 adds nothing. */
void datagram_batch_commit(struct datagram_batch *batch, const struct net_path *path, size_t size);
/** Reserve, copy, commit. Returns false when there was no room. */
bool datagram_batch_add(struct datagram_batch *batch, const struct net_path *path, const void *data,
                        size_t size);

static inline bool datagram_batch_empty(const struct datagram_batch *batch)
{
    return batch->run_count == 0;
}

/** Walks single datagrams (tests, simulators, the fallback without GSO). */
struct datagram_cursor {
    uint32_t run;
    uint32_t at;
};
/** The next datagram of the batch; false at the end. Start with a zeroed cursor. */
bool datagram_batch_next(const struct datagram_batch *batch, struct datagram_cursor *cursor,
                         struct net_path *ret_path, const uint8_t **ret_data, size_t *ret_size);
