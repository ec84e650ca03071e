/** An application message that sessions share: written once, counted, never changed. */
#pragma once

#include "base/bytes.h"

struct broker;

struct broker_message {
    uint32_t references;
    uint32_t journal_references; /**< entries of the journal that name it */
    uint64_t number;             /**< in the journal; 0: it was never there */
    uint64_t expires_us;         /**< TIME_NEVER: never */
    uint32_t payload_size;
    uint32_t properties_size;
    uint16_t topic_size;
    uint8_t qos;    /**< as it was published */
    bool retain;    /**< as it was published */
    uint8_t data[]; /**< topic, properties, payload */
};

/**
 * A copy with one reference; NULL when the broker holds all that it may, or the system has no
 * memory. `properties`: an encoded block; what is not for receivers is left out of it.
 */
must_check struct broker_message *broker_message_new(struct broker *broker, struct bytes topic,
                                                     struct bytes properties, struct bytes payload);
struct broker_message *broker_message_ref(struct broker_message *message);
/** Accepts NULL; returns NULL. */
struct broker_message *broker_message_unref(struct broker *broker, struct broker_message *message);
size_t broker_message_size(const struct broker_message *message);

static inline struct bytes broker_message_topic(const struct broker_message *message)
{
    return bytes_of(message->data, message->topic_size);
}

static inline struct bytes broker_message_properties(const struct broker_message *message)
{
    return bytes_of(message->data + message->topic_size, message->properties_size);
}

static inline struct bytes broker_message_payload(const struct broker_message *message)
{
    return bytes_of(message->data + message->topic_size + message->properties_size,
                    message->payload_size);
}
