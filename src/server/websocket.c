// A connection after its upgrade: the engine of proto/ws between the stream and the endpoint.
#include "server/websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/http_server_int.h"

/** Handed to the stream at a time; the rest waits in the engine's bounded queue. */
#define WRITE_BYTES (16u << 10)
/** What a WebSocket may hold even when all together hold too much. */
#define MEMORY_FREE_BYTES (32u << 10)

struct endpoint {
    struct list node;
    struct websocket_endpoint config;
};

struct websocket {
    struct http_connection *connection;
    const struct endpoint *endpoint;
    struct ws_connection *ws;
    const char *subprotocol;
    void *context;
    size_t memory;    /**< as counted in the server's sum */
    bool was_full;    /**< `drained` is owed */
    bool paused;      /**< nothing is read */
    bool aborted;     /**< websocket_abort was called */
    bool closed_told; /**< the owner knows; nothing is called any more */
};

// --- handshake ---

/** A page of this host, or no page at all. */
static bool origin_is_ours(struct http_exchange *exchange, struct bytes origin)
{
    if (!origin.data)
        return true;
    const char *own = http_exchange_origin(exchange);
    return own[0] != '\0' && text_equal_ignore_case(origin, own);
}

static bool origin_accepted(struct http_exchange *exchange, const struct endpoint *endpoint)
{
    const struct websocket_endpoint *config = &endpoint->config;
    struct bytes origin = http_exchange_field(exchange, "origin");
    if (config->check)
        return config->check(exchange, origin, config->owner) == WEBSOCKET_ACCEPT;
    return origin_is_ours(exchange, origin);
}

static struct websocket *websocket_new(struct http_connection *connection,
                                       const struct endpoint *endpoint,
                                       const struct ws_handshake *handshake)
{
    const struct websocket_endpoint *config = &endpoint->config;
    struct websocket *socket = memory_new(struct websocket);
    socket->connection = connection;
    socket->endpoint = endpoint;
    socket->subprotocol = handshake->subprotocol;
    socket->ws = ws_connection_new(
        &(struct ws_config){
            .deflate = handshake->deflate,
            .message_size_max = config->message_size_max,
            .output_size_max = config->output_size_max,
            .ping_interval_us = config->ping_interval_us,
            .pong_timeout_us = config->pong_timeout_us,
        },
        loop_now_us(connection->server->config.loop));
    return socket;
}

static void refuse(struct http_exchange *exchange, enum http_metric metric, unsigned status,
                   const char *sentence)
{
    http_count(&http_exchange_server(exchange)->metrics, metric);
    if (status == 426) {
        http_exchange_add_field(exchange, "Upgrade", "websocket");
        http_exchange_add_field(exchange, "Sec-WebSocket-Version", "13");
    }
    http_exchange_fail(exchange, status, sentence);
}

/** The connection is a WebSocket from here on. */
static void upgrade(struct http_exchange *exchange, const struct endpoint *endpoint,
                    const struct ws_handshake *handshake)
{
    struct http_connection *connection = exchange->connection;
    struct http_metrics *metrics = &connection->server->metrics;
    char head[512];
    struct text_builder text = text_builder_of(head, sizeof(head));
    ws_handshake_write(handshake, &text);
    exchange->status = 101;
    http_count(metrics, HTTP_ANSWERS_1XX);
    if (text.truncated || stream_write(connection->stream, bytes_of(head, text.length)) != 0) {
        http_connection_abort(connection);
        return;
    }
    struct websocket *socket = websocket_new(connection, endpoint, handshake);
    connection->websocket = socket;
    http_connection_set_phase(connection, HTTP_PHASE_WEBSOCKET);
    http_count(metrics, WEBSOCKET_OPENED);
    metric_add(&metrics->values[WEBSOCKETS], 1);
    endpoint->config.ops.opened(socket, exchange, endpoint->config.owner);
    http_exchange_end(exchange);
    http_request_parser_done(&connection->parser);
    http_connection_wake(connection);
}

static void handle_upgrade(struct http_exchange *exchange, void *owner)
{
    const struct endpoint *endpoint = owner;
    struct ws_server_offer offer = { .subprotocols = endpoint->config.subprotocols,
                                     .subprotocol_required = endpoint->config.subprotocol_required,
                                     .deflate = !endpoint->config.without_deflate };
    struct ws_handshake handshake = ws_handshake_check(http_exchange_request(exchange), &offer);
    if (handshake.status != 101)
        refuse(exchange, WEBSOCKET_BAD_HANDSHAKE, handshake.status, handshake.sentence);
    else if (!origin_accepted(exchange, endpoint))
        refuse(exchange, WEBSOCKET_BAD_ORIGIN, 403, "Pages of that origin are not welcome here.");
    else
        upgrade(exchange, endpoint, &handshake);
}

