#include "runtime/metrics.h"

static const struct metric_description descriptions[RUNTIME_METRIC_COUNT] = {
#define METRIC METRIC_DESCRIPTION
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
