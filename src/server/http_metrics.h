/** What the HTTP server counts: http_metrics.def, then refusals of requests and of WebSockets. */
#pragma once

#include "base/metric.h"

enum http_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "server/http_metrics.def"
#undef METRIC
#define HTTP_REFUSAL(name, status, label, sentence) HTTP_REFUSED_##name,
#include "proto/http/http_refusal.def"
#undef HTTP_REFUSAL
#define WS_REFUSAL(name, code, label, reason) WEBSOCKET_FAILED_##name,
#include "proto/ws/ws_refusal.def"
#undef WS_REFUSAL
    HTTP_METRIC_COUNT
};

/** The first of each group, for (group + refusal - 1). */
#define HTTP_REFUSED_FIRST     HTTP_REFUSED_REQUEST_LINE_TOO_LONG
#define WEBSOCKET_FAILED_FIRST WEBSOCKET_FAILED_RESERVED_BITS

struct http_metrics {
    metric_value values[HTTP_METRIC_COUNT];
};

static inline void http_count(struct http_metrics *metrics, enum http_metric metric)
{
    metric_add(&metrics->values[metric], 1);
}

struct metric_set http_metric_set(const struct http_metrics *metrics);
