/**
 * Which topics a bridge carries, which way, and what they are called on either side, as Mosquitto's
 * configuration has it:
 *
 *     topic PATTERN out|in|both QOS LOCAL_PREFIX REMOTE_PREFIX
 *
 * Here it is LOCAL_PREFIX PATTERN, there REMOTE_PREFIX PATTERN. The first rule that fits a topic
 * decides.
 */
#pragma once

#include "base/bytes.h"

#define BRIDGE_RULES_MAX  256
#define BRIDGE_PREFIX_MAX 255

enum bridge_direction {
    BRIDGE_OUT = 1,
    BRIDGE_IN = 2,
    BRIDGE_BOTH = BRIDGE_OUT | BRIDGE_IN,
};

struct bridge_rule {
    enum bridge_direction direction;
    uint8_t qos;        /**< the best; messages of less keep theirs */
    char *local_filter; /**< prefix and pattern */
    char *remote_filter;
    uint8_t local_prefix_size;
    uint8_t remote_prefix_size;
};

/** Zeroed memory has no rule. */
struct bridge_topics {
    struct bridge_rule *rules;
    size_t count;
};

/**
 * Adds a rule; texts are copied. Returns NULL, or what is wrong with it as the end of a sentence.
 * An empty pattern stands for the one topic that the prefixes name.
 */
const char *bridge_topics_add(struct bridge_topics *topics, enum bridge_direction direction,
                              uint8_t qos, struct bytes pattern, struct bytes local_prefix,
                              struct bytes remote_prefix);
void bridge_topics_done(struct bridge_topics *topics);

/** The longest name of a topic that a rule can make. */
#define BRIDGE_TOPIC_MAX (65535u + BRIDGE_PREFIX_MAX)

/**
 * What a topic of one side is called on the other, written to `out` of BRIDGE_TOPIC_MAX bytes.
 * Returns its size, or 0: no rule carries it, or it would be too long.
 */
size_t bridge_topics_map(const struct bridge_topics *topics, enum bridge_direction direction,
                         struct bytes topic, uint8_t *out);
/** Whether what goes out can come in again: some remote topic is carried both ways. */
bool bridge_topics_can_loop(const struct bridge_topics *topics);
/** Whether no rule carries any topic of this one's the other way: neither side writes into it. */
bool bridge_topics_is_one_way(const struct bridge_topics *topics, const struct bridge_rule *rule);
