#include "server/media_metrics.h"

const struct metric_description media_metric_descriptions[MEDIA_METRIC_COUNT] = {
#define METRIC(id, type, text, labels_text, help_text)                                             \
    [MEDIA_METRIC_##                                                                               \
        id] = { .kind = METRIC_##type, .name = text, .labels = labels_text, .help = help_text },
#include "server/media_metrics.def"
#undef METRIC
};
