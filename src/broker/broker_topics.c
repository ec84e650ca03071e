// The tree of topics, and the messages that are retained in it.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "broker/broker_int.h"
#include "proto/mqtt/mqtt_topic.h"

/** ---- nodes ---- */

static size_t size_of(const struct broker_topic *topic)
{
    return sizeof(*topic) + topic->entry.key_size;
}

static struct broker_topic *topic_new(struct broker_topics *topics, struct broker_topic *parent,
                                      struct bytes level)
{
    struct broker_topic *topic = memory_allocate(1, sizeof(*topic) + level.size);
    topic->parent = parent;
    list_init(&topic->subscribers);
    topic->entry.key_size = (uint32_t)level.size;
    if (level.size > 0)
        memcpy(topic->level, level.data, level.size);
    topics->broker->state_bytes += size_of(topic);
    return topic;
}

struct broker_branch *broker_topic_branch(struct broker_topics *topics, struct broker_topic *topic)
{
    if (!topic->branch) {
        topic->branch = memory_new(struct broker_branch);
        index_init(&topic->branch->children, topics->secret,
                   index_key_offset(struct broker_topic, entry, level));
        list_init(&topic->branch->groups);
        topics->broker->state_bytes += sizeof(*topic->branch);
    }
    return topic->branch;
}

static void branch_free(struct broker_topics *topics, struct broker_topic *topic)
{
    if (!topic->branch)
        return;
    index_done(&topic->branch->children);
    free(topic->branch);
    topic->branch = NULL;
    topics->broker->state_bytes -= sizeof(*topic->branch);
}

static void topic_free(struct broker_topics *topics, struct broker_topic *topic)
{
    branch_free(topics, topic);
    topics->broker->state_bytes -= size_of(topic);
    free(topic);
}

void broker_topics_init(struct broker_topics *topics, struct broker *broker)
{
    struct random *random = broker->config.random;
    *topics = (struct broker_topics){ .broker = broker,
                                      .secret = { random_u64(random), random_u64(random) } };
    map_init(&topics->groups, topics->secret);
    topics->root = topic_new(topics, NULL, bytes_of(NULL, 0));
}

static bool is(struct bytes level, char character)
{
    return level.size == 1 && level.data[0] == character;
}

/** The child of a level that is no wildcard; NULL: there is none. */
static struct broker_topic *named_child(const struct broker_topic *topic, struct bytes level)
{
    if (!topic->branch)
        return NULL;
    struct index_entry *entry = index_find(&topic->branch->children, level);
    return entry ? container_of(entry, struct broker_topic, entry) : NULL;
}

static struct broker_topic *child_of(const struct broker_topic *topic, struct bytes level)
{
    const struct broker_branch *branch = topic->branch;
    if (is(level, '+'))
        return branch ? branch->plus : NULL;
    if (is(level, '#'))
        return branch ? branch->rest : NULL;
    return named_child(topic, level);
}

