#include "room/metrics.h"

const struct metric_description room_metric_descriptions[ROOM_METRIC_COUNT] = {
#define METRIC(id, type, text, labels_text, help_text)                                             \
    [ROOM_METRIC_##                                                                                \
        id] = { .kind = METRIC_##type, .name = text, .labels = labels_text, .help = help_text },
#include "room/metrics.def"
#undef METRIC
};
