#include "admin/operator_routes.h"

#include <stdlib.h>

#include "proto/http/http_target.h"
#include "runtime/loop.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** A name of this machine: what a page of a stranger's name, made to point here, does not have. */
static bool is_own_host(const struct operator_routes *routes, struct bytes field)
{
    struct bytes host;
    uint16_t port;
    char name[NET_ADDRESS_TEXT_MAX];
    struct net_address address;
    if (http_host_parse(field, &host, &port) != 0)
        return false;
    if (text_equal_ignore_case(host, "localhost"))
        return true;
    const struct option_list *names = &routes->options->http.names;
    for (size_t i = 0; i < names->count; i++) {
        if (text_equal_ignore_case(host, names->items[i]))
            return true;
    }
    if (host.data[0] == '[')
        host = bytes_of(host.data + 1, host.size - 2);
    return text_copy(name, sizeof(name), host) == 0 && net_address_parse_ip(name, 0, &address) == 0;
}

/** Loopback is trusted by default, but proxies there bring strangers, and browsers their pages. */
static bool is_from_elsewhere(const struct operator_routes *routes,
                              const struct http_exchange *exchange)
{
    if (!net_address_is_loopback(http_exchange_remote(exchange)))
        return false;
    static const char *const traces[] = { "forwarded", "x-forwarded-for", "x-real-ip", "via" };
    for (size_t i = 0; i < array_size(traces); i++) {
        if (http_exchange_field(exchange, traces[i]).data)
            return true;
    }
    struct bytes host = http_exchange_request(exchange)->host;
    return host.size > 0 && !is_own_host(routes, host);
}

static void handle_metrics(struct http_exchange *exchange, void *owner)
{
    const struct operator_routes *routes = owner;
    if (!routes->options->metrics.enabled) {
        http_exchange_fail(exchange, 404, "Metrics are switched off (metrics.enabled).");
        return;
    }
    const struct net_address *remote = http_exchange_remote(exchange);
    if (!option_networks_contain(&routes->options->metrics.allow, remote)) {
        http_exchange_fail(exchange, 403, "Your address is not in metrics.allow.");
        return;
    }
    if (is_from_elsewhere(routes, exchange)) {
        http_exchange_fail(exchange, 403, "Ask for metrics directly, by this machine's own name.");
        return;
    }
    size_t size = 0;
    char *text = metrics_page_write(routes->page, loop_now_us(routes->loop), &size);
    http_exchange_add_field(exchange, "Cache-Control", "no-store");
    http_exchange_respond(exchange, 200, METRICS_TYPE, bytes_of(text, size));
    free(text);
}

static void handle_health(struct http_exchange *exchange, unused void *owner)
{
    http_exchange_add_field(exchange, "Cache-Control", "no-store");
    http_exchange_respond_text(exchange, 200, "ok\n");
}

static void handle_ready(struct http_exchange *exchange, void *owner)
{
    const struct operator_routes *routes = owner;
    http_exchange_add_field(exchange, "Cache-Control", "no-store");
    http_exchange_respond_text(exchange, routes->ready ? 200 : 503,
                               routes->ready ? "ready\n" : "not ready\n");
}

int operator_routes_add(struct operator_routes *routes, struct http_server *server)
{
    const struct http_route table[] = {
        { .pattern = "/metrics", .handle = handle_metrics },
        { .pattern = "/healthz", .handle = handle_health },
        { .pattern = "/readyz", .handle = handle_ready },
    };
    for (size_t i = 0; i < array_size(table); i++) {
        struct http_route route = table[i];
        route.methods = HTTP_METHOD_GET;
        route.owner = routes;
        route.flags = HTTP_ROUTE_PLAIN_TOO; // probes come over plain HTTP from other hosts
        int result = http_server_add_route(server, &route);
        if (result < 0)
            return result;
    }
    return 0;
}
