#include "base/json_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

struct reading {
    const uint8_t *at;
    const uint8_t *begin;
    const uint8_t *end;
    const struct json_limits *limits;
    struct json_value *values;
    uint32_t count;
    uint32_t capacity;
    char *texts; /**< as large as the input: no text is longer than it was written */
    char *text_at;
    uint32_t depth; /**< of arrays and objects that we are in */
};

/** ---- texts ---- */

#define ONES  0x0101010101010101ull
#define HIGHS 0x8080808080808080ull

/** Whether one of eight bytes ends a run: a quote, a backslash, a control, or one beyond ASCII. */
static bool has_special(uint64_t word)
{
    uint64_t quote = word ^ (ONES * '"'), backslash = word ^ (ONES * '\\');
    // a byte below n, or with its high bit, shows in the high bit of (word - n) | word
    return (((word - ONES * 0x20) | (quote - ONES) | (backslash - ONES) | word) & HIGHS) != 0;
}

/** Plain characters from `at` on. */
static const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end)
{
    uint64_t word;
    while ((size_t)(end - at) >= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        if (has_special(word))
            break;
        at += sizeof(word);
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

/** Four hexadecimal digits, or -1. */
static int read_hex(const uint8_t *at, const uint8_t *end)
{
    int value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static void put(struct reading *reading, uint32_t byte)
{
    *reading->text_at++ = (char)byte;
}

static void put_utf8(struct reading *reading, uint32_t point)
{
    if (point < 0x80) {
        put(reading, point);
    } else if (point < 0x800) {
        put(reading, 0xc0 | point >> 6);
        put(reading, 0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        put(reading, 0xe0 | point >> 12);
        put(reading, 0x80 | (point >> 6 & 0x3f));
        put(reading, 0x80 | (point & 0x3f));
    } else {
        put(reading, 0xf0 | point >> 18);
        put(reading, 0x80 | (point >> 12 & 0x3f));
        put(reading, 0x80 | (point >> 6 & 0x3f));
        put(reading, 0x80 | (point & 0x3f));
    }
}

/** Behind "\u". A character beyond the first 65,536 is two of them, a surrogate pair. */
static bool read_unicode(struct reading *reading)
{
    int first = read_hex(reading->at, reading->end);
    if (first <= 0 || (first >= 0xdc00 && first <= 0xdfff))
        return false;
    reading->at += 4;
    if (first < 0xd800 || first > 0xdbff) {
        put_utf8(reading, (uint32_t)first);
        return true;
    }
    if (reading->end - reading->at < 6 || reading->at[0] != '\\' || reading->at[1] != 'u')
        return false;
    int second = read_hex(reading->at + 2, reading->end);
    if (second < 0xdc00 || second > 0xdfff)
        return false;
    reading->at += 6;
    put_utf8(reading, 0x10000 + (((uint32_t)first - 0xd800) << 10) + ((uint32_t)second - 0xdc00));
    return true;
}

static bool read_escape(struct reading *reading)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (reading->at == reading->end)
        return false;
    uint8_t name = *reading->at++;
    if (name == 'u')
        return read_unicode(reading);
    const char *place = name ? strchr(names, name) : NULL;
    if (place)
        put(reading, (uint8_t)meanings[place - names]);
    return place != NULL;
}

/** Behind the opening quote. Ends with a NUL in `texts`; the size is without it. */
static bool read_text(struct reading *reading, const char **ret_text, size_t *ret_size)
{
    char *text = reading->text_at;
    bool ascii = true;
    for (;;) {
        const uint8_t *from = reading->at;
        reading->at = skip_plain(from, reading->end);
        size_t plain = (size_t)(reading->at - from);
        memcpy(reading->text_at, from, plain);
        reading->text_at += plain;
        if (reading->at == reading->end)
            return false;
        uint8_t character = *reading->at;
        if (character < 0x20)
            return false;
        reading->at++;
        if (character == '"')
            break;
        if (character >= 0x80) {
            ascii = false;
            put(reading, character);
        } else if (!read_escape(reading)) {
            return false;
        }
    }
    size_t size = (size_t)(reading->text_at - text);
    if (!ascii && !text_is_utf8(bytes_of(text, size)))
        return false;
    put(reading, 0);
    *ret_text = text;
    *ret_size = size;
    return true;
}

/** ---- numbers and words ---- */

static bool is_digit(const struct reading *reading)
{
    return reading->at < reading->end && *reading->at >= '0' && *reading->at <= '9';
}

static bool skip_digits(struct reading *reading)
{
    const uint8_t *from = reading->at;
    while (is_digit(reading))
        reading->at++;
    return reading->at > from;
}

static bool take_byte(struct reading *reading, char byte)
{
    if (reading->at == reading->end || *reading->at != (uint8_t)byte)
        return false;
    reading->at++;
    return true;
}

/** Fraction and exponent, if any. False: broken; `ret_any`: there was one. */
static bool skip_fraction(struct reading *reading, bool *ret_any)
{
    const uint8_t *from = reading->at;
    if (take_byte(reading, '.') && !skip_digits(reading))
        return false;
    if (take_byte(reading, 'e') || take_byte(reading, 'E')) {
        if (!take_byte(reading, '+'))
            (void)take_byte(reading, '-');
        if (!skip_digits(reading))
            return false;
    }
    *ret_any = reading->at > from;
    return true;
}

static bool read_number(struct reading *reading, struct json_value *value)
{
    bool negative = take_byte(reading, '-');
    const uint8_t *digits = reading->at;
    if (!skip_digits(reading) || (*digits == '0' && reading->at > digits + 1))
        return false;
    struct bytes whole = bytes_of(digits, (size_t)(reading->at - digits));
    bool broken;
    if (!skip_fraction(reading, &broken))
        return false;
    uint64_t number;
    bool fits = !broken && text_parse_u64(whole, INT64_MAX, &number) == 0;
    value->kind = fits ? JSON_KIND_INTEGER : JSON_KIND_NUMBER;
    if (fits)
        value->integer = negative ? -(int64_t)number : (int64_t)number;
    return true;
}

static bool read_word(struct reading *reading, struct json_value *value, const char *word,
                      enum json_kind kind)
{
    size_t size = strlen(word);
    if ((size_t)(reading->end - reading->at) < size || memcmp(reading->at, word, size) != 0)
        return false;
    reading->at += size;
    value->kind = kind;
    return true;
}

static bool read_scalar(struct reading *reading, struct json_value *value)
{
    size_t size;
    switch (*reading->at) {
    case '"':
        reading->at++;
        value->kind = JSON_KIND_TEXT;
        if (!read_text(reading, &value->text, &size))
            return false;
        value->integer = (int64_t)size;
        return true;
    case 't':
        return read_word(reading, value, "true", JSON_KIND_TRUE);
    case 'f':
        return read_word(reading, value, "false", JSON_KIND_FALSE);
    case 'n':
        return read_word(reading, value, "null", JSON_KIND_NULL);
    default:
        return read_number(reading, value);
    }
}

/** ---- arrays and objects ---- */

static void skip_space(struct reading *reading)
{
    while (reading->at < reading->end && (*reading->at == ' ' || *reading->at == '\n' ||
                                          *reading->at == '\r' || *reading->at == '\t'))
        reading->at++;
}

/** A member's name or nothing stands before a value. */
struct name {
    const char *text;
    size_t size;
};

static int read_value(struct reading *reading, struct name name);

static bool has_member(const struct json_value *object, struct name name)
{
    const struct json_value *member = json_first(object);
    for (uint32_t i = 0; i < object->count; i++, member = json_next(member)) {
        if (member->name_size == name.size && memcmp(member->name, name.text, name.size) == 0)
            return true;
    }
    return false;
}

static int read_member(struct reading *reading, uint32_t object)
{
    struct name name;
    if (!take_byte(reading, '"') || !read_text(reading, &name.text, &name.size))
        return -EBADMSG;
    if (reading->values[object].count == JSON_MEMBERS_MAX)
        return -E2BIG;
    if (has_member(&reading->values[object], name))
        return -EBADMSG;
    skip_space(reading);
    if (!take_byte(reading, ':'))
        return -EBADMSG;
    skip_space(reading);
    return read_value(reading, name);
}

/** What is in the array or object at `place`, up to `closing`. */
static int read_inner(struct reading *reading, uint32_t place, char closing)
{
    reading->at++;
    if (reading->depth == min_of(reading->limits->depth_max, (uint32_t)JSON_DEPTH_MAX))
        return -E2BIG;
    reading->depth++;
    skip_space(reading);
    bool ended = take_byte(reading, closing);
    while (!ended) {
        int result =
            closing == '}' ? read_member(reading, place) : read_value(reading, (struct name){ 0 });
        if (result < 0)
            return result;
        reading->values[place].count++; // `values` may have moved
        skip_space(reading);
        ended = take_byte(reading, closing);
        if (ended)
            break;
        if (!take_byte(reading, ','))
            return -EBADMSG;
        skip_space(reading);
    }
    reading->depth--;
    return 0;
}

static uint32_t add_value(struct reading *reading)
{
    if (reading->count == reading->capacity) {
        reading->capacity = max_of(reading->capacity * 2, 16u);
        reading->values =
            memory_resize(reading->values, reading->capacity * sizeof(*reading->values));
    }
    return reading->count++;
}

static int read_value(struct reading *reading, struct name name)
{
    if (reading->at == reading->end)
        return -EBADMSG;
    if (reading->count == reading->limits->values_max)
        return -E2BIG;
    uint32_t place = add_value(reading);
    struct json_value *value = &reading->values[place];
    const uint8_t *from = reading->at;
    *value = (struct json_value){ .name = name.text, .name_size = (uint32_t)name.size };
    int result;
    if (*from == '{' || *from == '[') {
        value->kind = *from == '{' ? JSON_KIND_OBJECT : JSON_KIND_ARRAY;
        result = read_inner(reading, place, *from == '{' ? '}' : ']');
        value = &reading->values[place];
    } else {
        result = read_scalar(reading, value) ? 0 : -EBADMSG;
    }
    value->span = reading->count - place;
    value->source = bytes_of(from, (size_t)(reading->at - from));
    return result;
}

/** ---- the whole ---- */

static struct json_problem where(const struct reading *reading)
{
    struct json_problem problem = { .line = 1, .column = 1 };
    for (const uint8_t *at = reading->begin; at < reading->at; at++) {
        problem.column++;
        if (*at == '\n')
            problem = (struct json_problem){ .line = problem.line + 1, .column = 1 };
    }
    return problem;
}

int json_read(struct bytes text, const struct json_limits *limits,
              struct json_document *ret_document, struct json_problem *ret_problem)
{
    struct reading reading = {
        .at = text.data, .begin = text.data, .end = text.data + text.size, .limits = limits
    };
    reading.texts = memory_allocate(1, text.size + 1);
    reading.text_at = reading.texts;
    skip_space(&reading);
    int result = read_value(&reading, (struct name){ 0 });
    skip_space(&reading);
    if (result == 0 && reading.at < reading.end)
        result = -EBADMSG; // something behind it
    struct json_document document = { .values = reading.values, .texts = reading.texts };
    if (result < 0) {
        *ret_problem = where(&reading);
        json_document_done(&document);
        return result;
    }
    *ret_document = document;
    return 0;
}

void json_document_done(struct json_document *document)
{
    free(document->values);
    free(document->texts);
    *document = (struct json_document){ 0 };
}

const struct json_value *json_member(const struct json_value *object, const char *name)
{
    if (!object || object->kind != JSON_KIND_OBJECT)
        return NULL;
    const struct json_value *member = json_first(object);
    for (uint32_t i = 0; i < object->count; i++, member = json_next(member)) {
        if (strcmp(member->name, name) == 0)
            return member;
    }
    return NULL;
}
