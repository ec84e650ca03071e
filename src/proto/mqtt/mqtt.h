/**
 * Words of MQTT 3.1.1 and 5.0 (OASIS standards) that codec, broker and client share.
 */
#pragma once

#include "base/bytes.h"

#define MQTT_PACKET_SIZE_MAX 268435460u /**< 5 bytes of fixed header and what they can announce */
#define MQTT_TOPIC_SIZE_MAX  65535u

enum mqtt_version {
    MQTT_VERSION_UNKNOWN = 0, /**< before CONNECT */
    MQTT_3_1 = 3,             /**< "MQIsdp"; like 3.1.1 in all that a broker sees */
    MQTT_3_1_1 = 4,
    MQTT_5 = 5,
};

/** 5.0, 2.1.2. */
enum mqtt_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK,
    MQTT_PUBLISH,
    MQTT_PUBACK,
    MQTT_PUBREC,
    MQTT_PUBREL,
    MQTT_PUBCOMP,
    MQTT_SUBSCRIBE,
    MQTT_SUBACK,
    MQTT_UNSUBSCRIBE,
    MQTT_UNSUBACK,
    MQTT_PINGREQ,
    MQTT_PINGRESP,
    MQTT_DISCONNECT,
    MQTT_AUTH,
};

/** 5.0, 2.4. */
enum mqtt_reason {
    MQTT_SUCCESS = 0x00, /**< also normal disconnection, granted QoS 0 */
    MQTT_GRANTED_QOS_1 = 0x01,
    MQTT_GRANTED_QOS_2 = 0x02,
    MQTT_DISCONNECT_WITH_WILL = 0x04,
    MQTT_NO_MATCHING_SUBSCRIBERS = 0x10,
    MQTT_NO_SUBSCRIPTION_EXISTED = 0x11,
    MQTT_CONTINUE_AUTHENTICATION = 0x18,
    MQTT_REAUTHENTICATE = 0x19,
    MQTT_UNSPECIFIED_ERROR = 0x80,
    MQTT_MALFORMED_PACKET = 0x81,
    MQTT_PROTOCOL_ERROR = 0x82,
    MQTT_IMPLEMENTATION_ERROR = 0x83,
    MQTT_UNSUPPORTED_VERSION = 0x84,
    MQTT_CLIENT_ID_NOT_VALID = 0x85,
    MQTT_BAD_USER_OR_PASSWORD = 0x86,
    MQTT_NOT_AUTHORIZED = 0x87,
    MQTT_SERVER_UNAVAILABLE = 0x88,
    MQTT_SERVER_BUSY = 0x89,
    MQTT_BANNED = 0x8A,
    MQTT_SERVER_SHUTTING_DOWN = 0x8B,
    MQTT_BAD_AUTHENTICATION_METHOD = 0x8C,
    MQTT_KEEP_ALIVE_TIMEOUT = 0x8D,
    MQTT_SESSION_TAKEN_OVER = 0x8E,
    MQTT_TOPIC_FILTER_INVALID = 0x8F,
    MQTT_TOPIC_NAME_INVALID = 0x90,
    MQTT_PACKET_ID_IN_USE = 0x91,
    MQTT_PACKET_ID_NOT_FOUND = 0x92,
    MQTT_RECEIVE_MAXIMUM_EXCEEDED = 0x93,
    MQTT_TOPIC_ALIAS_INVALID = 0x94,
    MQTT_PACKET_TOO_LARGE = 0x95,
    MQTT_MESSAGE_RATE_TOO_HIGH = 0x96,
    MQTT_QUOTA_EXCEEDED = 0x97,
    MQTT_ADMINISTRATIVE_ACTION = 0x98,
    MQTT_PAYLOAD_FORMAT_INVALID = 0x99,
    MQTT_RETAIN_NOT_SUPPORTED = 0x9A,
    MQTT_QOS_NOT_SUPPORTED = 0x9B,
    MQTT_USE_ANOTHER_SERVER = 0x9C,
    MQTT_SERVER_MOVED = 0x9D,
    MQTT_SHARED_NOT_SUPPORTED = 0x9E,
    MQTT_CONNECTION_RATE_EXCEEDED = 0x9F,
    MQTT_MAXIMUM_CONNECT_TIME = 0xA0,
    MQTT_SUBSCRIPTION_IDS_NOT_SUPPORTED = 0xA1,
    MQTT_WILDCARDS_NOT_SUPPORTED = 0xA2,
};

/** Of 3.1.1's CONNACK (3.2.2.3). */
enum mqtt_return_code {
    MQTT_ACCEPTED = 0,
    MQTT_REFUSED_VERSION = 1,
    MQTT_REFUSED_CLIENT_ID = 2,
    MQTT_REFUSED_UNAVAILABLE = 3,
    MQTT_REFUSED_USER_OR_PASSWORD = 4,
    MQTT_REFUSED_NOT_AUTHORIZED = 5,
};

/**
 * Of the protocol level before 5.0, in no standard but known to Mosquitto and others: the client is
 * a bridge. It gets nothing of what it sent itself, and messages keep their retain flag.
 */
#define MQTT_BRIDGE_BIT 0x80

/** SUBACK of 3.1.1 for a filter that was refused (3.9.3). */
#define MQTT_SUBSCRIBE_FAILURE 0x80

/** True for reasons that say that something was refused. */
static inline bool mqtt_reason_is_error(uint8_t reason)
{
    return reason >= MQTT_UNSPECIFIED_ERROR;
}
