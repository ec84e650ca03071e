/** Published vectors are written in hexadecimal: here they become bytes, and bytes are compared. */
#pragma once

#include "support/check.h"

#include "base/text.h"

struct hex_buffer {
    uint8_t data[256];
    size_t size;
};

/** The bytes that `text` writes down, kept in `buffer`. */
static inline struct bytes hex_read(const char *text, struct hex_buffer *buffer)
{
    int size = text_hex_parse(bytes_of_text(text), buffer->data, sizeof(buffer->data));
    assert_true(size >= 0);
    buffer->size = (size_t)size;
    return bytes_of(buffer->data, buffer->size);
}

static inline void hex_check(const uint8_t *data, size_t size, const char *expected)
{
    char hex[2 * sizeof(((struct hex_buffer *)NULL)->data) + 1];
    assert_true(2 * size < sizeof(hex));
    text_hex_write(bytes_of(data, size), hex);
    assert_text_equal(hex, expected);
}
