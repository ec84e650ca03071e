/**
 * The server's side of HTTP/1.1 (RFC 9112): an incremental, strict parser of one connection's
 * requests. Bytes go in, one event at a time comes out; nothing that was read of the next request
 * is held here, so the caller decides when to go on (pipelined requests wait in the caller's
 * buffer).
 *
 *     while (input.size > 0 || !first) {
 *         size_t taken = http_request_input(&parser, input, &event);
 *         input = bytes_of(input.data + taken, input.size - taken);
 *         ... HEAD, any number of BODY, END; or REFUSED and the connection must be closed
 *     }
 *
 * Requests that two implementations could read differently are refused, never repaired: bare CR or
 * LF, folded headers, space before the colon, Content-Length beside Transfer-Encoding, repeated
 * lengths or hosts (RFC 9112, 2.2, 5.1, 5.2, 6.1, 6.3).
 */
#pragma once

#include "proto/http/http_framing.h"

/** Views are valid until http_request_input is called after HTTP_EVENT_END. */
struct http_request {
    enum http_method method;
    uint8_t version_minor; /**< of HTTP/1.x: 0 or 1 */
    bool keep_alive;       /**< the client allows another request on this connection */
    bool expects_continue; /**< the client waits for "100 Continue" before it sends the body */
    bool has_body;         /**< a Content-Length above 0 or a chunked body follows */
    bool is_chunked;
    uint64_t content_length; /**< when not chunked; 0 without body */
    struct bytes target;     /**< as received */
    struct bytes host;       /**< host[:port]; of the target when in absolute-form; may be empty */
    struct bytes path;       /**< normalised by http_path_normalise; "*" for OPTIONS * */
    struct bytes query;      /**< behind "?", not decoded; empty when absent */
    struct http_headers headers;
};

enum http_event_kind {
    HTTP_EVENT_NONE,    /**< all input was taken, more is needed */
    HTTP_EVENT_HEAD,    /**< `parser->request` is filled */
    HTTP_EVENT_BODY,    /**< `body` is the next part, a view into the input */
    HTTP_EVENT_END,     /**< the request is complete */
    HTTP_EVENT_REFUSED, /**< answer with `refusal` and close; every later call repeats it */
};

struct http_event {
    enum http_event_kind kind;
    enum http_refusal refusal;
    struct bytes body;
};

/** One connection's parser. Fields but `request` are private. */
struct http_request_parser {
    struct http_request request;
    struct http_limits limits;
    enum http_refusal refusal;
    uint8_t state;
    struct http_head head;
    struct http_body body;
};

/** `limits` may be NULL: the defaults. */
void http_request_parser_init(struct http_request_parser *parser, const struct http_limits *limits);
void http_request_parser_done(struct http_request_parser *parser);
/**
 * Takes bytes up to the next event and returns how many. May be called with no input to fetch an
 * event that needs none (END behind a HEAD without body).
 */
must_check size_t http_request_input(struct http_request_parser *parser, struct bytes input,
                                     struct http_event *ret_event);
/**
 * Sets the limit of this request's body; call it at HTTP_EVENT_HEAD. A body known to be larger is
 * refused by the next http_request_input (413).
 */
void http_request_limit_body(struct http_request_parser *parser, uint64_t size_max);
/** True when no byte of a request is pending: the connection is idle between requests. */
bool http_request_parser_idle(const struct http_request_parser *parser);
/** True while the head is incomplete: the header timeout counts. */
bool http_request_parser_in_head(const struct http_request_parser *parser);
