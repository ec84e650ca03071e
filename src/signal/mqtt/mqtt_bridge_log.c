// What an operator reads of a bridge: what happened, and what can be done.
#include <stdio.h>

#include "base/text.h"
#include "proto/mqtt/mqtt.h"
#include "signal/mqtt/mqtt_bridge_int.h"

#define DISK "see whether the disk of server.data_dir is full or slow"

/** What an operator can do when the other broker says no. */
static const char *remedy_there(uint8_t reason)
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

/** And when our own does. */
static const char *remedy_here(uint8_t reason)
{
    // it was not even listened to: its CONNECT waited for the journal until the time was over
    return reason == MQTT_SUCCESS ? DISK : "it comes back by itself; if it does not, restart roost";
}

static const char *version_text(enum mqtt_version version)
{
    return version == MQTT_5 ? "5.0" : "3.1.1";
}

/** The problem of the last time, until it is connected: a log line each would be many. */
static bool is_known(struct mqtt_bridge *bridge, const char *why)
{
    struct bytes problem = bytes_of_text(why);
    if (text_equal(problem, bridge->problem))
        return true;
    problem.size = min_of(problem.size, sizeof(bridge->problem) - 1);
    if (text_copy(bridge->problem, sizeof(bridge->problem), problem) < 0)
        bridge->problem[0] = '\0';
    return false;
}

void mqtt_bridge_log_news(struct mqtt_bridge *bridge, const struct bridge_news *news)
{
    const struct log *log = bridge->all->config.log;
    struct log_field name = log_text("bridge", bridge->spec.name);
    struct log_field remote = log_address("remote", &bridge->remote);
    struct log_field reason = log_number("reason", news->reason);
    char why[32];
    switch (news->kind) {
    case BRIDGE_NEWS_UP:
        bridge->problem[0] = '\0';
        log_info(log, "MQTT bridge connected", name, remote,
                 log_text("version", version_text(news->version)),
                 log_text("session", news->session_present ? "kept" : "new"));
        break;
    case BRIDGE_NEWS_REFUSED:
        log_warning(log, "MQTT bridge refused by the other broker", name, remote, reason,
                    log_text("remedy", remedy_there(news->reason)));
        break;
    case BRIDGE_NEWS_SILENT:
        log_warning(log, "MQTT bridge: the other broker does not answer", name, remote);
        break;
    case BRIDGE_NEWS_LOST:
        log_warning(log, "MQTT bridge: the connection is lost", name, remote);
        break;
    case BRIDGE_NEWS_ENDED:
        log_warning(log, "MQTT bridge: the other broker has ended the connection", name, remote,
                    reason, log_text("remedy", remedy_there(news->reason)));
        break;
    case BRIDGE_NEWS_BROKEN:
        log_warning(log, "MQTT bridge: the other broker sends what cannot be", name, remote, reason,
                    log_text("remedy", remedy_there(news->reason)));
        break;
    case BRIDGE_NEWS_LOOP:
        log_warning(log, "MQTT bridge not made: messages would come back", name, remote,
                    log_text("remedy", "the other broker has neither 5.0 nor the bridges of 3.1.1: "
                                       "give in and out different remote prefixes"));
        break;
    case BRIDGE_NEWS_FILTER:
        log_warning(log, "MQTT bridge: a subscription was refused", name, remote, reason,
                    log_text("filter", news->text),
                    log_text("remedy", "let its user read that topic there"));
        break;
    case BRIDGE_NEWS_HERE:
        snprintf(why, sizeof(why), "ended here, %u", news->reason);
        if (!is_known(bridge, why))
            log_warning(log, "MQTT bridge: this broker itself has ended it", name, reason,
                        log_text("remedy", remedy_here(news->reason)));
        break;
    case BRIDGE_NEWS_JOURNAL:
        if (!is_known(bridge, "no journal"))
            log_warning(log, "MQTT bridge waits: its session is not in the journal yet", name,
                        log_text("remedy", DISK));
        break;
    case BRIDGE_NEWS_MESSAGE:
        log_warning(log, "MQTT bridge: messages are refused", name, remote, reason,
                    log_text("remedy", "let its user write those topics there"));
        break;
    }
}

void mqtt_bridge_log_failed(struct mqtt_bridge *bridge, const char *why, const char *remedy)
{
    if (is_known(bridge, why))
        return;
    log_warning(bridge->all->config.log, "MQTT bridge cannot connect",
                log_text("bridge", bridge->spec.name),
                log_text("address", bridge->spec.addresses[bridge->address_at].host),
                log_text("problem", why), log_text("remedy", remedy));
}
