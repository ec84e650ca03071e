/**
 * What the files of the HTTP server share.
 *
 *     http_server.c      listeners, the set of connections, stopping
 *     http_connection.c  one connection: TLS or not, requests in order, time limits
 *     http_exchange.c    one request as handlers see it
 *     http_answer.c      its answer: head, body, streaming
 *     http_policy.c      fields that protect browsers; redirects to HTTPS; OPTIONS
 *     websocket.c        a connection after its upgrade
 */
#pragma once

#include "runtime/address_limit.h"
#include "runtime/clock.h"
#include "runtime/secure_stream.h"
#include "runtime/tcp.h"
#include "server/http_metrics.h"
#include "server/http_routes.h"
#include "server/protocol_sniff.h"
#include "server/websocket.h"

#define HTTP_LISTENERS_MAX 16
/** How long a connection that we ended waits for the peer's end. */
#define HTTP_LINGER_US time_from_s(2)

struct http_connection;

struct http_listener {
    struct http_server *server;
    struct tcp_listener *tcp;
    enum http_listener_kind kind;
    uint16_t port;
};

struct http_server {
    struct http_server_config config; /**< with defaults */
    char *frame_ancestors;
    struct http_metrics metrics;
    struct http_routes routes;
    struct http_listener listeners[HTTP_LISTENERS_MAX];
    size_t listener_count;
    struct tls_server_context *tls;
    struct address_limit limit;
    struct address_rate rate;
    struct list connections;
    struct handle_table exchanges;
    struct list endpoints;    /**< of websocket.c */
    uint64_t body_bytes;      /**< held by request bodies of all connections */
    uint64_t websocket_bytes; /**< held by all WebSockets */
    bool draining;
};

enum http_exchange_state {
    HTTP_EXCHANGE_NONE,
    HTTP_EXCHANGE_RECEIVING, /**< head known, body comes */
    HTTP_EXCHANGE_HANDLING,  /**< with the handler, now or later */
    HTTP_EXCHANGE_ANSWERING, /**< the head is out, the body is being written */
    HTTP_EXCHANGE_DONE,
};

struct http_exchange {
    struct http_connection *connection;
    enum http_exchange_state state;
    handle name; /**< 0 until asked for */
    struct http_match match;
    char *parameters[HTTP_ROUTE_PARAMETERS_MAX]; /**< decoded */
    uint8_t *body;
    size_t body_size;
    size_t body_capacity;
    char *fields; /**< complete lines */
    size_t fields_size;
    char origin[300];
    bool head_only;
    bool last; /**< the connection ends behind this answer */
    enum http_page page;
    unsigned status;
    uint64_t started_us;
    uint64_t sent;

    const struct http_source_ops *source_ops; /**< NULL: no body left */
    void *source;
    uint64_t source_left; /**< HTTP_LENGTH_UNKNOWN: chunked, or until the end */
    bool chunked;
    bool source_waits; /**< it said -EAGAIN */
};

enum http_phase {
    HTTP_PHASE_FIRST_BYTES, /**< TLS handshake, then what tells protocols apart */
    HTTP_PHASE_IDLE,        /**< between requests */
    HTTP_PHASE_HEAD,
    HTTP_PHASE_BODY,
    HTTP_PHASE_HANDLER, /**< the handler answers later */
    HTTP_PHASE_WRITING,
    HTTP_PHASE_WEBSOCKET,
    HTTP_PHASE_CLOSING, /**< our end is sent, what still comes is thrown away */
    HTTP_PHASE_DEAD,    /**< freed by its task */
};

struct http_connection {
    struct http_server *server;
    struct list node;
    struct stream *stream;
    struct net_address remote;
    struct net_address local;
    enum http_listener_kind kind;
    uint16_t listener_port;
    bool over_tls;
    bool wrong_scheme; /**< plain HTTP on the TLS port: everything is redirected */
    bool peer_ended;
    bool in_pump;
    enum http_phase phase;
    uint32_t request_count;
    struct http_request_parser parser;
    struct http_exchange exchange;
    struct websocket *websocket;
    struct loop_timer timer;
    struct loop_task task; /**< goes on with the connection, or frees a dead one */
    uint64_t phase_us;     /**< when the phase began */
    uint64_t progress_us;  /**< last byte of a body, last progress of writing */
    size_t unsent;         /**< at the last look of the timer */
};

/** ---- http_connection.c ---- */
void http_connection_accept(struct http_listener *listener, int fd,
                            const struct net_address *remote);
/** Ends the connection at once; it is freed at the end of the turn. */
void http_connection_abort(struct http_connection *connection);
/** Sends what is queued, then the end, and throws away what still comes. */
void http_connection_finish(struct http_connection *connection);
/** The answer is written: next request or end. */
void http_connection_answered(struct http_connection *connection);
void http_connection_set_phase(struct http_connection *connection, enum http_phase phase);
/** Goes on later in this turn. */
void http_connection_wake(struct http_connection *connection);
/** Frees now: only when the server goes, or from its own task. */
void http_connection_free(struct http_connection *connection);

/** ---- http_exchange.c ---- */
/** Prepares for the request in the parser. */
void http_exchange_begin(struct http_exchange *exchange, struct http_connection *connection);
/** Adds to the body. Returns 0 or -ENOMEM when all bodies together are too large. */
must_check int http_exchange_add_body(struct http_exchange *exchange, struct bytes part);
/** The request is complete: policy, route, handler. */
void http_exchange_dispatch(struct http_exchange *exchange);
/** Frees what it holds; a source that is not at its end is done. */
void http_exchange_end(struct http_exchange *exchange);
const struct http_request *http_exchange_request_of(const struct http_exchange *exchange);

/** ---- http_answer.c ---- */
/** Writes of the streamed body what there is room for. */
void http_answer_pump(struct http_exchange *exchange);
/** Answers a request that the parser refused, or that took too long. */
void http_answer_refusal(struct http_exchange *exchange, unsigned status, const char *sentence);

/** ---- http_policy.c ---- */
/** Fields that every answer carries, by its type and its page. */
void http_policy_write(struct http_exchange *exchange, const char *type, struct text_builder *out);
/** Answers what no handler should see: redirects to HTTPS, unknown paths, methods, OPTIONS. */
bool http_policy_answers(struct http_exchange *exchange);

/** ---- websocket.c ---- */
void websocket_readable(struct websocket *socket);
void websocket_writable(struct websocket *socket);
/** The task of its connection. */
void websocket_run(struct websocket *socket);
void websocket_timer_expired(struct websocket *socket, uint64_t now_us);
/** The stream is gone; `closed` is called. */
void websocket_stream_closed(struct websocket *socket);
/** Going away: starts the closing handshake. */
void websocket_drain(struct websocket *socket);
void websocket_free(struct websocket *socket);
void websocket_endpoints_done(struct http_server *server);