int http_server_add_websocket(struct http_server *server, const struct websocket_endpoint *config)
{
    ensure(config->ops.opened && config->ops.message && config->ops.closed);
    struct endpoint *endpoint = memory_new(struct endpoint);
    endpoint->config = *config;
    int result = http_server_add_route(server, &(struct http_route){
                                                   .methods = HTTP_METHOD_GET,
                                                   .pattern = config->pattern,
                                                   .handle = handle_upgrade,
                                                   .owner = endpoint,
                                                   .flags = HTTP_ROUTE_OWN_HEAD,
                                               });
    if (result != 0) {
        free(endpoint);
        return result;
    }
    endpoint->config.pattern = NULL; // the caller's text may go
    list_append(&server->endpoints, &endpoint->node);
    return 0;
}

void websocket_endpoints_done(struct http_server *server)
{
    struct endpoint *endpoint;
    list_each(endpoint, &server->endpoints, node) free(endpoint);
    list_init(&server->endpoints);
}

// --- life ---

static uint64_t now_of(const struct websocket *socket)
{
    return loop_now_us(socket->connection->server->config.loop);
}

static struct http_metrics *metrics_of(const struct websocket *socket)
{
    return &socket->connection->server->metrics;
}

/** Keeps the sum of what all hold for their peers. */
static void memory_count(struct websocket *socket, size_t now)
{
    struct http_server *server = socket->connection->server;
    server->websocket_bytes = server->websocket_bytes - socket->memory + now;
    socket->memory = now;
    metric_set(&server->metrics.values[WEBSOCKET_MEMORY], server->websocket_bytes);
}

/** True when all together hold too much, and this one, with `more`, more than everyone may. */
static bool memory_full(struct websocket *socket, size_t more)
{
    const struct http_server *server = socket->connection->server;
    memory_count(socket, ws_connection_memory(socket->ws));
    if (socket->memory + more <= MEMORY_FREE_BYTES ||
        server->websocket_bytes + more <= server->config.websocket_memory_max)
        return false;
    http_count(metrics_of(socket), WEBSOCKET_MEMORY_FULL);
    return true;
}

/** The owner's last call. */
static void tell_closed(struct websocket *socket, uint16_t code, struct bytes reason)
{
    if (socket->closed_told)
        return;
    socket->closed_told = true;
    metric_subtract(&metrics_of(socket)->values[WEBSOCKETS], 1);
    const struct websocket_endpoint *config = &socket->endpoint->config;
    config->ops.closed(socket, code, reason, config->owner);
}

void websocket_free(struct websocket *socket)
{
    tell_closed(socket, WS_CLOSE_GOING_AWAY, bytes_of(NULL, 0));
    memory_count(socket, 0);
    ws_connection_free(socket->ws);
    free(socket);
}

// --- output ---

/** Moves what the stream has room for; what it has not waits in the engine. */
static void output_pump(struct websocket *socket)
{
    struct stream *stream = socket->connection->stream;
    stream_cork(stream);
    while (!stream_congested(stream)) {
        struct bytes output = ws_connection_output(socket->ws);
        if (output.size == 0)
            break;
        output.size = min_of(output.size, (size_t)WRITE_BYTES);
        if (stream_write(stream, output) != 0)
            break;
        ws_connection_output_taken(socket->ws, output.size);
    }
    stream_uncork(stream);
    bool empty = ws_connection_output_size(socket->ws) == 0;
    if (empty && socket->was_full && !socket->closed_told) {
        const struct websocket_endpoint *config = &socket->endpoint->config;
        socket->was_full = false;
        if (config->ops.drained)
            config->ops.drained(socket, config->owner);
    } else if (!empty) {
        socket->was_full = true;
    }
}

static int sent(struct websocket *socket, int result)
{
    if (result == 0) {
        http_count(metrics_of(socket), WEBSOCKET_SENT);
        http_connection_wake(socket->connection); // one write for all that this turn sends
    } else if (result == -ENOBUFS) {
        http_count(metrics_of(socket), WEBSOCKET_TOO_SLOW);
    }
    return result;
}

int websocket_send_text(struct websocket *socket, struct bytes text)
{
    int result = memory_full(socket, text.size) ? -ENOBUFS : 0;
    return sent(socket, result ? result : ws_connection_send_text(socket->ws, text));
}

int websocket_send_binary(struct websocket *socket, struct bytes data)
{
    int result = memory_full(socket, data.size) ? -ENOBUFS : 0;
    return sent(socket, result ? result : ws_connection_send_binary(socket->ws, data));
}

