#include "room/metrics.h"

const struct metric_description room_metric_descriptions[ROOM_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(ROOM_METRIC_##id, __VA_ARGS__)
#include "room/metrics.def"
#undef METRIC
};
