#include "broker/broker_subscribe.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "broker/broker_deliver.h"
#include "proto/mqtt/mqtt_topic.h"

/** ---- the tree ---- */

static struct bytes group_key(const struct broker_group *group)
{
    return bytes_of(group->key, sizeof(group->topic) + group->name_size);
}

/** Not among the topic's, yet. */
static struct broker_group *group_new(struct broker_topic *topic, struct bytes name)
{
    struct broker_group *group =
        memory_allocate(1, sizeof(*group) + sizeof(group->topic) + name.size);
    group->topic = topic;
    group->name_size = name.size;
    group->name = (char *)group->key + sizeof(group->topic);
    memcpy(group->key, &topic, sizeof(group->topic));
    memcpy(group->name, name.data, name.size);
    list_init(&group->members);
    return group;
}

static struct broker_group *group_find(const struct broker_topics *topics,
                                       struct broker_topic *topic, struct bytes name)
{
    struct broker_group *wanted = group_new(topic, name);
    struct broker_group *group = map_find(&topics->groups, group_key(wanted));
    free(wanted);
    return group;
}

static struct broker_group *group_get(struct broker_topics *topics, struct broker_topic *topic,
                                      struct bytes name)
{
    struct broker_group *group = group_find(topics, topic, name);
    if (group)
        return group;
    group = group_new(topic, name);
    topics->broker->state_bytes += sizeof(*group) + name.size;
    map_set(&topics->groups, group_key(group), group);
    list_append(&broker_topic_branch(topics, topic)->groups, &group->node);
    return group;
}

/** Where a session has its subscription in the chain, or the chain's end. */
static struct broker_subscription **subscription_place(struct broker_session *session,
                                                       const struct broker_topic *topic,
                                                       const struct broker_group *group)
{
    struct broker_subscription **at = &session->subscriptions;
    while (*at && !((*at)->topic == topic && (*at)->group == group))
        at = &(*at)->next;
    return at;
}

struct broker_subscription *broker_subscription_to(struct broker_session *session,
                                                   struct bytes filter)
{
    struct broker_topic *topic = broker_topics_find(&session->broker->topics, filter);
    return topic ? *subscription_place(session, topic, NULL) : NULL;
}

bool broker_client_has_subscribed(const struct broker_client *client, struct bytes filter)
{
    return broker_subscription_to(client->session, filter);
}

/** Ends the subscription at a place of the chain, which has the next one then. */
static void subscription_end(struct broker_subscription **at)
{
    struct broker_subscription *subscription = *at;
    struct broker_session *session = subscription->session;
    struct broker_group *group = subscription->group;
    *at = subscription->next;
    list_remove(&subscription->topic_node);
    session->subscription_count--;
    metric_subtract(&session->broker->metrics[BROKER_METRIC_SUBSCRIPTIONS], 1);
    if (group && list_empty(&group->members)) {
        list_remove(&group->node);
        map_remove(&session->broker->topics.groups, group_key(group));
        session->broker->state_bytes -= sizeof(*group) + group->name_size;
        free(group);
    }
    broker_topics_prune(&session->broker->topics, subscription->topic);
    session->broker->state_bytes -= sizeof(*subscription);
    free(subscription);
}

void broker_unsubscribe_all(struct broker_session *session)
{
    while (session->subscriptions)
        subscription_end(&session->subscriptions);
}

