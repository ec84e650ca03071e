#include "server/static_answer.h"

#include <string.h>

#include "proto/http/http_date.h"

/** Each coding is a representation of its own, with its own strong ETag (RFC 9110, 8.8.3.3). */
static void etag_write(const struct static_content *content, char out[STATIC_ETAG_SIZE])
{
    struct text_builder text = text_builder_of(out, STATIC_ETAG_SIZE);
    size_t size = strlen(content->etag);
    text_append_bytes(&text, bytes_of(content->etag, size - 1));
    if (content->coding != HTTP_CODING_IDENTITY)
        text_append_format(&text, "-%s", http_coding_name(content->coding));
    text_append(&text, "\"");
}

static void fields_add(struct http_exchange *exchange, const struct static_content *content,
                       const char *etag)
{
    http_exchange_add_field(exchange, "ETag", etag);
    http_exchange_add_field(exchange, "Cache-Control",
                            content->immutable ? "public, max-age=31536000, immutable"
                                               : "no-cache");
    if (content->varies)
        http_exchange_add_field(exchange, "Vary", "Accept-Encoding");
    if (content->modified_unix_s != 0) {
        char date[HTTP_DATE_SIZE];
        http_date_write(content->modified_unix_s, date);
        http_exchange_add_field(exchange, "Last-Modified", date);
    }
}

static void answer_unsatisfiable(struct http_exchange *exchange, uint64_t size)
{
    char range[48];
    struct text_builder text = text_builder_of(range, sizeof(range));
    text_append_format(&text, "bytes */%llu", (unsigned long long)size);
    http_exchange_add_field(exchange, "Content-Range", range);
    http_exchange_fail(exchange, 416, "The file is not that long.");
}

/** A part or the whole. */
static bool range_prepare(struct http_exchange *exchange, const struct static_content *content,
                          const struct http_validator *validator, unsigned *ret_status,
                          uint64_t *ret_offset, uint64_t *ret_size)
{
    const struct http_request *request = http_exchange_request(exchange);
    struct http_range range = { .kind = HTTP_RANGE_WHOLE };
    if (request->method == HTTP_METHOD_GET)
        range = http_range_choose(&request->headers, content->size, validator);
    if (range.kind == HTTP_RANGE_UNSATISFIABLE) {
        answer_unsatisfiable(exchange, content->size);
        return false;
    }
    http_exchange_add_field(exchange, "Accept-Ranges", "bytes");
    if (content->coding != HTTP_CODING_IDENTITY)
        http_exchange_add_field(exchange, "Content-Encoding", http_coding_name(content->coding));
    *ret_status = range.kind == HTTP_RANGE_PART ? 206 : 200;
    *ret_offset = range.kind == HTTP_RANGE_PART ? range.first : 0;
    *ret_size = range.kind == HTTP_RANGE_PART ? range.last - range.first + 1 : content->size;
    if (range.kind == HTTP_RANGE_PART) {
        char text[80];
        struct text_builder builder = text_builder_of(text, sizeof(text));
        text_append_format(&builder, "bytes %llu-%llu/%llu", (unsigned long long)range.first,
                           (unsigned long long)range.last, (unsigned long long)content->size);
        http_exchange_add_field(exchange, "Content-Range", text);
    }
    return true;
}

bool static_answer_prepare(struct http_exchange *exchange, const struct static_content *content,
                           unsigned *ret_status, uint64_t *ret_offset, uint64_t *ret_size)
{
    char etag[STATIC_ETAG_SIZE];
    etag_write(content, etag);
    fields_add(exchange, content, etag);
    struct http_validator validator = { .etag = bytes_of_text(etag),
                                        .modified_unix_s = content->modified_unix_s };
    const struct http_request *request = http_exchange_request(exchange);
    switch (http_precondition_check(&request->headers, request->method, &validator)) {
    case HTTP_PRECONDITION_NOT_MODIFIED:
        http_exchange_respond(exchange, 304, NULL, bytes_of(NULL, 0));
        return false;
    case HTTP_PRECONDITION_FAILED:
        http_exchange_fail(exchange, 412, "The file has changed.");
        return false;
    case HTTP_PRECONDITION_OK:
        break;
    }
    return range_prepare(exchange, content, &validator, ret_status, ret_offset, ret_size);
}
