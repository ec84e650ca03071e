/** What an operator can do when the other broker of a bridge says no. */
#pragma once

#include "proto/mqtt/mqtt.h"

static inline const char *mqtt_bridge_remedy(uint8_t reason)
{
    switch (reason) {
    case MQTT_BAD_USER_OR_PASSWORD:
        return "see remote_username and the password";
    case MQTT_NOT_AUTHORIZED:
    case MQTT_BANNED:
        return "let its user in there; and where it may not tell its state below $SYS: "
               "notification_topic with another topic, or notifications false";
    case MQTT_CLIENT_ID_NOT_VALID:
        return "give it a remote_clientid that the other broker takes";
    case MQTT_SESSION_TAKEN_OVER:
        return "another client has the same remote_clientid: give each its own";
    case MQTT_UNSUPPORTED_VERSION:
        return "see bridge_protocol_version";
    case MQTT_PACKET_TOO_LARGE:
        return "raise mqtt.max_packet";
    case MQTT_RETAIN_NOT_SUPPORTED:
        return "notifications false: the other broker keeps no retained messages";
    case MQTT_BAD_AUTHENTICATION_METHOD:
        return "the other broker wants a login that bridges do not have";
    default:
        return "see what the other broker logs";
    }
}
