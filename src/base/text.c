#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text_builder text_builder_of(char *data, size_t capacity)
{
    ensure(capacity >= 1);
    data[0] = '\0';
    return (struct text_builder){ .data = data, .capacity = capacity };
}

void text_append_bytes(struct text_builder *builder, struct bytes bytes)
{
    if (builder->truncated || bytes.size == 0)
        return;
    if (builder->capacity - builder->length - 1 < bytes.size) {
        builder->truncated = true;
        return;
    }
    memcpy(builder->data + builder->length, bytes.data, bytes.size);
    builder->length += bytes.size;
    builder->data[builder->length] = '\0';
}

void text_append(struct text_builder *builder, const char *text)
{
    text_append_bytes(builder, bytes_of_text(text));
}

void text_append_format(struct text_builder *builder, const char *format, ...)
{
    if (builder->truncated)
        return;
    size_t room = builder->capacity - builder->length;
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(builder->data + builder->length, room, format, arguments);
    va_end(arguments);
    if (count < 0 || (size_t)count >= room) {
        builder->data[builder->length] = '\0';
        builder->truncated = true;
        return;
    }
    builder->length += (size_t)count;
}

int text_copy(char *out, size_t capacity, struct bytes text)
{
    out[0] = '\0';
    if (text.size >= capacity)
        return -ENAMETOOLONG;
    if (text.size > 0)
        memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return 0;
}

bool text_equal(struct bytes a, const char *b)
{
    return bytes_equal(a, bytes_of_text(b));
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool text_equal_ignore_case(struct bytes a, const char *b)
{
    if (a.size != strlen(b))
        return false;
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.data[i]) != lower((uint8_t)b[i]))
            return false;
    }
    return true;
}

bool text_starts_with(struct bytes text, const char *prefix)
{
    size_t length = strlen(prefix);
    return text.size >= length && (length == 0 || memcmp(text.data, prefix, length) == 0);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

struct bytes text_trim(struct bytes text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

struct bytes text_take_until(struct bytes *rest, char separator)
{
    const uint8_t *found = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
    if (!found) {
        struct bytes all = *rest;
        *rest = bytes_of(NULL, 0);
        return all;
    }
    struct bytes taken = bytes_of(rest->data, (size_t)(found - rest->data));
    *rest = bytes_of(found + 1, rest->size - taken.size - 1);
    return taken;
}

/** Length of the well-formed UTF-8 sequence at `at`, or 0 (RFC 3629, section 4). */
static size_t utf8_sequence(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || left < length)
        return 0;
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return length;
}

bool text_is_utf8(struct bytes text)
{
    size_t at = 0;
    while (at < text.size) {
        size_t length = utf8_sequence(text.data + at, text.size - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

int text_parse_u64(struct bytes text, uint64_t max, uint64_t *ret_value)
{
    if (text.size == 0)
        return -EINVAL;
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -EINVAL;
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return -ERANGE;
        value = value * 10 + digit;
    }
    if (value > max)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

void text_hex_write(struct bytes bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        *out++ = digits[bytes.data[i] >> 4];
        *out++ = digits[bytes.data[i] & 15];
    }
    *out = '\0';
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_hex_parse(struct bytes text, uint8_t *out, size_t capacity)
{
    if (text.size % 2)
        return -EINVAL;
    if (text.size / 2 > capacity)
        return -ENOSPC;
    for (size_t i = 0; i < text.size; i += 2) {
        int high = hex_digit(text.data[i]);
        int low = hex_digit(text.data[i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return (int)(text.size / 2);
}

static char *base64_write(struct bytes bytes, char *out, const char *alphabet, bool padded)
{
    size_t at = 0;
    while (at < bytes.size) {
        size_t count = min_of((size_t)3, bytes.size - at);
        uint32_t group = (uint32_t)bytes.data[at] << 16;
        if (count > 1)
            group |= (uint32_t)bytes.data[at + 1] << 8;
        if (count > 2)
            group |= bytes.data[at + 2];
        for (size_t i = 0; i <= count; i++)
            *out++ = alphabet[group >> (18 - 6 * i) & 63];
        for (size_t i = count; padded && i < 3; i++)
            *out++ = '=';
        at += count;
    }
    *out = '\0';
    return out;
}

void text_base64_write(struct bytes bytes, char *out)
{
    base64_write(bytes, out, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                 true);
}

void text_base64url_write(struct bytes bytes, char *out)
{
    base64_write(bytes, out, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                 false);
}

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

int text_base64_parse(struct bytes text, uint8_t *out, size_t capacity)
{
    for (int i = 0; i < 2 && text.size > 0 && text.data[text.size - 1] == '='; i++)
        text.size--;
    if (text.size % 4 == 1)
        return -EINVAL;
    size_t count = text.size / 4 * 3 + (text.size % 4 ? text.size % 4 - 1 : 0);
    if (count > capacity)
        return -ENOSPC;
    uint32_t group = 0;
    size_t written = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return -EINVAL;
        group = group << 6 | (uint32_t)digit;
        size_t bits = (i + 1) * 6;
        if (bits / 8 > written) {
            out[written] = (uint8_t)(group >> (bits % 8));
            written++;
        }
    }
    return (int)written;
}
