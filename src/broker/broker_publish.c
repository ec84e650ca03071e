// Messages of clients: aliases, permission, exactly-once, and whom they go to.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "broker/broker_deliver.h"
#include "broker/broker_subscribe.h"
#include "proto/mqtt/mqtt_topic.h"

/** ---- routing ---- */

struct match {
    struct broker_topic_visitor visitor;
    struct broker *broker;
    const struct broker_session *from;
    uint64_t serial;
    uint32_t steps; /**< subscribers and groups that were looked at */
    uint8_t qos;
};

static void add_id(struct broker_target *target, uint32_t id)
{
    if (!id)
        return;
    if (!target->id) {
        target->id = id;
        return;
    }
    if (target->id_count + 1 >= target->id_capacity) {
        target->id_capacity = max_of(target->id_capacity * 2, 4u);
        target->ids = memory_resize(target->ids, target->id_capacity * sizeof(*target->ids));
    }
    target->ids[target->id_count++] = id;
    target->ids[target->id_count] = 0;
}

/** One copy per client, of the best quality, with all identifiers (5.0, 3.3.4). */
static void match_subscription(struct match *match, const struct broker_subscription *subscription)
{
    struct broker_session *session = subscription->session;
    if (subscription->options.no_local && session == match->from)
        return;
    struct broker_targets *targets = &match->broker->targets;
    struct broker_target *target;
    if (session->match_serial == match->serial) {
        target = &targets->items[session->match_index];
    } else {
        session->match_serial = match->serial;
        session->match_index = (uint32_t)targets->count;
        target = broker_targets_add(targets);
        target->session = session;
    }
    target->qos = max_of(target->qos, min_of(subscription->options.qos, match->qos));
    target->retain_as_published |= subscription->options.retain_as_published;
    add_id(target, subscription->id);
}

static bool is_able(const struct broker_session *session)
{
    return session->client && !broker_is_full(session);
}

/**
 * The next member in turn: of those who are there and have room, else of those it can wait for,
 * else one of them that may have room when it has looked for what has expired.
 */
static void match_group(struct match *match, struct broker_group *group)
{
    struct broker_subscription *chosen = NULL, *waits = NULL, *full = NULL, *member;
    list_each(member, &group->members, topic_node)
    {
        if (is_able(member->session)) {
            chosen = member;
            break;
        }
        if (!waits && member->session->is_kept && !broker_is_full(member->session))
            waits = member;
        if (!full && member->session->is_kept)
            full = member;
    }
    chosen = chosen ? chosen : waits ? waits : full;
    if (!chosen) {
        broker_count(match->broker, BROKER_METRIC_DROPPED_FULL);
        return;
    }
    list_remove(&chosen->topic_node);
    list_append(&group->members, &chosen->topic_node);
    struct broker_target *target = broker_targets_add(&match->broker->targets);
    target->session = chosen->session;
    target->qos = min_of(chosen->options.qos, match->qos);
    target->retain_as_published = chosen->options.retain_as_published;
    target->id = chosen->id;
}

static void matched(struct broker_topic_visitor *visitor, struct broker_topic *topic)
{
    struct match *match = container_of(visitor, struct match, visitor);
    struct broker_subscription *subscription;
    list_each(subscription, &topic->subscribers, topic_node)
    {
        match_subscription(match, subscription);
        match->steps++;
    }
    if (!topic->branch)
        return;
    struct broker_group *group;
    list_each(group, &topic->branch->groups, node)
    {
        match_group(match, group);
        match->steps++;
    }
}

static void retain(struct broker *broker, struct broker_message *message)
{
    bool removes = message->payload_size == 0;
    bool has_room =
        removes ||
        broker_has_room(broker, message->topic_size + BROKER_LEVELS_MAX * BROKER_LEVEL_SIZE_MAX);
    if (!has_room ||
        !broker_topics_retain(&broker->topics, broker_message_topic(message),
                              removes ? NULL : message, broker->config.retained_count_max)) {
        broker_count(broker, BROKER_METRIC_DROPPED_FULL);
        return;
    }
    // what the server tells of itself is not true of the next process
    if (!broker_is_reserved(broker, broker_message_topic(message)))
        broker_journal_message(broker, BROKER_RECORD_RETAINED, 0, 0, message);
}

