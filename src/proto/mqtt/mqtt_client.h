/**
 * A client's end of one MQTT connection (3.1.1 or 5.0) as an engine: bytes of the server in,
 * packets for the owner and bytes for the server out. No sockets, no clock.
 *
 *     mqtt_client_connect(client, now_us, &config)
 *     while ((result = mqtt_client_read(client, now_us, &input, &packet)) > 0)
 *         look at the packet, answer with mqtt_client_publish, mqtt_client_ack, ...
 *     write mqtt_client_output(client) to the server, mqtt_client_sent(client, size)
 *
 * It greets, keeps to what the server told of its limits, asks whether a silent server is still
 * there, and hands over whole, checked packets. What outlives a connection, packet identifiers and
 * messages that are not acknowledged, is the owner's.
 */
#pragma once

#include "base/time.h"
#include "proto/mqtt/mqtt_packet.h"

struct mqtt_client_config {
    struct mqtt_connect connect; /**< with version, credentials, will; texts valid in the call */
    uint32_t session_expiry_s;   /**< 5.0; UINT32_MAX: never */
    uint16_t receive_max;        /**< 5.0: what we take at a time; 0: 65535 */
    uint32_t packet_size_max;    /**< of what we take; 0: MQTT_PACKET_SIZE_MAX */
};

enum mqtt_client_state {
    MQTT_CLIENT_CLOSED,   /**< before mqtt_client_connect */
    MQTT_CLIENT_GREETING, /**< CONNECT is on its way */
    MQTT_CLIENT_OPEN,
    MQTT_CLIENT_ENDED, /**< nothing more is read; what is in the output may still be sent */
};

struct mqtt_client {
    enum mqtt_client_state state;
    enum mqtt_version version;
    uint16_t keep_alive_s; /**< as the server has it; 0: none */
    uint64_t last_input_us;
    uint64_t last_output_us;
    uint64_t ping_us; /**< when PINGREQ was sent that nothing answered; TIME_NEVER: none */
    uint32_t own_packet_size_max;
    size_t skipped_left; /**< bytes to come of a packet that is not wanted */
    /** What the server takes: from CONNACK, or what holds without it. */
    uint16_t receive_max;
    uint32_t packet_size_max;
    uint8_t qos_max;
    bool retain_available;
    uint8_t *output;
    size_t output_size;
    size_t output_capacity;
};

/** Zeroed memory is a client that is closed. Frees what it holds; it is closed then. */
void mqtt_client_done(struct mqtt_client *client);
/** The network connection is there: puts CONNECT into the output. */
void mqtt_client_connect(struct mqtt_client *client, uint64_t now_us,
                         const struct mqtt_client_config *config);
/** What mqtt_client_read returns with a PUBLISH that is too large to be kept. */
#define MQTT_CLIENT_SKIPPED 2

/**
 * Takes the next packet from the front of `input`, which is moved behind it. Returns 1 with a
 * packet (CONNACK first, whatever it says; its reason is one of 5.0 for every version), 0 when no
 * whole one is there, or a negative reason: the server broke the protocol, and the client has ended
 * (-MQTT_PACKET_TOO_LARGE, -MQTT_PROTOCOL_ERROR...). PINGRESP is not handed over.
 *
 * Before 5.0 servers cannot be told how much we take, and would send a message again and again: one
 * that is too large comes without its payload, as MQTT_CLIENT_SKIPPED, and is to be acknowledged.
 */
must_check int mqtt_client_read(struct mqtt_client *client, uint64_t now_us, struct bytes *input,
                                struct mqtt_packet *ret_packet);
/**
 * Before 5.0 properties are left out, and flags that the server does not have: retain. The caller
 * looks after qos_max, receive_max and identifiers. False: larger than the server takes; nothing
 * was written.
 */
must_check bool mqtt_client_publish(struct mqtt_client *client, uint64_t now_us,
                                    const struct mqtt_publish *publish, struct bytes properties);
void mqtt_client_ack(struct mqtt_client *client, uint64_t now_us, enum mqtt_type type,
                     const struct mqtt_ack *ack);
void mqtt_client_subscribe(struct mqtt_client *client, uint64_t now_us, uint16_t packet_id,
                           const struct mqtt_subscription *subscription);
void mqtt_client_unsubscribe(struct mqtt_client *client, uint64_t now_us, uint16_t packet_id,
                             struct bytes filter);
/** Says goodbye: nothing is written or read afterwards. Quiet before CONNACK (5.0, 3.1.4). */
void mqtt_client_disconnect(struct mqtt_client *client, uint64_t now_us, enum mqtt_reason reason);

/** The same for good: a server of 5.0 ends the session, too. */
void mqtt_client_forget(struct mqtt_client *client, uint64_t now_us);

/** When mqtt_client_tick wants to be called. */
uint64_t mqtt_client_deadline(const struct mqtt_client *client);
/** Keep-alive. False: the server is silent, the connection is dead; the client has ended. */
must_check bool mqtt_client_tick(struct mqtt_client *client, uint64_t now_us);

/** Bytes to send; valid until the next call. */
struct bytes mqtt_client_output(const struct mqtt_client *client);
void mqtt_client_sent(struct mqtt_client *client, size_t size);
