#include "signal/mqtt/mqtt_bridges.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/mqtt/mqtt_bridge_int.h"

#define THREADS 1

/** The bridge that a spec describes, and nothing else; NULL: none. */
static struct mqtt_bridge_spec *same_of(struct mqtt_bridge_specs *specs,
                                        const struct mqtt_bridge *bridge)
{
    for (size_t i = 0; i < specs->count; i++) {
        struct mqtt_bridge_spec *spec = &specs->items[i];
        if (spec->name && strcmp(spec->name, bridge->spec.name) == 0)
            return spec;
    }
    return NULL;
}

static bool has_bridge(void *owner, struct bytes name)
{
    const struct mqtt_bridges *bridges = owner;
    struct mqtt_bridge *bridge;
    list_each(bridge, &bridges->list, node)
    {
        if (text_equal(name, bridge->spec.name))
            return true;
    }
    return false;
}

void mqtt_bridges_forget_others(const struct mqtt_bridges_config *config,
                                struct mqtt_bridges *bridges)
{
    size_t ended = bridge_sessions_end(config->broker, loop_now_us(config->loop),
                                       bridges ? has_bridge : NULL, bridges);
    if (ended > 0)
        log_info(config->log, "MQTT bridges of before are gone, with what waited for them",
                 log_number("bridges", (int64_t)ended));
}

void mqtt_bridges_set(struct mqtt_bridges *bridges, struct mqtt_bridge_specs *specs)
{
    struct mqtt_bridge *bridge;
    list_each(bridge, &bridges->list, node)
    {
        struct mqtt_bridge_spec *spec = same_of(specs, bridge);
        if (spec && memcmp(spec->identity, bridge->spec.identity, sizeof(spec->identity)) == 0) {
            mqtt_bridge_spec_done(spec);
            continue;
        }
        log_info(bridges->config.log, spec ? "MQTT bridge changed" : "MQTT bridge taken down",
                 log_text("bridge", bridge->spec.name));
        struct metric_set set = mqtt_bridge_metrics(bridge);
        bridges->config.metrics(bridges->config.owner, &set, false);
        mqtt_bridge_end(bridge, !spec);
        mqtt_bridge_free(bridge);
    }
    for (size_t i = 0; i < specs->count; i++) {
        if (specs->items[i].name)
            mqtt_bridge_start(bridges, &specs->items[i]);
    }
    mqtt_bridge_specs_done(specs);
    mqtt_bridges_forget_others(&bridges->config, bridges);
}

int mqtt_bridges_new(const struct mqtt_bridges_config *config, struct mqtt_bridges **ret_bridges)
{
    struct mqtt_bridges *bridges = memory_new(struct mqtt_bridges);
    bridges->config = *config;
    list_init(&bridges->list);
    int result = jobs_start(THREADS, 0, &bridges->jobs);
    if (result == 0)
        result = job_inbox_init(&bridges->inbox, config->loop, bridges->jobs);
    if (result < 0) {
        mqtt_bridges_free(bridges);
        return result;
    }
    *ret_bridges = bridges;
    return 0;
}

struct mqtt_bridges *mqtt_bridges_free(struct mqtt_bridges *bridges)
{
    if (!bridges)
        return NULL;
    bridges->draining = true;
    struct mqtt_bridge *bridge;
    list_each(bridge, &bridges->list, node) mqtt_bridge_free(bridge);
    job_inbox_done(&bridges->inbox);
    jobs_stop(bridges->jobs);
    free(bridges);
    return NULL;
}

void mqtt_bridges_drain(struct mqtt_bridges *bridges)
{
    bridges->draining = true;
    struct mqtt_bridge *bridge;
    list_each(bridge, &bridges->list, node) mqtt_bridge_end(bridge, false);
}
