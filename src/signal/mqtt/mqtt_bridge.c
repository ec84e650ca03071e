// One bridge: its names, the engine, its beginning and its end.
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "signal/mqtt/mqtt_bridge_int.h"

static void name_all(struct mqtt_bridge *bridge)
{
    const struct mqtt_bridge_spec *spec = &bridge->spec;
    // as Mosquitto has it: two machines with the same file are two clients
    snprintf(bridge->client_id, sizeof(bridge->client_id), "%.80s.%.64s",
             bridge->all->config.host_name, spec->name);
    const char *client_id = spec->client_id ? spec->client_id : bridge->client_id;
    snprintf(bridge->state_topic, sizeof(bridge->state_topic),
             "$SYS/broker/connection/%.160s/state", client_id);
    snprintf(bridge->labels, sizeof(bridge->labels), "bridge=\"%.64s\"", spec->name);
}

static struct bridge_config config_of(struct mqtt_bridge *bridge)
{
    const struct mqtt_bridge_spec *spec = &bridge->spec;
    const struct mqtt_bridges_config *config = &bridge->all->config;
    const char *topic = spec->notification_topic ? spec->notification_topic : bridge->state_topic;
    return (struct bridge_config){
        .broker = config->broker,
        .random = config->random,
        .socket = bridge,
        .topics = spec->topics,
        .name = spec->name,
        .client_id = spec->client_id ? spec->client_id : bridge->client_id,
        .user = bytes_of_text(spec->user ? spec->user : ""),
        .password = bytes_of_text(spec->password ? spec->password : ""),
        .protocol = spec->protocol,
        .clean = spec->clean,
        .no_bridge_bit = spec->no_bridge_bit,
        .drop_retain = spec->drop_retain,
        .notification_topic = spec->no_notifications ? NULL : topic,
        .notify_here_only = spec->notify_here_only,
        .keep_alive_s = (uint16_t)spec->keep_alive_s,
        .session_expiry_s = spec->session_expiry_s,
        .receive_max = (uint16_t)spec->receive_max,
        .packet_size_max = config->packet_size_max,
        .queue_count_max = spec->queue_count_max,
        .queue_bytes_max = spec->queue_bytes_max,
        .restart_min_us = spec->restart_min_s * TIME_US_PER_S,
        .restart_max_us = spec->restart_max_s * TIME_US_PER_S,
    };
}

struct metric_set mqtt_bridge_metrics(const struct mqtt_bridge *bridge)
{
    struct metric_set set = bridge_metrics(bridge->engine);
    set.labels = bridge->labels;
    return set;
}

void mqtt_bridge_start(struct mqtt_bridges *bridges, struct mqtt_bridge_spec *spec)
{
    struct mqtt_bridge *bridge = memory_new(struct mqtt_bridge);
    bridge->all = bridges;
    bridge->spec = *spec;
    *spec = (struct mqtt_bridge_spec){ 0 };
    name_all(bridge);
    list_append(&bridges->list, &bridge->node);
    mqtt_bridge_link_init(bridge);
    struct bridge_config config = config_of(bridge);
    bridge->engine = bridge_new(&config, loop_now_us(bridge->all->config.loop));
    struct metric_set set = mqtt_bridge_metrics(bridge);
    bridges->config.metrics(bridges->config.owner, &set, true);
    mqtt_bridge_settle(bridge);
}

void mqtt_bridge_end(struct mqtt_bridge *bridge, bool forget)
{
    bridge_stop(bridge->engine, loop_now_us(bridge->all->config.loop), forget);
    mqtt_bridge_link_end(bridge);
}

void mqtt_bridge_free(struct mqtt_bridge *bridge)
{
    mqtt_bridge_link_done(bridge);
    bridge_free(bridge->engine, loop_now_us(bridge->all->config.loop));
    list_remove(&bridge->node);
    mqtt_bridge_spec_done(&bridge->spec);
    free(bridge);
}
