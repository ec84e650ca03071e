/** What an operator's tools ask over HTTP: /metrics, /healthz, /readyz. */
#pragma once

#include "admin/metrics_page.h"
#include "admin/options.h"
#include "server/http_server.h"

struct operator_routes {
    struct metrics_page *page;
    const struct roost_options *options; /**< metrics.enabled, metrics.allow; may be reloaded */
    struct loop *loop;
    bool ready; /**< all parts run, and no stop has begun */
};

/**
 * Adds the routes; `routes` must live as long as the server. /healthz answers 200 while the control
 * thread turns, /readyz 200 or 503 by `ready`, /metrics 403 outside metrics.allow.
 * Returns 0 or what http_server_add_route returned.
 */
must_check int operator_routes_add(struct operator_routes *routes, struct http_server *server);
