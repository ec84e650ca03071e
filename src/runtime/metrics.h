/** What one thread's loop, sockets and queues count. The values live in the thread's loop. */
#pragma once

#include "base/metric.h"

enum runtime_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "runtime/metrics.def"
#undef METRIC
    RUNTIME_METRIC_COUNT
};

struct runtime_metrics {
    metric_value values[RUNTIME_METRIC_COUNT];
};

static inline void runtime_count(struct runtime_metrics *metrics, enum runtime_metric metric,
                                 uint64_t amount)
{
    metric_add(&metrics->values[metric], amount);
}

/** For metric_write; any thread may read it while the owner lives. `labels`: `worker="0"` or "". */
struct metric_set runtime_metric_set(const struct runtime_metrics *metrics, const char *labels);
