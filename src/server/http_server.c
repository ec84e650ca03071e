#include "server/http_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/http_server_int.h"

#define DEFAULT(field, value)                                                                      \
    do {                                                                                           \
        if ((field) == 0)                                                                          \
            (field) = (value);                                                                     \
    } while (0)

static void config_set(struct http_server *server, const struct http_server_config *config)
{
    struct http_server_config *own = &server->config;
    *own = *config;
    DEFAULT(own->connection_count_max, 10000);
    DEFAULT(own->connection_per_address_count_max, 1000);
    DEFAULT(own->connection_per_address_rate, own->connection_per_address_count_max);
    DEFAULT(own->head_size_max, 16384);
    DEFAULT(own->request_line_size_max, 8192);
    DEFAULT(own->header_count_max, 100);
    DEFAULT(own->body_memory_max, 64u << 20);
    DEFAULT(own->websocket_memory_max, 256u << 20);
    DEFAULT(own->body_size_max, 1u << 20);
    DEFAULT(own->first_byte_timeout_us, time_from_s(5));
    DEFAULT(own->head_timeout_us, time_from_s(10));
    DEFAULT(own->body_timeout_us, time_from_s(10));
    DEFAULT(own->body_rate_min, 256);
    DEFAULT(own->write_timeout_us, time_from_s(20));
    DEFAULT(own->idle_timeout_us, time_from_s(60));
    DEFAULT(own->answer_timeout_us, time_from_s(30));
    DEFAULT(own->request_count_max, 10000);
    free(server->frame_ancestors);
    const char *ancestors = config->frame_ancestors ? config->frame_ancestors : "'self'";
    server->frame_ancestors = memory_copy(ancestors, strlen(ancestors));
    own->frame_ancestors = server->frame_ancestors;
}

struct http_server *http_server_new(const struct http_server_config *config)
{
    ensure(config->loop && config->random);
    struct http_server *server = memory_new(struct http_server);
    config_set(server, config);
    uint64_t secret[2] = { random_u64(config->random), random_u64(config->random) };
    address_limit_init(&server->limit, server->config.connection_per_address_count_max,
                       server->config.connection_count_max, secret);
    address_rate_init(&server->rate, secret);
    handle_table_init(&server->exchanges, server->config.connection_count_max);
    list_init(&server->connections);
    list_init(&server->endpoints);
    return server;
}

static void listeners_close(struct http_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++)
        server->listeners[i].tcp = tcp_listener_close(server->listeners[i].tcp);
    server->listener_count = 0;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    listeners_close(server);
    struct http_connection *connection;
    list_each(connection, &server->connections, node) http_connection_free(connection);
    websocket_endpoints_done(server);
    handle_table_done(&server->exchanges);
    address_limit_done(&server->limit);
    http_routes_done(&server->routes);
    tls_server_context_unref(server->tls);
    free(server->frame_ancestors);
    free(server);
}

/** A handshake costs us more than its sender: an address may not make us do them all day. */
static bool comes_too_often(struct http_server *server, const struct net_address *address)
{
    const struct http_server_config *config = &server->config;
    uint32_t per_s = config->connection_per_address_rate;
    if (net_address_is_loopback(address) && !config->connection_rate_for_loopback)
        return false;
    return !address_rate_take(&server->rate, address, loop_now_us(config->loop), per_s, 4 * per_s);
}

static bool listener_admit(void *owner, const struct net_address *remote)
{
    struct http_listener *listener = owner;
    struct http_server *server = listener->server;
    // all of IPv4 would share one /64 as addresses of a dual-stack socket
    struct net_address address = net_address_unmapped(remote);
    if (comes_too_often(server, &address)) {
        http_count(&server->metrics, HTTP_REJECTED_RATE);
        return false;
    }
    if (address_limit_take(&server->limit, &address))
        return true;
    http_count(&server->metrics, HTTP_REJECTED_LIMIT);
    return false;
}

static void listener_accepted(void *owner, int fd, const struct net_address *remote)
{
    http_connection_accept(owner, fd, remote);
}

int http_server_listen(struct http_server *server, enum http_listener_kind kind,
                       const struct net_address *address, struct net_address *ret_bound)
{
    static const struct tcp_listener_ops ops = { listener_admit, listener_accepted };
    if (server->listener_count == HTTP_LISTENERS_MAX)
        return -ENOSPC;
    struct http_listener *listener = &server->listeners[server->listener_count];
    *listener = (struct http_listener){ .server = server, .kind = kind };
    struct tcp_listener_config config = { .bind = *address };
    int result = tcp_listener_open(&config, server->config.loop, &ops, listener, &listener->tcp);
    if (result != 0)
        return result;
    listener->port = tcp_listener_port(listener->tcp);
    server->listener_count++;
    if (ret_bound) {
        *ret_bound = *address;
        ret_bound->port = listener->port;
    }
    return 0;
}

void http_server_set_tls(struct http_server *server, struct tls_server_context *context)
{
    struct tls_server_context *old = server->tls;
    server->tls = context ? tls_server_context_ref(context) : NULL;
    tls_server_context_unref(old);
}

void http_server_reload(struct http_server *server, const struct http_server_config *config)
{
    struct http_server_config next = *config;
    next.loop = server->config.loop;
    next.random = server->config.random;
    config_set(server, &next);
    server->limit.per_address = server->config.connection_per_address_count_max;
    server->limit.total = server->config.connection_count_max;
    server->exchanges.limit = server->config.connection_count_max;
}

void http_server_drain(struct http_server *server)
{
    server->draining = true;
    listeners_close(server);
    struct http_connection *connection;
    list_each(connection, &server->connections, node)
    {
        if (connection->phase == HTTP_PHASE_WEBSOCKET)
            websocket_drain(connection->websocket);
        else if (connection->phase <= HTTP_PHASE_HEAD)
            http_connection_finish(connection);
        else
            connection->exchange.last = true;
    }
}

uint32_t http_server_connection_count(const struct http_server *server)
{
    return (uint32_t)metric_get(&server->metrics.values[HTTP_CONNECTIONS]);
}

struct metric_set http_server_metrics(const struct http_server *server)
{
    return http_metric_set(&server->metrics);
}

int http_server_add_route(struct http_server *server, const struct http_route *route)
{
    return http_routes_add(&server->routes, route);
}

struct http_exchange *http_server_find_exchange(struct http_server *server, handle name)
{
    struct http_exchange *exchange = handle_table_find(&server->exchanges, name);
    return exchange && exchange->state == HTTP_EXCHANGE_HANDLING ? exchange : NULL;
}

void http_server_source_ready(struct http_server *server, handle name)
{
    struct http_exchange *exchange = handle_table_find(&server->exchanges, name);
    if (!exchange || exchange->state != HTTP_EXCHANGE_ANSWERING)
        return;
    exchange->source_waits = false;
    http_connection_wake(exchange->connection);
}
