// One connection: what it speaks, its requests in order, and how long each step may take.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/http_server_int.h"

/** What a connection buffers of what its peer sends ahead. */
#define INPUT_BYTES (16u << 10)
/** Above this much unsent output no more is produced. */
#define HIGH_WATER_BYTES (64u << 10)

static const struct stream_handler connection_handler;

static const struct stream_limits connection_limits = {
    .input_bytes = INPUT_BYTES,
    .high_water_bytes = HIGH_WATER_BYTES,
};

// --- life ---

static void connection_run(struct loop_task *task);
static void connection_expired(struct loop_timer *timer, uint64_t now_us);

static struct http_connection *connection_new(struct http_listener *listener,
                                              const struct net_address *remote)
{
    struct http_server *server = listener->server;
    struct http_connection *connection = memory_new(struct http_connection);
    connection->server = server;
    connection->remote = net_address_unmapped(remote);
    connection->kind = listener->kind;
    connection->listener_port = listener->port;
    http_request_parser_init(&connection->parser,
                             &(struct http_limits){
                                 .first_line_size_max = server->config.request_line_size_max,
                                 .head_size_max = server->config.head_size_max,
                                 .header_count_max = server->config.header_count_max,
                                 .body_size_max = server->config.body_size_max,
                             });
    loop_timer_init(&connection->timer, server->config.loop, connection_expired);
    loop_task_init(&connection->task, connection_run);
    list_init(&connection->node);
    list_append(&server->connections, &connection->node);
    metric_add(&server->metrics.values[HTTP_CONNECTIONS], 1);
    return connection;
}

void http_connection_free(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    loop_timer_cancel(&connection->timer);
    loop_task_cancel(&connection->task);
    if (connection->websocket)
        websocket_free(connection->websocket);
    http_exchange_end(&connection->exchange);
    stream_close(connection->stream);
    http_request_parser_done(&connection->parser);
    list_remove(&connection->node);
    address_limit_release(&server->limit, &connection->remote);
    metric_subtract(&server->metrics.values[HTTP_CONNECTIONS], 1);
    free(connection);
}

void http_connection_accept(struct http_listener *listener, int fd,
                            const struct net_address *remote)
{
    struct http_server *server = listener->server;
    http_count(&server->metrics, HTTP_ACCEPTED);
    struct http_connection *connection = connection_new(listener, remote);
    int result = tcp_stream_new(server->config.loop, fd, &connection_limits, &connection_handler,
                                connection, &connection->stream);
    if (result != 0) {
        http_connection_free(connection);
        return;
    }
    struct net_address local = stream_local(connection->stream);
    connection->local = net_address_unmapped(&local);
    http_connection_set_phase(connection, HTTP_PHASE_FIRST_BYTES);
}

void http_connection_wake(struct http_connection *connection)
{
    loop_task_defer(connection->server->config.loop, &connection->task);
}

void http_connection_abort(struct http_connection *connection)
{
    if (connection->phase == HTTP_PHASE_DEAD)
        return;
    http_connection_set_phase(connection, HTTP_PHASE_DEAD);
    http_connection_wake(connection);
}

void http_connection_finish(struct http_connection *connection)
{
    if (connection->phase >= HTTP_PHASE_CLOSING)
        return;
    http_connection_set_phase(connection, HTTP_PHASE_CLOSING);
    // a slow line needs longer for the end of its answer than for a word of farewell
    bool all_sent = stream_unsent(connection->stream) == 0;
    stream_finish(connection->stream,
                  all_sent ? HTTP_LINGER_US : connection->server->config.write_timeout_us);
}

// --- time ---

/** When the phase has lasted too long; TIME_NEVER when others watch it. */
static uint64_t phase_deadline(const struct http_connection *connection)
{
    const struct http_server_config *config = &connection->server->config;
    switch (connection->phase) {
    case HTTP_PHASE_FIRST_BYTES:
        return connection->phase_us + config->first_byte_timeout_us;
    case HTTP_PHASE_IDLE:
        return connection->phase_us + config->idle_timeout_us;
    case HTTP_PHASE_HEAD:
        return connection->phase_us + config->head_timeout_us;
    case HTTP_PHASE_BODY: {
        // neither a long pause nor a byte now and then
        uint64_t received = connection->parser.body.received;
        uint64_t slowest = connection->phase_us + config->body_timeout_us +
                           received * TIME_US_PER_S / config->body_rate_min;
        return time_earlier(slowest, connection->progress_us + config->body_timeout_us);
    }
    case HTTP_PHASE_HANDLER:
        return connection->phase_us + config->answer_timeout_us;
    case HTTP_PHASE_WRITING:
        return connection->progress_us + config->write_timeout_us;
    case HTTP_PHASE_WEBSOCKET: // websocket.c sets the timer
    case HTTP_PHASE_CLOSING:   // stream_finish has its own
    case HTTP_PHASE_DEAD:
        break;
    }
    return TIME_NEVER;
}

