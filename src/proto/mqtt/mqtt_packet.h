/**
 * Packets of MQTT 3.1.1 and 5.0, both ways: servers and clients read and write with the same code.
 *
 *     7  4 3   0
 *    | type|flags| remaining length (1 to 4 bytes) | variable header, properties (5.0), payload
 *
 * Everything that one packet alone can do wrong is refused here; what depends on what came before
 * is the business of who reads.
 */
#pragma once

#include "proto/mqtt/mqtt_properties.h"

/** ---- frames ---- */

struct mqtt_frame {
    enum mqtt_type type;
    uint8_t flags;
    struct bytes body; /**< behind the remaining length */
    size_t size;       /**< of all */
};

/**
 * Finds the next packet at the front of `input`. Returns 0; -EAGAIN when it has not arrived whole;
 * -EMSGSIZE when it is longer than `size_max`, as soon as its length is known; -EBADMSG when its
 * type or length cannot be. With -EMSGSIZE `ret_frame` has type and size.
 */
must_check int mqtt_frame_read(struct bytes input, size_t size_max, struct mqtt_frame *ret_frame);

/** ---- packets ---- */

struct mqtt_will {
    struct bytes topic;
    struct bytes payload;
    uint8_t qos;
    bool retain;
    struct mqtt_properties properties;
};

struct mqtt_connect {
    enum mqtt_version version;
    bool clean_start; /**< 3.1.1: clean session */
    bool is_bridge;   /**< before 5.0: MQTT_BRIDGE_BIT */
    bool has_will;
    bool has_user;
    bool has_password;
    uint16_t keep_alive_s;
    struct bytes client_id;
    struct bytes user;
    struct bytes password;
    struct mqtt_will will;
};

struct mqtt_connack {
    bool session_present;
    uint8_t reason; /**< 3.1.1: an enum mqtt_return_code */
};

struct mqtt_publish {
    bool dup;
    bool retain;
    uint8_t qos;
    uint16_t packet_id; /**< 0 with QoS 0 */
    struct bytes topic; /**< may be empty in 5.0, with a topic alias */
    struct bytes payload;
};

/** PUBACK, PUBREC, PUBREL, PUBCOMP. */
struct mqtt_ack {
    uint16_t packet_id;
    uint8_t reason;
};

/** SUBSCRIBE, UNSUBSCRIBE, SUBACK, UNSUBACK: lists are read with mqtt_list_.. below. */
struct mqtt_list {
    uint16_t packet_id;
    struct bytes items; /**< checked */
};

/** DISCONNECT and AUTH. */
struct mqtt_notice {
    uint8_t reason;
};

struct mqtt_packet {
    enum mqtt_type type;
    union {
        struct mqtt_connect connect;
        struct mqtt_connack connack;
        struct mqtt_publish publish;
        struct mqtt_ack ack;
        struct mqtt_list list;
        struct mqtt_notice notice;
    };
    struct mqtt_properties properties; /**< all 0 before 5.0 */
};

/**
 * Reads a packet that came from a client or a server; its texts are views of the frame. Returns 0,
 * or a reason to refuse it for (MQTT_MALFORMED_PACKET, MQTT_PROTOCOL_ERROR and what CONNECT can be
 * refused for: MQTT_UNSUPPORTED_VERSION, MQTT_CLIENT_ID_NOT_VALID...). With CONNECT `version` is
 * ignored, and `ret_packet->connect.version` is right as soon as it could be read.
 */
must_check int mqtt_packet_read(const struct mqtt_frame *frame, enum mqtt_version version,
                                struct mqtt_packet *ret_packet);

/** Subscription options (5.0, 3.8.3.1); 3.1.1 has the QoS alone. */
struct mqtt_subscription_options {
    uint8_t qos;
    bool no_local;
    bool retain_as_published;
    uint8_t retain_handling; /**< 0: send retained messages; 1: if it is new; 2: never */
};

struct mqtt_subscription {
    struct bytes filter;
    struct mqtt_subscription_options options;
};

/** Of SUBSCRIBE, start with reader_of(list->items...): false at the end. */
bool mqtt_list_next_subscription(struct reader *items, struct mqtt_subscription *ret_subscription);
/** Of UNSUBSCRIBE. */
bool mqtt_list_next_filter(struct reader *items, struct bytes *ret_filter);

/** ---- writing: whole packets, or nothing with writer->failed ---- */

/**
 * A packet is written between mqtt_begin and mqtt_end, which puts the fixed header in front: the
 * writer must have room for MQTT_HEADER_SIZE_MAX more bytes than the packet has.
 */
#define MQTT_HEADER_SIZE_MAX 5

struct mqtt_packet_start {
    size_t at;
    uint8_t first;
};

struct mqtt_packet_start mqtt_begin(struct writer *writer, enum mqtt_type type, uint8_t flags);
void mqtt_end(struct writer *writer, struct mqtt_packet_start start);

/** A block of properties between these two, with its length in front. */
size_t mqtt_properties_begin(struct writer *writer);
void mqtt_properties_end(struct writer *writer, size_t start);

/** Type, flags and length of a packet whose body has that many bytes. */
void mqtt_write_header(struct writer *writer, enum mqtt_type type, uint8_t flags, size_t body_size);
/** `properties`: an encoded block without its length; ignored before 5.0. */
void mqtt_write_connect(struct writer *writer, const struct mqtt_connect *connect,
                        struct bytes properties, struct bytes will_properties);
void mqtt_write_connack(struct writer *writer, enum mqtt_version version,
                        const struct mqtt_connack *connack, struct bytes properties);
/** The fixed and variable header of a PUBLISH whose payload follows. */
void mqtt_write_publish_header(struct writer *writer, enum mqtt_version version,
                               const struct mqtt_publish *publish, struct bytes properties);
void mqtt_write_publish(struct writer *writer, enum mqtt_version version,
                        const struct mqtt_publish *publish, struct bytes properties);
void mqtt_write_ack(struct writer *writer, enum mqtt_version version, enum mqtt_type type,
                    const struct mqtt_ack *ack);
/** SUBACK or UNSUBACK with a reason for each item; 3.1.1's UNSUBACK has none. */
void mqtt_write_list_ack(struct writer *writer, enum mqtt_version version, enum mqtt_type type,
                         uint16_t packet_id, struct bytes reasons);
void mqtt_write_subscribe(struct writer *writer, enum mqtt_version version, uint16_t packet_id,
                          const struct mqtt_subscription *subscriptions, size_t count,
                          uint32_t subscription_id);
void mqtt_write_unsubscribe(struct writer *writer, enum mqtt_version version, uint16_t packet_id,
                            const struct bytes *filters, size_t count);
/** PINGREQ, PINGRESP. */
void mqtt_write_ping(struct writer *writer, enum mqtt_type type);
/** DISCONNECT or AUTH; before 5.0 a DISCONNECT has neither reason nor properties. */
void mqtt_write_notice(struct writer *writer, enum mqtt_version version, enum mqtt_type type,
                       uint8_t reason, struct bytes properties);
/** What 3.1.1's CONNACK says for a reason of 5.0. */
enum mqtt_return_code mqtt_return_code_of(uint8_t reason);
