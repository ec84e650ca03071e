/**
 * Responses of HTTP/1.1: the writer of a response head (server), and a parser of responses and
 * writer of request heads (clients: the load generator, tests, hooks).
 */
#pragma once

#include "base/text.h"
#include "proto/http/http_request.h"

/** Starts a head: status line and Date. `date_unix_s` 0 leaves the Date out. */
void http_response_begin(struct text_builder *out, unsigned status, int64_t date_unix_s);
/** Starts a request: `method` and `target` as they go on the wire, and the Host field. */
void http_client_request_begin(struct text_builder *out, const char *method, const char *target,
                               const char *host);
/**
 * Adds a field. A name that is no token or a value with a control character is a defect or an
 * injection attempt: the field is left out and `out->truncated` is set, so the head is not sent.
 */
void http_field_write(struct text_builder *out, const char *name, struct bytes value);
void http_field_write_text(struct text_builder *out, const char *name, const char *value);
void http_field_write_number(struct text_builder *out, const char *name, uint64_t value);
/** Ends a head. */
void http_head_end(struct text_builder *out);

/** Room that http_chunk_head_write needs at most. */
#define HTTP_CHUNK_HEAD_SIZE 20
/** Writes "1f4\r\n" for a chunk of `size` > 0 bytes; "\r\n" must follow its data. */
size_t http_chunk_head_write(size_t size, char out[HTTP_CHUNK_HEAD_SIZE]);
/** The last chunk without trailers: "0\r\n\r\n". */
#define HTTP_CHUNK_LAST "0\r\n\r\n"

/** A response as the client sees it; views as in struct http_request. */
struct http_response {
    unsigned status;
    uint8_t version_minor;
    bool keep_alive;
    bool has_body;
    bool is_chunked;
    bool until_close;        /**< the body ends with the connection */
    uint64_t content_length; /**< when neither chunked nor until_close */
    struct http_headers headers;
};

/** One connection's parser of responses. Fields but `response` are private. */
struct http_response_parser {
    struct http_response response;
    struct http_limits limits;
    enum http_refusal refusal;
    bool to_head;
    uint8_t state;
    struct http_head head;
    struct http_body body;
};

/** `limits` may be NULL: the defaults. */
void http_response_parser_init(struct http_response_parser *parser,
                               const struct http_limits *limits);
void http_response_parser_done(struct http_response_parser *parser);
/** The next response answers a HEAD request: it has no body whatever its fields say. */
void http_response_parser_expect_head(struct http_response_parser *parser);
/**
 * As http_request_input. Interim responses (1xx but 101) come as HEAD and END like others; after
 * 101 the caller takes the rest of the bytes.
 */
must_check size_t http_response_input(struct http_response_parser *parser, struct bytes input,
                                      struct http_event *ret_event);
/**
 * The connection ended. True when the response that was being read ends with it (or nothing was
 * being read), false when it was cut off.
 */
bool http_response_finish(struct http_response_parser *parser);
