/**
 * Views of bytes, and a bounds-checked reader and writer (network byte order) that every parser
 * uses instead of pointer arithmetic.
 *
 * Reader and writer are sticky: after the first read past the end, every later read gives zero and
 * `failed` stays set, so that a parser may read a whole structure and check once.
 */
#pragma once

#include "base/compiler.h"

/** A view of bytes owned by someone else. `data` may be NULL only when `size` is 0. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){ .data = data, .size = size };
}

/** A view of a C string without its terminator. */
struct bytes bytes_of_text(const char *text);
bool bytes_equal(struct bytes a, struct bytes b);
/** Equality in time that depends on the sizes only: for secrets and integrity codes. */
bool bytes_equal_constant_time(struct bytes a, struct bytes b);

struct reader {
    const uint8_t *data;
    size_t size;
    size_t at;
    bool failed;
};

static inline struct reader reader_of(const void *data, size_t size)
{
    return (struct reader){ .data = data, .size = size };
}

/** Bytes not read yet; 0 after a failure. */
static inline size_t reader_left(const struct reader *reader)
{
    return reader->failed ? 0 : reader->size - reader->at;
}

/** True when nothing failed and every byte was read. */
static inline bool reader_finished(const struct reader *reader)
{
    return !reader->failed && reader->at == reader->size;
}

uint8_t reader_u8(struct reader *reader);
uint16_t reader_u16(struct reader *reader);
uint32_t reader_u24(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
/** A view of the next `size` bytes; an empty view and `failed` when there are fewer. */
struct bytes reader_bytes(struct reader *reader, size_t size);
/** Copies the next `size` bytes to `out`; zeroes `out` on failure. */
void reader_copy(struct reader *reader, void *out, size_t size);
void reader_skip(struct reader *reader, size_t size);

struct writer {
    uint8_t *data;
    size_t capacity;
    size_t size; /**< bytes written */
    bool failed; /**< something did not fit; `size` stays at the last whole field */
};

static inline struct writer writer_of(void *data, size_t capacity)
{
    return (struct writer){ .data = data, .capacity = capacity };
}

void writer_u8(struct writer *writer, uint8_t value);
void writer_u16(struct writer *writer, uint16_t value);
void writer_u24(struct writer *writer, uint32_t value);
void writer_u32(struct writer *writer, uint32_t value);
void writer_u64(struct writer *writer, uint64_t value);
void writer_bytes(struct writer *writer, const void *data, size_t size);
void writer_zeros(struct writer *writer, size_t size);
/** Overwrites 2 bytes written before, at offset `at`. */
void writer_patch_u16(struct writer *writer, size_t at, uint16_t value);

static inline struct bytes writer_written(const struct writer *writer)
{
    return bytes_of(writer->data, writer->size);
}

/** Unaligned network-order access for code whose bounds were checked once for a whole header. */
static inline uint16_t load_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t load_u24(const uint8_t *at)
{
    return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

static inline uint32_t load_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t load_u64(const uint8_t *at)
{
    return (uint64_t)load_u32(at) << 32 | load_u32(at + 4);
}

static inline void store_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void store_u24(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 16);
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)value;
}

static inline void store_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static inline void store_u64(uint8_t *at, uint64_t value)
{
    store_u32(at, (uint32_t)(value >> 32));
    store_u32(at + 4, (uint32_t)value);
}