void http_connection_set_phase(struct http_connection *connection, enum http_phase phase)
{
    uint64_t now_us = loop_now_us(connection->server->config.loop);
    connection->phase = phase;
    connection->phase_us = now_us;
    connection->progress_us = now_us;
    connection->unsent = 0;
    loop_timer_set(&connection->timer, phase_deadline(connection));
}

/** A writing connection that made progress, or waits for its source, goes on. */
static bool writing_goes_on(struct http_connection *connection)
{
    size_t unsent = stream_unsent(connection->stream);
    bool moved = unsent != connection->unsent || unsent == 0;
    connection->unsent = unsent;
    if (moved)
        connection->progress_us = loop_now_us(connection->server->config.loop);
    return moved;
}

static void time_out_request(struct http_connection *connection, enum http_metric metric)
{
    http_count(&connection->server->metrics, metric);
    if (connection->exchange.state == HTTP_EXCHANGE_NONE)
        http_exchange_begin(&connection->exchange, connection);
    http_answer_refusal(&connection->exchange, 408, "The request was sent too slowly.");
}

static void connection_expired(struct loop_timer *timer, uint64_t now_us)
{
    struct http_connection *connection = container_of(timer, struct http_connection, timer);
    struct http_metrics *metrics = &connection->server->metrics;
    if (connection->phase == HTTP_PHASE_WEBSOCKET) {
        websocket_timer_expired(connection->websocket, now_us);
        return;
    }
    if (now_us < phase_deadline(connection) ||
        (connection->phase == HTTP_PHASE_WRITING && writing_goes_on(connection))) {
        loop_timer_set(timer, phase_deadline(connection));
        return;
    }
    switch (connection->phase) {
    case HTTP_PHASE_FIRST_BYTES:
        http_count(metrics, HTTP_REJECTED_SILENT);
        http_connection_abort(connection);
        break;
    case HTTP_PHASE_IDLE:
        http_count(metrics, HTTP_TIMEOUT_IDLE);
        http_connection_finish(connection);
        break;
    case HTTP_PHASE_HEAD:
        time_out_request(connection, HTTP_TIMEOUT_HEAD);
        break;
    case HTTP_PHASE_BODY:
        time_out_request(connection, HTTP_TIMEOUT_BODY);
        break;
    case HTTP_PHASE_HANDLER:
        http_count(metrics, HTTP_TIMEOUT_ANSWER);
        http_exchange_fail(&connection->exchange, 504, "The answer took too long.");
        break;
    case HTTP_PHASE_WRITING:
        http_count(metrics, HTTP_TIMEOUT_WRITE);
        http_connection_abort(connection);
        break;
    default:
        break;
    }
}

// --- what the connection speaks ---

static void reject(struct http_connection *connection, enum http_metric reason)
{
    http_count(&connection->server->metrics, reason);
    http_connection_abort(connection);
}

/** The transport becomes the lower half of a TLS stream; first bytes are looked at again inside. */
static void secure_begin(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    if (connection->kind != HTTP_LISTENER_TLS || connection->over_tls) {
        reject(connection, HTTP_REJECTED_TLS_ON_PLAIN);
    } else if (!server->tls) {
        reject(connection, HTTP_REJECTED_NO_TLS);
    } else {
        connection->over_tls = true;
        connection->stream = secure_stream_new_server(
            connection->stream, server->tls, &connection_limits, &connection_handler, connection);
    }
}

typedef void adopt_function(void *owner, struct stream_parcel *parcel,
                            const struct net_address *remote, const struct net_address *local);

/** The stream goes to its owner with all that has arrived (NULL: nobody); our part of it ends. */
static void hand_over(struct http_connection *connection, adopt_function *adopt, void *owner,
                      enum http_metric taken, enum http_metric refused)
{
    if (!adopt || connection->server->draining) {
        reject(connection, refused);
        return;
    }
    http_count(&connection->server->metrics, taken);
    struct stream_parcel *parcel = stream_detach(connection->stream);
    connection->stream = NULL;
    adopt(owner, parcel, &connection->remote, &connection->local);
    http_connection_abort(connection);
}

/** To the MQTT broker, unless a password would cross the network in the open. */
static void hand_to_mqtt(struct http_connection *connection)
{
    const struct http_server_config *config = &connection->server->config;
    bool in_the_open = !connection->over_tls && !net_address_is_loopback(&connection->remote);
    hand_over(connection, in_the_open ? NULL : config->adopt_mqtt, config->mqtt_owner,
              HTTP_HANDED_OVER_MQTT, HTTP_REJECTED_MQTT);
}

