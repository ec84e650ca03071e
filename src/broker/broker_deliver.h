/** Messages into sessions, and acknowledgements of their clients. */
#pragma once

#include "broker/broker_int.h"

struct broker_delivery {
    struct broker_message *message;
    uint64_t durable; /**< of the publisher's QoS 2 message: nobody gets it before */
    uint32_t *ids;    /**< as in struct broker_entry; taken over */
    uint32_t id;
    uint8_t qos;
    bool retain;
    bool is_replay; /**< retained messages of a new subscription: the queue makes room once */
};

/** Whether as much waits for a session as may. */
bool broker_is_full(const struct broker_session *session);
/** Queues a message for a session, or drops it and counts that. False: there was no room for it. */
bool broker_deliver(struct broker_session *session, uint64_t now_us,
                    const struct broker_delivery *delivery);
/** Whether retained messages are worth looking for: its queue is not full of them already. */
bool broker_has_room_to_replay(const struct broker_session *session);
/** The message that waits longest is not sent, for a reason that is counted. */
void broker_drop_first(struct broker_session *session, enum broker_metric why);
/** Gives the first waiting message its identifier. False: the client has to acknowledge first. */
bool broker_start_next(struct broker_session *session);
/** An entry that was taken out of its queue is done with: the journal hears of it. */
void broker_entry_end(struct broker_session *session, struct broker_entry *entry);
/** PUBACK, PUBREC, PUBCOMP. */
void broker_handle_ack(struct broker_client *client, const struct mqtt_packet *packet);

/** ---- records ---- */

struct broker_record broker_record_of_message(const struct broker *broker,
                                              enum broker_record_type type, uint64_t session,
                                              uint32_t seconds,
                                              const struct broker_message *message);
struct broker_record broker_record_of_entry(const struct broker_session *session,
                                            const struct broker_entry *entry);
/** Appends a record that holds a message. */
void broker_journal_message(struct broker *broker, enum broker_record_type type, uint64_t session,
                            uint32_t seconds, const struct broker_message *message);
