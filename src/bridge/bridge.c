#include "bridge/bridge.h"

#include <stdlib.h>

#include "base/memory.h"
#include "bridge/bridge_int.h"

static const struct metric_description descriptions[BRIDGE_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(BRIDGE_METRIC_##id, __VA_ARGS__)
#include "bridge/bridge_metrics.def"
#undef METRIC
};

/** ---- life ---- */

static void set_defaults(struct bridge_config *config)
{
#define DEFAULT(field, value) config->field = config->field ? config->field : (value)
    DEFAULT(keep_alive_s, 60);
    DEFAULT(session_expiry_s, UINT32_MAX);
    DEFAULT(receive_max, 100);
    DEFAULT(packet_size_max, 1u << 20);
    DEFAULT(queue_count_max, 10000);
    DEFAULT(queue_bytes_max, 16u << 20);
    DEFAULT(restart_min_us, TIME_US_PER_S);
    DEFAULT(restart_max_us, 30 * TIME_US_PER_S);
#undef DEFAULT
    config->restart_max_us = max_of(config->restart_max_us, config->restart_min_us);
}

static void begin_with_first_protocol(struct bridge *bridge)
{
    bridge->version = bridge->config.protocol == BRIDGE_PROTOCOL_3_1_1 ? MQTT_3_1_1 : MQTT_5;
    bridge->bridge_bit = !bridge->config.no_bridge_bit;
}

struct bridge *bridge_new(const struct bridge_config *config, uint64_t now_us)
{
    struct bridge *bridge = memory_new(struct bridge);
    bridge->config = *config;
    set_defaults(&bridge->config);
    begin_with_first_protocol(bridge);
    bridge_local_open(bridge, now_us);
    return bridge;
}

struct bridge *bridge_free(struct bridge *bridge, uint64_t now_us)
{
    if (!bridge)
        return NULL;
    bridge_local_close(bridge, now_us);
    mqtt_client_done(&bridge->remote);
    free(bridge->waiting);
    free(bridge->scratch);
    free(bridge);
    return NULL;
}

enum bridge_state bridge_state(const struct bridge *bridge)
{
    return bridge->state;
}

struct metric_set bridge_metrics(const struct bridge *bridge)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = bridge->metrics,
                                .count = BRIDGE_METRIC_COUNT,
                                .labels = "" };
}

void bridge_tell(struct bridge *bridge, const struct bridge_news *news)
{
    if (bridge->news_count < BRIDGE_NEWS_MAX)
        bridge->news[bridge->news_count++] = *news;
}

bool bridge_next_news(struct bridge *bridge, struct bridge_news *ret_news)
{
    if (bridge->news_count == 0)
        return false;
    *ret_news = bridge->news[0];
    bridge->news_count--;
    for (size_t i = 0; i < bridge->news_count; i++)
        bridge->news[i] = bridge->news[i + 1];
    return true;
}

/** ---- how the other broker is spoken to ---- */

bool bridge_next_protocol(struct bridge *bridge)
{
    if (bridge->version == MQTT_5 && bridge->config.protocol == BRIDGE_PROTOCOL_AUTO) {
        bridge->version = MQTT_3_1_1;
        return true;
    }
    if (bridge->version == MQTT_3_1_1 && bridge->bridge_bit) {
        bridge->bridge_bit = false;
        return true;
    }
    // it may be another broker next time
    begin_with_first_protocol(bridge);
    return false;
}

/** ---- the end of a connection, and the next ---- */

/** Longer from failure to failure, and never the same for two bridges. */
static uint64_t pause_us(struct bridge *bridge)
{
    const struct bridge_config *config = &bridge->config;
    uint64_t longest_us = config->restart_min_us << min_of(bridge->failures, 16u);
    longest_us = min_of(longest_us, config->restart_max_us);
    uint64_t spread_ms = (longest_us - config->restart_min_us) / TIME_US_PER_MS;
    return config->restart_min_us +
           random_below(config->random, (uint32_t)min_of(spread_ms + 1, (uint64_t)UINT32_MAX)) *
               TIME_US_PER_MS;
}

/** It is not up any more. */
static void leave(struct bridge *bridge, uint64_t now_us)
{
    if (bridge->local) {
        broker_client_hold(bridge->local);
        broker_client_block(bridge->local, false);
    }
    if (bridge->state != BRIDGE_UP)
        return;
    // both brokers send anew what the other has not acknowledged
    bridge->waiting_size = 0;
    begin_with_first_protocol(bridge);
    metric_set(&bridge->metrics[BRIDGE_METRIC_CONNECTED], 0);
    bridge_notify(bridge, now_us, false);
    // one that is thrown out as soon as it is in is no success
    if (now_us - bridge->up_us >= bridge->config.restart_max_us)
        bridge->failures = 0;
}

void bridge_close(struct bridge *bridge, uint64_t now_us, enum mqtt_reason reason)
{
    if (bridge->state != BRIDGE_GREETING && bridge->state != BRIDGE_UP)
        return;
    leave(bridge, now_us);
    mqtt_client_disconnect(&bridge->remote, now_us, reason);
    bridge->next_call_us = now_us + pause_us(bridge);
    bridge->failures++;
    bridge->state = BRIDGE_CLOSING;
}

void bridge_call_again(struct bridge *bridge, uint64_t now_us)
{
    mqtt_client_disconnect(&bridge->remote, now_us, MQTT_SUCCESS);
    bridge->next_call_us = now_us;
    bridge->state = BRIDGE_CLOSING;
}

