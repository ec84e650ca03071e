#include "runtime/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define CAPACITY_FIRST 4096

void buffer_init(struct buffer *buffer, size_t limit)
{
    *buffer = (struct buffer){ .limit = limit };
}

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){ .limit = buffer->limit };
}

static void move_to_front(struct buffer *buffer)
{
    size_t size = buffer_size(buffer);
    if (buffer->start > 0 && size > 0)
        memmove(buffer->data, buffer->data + buffer->start, size);
    buffer->start = 0;
    buffer->end = size;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t size)
{
    if (size > buffer_room(buffer))
        return NULL;
    size_t needed = buffer_size(buffer) + size;
    if (needed > buffer->capacity) {
        size_t capacity = max_of(buffer->capacity, (size_t)CAPACITY_FIRST);
        while (capacity < needed)
            capacity *= 2;
        move_to_front(buffer);
        buffer->data = memory_resize(buffer->data, capacity);
        buffer->capacity = capacity;
    } else if (buffer->capacity - buffer->end < size) {
        move_to_front(buffer);
    }
    return buffer->data + buffer->end;
}

void buffer_commit(struct buffer *buffer, size_t size)
{
    ensure(size <= buffer->capacity - buffer->end);
    buffer->end += size;
}

int buffer_append(struct buffer *buffer, struct bytes bytes)
{
    if (bytes.size == 0)
        return 0;
    uint8_t *at = buffer_reserve(buffer, bytes.size);
    if (!at)
        return -ENOSPC;
    memcpy(at, bytes.data, bytes.size);
    buffer_commit(buffer, bytes.size);
    return 0;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    ensure(size <= buffer_size(buffer));
    buffer->start += size;
    if (buffer->start == buffer->end)
        buffer_done(buffer);
}
