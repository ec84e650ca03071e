/**
 * A bridge to another MQTT broker as an engine: a client of ours inside the process on the one
 * side, a client of the other broker on the other, and nothing of its own in between.
 *
 * What arrives at one side goes on at the other under the same packet identifier, and so do the
 * acknowledgements: both brokers keep their sessions, and what is under way is kept there. A
 * message of QoS 1 or 2 is acknowledged to where it came from when the other side has taken it, and
 * however connections and processes end, QoS 1 is not lost and QoS 2 does not come twice. While the
 * other broker is away, messages wait in the session of our own.
 *
 *     bridge_state(bridge) is BRIDGE_CALLING    connect; then bridge_connected, or bridge_lost
 *     taken = bridge_input(bridge, now_us, arrived)
 *     write bridge_output(bridge) to the other broker, bridge_sent(bridge, size)
 *     bridge_state(bridge) is BRIDGE_CLOSING    close the connection, then bridge_lost
 *     when broker_next_ready gives a client whose socket is the bridge's: bridge_run(bridge,
 * now_us)
 *
 * Loops: nothing comes back that the bridge brought. The other broker is asked for that: by No
 * Local of 5.0, before 5.0 by MQTT_BRIDGE_BIT; one that knows neither gets no bridge that carries
 * a topic both ways.
 */
#pragma once

#include "base/metric.h"
#include "base/random.h"
#include "bridge/bridge_topics.h"
#include "broker/broker.h"
#include "proto/mqtt/mqtt_client.h"

struct bridge;

enum bridge_protocol {
    BRIDGE_PROTOCOL_AUTO, /**< 5.0, then 3.1.1 where that is refused */
    BRIDGE_PROTOCOL_3_1_1,
    BRIDGE_PROTOCOL_5,
};

/** Zero fields take the defaults in brackets. Must live as long as the bridge. */
struct bridge_config {
    struct broker *broker; /**< required */
    struct random *random; /**< required */
    void *socket;          /**< of the inner client, for the caller */
    struct bridge_topics topics;
    const char *name;      /**< of its session here; required */
    const char *client_id; /**< there; required */
    struct bytes user;     /**< empty: none */
    struct bytes password; /**< secret; empty: none */
    enum bridge_protocol protocol;
    bool clean;         /**< nothing is kept between connections, on either side */
    bool no_bridge_bit; /**< do not try MQTT_BRIDGE_BIT */
    bool drop_retain;   /**< messages go out without their retain flag */
    /** Retained "1" while connected, "0" (a will) while not; NULL: none. */
    const char *notification_topic;
    bool notify_here_only;
    uint16_t keep_alive_s;     /**< [60] */
    uint32_t session_expiry_s; /**< 5.0 [never] */
    uint16_t receive_max;      /**< messages under way in each direction [100] */
    uint32_t packet_size_max;  /**< of what our own broker takes [1 MiB] */
    uint32_t queue_count_max;  /**< messages that wait while the other broker is away [10000] */
    size_t queue_bytes_max;    /**< [16 MiB] */
    uint64_t restart_min_us;   /**< pause before another attempt [1 s] */
    uint64_t restart_max_us;   /**< [30 s] */
};

enum bridge_state {
    BRIDGE_PREPARING, /**< its session here is not in the journal yet */
    BRIDGE_WAITING,   /**< until its deadline */
    BRIDGE_CALLING,   /**< wants a connection */
    BRIDGE_GREETING,  /**< connected; CONNECT is sent */
    BRIDGE_UP,
    BRIDGE_CLOSING, /**< after its output the connection ends */
};

/** What happened, for the log. */
enum bridge_news_kind {
    BRIDGE_NEWS_UP,      /**< `version`, and whether the session was kept */
    BRIDGE_NEWS_REFUSED, /**< CONNACK's `reason` */
    BRIDGE_NEWS_SILENT,  /**< no answer */
    BRIDGE_NEWS_LOST,    /**< the connection is gone */
    BRIDGE_NEWS_ENDED,   /**< it said goodbye, with `reason` */
    BRIDGE_NEWS_BROKEN,  /**< it broke the protocol, `reason` says how */
    BRIDGE_NEWS_LOOP,    /**< it could loop: see above */
    BRIDGE_NEWS_FILTER,  /**< `text`, a filter there, was refused with `reason` */
    BRIDGE_NEWS_MESSAGE, /**< a message was refused there with `reason` */
    BRIDGE_NEWS_HERE,    /**< our own broker refused it or threw it out, with `reason` */
    BRIDGE_NEWS_JOURNAL, /**< its session here still is not in the journal */
};

struct bridge_news {
    enum bridge_news_kind kind;
    enum mqtt_version version;
    uint8_t reason;
    bool session_present;
    const char *text;
};

enum bridge_metric {
#define METRIC(id, kind, name, labels, help) BRIDGE_METRIC_##id,
#include "bridge/bridge_metrics.def"
#undef METRIC
    BRIDGE_METRIC_COUNT,
};

/** Connects its inner client. Never NULL. */
struct bridge *bridge_new(const struct bridge_config *config, uint64_t now_us);
/**
 * Ends the sessions here, with what waits in them, of bridges that are no more: those that are not
 * connected and that `keep` does not want (NULL: all). Returns how many.
 */
size_t bridge_sessions_end(struct broker *broker, uint64_t now_us,
                           bool (*keep)(void *owner, struct bytes name), void *owner);
/** Accepts NULL; returns NULL. The session here stays. */
struct bridge *bridge_free(struct bridge *bridge, uint64_t now_us);
/**
 * The bridge is taken down: tells the other broker, and puts what is to be sent into the output.
 * `forget`: for good, the session here ends, too, and 5.0 ends that of the other broker.
 */
void bridge_stop(struct bridge *bridge, uint64_t now_us, bool forget);

enum bridge_state bridge_state(const struct bridge *bridge);
/** The oldest of what happened since the last time; false: nothing. */
bool bridge_next_news(struct bridge *bridge, struct bridge_news *ret_news);
struct metric_set bridge_metrics(const struct bridge *bridge);
uint64_t bridge_deadline(const struct bridge *bridge);
void bridge_tick(struct bridge *bridge, uint64_t now_us);

/** ---- the connection to the other broker ---- */

void bridge_connected(struct bridge *bridge, uint64_t now_us);
/** It is gone, or could not be had. Harmless when there was none. */
void bridge_lost(struct bridge *bridge, uint64_t now_us);
/**
 * Takes whole packets from the front of what arrived; returns how many bytes they had. Takes
 * nothing while bridge_is_busy.
 */
must_check size_t bridge_input(struct bridge *bridge, uint64_t now_us, struct bytes input);
/** Our own broker takes no more for now: read no more. */
bool bridge_is_busy(const struct bridge *bridge);
/** Bytes for the other broker, valid until the next call. */
struct bytes bridge_output(const struct bridge *bridge);
void bridge_sent(struct bridge *bridge, size_t size);
/** Its socket takes no more for now: our own broker keeps what it has. */
void bridge_block(struct bridge *bridge, bool blocked);

/** ---- our own broker ---- */

/** Its inner client is ready: takes what our broker has for it. */
void bridge_run(struct bridge *bridge, uint64_t now_us);
