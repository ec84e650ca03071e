/**
 * Properties of MQTT 5.0 (2.2.2): a block of (identifier, value) in front of a packet's payload.
 *
 *     | length (variable byte integer) | identifier | value | identifier | value | ...
 *
 * A block is checked as a whole: identifiers that the packet may not have, values that are out of
 * their range, and repetitions of what may come once are refused.
 */
#pragma once

#include "proto/mqtt/mqtt.h"

enum mqtt_property {
#define PROPERTY(name, identifier, ...) MQTT_PROPERTY_##name = (identifier),
#include "proto/mqtt/mqtt_properties.def"
#undef PROPERTY
};

/** Where a block stands: a packet's type, or in the will of a CONNECT. */
#define MQTT_PROPERTIES_OF_WILL 0

/** Texts are views of the packet. What is absent is 0 or empty: `present` tells. */
struct mqtt_properties {
    uint64_t present; /**< of each enum mqtt_property the bit of that number */
    struct bytes raw; /**< the block itself, without its length: for what may repeat */

    uint32_t message_expiry_s;
    uint32_t subscription_id; /**< the last one where several are */
    uint32_t session_expiry_s;
    uint32_t will_delay_s;
    uint32_t maximum_packet_size;
    uint16_t server_keep_alive_s;
    uint16_t receive_maximum;
    uint16_t topic_alias_maximum;
    uint16_t topic_alias;
    uint8_t payload_format;
    uint8_t request_problem;
    uint8_t request_response;
    uint8_t maximum_qos;
    uint8_t retain_available;
    uint8_t wildcards_available;
    uint8_t subscription_ids_available;
    uint8_t shared_available;

    struct bytes content_type;
    struct bytes response_topic;
    struct bytes correlation_data;
    struct bytes assigned_client_id;
    struct bytes authentication_method;
    struct bytes authentication_data;
    struct bytes response_information;
    struct bytes server_reference;
    struct bytes reason_string;
};

static inline bool mqtt_has(const struct mqtt_properties *properties, enum mqtt_property property)
{
    return properties->present >> property & 1;
}

/**
 * Reads a block with its length in front. `where`: an enum mqtt_type, or MQTT_PROPERTIES_OF_WILL.
 * Returns 0, or the reason to refuse the packet for: MQTT_MALFORMED_PACKET, MQTT_PROTOCOL_ERROR.
 */
must_check int mqtt_properties_read(struct reader *reader, unsigned where,
                                    struct mqtt_properties *ret_properties);

/** One entry of a block. Numbers of every size are in `number`; PAIR has both texts. */
struct mqtt_property_entry {
    enum mqtt_property property;
    uint32_t number;
    struct bytes text; /**< or the name of a pair */
    struct bytes value;
    struct bytes raw; /**< identifier and value as they stand in the block */
};

/** The next entry of a block that was checked: false at its end. */
bool mqtt_property_next(struct reader *block, struct mqtt_property_entry *ret_entry);

/** ---- writing ---- */

void mqtt_write_property_byte(struct writer *writer, enum mqtt_property property, uint8_t value);
void mqtt_write_property_two(struct writer *writer, enum mqtt_property property, uint16_t value);
void mqtt_write_property_four(struct writer *writer, enum mqtt_property property, uint32_t value);
void mqtt_write_property_variable(struct writer *writer, enum mqtt_property property,
                                  uint32_t value);
/** Texts and binary data alike; at most 65535 bytes. */
void mqtt_write_property_text(struct writer *writer, enum mqtt_property property,
                              struct bytes value);
void mqtt_write_user_property(struct writer *writer, struct bytes name, struct bytes value);

/** ---- the integers and strings of MQTT (5.0, 1.5) ---- */

#define MQTT_VARIABLE_MAX ((1u << 28) - 1)

/** A variable byte integer; `shortest`: a longer form than needed fails. */
uint32_t mqtt_read_variable(struct reader *reader, bool shortest);
void mqtt_write_variable(struct writer *writer, uint32_t value);
/** Bytes that the integer takes: 1 to 4. */
size_t mqtt_variable_size(uint32_t value);
/** A string with its two bytes of length; fails when it is not UTF-8 or has U+0000. */
struct bytes mqtt_read_text(struct reader *reader);
/** Binary data with its two bytes of length. */
struct bytes mqtt_read_binary(struct reader *reader);
void mqtt_write_text(struct writer *writer, struct bytes text);
/** UTF-8 without U+0000 (5.0, 1.5.4). */
bool mqtt_text_is_valid(struct bytes text);