bool broker_route(struct broker *broker, uint64_t now_us, const struct broker_routing *routing)
{
    struct broker_message *message = routing->message;
    if (message->retain)
        retain(broker, message);
    if (message->expires_us <= now_us)
        return false;
    struct match match = { .visitor = { .matched = matched },
                           .broker = broker,
                           .from = routing->from,
                           .serial = ++broker->next_serial,
                           .qos = message->qos };
    broker->targets.count = 0;
    broker_topics_match(&broker->topics, broker_message_topic(message), &match.visitor);
    for (size_t i = 0; i < broker->targets.count; i++) {
        const struct broker_target *target = &broker->targets.items[i];
        broker_deliver(target->session, now_us,
                       &(struct broker_delivery){
                           .message = message,
                           .durable = routing->durable,
                           .ids = target->ids,
                           .id = target->id,
                           .qos = target->qos,
                           .retain = target->retain_as_published && message->retain,
                       });
    }
    struct broker_client *sender = routing->from ? routing->from->client : NULL;
    if (sender)
        sender->steps += match.steps;
    return broker->targets.count > 0;
}

bool broker_is_reserved(const struct broker *broker, struct bytes topic)
{
    if (topic.size > 0 && topic.data[0] == '$')
        return true;
    const char *reserved = broker->config.reserved;
    return reserved && text_equal(mqtt_level_take(&topic), reserved);
}

static struct broker_message *message_of(struct broker *broker, uint64_t now_us,
                                         const struct broker_publication *publication)
{
    struct broker_message *message = broker_message_new(
        broker, publication->topic, publication->properties, publication->payload);
    if (!message)
        return NULL;
    message->qos = publication->qos;
    message->retain = publication->retain;
    if (publication->expiry_s)
        message->expires_us = now_us + publication->expiry_s * TIME_US_PER_S;
    return message;
}

void broker_publish(struct broker *broker, uint64_t now_us,
                    const struct broker_publication *publication)
{
    struct broker_message *message = message_of(broker, now_us, publication);
    if (!message)
        return;
    broker_route(broker, now_us, &(struct broker_routing){ .message = message });
    broker_message_unref(broker, message);
}

bool broker_has_retained(const struct broker *broker, struct bytes topic)
{
    const struct broker_topic *at = broker_topics_find(&broker->topics, topic);
    return at && at->retained;
}

int broker_client_send(struct broker_client *client, uint64_t now_us,
                       const struct broker_publication *publication)
{
    struct broker *broker = client->broker;
    const struct broker_subscription *subscription =
        broker_subscription_to(client->session, publication->topic);
    if (!subscription)
        return -ENOENT;
    struct broker_message *message = message_of(broker, now_us, publication);
    if (!message)
        return -ENOBUFS;
    bool has_room = broker_deliver(
        client->session, now_us,
        &(struct broker_delivery){ .message = message,
                                   .id = subscription->id,
                                   .qos = min_of(subscription->options.qos, publication->qos) });
    broker_message_unref(broker, message);
    return has_room ? 0 : -ENOBUFS;
}

/** ---- PUBLISH of a client ---- */

/** The topic that an alias stands for, or that it stands for from now on. Returns 0 or a reason. */
static int resolve_alias(struct broker_client *client, const struct mqtt_properties *properties,
                         struct bytes *topic)
{
    if (!mqtt_has(properties, MQTT_PROPERTY_TOPIC_ALIAS))
        return 0;
    return broker_aliases_resolve(&client->aliases_in, properties->topic_alias,
                                  client->told_alias_max, topic);
}

bool broker_is_own_topic(const struct broker *broker, struct bytes topic)
{
    return broker_is_reserved(broker, topic) &&
           !mqtt_filter_matches(bytes_of_text("$SYS/broker/connection/+/state"), topic);
}

/** Gives it on. Returns a reason code of PUBACK. */
static uint8_t pass_on(struct broker_client *client, uint64_t now_us,
                       const struct mqtt_publish *publish, const struct mqtt_properties *properties,
                       uint64_t durable)
{
    struct broker *broker = client->broker;
    struct broker_owner *owner = broker->config.owner;
    if (owner->take && !client->inner) {
        int taken = owner->take(owner, client, now_us, publish, properties);
        if (taken >= 0)
            return (uint8_t)taken;
    }
    bool may = client->inner || owner->may_publish(owner, client, publish->topic);
    if (!may || broker_is_own_topic(broker, publish->topic)) {
        broker_count(broker, BROKER_METRIC_DENIED_PUBLISH);
        return MQTT_NOT_AUTHORIZED;
    }
    struct broker_message *message =
        broker_message_new(broker, publish->topic, properties->raw, publish->payload);
    if (!message)
        return MQTT_QUOTA_EXCEEDED;
    message->qos = publish->qos;
    message->retain = publish->retain;
    if (mqtt_has(properties, MQTT_PROPERTY_MESSAGE_EXPIRY))
        message->expires_us = now_us + properties->message_expiry_s * TIME_US_PER_S;
    bool anyone =
        broker_route(broker, now_us,
                     &(struct broker_routing){
                         .message = message, .from = client->session, .durable = durable });
    broker_message_unref(broker, message);
    return anyone ? MQTT_SUCCESS : MQTT_NO_MATCHING_SUBSCRIBERS;
}

