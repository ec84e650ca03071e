// Connections to the broker: streams of TCP and TLS, and WebSockets.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/secure_stream.h"
#include "server/http_server.h"
#include "signal/mqtt/mqtt_endpoint_int.h"

#define FINISH_US         (2 * TIME_US_PER_S)
#define TLS_FIRST_BYTE    0x16
#define CLOSE_UNSUPPORTED 1003
#define CLOSE_POLICY      1008
#define CLOSE_TRY_LATER   1013
/** A message of a WebSocket may be so much longer than the largest packet. */
#define WEBSOCKET_MESSAGE_EXTRA (256u << 10)

/** ---- both kinds ---- */

static struct mqtt_socket *socket_new(struct mqtt_endpoint *endpoint,
                                      const struct net_address *remote)
{
    struct mqtt_socket *socket = memory_new(struct mqtt_socket);
    socket->endpoint = endpoint;
    socket->remote = *remote;
    list_append(&endpoint->sockets, &socket->node);
    return socket;
}

static void leave_broker(struct mqtt_socket *socket)
{
    if (!socket->client)
        return;
    struct broker_client *client = socket->client;
    socket->client = NULL;
    broker_client_closed(client, mqtt_endpoint_now(socket->endpoint));
    mqtt_endpoint_wake(socket->endpoint);
}

void mqtt_socket_free(struct mqtt_socket *socket)
{
    leave_broker(socket);
    stream_close(socket->stream);
    if (socket->ws && socket->ws->websocket) {
        websocket_set_context(socket->ws->websocket, NULL);
        websocket_abort(socket->ws->websocket);
    }
    if (socket->is_counted)
        address_limit_release(&socket->endpoint->limit, &socket->remote);
    list_remove(&socket->node);
    if (socket->ws)
        buffer_done(&socket->ws->input);
    free(socket->ws);
    free(socket);
}

void mqtt_socket_host(const struct mqtt_socket *socket, char out[TURN_HOST_SIZE])
{
    if (socket->ws) {
        snprintf(out, TURN_HOST_SIZE, "%s", socket->ws->host);
        return;
    }
    struct net_address local = stream_local(socket->stream);
    turn_address_host(&local, out);
}

static bool enter_broker(struct mqtt_socket *socket)
{
    struct mqtt_endpoint *endpoint = socket->endpoint;
    socket->client =
        broker_client_open(endpoint->broker, mqtt_endpoint_now(endpoint), socket, &socket->remote);
    mqtt_endpoint_wake(endpoint);
    return socket->client;
}

static struct bytes input_of(const struct mqtt_socket *socket)
{
    return socket->stream ? stream_input(socket->stream) : buffer_view(&socket->ws->input);
}

static void consume(struct mqtt_socket *socket, size_t size)
{
    if (socket->stream)
        stream_consume(socket->stream, size);
    else
        buffer_consume(&socket->ws->input, size);
}

/** Gives the broker what has arrived, as long as it takes some. */
static void feed(struct mqtt_socket *socket)
{
    uint64_t now_us = mqtt_endpoint_now(socket->endpoint);
    struct bytes input = input_of(socket);
    while (socket->client && input.size > 0) {
        size_t taken = broker_client_input(socket->client, now_us, input);
        consume(socket, taken);
        if (taken == 0)
            break;
        input = input_of(socket);
    }
    bool busy = socket->client && broker_client_is_busy(socket->client);
    if (busy != socket->paused) {
        socket->paused = busy;
        if (socket->stream)
            stream_pause(socket->stream, busy);
        else
            websocket_pause(socket->ws->websocket, busy);
    }
    mqtt_endpoint_wake(socket->endpoint);
}

/** Returns how many bytes wait to be sent, or a negative errno. */
static ssize_t write_out(struct mqtt_socket *socket, struct bytes output)
{
    int result = socket->stream ? stream_write(socket->stream, output)
                                : websocket_send_binary(socket->ws->websocket, output);
    if (result < 0)
        return result;
    return (ssize_t)(socket->stream ? stream_unsent(socket->stream)
                                    : websocket_output_size(socket->ws->websocket));
}

static void finish(struct mqtt_socket *socket)
{
    leave_broker(socket);
    if (socket->stream)
        stream_finish(socket->stream, FINISH_US);
    else
        websocket_close(socket->ws->websocket, WS_CLOSE_NORMAL, "");
}