int broker_subscribe(struct broker_session *session, struct bytes filter,
                     const struct mqtt_subscription_options *options, uint32_t id, bool *ret_new)
{
    struct broker *broker = session->broker;
    struct mqtt_share share;
    if (!mqtt_filter_is_valid(filter) || mqtt_share_parse(filter, &share) < 0)
        return MQTT_TOPIC_FILTER_INVALID;
    bool is_inner = session->client && session->client->inner;
    // as if every level of it were new
    if (!is_inner && !broker_has_room(broker, sizeof(struct broker_subscription) + filter.size +
                                                  BROKER_LEVELS_MAX * BROKER_LEVEL_SIZE_MAX))
        return MQTT_QUOTA_EXCEEDED;
    struct broker_topic *topic = broker_topics_make(&broker->topics, share.filter);
    if (!topic)
        return MQTT_TOPIC_FILTER_INVALID;
    struct broker_group *group =
        share.group.size > 0 ? group_find(&broker->topics, topic, share.group) : NULL;
    struct broker_subscription *subscription =
        share.group.size > 0 && !group ? NULL : *subscription_place(session, topic, group);
    *ret_new = !subscription;
    if (!subscription) {
        if (!is_inner && session->subscription_count >= broker->config.subscription_count_max) {
            broker_topics_prune(&broker->topics, topic);
            return MQTT_QUOTA_EXCEEDED;
        }
        if (share.group.size > 0)
            group = group_get(&broker->topics, topic, share.group);
        subscription = memory_new(struct broker_subscription);
        broker->state_bytes += sizeof(*subscription);
        subscription->session = session;
        subscription->topic = topic;
        subscription->group = group;
        list_append(group ? &group->members : &topic->subscribers, &subscription->topic_node);
        subscription->next = session->subscriptions;
        session->subscriptions = subscription;
        session->subscription_count++;
        metric_add(&broker->metrics[BROKER_METRIC_SUBSCRIPTIONS], 1);
    }
    subscription->options = *options;
    subscription->id = id;
    return MQTT_SUCCESS;
}

bool broker_unsubscribe(struct broker_session *session, struct bytes filter)
{
    struct mqtt_share share;
    if (mqtt_share_parse(filter, &share) < 0)
        return false;
    struct broker_topic *topic = broker_topics_find(&session->broker->topics, share.filter);
    if (!topic)
        return false;
    struct broker_group *group =
        share.group.size > 0 ? group_find(&session->broker->topics, topic, share.group) : NULL;
    if (share.group.size > 0 && !group)
        return false;
    struct broker_subscription **at = subscription_place(session, topic, group);
    if (!*at)
        return false;
    subscription_end(at);
    return true;
}

/** ---- retained messages for a new subscription ---- */

struct replay {
    struct broker_topic_visitor visitor;
    struct broker_session *session;
    uint64_t now_us;
    uint8_t qos;
    uint32_t id;
};

static void replay_one(struct broker_topic_visitor *visitor, struct broker_topic *topic)
{
    struct replay *replay = container_of(visitor, struct replay, visitor);
    struct broker_message *message = topic->retained->message;
    if (message->expires_us <= replay->now_us)
        return;
    broker_deliver(replay->session, replay->now_us,
                   &(struct broker_delivery){ .message = message,
                                              .id = replay->id,
                                              .qos = min_of(message->qos, replay->qos),
                                              .retain = true,
                                              .is_replay = true });
}

/** Returns how many topics were looked at. */
static size_t replay_retained(struct broker_session *session, uint64_t now_us, struct bytes filter,
                              uint8_t qos, uint32_t id)
{
    struct replay replay = { .visitor = { .matched = replay_one },
                             .session = session,
                             .now_us = now_us,
                             .qos = qos,
                             .id = id };
    broker_topics_retained(&session->broker->topics, filter, &replay.visitor);
    return replay.visitor.steps;
}

/** ---- packets ---- */

/** To find one of a session's own costs about as much as to look at a topic. */
#define SUBSCRIPTIONS_PER_STEP 16

static uint8_t version_reason(const struct broker_client *client, int reason)
{
    return client->version == MQTT_5 ? (uint8_t)reason : MQTT_SUBSCRIBE_FAILURE;
}

