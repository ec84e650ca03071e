// The side of our own broker: an inner client of it, spoken to in packets of 5.0.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "bridge/bridge_int.h"

#define PACKET_EXTRA 64
/** Whose sessions those of bridges are: no text of UTF-8, so that nobody can log in under it. */
#define INNER_USER "\377bridge"
/** So long the journal may take for a session before the operator hears of it. */
#define PATIENCE_US (10 * TIME_US_PER_S)

/** ---- giving it packets ---- */

static struct writer begin(struct bridge *bridge, size_t size)
{
    size += PACKET_EXTRA;
    if (bridge->scratch_capacity < size) {
        bridge->scratch_capacity = max_of(bridge->scratch_capacity * 2, size);
        bridge->scratch = memory_resize(bridge->scratch, bridge->scratch_capacity);
    }
    return writer_of(bridge->scratch, bridge->scratch_capacity);
}

/** What our broker did not take for now, it gets before anything else. */
static void feed(struct bridge *bridge, uint64_t now_us)
{
    if (bridge->waiting_size == 0 || !bridge->local)
        return;
    size_t taken =
        broker_client_input(bridge->local, now_us, bytes_of(bridge->waiting, bridge->waiting_size));
    bridge->waiting_size -= taken;
    memmove(bridge->waiting, bridge->waiting + taken, bridge->waiting_size);
}

static void give(struct bridge *bridge, uint64_t now_us, const struct writer *writer)
{
    ensure(!writer->failed);
    if (!bridge->local)
        return;
    struct bytes packet = writer_written(writer);
    size_t taken = bridge->waiting_size == 0 && !broker_client_is_busy(bridge->local)
                       ? broker_client_input(bridge->local, now_us, packet)
                       : 0;
    if (taken == packet.size)
        return;
    bridge->waiting = memory_resize(bridge->waiting, bridge->waiting_size + packet.size - taken);
    memcpy(bridge->waiting + bridge->waiting_size, packet.data + taken, packet.size - taken);
    bridge->waiting_size += packet.size - taken;
}

bool bridge_local_publish(struct bridge *bridge, uint64_t now_us,
                          const struct mqtt_publish *publish, struct bytes properties)
{
    size_t size = publish->topic.size + publish->payload.size + properties.size;
    struct writer writer = begin(bridge, size);
    mqtt_write_publish(&writer, MQTT_5, publish, properties);
    if (writer.size > bridge->config.packet_size_max)
        return false;
    give(bridge, now_us, &writer);
    return true;
}

void bridge_local_ack(struct bridge *bridge, uint64_t now_us, enum mqtt_type type,
                      const struct mqtt_ack *ack)
{
    struct writer writer = begin(bridge, 0);
    mqtt_write_ack(&writer, MQTT_5, type, ack);
    give(bridge, now_us, &writer);
}

/** ---- the session ---- */

void bridge_local_open(struct bridge *bridge, uint64_t now_us)
{
    const struct bridge_config *config = &bridge->config;
    bridge->inner =
        (struct broker_inner){ .user = bytes_of_text(INNER_USER),
                               .queue_count_max = config->queue_count_max,
                               .queue_bytes_max = config->queue_bytes_max,
                               .dropped = &bridge->metrics[BRIDGE_METRIC_DROPPED_QUEUE] };
    bridge->local =
        broker_client_open_inner(config->broker, now_us, config->socket, &bridge->inner);
    bridge->local_reason = MQTT_SUCCESS;
    bridge->patience_us = now_us + PATIENCE_US;
    bridge->state = BRIDGE_PREPARING;
    uint8_t block[16];
    struct writer properties = writer_of(block, sizeof(block));
    mqtt_write_property_four(&properties, MQTT_PROPERTY_SESSION_EXPIRY,
                             config->clean ? 0 : UINT32_MAX);
    struct mqtt_connect connect = { .version = MQTT_5,
                                    .clean_start = config->clean,
                                    .client_id = bytes_of_text(config->name) };
    struct writer writer = begin(bridge, sizeof(block) + connect.client_id.size);
    mqtt_write_connect(&writer, &connect, writer_written(&properties), bytes_of(NULL, 0));
    give(bridge, now_us, &writer);
}

