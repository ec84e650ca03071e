#include "admin/operator_routes.h"

#include <stdlib.h>

#include "runtime/loop.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

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
