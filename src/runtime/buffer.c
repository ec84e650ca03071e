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
    free(buffer->memory);
    buffer->memory = NULL;
}

static void move_to_front(struct buffer_memory *memory)
{
    size_t size = memory->end - memory->start;
    if (memory->start > 0 && size > 0)
        memmove(memory->data, memory->data + memory->start, size);
    memory->start = 0;
    memory->end = size;
}

static void grow(struct buffer *buffer, size_t needed)
{
    struct buffer_memory *memory = buffer->memory;
    size_t capacity = memory ? memory->capacity : CAPACITY_FIRST;
    while (capacity < needed)
        capacity *= 2;
    if (memory)
        move_to_front(memory);
    buffer->memory = memory_resize(memory, sizeof(*memory) + capacity);
    if (!memory)
        buffer->memory->start = buffer->memory->end = 0;
    buffer->memory->capacity = capacity;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t size)
{
    if (size > buffer_room(buffer))
        return NULL;
    size_t needed = buffer_size(buffer) + size;
    struct buffer_memory *memory = buffer->memory;
    if (!memory || needed > memory->capacity)
        grow(buffer, needed);
    else if (memory->capacity - memory->end < size)
        move_to_front(memory);
    return buffer->memory->data + buffer->memory->end;
}

void buffer_commit(struct buffer *buffer, size_t size)
{
    struct buffer_memory *memory = buffer->memory;
    ensure(size <= memory->capacity - memory->end);
    memory->end += size;
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
    if (size == buffer_size(buffer))
        buffer_done(buffer);
    else
        buffer->memory->start += size;
}
