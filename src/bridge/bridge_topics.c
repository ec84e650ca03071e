#include "bridge/bridge_topics.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "broker/broker.h"
#include "proto/mqtt/mqtt_topic.h"

/** Topics of the server's own: no bridge gives them away or lets them in. */
#define OWN_TOPICS "roost/#"

static char *join(struct bytes prefix, struct bytes pattern)
{
    char *joined = memory_allocate(1, prefix.size + pattern.size + 1);
    if (prefix.size > 0)
        memcpy(joined, prefix.data, prefix.size);
    if (pattern.size > 0)
        memcpy(joined + prefix.size, pattern.data, pattern.size);
    return joined;
}

static size_t level_count(struct bytes filter)
{
    size_t count = 0;
    for (; filter.data; count++)
        mqtt_level_take(&filter);
    return count;
}

static const char *check(const struct bridge_rule *rule, struct bytes local_prefix,
                         struct bytes remote_prefix)
{
    struct bytes local = bytes_of_text(rule->local_filter);
    struct bytes remote = bytes_of_text(rule->remote_filter);
    if (!mqtt_filter_is_valid(local) || !mqtt_filter_is_valid(remote))
        return "prefix and pattern together are no topic filter";
    if (mqtt_filter_has_wildcard(local_prefix) || mqtt_filter_has_wildcard(remote_prefix))
        return "a prefix has no wildcards";
    if (local.data[0] == '$' && rule->direction & BRIDGE_IN)
        return "nothing comes in below $: give it a local prefix";
    if (memcmp(local.data, "$share", min_of(local.size, (size_t)6)) == 0 ||
        memcmp(remote.data, "$share", min_of(remote.size, (size_t)6)) == 0)
        return "a bridge shares no subscription";
    // and one more there, in which a session here remembers what it subscribed to (bridge_local.c)
    if (level_count(local) > BROKER_LEVELS_MAX || level_count(remote) >= BROKER_LEVELS_MAX)
        return "prefix and pattern together have too many levels";
    if (mqtt_filter_covers(bytes_of_text(OWN_TOPICS), local))
        return "topics below roost/ are the server's own";
    return NULL;
}

const char *bridge_topics_add(struct bridge_topics *topics, enum bridge_direction direction,
                              uint8_t qos, struct bytes pattern, struct bytes local_prefix,
                              struct bytes remote_prefix)
{
    if (topics->count == BRIDGE_RULES_MAX)
        return "there are too many of them";
    if (local_prefix.size > BRIDGE_PREFIX_MAX || remote_prefix.size > BRIDGE_PREFIX_MAX)
        return "a prefix has at most 255 bytes";
    struct bridge_rule rule = { .direction = direction,
                                .qos = qos,
                                .local_filter = join(local_prefix, pattern),
                                .remote_filter = join(remote_prefix, pattern),
                                .local_prefix_size = (uint8_t)local_prefix.size,
                                .remote_prefix_size = (uint8_t)remote_prefix.size };
    const char *problem = check(&rule, local_prefix, remote_prefix);
    if (problem) {
        free(rule.local_filter);
        free(rule.remote_filter);
        return problem;
    }
    topics->rules = memory_resize(topics->rules, (topics->count + 1) * sizeof(rule));
    topics->rules[topics->count++] = rule;
    return NULL;
}

void bridge_topics_done(struct bridge_topics *topics)
{
    for (size_t i = 0; i < topics->count; i++) {
        free(topics->rules[i].local_filter);
        free(topics->rules[i].remote_filter);
    }
    free(topics->rules);
    *topics = (struct bridge_topics){ 0 };
}

static bool fits(const struct bridge_rule *rule, enum bridge_direction direction,
                 struct bytes topic)
{
    bool is_out = direction == BRIDGE_OUT;
    const char *filter = is_out ? rule->local_filter : rule->remote_filter;
    // "site/#" fits "site" too, which lacks a part of the prefix "site/"
    return rule->direction & direction &&
           topic.size >= (is_out ? rule->local_prefix_size : rule->remote_prefix_size) &&
           mqtt_filter_matches(bytes_of_text(filter), topic);
}

size_t bridge_topics_map(const struct bridge_topics *topics, enum bridge_direction direction,
                         struct bytes topic, uint8_t *out)
{
    const struct bridge_rule *rule = NULL;
    for (size_t i = 0; i < topics->count && !rule; i++) {
        if (fits(&topics->rules[i], direction, topic))
            rule = &topics->rules[i];
    }
    if (!rule)
        return 0;
    bool is_out = direction == BRIDGE_OUT;
    size_t from = is_out ? rule->local_prefix_size : rule->remote_prefix_size;
    size_t to = is_out ? rule->remote_prefix_size : rule->local_prefix_size;
    size_t size = to + topic.size - from;
    memcpy(out, is_out ? rule->remote_filter : rule->local_filter, to);
    memcpy(out + to, topic.data + from, topic.size - from);
    struct bytes mapped = bytes_of(out, size);
    struct bytes local = is_out ? topic : mapped;
    // "+/x" may fit a topic that its rule was not meant for
    bool is_own = mqtt_filter_matches(bytes_of_text(OWN_TOPICS), local) ||
                  (!is_out && mapped.size > 0 && mapped.data[0] == '$');
    return mqtt_topic_is_valid(mapped) && !is_own ? size : 0;
}

bool bridge_topics_can_loop(const struct bridge_topics *topics)
{
    for (size_t i = 0; i < topics->count; i++) {
        for (size_t j = 0; j < topics->count; j++) {
            const struct bridge_rule *out = &topics->rules[i], *in = &topics->rules[j];
            if (out->direction & BRIDGE_OUT && in->direction & BRIDGE_IN &&
                mqtt_filters_overlap(bytes_of_text(out->remote_filter),
                                     bytes_of_text(in->remote_filter)))
                return true;
        }
    }
    return false;
}

static bool overlap(const char *one, const char *other)
{
    return mqtt_filters_overlap(bytes_of_text(one), bytes_of_text(other));
}

bool bridge_topics_is_one_way(const struct bridge_topics *topics, const struct bridge_rule *rule)
{
    for (size_t i = 0; i < topics->count; i++) {
        const struct bridge_rule *other = &topics->rules[i];
        bool is_against = (rule->direction & BRIDGE_OUT && other->direction & BRIDGE_IN) ||
                          (rule->direction & BRIDGE_IN && other->direction & BRIDGE_OUT);
        if (is_against && (overlap(rule->local_filter, other->local_filter) ||
                           overlap(rule->remote_filter, other->remote_filter)))
            return false;
    }
    return true;
}