static struct broker_topic *child_new(struct broker_topics *topics, struct broker_topic *topic,
                                      struct bytes level)
{
    struct broker_topic *child = topic_new(topics, topic, level);
    struct broker_branch *branch = broker_topic_branch(topics, topic);
    if (is(level, '+'))
        branch->plus = child;
    else if (is(level, '#'))
        branch->rest = child;
    else
        index_add(&branch->children, &child->entry);
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

static bool branch_is_needed(const struct broker_branch *branch)
{
    return branch->plus || branch->rest || branch->children.count > 0 ||
           !list_empty(&branch->groups);
}

static bool is_needed(const struct broker_topic *topic)
{
    return !topic->parent || topic->branch || topic->retained || !list_empty(&topic->subscribers);
}

static void leave_parent(struct broker_topic *topic)
{
    struct broker_branch *branch = topic->parent->branch;
    if (branch->plus == topic)
        branch->plus = NULL;
    else if (branch->rest == topic)
        branch->rest = NULL;
    else
        index_remove(&branch->children, &topic->entry);
}

void broker_topics_prune(struct broker_topics *topics, struct broker_topic *topic)
{
    for (;;) {
        if (topic->branch && !branch_is_needed(topic->branch))
            branch_free(topics, topic);
        if (is_needed(topic))
            break;
        struct broker_topic *parent = topic->parent;
        leave_parent(topic);
        topic_free(topics, topic);
        topic = parent;
    }
}

size_t broker_topic_text(const struct broker_topic *topic, uint8_t *out, size_t capacity)
{
    size_t size = 0;
    for (const struct broker_topic *at = topic; at->parent; at = at->parent)
        size += at->entry.key_size + (at->parent->parent ? 1 : 0);
    if (size > capacity)
        return size;
    uint8_t *end = out + size;
    for (const struct broker_topic *at = topic; at->parent; at = at->parent) {
        end -= at->entry.key_size;
        memcpy(end, at->level, at->entry.key_size);
        if (at->parent->parent)
            *--end = '/';
    }
    return size;
}

/** ---- matching ---- */

/** `rest.data` NULL: the topic's levels are used up. */
static void match(struct broker_topic *topic, struct bytes rest, bool hidden,
                  struct broker_topic_visitor *visitor)
{
    const struct broker_branch *branch = topic->branch;
    if (branch && branch->rest && !hidden)
        visitor->matched(visitor, branch->rest);
    if (!rest.data) {
        visitor->matched(visitor, topic);
        return;
    }
    if (!branch)
        return;
    struct bytes level = mqtt_level_take(&rest);
    struct broker_topic *child = named_child(topic, level);
    if (child)
        match(child, rest, false, visitor);
    if (branch->plus && !hidden)
        match(branch->plus, rest, false, visitor);
}

void broker_topics_match(const struct broker_topics *topics, struct bytes topic,
                         struct broker_topic_visitor *visitor)
{
    // 4.7.2: wildcards at the front do not find the server's own topics
    match(topics->root, topic, broker_is_reserved(topics->broker, topic), visitor);
}

/** Whether a wildcard finds a child: at the front not the server's own topics. */
static bool is_found(const struct broker_topics *topics, const struct broker_topic *child)
{
    return child->parent->parent ||
           !broker_is_reserved(topics->broker, bytes_of(child->level, child->entry.key_size));
}

static void visit_all(const struct broker_topics *topics, struct broker_topic *topic, bool hides,
                      struct broker_topic_visitor *visitor)
{
    visitor->steps++;
    if (topic->retained)
        visitor->matched(visitor, topic);
    if (!topic->branch)
        return;
    struct broker_topic *child;
    index_each(child, &topic->branch->children, entry)
    {
        if (!hides || is_found(topics, child))
            visit_all(topics, child, hides, visitor);
    }
}

static void visit_retained(const struct broker_topics *topics, struct broker_topic *topic,
                           struct bytes rest, struct broker_topic_visitor *visitor)
{
    visitor->steps++;
    if (!rest.data) {
        if (topic->retained)
            visitor->matched(visitor, topic);
        return;
    }
    struct bytes level = mqtt_level_take(&rest);
    if (is(level, '#')) {
        visit_all(topics, topic, true, visitor);
        return;
    }
    if (!is(level, '+')) {
        struct broker_topic *child = named_child(topic, level);
        if (child)
            visit_retained(topics, child, rest, visitor);
        return;
    }
    if (!topic->branch)
        return;
    struct broker_topic *child;
    index_each(child, &topic->branch->children, entry)
    {
        if (is_found(topics, child))
            visit_retained(topics, child, rest, visitor);
    }
}

void broker_topics_retained(const struct broker_topics *topics, struct bytes filter,
                            struct broker_topic_visitor *visitor)
{
    visit_retained(topics, topics->root, filter, visitor);
}

void broker_topics_all_retained(const struct broker_topics *topics,
                                struct broker_topic_visitor *visitor)
{
    visit_all(topics, topics->root, false, visitor);
}

/** ---- retained messages ---- */

static void retained_free(struct broker_topic *topic)
{
    struct broker_retained *retained = topic->retained;
    struct broker *broker = retained->topics->broker;
    broker_timer_set(&broker->wheel, &retained->expiry, TIME_NEVER);
    broker_message_unref(broker, retained->message);
    metric_set(&broker->metrics[BROKER_METRIC_RETAINED], --retained->topics->retained_count);
    broker->state_bytes -= sizeof(*retained);
    free(retained);
    topic->retained = NULL;
}

static void retained_expired(struct broker_timer *timer, uint64_t now_us)
{
    (void)now_us;
    struct broker_retained *retained = container_of(timer, struct broker_retained, expiry);
    struct broker_topics *topics = retained->topics;
    struct broker_topic *topic = retained->topic;
    retained_free(topic);
    broker_topics_prune(topics, topic);
}

static struct broker_retained *retained_new(struct broker_topics *topics,
                                            struct broker_topic *topic)
{
    struct broker_retained *retained = memory_new(struct broker_retained);
    *retained = (struct broker_retained){ .topics = topics, .topic = topic };
    broker_timer_init(&retained->expiry, retained_expired);
    topics->broker->state_bytes += sizeof(*retained);
    metric_set(&topics->broker->metrics[BROKER_METRIC_RETAINED], ++topics->retained_count);
    return retained;
}

static void set_retained(struct broker_topics *topics, struct broker_topic *topic,
                         struct broker_message *message)
{
    if (!topic->retained)
        topic->retained = retained_new(topics, topic);
    struct broker_retained *retained = topic->retained;
    broker_message_ref(message);
    broker_message_unref(topics->broker, retained->message);
    retained->message = message;
    broker_timer_set(&topics->broker->wheel, &retained->expiry, message->expires_us);
}

static void remove_retained(struct broker_topics *topics, struct bytes name)
{
    struct broker_topic *topic = broker_topics_find(topics, name);
    if (!topic || !topic->retained)
        return;
    retained_free(topic);
    broker_topics_prune(topics, topic);
}

bool broker_topics_retain(struct broker_topics *topics, struct bytes name,
                          struct broker_message *message, uint32_t count_max)
{
    if (!message) {
        remove_retained(topics, name);
        return true;
    }
    struct broker_topic *topic = broker_topics_make(topics, name);
    if (!topic)
        return false;
    if (!topic->retained && topics->retained_count >= count_max) {
        broker_topics_prune(topics, topic);
        return false;
    }
    set_retained(topics, topic, message);
    return true;
}

static void free_all(struct broker_topics *topics, struct broker_topic *topic)
{
    struct broker_branch *branch = topic->branch;
    if (branch) {
        struct broker_topic *child;
        index_each(child, &branch->children, entry) free_all(topics, child);
        if (branch->plus)
            free_all(topics, branch->plus);
        if (branch->rest)
            free_all(topics, branch->rest);
        ensure(list_empty(&branch->groups));
    }
    ensure(list_empty(&topic->subscribers));
    if (topic->retained)
        retained_free(topic);
    topic_free(topics, topic);
}

void broker_topics_done(struct broker_topics *topics)
{
    free_all(topics, topics->root);
    topics->root = NULL;
    map_done(&topics->groups);
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
