#include "proto/mqtt/mqtt_topic.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "proto/mqtt/mqtt_properties.h"

#define SHARE_PREFIX "$share/"

static bool has(struct bytes text, char character)
{
    return text.size > 0 && memchr(text.data, character, text.size);
}

static bool is(struct bytes level, char character)
{
    return level.size == 1 && level.data[0] == character;
}

bool mqtt_topic_is_valid(struct bytes topic)
{
    return topic.size > 0 && topic.size <= MQTT_TOPIC_SIZE_MAX && !has(topic, '+') &&
           !has(topic, '#') && mqtt_text_is_valid(topic);
}

struct bytes mqtt_level_take(struct bytes *rest)
{
    return text_take_until(rest, '/');
}

bool mqtt_filter_has_wildcard(struct bytes filter)
{
    return has(filter, '+') || has(filter, '#');
}

bool mqtt_filter_is_valid(struct bytes filter)
{
    if (filter.size == 0 || filter.size > MQTT_TOPIC_SIZE_MAX || !mqtt_text_is_valid(filter))
        return false;
    for (struct bytes rest = filter; rest.data;) {
        struct bytes level = mqtt_level_take(&rest);
        if (mqtt_filter_has_wildcard(level) && level.size > 1)
            return false;
        if (is(level, '#') && rest.data)
            return false;
    }
    return true;
}

/** Topics of the server's own are found only by filters that name them (4.7.2). */
static bool hides_from(struct bytes topic, struct bytes filter)
{
    return topic.data[0] == '$' && (filter.data[0] == '+' || filter.data[0] == '#');
}

bool mqtt_filter_matches(struct bytes filter, struct bytes topic)
{
    if (hides_from(topic, filter))
        return false;
    while (filter.data) {
        struct bytes wanted = mqtt_level_take(&filter);
        if (is(wanted, '#'))
            return true;
        if (!topic.data)
            return false;
        struct bytes level = mqtt_level_take(&topic);
        if (!is(wanted, '+') && !bytes_equal(wanted, level))
            return false;
    }
    return !topic.data;
}

bool mqtt_filter_covers(struct bytes outer, struct bytes inner)
{
    if (hides_from(inner, outer))
        return false;
    while (outer.data) {
        struct bytes allowed = mqtt_level_take(&outer);
        if (is(allowed, '#'))
            return true;
        if (!inner.data)
            return false;
        struct bytes level = mqtt_level_take(&inner);
        if (is(level, '#'))
            return false;
        if (!is(allowed, '+') && !bytes_equal(allowed, level))
            return false;
    }
    return !inner.data;
}

bool mqtt_filters_overlap(struct bytes one, struct bytes other)
{
    if (hides_from(one, other) || hides_from(other, one))
        return false;
    while (one.data && other.data) {
        struct bytes level = mqtt_level_take(&one), against = mqtt_level_take(&other);
        if (is(level, '#') || is(against, '#'))
            return true;
        if (!is(level, '+') && !is(against, '+') && !bytes_equal(level, against))
            return false;
    }
    // "#" matches its parent too
    return (!one.data || text_equal(one, "#")) && (!other.data || text_equal(other, "#"));
}

int mqtt_share_parse(struct bytes text, struct mqtt_share *ret_share)
{
    if (!text_starts_with(text, SHARE_PREFIX)) {
        *ret_share = (struct mqtt_share){ .filter = text };
        return 0;
    }
    size_t prefix = strlen(SHARE_PREFIX);
    struct bytes rest = bytes_of(text.data + prefix, text.size - prefix);
    struct bytes group = mqtt_level_take(&rest);
    if (group.size == 0 || mqtt_filter_has_wildcard(group) || !rest.data ||
        !mqtt_filter_is_valid(rest))
        return -EINVAL;
    *ret_share = (struct mqtt_share){ .group = group, .filter = rest };
    return 0;
}
