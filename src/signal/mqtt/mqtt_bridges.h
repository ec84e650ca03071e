/**
 * Bridges to other brokers on the control thread: names looked up, connections made and lost,
 * metrics and log lines. What a bridge does is bridge/bridge.h.
 */
#pragma once

#include "base/log.h"
#include "signal/mqtt/mqtt_bridge_file.h"

struct loop;
struct mqtt_bridges;

/** What it points to must live as long. */
struct mqtt_bridges_config {
    struct loop *loop;
    struct random *random;
    struct broker *broker;
    const struct log *log;
    const char *host_name;    /**< of this machine, for client identifiers */
    uint32_t packet_size_max; /**< of our broker */
    /** Called when something may be ready for broker_next_ready. */
    void (*wake)(void *owner);
    /** Metrics of a bridge come and go. */
    void (*metrics)(void *owner, const struct metric_set *set, bool come);
    void *owner;
};

/** Without a bridge. Returns 0 or a negative errno. */
must_check int mqtt_bridges_new(const struct mqtt_bridges_config *config,
                                struct mqtt_bridges **ret_bridges);
/** Closes all; metrics are not told. Accepts NULL; returns NULL. */
struct mqtt_bridges *mqtt_bridges_free(struct mqtt_bridges *bridges);
/**
 * From now on there are these: takes what is in `specs`, and empties it. Those that are as before
 * stay connected; the queues of those that are gone, now or since another process, are lost.
 */
void mqtt_bridges_set(struct mqtt_bridges *bridges, struct mqtt_bridge_specs *specs);
/** Ends the sessions of bridges that are none of these (NULL: there are none), with their queues.
 */
void mqtt_bridges_forget_others(const struct mqtt_bridges_config *config,
                                struct mqtt_bridges *bridges);
/** Tells all others that we stop; nobody connects any more. */
void mqtt_bridges_drain(struct mqtt_bridges *bridges);
/** Its inner client is ready; `socket` is that client's. */
void mqtt_bridge_run(void *socket);
