/** Conditional requests, ranges and content negotiation (RFC 9110, 12 to 14). */
#pragma once

#include "proto/http/http_message.h"

/** What is served: the facts that preconditions are compared with. */
struct http_validator {
    struct bytes etag;       /**< with quotes, `W/` in front when weak; empty: none */
    int64_t modified_unix_s; /**< 0: unknown */
};

enum http_precondition {
    HTTP_PRECONDITION_OK,           /**< serve it */
    HTTP_PRECONDITION_NOT_MODIFIED, /**< 304 */
    HTTP_PRECONDITION_FAILED,       /**< 412 */
};

/** Evaluates If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since (RFC 9110, 13.2.2). */
enum http_precondition http_precondition_check(const struct http_headers *headers,
                                               enum http_method method,
                                               const struct http_validator *validator);

enum http_range_kind {
    HTTP_RANGE_WHOLE,         /**< no usable Range: answer 200 with everything */
    HTTP_RANGE_PART,          /**< answer 206 with first..last */
    HTTP_RANGE_UNSATISFIABLE, /**< answer 416 with "Content-Range: bytes *" "/size" */
};

struct http_range {
    enum http_range_kind kind;
    uint64_t first; /**< inclusive */
    uint64_t last;  /**< inclusive */
};

/**
 * Which part of `size` bytes is asked for. If-Range is respected; a request for several ranges, an
 * unknown unit or a malformed field is answered whole (RFC 9110, 14.2 allows it).
 */
struct http_range http_range_choose(const struct http_headers *headers, uint64_t size,
                                    const struct http_validator *validator);

enum http_coding {
    HTTP_CODING_IDENTITY = 1,
    HTTP_CODING_GZIP = 2,
    HTTP_CODING_BROTLI = 4,
};

/**
 * The best of `available` (mask of enum http_coding) for Accept-Encoding: highest q, then brotli
 * before gzip before identity. Identity when nothing else is accepted (RFC 9110, 12.5.3).
 */
enum http_coding http_coding_choose(const struct http_headers *headers, unsigned available);
/** "br", "gzip"; "" for identity. */
const char *http_coding_name(enum http_coding coding);
