/** Text: a bounded builder, numbers, comparison, and the encodings that protocols share. */
#pragma once

#include "base/bytes.h"

/**
 * Builds text in a buffer of the caller's. Always terminated; `truncated` stays set once something
 * did not fit, so that a writer checks once at the end.
 */
struct text_builder {
    char *data;
    size_t capacity;
    size_t length;
    bool truncated;
};

/** `capacity` includes the terminator and must be at least 1. */
struct text_builder text_builder_of(char *data, size_t capacity);
void text_append(struct text_builder *builder, const char *text);
void text_append_bytes(struct text_builder *builder, struct bytes bytes);
void text_append_format(struct text_builder *builder, const char *format, ...) format_check(2, 3);

/**
 * Copies `text` (with terminator) into `out` of `capacity`. Returns 0, or -ENAMETOOLONG with
 * `out` an empty string.
 */
must_check int text_copy(char *out, size_t capacity, struct bytes text);

bool text_equal(struct bytes a, const char *b);
bool text_equal_ignore_case(struct bytes a, const char *b);
bool text_starts_with(struct bytes text, const char *prefix);
/** ASCII white space (space, tab) removed at both ends. */
struct bytes text_trim(struct bytes text);
/**
 * Takes the part of `*rest` before the first `separator` and moves `*rest` behind it. When there
 * is no separator, takes all and leaves `*rest` empty with data NULL.
 */
struct bytes text_take_until(struct bytes *rest, char separator);
/** True when the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool text_is_utf8(struct bytes text);

/** Decimal digits only, whole text, at most `max`. Returns 0, -EINVAL or -ERANGE. */
must_check int text_parse_u64(struct bytes text, uint64_t max, uint64_t *ret_value);

/** Lower-case hex with terminator; `out` holds 2 * size + 1. */
void text_hex_write(struct bytes bytes, char *out);
/** Whole text must be pairs of hex digits. Returns the byte count or -EINVAL / -ENOSPC. */
must_check int text_hex_parse(struct bytes text, uint8_t *out, size_t capacity);

/** Size of a base64 text with terminator for `size` bytes. */
#define TEXT_BASE64_SIZE(size) (((size) + 2) / 3 * 4 + 1)
/** RFC 4648, section 4 (with padding); `out` holds TEXT_BASE64_SIZE(bytes.size). */
void text_base64_write(struct bytes bytes, char *out);
/** RFC 4648, section 5 (URL alphabet, no padding); `out` holds TEXT_BASE64_SIZE(bytes.size). */
void text_base64url_write(struct bytes bytes, char *out);
/** Accepts both alphabets, padding optional. Returns the byte count or -EINVAL / -ENOSPC. */
must_check int text_base64_parse(struct bytes text, uint8_t *out, size_t capacity);
