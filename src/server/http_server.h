/**
 * The HTTP server of the control thread: listeners, connections with their limits and timeouts, the
 * table of routes, and answers (whole, shared, streamed, later). Everything here is called from the
 * control thread only.
 *
 * A handler gets a `struct http_exchange`: one request whose body is complete, and its answer. It
 * may answer at once or keep http_exchange_handle and answer later. Requests of one connection are
 * answered in their order: the next one is read when the answer before is written.
 *
 *     static void handle_health(struct http_exchange *exchange, void *owner)
 *     {
 *         http_exchange_respond_text(exchange, 200, "ok\n");
 *     }
 *     http_server_add_route(server, &(struct http_route){
 *         .methods = HTTP_METHOD_GET, .pattern = "/healthz", .handle = handle_health });
 */
#pragma once

#include "base/handle.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "proto/http/http_response.h"

struct loop;
struct stream_parcel;
struct tls_server_context;
struct http_server;
struct http_exchange;

/** Zero fields take the defaults in brackets. Pointers must live as long as the server. */
struct http_server_config {
    struct loop *loop;     /**< of the control thread; required */
    struct random *random; /**< the system's; required */
    const struct log *log; /**< NULL: silent */

    uint32_t connection_count_max;             /**< [10000] */
    uint32_t connection_per_address_count_max; /**< [1000]; IPv6 addresses count by /64 */
    /** New connections per second and address, four times as many at once
     *  [connection_per_address_count_max]. Loopback, where proxies are, is exempt. */
    uint32_t connection_per_address_rate;
    bool connection_rate_for_loopback; /**< not exempt (tests) */
    uint32_t head_size_max;            /**< bytes of request line and fields [16384] */
    uint32_t request_line_size_max;    /**< bytes [8192] */
    uint32_t header_count_max;         /**< [100] */
    /** Bodies of all connections together, bytes; above it 503 [64 MiB]. */
    uint64_t body_memory_max;
    /** Unfinished messages and unread output of all WebSockets together, bytes [256 MiB]. */
    uint64_t websocket_memory_max;
    uint64_t body_size_max;         /**< bytes; routes may say less or more [1 MiB] */
    uint64_t first_byte_timeout_us; /**< TLS handshake and first byte [5 s] */
    uint64_t head_timeout_us;       /**< first byte of a request to its last field [10 s] */
    uint64_t body_timeout_us;       /**< longest silence within a body [10 s] */
    uint64_t body_rate_min;         /**< bytes/s that a body must keep [256] */
    uint64_t write_timeout_us;      /**< longest time in which a client reads nothing [20 s] */
    uint64_t idle_timeout_us;       /**< between requests [60 s] */
    uint64_t answer_timeout_us;     /**< for a handler that answers later: 504 [30 s] */
    uint32_t request_count_max;     /**< per connection, then it is closed [10000] */

    /** Seconds for Strict-Transport-Security over TLS; 0: none. Set it with a real certificate. */
    uint32_t hsts_s;
    /** Sources for CSP frame-ancestors: "'self'", "*" or origins. NULL: "'self'". */
    const char *frame_ancestors;
    /** Port in redirects from plain HTTP; 0: that of the first TLS listener. */
    uint16_t redirect_port;
    /** Trust plain HTTP from anywhere (behind a TLS-terminating proxy, tests). */
    bool plain_everywhere;
    /**
     * Takes a connection that speaks TURN, over TLS or not; its first bytes are in the input. It
     * does not count here any more. NULL: such connections are refused.
     */
    void (*adopt_turn)(void *owner, struct stream_parcel *parcel, const struct net_address *remote,
                       const struct net_address *local);
    void *turn_owner;
    /** The same for one that speaks ICE over TCP (RFC 6544). NULL: refused. */
    void (*adopt_media)(void *owner, struct stream_parcel *parcel, const struct net_address *remote,
                        const struct net_address *local);
    void *media_owner;
    /** The same for one that speaks MQTT. NULL: refused. */
    void (*adopt_mqtt)(void *owner, struct stream_parcel *parcel, const struct net_address *remote,
                       const struct net_address *local);
    void *mqtt_owner;
};

/** Never NULL. */
struct http_server *http_server_new(const struct http_server_config *config);
/**
 * Closes everything at once: sources are done, WebSockets get `closed` with 1001, so their owners
 * must still be there. NULL is allowed. Handles become stale.
 */
void http_server_free(struct http_server *server);

enum http_listener_kind {
    HTTP_LISTENER_PLAIN, /**< loopback is served; others are redirected, ACME answered */
    HTTP_LISTENER_TLS,
};

/**
 * Binds and listens. `ret_bound` (may be NULL) gets the address with the port that was chosen when
 * `address->port` is 0. Returns 0 or a negative errno of bind.
 */
must_check int http_server_listen(struct http_server *server, enum http_listener_kind kind,
                                  const struct net_address *address, struct net_address *ret_bound);
/**
 * The TLS context of new connections; a reference is taken. Replaceable at any time: that is
 * certificate reload, connections keep the one they began with. Without one TLS listeners close
 * what they accept.
 */
void http_server_set_tls(struct http_server *server, struct tls_server_context *context);
/** Takes the reloadable parts of a new config: limits, timeouts, hsts, frame_ancestors. */
void http_server_reload(struct http_server *server, const struct http_server_config *config);
/**
 * Graceful stop: closes listeners and idle connections, lets exchanges end, closes WebSockets with
 * 1001. http_server_connection_count tells when all are gone.
 */
void http_server_drain(struct http_server *server);
uint32_t http_server_connection_count(const struct http_server *server);
/** The set of http_metrics.def; its values live as long as the server. */
struct metric_set http_server_metrics(const struct http_server *server);

