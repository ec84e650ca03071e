/** What the files of the bridge share. */
#pragma once

#include "bridge/bridge.h"

#define BRIDGE_NEWS_MAX 8

struct bridge {
    struct bridge_config config;
    struct broker_inner inner;
    enum bridge_state state;
    /** How the other broker is spoken to: what it refused is not tried again until the last. */
    enum mqtt_version version;
    bool bridge_bit;

    struct broker_client *local; /**< NULL: our broker has ended it */
    uint8_t local_reason;        /**< why: what it said last */
    uint64_t patience_us; /**< until when the journal may take, while preparing; TIME_NEVER: told */
    struct mqtt_client remote;
    /** The session there may hold what ours knows nothing of: it must begin anew. */
    bool remote_is_stale;
    bool subscribed;      /**< there, by this process */
    uint8_t unsubscribed; /**< there: counts, for identifiers */
    uint64_t missed;      /**< of BRIDGE_METRIC_DROPPED_QUEUE, when the last connection began */
    /** Messages of QoS 2 that the other broker takes as QoS 1, by identifier: a bit each. */
    uint8_t lowered[(UINT16_MAX + 1) / 8];

    uint64_t next_call_us;
    uint64_t up_us; /**< since when it is up */
    unsigned failures;

    struct bridge_news news[BRIDGE_NEWS_MAX];
    size_t news_count;
    uint8_t *waiting; /**< packets that our broker does not take for now */
    size_t waiting_size;
    uint8_t *scratch; /**< a packet for our broker */
    size_t scratch_capacity;
    uint8_t topic[BRIDGE_TOPIC_MAX];
    metric_value metrics[BRIDGE_METRIC_COUNT];
};

static inline void bridge_count(struct bridge *bridge, enum bridge_metric metric)
{
    metric_add(&bridge->metrics[metric], 1);
}

/** ---- bridge.c ---- */

void bridge_tell(struct bridge *bridge, const struct bridge_news *news);
/** The connection is of no use any more; another follows after a pause. */
void bridge_close(struct bridge *bridge, uint64_t now_us, enum mqtt_reason reason);
/** It is not welcome as it came: another connection follows at once. */
void bridge_call_again(struct bridge *bridge, uint64_t now_us);
/** Another way to speak to the other broker, older; false: there is none, begin with the first. */
bool bridge_next_protocol(struct bridge *bridge);
/** Properties that mean something on the other side, too; `out` has their size. */
struct bytes bridge_properties(struct bytes block, uint8_t *out);

/** ---- bridge_local.c: our own broker ---- */

void bridge_local_open(struct bridge *bridge, uint64_t now_us);
void bridge_local_close(struct bridge *bridge, uint64_t now_us);
/** The session ends, of a client that is closed. */
void bridge_local_forget(struct bridge *bridge, uint64_t now_us);
/** The other broker is there: subscribes, and lets messages come. */
void bridge_local_release(struct bridge *bridge, uint64_t now_us, bool session_present);
/** Gives our broker a message. False: it is larger than it takes. */
bool bridge_local_publish(struct bridge *bridge, uint64_t now_us,
                          const struct mqtt_publish *publish, struct bytes properties);
void bridge_local_ack(struct bridge *bridge, uint64_t now_us, enum mqtt_type type,
                      const struct mqtt_ack *ack);

/** ---- bridge_remote.c: the other broker ---- */

void bridge_remote_greet(struct bridge *bridge, uint64_t now_us);
void bridge_remote_packet(struct bridge *bridge, uint64_t now_us, const struct mqtt_packet *packet);
/** A subscription there ends whose rule is no more. */
void bridge_remote_unsubscribe(struct bridge *bridge, uint64_t now_us, struct bytes filter);
/** A message came that is larger than what our broker takes. */
void bridge_remote_skipped(struct bridge *bridge, uint64_t now_us,
                           const struct mqtt_publish *publish);
/** A packet of our broker's goes on to the other one. */
void bridge_remote_publish(struct bridge *bridge, uint64_t now_us,
                           const struct mqtt_packet *packet);
void bridge_remote_ack(struct bridge *bridge, uint64_t now_us, const struct mqtt_packet *packet);
/** Tells both brokers' clients whether it is connected. */
void bridge_notify(struct bridge *bridge, uint64_t now_us, bool connected);
