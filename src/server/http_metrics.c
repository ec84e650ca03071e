#include "server/http_metrics.h"

static const struct metric_description descriptions[HTTP_METRIC_COUNT] = {
#define METRIC METRIC_DESCRIPTION
#include "server/http_metrics.def"
#undef METRIC
#define HTTP_REFUSAL(name, status, label, sentence)                                                \
    [HTTP_REFUSED_##name] = { "http_refused_total", "reason=\"" label "\"",                        \
                              "Requests refused before a handler saw them.", METRIC_COUNTER },
#include "proto/http/http_refusal.def"
#undef HTTP_REFUSAL
#define WS_REFUSAL(name, code, label, reason)                                                      \
    [WEBSOCKET_FAILED_##name] = { "websocket_failed_total", "reason=\"" label "\"",                \
                                  "WebSockets ended because of what their peer did.",              \
                                  METRIC_COUNTER },
#include "proto/ws/ws_refusal.def"
#undef WS_REFUSAL
};

struct metric_set http_metric_set(const struct http_metrics *metrics)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = metrics->values,
                                .count = HTTP_METRIC_COUNT,
                                .labels = "" };
}