/** ---- routes ---- */

enum http_route_flag {
    /** Plain HTTP from other hosts is served, not redirected (ACME challenges, health). */
    HTTP_ROUTE_PLAIN_TOO = 1,
    /** Browser pages of any origin may read the answer; OPTIONS preflights are answered. */
    HTTP_ROUTE_CORS = 2,
    /** HEAD goes to the handler itself; otherwise HEAD runs GET and drops the body. */
    HTTP_ROUTE_OWN_HEAD = 4,
};

struct http_route {
    unsigned methods; /**< mask of enum http_method; HEAD comes with GET */
    /**
     * Segments with parameters: "/r/{room}", "/whip/{room}[/{name}]". A last "**" takes the rest of
     * the path, even empty ("/sdk/" "**"). Literal segments win over parameters, these over "**".
     * One pattern may be added several times with different methods.
     */
    const char *pattern;
    void (*handle)(struct http_exchange *exchange, void *owner);
    void *owner;
    uint64_t body_size_max; /**< 0: the server's */
    unsigned flags;         /**< mask of enum http_route_flag */
    /** With HTTP_ROUTE_CORS: the origins that are meant, as http_exchange_is_from takes them. NULL:
     *  every one. */
    const char *const *(*origins)(void *owner);
};

/** Returns 0, -EEXIST (pattern and method are taken) or -EINVAL (bad pattern). Copies the route. */
must_check int http_server_add_route(struct http_server *server, const struct http_route *route);

/** ---- the request ---- */

/** Valid until the exchange is answered. */
const struct http_request *http_exchange_request(const struct http_exchange *exchange);
enum http_method http_exchange_method(const struct http_exchange *exchange);
struct bytes http_exchange_body(const struct http_exchange *exchange);
/** The value of a request header field; data NULL when absent. */
struct bytes http_exchange_field(const struct http_exchange *exchange, const char *name);
/**
 * The decoded path parameter (without braces; "**" for the rest, which is not decoded). "" when it
 * is absent. UTF-8, no control characters; may hold "/" (from %2F).
 */
const char *http_exchange_parameter(const struct http_exchange *exchange, const char *name);
/** As http_query_find on the request's query. */
must_check int http_exchange_query(const struct http_exchange *exchange, const char *name,
                                   char *out, size_t capacity);
/** "Bearer" credentials of the Authorization field; data NULL when there are none. */
struct bytes http_exchange_bearer(const struct http_exchange *exchange);
const struct net_address *http_exchange_remote(const struct http_exchange *exchange);
const struct net_address *http_exchange_local(const struct http_exchange *exchange);
/** "https://host[:port]" of the request itself, for Location and links; "" without Host. */
const char *http_exchange_origin(struct http_exchange *exchange);

/**
 * Whether the request is no page's (it has no Origin), one of a page of this host, or of a page of
 * these origins: NULL-terminated, "*" is every one; NULL is none.
 */
bool http_exchange_is_from(struct http_exchange *exchange, const char *const *origins);

struct http_server *http_exchange_server(const struct http_exchange *exchange);

/** ---- the answer: fields first, then exactly one of respond, fail, stream ---- */

/** Adds a response field; invalid ones are dropped. Security fields are added by the server. */
void http_exchange_add_field(struct http_exchange *exchange, const char *name, const char *value);
/** Answers with a copy of `body`. `type` may be NULL when the body is empty. */
void http_exchange_respond(struct http_exchange *exchange, unsigned status, const char *type,
                           struct bytes body);
/** Answers with bytes that outlive the connection (static, or the server's own): no copy. */
void http_exchange_respond_static(struct http_exchange *exchange, unsigned status, const char *type,
                                  struct bytes body);
/** text/plain; charset=utf-8 */
void http_exchange_respond_text(struct http_exchange *exchange, unsigned status, const char *text);
/** Whose page an HTML answer is; it decides the Content-Security-Policy. */
enum http_page {
    HTTP_PAGE_OURS, /**< no inline script, nothing from elsewhere; the default */
    HTTP_PAGE_SITE, /**< the user's own site: only who may frame it is restricted */
};
void http_exchange_set_page(struct http_exchange *exchange, enum http_page page);
/** A minimal page (or JSON for clients that ask for it) with the status and one sentence. */
void http_exchange_fail(struct http_exchange *exchange, unsigned status, const char *sentence);
/** 308 by default; `location` is a path or a URL. */
void http_exchange_redirect(struct http_exchange *exchange, unsigned status, const char *location);

/** The producer of a streamed body: pulled when there is room, so a slow client holds nothing up.
 */
struct http_source_ops {
    /**
     * Writes up to `capacity` bytes to `out`. Returns the count, 0 at the end, -EAGAIN when there
     * is nothing yet (call http_server_source_ready later), or another negative errno: the
     * connection is cut.
     */
    long (*read)(void *source, uint8_t *out, size_t capacity);
    /** Called exactly once, at the end or when the client is gone. */
    void (*done)(void *source);
};

/** Length of a streamed body that is not known: chunked. */
#define HTTP_LENGTH_UNKNOWN UINT64_MAX

void http_exchange_stream(struct http_exchange *exchange, unsigned status, const char *type,
                          uint64_t length, const struct http_source_ops *ops, void *source);
/** More bytes are there: wakes a stream that said -EAGAIN. Nothing for a stale handle. */
void http_server_source_ready(struct http_server *server, handle exchange);

/** ---- answering later ---- */

/** Names the exchange across time and threads. */
handle http_exchange_handle(const struct http_exchange *exchange);
/** The exchange, or NULL when its client is gone or it was answered. */
struct http_exchange *http_server_find_exchange(struct http_server *server, handle name);
