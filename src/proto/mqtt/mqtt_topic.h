/**
 * Topic names and filters (MQTT 5.0, 4.7; 3.1.1, 4.7), and filters of shared subscriptions (4.8).
 * Levels are separated by "/"; in filters "+" stands for one level, "#" for all that follow.
 */
#pragma once

#include "proto/mqtt/mqtt.h"

/** 1 to 65535 bytes of UTF-8 without U+0000 and wildcards. */
bool mqtt_topic_is_valid(struct bytes topic);
/** As a topic, with wildcards where they may stand. A "$share/..." filter is one like any other. */
bool mqtt_filter_is_valid(struct bytes filter);
/**
 * Whether a valid topic matches a valid filter. Topics that begin with "$" do not match filters
 * that begin with a wildcard.
 */
bool mqtt_filter_matches(struct bytes filter, struct bytes topic);
/** Whether every topic that matches `inner` matches `outer`: for lists of what may be read. */
bool mqtt_filter_covers(struct bytes outer, struct bytes inner);
/** Whether some topic matches both. */
bool mqtt_filters_overlap(struct bytes one, struct bytes other);
bool mqtt_filter_has_wildcard(struct bytes filter);

/** Takes the first level off: `*rest` is what follows its "/"; `data` NULL after the last one. */
struct bytes mqtt_level_take(struct bytes *rest);

struct mqtt_share {
    struct bytes group;  /**< empty: no shared subscription */
    struct bytes filter; /**< behind the group, or the whole text */
};

/**
 * Takes "$share/GROUP/FILTER" apart; other filters come back whole. Returns 0, or -EINVAL when a
 * filter that begins with "$share/" has no good group or filter.
 */
must_check int mqtt_share_parse(struct bytes text, struct mqtt_share *ret_share);