void mqtt_socket_send(struct mqtt_socket *socket)
{
    struct broker_client *client = socket->client;
    struct bytes output = broker_client_output(client, mqtt_endpoint_now(socket->endpoint));
    ssize_t waiting = output.size > 0 ? write_out(socket, output) : 0;
    if (waiting < 0) {
        // closing, or it reads nothing: the stream tells when it is gone
        broker_client_block(client, true);
        if (socket->stream)
            finish(socket);
        else
            websocket_abort(socket->ws->websocket);
        return;
    }
    if (broker_client_is_over(client)) {
        finish(socket);
        return;
    }
    if ((size_t)waiting > MQTT_UNSENT_MAX) {
        broker_client_block(client, true);
        if (socket->stream)
            stream_notify_drained(socket->stream);
    }
    if (socket->paused && !broker_client_is_busy(client))
        feed(socket);
}

static void drained(struct mqtt_socket *socket)
{
    if (!socket->client)
        return;
    broker_client_block(socket->client, false);
    mqtt_endpoint_wake(socket->endpoint);
}

/** ---- streams ---- */

static void stream_readable(void *owner, struct stream *stream);

static void stream_ended(void *owner, struct stream *stream)
{
    struct mqtt_socket *socket = owner;
    leave_broker(socket);
    stream_finish(stream, FINISH_US);
}

static void stream_writable(void *owner, struct stream *stream)
{
    (void)stream;
    drained(owner);
}

static void stream_closed(void *owner, struct stream *stream, enum stream_close_reason reason,
                          int error)
{
    (void)stream, (void)reason, (void)error;
    mqtt_socket_free(owner);
}

static const struct stream_handler handler = {
    .readable = stream_readable,
    .ended = stream_ended,
    .writable = stream_writable,
    .closed = stream_closed,
};

static struct stream_limits limits_of(const struct mqtt_endpoint *endpoint)
{
    size_t packet = endpoint->config.broker.packet_size_max + MQTT_HEADER_SIZE_MAX;
    // one packet of the largest size may stand behind what is above the mark
    return (struct stream_limits){ .input_bytes = max_of(packet, (size_t)(64u << 10)),
                                   .output_bytes = 4 * MQTT_UNSENT_MAX + 2 * packet,
                                   .high_water_bytes = MQTT_UNSENT_MAX };
}

/** Decides between TLS and plain by the first byte. False: nothing more is to be done now. */
static bool sniff(struct mqtt_socket *socket)
{
    struct mqtt_endpoint *endpoint = socket->endpoint;
    bool is_tls = stream_input(socket->stream).data[0] == TLS_FIRST_BYTE;
    socket->sniffed = true;
    if (!is_tls && !socket->tls_only)
        return true;
    if (!is_tls || !endpoint->tls) {
        stream_finish(socket->stream, FINISH_US);
        return false;
    }
    struct stream_limits limits = limits_of(endpoint);
    socket->stream =
        secure_stream_new_server(socket->stream, endpoint->tls, &limits, &handler, socket);
    return false;
}

static void stream_readable(void *owner, struct stream *stream)
{
    (void)stream;
    struct mqtt_socket *socket = owner;
    if (stream_input(socket->stream).size == 0)
        return;
    if (!socket->sniffed && !sniff(socket))
        return;
    feed(socket);
}

void mqtt_socket_accept(struct mqtt_listener *listener, int fd, const struct net_address *remote)
{
    struct mqtt_endpoint *endpoint = listener->endpoint;
    struct mqtt_socket *socket = socket_new(endpoint, remote);
    socket->tls_only = listener->tls_only;
    socket->is_counted = !net_address_is_loopback(remote);
    struct stream_limits limits = limits_of(endpoint);
    if (tcp_stream_new(endpoint->config.loop, fd, &limits, &handler, socket, &socket->stream) < 0 ||
        !enter_broker(socket))
        mqtt_socket_free(socket);
}

