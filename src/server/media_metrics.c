#include "server/media_metrics.h"

const struct metric_description media_metric_descriptions[MEDIA_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(MEDIA_METRIC_##id, __VA_ARGS__)
#include "server/media_metrics.def"
#undef METRIC
};
