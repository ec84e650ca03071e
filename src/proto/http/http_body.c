#include <string.h>

#include "base/text.h"
#include "proto/http/http_framing.h"

/** Bytes of chunk extensions and trailers that one body may have: nobody needs them. */
#define OVERHEAD_MAX 8192

enum http_refusal http_length_parse(const struct http_headers *headers, uint8_t version_minor,
                                    struct http_length *ret_length)
{
    size_t encodings = http_headers_count(headers, "transfer-encoding");
    size_t lengths = http_headers_count(headers, "content-length");
    struct http_length length = { 0 };
    if (encodings > 0 && lengths > 0)
        return HTTP_REFUSAL_LENGTH_AND_ENCODING;
    if (encodings > 0) {
        if (version_minor == 0)
            return HTTP_REFUSAL_ENCODING_IN_OLD_VERSION;
        // every other coding, or chunked applied twice, would have to be undone by guessing
        struct bytes coding = http_headers_find(headers, "transfer-encoding");
        if (encodings > 1 || !text_equal_ignore_case(coding, "chunked"))
            return HTTP_REFUSAL_BAD_ENCODING;
        length.is_chunked = true;
    }
    if (lengths > 1)
        return HTTP_REFUSAL_REPEATED_LENGTH;
    if (lengths == 1) {
        struct bytes text = http_headers_find(headers, "content-length");
        if (text_parse_u64(text, INT64_MAX, &length.length) != 0)
            return HTTP_REFUSAL_BAD_LENGTH;
        length.has_length = true;
    }
    *ret_length = length;
    return HTTP_REFUSAL_NONE;
}

bool http_keep_alive_parse(const struct http_headers *headers, uint8_t version_minor)
{
    if (http_headers_list_has(headers, "connection", "close"))
        return false;
    return version_minor >= 1 || http_headers_list_has(headers, "connection", "keep-alive");
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum http_refusal chunk_size_input(struct http_body *body, uint8_t c)
{
    int digit = hex_value(c);
    if (digit >= 0) {
        if (body->digits == 15)
            return HTTP_REFUSAL_BAD_CHUNK;
        body->digits++;
        body->left = body->left << 4 | (unsigned)digit;
        return HTTP_REFUSAL_NONE;
    }
    if (body->digits == 0 || (c != '\r' && c != ';'))
        return HTTP_REFUSAL_BAD_CHUNK;
    body->state = c == '\r' ? HTTP_BODY_CHUNK_SIZE_LF : HTTP_BODY_CHUNK_EXTENSION;
    return HTTP_REFUSAL_NONE;
}

/** Skips one byte of an extension or a trailer; CR leads to `next`. */
static enum http_refusal overhead_input(struct http_body *body, uint8_t c,
                                        enum http_body_state next, enum http_refusal refusal)
{
    if (c == '\r') {
        body->state = next;
        return HTTP_REFUSAL_NONE;
    }
    bool control = (c < 0x20 && c != '\t') || c == 0x7f;
    body->overhead++;
    return control || body->overhead > OVERHEAD_MAX ? refusal : HTTP_REFUSAL_NONE;
}

static enum http_refusal line_feed_input(struct http_body *body, uint8_t c,
                                         enum http_body_state next, enum http_refusal refusal)
{
    body->state = next;
    return c == '\n' ? HTTP_REFUSAL_NONE : refusal;
}

static enum http_refusal chunk_begin(struct http_body *body, uint8_t c)
{
    if (c != '\n')
        return HTTP_REFUSAL_BAD_CHUNK;
    body->state = body->left > 0 ? HTTP_BODY_CHUNK_DATA : HTTP_BODY_TRAILER_START;
    body->digits = 0;
    if (body->left > body->size_max - body->received)
        return HTTP_REFUSAL_BODY_TOO_LARGE;
    return HTTP_REFUSAL_NONE;
}

/** One byte of what is around the data of chunks. */
static enum http_refusal framing_input(struct http_body *body, uint8_t c)
{
    switch (body->state) {
    case HTTP_BODY_CHUNK_SIZE:
        return chunk_size_input(body, c);
    case HTTP_BODY_CHUNK_EXTENSION:
        return overhead_input(body, c, HTTP_BODY_CHUNK_SIZE_LF, HTTP_REFUSAL_BAD_CHUNK);
    case HTTP_BODY_CHUNK_SIZE_LF:
        return chunk_begin(body, c);
    case HTTP_BODY_CHUNK_DATA_CR:
        body->state = HTTP_BODY_CHUNK_DATA_LF;
        return c == '\r' ? HTTP_REFUSAL_NONE : HTTP_REFUSAL_BAD_CHUNK;
    case HTTP_BODY_CHUNK_DATA_LF:
        return line_feed_input(body, c, HTTP_BODY_CHUNK_SIZE, HTTP_REFUSAL_BAD_CHUNK);
    case HTTP_BODY_TRAILER_START:
        if (c == '\r') {
            body->state = HTTP_BODY_LAST_LF;
            return HTTP_REFUSAL_NONE;
        }
        body->state = HTTP_BODY_TRAILER;
        return http_is_token_character(c) ? HTTP_REFUSAL_NONE : HTTP_REFUSAL_BAD_TRAILER;
    case HTTP_BODY_TRAILER:
        return overhead_input(body, c, HTTP_BODY_TRAILER_LF, HTTP_REFUSAL_BAD_TRAILER);
    case HTTP_BODY_TRAILER_LF:
        return line_feed_input(body, c, HTTP_BODY_TRAILER_START, HTTP_REFUSAL_BAD_TRAILER);
    default:
        return line_feed_input(body, c, HTTP_BODY_END, HTTP_REFUSAL_BAD_TRAILER);
    }
}

static bool state_is_data(enum http_body_state state)
{
    return state == HTTP_BODY_LENGTH || state == HTTP_BODY_CHUNK_DATA ||
           state == HTTP_BODY_UNTIL_CLOSE;
}

enum http_refusal http_body_input(struct http_body *body, struct bytes input, size_t *ret_taken,
                                  struct bytes *ret_part)
{
    size_t at = 0;
    *ret_taken = 0;
    *ret_part = bytes_of(NULL, 0);
    while (at < input.size && body->state != HTTP_BODY_END && !state_is_data(body->state)) {
        enum http_refusal refusal = framing_input(body, input.data[at++]);
        if (refusal)
            return refusal;
    }
    *ret_taken = at;
    if (!state_is_data(body->state) || at == input.size)
        return HTTP_REFUSAL_NONE;
    size_t size = input.size - at;
    if (body->state != HTTP_BODY_UNTIL_CLOSE) {
        size = (size_t)min_of((uint64_t)size, body->left);
        body->left -= size;
    }
    if (size > body->size_max - body->received)
        return HTTP_REFUSAL_BODY_TOO_LARGE;
    body->received += size;
    if (body->left == 0 && body->state == HTTP_BODY_LENGTH)
        body->state = HTTP_BODY_END;
    else if (body->left == 0 && body->state == HTTP_BODY_CHUNK_DATA)
        body->state = HTTP_BODY_CHUNK_DATA_CR;
    *ret_part = bytes_of(input.data + at, size);
    *ret_taken = at + size;
    return HTTP_REFUSAL_NONE;
}
