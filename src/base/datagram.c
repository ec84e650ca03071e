#include "base/datagram.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void datagram_batch_init(struct datagram_batch *batch, uint32_t capacity, uint32_t run_capacity)
{
    ensure(capacity >= DATAGRAM_SIZE_MAX && run_capacity > 0);
    *batch = (struct datagram_batch){
        .bytes = memory_new_array(uint8_t, capacity),
        .capacity = capacity,
        .runs = memory_new_array(struct datagram_run, run_capacity),
        .run_capacity = run_capacity,
    };
}

void datagram_batch_done(struct datagram_batch *batch)
{
    free(batch->bytes);
    free(batch->runs);
    *batch = (struct datagram_batch){ 0 };
}

void datagram_batch_clear(struct datagram_batch *batch)
{
    batch->used = 0;
    batch->run_count = 0;
}

uint8_t *datagram_batch_reserve(struct datagram_batch *batch, size_t size)
{
    ensure(size <= DATAGRAM_SIZE_MAX);
    if (batch->capacity - batch->used < size || batch->run_count == batch->run_capacity) {
        if (!batch->flush)
            return NULL;
        batch->flush(batch, batch->owner);
        ensure(batch->run_count == 0 && batch->used == 0);
    }
    return batch->bytes + batch->used;
}

/** Whether a datagram of `size` may join `run`: same path, and no short segment in the middle. */
static bool run_takes(const struct datagram_run *run, const struct net_path *path, size_t size)
{
    bool all_full = run->size == (uint32_t)run->segment_size * run->count;
    return all_full && size <= run->segment_size && run->count < DATAGRAM_RUN_COUNT_MAX &&
           run->size + size <= DATAGRAM_RUN_SIZE_MAX && net_path_equal(&run->path, path);
}

void datagram_batch_commit(struct datagram_batch *batch, const struct net_path *path, size_t size)
{
    if (size == 0)
        return;
    ensure(size <= DATAGRAM_SIZE_MAX && size <= batch->capacity - batch->used);
    if (batch->run_count > 0 && run_takes(&batch->runs[batch->run_count - 1], path, size)) {
        struct datagram_run *last = &batch->runs[batch->run_count - 1];
        last->size += (uint32_t)size;
        last->count++;
    } else {
        ensure(batch->run_count < batch->run_capacity);
        batch->runs[batch->run_count++] = (struct datagram_run){
            .path = *path,
            .offset = batch->used,
            .size = (uint32_t)size,
            .segment_size = (uint16_t)size,
            .count = 1,
        };
    }
    batch->used += (uint32_t)size;
}

bool datagram_batch_add(struct datagram_batch *batch, const struct net_path *path, const void *data,
                        size_t size)
{
    uint8_t *at = datagram_batch_reserve(batch, size);
    if (!at)
        return false;
    memcpy(at, data, size);
    datagram_batch_commit(batch, path, size);
    return true;
}

bool datagram_batch_next(const struct datagram_batch *batch, struct datagram_cursor *cursor,
                         struct net_path *ret_path, const uint8_t **ret_data, size_t *ret_size)
{
    if (cursor->run >= batch->run_count)
        return false;
    const struct datagram_run *run = &batch->runs[cursor->run];
    *ret_path = run->path;
    *ret_data = batch->bytes + run->offset + cursor->at;
    *ret_size = min_of((uint32_t)run->segment_size, run->size - cursor->at);
    cursor->at += (uint32_t)*ret_size;
    if (cursor->at >= run->size)
        *cursor = (struct datagram_cursor){ .run = cursor->run + 1 };
    return true;
}
