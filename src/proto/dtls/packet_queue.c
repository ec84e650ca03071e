#include "proto/dtls/packet_queue_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define PREFIX 2

uint8_t *packet_queue_reserve(struct packet_queue *queue, size_t size)
{
    if (size > UINT16_MAX || queue->end - queue->begin + PREFIX + size > PACKET_QUEUE_SIZE_MAX)
        return NULL;
    if (queue->begin > 0) {
        memmove(queue->bytes, queue->bytes + queue->begin, queue->end - queue->begin);
        queue->end -= queue->begin;
        queue->begin = 0;
    }
    if (queue->capacity - queue->end < PREFIX + size) {
        queue->capacity = max_of(queue->end + PREFIX + size, 2 * queue->capacity);
        queue->bytes = memory_resize(queue->bytes, queue->capacity);
    }
    return queue->bytes + queue->end + PREFIX;
}

void packet_queue_commit(struct packet_queue *queue, size_t size)
{
    ensure(queue->capacity - queue->end >= PREFIX + size);
    store_u16(queue->bytes + queue->end, (uint16_t)size);
    queue->end += PREFIX + size;
}

struct bytes packet_queue_first(const struct packet_queue *queue)
{
    if (packet_queue_empty(queue))
        return bytes_of(NULL, 0);
    const uint8_t *at = queue->bytes + queue->begin;
    return bytes_of(at + PREFIX, load_u16(at));
}

void packet_queue_remove(struct packet_queue *queue)
{
    if (packet_queue_empty(queue))
        return;
    queue->begin += PREFIX + load_u16(queue->bytes + queue->begin);
    if (queue->begin == queue->end)
        queue->begin = queue->end = 0;
}

void packet_queue_done(struct packet_queue *queue)
{
    free(queue->bytes);
    *queue = (struct packet_queue){ 0 };
}
