/** Figures of the process from the kernel: CPU, memory, descriptors, threads. */
#pragma once

#include "base/metric.h"

enum process_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "admin/process_metrics.def"
#undef METRIC
    PROCESS_METRIC_COUNT
};

struct process_metrics {
    uint64_t started_us;
    metric_value values[PROCESS_METRIC_COUNT];
};

void process_metrics_init(struct process_metrics *metrics, uint64_t now_us);
/** Reads them all anew; what cannot be read keeps its value. */
void process_metrics_update(struct process_metrics *metrics, uint64_t now_us);
struct metric_set process_metrics_set(const struct process_metrics *metrics);
