// The side of the other broker: what it sends goes to ours, and the other way round.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "bridge/bridge_int.h"

/** SUBSCRIBEs have identifiers from the top, messages those that our broker gave them. */
#define SUBSCRIBE_ID(rule) ((uint16_t)(UINT16_MAX - (rule)))
/** UNSUBSCRIBEs come below those, in turn. */
#define UNSUBSCRIBE_ID(number) SUBSCRIBE_ID(BRIDGE_RULES_MAX + (number))

/** ---- identifiers whose quality was lowered ---- */

static void set_lowered(struct bridge *bridge, uint16_t packet_id)
{
    bridge->lowered[packet_id / 8] |= (uint8_t)(1u << packet_id % 8);
}

static bool take_lowered(struct bridge *bridge, uint16_t packet_id)
{
    uint8_t bit = (uint8_t)(1u << packet_id % 8);
    bool was = bridge->lowered[packet_id / 8] & bit;
    bridge->lowered[packet_id / 8] &= (uint8_t)~bit;
    return was;
}

/** ---- greeting ---- */

void bridge_remote_greet(struct bridge *bridge, uint64_t now_us)
{
    const struct bridge_config *config = &bridge->config;
    bool has_will = config->notification_topic && !config->notify_here_only;
    bool clean = config->clean || bridge->remote_is_stale;
    memset(bridge->lowered, 0, sizeof(bridge->lowered));
    struct mqtt_client_config client = {
        .connect = { .version = bridge->version,
                     .clean_start = clean,
                     .is_bridge = bridge->version != MQTT_5 && bridge->bridge_bit,
                     .keep_alive_s = config->keep_alive_s,
                     .client_id = bytes_of_text(config->client_id),
                     .has_user = config->user.size > 0,
                     .user = config->user,
                     .has_password = config->password.size > 0,
                     .password = config->password },
        .session_expiry_s = clean ? 0 : config->session_expiry_s,
        .receive_max = config->receive_max,
        // prefixes may make it longer before our broker looks at it
        .packet_size_max = config->packet_size_max - BRIDGE_PREFIX_MAX - 1,
    };
    if (has_will) {
        client.connect.has_will = true;
        client.connect.will =
            (struct mqtt_will){ .topic = bytes_of_text(config->notification_topic),
                                .payload = bytes_of_text("0"),
                                .qos = 1,
                                .retain = true };
    }
    mqtt_client_connect(&bridge->remote, now_us, &client);
}

void bridge_notify(struct bridge *bridge, uint64_t now_us, bool connected)
{
    const struct bridge_config *config = &bridge->config;
    if (!config->notification_topic)
        return;
    struct bytes topic = bytes_of_text(config->notification_topic);
    struct bytes payload = bytes_of_text(connected ? "1" : "0");
    struct mqtt_publish publish = { .topic = topic, .payload = payload, .retain = true };
    // a few bytes, which every broker takes
    if (!config->notify_here_only &&
        !mqtt_client_publish(&bridge->remote, now_us, &publish, bytes_of(NULL, 0)))
        bridge_count(bridge, BRIDGE_METRIC_DROPPED_LARGE);
    broker_publish(
        config->broker, now_us,
        &(struct broker_publication){ .topic = topic, .payload = payload, .retain = true });
}

/**
 * With a session that is kept there retained messages come once, and their changes wait in it. But
 * not those of QoS 0: rules of it ask for all of them again, where ours are not in their way.
 */
static bool asks_again(const struct bridge *bridge, const struct bridge_rule *rule)
{
    return rule->qos == 0 && bridge_topics_is_one_way(&bridge->config.topics, rule);
}

static void subscribe(struct bridge *bridge, uint64_t now_us, bool session_present)
{
    bool knows = session_present && bridge->subscribed;
    for (size_t i = 0; i < bridge->config.topics.count; i++) {
        const struct bridge_rule *rule = &bridge->config.topics.rules[i];
        bool again = asks_again(bridge, rule);
        // before 5.0 every SUBSCRIBE brings all retained messages
        bool is_known = bridge->version != MQTT_5 && knows && !again;
        if (!(rule->direction & BRIDGE_IN) || is_known)
            continue;
        struct mqtt_subscription subscription = {
            .filter = bytes_of_text(rule->remote_filter),
            .options = { .qos = rule->qos,
                         .no_local = true,
                         .retain_as_published = true,
                         .retain_handling = again ? 0 : 1 },
        };
        mqtt_client_subscribe(&bridge->remote, now_us, SUBSCRIBE_ID(i), &subscription);
    }
    bridge->subscribed = true;
}

void bridge_remote_unsubscribe(struct bridge *bridge, uint64_t now_us, struct bytes filter)
{
    mqtt_client_unsubscribe(&bridge->remote, now_us, UNSUBSCRIBE_ID(bridge->unsubscribed++),
                            filter);
}

