#include "signal/peerjs/peerjs_endpoint.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/address_limit.h"
#include "runtime/clock.h"
#include "signal/access/token.h"

/** Offers with much metadata; the client's own server takes more, but nobody needs it. */
#define MESSAGE_SIZE_MAX (64u << 10)
#define KEY_SIZE         65
#define RATE_BURST       8
#define CLOSE_RATE       1013

struct peerjs_endpoint {
    struct peerjs_endpoint_config config;
    struct signal_peerjs *peerjs;
    struct peerjs_transport transport;
    struct loop_timer timer;
    struct address_rate rate;
};

/** ---- the transport ---- */

static int transport_send(struct peerjs_transport *self, void *socket, struct bytes text)
{
    (void)self;
    return websocket_send_text(socket, text);
}

static void transport_close(struct peerjs_transport *self, void *socket, uint16_t code,
                            const char *reason)
{
    (void)self;
    websocket_close(socket, code, reason);
}

static void transport_moved(struct peerjs_transport *self, void *socket, struct peerjs_peer *peer)
{
    (void)self;
    websocket_set_context(socket, peer);
}

static void transport_wake(struct peerjs_transport *self)
{
    struct peerjs_endpoint *endpoint = container_of(self, struct peerjs_endpoint, transport);
    loop_timer_set_after(&endpoint->timer, 0);
}

static uint64_t now_us(const struct peerjs_endpoint *endpoint)
{
    return loop_now_us(endpoint->config.hub->loop);
}

static uint64_t unix_s(void)
{
    return clock_unix_us() / TIME_US_PER_S;
}

/** The engine acted: deadlines of its own and of calls may be nearer. */
static void changed(struct peerjs_endpoint *endpoint)
{
    signal_hub_changed(endpoint->config.hub);
    loop_timer_set(&endpoint->timer, signal_peerjs_deadline(endpoint->peerjs));
}

static void tick(struct loop_timer *timer, uint64_t now)
{
    struct peerjs_endpoint *endpoint = container_of(timer, struct peerjs_endpoint, timer);
    signal_peerjs_tick(endpoint->peerjs, now);
    changed(endpoint);
}

/** ---- WebSocket ---- */

static bool take_rate(struct peerjs_endpoint *endpoint, const struct net_address *remote)
{
    uint32_t rate = endpoint->config.rate_per_address;
    return net_address_is_loopback(remote) ||
           address_rate_take(&endpoint->rate, remote, now_us(endpoint), rate, rate * RATE_BURST);
}

/** A parameter of the request; "" when it is absent or cannot be read. */
static void read_query(struct http_exchange *exchange, const char *name, char *out, size_t capacity)
{
    if (http_exchange_query(exchange, name, out, capacity) < 0)
        out[0] = '\0';
}

static void socket_opened(struct websocket *socket, struct http_exchange *exchange, void *owner)
{
    struct peerjs_endpoint *endpoint = owner;
    if (!take_rate(endpoint, websocket_remote(socket))) {
        signal_peerjs_count_rate(endpoint->peerjs);
        websocket_close(socket, CLOSE_RATE, "too many connections of this address");
        return;
    }
    char key[KEY_SIZE], id[CALL_NAME_SIZE];
    char *token = memory_allocate(1, TOKEN_SIZE_MAX + 1);
    read_query(exchange, "key", key, sizeof(key));
    read_query(exchange, "id", id, sizeof(id));
    read_query(exchange, "token", token, TOKEN_SIZE_MAX + 1);
    const struct peerjs_entry entry = {
        .key = key, .id = id, .token = token, .remote = *websocket_remote(socket)
    };
    struct peerjs_peer *peer =
        signal_peerjs_open(endpoint->peerjs, now_us(endpoint), unix_s(), socket, &entry);
    websocket_set_context(socket, peer);
    memory_wipe(token, TOKEN_SIZE_MAX + 1);
    free(token);
    changed(endpoint);
}