/** Whether ALPN has said that this is TURN (RFC 7443): then it is nothing else. */
static bool chose_turn(const struct http_connection *connection)
{
    const char *alpn = stream_alpn(connection->stream);
    return strcmp(alpn, "stun.turn") == 0 || strcmp(alpn, "stun.nat-discovery") == 0;
}

/** The table of consumers. */
static void first_bytes(struct http_connection *connection)
{
    const struct http_server_config *config = &connection->server->config;
    enum protocol_sniffed protocol = protocol_sniff(stream_input(connection->stream));
    if (protocol != PROTOCOL_MORE_NEEDED && protocol != PROTOCOL_STUN && chose_turn(connection)) {
        reject(connection, HTTP_REJECTED_STUN);
        return;
    }
    bool chose_mqtt = strcmp(stream_alpn(connection->stream), "mqtt") == 0;
    if (protocol != PROTOCOL_MORE_NEEDED && protocol != PROTOCOL_MQTT && chose_mqtt) {
        reject(connection, HTTP_REJECTED_MQTT);
        return;
    }
    switch (protocol) {
    case PROTOCOL_MORE_NEEDED:
        break;
    case PROTOCOL_HTTP:
        connection->wrong_scheme = connection->kind == HTTP_LISTENER_TLS && !connection->over_tls;
        http_connection_set_phase(connection, HTTP_PHASE_IDLE);
        break;
    case PROTOCOL_TLS:
        secure_begin(connection);
        break;
    case PROTOCOL_STUN:
        hand_over(connection, config->adopt_turn, config->turn_owner, HTTP_HANDED_OVER,
                  HTTP_REJECTED_STUN);
        break;
    case PROTOCOL_ICE_TCP:
        hand_over(connection, config->adopt_media, config->media_owner, HTTP_HANDED_OVER_MEDIA,
                  HTTP_REJECTED_ICE_TCP);
        break;
    case PROTOCOL_MQTT:
        hand_to_mqtt(connection);
        break;
    case PROTOCOL_XMPP:
        reject(connection, HTTP_REJECTED_XMPP);
        break;
    case PROTOCOL_SIP:
        reject(connection, HTTP_REJECTED_SIP);
        break;
    case PROTOCOL_UNKNOWN:
        reject(connection, HTTP_REJECTED_UNKNOWN);
        break;
    }
}

// --- requests ---

/** The head is known: where the request goes decides how large its body may be. */
static void request_begin(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    struct http_exchange *exchange = &connection->exchange;
    struct http_request *request = &connection->parser.request;
    http_exchange_begin(exchange, connection);
    exchange->match = http_routes_find(&server->routes, request->method, request->path);
    const struct http_route *route = exchange->match.route;
    uint64_t size_max =
        route && route->body_size_max ? route->body_size_max : server->config.body_size_max;
    http_request_limit_body(&connection->parser, size_max);
    http_connection_set_phase(connection, HTTP_PHASE_BODY);
    if (!request->has_body)
        return;
    if (http_policy_answers(exchange)) // nobody wants the body: it is not read
        return;
    bool waits = request->expects_continue && stream_input(connection->stream).size == 0;
    if (waits && request->content_length <= size_max &&
        stream_write(connection->stream, bytes_of_text("HTTP/1.1 100 Continue\r\n\r\n")) != 0)
        http_connection_abort(connection);
}

static void body_part(struct http_connection *connection, struct bytes part)
{
    connection->progress_us = loop_now_us(connection->server->config.loop);
    if (http_exchange_add_body(&connection->exchange, part) == 0)
        return;
    http_count(&connection->server->metrics, HTTP_BODY_MEMORY_FULL);
    http_answer_refusal(&connection->exchange, 503, "The server is busy with other uploads.");
}

static void request_refused(struct http_connection *connection, enum http_refusal refusal)
{
    http_count(&connection->server->metrics, HTTP_REFUSED_FIRST + (refusal - 1));
    if (connection->exchange.state == HTTP_EXCHANGE_NONE)
        http_exchange_begin(&connection->exchange, connection);
    http_answer_refusal(&connection->exchange, http_refusal_status(refusal),
                        http_refusal_sentence(refusal));
}

