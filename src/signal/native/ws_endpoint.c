#include "signal/native/ws_endpoint.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "runtime/clock.h"
#include "signal/access/turn_offer.h"

#define DEFAULT_PING_INTERVAL_US (3 * TIME_US_PER_S)
#define DEFAULT_PONG_TIMEOUT_US  (10 * TIME_US_PER_S)
/** A large room's snapshot and a burst of events for a client that reads slowly. */
#define OUTPUT_SIZE_MAX   (4u << 20)
#define CLOSE_UNSUPPORTED 1003

struct ws_endpoint {
    struct ws_endpoint_config config;
    struct signal_native *native;
    struct native_transport transport;
    struct loop_timer timer;
};

static int transport_send(struct native_transport *self, void *socket, struct bytes text)
{
    (void)self;
    return websocket_send_text(socket, text);
}

static void transport_close(struct native_transport *self, void *socket, uint16_t code,
                            const char *reason)
{
    (void)self;
    websocket_close(socket, code, reason);
}

static void arm(struct ws_endpoint *endpoint)
{
    loop_timer_set(&endpoint->timer, signal_native_deadline(endpoint->native));
    signal_hub_changed(endpoint->config.hub);
}

static void tick(struct loop_timer *timer, uint64_t now_us)
{
    struct ws_endpoint *endpoint = container_of(timer, struct ws_endpoint, timer);
    signal_native_tick(endpoint->native, now_us);
    arm(endpoint);
}

static uint64_t read_clock(struct ws_endpoint *endpoint)
{
    uint64_t now_us = loop_now_us(endpoint->config.loop);
    // the wall clock may be set while we run
    signal_native_set_unix_offset(endpoint->native, clock_unix_us() - now_us);
    return now_us;
}

static void socket_opened(struct websocket *socket, struct http_exchange *exchange, void *owner)
{
    struct ws_endpoint *endpoint = owner;
    struct native_connection *connection = signal_native_open(
        endpoint->native, read_clock(endpoint), socket, websocket_remote(socket));
    if (!connection) {
        log_warning(endpoint->config.log, "connection refused: the server is full",
                    log_address("remote", websocket_remote(socket)));
        websocket_close(socket, 1013, "server full");
        return;
    }
    char host[TURN_HOST_SIZE];
    turn_reached_host(exchange, host);
    signal_native_set_host(connection, host);
    websocket_set_context(socket, connection);
    arm(endpoint);
}

static void socket_message(struct websocket *socket, bool is_text, struct bytes data, void *owner)
{
    struct ws_endpoint *endpoint = owner;
    struct native_connection *connection = websocket_context(socket);
    if (!connection)
        return;
    if (!is_text) {
        websocket_close(socket, CLOSE_UNSUPPORTED, "texts only");
        return;
    }
    signal_native_input(endpoint->native, read_clock(endpoint), connection, data);
    arm(endpoint);
}

static void socket_closed(struct websocket *socket, uint16_t code, struct bytes reason, void *owner)
{
    (void)reason;
    struct ws_endpoint *endpoint = owner;
    struct native_connection *connection = websocket_context(socket);
    if (!connection)
        return;
    websocket_set_context(socket, NULL);
    signal_native_closed(endpoint->native, read_clock(endpoint), connection, code);
    arm(endpoint);
}

/** Pages of our own host, of the origins that the configuration names, and clients that are none.
 */
static enum websocket_verdict check_origin(struct http_exchange *exchange, struct bytes origin,
                                           void *owner)
{
    (void)origin;
    const struct ws_endpoint *endpoint = owner;
    return http_exchange_is_from(exchange, endpoint->config.allowed_origins) ? WEBSOCKET_ACCEPT
                                                                             : WEBSOCKET_REFUSE;
}

/** Fills in what the parts share. */
static void complete_config(struct ws_endpoint *endpoint, const struct ws_endpoint_config *config)
{
    endpoint->config = *config;
    struct ws_endpoint_config *own = &endpoint->config;
    own->native.rooms = &config->hub->rooms;
    own->native.calls = &config->hub->calls;
    own->native.messaging = &config->hub->messaging;
    own->native.transport = &endpoint->transport;
    own->native.random = config->random;
    if (!own->pattern)
        own->pattern = "/ws";
    if (!own->ping_interval_us)
        own->ping_interval_us = DEFAULT_PING_INTERVAL_US;
    if (!own->pong_timeout_us)
        own->pong_timeout_us = DEFAULT_PONG_TIMEOUT_US;
    if (!own->native.message_size_max)
        own->native.message_size_max = 1024 * 1024;
    own->native.dead_after_us = own->pong_timeout_us;
}

static int add_route(struct ws_endpoint *endpoint)
{
    static const char *const subprotocols[] = { "roost.v1", NULL };
    const struct ws_endpoint_config *config = &endpoint->config;
    return http_server_add_websocket(
        config->server,
        &(struct websocket_endpoint){
            .pattern = config->pattern,
            .ops = { .opened = socket_opened, .message = socket_message, .closed = socket_closed },
            .owner = endpoint,
            .subprotocols = subprotocols,
            .check = check_origin,
            .message_size_max = config->native.message_size_max,
            .output_size_max = OUTPUT_SIZE_MAX,
            .ping_interval_us = config->ping_interval_us,
            .pong_timeout_us = config->pong_timeout_us,
        });
}

int ws_endpoint_new(const struct ws_endpoint_config *config, struct ws_endpoint **ret_endpoint)
{
    struct ws_endpoint *endpoint = memory_new(struct ws_endpoint);
    endpoint->transport.send = transport_send;
    endpoint->transport.close = transport_close;
    complete_config(endpoint, config);
    endpoint->native = signal_native_new(&endpoint->config.native);
    loop_timer_init(&endpoint->timer, config->loop, tick);
    int result = add_route(endpoint);
    if (result < 0) {
        ws_endpoint_free(endpoint);
        return result;
    }
    *ret_endpoint = endpoint;
    return 0;
}

void ws_endpoint_free(struct ws_endpoint *endpoint)
{
    if (!endpoint)
        return;
    loop_timer_cancel(&endpoint->timer);
    signal_native_free(endpoint->native);
    free(endpoint);
}

void ws_endpoint_reload(struct ws_endpoint *endpoint, const struct ws_endpoint_config *config)
{
    complete_config(endpoint, config);
    signal_native_reload(endpoint->native, &endpoint->config.native);
    arm(endpoint);
}

void ws_endpoint_drain(struct ws_endpoint *endpoint, const char *message)
{
    signal_native_drain(endpoint->native, loop_now_us(endpoint->config.loop), message);
}

void ws_endpoint_admitted(struct ws_endpoint *endpoint, const char *session,
                          const struct admission_answer *answer)
{
    signal_native_admitted(endpoint->native, read_clock(endpoint), session, answer);
    arm(endpoint);
}

void ws_endpoint_keys_fetched(struct ws_endpoint *endpoint)
{
    signal_native_keys_fetched(endpoint->native, read_clock(endpoint));
    arm(endpoint);
}

struct signal_native *ws_endpoint_native(struct ws_endpoint *endpoint)
{
    return endpoint->native;
}

void ws_endpoint_changed(struct ws_endpoint *endpoint)
{
    arm(endpoint);
}

size_t ws_endpoint_metrics(const struct ws_endpoint *endpoint, struct metric_set *sets,
                           size_t capacity)
{
    return signal_native_metrics(endpoint->native, sets, capacity);
}
