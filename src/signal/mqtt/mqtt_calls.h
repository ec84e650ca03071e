/**
 * Call signaling on topics (docs/mqtt.md): what a user's client publishes to
 *
 *     roost/v1/{user}/{client identifier}/request
 *
 * are requests of the native protocol, and what follows comes to it, and to nobody else, at
 *
 *     roost/v1/{user}/{client identifier}/event
 *
 * A client is a device of its user's from the moment that it subscribes to its events, or makes a
 * request. While its connection is lost it stays one if its session is kept, as long as the engine
 * waits for those who are away. Guests have no such topics.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "broker/broker.h"
#include "signal/access/turn_offer.h"
#include "signal/native/native.h"

struct mqtt_calls_config {
    struct signal_native *native; /**< outlives this; NULL: no calls */
    struct random *random;        /**< required */
    void (*changed)(void *owner); /**< the engine was used: its deadlines may be nearer */
    void *changed_owner;
    /** The broker has something to send, or mqtt_calls_run something to do. */
    void (*wake)(void *owner);
    uint64_t (*now)(void *owner); /**< the time */
    /** By which host a client reached us, as in a URL. */
    void (*host)(void *owner, const struct broker_client *client, char out[TURN_HOST_SIZE]);
    void *owner; /**< of `wake`, `now` and `host` */
};

struct mqtt_calls {
    struct mqtt_calls_config config;
    struct native_transport transport;
    struct map devices;  /**< struct mqtt_device that are here, by the front of their topics */
    struct list closing; /**< those whose connection the engine ended */
    struct list unread;  /**< those that were sent something, and have not acknowledged it yet */
};

void mqtt_calls_init(struct mqtt_calls *calls, const struct mqtt_calls_config *config);
/** After the broker's clients are gone. */
void mqtt_calls_done(struct mqtt_calls *calls);
/** Whether the client may subscribe to a filter below "roost/". */
bool mqtt_calls_may_subscribe(const struct mqtt_calls *calls, const struct broker_client *client,
                              struct bytes filter);
/** For the broker's owner. */
int mqtt_calls_take(struct mqtt_calls *calls, struct broker_client *client, uint64_t now_us,
                    const struct mqtt_publish *publish);
void mqtt_calls_here(struct mqtt_calls *calls, struct broker_client *client, uint64_t now_us,
                     bool present);
void mqtt_calls_subscribed(struct mqtt_calls *calls, struct broker_client *client, uint64_t now_us,
                           struct bytes filter, bool is_there);
void mqtt_calls_left(struct mqtt_calls *calls, struct broker_client *client, uint64_t now_us,
                     enum broker_leave how);
/** At the end of a turn, outside of the broker's calls: carries out what the engine decided, and
 *  tells it what arrived. */
void mqtt_calls_run(struct mqtt_calls *calls, uint64_t now_us);
