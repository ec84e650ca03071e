#include "runtime/metrics.h"

static const struct metric_description descriptions[RUNTIME_METRIC_COUNT] = {
#define METRIC(id, kind, name, labels, help) [id] = { name, labels, help, METRIC_##kind },
#include "runtime/metrics.def"
#undef METRIC
};

struct metric_set runtime_metric_set(const struct runtime_metrics *metrics, const char *labels)
{
    return (struct metric_set){
        .descriptions = descriptions,
        .values = metrics->values,
        .count = RUNTIME_METRIC_COUNT,
        .labels = labels,
    };
}
