/**
 * What requests and responses of HTTP/1.1 have in common (RFC 9110, RFC 9112): methods, status
 * codes, header fields as views, and lists inside header values.
 */
#pragma once

#include "base/bytes.h"

enum http_method {
    HTTP_METHOD_NONE = 0,
    HTTP_METHOD_GET = 1,
    HTTP_METHOD_HEAD = 2,
    HTTP_METHOD_POST = 4,
    HTTP_METHOD_PUT = 8,
    HTTP_METHOD_DELETE = 16,
    HTTP_METHOD_OPTIONS = 32,
    HTTP_METHOD_PATCH = 64,
};

/** One header field; both views point into the buffer of the parser that made them. */
struct http_header {
    struct bytes name;
    struct bytes value; /**< without white space around it */
};

/** A field section as views. `items` belongs to the parser. */
struct http_headers {
    const struct http_header *items;
    size_t count;
};

/** The method, or HTTP_METHOD_NONE for one that we do not implement. Case counts (RFC 9110, 9.1).
 */
enum http_method http_method_parse(struct bytes text);
/** "GET"; "" for HTTP_METHOD_NONE. */
const char *http_method_name(enum http_method method);
/** "Not Found" for 404; "" for a code without a registered phrase. */
const char *http_status_phrase(unsigned status);

/** The value of the first field called `name` (case does not count); data NULL when absent. */
struct bytes http_headers_find(const struct http_headers *headers, const char *name);
/** How many fields are called `name`. */
size_t http_headers_count(const struct http_headers *headers, const char *name);
/** True when any field called `name` lists `token` (comma-separated, case does not count). */
bool http_headers_list_has(const struct http_headers *headers, const char *name, const char *token);

/**
 * Takes the next element of a comma-separated list (RFC 9110, 5.6.1), trimmed; empty elements are
 * skipped and commas inside quoted strings do not separate. False at the end.
 */
bool http_list_next(struct bytes *rest, struct bytes *ret_element);
/** True for a token (RFC 9110, 5.6.2) of at least one character. */
bool http_is_token(struct bytes text);
/** True for one character of a token. */
bool http_is_token_character(uint8_t c);