static struct broker_record record_of(const struct broker_session *session,
                                      const struct mqtt_subscription_options *options, uint32_t id,
                                      struct bytes filter)
{
    unsigned flags = (options->no_local ? BROKER_SUBSCRIPTION_NO_LOCAL : 0u) |
                     (options->retain_as_published ? BROKER_SUBSCRIPTION_AS_PUBLISHED : 0u);
    return (struct broker_record){ .type = BROKER_RECORD_SUBSCRIPTION,
                                   .session = session->number,
                                   .id = id,
                                   .qos = options->qos,
                                   .flags = (uint8_t)flags,
                                   .name = filter };
}

struct broker_record broker_record_of_subscription(const struct broker_subscription *subscription,
                                                   uint8_t filter[BROKER_FILTER_SIZE_MAX])
{
    struct writer writer = writer_of(filter, BROKER_FILTER_SIZE_MAX);
    const struct broker_group *group = subscription->group;
    if (group) {
        writer_bytes(&writer, "$share/", 7);
        writer_bytes(&writer, group->name, group->name_size);
        writer_u8(&writer, '/');
    }
    size_t size = broker_topic_text(subscription->topic, filter + writer.size,
                                    BROKER_FILTER_SIZE_MAX - writer.size);
    return record_of(subscription->session, &subscription->options, subscription->id,
                     bytes_of(filter, writer.size + size));
}

void broker_restore_subscription(struct broker_session *session, const struct broker_record *record)
{
    struct mqtt_subscription_options options = {
        .qos = min_of(record->qos, (uint8_t)2),
        .no_local = record->flags & BROKER_SUBSCRIPTION_NO_LOCAL,
        .retain_as_published = record->flags & BROKER_SUBSCRIPTION_AS_PUBLISHED,
    };
    bool is_new;
    if (record->id > MQTT_VARIABLE_MAX ||
        broker_subscribe(session, record->name, &options, record->id, &is_new))
        broker_count(session->broker, BROKER_METRIC_DENIED_SUBSCRIBE);
}

static uint64_t journal_subscription(struct broker_session *session,
                                     const struct mqtt_subscription *asked, uint32_t id)
{
    if (!session->is_kept)
        return BROKER_AT_ONCE;
    struct broker_record record = record_of(session, &asked->options, id, asked->filter);
    return broker_journal_append(&session->broker->journal, &record);
}

static uint64_t journal_unsubscription(struct broker_session *session, struct bytes filter)
{
    if (!session->is_kept)
        return BROKER_AT_ONCE;
    return broker_journal_append(&session->broker->journal,
                                 &(struct broker_record){ .type = BROKER_RECORD_UNSUBSCRIPTION,
                                                          .session = session->number,
                                                          .name = filter });
}

static void tell_owner(struct broker_client *client, uint64_t now_us, struct bytes filter,
                       bool is_there)
{
    struct broker_owner *owner = client->broker->config.owner;
    if (owner->subscribed && !client->inner)
        owner->subscribed(owner, client, now_us, filter, is_there);
}

/** Subscribes to one filter; returns its reason code. `ret_durable` grows with the journal. */
static uint8_t subscribe_one(struct broker_client *client, uint64_t now_us,
                             const struct mqtt_subscription *asked, uint32_t id,
                             uint64_t *ret_durable)
{
    struct broker *broker = client->broker;
    struct mqtt_share share;
    if (client->steps >= BROKER_STEPS_BUSY)
        return version_reason(client, MQTT_QUOTA_EXCEEDED);
    client->steps += 1 + client->session->subscription_count / SUBSCRIPTIONS_PER_STEP;
    if (!mqtt_filter_is_valid(asked->filter) || mqtt_share_parse(asked->filter, &share) < 0)
        return version_reason(client, MQTT_TOPIC_FILTER_INVALID);
    bool may = client->inner ||
               broker->config.owner->may_subscribe(broker->config.owner, client, share.filter);
    if (!may) {
        broker_count(broker, BROKER_METRIC_DENIED_SUBSCRIBE);
        return version_reason(client, MQTT_NOT_AUTHORIZED);
    }
    bool is_new;
    int reason = broker_subscribe(client->session, asked->filter, &asked->options, id, &is_new);
    if (reason)
        return version_reason(client, reason);
    *ret_durable = max_of(*ret_durable, journal_subscription(client->session, asked, id));
    // 5.0, 4.8.2: retained messages are not for shared subscriptions
    bool replay =
        asked->options.retain_handling == 0 || (asked->options.retain_handling == 1 && is_new);
    if (replay && share.group.size == 0 && broker_has_room_to_replay(client->session))
        client->steps += (uint32_t)replay_retained(client->session, now_us, share.filter,
                                                   asked->options.qos, id);
    tell_owner(client, now_us, asked->filter, true);
    return asked->options.qos;
}

