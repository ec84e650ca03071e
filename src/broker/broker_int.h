/** What the files of the broker share. */
#pragma once

#include "base/index.h"
#include "base/list.h"
#include "base/map.h"
#include "broker/broker.h"
#include "broker/broker_aliases.h"
#include "broker/broker_journal.h"
#include "broker/broker_message.h"
#include "broker/broker_queue.h"
#include "broker/broker_topics.h"
#include "broker/broker_wheel.h"

#define BROKER_USER_SIZE_MAX 255
/** "Nothing need be durable." */
#define BROKER_AT_ONCE 0

/** An encoder's memory that all clients share, one at a time. */
struct broker_scratch {
    uint8_t *data;
    size_t capacity;
};

struct broker {
    struct broker_config config;
    uint64_t unix_at_zero_us;
    uint64_t started_us;
    uint64_t next_sys_us;
    struct index sessions; /**< by user, zero byte, client identifier */
    struct map wills; /**< struct broker_message of sessions that are lost, by number: restored */
    struct broker_topics topics;
    struct list ready;   /**< struct broker_client with something to send */
    struct list holding; /**< clients that wait for the journal */
    struct list clients; /**< all */
    struct list away;    /**< sessions of guests without a connection, that left first at first */
    struct broker_wheel wheel;
    struct broker_journal journal;
    struct broker_scratch scratch;
    struct broker_targets targets;
    uint64_t next_session; /**< number */
    uint64_t next_message;
    uint64_t next_serial; /**< of a publication */
    size_t state_bytes;   /**< of sessions, subscriptions and topics */
    metric_value metrics[BROKER_METRIC_COUNT];
};

/** What is kept of a session only while its client is away. */
struct broker_absence {
    struct broker_session *session;
    struct list node; /**< in broker.away */
    struct broker_timer timer;
    int64_t left_us; /**< when its connection ended; before 0: before this process */
};

struct broker_session {
    struct index_entry entry; /**< in broker.sessions */
    struct broker *broker;
    struct broker_client *client;              /**< NULL: away */
    struct broker_absence *absence;            /**< NULL: it was connected until now */
    struct broker_subscription *subscriptions; /**< a chain */
    struct broker_message *will; /**< NULL: none. `expires_us` counts from its publication */
    uint64_t number;
    uint64_t match_serial; /**< the last publication that matched */
    uint32_t match_index;  /**< its place among the targets */
    uint32_t subscription_count;
    uint32_t expiry_s; /**< UINT32_MAX: never */
    uint32_t will_delay_s;
    struct broker_queue queue;
    uint16_t *received; /**< QoS 2 messages that came and were not released, sorted */
    uint16_t received_count;
    uint16_t received_capacity;
    uint8_t user_size;
    bool is_kept; /**< it outlives its connection: it is in the journal */
    char key[];   /**< user, zero byte, client identifier */
};

enum broker_client_state {
    BROKER_CLIENT_NEW,       /**< before CONNECT */
    BROKER_CLIENT_ADMITTING, /**< its login is being decided */
    BROKER_CLIENT_OPEN,
    BROKER_CLIENT_ENDING, /**< what is queued is sent, then it is over */
};

/** A packet that is no PUBLISH, on its way to the client. */
struct broker_control {
    uint64_t durable; /**< position of the journal that it waits for */
    uint8_t *packet;  /**< encoded: CONNACK, SUBACK, ...; NULL: an acknowledgement */
    uint32_t size;
    struct mqtt_ack ack;
    uint8_t type;
};

/** A ring of them; made for the first one, freed with the last. */
struct broker_controls {
    uint32_t at;
    uint32_t count;
    uint32_t capacity;
    size_t bytes; /**< of the packets in it */
    struct broker_control ring[];
};

/** A CONNECT until it is accepted or refused. */
struct broker_arrival {
    struct bytes user; /**< who it will be, while that is not the session's */
    struct bytes id;
    uint8_t *body; /**< of the packet, while its login is being decided */
    size_t body_size;
};

