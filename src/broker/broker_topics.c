// The tree of topics, and the messages that are retained in it.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "broker/broker_int.h"
#include "proto/mqtt/mqtt_topic.h"

static void set_retained(struct broker_topic *topic, struct broker_message *message)
{
    struct broker_topics *topics = topic->topics;
    struct broker *broker = topics->broker;
    topics->retained_count += (message != NULL);
    topics->retained_count -= (topic->retained != NULL);
    metric_set(&broker->metrics[BROKER_METRIC_RETAINED], topics->retained_count);
    if (message)
        broker_message_ref(message);
    broker_message_unref(broker, topic->retained);
    topic->retained = message;
    broker_timer_set(&broker->wheel, &topic->expiry, message ? message->expires_us : TIME_NEVER);
    broker_topics_prune(topic);
}

static void retained_expired(struct broker_timer *timer, uint64_t now_us)
{
    (void)now_us;
    set_retained(container_of(timer, struct broker_topic, expiry), NULL);
}

static struct broker_topic *topic_new(struct broker_topics *topics, struct broker_topic *parent,
                                      struct bytes level)
{
    struct broker_topic *topic = memory_allocate(1, sizeof(*topic) + level.size);
    topics->broker->state_bytes += sizeof(*topic) + level.size;
    topic->topics = topics;
    topic->parent = parent;
    broker_timer_init(&topic->expiry, retained_expired);
    map_init(&topic->children, topics->secret);
    list_init(&topic->subscribers);
    list_init(&topic->groups);
    topic->level_size = level.size;
    if (level.size > 0)
        memcpy(topic->level, level.data, level.size);
    return topic;
}

void broker_topics_init(struct broker_topics *topics, struct broker *broker)
{
    struct random *random = broker->config.random;
    *topics = (struct broker_topics){ .broker = broker,
                                      .secret = { random_u64(random), random_u64(random) } };
    topics->root = topic_new(topics, NULL, bytes_of(NULL, 0));
}

static bool is(struct bytes level, char character)
{
    return level.size == 1 && level.data[0] == character;
}

static struct broker_topic *child_of(const struct broker_topic *topic, struct bytes level)
{
    if (is(level, '+'))
        return topic->plus;
    if (is(level, '#'))
        return topic->rest;
    return map_find(&topic->children, level);
}

static struct broker_topic *child_new(struct broker_topics *topics, struct broker_topic *topic,
                                      struct bytes level)
{
    struct broker_topic *child = topic_new(topics, topic, level);
    if (is(level, '+'))
        topic->plus = child;
    else if (is(level, '#'))
        topic->rest = child;
    else
        map_set(&topic->children, level, child);
    return child;
}

static size_t level_count(struct bytes filter)
{
    size_t count = 1;
    for (size_t i = 0; i < filter.size; i++)
        count += filter.data[i] == '/';
    return count;
}

struct broker_topic *broker_topics_make(struct broker_topics *topics, struct bytes filter)
{
    if (level_count(filter) > BROKER_LEVELS_MAX)
        return NULL;
    struct broker_topic *topic = topics->root;
    while (filter.data) {
        struct bytes level = mqtt_level_take(&filter);
        struct broker_topic *child = child_of(topic, level);
        topic = child ? child : child_new(topics, topic, level);
    }
    return topic;
}

struct broker_topic *broker_topics_find(const struct broker_topics *topics, struct bytes filter)
{
    struct broker_topic *topic = topics->root;
    while (topic && filter.data)
        topic = child_of(topic, mqtt_level_take(&filter));
    return topic;
}

static bool is_needed(const struct broker_topic *topic)
{
    return !topic->parent || topic->retained || topic->plus || topic->rest ||
           topic->children.count > 0 || !list_empty(&topic->subscribers) ||
           !list_empty(&topic->groups);
}

static void topic_free(struct broker_topic *topic)
{
    topic->topics->broker->state_bytes -= sizeof(*topic) + topic->level_size;
    map_done(&topic->children);
    free(topic);
}

void broker_topics_prune(struct broker_topic *topic)
{
    while (!is_needed(topic)) {
        struct broker_topic *parent = topic->parent;
        if (parent->plus == topic)
            parent->plus = NULL;
        else if (parent->rest == topic)
            parent->rest = NULL;
        else
            map_remove(&parent->children, bytes_of(topic->level, topic->level_size));
        topic_free(topic);
        topic = parent;
    }
}