/** The end of an attempt; another one follows at once where there is another way to speak. */
static void refused(struct bridge *bridge, uint64_t now_us, uint8_t reason)
{
    if (reason == MQTT_UNSUPPORTED_VERSION && bridge_next_protocol(bridge)) {
        bridge_call_again(bridge, now_us);
        return;
    }
    bridge_count(bridge, BRIDGE_METRIC_REFUSED);
    bridge_tell(bridge, &(struct bridge_news){ .kind = BRIDGE_NEWS_REFUSED, .reason = reason });
    bridge_close(bridge, now_us, MQTT_SUCCESS);
}

static void welcome(struct bridge *bridge, uint64_t now_us, bool session_present)
{
    bool was_stale = bridge->remote_is_stale;
    bool guards_loops = bridge->version == MQTT_5 || bridge->bridge_bit;
    if (!guards_loops && bridge_topics_can_loop(&bridge->config.topics)) {
        bridge_count(bridge, BRIDGE_METRIC_REFUSED);
        bridge_tell(bridge, &(struct bridge_news){ .kind = BRIDGE_NEWS_LOOP });
        bridge_close(bridge, now_us, MQTT_SUCCESS);
        return;
    }
    bridge->remote_is_stale = false;
    // That one ends with its connection, and another is made to be kept: before 5.0 there is no
    // other way, and Mosquitto (2.0) forgets with its process a session that was begun anew.
    if (was_stale && !bridge->config.clean) {
        bridge_call_again(bridge, now_us);
        return;
    }
    bridge->state = BRIDGE_UP;
    bridge->up_us = now_us;
    bridge_count(bridge, BRIDGE_METRIC_CONNECTS);
    metric_set(&bridge->metrics[BRIDGE_METRIC_CONNECTED], 1);
    bridge_tell(bridge, &(struct bridge_news){ .kind = BRIDGE_NEWS_UP,
                                               .version = bridge->version,
                                               .session_present = session_present });
    bridge_notify(bridge, now_us, true);
    subscribe(bridge, now_us, session_present);
    bridge_local_release(bridge, now_us, session_present);
}

/** ---- from there to here ---- */

static void answer(struct bridge *bridge, uint64_t now_us, enum mqtt_type type, uint16_t packet_id)
{
    mqtt_client_ack(&bridge->remote, now_us, type, &(struct mqtt_ack){ .packet_id = packet_id });
}

/** A message that goes no further: the other broker need not send it again. */
static void drop(struct bridge *bridge, uint64_t now_us, const struct mqtt_publish *publish,
                 enum bridge_metric why)
{
    bridge_count(bridge, why);
    // PUBREL is then answered by our broker, which does not know it
    if (publish->qos > 0)
        answer(bridge, now_us, publish->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, publish->packet_id);
}

void bridge_remote_skipped(struct bridge *bridge, uint64_t now_us,
                           const struct mqtt_publish *publish)
{
    drop(bridge, now_us, publish, BRIDGE_METRIC_DROPPED_LARGE);
}

static void publish_here(struct bridge *bridge, uint64_t now_us, const struct mqtt_packet *packet)
{
    struct mqtt_publish publish = packet->publish;
    uint8_t *block = memory_allocate(1, packet->properties.raw.size + 1);
    size_t size =
        bridge_topics_map(&bridge->config.topics, BRIDGE_IN, publish.topic, bridge->topic);
    publish.topic = bytes_of(bridge->topic, size);
    bool carried =
        size > 0 && bridge_local_publish(bridge, now_us, &publish,
                                         bridge_properties(packet->properties.raw, block));
    free(block);
    if (carried)
        bridge_count(bridge, BRIDGE_METRIC_RECEIVED);
    else
        drop(bridge, now_us, &publish,
             size > 0 ? BRIDGE_METRIC_DROPPED_LARGE : BRIDGE_METRIC_DROPPED_RULE);
}

static void acknowledged_there(struct bridge *bridge, uint64_t now_us,
                               const struct mqtt_packet *packet)
{
    enum mqtt_type type = packet->type;
    if (type != MQTT_PUBCOMP && mqtt_reason_is_error(packet->ack.reason)) {
        bridge_count(bridge, BRIDGE_METRIC_DROPPED_REFUSED);
        bridge_tell(bridge, &(struct bridge_news){ .kind = BRIDGE_NEWS_MESSAGE,
                                                   .reason = packet->ack.reason });
    }
    if (type == MQTT_PUBACK && take_lowered(bridge, packet->ack.packet_id))
        type = MQTT_PUBREC;
    bridge_local_ack(bridge, now_us, type, &packet->ack);
}

