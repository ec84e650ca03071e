/** Counters of the forwarding path: metrics.def has the list. */
#pragma once

#include "base/metric.h"

enum room_metric {
#define METRIC(id, kind, name, labels, help) ROOM_METRIC_##id,
#include "room/metrics.def"
#undef METRIC
    ROOM_METRIC_COUNT,
};

struct room_metrics {
    metric_value values[ROOM_METRIC_COUNT];
};

extern const struct metric_description room_metric_descriptions[ROOM_METRIC_COUNT];