void bridge_local_close(struct bridge *bridge, uint64_t now_us)
{
    if (!bridge->local)
        return;
    broker_client_closed(bridge->local, now_us);
    bridge->local = NULL;
    bridge->waiting_size = 0;
}

static bool is_another(void *owner, struct bytes name)
{
    const struct bridge *bridge = owner;
    return !text_equal(name, bridge->config.name);
}

void bridge_local_forget(struct bridge *bridge, uint64_t now_us)
{
    bridge_sessions_end(bridge->config.broker, now_us, is_another, bridge);
}

size_t bridge_sessions_end(struct broker *broker, uint64_t now_us,
                           bool (*keep)(void *owner, struct bytes name), void *owner)
{
    return broker_user_prune(broker, now_us, bytes_of_text(INNER_USER), keep, owner);
}

enum retain_handling {
    RETAINED_SENT = 0,
    RETAINED_IF_NEW = 1,
    RETAINED_NOT = 2,
};

static void subscribe_to(struct bridge *bridge, uint64_t now_us,
                         const struct mqtt_subscription *subscription)
{
    struct writer writer = begin(bridge, subscription->filter.size);
    mqtt_write_subscribe(&writer, MQTT_5, 1, subscription, 1, 0);
    give(bridge, now_us, &writer);
}

/** `after_loss`: the other broker may lack what is retained, of what only we send there. */
static void subscribe(struct bridge *bridge, uint64_t now_us, uint8_t qos_max,
                      enum retain_handling retained, bool after_loss)
{
    for (size_t i = 0; i < bridge->config.topics.count; i++) {
        const struct bridge_rule *rule = &bridge->config.topics.rules[i];
        if (!(rule->direction & BRIDGE_OUT))
            continue;
        bool again = after_loss && bridge_topics_is_one_way(&bridge->config.topics, rule);
        struct mqtt_subscription subscription = {
            .filter = bytes_of_text(rule->local_filter),
            .options = { .qos = min_of(rule->qos, qos_max),
                         .no_local = true,
                         .retain_as_published = true,
                         .retain_handling = again ? RETAINED_SENT : (uint8_t)retained },
        };
        subscribe_to(bridge, now_us, &subscription);
    }
}

/**
 * Subscriptions there outlive this process, and the rules that they were made for: our session,
 * which outlives it as well, remembers them as subscriptions to topics that nobody can publish to.
 */
#define NOTE "$bridge/"

static void note_subscriptions_there(struct bridge *bridge, uint64_t now_us)
{
    for (size_t i = 0; i < bridge->config.topics.count; i++) {
        const struct bridge_rule *rule = &bridge->config.topics.rules[i];
        size_t size = strlen(NOTE) + strlen(rule->remote_filter);
        if (!(rule->direction & BRIDGE_IN) || size > MQTT_TOPIC_SIZE_MAX)
            continue;
        char *filter = memory_allocate(1, size + 1);
        memcpy(filter, NOTE, strlen(NOTE));
        memcpy(filter + strlen(NOTE), rule->remote_filter, size - strlen(NOTE));
        struct mqtt_subscription note = { .filter = bytes_of(filter, size),
                                          .options = { .retain_handling = RETAINED_NOT } };
        subscribe_to(bridge, now_us, &note);
        free(filter);
    }
}

static bool has_rule(const struct bridge *bridge, enum bridge_direction direction,
                     struct bytes filter)
{
    for (size_t i = 0; i < bridge->config.topics.count; i++) {
        const struct bridge_rule *rule = &bridge->config.topics.rules[i];
        const char *own = direction == BRIDGE_OUT ? rule->local_filter : rule->remote_filter;
        if (rule->direction & direction && text_equal(filter, own))
            return true;
    }
    return false;
}

struct pruning {
    struct bridge *bridge;
    uint64_t now_us;
};

/** Whether a subscription is of our rules, and not of those before a reload. */
static bool is_of_rules(void *owner, struct bytes filter)
{
    const struct pruning *pruning = owner;
    if (!text_starts_with(filter, NOTE))
        return has_rule(pruning->bridge, BRIDGE_OUT, filter);
    struct bytes there = bytes_of(filter.data + strlen(NOTE), filter.size - strlen(NOTE));
    bool has = has_rule(pruning->bridge, BRIDGE_IN, there);
    if (!has)
        bridge_remote_unsubscribe(pruning->bridge, pruning->now_us, there);
    return has;
}

