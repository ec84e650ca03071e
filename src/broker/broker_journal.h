/**
 * What must outlive the process: kept sessions with their subscriptions and messages, retained
 * messages, and wills of connected clients. The broker appends a record for every change; whoever
 * keeps them applies batches in order and gives back what is left as records of the same kinds.
 *
 *     | type (1) | size of the rest (4) | fields |
 *
 * Numbers are in network order; texts and bytes have their size in front (4 bytes).
 */
#pragma once

#include "base/bytes.h"

enum broker_record_type {
    BROKER_RECORD_SESSION = 1,  /**< made or changed */
    BROKER_RECORD_SESSION_END,  /**< with all that it has */
    BROKER_RECORD_SUBSCRIPTION, /**< made or changed */
    BROKER_RECORD_UNSUBSCRIPTION,
    BROKER_RECORD_MESSAGE,
    BROKER_RECORD_MESSAGE_END,
    BROKER_RECORD_ENTRY,         /**< a message that waits for a session */
    BROKER_RECORD_ENTRY_STARTED, /**< it has a packet identifier */
    BROKER_RECORD_ENTRY_RELEASED,
    BROKER_RECORD_ENTRY_END,
    BROKER_RECORD_RECEIVED, /**< QoS 2: an identifier that came */
    BROKER_RECORD_RECEIVED_END,
    BROKER_RECORD_RETAINED, /**< set, or with an empty payload: removed */
    BROKER_RECORD_WILL,
    BROKER_RECORD_WILL_END,
};

/** Of an ENTRY. */
enum broker_entry_flag {
    BROKER_ENTRY_FLAG_RETAIN = 1,
    BROKER_ENTRY_FLAG_RELEASED = 2,
};

/** Of a SUBSCRIPTION. */
enum broker_subscription_flag {
    BROKER_SUBSCRIPTION_NO_LOCAL = 1,
    BROKER_SUBSCRIPTION_AS_PUBLISHED = 2,
};

/** One record of every kind; which fields it has is in broker_journal.c's table. */
struct broker_record {
    enum broker_record_type type;
    uint64_t session; /**< its number */
    uint64_t message; /**< its number */
    uint64_t order;
    /**
     * SESSION: when it was left, 0: connected. Messages: when they expire, 0: never; of a WILL how
     * long after its publication.
     */
    uint64_t unix_us;
    uint32_t seconds; /**< SESSION: expiry; WILL: delay */
    uint32_t id;      /**< of a subscription */
    uint16_t packet_id;
    uint8_t qos;
    uint8_t flags;     /**< the enums above; of messages: 1 when they are retained */
    struct bytes name; /**< SESSION: user, zero byte, client; SUBSCRIPTION: filter; else topic */
    struct bytes properties; /**< messages; ENTRY: further identifiers, 4 bytes each in
                                the machine's order */
    struct bytes payload;
};

struct broker_journal {
    bool is_kept; /**< somebody takes it: else nothing is written */
    uint8_t *data;
    size_t size;
    size_t capacity;
    uint64_t position; /**< records so far */
    uint64_t durable;
};

/** Returns the position behind it; 0 when nobody keeps a journal. */
uint64_t broker_journal_append(struct broker_journal *journal, const struct broker_record *record);
/** Reads the next record; false at the end, or with reader->failed. */
bool broker_record_read(struct reader *reader, struct broker_record *ret_record);
/** Appends a record to a growing buffer of the caller's: for whoever keeps them. */
void broker_record_write(uint8_t **data, size_t *size, size_t *capacity,
                         const struct broker_record *record);