void websocket_pause(struct websocket *socket, bool paused)
{
    if (paused == socket->paused)
        return;
    socket->paused = paused;
    stream_pause(socket->connection->stream, paused);
    if (paused)
        return;
    ws_connection_excuse(socket->ws, now_of(socket));
    http_connection_wake(socket->connection); // what has arrived already
}

void websocket_close(struct websocket *socket, uint16_t code, const char *reason)
{
    websocket_pause(socket, false);
    ws_connection_close(socket->ws, now_of(socket), code, reason);
    http_connection_wake(socket->connection);
}

void websocket_abort(struct websocket *socket)
{
    socket->aborted = true;
    http_connection_wake(socket->connection);
}

// --- events ---

/** The engine has ended: what it still says goes out, then the end. */
static void engine_closed(struct websocket *socket, const struct ws_event *event)
{
    if (event->refusal != WS_REFUSAL_NONE)
        http_count(metrics_of(socket), WEBSOCKET_FAILED_FIRST + (event->refusal - 1));
    output_pump(socket);
    tell_closed(socket, event->code, event->data);
    if (event->refusal == WS_REFUSAL_PEER_SILENT)
        http_connection_abort(socket->connection);
    else
        http_connection_finish(socket->connection);
}

static void events_take(struct websocket *socket)
{
    const struct websocket_endpoint *config = &socket->endpoint->config;
    struct ws_event event;
    while (ws_connection_event(socket->ws, &event)) {
        switch (event.kind) {
        case WS_EVENT_TEXT:
        case WS_EVENT_BINARY:
            http_count(metrics_of(socket), WEBSOCKET_RECEIVED);
            if (!socket->closed_told && !socket->aborted)
                config->ops.message(socket, event.kind == WS_EVENT_TEXT, event.data, config->owner);
            break;
        case WS_EVENT_PONG:
            break;
        case WS_EVENT_CLOSED:
            engine_closed(socket, &event);
            break;
        }
    }
}

static void timer_move(struct websocket *socket)
{
    if (socket->connection->phase == HTTP_PHASE_WEBSOCKET)
        loop_timer_set(&socket->connection->timer, ws_connection_deadline(socket->ws));
}

/** Bytes of input handled before others get their turn. */
#define INPUT_TURN_BYTES (64u << 10)

static void input_pump(struct websocket *socket)
{
    struct http_connection *connection = socket->connection;
    size_t total = 0;
    while (connection->phase == HTTP_PHASE_WEBSOCKET && !socket->aborted && !socket->paused) {
        struct bytes input = stream_input(connection->stream);
        if (input.size == 0)
            return;
        if (total >= INPUT_TURN_BYTES) {
            http_connection_wake(connection);
            return;
        }
        size_t taken = ws_connection_input(socket->ws, now_of(socket), input);
        stream_consume(connection->stream, taken);
        total += taken;
        events_take(socket);
        if (memory_full(socket, 0)) {
            socket->aborted = true;
            memory_count(socket, 0); // at once, or others would go for the same bytes
        }
    }
}

void websocket_run(struct websocket *socket)
{
    if (socket->aborted) {
        tell_closed(socket, WS_CLOSE_ABNORMAL, bytes_of(NULL, 0));
        http_connection_abort(socket->connection);
        return;
    }
    input_pump(socket);
    if (socket->aborted) { // by its owner, or for what it holds
        http_connection_wake(socket->connection);
        return;
    }
    events_take(socket);
    output_pump(socket);
    memory_count(socket, ws_connection_memory(socket->ws));
    timer_move(socket);
}

void websocket_readable(struct websocket *socket)
{
    websocket_run(socket);
}

void websocket_writable(struct websocket *socket)
{
    websocket_run(socket);
}

void websocket_timer_expired(struct websocket *socket, uint64_t now_us)
{
    if (socket->paused)
        ws_connection_excuse(socket->ws, now_us);
    ws_connection_tick(socket->ws, now_us);
    websocket_run(socket);
}

void websocket_stream_closed(struct websocket *socket)
{
    ws_connection_stream_ended(socket->ws);
    events_take(socket);
}

void websocket_drain(struct websocket *socket)
{
    websocket_close(socket, WS_CLOSE_GOING_AWAY, "the server is going away");
}

// --- about ---

void websocket_set_context(struct websocket *socket, void *context)
{
    socket->context = context;
}

void *websocket_context(const struct websocket *socket)
{
    return socket->context;
}

const char *websocket_subprotocol(const struct websocket *socket)
{
    return socket->subprotocol;
}

const struct net_address *websocket_remote(const struct websocket *socket)
{
    return &socket->connection->remote;
}

size_t websocket_output_size(const struct websocket *socket)
{
    return ws_connection_output_size(socket->ws);
}

uint64_t websocket_rtt_us(const struct websocket *socket)
{
    return ws_connection_rtt_us(socket->ws);
}
