#include "base/bytes.h"

#include <string.h>

struct bytes bytes_of_text(const char *text)
{
    return bytes_of(text, strlen(text));
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool bytes_equal_constant_time(struct bytes a, struct bytes b)
{
    if (a.size != b.size)
        return false;
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < a.size; i++)
        difference = (uint8_t)(difference | (a.data[i] ^ b.data[i]));
    return difference == 0;
}

/** The next `size` bytes, or NULL and a sticky failure. */
static const uint8_t *reader_take(struct reader *reader, size_t size)
{
    if (reader->failed || reader->size - reader->at < size) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *at = reader->data + reader->at;
    reader->at += size;
    return at;
}

uint8_t reader_u8(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 1);
    return at ? *at : 0;
}

uint16_t reader_u16(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 2);
    return at ? load_u16(at) : 0;
}

uint32_t reader_u24(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 3);
    return at ? load_u24(at) : 0;
}

uint32_t reader_u32(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 4);
    return at ? load_u32(at) : 0;
}

uint64_t reader_u64(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 8);
    return at ? load_u64(at) : 0;
}

struct bytes reader_bytes(struct reader *reader, size_t size)
{
    if (size == 0)
        return bytes_of(NULL, 0);
    const uint8_t *at = reader_take(reader, size);
    return bytes_of(at, at ? size : 0);
}

void reader_copy(struct reader *reader, void *out, size_t size)
{
    if (size == 0)
        return;
    const uint8_t *at = reader_take(reader, size);
    if (at)
        memcpy(out, at, size);
    else
        memset(out, 0, size);
}

void reader_skip(struct reader *reader, size_t size)
{
    if (size > 0)
        reader_take(reader, size);
}

/** Room for `size` more bytes, or NULL and a sticky failure. */
static uint8_t *writer_take(struct writer *writer, size_t size)
{
    if (writer->failed || writer->capacity - writer->size < size) {
        writer->failed = true;
        return NULL;
    }
    uint8_t *at = writer->data + writer->size;
    writer->size += size;
    return at;
}

void writer_u8(struct writer *writer, uint8_t value)
{
    uint8_t *at = writer_take(writer, 1);
    if (at)
        *at = value;
}

void writer_u16(struct writer *writer, uint16_t value)
{
    uint8_t *at = writer_take(writer, 2);
    if (at)
        store_u16(at, value);
}

void writer_u24(struct writer *writer, uint32_t value)
{
    uint8_t *at = writer_take(writer, 3);
    if (at)
        store_u24(at, value);
}

void writer_u32(struct writer *writer, uint32_t value)
{
    uint8_t *at = writer_take(writer, 4);
    if (at)
        store_u32(at, value);
}

void writer_u64(struct writer *writer, uint64_t value)
{
    uint8_t *at = writer_take(writer, 8);
    if (at)
        store_u64(at, value);
}

void writer_bytes(struct writer *writer, const void *data, size_t size)
{
    if (size == 0)
        return;
    uint8_t *at = writer_take(writer, size);
    if (at)
        memcpy(at, data, size);
}

void writer_zeros(struct writer *writer, size_t size)
{
    if (size == 0)
        return;
    uint8_t *at = writer_take(writer, size);
    if (at)
        memset(at, 0, size);
}

void writer_patch_u16(struct writer *writer, size_t at, uint16_t value)
{
    if (writer->failed)
        return;
    ensure(at + 2 <= writer->size);
    store_u16(writer->data + at, value);
}
