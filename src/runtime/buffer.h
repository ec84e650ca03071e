/** A growing, bounded byte queue; holds no memory while empty. */
#pragma once

#include "base/bytes.h"

struct buffer_memory {
    size_t capacity;
    size_t start; /**< first byte that was not consumed */
    size_t end;
    uint8_t data[];
};

struct buffer {
    struct buffer_memory *memory; /**< NULL: it is empty */
    size_t limit;
};

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_done(struct buffer *buffer);
static inline size_t buffer_size(const struct buffer *buffer)
{
    return buffer->memory ? buffer->memory->end - buffer->memory->start : 0;
}
static inline size_t buffer_room(const struct buffer *buffer)
{
    size_t size = buffer_size(buffer);
    return size < buffer->limit ? buffer->limit - size : 0; // the limit may have become smaller
}
static inline struct bytes buffer_view(const struct buffer *buffer)
{
    const struct buffer_memory *memory = buffer->memory;
    return bytes_of(memory ? memory->data + memory->start : NULL, buffer_size(buffer));
}
/** Room for at least `size` more bytes behind the content, or NULL when that exceeds the limit. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t size);
/** Adds what was written to the reserved room. */
void buffer_commit(struct buffer *buffer, size_t size);
/** Returns 0, or -ENOSPC with nothing added. */
must_check int buffer_append(struct buffer *buffer, struct bytes bytes);
void buffer_consume(struct buffer *buffer, size_t size);