static void subscribed(struct bridge *bridge, const struct mqtt_packet *packet)
{
    size_t rule = SUBSCRIBE_ID(packet->list.packet_id);
    uint8_t reason = packet->list.items.data[0];
    if (mqtt_reason_is_error(reason) && rule < bridge->config.topics.count)
        bridge_tell(bridge, &(struct bridge_news){
                                .kind = BRIDGE_NEWS_FILTER,
                                .reason = reason,
                                .text = bridge->config.topics.rules[rule].remote_filter });
}

void bridge_remote_packet(struct bridge *bridge, uint64_t now_us, const struct mqtt_packet *packet)
{
    switch (packet->type) {
    case MQTT_CONNACK:
        if (packet->connack.reason == MQTT_SUCCESS)
            welcome(bridge, now_us, packet->connack.session_present);
        else
            refused(bridge, now_us, packet->connack.reason);
        break;
    case MQTT_PUBLISH:
        publish_here(bridge, now_us, packet);
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBCOMP:
        acknowledged_there(bridge, now_us, packet);
        break;
    case MQTT_PUBREL:
        bridge_local_ack(bridge, now_us, MQTT_PUBREL, &packet->ack);
        break;
    case MQTT_SUBACK:
        subscribed(bridge, packet);
        break;
    case MQTT_DISCONNECT:
        bridge_count(bridge, BRIDGE_METRIC_LOST);
        bridge_tell(bridge, &(struct bridge_news){ .kind = BRIDGE_NEWS_ENDED,
                                                   .reason = packet->notice.reason });
        bridge_close(bridge, now_us, MQTT_SUCCESS);
        break;
    default: // UNSUBACK
        break;
    }
}

/** ---- from here to there ---- */

static void answer_here(struct bridge *bridge, uint64_t now_us, const struct mqtt_publish *publish,
                        uint8_t reason)
{
    struct mqtt_ack ack = { .packet_id = publish->packet_id, .reason = reason };
    if (publish->qos > 0)
        bridge_local_ack(bridge, now_us, publish->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, &ack);
}

void bridge_remote_publish(struct bridge *bridge, uint64_t now_us, const struct mqtt_packet *packet)
{
    const struct mqtt_publish *from = &packet->publish;
    // what was on its way when the connection ended is sent again
    if (bridge->state != BRIDGE_UP)
        return;
    struct mqtt_publish to = *from;
    size_t size = bridge_topics_map(&bridge->config.topics, BRIDGE_OUT, from->topic, bridge->topic);
    if (size == 0) {
        // of a rule that is no more
        bridge_count(bridge, BRIDGE_METRIC_DROPPED_RULE);
        answer_here(bridge, now_us, from, MQTT_IMPLEMENTATION_ERROR);
        return;
    }
    to.topic = bytes_of(bridge->topic, size);
    to.retain = from->retain && !bridge->config.drop_retain;
    to.qos = min_of(from->qos, bridge->remote.qos_max);
    if (to.qos == 0)
        to.packet_id = 0, to.dup = false;
    uint8_t *block = memory_allocate(1, packet->properties.raw.size + 1);
    bool fits = mqtt_client_publish(&bridge->remote, now_us, &to,
                                    bridge_properties(packet->properties.raw, block));
    free(block);
    if (!fits) {
        bridge_count(bridge, BRIDGE_METRIC_DROPPED_LARGE);
        answer_here(bridge, now_us, from, MQTT_PACKET_TOO_LARGE);
        return;
    }
    bridge_count(bridge, BRIDGE_METRIC_SENT);
    if (to.qos == 0)
        answer_here(bridge, now_us, from, MQTT_SUCCESS);
    else if (to.qos < from->qos)
        set_lowered(bridge, from->packet_id);
}

void bridge_remote_ack(struct bridge *bridge, uint64_t now_us, const struct mqtt_packet *packet)
{
    struct mqtt_ack ack = packet->ack;
    if (bridge->state != BRIDGE_UP)
        return;
    if (packet->type == MQTT_PUBREL && bridge->remote.qos_max < 2) {
        // it knows of no QoS 2
        bridge_local_ack(bridge, now_us, MQTT_PUBCOMP, &ack);
        return;
    }
    if (packet->type == MQTT_PUBACK || packet->type == MQTT_PUBREC) {
        if (ack.reason == MQTT_QUOTA_EXCEEDED) {
            // we have no room: it comes again with another connection
            bridge_close(bridge, now_us, MQTT_QUOTA_EXCEEDED);
            return;
        }
        if (mqtt_reason_is_error(ack.reason))
            bridge_count(bridge, BRIDGE_METRIC_DROPPED_REFUSED);
        else
            ack.reason = MQTT_SUCCESS;
    }
    mqtt_client_ack(&bridge->remote, now_us, packet->type, &ack);
}
