#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "proto/http/http_framing.h"

/** Buffers up to this size are kept between the messages of a connection. */
#define HEAD_KEEP_SIZE 2048
/** Empty lines that are skipped in front of a message (RFC 9112, 2.2). */
#define EMPTY_LINES_MAX 4

struct http_limits http_limits_with_defaults(const struct http_limits *limits)
{
    struct http_limits result = limits ? *limits : (struct http_limits){ 0 };
    if (result.first_line_size_max == 0)
        result.first_line_size_max = 8192;
    if (result.head_size_max == 0)
        result.head_size_max = 16384;
    if (result.header_count_max == 0)
        result.header_count_max = 100;
    if (result.body_size_max == 0)
        result.body_size_max = 1 << 20;
    return result;
}

void http_head_done(struct http_head *head)
{
    free(head->data);
    free(head->fields);
    *head = (struct http_head){ 0 };
}

void http_head_clear(struct http_head *head)
{
    if (head->capacity > HEAD_KEEP_SIZE) {
        http_head_done(head);
        return;
    }
    free(head->fields);
    *head = (struct http_head){ .data = head->data, .capacity = head->capacity };
}

void http_head_reserve(struct http_head *head, uint32_t size)
{
    uint32_t needed = head->size + size;
    if (needed <= head->capacity)
        return;
    uint32_t capacity = max_of(head->capacity, (uint32_t)512);
    while (capacity < needed)
        capacity *= 2;
    head->data = memory_resize(head->data, capacity);
    head->capacity = capacity;
}

/** Ends the line that was just completed. */
static enum http_refusal line_finish(struct http_head *head, bool *ret_complete)
{
    const char *line = head->data + head->line_start;
    size_t size = head->size - head->line_start;
    if (size < 2 || line[size - 2] != '\r')
        return HTTP_REFUSAL_BARE_LINE_FEED;
    if (memchr(line, '\r', size - 2))
        return HTTP_REFUSAL_BARE_CARRIAGE_RETURN;
    if (size == 2 && head->first_line_size == 0) {
        head->size = head->line_start;
        head->empty_lines++;
        return head->empty_lines > EMPTY_LINES_MAX ? HTTP_REFUSAL_BAD_REQUEST_LINE
                                                   : HTTP_REFUSAL_NONE;
    }
    if (head->first_line_size == 0)
        head->first_line_size = head->size;
    head->line_start = head->size;
    *ret_complete = size == 2;
    return HTTP_REFUSAL_NONE;
}

enum http_refusal http_head_input(struct http_head *head, const struct http_limits *limits,
                                  struct bytes input, size_t *ret_taken, bool *ret_complete)
{
    *ret_taken = 0;
    *ret_complete = false;
    while (*ret_taken < input.size && !*ret_complete) {
        const uint8_t *at = input.data + *ret_taken;
        size_t left = input.size - *ret_taken;
        const uint8_t *end = memchr(at, '\n', left);
        size_t size = end ? (size_t)(end - at) + 1 : left;
        bool first = head->first_line_size == 0;
        if (first && size > limits->first_line_size_max + 2 - head->size)
            return HTTP_REFUSAL_REQUEST_LINE_TOO_LONG;
        if (size > limits->head_size_max + 2 - min_of(head->size, limits->head_size_max + 2))
            return HTTP_REFUSAL_HEAD_TOO_LARGE;
        http_head_reserve(head, (uint32_t)size);
        memcpy(head->data + head->size, at, size);
        head->size += (uint32_t)size;
        *ret_taken += size;
        if (!end)
            break;
        enum http_refusal refusal = line_finish(head, ret_complete);
        if (refusal)
            return refusal;
    }
    return HTTP_REFUSAL_NONE;
}

struct bytes http_head_first_line(const struct http_head *head)
{
    return bytes_of(head->data, head->first_line_size - 2);
}

/** One "name: value" line (RFC 9112, 5.1). */
static enum http_refusal field_parse(struct bytes line, struct http_header *ret_field)
{
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return HTTP_REFUSAL_FOLDED_HEADER;
    struct bytes value = line;
    struct bytes name = text_take_until(&value, ':');
    if (!value.data)
        return HTTP_REFUSAL_BAD_HEADER_NAME;
    uint8_t last = name.size > 0 ? name.data[name.size - 1] : 0;
    if (last == ' ' || last == '\t')
        return HTTP_REFUSAL_SPACE_BEFORE_COLON;
    if (!http_is_token(name))
        return HTTP_REFUSAL_BAD_HEADER_NAME;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return HTTP_REFUSAL_BAD_HEADER_VALUE;
    }
    *ret_field = (struct http_header){ .name = name, .value = text_trim(value) };
    return HTTP_REFUSAL_NONE;
}

enum http_refusal http_head_parse_fields(struct http_head *head, const struct http_limits *limits)
{
    uint32_t count = 0;
    for (uint32_t i = head->first_line_size; i < head->size; i++)
        count += head->data[i] == '\n';
    count--; // the empty line
    if (count > limits->header_count_max)
        return HTTP_REFUSAL_TOO_MANY_HEADERS;
    free(head->fields);
    head->fields = memory_new_array(struct http_header, count + 1);
    head->field_count = 0;
    uint32_t at = head->first_line_size;
    while (head->field_count < count) {
        const char *end = memchr(head->data + at, '\n', head->size - at);
        size_t size = (size_t)(end - (head->data + at)) - 1;
        enum http_refusal refusal =
            field_parse(bytes_of(head->data + at, size), &head->fields[head->field_count]);
        if (refusal)
            return refusal;
        head->field_count++;
        at += (uint32_t)size + 2;
    }
    return HTTP_REFUSAL_NONE;
}