/** What an acknowledgement waits for: the records that its message made, if any. */
static uint64_t appended_since(const struct broker *broker, uint64_t before)
{
    uint64_t position = broker->journal.position;
    return position > before ? position : BROKER_AT_ONCE;
}

/** A message that is lost for want of memory, and no word for that before 5.0: it may come again.
 */
static bool cannot_be_told(const struct broker_client *client, uint8_t reason)
{
    return reason == MQTT_QUOTA_EXCEEDED && client->version != MQTT_5;
}

/** QoS 2: PUBREC once the identifier is known to be remembered. Returns 0 or a reason to end. */
static int receive_once(struct broker_client *client, uint64_t now_us,
                        const struct mqtt_publish *publish,
                        const struct mqtt_properties *properties)
{
    struct broker *broker = client->broker;
    struct broker_session *session = client->session;
    uint64_t before = broker->journal.position;
    if (broker_session_received(session, publish->packet_id)) {
        // maybe not yet in the journal
        broker_control_ack(client, MQTT_PUBREC, publish->packet_id, MQTT_SUCCESS,
                           session->is_kept ? before : BROKER_AT_ONCE);
        return 0;
    }
    if (client->version == MQTT_5 && session->received_count >= client->told_receive_max)
        return MQTT_RECEIVE_MAXIMUM_EXCEEDED;
    uint64_t durable = BROKER_AT_ONCE;
    if (session->is_kept)
        durable = broker_journal_append(&broker->journal,
                                        &(struct broker_record){ .type = BROKER_RECORD_RECEIVED,
                                                                 .session = session->number,
                                                                 .packet_id = publish->packet_id });
    broker_session_add_received(session, publish->packet_id);
    uint8_t reason = pass_on(client, now_us, publish, properties, durable);
    if (mqtt_reason_is_error(reason)) {
        // 5.0, 4.3.3: a refusal ends the exchange, and the message may come again
        broker_session_remove_received(session, publish->packet_id);
        if (session->is_kept)
            broker_journal_append(&broker->journal,
                                  &(struct broker_record){ .type = BROKER_RECORD_RECEIVED_END,
                                                           .session = session->number,
                                                           .packet_id = publish->packet_id });
    }
    if (cannot_be_told(client, reason))
        return reason;
    broker_control_ack(client, MQTT_PUBREC, publish->packet_id, reason,
                       appended_since(broker, before));
    return 0;
}

/** Before 5.0 who may not publish is not told: it is as if the message were accepted (3.3.5). */
static int publish_to(struct broker_client *client, uint64_t now_us,
                      const struct mqtt_publish *publish, const struct mqtt_properties *properties)
{
    switch (publish->qos) {
    case 0:
        pass_on(client, now_us, publish, properties, BROKER_AT_ONCE);
        return 0;
    case 1: {
        uint64_t before = client->broker->journal.position;
        uint8_t reason = pass_on(client, now_us, publish, properties, BROKER_AT_ONCE);
        if (cannot_be_told(client, reason))
            return reason;
        broker_control_ack(client, MQTT_PUBACK, publish->packet_id, reason,
                           appended_since(client->broker, before));
        return 0;
    }
    default:
        return receive_once(client, now_us, publish, properties);
    }
}

void broker_handle_publish(struct broker_client *client, uint64_t now_us,
                           const struct mqtt_packet *packet)
{
    broker_count(client->broker, BROKER_METRIC_RECEIVED);
    struct mqtt_publish publish = packet->publish;
    // 5.0, 3.3.4: only servers name subscriptions
    int reason = mqtt_has(&packet->properties, MQTT_PROPERTY_SUBSCRIPTION_ID)
                     ? MQTT_PROTOCOL_ERROR
                     : resolve_alias(client, &packet->properties, &publish.topic);
    if (reason == 0)
        reason = publish_to(client, now_us, &publish, &packet->properties);
    if (reason)
        broker_client_fault(client, now_us, reason);
}

void broker_handle_release(struct broker_client *client, const struct mqtt_ack *ack)
{
    struct broker_session *session = client->session;
    bool known = broker_session_remove_received(session, ack->packet_id);
    uint64_t durable = BROKER_AT_ONCE;
    // another message may come under this identifier as soon as this is answered
    if (known && session->is_kept)
        durable = broker_journal_append(&client->broker->journal,
                                        &(struct broker_record){ .type = BROKER_RECORD_RECEIVED_END,
                                                                 .session = session->number,
                                                                 .packet_id = ack->packet_id });
    broker_control_ack(client, MQTT_PUBCOMP, ack->packet_id,
                       known ? MQTT_SUCCESS : MQTT_PACKET_ID_NOT_FOUND, durable);
}