/** One event of the parser. False when it needs more bytes. */
static bool request_step(struct http_connection *connection)
{
    struct http_event event;
    struct bytes input = stream_input(connection->stream);
    if (connection->phase == HTTP_PHASE_IDLE && input.size > 0)
        http_connection_set_phase(connection, HTTP_PHASE_HEAD);
    size_t taken = http_request_input(&connection->parser, input, &event);
    switch (event.kind) {
    case HTTP_EVENT_NONE:
        break;
    case HTTP_EVENT_HEAD:
        stream_consume(connection->stream, taken);
        request_begin(connection);
        return true;
    case HTTP_EVENT_BODY: // the part is a view of the input
        body_part(connection, event.body);
        if (connection->phase != HTTP_PHASE_BODY)
            return false; // refused, and the input thrown away
        break;
    case HTTP_EVENT_END:
        stream_consume(connection->stream, taken);
        http_count(&connection->server->metrics, HTTP_REQUESTS);
        connection->request_count++;
        http_connection_set_phase(connection, HTTP_PHASE_HANDLER);
        http_exchange_dispatch(&connection->exchange);
        return true;
    case HTTP_EVENT_REFUSED:
        stream_consume(connection->stream, taken);
        request_refused(connection, event.refusal);
        return false;
    }
    stream_consume(connection->stream, taken);
    return event.kind != HTTP_EVENT_NONE;
}

/** Reads requests until bytes, the handler or the client's reading is waited for. */
static void requests_pump(struct http_connection *connection)
{
    if (connection->in_pump)
        return;
    connection->in_pump = true;
    for (int steps = 0; steps < 256; steps++) {
        bool reads = connection->phase >= HTTP_PHASE_IDLE && connection->phase <= HTTP_PHASE_BODY;
        bool more = reads && !stream_congested(connection->stream) && request_step(connection);
        if (!more) {
            connection->in_pump = false;
            return;
        }
    }
    connection->in_pump = false;
    http_connection_wake(connection); // others first
}

void http_connection_answered(struct http_connection *connection)
{
    struct http_exchange *exchange = &connection->exchange;
    bool last = exchange->last;
    http_exchange_end(exchange);
    if (connection->phase >= HTTP_PHASE_WEBSOCKET)
        return;
    if (last) {
        http_connection_finish(connection);
        return;
    }
    http_connection_set_phase(connection, HTTP_PHASE_IDLE);
    http_connection_wake(connection);
}

// --- events ---

static void connection_go_on(struct http_connection *connection)
{
    if (connection->phase == HTTP_PHASE_FIRST_BYTES)
        first_bytes(connection);
    if (connection->phase == HTTP_PHASE_WRITING)
        http_answer_pump(&connection->exchange);
    requests_pump(connection);
    // a peer that has ended can still read what it asked for, but asks for nothing more
    bool between = connection->phase <= HTTP_PHASE_BODY && connection->phase != HTTP_PHASE_DEAD;
    if (connection->peer_ended && between && stream_input(connection->stream).size == 0)
        http_connection_finish(connection);
}

static void connection_run(struct loop_task *task)
{
    struct http_connection *connection = container_of(task, struct http_connection, task);
    if (connection->phase == HTTP_PHASE_DEAD)
        http_connection_free(connection);
    else if (connection->phase == HTTP_PHASE_WEBSOCKET)
        websocket_run(connection->websocket);
    else
        connection_go_on(connection);
}

static void on_readable(void *owner, struct stream *stream unused)
{
    struct http_connection *connection = owner;
    if (connection->phase == HTTP_PHASE_WEBSOCKET)
        websocket_readable(connection->websocket);
    else
        connection_go_on(connection);
}

static void on_writable(void *owner, struct stream *stream unused)
{
    struct http_connection *connection = owner;
    if (connection->phase == HTTP_PHASE_WEBSOCKET)
        websocket_writable(connection->websocket);
    else
        connection_go_on(connection);
}

static void on_ended(void *owner, struct stream *stream unused)
{
    struct http_connection *connection = owner;
    connection->peer_ended = true;
    if (connection->phase == HTTP_PHASE_WEBSOCKET)
        websocket_stream_closed(connection->websocket);
    else
        connection_go_on(connection);
}

static void on_closed(void *owner, struct stream *stream unused, enum stream_close_reason reason,
                      int error unused)
{
    struct http_connection *connection = owner;
    if (reason == STREAM_TLS_FAILED && connection->phase == HTTP_PHASE_FIRST_BYTES)
        http_count(&connection->server->metrics, HTTP_REJECTED_HANDSHAKE);
    if (connection->phase == HTTP_PHASE_WRITING)
        http_count(&connection->server->metrics, HTTP_ANSWERS_CUT);
    if (connection->phase == HTTP_PHASE_WEBSOCKET)
        websocket_stream_closed(connection->websocket);
    http_connection_abort(connection);
}

static const struct stream_handler connection_handler = {
    .readable = on_readable,
    .ended = on_ended,
    .writable = on_writable,
    .closed = on_closed,
};