void mqtt_endpoint_adopt(void *owner, struct stream_parcel *parcel,
                         const struct net_address *remote, const struct net_address *local)
{
    (void)local;
    struct mqtt_endpoint *endpoint = owner;
    bool counted = !net_address_is_loopback(remote);
    if (endpoint->draining || (counted && !address_limit_take(&endpoint->limit, remote))) {
        stream_parcel_free(parcel);
        return;
    }
    struct mqtt_socket *socket = socket_new(endpoint, remote);
    socket->sniffed = true;
    socket->is_counted = counted;
    if (stream_attach(parcel, endpoint->config.loop, &handler, socket, &socket->stream) < 0 ||
        !enter_broker(socket)) {
        mqtt_socket_free(socket);
        return;
    }
    struct stream_limits limits = limits_of(endpoint);
    stream_set_limits(socket->stream, &limits);
}

/** ---- WebSockets (5.0, 6) ---- */

static void websocket_opened(struct websocket *websocket, struct http_exchange *exchange,
                             void *owner)
{
    struct mqtt_endpoint *endpoint = owner;
    struct mqtt_socket *socket = socket_new(endpoint, websocket_remote(websocket));
    char host[TURN_HOST_SIZE];
    turn_reached_host(exchange, host);
    struct mqtt_websocket *ws = memory_allocate(1, sizeof(*ws) + strlen(host) + 1);
    memcpy(ws->host, host, strlen(host));
    ws->websocket = websocket;
    size_t packet = endpoint->config.broker.packet_size_max + MQTT_HEADER_SIZE_MAX;
    // the beginning of a packet, and one message: then it is paused while the broker is busy
    buffer_init(&ws->input, 2 * packet + WEBSOCKET_MESSAGE_EXTRA);
    socket->ws = ws;
    websocket_set_context(websocket, socket);
    if (endpoint->draining || !enter_broker(socket)) {
        ws->websocket = NULL;
        mqtt_socket_free(socket);
        websocket_set_context(websocket, NULL);
        websocket_close(websocket, CLOSE_TRY_LATER, "the server is full");
    }
}

static void websocket_message(struct websocket *websocket, bool is_text, struct bytes data,
                              void *owner)
{
    (void)owner;
    struct mqtt_socket *socket = websocket_context(websocket);
    if (!socket || !socket->client)
        return;
    // MQTT-6.0.0-1
    if (is_text) {
        websocket_close(websocket, CLOSE_UNSUPPORTED, "MQTT comes in binary frames");
        return;
    }
    // packets and frames need not begin together (MQTT-6.0.0-2)
    if (buffer_append(&socket->ws->input, data) < 0) {
        websocket_close(websocket, CLOSE_POLICY, "too much at once");
        return;
    }
    feed(socket);
}

static void websocket_closed(struct websocket *websocket, uint16_t code, struct bytes reason,
                             void *owner)
{
    (void)code, (void)reason, (void)owner;
    struct mqtt_socket *socket = websocket_context(websocket);
    if (!socket)
        return;
    socket->ws->websocket = NULL;
    websocket_set_context(websocket, NULL);
    mqtt_socket_free(socket);
}

static void websocket_drained(struct websocket *websocket, void *owner)
{
    (void)owner;
    struct mqtt_socket *socket = websocket_context(websocket);
    if (socket)
        drained(socket);
}

static enum websocket_verdict check_origin(struct http_exchange *exchange, struct bytes origin,
                                           void *owner)
{
    (void)origin;
    const struct mqtt_endpoint *endpoint = owner;
    return http_exchange_is_from(exchange, endpoint->config.allowed_origins) ? WEBSOCKET_ACCEPT
                                                                             : WEBSOCKET_REFUSE;
}

int mqtt_socket_add_route(struct mqtt_endpoint *endpoint)
{
    // MQTT-6.0.0-3; the second is what clients of 3.1 say
    static const char *const subprotocols[] = { "mqtt", "mqttv3.1", NULL };
    size_t packet = endpoint->config.broker.packet_size_max + MQTT_HEADER_SIZE_MAX;
    return http_server_add_websocket(
        endpoint->config.server,
        &(struct websocket_endpoint){ .pattern = "/mqtt",
                                      .ops = { .opened = websocket_opened,
                                               .message = websocket_message,
                                               .closed = websocket_closed,
                                               .drained = websocket_drained },
                                      .owner = endpoint,
                                      .subprotocols = subprotocols,
                                      .subprotocol_required = true,
                                      .check = check_origin,
                                      .message_size_max = packet + WEBSOCKET_MESSAGE_EXTRA,
                                      .output_size_max = 4 * MQTT_UNSENT_MAX + 2 * packet });
}