static void answer(struct broker_client *client, uint64_t now_us, enum mqtt_type type,
                   uint16_t packet_id, struct bytes reasons, uint64_t durable)
{
    struct writer writer = broker_scratch_writer(client->broker, reasons.size + 16);
    mqtt_write_list_ack(&writer, client->version, type, packet_id, reasons);
    if (broker_control_fits(client, &writer))
        broker_control_packet(client, &writer, durable);
    else
        broker_client_fault(client, now_us, MQTT_PACKET_TOO_LARGE);
}

void broker_handle_subscribe(struct broker_client *client, uint64_t now_us,
                             const struct mqtt_packet *packet)
{
    // every item has a length, a character at least, and options
    size_t count_max = packet->list.items.size / 3 + 1;
    uint8_t *reasons = memory_allocate(1, count_max);
    size_t count = 0;
    uint64_t durable = BROKER_AT_ONCE;
    struct reader items = reader_of(packet->list.items.data, packet->list.items.size);
    struct mqtt_subscription asked;
    while (mqtt_list_next_subscription(&items, &asked)) {
        ensure(count < count_max);
        if (client->is_bridge && !text_starts_with(asked.filter, "$share/"))
            asked.options.no_local = asked.options.retain_as_published = true;
        reasons[count++] =
            subscribe_one(client, now_us, &asked, packet->properties.subscription_id, &durable);
    }
    answer(client, now_us, MQTT_SUBACK, packet->list.packet_id, bytes_of(reasons, count), durable);
    free(reasons);
}

void broker_handle_unsubscribe(struct broker_client *client, uint64_t now_us,
                               const struct mqtt_packet *packet)
{
    struct broker_session *session = client->session;
    size_t count_max = packet->list.items.size / 2 + 1;
    uint8_t *reasons = memory_allocate(1, count_max);
    size_t count = 0;
    uint64_t durable = BROKER_AT_ONCE;
    struct reader items = reader_of(packet->list.items.data, packet->list.items.size);
    struct bytes filter;
    while (mqtt_list_next_filter(&items, &filter)) {
        ensure(count < count_max);
        bool existed = broker_unsubscribe(session, filter);
        reasons[count++] = existed ? MQTT_SUCCESS : MQTT_NO_SUBSCRIPTION_EXISTED;
        if (existed) {
            durable = max_of(durable, journal_unsubscription(session, filter));
            tell_owner(client, now_us, filter, false);
        }
    }
    answer(client, now_us, MQTT_UNSUBACK, packet->list.packet_id, bytes_of(reasons, count),
           durable);
    free(reasons);
}

void broker_client_prune(struct broker_client *client,
                         bool (*keep)(void *owner, struct bytes filter), void *owner)
{
    struct broker_session *session = client->session;
    struct broker_subscription **at = &session->subscriptions;
    while (*at) {
        uint8_t text[BROKER_FILTER_SIZE_MAX];
        struct bytes filter = broker_record_of_subscription(*at, text).name;
        if (keep(owner, filter)) {
            at = &(*at)->next;
            continue;
        }
        subscription_end(at);
        journal_unsubscription(session, filter);
    }
}