/** Topics looked at and receivers served for one client in a turn: then others have theirs. */
#define BROKER_STEPS_BUSY 200000u

struct broker_client {
    struct broker *broker;
    void *socket;
    void *context;
    const struct net_address *remote;
    struct list node;      /**< in broker.clients */
    struct list turn_node; /**< in broker.ready or broker.holding */
    struct broker_session *session;
    struct broker_timer timer;
    uint64_t last_input_us;
    const struct broker_inner *inner;   /**< NULL: it came over the network */
    struct broker_arrival *arrival;     /**< NULL: there is none */
    struct broker_controls *controls;   /**< NULL: none wait */
    struct broker_aliases *aliases_in;  /**< the client's; NULL: none yet */
    struct broker_aliases *aliases_out; /**< ours */
    uint32_t packet_size_max;           /**< of what it takes */
    uint32_t steps;                     /**< of BROKER_STEPS_BUSY, since its last output */
    /** What it was told of us, or will be: other limits are for those who come later. */
    uint32_t told_packet_size_max;
    uint16_t told_receive_max;
    uint16_t told_alias_max;
    uint16_t keep_alive_s;
    uint16_t receive_max; /**< what it takes at a time */
    uint16_t alias_max;
    uint8_t state;   /**< enum broker_client_state */
    uint8_t version; /**< enum mqtt_version */
    bool is_ready;   /**< it is in broker.ready */
    bool held;       /**< no messages for now: an inner one */
    bool is_bridge;  /**< MQTT_BRIDGE_BIT */
    bool blocked;
    bool greeted;        /**< CONNACK is out: messages may follow */
    bool is_known;       /**< to the owner: `gone` is due */
    bool normal_end;     /**< it said goodbye: no will */
    bool quiet_problems; /**< it does not want reason strings */
};

static inline void broker_count(struct broker *broker, enum broker_metric metric)
{
    metric_add(&broker->metrics[metric], 1);
}

/** Whether sessions, subscriptions and topics may take so many bytes more. */
static inline bool broker_has_room(const struct broker *broker, size_t size)
{
    return broker->state_bytes + size <= broker->config.state_max;
}

/** Whether a topic, or the first level of one, is the broker's own or its owner's. */
bool broker_is_reserved(const struct broker *broker, struct bytes topic);

/** Its keeper does not take the journal: nobody is listened to until it does. */
bool broker_journal_is_behind(const struct broker *broker);

/** ---- broker_client.c ---- */

/** It has something to send now. */
void broker_client_ready(struct broker_client *client);
/** It has no turn until broker_client_ready. */
void broker_client_unready(struct broker_client *client);
/** Ends the connection for a fault of the client's. */
void broker_client_fault(struct broker_client *client, uint64_t now_us, int reason);
/** Its socket stays until what is queued has been sent; the session is left at once. */
void broker_client_end(struct broker_client *client, uint64_t now_us);

/** ---- broker_control.c ---- */

/** Whether a client takes a packet of that size (5.0, 3.1.2.11.4). */
bool broker_control_fits(const struct broker_client *client, const struct writer *packet);
void broker_control_packet(struct broker_client *client, const struct writer *packet,
                           uint64_t durable);
void broker_control_ack(struct broker_client *client, enum mqtt_type type, uint16_t packet_id,
                        uint8_t reason, uint64_t durable);
void broker_control_done(struct broker_client *client);
/** A writer over the scratch memory with room for `size` bytes and a header. */
struct writer broker_scratch_writer(struct broker *broker, size_t size);

/** ---- broker_connect.c ---- */

/** Accepts NULL. */
void broker_arrival_free(struct broker_arrival *arrival);
void broker_handle_connect(struct broker_client *client, uint64_t now_us,
                           const struct mqtt_frame *frame);

/** ---- broker_inner.c ---- */

/** A message that a session does not get. */
void broker_count_dropped(const struct broker_session *session, enum broker_metric why);

/** ---- broker_session.c ---- */

