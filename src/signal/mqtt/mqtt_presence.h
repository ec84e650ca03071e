/**
 * The presence of users, whatever they speak, as retained messages of the broker (docs/mqtt.md):
 *
 *     roost/v1/{user}/presence {"user":"ann","presence":"online","name":"Ann","bindings":["mqtt"]}
 *
 * That a user is offline is retained for a day, of the 1000 last ones; then there is no message.
 * Users see it, guests do not.
 */
#pragma once

#include "base/json_text.h"
#include "broker/broker.h"
#include "signal/model/calls.h"

/** Users who left whose topics are still there. */
#define MQTT_PRESENCE_OFFLINE_MAX 1000

struct mqtt_presence {
    struct broker *broker; /**< NULL: nothing is told */
    struct call_directory *calls;
    /** The broker has something to send. */
    void (*wake)(void *owner);
    uint64_t (*now)(void *owner); /**< the time */
    void *owner;
    struct presence_all all;
    char *offline[MQTT_PRESENCE_OFFLINE_MAX]; /**< their topics: a ring */
    size_t offline_at;
    struct json_text text;
};

/** The fields up to `owner` are set: tells of all who are there, and of what changes from now on.
 */
void mqtt_presence_start(struct mqtt_presence *presence);
/** Before the broker and the model end. Harmless when it was not started. */
void mqtt_presence_stop(struct mqtt_presence *presence);
/** Whether a client may subscribe to a filter below "roost/" for its presence. */
bool mqtt_presence_may_subscribe(const struct broker_client *client, struct bytes filter);
