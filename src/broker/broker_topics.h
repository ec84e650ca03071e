/**
 * The tree of topics: one node per level of every filter that is subscribed to and every topic with
 * a retained message. A publication visits the nodes that match it and no others.
 */
#pragma once

#include "base/index.h"
#include "base/list.h"
#include "base/map.h"
#include "broker/broker_message.h"
#include "broker/broker_wheel.h"
#include "proto/mqtt/mqtt_packet.h"

struct broker_session;

/** Members of a shared subscription: each message goes to one of them. */
struct broker_group {
    struct list node;    /**< in its topic */
    struct list members; /**< struct broker_subscription.topic_node; the next one first */
    struct broker_topic *topic;
    size_t name_size;
    char *name;    /**< the end of its key */
    uint8_t key[]; /**< in broker_topics.groups: the topic, then the name */
};

struct broker_subscription {
    struct list topic_node; /**< in the subscribers of its topic, or the members of its group */
    struct broker_subscription *next; /**< of its session */
    struct broker_session *session;
    struct broker_topic *topic;
    struct broker_group *group; /**< NULL: it is not shared */
    struct mqtt_subscription_options options;
    uint32_t id; /**< subscription identifier; 0: none */
};

/** What most nodes lack: others below them, and shared subscriptions. */
struct broker_branch {
    struct broker_topic *plus; /**< the child "+" */
    struct broker_topic *rest; /**< the child "#" */
    struct index children;     /**< the others, by their level */
    struct list groups;
};

struct broker_retained {
    struct broker_message *message;
    struct broker_timer expiry;
    struct broker_topics *topics;
    struct broker_topic *topic;
};

struct broker_topic {
    struct index_entry entry; /**< among the children of its parent */
    struct broker_topic *parent;
    struct broker_branch *branch;     /**< NULL: it has nothing of that */
    struct broker_retained *retained; /**< NULL: no message is */
    struct list subscribers;
    uint8_t level[];
};

/** What one more level of a filter or topic may take, without its text. */
#define BROKER_LEVEL_SIZE_MAX                                                                      \
    (sizeof(struct broker_topic) + sizeof(struct broker_branch) + sizeof(struct broker_retained))

struct broker_topics {
    struct broker *broker;
    struct broker_topic *root;
    uint64_t secret[2];
    uint32_t retained_count;
    struct map groups; /**< struct broker_group of all topics: one may have very many */
};

void broker_topics_init(struct broker_topics *topics, struct broker *broker);
/** Subscriptions must be gone; retained messages are freed. */
void broker_topics_done(struct broker_topics *topics);
/** The node of a filter or topic, made where it is missing; NULL: it is too deep. */
struct broker_topic *broker_topics_make(struct broker_topics *topics, struct bytes filter);
/** The same where it is; NULL: it is not. */
struct broker_topic *broker_topics_find(const struct broker_topics *topics, struct bytes filter);
/** Frees a node that nothing needs, and those above it that were there for its sake. */
void broker_topics_prune(struct broker_topics *topics, struct broker_topic *topic);
/** What it has beside subscribers, made when it has nothing of that yet. */
struct broker_branch *broker_topic_branch(struct broker_topics *topics, struct broker_topic *topic);
/** Writes the text of a node; returns its size, more than `capacity` when it did not fit. */
size_t broker_topic_text(const struct broker_topic *topic, uint8_t *out, size_t capacity);

struct broker_topic_visitor {
    /** A node whose subscribers and groups match. */
    void (*matched)(struct broker_topic_visitor *self, struct broker_topic *topic);
    size_t steps; /**< nodes that were looked at for retained messages: what it cost */
};

/** Visits all nodes with filters that match the topic. The tree may not change meanwhile. */
void broker_topics_match(const struct broker_topics *topics, struct bytes topic,
                         struct broker_topic_visitor *visitor);
/** Visits all nodes with retained messages that match the filter. */
void broker_topics_retained(const struct broker_topics *topics, struct bytes filter,
                            struct broker_topic_visitor *visitor);
/** Visits all nodes with retained messages, those of the server's own topics too. */
void broker_topics_all_retained(const struct broker_topics *topics,
                                struct broker_topic_visitor *visitor);
/**
 * Sets or (message NULL) removes the retained message of a topic; a reference is taken. Returns
 * false when there are `count_max` already, or it is too deep.
 */
bool broker_topics_retain(struct broker_topics *topics, struct bytes name,
                          struct broker_message *message, uint32_t count_max);

/** Whom a publication goes to: a list that is used again and again. */
struct broker_target {
    struct broker_session *session;
    uint32_t *ids; /**< as in struct broker_entry */
    uint32_t id;
    uint32_t id_count;    /**< of `ids` */
    uint32_t id_capacity; /**< with the zero at the end */
    uint8_t qos;
    bool retain_as_published;
};

struct broker_targets {
    struct broker_target *items;
    size_t count;
    size_t capacity;
};

struct broker_target *broker_targets_add(struct broker_targets *targets);
void broker_targets_done(struct broker_targets *targets);
