#include "base/metric.h"

#include <inttypes.h>
#include <string.h>

static void write_value(const struct metric_set *set, size_t index, struct text_builder *out)
{
    const struct metric_description *description = &set->descriptions[index];
    text_append_format(out, "roost_%s", description->name);
    bool own = description->labels && *description->labels;
    bool shared = set->labels && *set->labels;
    if (own || shared)
        text_append_format(out, "{%s%s%s}", own ? description->labels : "",
                           own && shared ? "," : "", shared ? set->labels : "");
    text_append_format(out, " %" PRIu64 "\n", metric_get(&set->values[index]));
}

/** Whether an earlier set has the same description table: its lines were written with that one. */
static bool written_before(const struct metric_set *sets, size_t set)
{
    for (size_t i = 0; i < set; i++) {
        if (sets[i].descriptions == sets[set].descriptions)
            return true;
    }
    return false;
}

void metric_write(const struct metric_set *sets, size_t set_count, struct text_builder *out)
{
    for (size_t set = 0; set < set_count; set++) {
        if (written_before(sets, set))
            continue;
        const struct metric_description *descriptions = sets[set].descriptions;
        for (size_t i = 0; i < sets[set].count; i++) {
            const struct metric_description *description = &descriptions[i];
            if (i == 0 || strcmp(description->name, descriptions[i - 1].name) != 0)
                text_append_format(out, "# HELP roost_%s %s\n# TYPE roost_%s %s\n",
                                   description->name, description->help, description->name,
                                   description->kind == METRIC_COUNTER ? "counter" : "gauge");
            for (size_t j = set; j < set_count; j++) {
                if (sets[j].descriptions == descriptions)
                    write_value(&sets[j], i, out);
            }
        }
    }
}