static void socket_message(struct websocket *socket, bool is_text, struct bytes data, void *owner)
{
    struct peerjs_endpoint *endpoint = owner;
    struct peerjs_peer *peer = websocket_context(socket);
    if (!peer)
        return;
    if (!is_text) {
        websocket_close(socket, 1003, "texts only");
        return;
    }
    signal_peerjs_input(endpoint->peerjs, now_us(endpoint), peer, data);
    changed(endpoint);
}

static void socket_closed(struct websocket *socket, uint16_t code, struct bytes reason, void *owner)
{
    (void)reason;
    struct peerjs_endpoint *endpoint = owner;
    struct peerjs_peer *peer = websocket_context(socket);
    if (!peer)
        return;
    websocket_set_context(socket, NULL);
    signal_peerjs_closed(endpoint->peerjs, now_us(endpoint), peer, code);
    changed(endpoint);
}

static enum websocket_verdict check_origin(struct http_exchange *exchange, struct bytes origin,
                                           void *owner)
{
    (void)origin;
    const struct peerjs_endpoint *endpoint = owner;
    return http_exchange_is_from(exchange, endpoint->config.allowed_origins) ? WEBSOCKET_ACCEPT
                                                                             : WEBSOCKET_REFUSE;
}

/** ---- HTTP ---- */

static const char *const *allowed_origins(void *owner)
{
    const struct peerjs_endpoint *endpoint = owner;
    return endpoint->config.allowed_origins;
}

/** False, with an answer, for pages that may not ask and for who asks too often. */
static bool may_ask(struct peerjs_endpoint *endpoint, struct http_exchange *exchange)
{
    if (!http_exchange_is_from(exchange, endpoint->config.allowed_origins)) {
        http_exchange_fail(exchange, 403, "Pages of this origin may not use this server.");
        return false;
    }
    if (take_rate(endpoint, http_exchange_remote(exchange))) {
        http_exchange_add_field(exchange, "Cache-Control", "no-store");
        return true;
    }
    signal_peerjs_count_rate(endpoint->peerjs);
    http_exchange_add_field(exchange, "Retry-After", "1");
    http_exchange_fail(exchange, 429, "Too many requests of your address.");
    return false;
}

static void get_id(struct http_exchange *exchange, void *owner)
{
    struct peerjs_endpoint *endpoint = owner;
    if (!may_ask(endpoint, exchange))
        return;
    char id[PEERJS_ID_SIZE];
    signal_peerjs_make_id(endpoint->peerjs, id);
    http_exchange_respond_text(exchange, 200, id);
}

static void get_peers(struct http_exchange *exchange, void *owner)
{
    struct peerjs_endpoint *endpoint = owner;
    if (!may_ask(endpoint, exchange))
        return;
    char *names = endpoint->config.allow_discovery ? signal_peerjs_list(endpoint->peerjs) : NULL;
    if (!names) {
        // the client knows this status, and tells its page what to configure
        http_exchange_fail(exchange, 401, "Peers are not listed here.");
        return;
    }
    http_exchange_respond(exchange, 200, "application/json", bytes_of_text(names));
    free(names);
}

/** ---- the endpoint ---- */

static int add_socket(struct peerjs_endpoint *endpoint, const char *pattern)
{
    const struct peerjs_endpoint_config *config = &endpoint->config;
    return http_server_add_websocket(
        config->server,
        &(struct websocket_endpoint){
            .pattern = pattern,
            .ops = { .opened = socket_opened, .message = socket_message, .closed = socket_closed },
            .owner = endpoint,
            .check = check_origin,
            .message_size_max = MESSAGE_SIZE_MAX,
            .ping_interval_us = config->ping_interval_us,
            .pong_timeout_us = config->pong_timeout_us,
        });
}