void bridge_lost(struct bridge *bridge, uint64_t now_us)
{
    switch (bridge->state) {
    case BRIDGE_GREETING:
        // old servers have no word for a version that they do not know
        bridge_next_protocol(bridge);
        break;
    case BRIDGE_CALLING:
    case BRIDGE_UP:
        break;
    case BRIDGE_CLOSING:
        bridge->state = BRIDGE_WAITING;
        mqtt_client_done(&bridge->remote);
        return;
    default:
        return;
    }
    bridge_count(bridge, BRIDGE_METRIC_LOST);
    if (bridge->state != BRIDGE_CALLING)
        bridge_tell(bridge, &(struct bridge_news){ .kind = BRIDGE_NEWS_LOST });
    leave(bridge, now_us);
    mqtt_client_done(&bridge->remote);
    bridge->next_call_us = now_us + pause_us(bridge);
    bridge->failures++;
    bridge->state = BRIDGE_WAITING;
}

void bridge_connected(struct bridge *bridge, uint64_t now_us)
{
    if (bridge->state != BRIDGE_CALLING)
        return;
    bridge->state = BRIDGE_GREETING;
    bridge_remote_greet(bridge, now_us);
}

void bridge_stop(struct bridge *bridge, uint64_t now_us, bool forget)
{
    bool was_up = bridge->state == BRIDGE_UP;
    leave(bridge, now_us);
    if (forget)
        mqtt_client_forget(&bridge->remote, now_us);
    else
        mqtt_client_disconnect(&bridge->remote, now_us, MQTT_SUCCESS);
    bridge->state = was_up || bridge->state == BRIDGE_GREETING ? BRIDGE_CLOSING : BRIDGE_WAITING;
    bridge->next_call_us = TIME_NEVER;
    bridge_local_close(bridge, now_us);
    if (forget)
        bridge_local_forget(bridge, now_us);
}

/** ---- time ---- */

uint64_t bridge_deadline(const struct bridge *bridge)
{
    switch (bridge->state) {
    case BRIDGE_PREPARING:
        return bridge->patience_us;
    case BRIDGE_WAITING:
        return bridge->next_call_us;
    case BRIDGE_GREETING:
    case BRIDGE_UP:
        return mqtt_client_deadline(&bridge->remote);
    default:
        return TIME_NEVER;
    }
}

void bridge_tick(struct bridge *bridge, uint64_t now_us)
{
    if (bridge_deadline(bridge) > now_us)
        return;
    if (bridge->state == BRIDGE_PREPARING) {
        bridge->patience_us = TIME_NEVER;
        bridge_count(bridge, BRIDGE_METRIC_HERE);
        bridge_tell(bridge, &(struct bridge_news){ .kind = BRIDGE_NEWS_JOURNAL });
    } else if (bridge->state == BRIDGE_WAITING) {
        if (bridge->local)
            bridge->state = BRIDGE_CALLING;
        else
            bridge_local_open(bridge, now_us);
    } else if (!mqtt_client_tick(&bridge->remote, now_us)) {
        bridge_tell(bridge, &(struct bridge_news){ .kind = BRIDGE_NEWS_SILENT });
        bridge_count(bridge, BRIDGE_METRIC_LOST);
        bridge_close(bridge, now_us, MQTT_SUCCESS);
    }
}

/** ---- bytes ---- */

bool bridge_is_busy(const struct bridge *bridge)
{
    return bridge->waiting_size > 0 || (bridge->local && broker_client_is_busy(bridge->local));
}

size_t bridge_input(struct bridge *bridge, uint64_t now_us, struct bytes input)
{
    size_t size = input.size;
    struct mqtt_packet packet;
    while (!bridge_is_busy(bridge) &&
           (bridge->state == BRIDGE_GREETING || bridge->state == BRIDGE_UP)) {
        int result = mqtt_client_read(&bridge->remote, now_us, &input, &packet);
        if (result == 0)
            break;
        if (result == MQTT_CLIENT_SKIPPED) {
            bridge_remote_skipped(bridge, now_us, &packet.publish);
            continue;
        }
        if (result > 0) {
            bridge_remote_packet(bridge, now_us, &packet);
            continue;
        }
        bridge_tell(bridge, &(struct bridge_news){ .kind = BRIDGE_NEWS_BROKEN,
                                                   .reason = (uint8_t)-result });
        bridge_count(bridge, BRIDGE_METRIC_LOST);
        bridge_close(bridge, now_us, MQTT_SUCCESS);
    }
    // what it still sends while its connection is being ended is of no use
    bool ends = bridge->state != BRIDGE_GREETING && bridge->state != BRIDGE_UP;
    return ends ? size : size - input.size;
}

struct bytes bridge_output(const struct bridge *bridge)
{
    return mqtt_client_output(&bridge->remote);
}

void bridge_sent(struct bridge *bridge, size_t size)
{
    mqtt_client_sent(&bridge->remote, size);
}

void bridge_block(struct bridge *bridge, bool blocked)
{
    if (bridge->local)
        broker_client_block(bridge->local, blocked);
}

struct bytes bridge_properties(struct bytes block, uint8_t *out)
{
    struct reader reader = reader_of(block.data, block.size);
    struct writer writer = writer_of(out, block.size);
    struct mqtt_property_entry entry;
    while (mqtt_property_next(&reader, &entry)) {
        if (entry.property != MQTT_PROPERTY_TOPIC_ALIAS &&
            entry.property != MQTT_PROPERTY_SUBSCRIPTION_ID)
            writer_bytes(&writer, entry.raw.data, entry.raw.size);
    }
    return writer_written(&writer);
}