size_t broker_topic_text(const struct broker_topic *topic, uint8_t *out, size_t capacity)
{
    size_t size = 0;
    for (const struct broker_topic *at = topic; at->parent; at = at->parent)
        size += at->level_size + (at->parent->parent ? 1 : 0);
    if (size > capacity)
        return size;
    uint8_t *end = out + size;
    for (const struct broker_topic *at = topic; at->parent; at = at->parent) {
        end -= at->level_size;
        memcpy(end, at->level, at->level_size);
        if (at->parent->parent)
            *--end = '/';
    }
    return size;
}

/** ---- matching ---- */

static void visit_rest(struct broker_topic *topic, struct broker_topic_visitor *visitor)
{
    if (topic->rest)
        visitor->matched(visitor, topic->rest);
}

/** `rest.data` NULL: the topic's levels are used up. */
static void match(struct broker_topic *topic, struct bytes rest, bool hidden,
                  struct broker_topic_visitor *visitor)
{
    if (!hidden)
        visit_rest(topic, visitor);
    if (!rest.data) {
        visitor->matched(visitor, topic);
        return;
    }
    struct bytes level = mqtt_level_take(&rest);
    struct broker_topic *child = map_find(&topic->children, level);
    if (child)
        match(child, rest, false, visitor);
    if (topic->plus && !hidden)
        match(topic->plus, rest, false, visitor);
}

void broker_topics_match(const struct broker_topics *topics, struct bytes topic,
                         struct broker_topic_visitor *visitor)
{
    // 4.7.2: wildcards at the front do not find the server's own topics
    match(topics->root, topic, broker_is_reserved(topics->broker, topic), visitor);
}

static void visit_all(struct broker_topic *topic, bool at_root,
                      struct broker_topic_visitor *visitor)
{
    visitor->steps++;
    if (topic->retained)
        visitor->matched(visitor, topic);
    size_t cursor = 0;
    void *child;
    struct bytes level;
    while (map_next(&topic->children, &cursor, &level, &child)) {
        if (!at_root || !broker_is_reserved(topic->topics->broker, level))
            visit_all(child, false, visitor);
    }
}

static void retained(struct broker_topic *topic, struct bytes rest,
                     struct broker_topic_visitor *visitor)
{
    bool at_root = !topic->parent;
    visitor->steps++;
    if (!rest.data) {
        if (topic->retained)
            visitor->matched(visitor, topic);
        return;
    }
    struct bytes level = mqtt_level_take(&rest);
    if (is(level, '#')) {
        visit_all(topic, at_root, visitor);
        return;
    }
    if (!is(level, '+')) {
        struct broker_topic *child = map_find(&topic->children, level);
        if (child)
            retained(child, rest, visitor);
        return;
    }
    size_t cursor = 0;
    void *child;
    while (map_next(&topic->children, &cursor, &level, &child)) {
        if (!at_root || !broker_is_reserved(topic->topics->broker, level))
            retained(child, rest, visitor);
    }
}

void broker_topics_retained(const struct broker_topics *topics, struct bytes filter,
                            struct broker_topic_visitor *visitor)
{
    retained(topics->root, filter, visitor);
}

void broker_topics_all_retained(const struct broker_topics *topics,
                                struct broker_topic_visitor *visitor)
{
    visit_all(topics->root, false, visitor);
}

bool broker_topics_retain(struct broker_topics *topics, struct bytes topic,
                          struct broker_message *message, uint32_t count_max)
{
    struct broker_topic *at =
        message ? broker_topics_make(topics, topic) : broker_topics_find(topics, topic);
    if (!at)
        return !message;
    if (message && !at->retained && topics->retained_count >= count_max) {
        broker_topics_prune(at);
        return false;
    }
    if (message || at->retained)
        set_retained(at, message);
    return true;
}

static void free_all(struct broker_topic *topic)
{
    size_t cursor = 0;
    void *child;
    while (map_next(&topic->children, &cursor, NULL, &child))
        free_all(child);
    if (topic->plus)
        free_all(topic->plus);
    if (topic->rest)
        free_all(topic->rest);
    ensure(list_empty(&topic->subscribers) && list_empty(&topic->groups));
    broker_message_unref(topic->topics->broker, topic->retained);
    topic_free(topic);
}

void broker_topics_done(struct broker_topics *topics)
{
    free_all(topics->root);
    topics->root = NULL;
}

/** ---- targets ---- */

struct broker_target *broker_targets_add(struct broker_targets *targets)
{
    if (targets->count == targets->capacity) {
        targets->capacity = max_of(targets->capacity * 2, (size_t)64);
        targets->items = memory_resize(targets->items, targets->capacity * sizeof(*targets->items));
    }
    struct broker_target *target = &targets->items[targets->count++];
    *target = (struct broker_target){ 0 };
    return target;
}

void broker_targets_done(struct broker_targets *targets)
{
    free(targets->items);
    *targets = (struct broker_targets){ 0 };
}