/** The client asks below its path, which is "/" unless its page says otherwise. */
static int add_route(struct peerjs_endpoint *endpoint, const char *path, const char *name,
                     void (*answer)(struct http_exchange *exchange, void *owner))
{
    char pattern[KEY_SIZE + 32];
    snprintf(pattern, sizeof(pattern), "%s/%s/%s", path, endpoint->config.peerjs.key, name);
    return http_server_add_route(endpoint->config.server,
                                 &(struct http_route){ .methods = HTTP_METHOD_GET,
                                                       .pattern = pattern,
                                                       .handle = answer,
                                                       .owner = endpoint,
                                                       .flags = HTTP_ROUTE_CORS,
                                                       .origins = allowed_origins });
}

static int add_routes(struct peerjs_endpoint *endpoint)
{
    static const char *const paths[] = { "", "/peerjs" };
    for (size_t i = 0; i < array_size(paths); i++) {
        char pattern[32];
        snprintf(pattern, sizeof(pattern), "%s/peerjs", paths[i]);
        int result = add_socket(endpoint, pattern);
        if (result == 0)
            result = add_route(endpoint, paths[i], "id", get_id);
        if (result == 0)
            result = add_route(endpoint, paths[i], "peers", get_peers);
        if (result < 0)
            return result;
    }
    return 0;
}

static void complete_config(struct peerjs_endpoint *endpoint,
                            const struct peerjs_endpoint_config *config)
{
    endpoint->config = *config;
    struct peerjs_endpoint_config *own = &endpoint->config;
    own->peerjs.calls = &config->hub->calls;
    own->peerjs.transport = &endpoint->transport;
    own->peerjs.random = config->random;
    if (!own->peerjs.key)
        own->peerjs.key = "peerjs";
    if (!own->rate_per_address)
        own->rate_per_address = 20;
    if (!own->ping_interval_us)
        own->ping_interval_us = 3 * TIME_US_PER_S;
    if (!own->pong_timeout_us)
        own->pong_timeout_us = 10 * TIME_US_PER_S;
}

int peerjs_endpoint_new(const struct peerjs_endpoint_config *config,
                        struct peerjs_endpoint **ret_endpoint)
{
    struct peerjs_endpoint *endpoint = memory_new(struct peerjs_endpoint);
    endpoint->transport = (struct peerjs_transport){ .send = transport_send,
                                                     .close = transport_close,
                                                     .moved = transport_moved,
                                                     .wake = transport_wake };
    complete_config(endpoint, config);
    uint64_t secret[2] = { random_u64(config->random), random_u64(config->random) };
    address_rate_init(&endpoint->rate, secret);
    endpoint->peerjs = signal_peerjs_new(&endpoint->config.peerjs);
    loop_timer_init(&endpoint->timer, config->hub->loop, tick);
    int result = add_routes(endpoint);
    if (result < 0) {
        peerjs_endpoint_free(endpoint);
        return result;
    }
    *ret_endpoint = endpoint;
    return 0;
}

void peerjs_endpoint_free(struct peerjs_endpoint *endpoint)
{
    if (!endpoint)
        return;
    loop_timer_cancel(&endpoint->timer);
    signal_peerjs_free(endpoint->peerjs);
    free(endpoint);
}

void peerjs_endpoint_reload(struct peerjs_endpoint *endpoint,
                            const struct peerjs_endpoint_config *config)
{
    complete_config(endpoint, config);
    signal_peerjs_reload(endpoint->peerjs, &endpoint->config.peerjs);
    changed(endpoint);
}

void peerjs_endpoint_admitted(struct peerjs_endpoint *endpoint, const char *session,
                              const struct admission_answer *answer)
{
    signal_peerjs_admitted(endpoint->peerjs, now_us(endpoint), session, answer);
    changed(endpoint);
}

void peerjs_endpoint_keys_fetched(struct peerjs_endpoint *endpoint)
{
    signal_peerjs_keys_fetched(endpoint->peerjs, now_us(endpoint), unix_s());
    changed(endpoint);
}

void peerjs_endpoint_drain(struct peerjs_endpoint *endpoint)
{
    signal_peerjs_drain(endpoint->peerjs);
}

struct metric_set peerjs_endpoint_metrics(const struct peerjs_endpoint *endpoint)
{
    return signal_peerjs_metrics(endpoint->peerjs);
}
