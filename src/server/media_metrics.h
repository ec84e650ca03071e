/** Counters of one worker's media port: metrics.def has the list. */
#pragma once

#include "base/metric.h"

enum media_metric {
#define METRIC(id, kind, name, labels, help) MEDIA_METRIC_##id,
#include "server/media_metrics.def"
#undef METRIC
    MEDIA_METRIC_COUNT,
};

extern const struct metric_description media_metric_descriptions[MEDIA_METRIC_COUNT];
