/**
 * The messages of one session on their way to its client: those that wait, and those of QoS 1 and 2
 * that were given a packet identifier and are not acknowledged, in the order they came.
 */
#pragma once

#include "broker/broker_message.h"

enum broker_entry_state {
    BROKER_ENTRY_WAITING,  /**< no identifier yet */
    BROKER_ENTRY_STARTED,  /**< it has one; PUBLISH is to be acknowledged */
    BROKER_ENTRY_RELEASED, /**< QoS 2: PUBREC came, PUBREL is to be answered */
};

struct broker_entry {
    struct broker_message *message; /**< a reference; NULL when released */
    uint64_t durable;               /**< position of the journal that it waits for */
    uint64_t order; /**< its name in the journal, within the session; 0: it is not there */
    uint32_t *ids;  /**< further subscription identifiers, ends with 0; NULL: none */
    uint32_t id;    /**< subscription identifier; 0: none */
    uint16_t packet_id;
    uint8_t qos;
    uint8_t state; /**< enum broker_entry_state */
    bool retain;
    bool was_sent; /**< on this or a former connection: DUP when it is sent again */
};

struct broker_queue {
    struct broker_entry *waiting; /**< a ring; no memory while empty */
    uint32_t at;
    uint32_t count;
    uint32_t capacity;
    size_t bytes;                  /**< of the messages that wait */
    struct broker_entry *inflight; /**< an array; no memory while empty */
    uint16_t inflight_count;
    uint16_t inflight_capacity;
    uint16_t sent_count; /**< of the inflight ones, those that this connection was sent */
    uint16_t last_packet_id;
    uint64_t last_order;
};

/** The identifiers that can be in use. */
#define BROKER_INFLIGHT_MAX (UINT16_MAX / 2)

/** An entry that was made counts as held until broker_entry_done. */
void broker_entry_count(struct broker *broker, const struct broker_entry *entry);
/** Takes the entry with its reference. */
void broker_queue_push(struct broker_queue *queue, const struct broker_entry *entry);
/** The one that waits longest; NULL: none. Valid until the queue changes. */
struct broker_entry *broker_queue_first(const struct broker_queue *queue);
/** Takes it out; its reference is the caller's. */
struct broker_entry broker_queue_pop(struct broker_queue *queue);
/** Gives an entry a packet identifier that is free (unless it has one), behind the others. */
struct broker_entry *broker_queue_start(struct broker_queue *queue, struct broker_entry entry);
/** NULL: no message has that identifier. */
struct broker_entry *broker_queue_find(const struct broker_queue *queue, uint16_t packet_id);
/** Takes an inflight entry out; its reference is the caller's. */
struct broker_entry broker_queue_remove(struct broker_queue *queue, struct broker_entry *entry);
/** Frees an entry's memory and its reference. */
void broker_entry_done(struct broker *broker, struct broker_entry *entry);
void broker_queue_done(struct broker *broker, struct broker_queue *queue);