void bridge_local_release(struct bridge *bridge, uint64_t now_us, bool session_present)
{
    const struct mqtt_client *remote = &bridge->remote;
    // what it will send under identifiers that it has given before is new
    if (!session_present)
        broker_client_forget_received(bridge->local);
    broker_client_release(bridge->local, min_of(remote->receive_max, bridge->config.receive_max),
                          remote->packet_size_max);
    struct pruning pruning = { bridge, now_us };
    broker_client_prune(bridge->local, is_of_rules, &pruning);
    note_subscriptions_there(bridge, now_us);
    // Changes of retained messages wait in the session, but for those that were dropped. All are
    // sent to one that knows none.
    uint64_t missed = metric_get(&bridge->metrics[BRIDGE_METRIC_DROPPED_QUEUE]);
    subscribe(bridge, now_us, remote->qos_max, session_present ? RETAINED_IF_NEW : RETAINED_SENT,
              missed != bridge->missed);
    bridge->missed = missed;
}

/** ---- taking its packets ---- */

static void greeted(struct bridge *bridge, uint64_t now_us, const struct mqtt_packet *packet)
{
    bridge->local_reason = packet->connack.reason;
    if (packet->connack.reason != MQTT_SUCCESS)
        return; // it is over, and tried again
    if (!packet->connack.session_present) {
        bridge->remote_is_stale = true;
        // from now on messages wait, however long the first connection takes
        subscribe(bridge, now_us, 2, RETAINED_NOT, false);
    }
    if (bridge->state == BRIDGE_PREPARING)
        bridge->state = BRIDGE_CALLING;
}

static void handle(struct bridge *bridge, uint64_t now_us, const struct mqtt_packet *packet)
{
    switch (packet->type) {
    case MQTT_CONNACK:
        greeted(bridge, now_us, packet);
        break;
    case MQTT_PUBLISH:
        bridge_remote_publish(bridge, now_us, packet);
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        bridge_remote_ack(bridge, now_us, packet);
        break;
    case MQTT_DISCONNECT:
        bridge->local_reason = packet->notice.reason;
        break;
    default: // SUBACK: no limit holds for it, and the rules were looked at
        break;
    }
}

/** Our broker has ended the client: it refuses it, or is about to stop. */
static void ended(struct bridge *bridge, uint64_t now_us)
{
    bridge_local_close(bridge, now_us);
    if (bridge->local_reason != MQTT_SERVER_SHUTTING_DOWN) {
        bridge_count(bridge, BRIDGE_METRIC_HERE);
        bridge_tell(bridge, &(struct bridge_news){ .kind = BRIDGE_NEWS_HERE,
                                                   .reason = bridge->local_reason });
    }
    bridge_close(bridge, now_us, MQTT_SUCCESS);
    if (bridge->state == BRIDGE_PREPARING || bridge->state == BRIDGE_CALLING) {
        bridge->next_call_us = now_us + bridge->config.restart_max_us;
        bridge->state = BRIDGE_WAITING;
    }
}

void bridge_run(struct bridge *bridge, uint64_t now_us)
{
    if (!bridge->local)
        return;
    struct bytes output = broker_client_output(bridge->local, now_us);
    // our answers go into the memory that the broker lends us here
    uint8_t *copy = memory_copy(output.data, output.size);
    struct bytes rest = bytes_of(copy, output.size);
    struct mqtt_frame frame;
    while (rest.size > 0 && mqtt_frame_read(rest, MQTT_PACKET_SIZE_MAX, &frame) == 0) {
        rest = bytes_of(rest.data + frame.size, rest.size - frame.size);
        struct mqtt_packet packet;
        ensure(mqtt_packet_read(&frame, MQTT_5, &packet) == 0);
        handle(bridge, now_us, &packet);
    }
    free(copy);
    feed(bridge, now_us);
    if (bridge->local && broker_client_is_over(bridge->local))
        ended(bridge, now_us);
}
