#include <stdlib.h>
#include <string.h>

#include "broker/broker_int.h"

/** Whether a property goes to receivers as it came (the others are written anew for each). */
static bool is_forwarded(enum mqtt_property property)
{
    switch (property) {
    case MQTT_PROPERTY_PAYLOAD_FORMAT:
    case MQTT_PROPERTY_CONTENT_TYPE:
    case MQTT_PROPERTY_RESPONSE_TOPIC:
    case MQTT_PROPERTY_CORRELATION_DATA:
    case MQTT_PROPERTY_USER_PROPERTY:
        return true;
    default:
        return false;
    }
}

/** Writes what is forwarded to `out` (NULL: counts alone); returns its size. */
static size_t forwarded(struct bytes properties, uint8_t *out)
{
    size_t size = 0;
    struct reader reader = reader_of(properties.data, properties.size);
    struct mqtt_property_entry entry;
    while (mqtt_property_next(&reader, &entry)) {
        if (!is_forwarded(entry.property))
            continue;
        if (out)
            memcpy(out + size, entry.raw.data, entry.raw.size);
        size += entry.raw.size;
    }
    return size;
}

size_t broker_message_size(const struct broker_message *message)
{
    return sizeof(*message) + message->topic_size + message->properties_size +
           message->payload_size;
}

struct broker_message *broker_message_new(struct broker *broker, struct bytes topic,
                                          struct bytes properties, struct bytes payload)
{
    size_t properties_size = forwarded(properties, NULL);
    size_t size = sizeof(struct broker_message) + topic.size + properties_size + payload.size;
    metric_value *held = &broker->metrics[BROKER_METRIC_MESSAGE_BYTES];
    // a disk that stalls leaves records behind, of retained messages that replace each other too
    size_t holds = metric_get(held) + broker->journal.size;
    // an empty message may be the one that removes a retained one
    size_t reserve = payload.size > 0 ? 0 : broker->config.memory_max / 16;
    struct broker_message *message =
        holds + size > broker->config.memory_max + reserve ? NULL : malloc(size);
    if (!message) {
        broker_count(broker, BROKER_METRIC_DROPPED_MEMORY);
        return NULL;
    }
    *message = (struct broker_message){ .references = 1,
                                        .expires_us = TIME_NEVER,
                                        .payload_size = (uint32_t)payload.size,
                                        .properties_size = (uint32_t)properties_size,
                                        .topic_size = (uint16_t)topic.size };
    memcpy(message->data, topic.data, topic.size);
    forwarded(properties, message->data + topic.size);
    if (payload.size > 0)
        memcpy(message->data + topic.size + properties_size, payload.data, payload.size);
    metric_add(held, size);
    return message;
}

struct broker_message *broker_message_ref(struct broker_message *message)
{
    message->references++;
    return message;
}

struct broker_message *broker_message_unref(struct broker *broker, struct broker_message *message)
{
    if (message && --message->references == 0) {
        metric_subtract(&broker->metrics[BROKER_METRIC_MESSAGE_BYTES],
                        broker_message_size(message));
        free(message);
    }
    return NULL;
}