static inline struct bytes broker_session_user(const struct broker_session *session)
{
    return bytes_of(session->key, session->user_size);
}

static inline struct bytes broker_session_id(const struct broker_session *session)
{
    size_t before = (size_t)session->user_size + 1;
    return bytes_of(session->key + before, session->entry.key_size - before);
}

struct broker_session *broker_session_find(const struct broker *broker, struct bytes user,
                                           struct bytes client_id);
/** Whether there may be another one. */
bool broker_session_has_room(const struct broker *broker, struct bytes user,
                             struct bytes client_id);
/** Never NULL, whether there is room or not. */
struct broker_session *broker_session_new(struct broker *broker, struct bytes user,
                                          struct bytes client_id);
/**
 * Ends the session of the guest that has been away longest (those of before this process in any
 * order). False: no guest is away.
 */
bool broker_session_end_oldest(struct broker *broker, uint64_t now_us);
/** Its client is away since then; what follows from that is for broker_session_set_timer. */
void broker_session_set_left(struct broker_session *session, int64_t left_us);
/** Its client is here, or was until the process before this one ended. */
void broker_session_set_present(struct broker_session *session);
/** Its client is here. */
void broker_session_attach(struct broker_session *session, struct broker_client *client);
/** Ends it; a will that still waits is published. */
void broker_session_end(struct broker_session *session, uint64_t now_us);
void broker_session_free(struct broker_session *session);
/** How long it stays without a connection; journals what follows from that. */
void broker_session_set_expiry(struct broker_session *session, uint32_t expiry_s);
/** Its connection is gone. */
void broker_session_left(struct broker_session *session, uint64_t now_us, bool publish_will);
/** It was connected when the process before this one ended. */
void broker_session_lost(struct broker_session *session, uint64_t now_us);
/** A will whose time has come is published: at a start, before its client can be back. */
void broker_session_publish_due_will(struct broker_session *session, uint64_t now_us);
void broker_session_set_will(struct broker_session *session, struct broker_message *message,
                             uint32_t delay_s);
/** Its time has come; takes the reference. `from` NULL: of a session that is no more. */
void broker_will_publish(struct broker *broker, uint64_t now_us, struct broker_message *message,
                         const struct broker_session *from);
void broker_session_timer(struct broker_session *session, uint64_t now_us);
/** Of a session that is away: when it ends, or its will is due. */
void broker_session_set_timer(struct broker_session *session);
struct broker_record broker_record_of_session(const struct broker_session *session);
/** QoS 2: whether the identifier is of a message that came already; remembers it. */
bool broker_session_received(const struct broker_session *session, uint16_t packet_id);
void broker_session_add_received(struct broker_session *session, uint16_t packet_id);
bool broker_session_remove_received(struct broker_session *session, uint16_t packet_id);

/** ---- broker_publish.c ---- */

void broker_handle_publish(struct broker_client *client, uint64_t now_us,
                           const struct mqtt_packet *packet);
void broker_handle_release(struct broker_client *client, const struct mqtt_ack *ack);

/**
 * No client publishes to what is reserved, but for what bridges tell of themselves, as Mosquitto
 * has it.
 */
bool broker_is_own_topic(const struct broker *broker, struct bytes topic);

struct broker_routing {
    struct broker_message *message;    /**< its reference stays the caller's */
    const struct broker_session *from; /**< NULL: the server's own */
    uint64_t durable;                  /**< as in struct broker_delivery */
};

/** Retains a message and gives it to all subscribers. True when there are any. */
bool broker_route(struct broker *broker, uint64_t now_us, const struct broker_routing *routing);

/** ---- broker_subscribe.c ---- */

void broker_handle_subscribe(struct broker_client *client, uint64_t now_us,
                             const struct mqtt_packet *packet);
void broker_handle_unsubscribe(struct broker_client *client, uint64_t now_us,
                               const struct mqtt_packet *packet);

/** ---- broker_sys.c ---- */

void broker_sys_publish(struct broker *broker, uint64_t now_us);
