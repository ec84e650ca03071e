/**
 * An MQTT broker (3.1, 3.1.1 and 5.0) as an engine: bytes of clients in, bytes for clients out, and
 * what must outlive the process as records for a journal. No sockets, no clock, no files.
 *
 *     taken = broker_client_input(client, now_us, arrived)      for each client that sent something
 *     while ((client = broker_next_ready(broker)))              at the end of a turn
 *         write broker_client_output(client, now_us) to broker_client_socket(client)
 *     broker_journal_take(broker, ...) to the disk, then broker_journal_durable(broker, position)
 *
 * What was acknowledged must not be lost, and QoS 2 must not come twice, whenever the process dies:
 * packets that promise something wait in the engine until the journal is durable up to what they
 * promise (broker_journal.h). Sessions that end with their connection are in no journal, and wait
 * for nothing.
 *
 * Sessions are named by user and client identifier together: nobody takes over the session of
 * another user by knowing its name.
 */
#pragma once

#include "base/address.h"
#include "base/metric.h"
#include "base/random.h"
#include "base/time.h"
#include "proto/mqtt/mqtt_packet.h"

struct map;
struct broker;
struct broker_client;

/** What a client shows when it connects. Valid within the call. */
struct broker_login {
    struct bytes client_id; /**< empty: it will be given one */
    struct bytes user;      /**< empty: none */
    struct bytes password;  /**< secret */
    bool has_user;
    bool has_password;
    struct net_address remote;
};

enum broker_leave {
    BROKER_LEFT_GOODBYE, /**< it said so */
    BROKER_LEFT_LOST,    /**< and its session ended with it */
    BROKER_LEFT_AWAY,    /**< its session is kept: it may come back */
};

/** What the owner decides. Where nothing else is said, it must not call into the engine from
 *  within. */
struct broker_owner {
    /**
     * Who is it? Returns MQTT_SUCCESS with `ret_user` (at most 255 bytes, copied; empty: a guest)
     * and broker_client_set_context done; a reason to refuse for; or -EINPROGRESS, and
     * broker_client_admit follows.
     */
    int (*login)(struct broker_owner *self, struct broker_client *client,
                 const struct broker_login *login, struct bytes *ret_user);
    /** May it? `topic` is a valid topic, `filter` a valid filter without "$share". */
    bool (*may_publish)(struct broker_owner *self, const struct broker_client *client,
                        struct bytes topic);
    bool (*may_subscribe)(struct broker_owner *self, const struct broker_client *client,
                          struct bytes filter);
    /**
     * A message, before anyone is asked whether it may: a reason code of PUBACK when it was for the
     * owner itself and goes to no subscriber; else -ENOENT. It may send and publish, and end no
     * client. May be NULL.
     */
    int (*take)(struct broker_owner *self, struct broker_client *client, uint64_t now_us,
                const struct mqtt_publish *publish, const struct mqtt_properties *properties);
    /**
     * A client has its session: `present` if the session was there before, with its subscriptions.
     * This and the next two may send and publish, and end no client. May be NULL.
     */
    void (*here)(struct broker_owner *self, struct broker_client *client, uint64_t now_us,
                 bool present);
    /** A client subscribed to a filter (with its "$share"), or does not any more. May be NULL. */
    void (*subscribed)(struct broker_owner *self, struct broker_client *client, uint64_t now_us,
                       struct bytes filter, bool is_there);
    /** A client that was here leaves its session: the connection ended. May be NULL. */
    void (*left)(struct broker_owner *self, struct broker_client *client, uint64_t now_us,
                 enum broker_leave how);
    /**
     * A client that had logged in, or whose login was or had been in progress, is gone: its context
     * is not used any more. May be NULL.
     */
    void (*gone)(struct broker_owner *self, struct broker_client *client);
};

/** Of filters and retained topics: deeper ones are refused. The tree is walked by recursion. */
#define BROKER_LEVELS_MAX 128
/** For limits where zero is meant. */
#define BROKER_NONE UINT32_MAX

/** Zero fields take the defaults in brackets. */
struct broker_config {
    struct random *random;      /**< required */
    struct broker_owner *owner; /**< required */
    uint32_t client_count_max;  /**< connections [100000] */
    uint32_t session_count_max; /**< with those that are away [200000] */
    size_t packet_size_max;     /**< bytes of a packet from a client [1 MiB] */
    uint16_t receive_max;       /**< QoS 2 messages of a client that it has not released [100] */
    uint16_t alias_max;         /**< topic aliases per client and direction [16]; 0xffff: none */
    uint16_t inflight_max;      /**< messages sent to a client that it has not acknowledged [100] */
    uint32_t queue_count_max;   /**< messages that wait for one session [1000] */
    size_t queue_bytes_max;     /**< of them together [1 MiB] */
    size_t memory_max;          /**< of all messages held, their places in queues, and what the
                                     journal's keeper has not taken [256 MiB] */
    size_t state_max;           /**< of sessions, subscriptions and topics, bytes [512 MiB] */
    uint32_t subscription_count_max; /**< per session [1000] */
    uint32_t retained_count_max;     /**< [100000]; BROKER_NONE: none is kept */
    uint32_t session_expiry_max_s;   /**< longer ones are cut to it [7 days]; BROKER_NONE: all end
                                          with their connections */
    uint16_t keep_alive_max_s;       /**< clients of 5.0 are told a shorter one; 0: as they like */
    uint64_t connect_timeout_us;     /**< from the connection to its CONNECT [10 s] */
    uint64_t sys_interval_us;        /**< between the messages of $SYS [10 s]; TIME_NEVER: none */
    const char *version;             /**< for $SYS/broker/version ["roost"] */
    /**
     * The first level of topics that are the owner's, as those with $ are the broker's: no client
     * publishes there, wildcards at the front do not find them, no journal has them. NULL: none.
     */
    const char *reserved;
    bool journal; /**< somebody takes the journal; else nothing waits for it */
};

enum broker_metric {
#define METRIC(id, kind, name, labels, help) BROKER_METRIC_##id,
#include "broker/broker_metrics.def"
#undef METRIC
    BROKER_METRIC_COUNT,
};

/** Never NULL. */
struct broker *broker_new(const struct broker_config *config, uint64_t now_us);
/** Takes new limits: for what comes. */
void broker_reload(struct broker *broker, const struct broker_config *config);
/** Closes nothing and publishes no wills: the process ends. Accepts NULL; returns NULL. */
struct broker *broker_free(struct broker *broker);
/** Unix time at `now_us` 0, in microseconds: when the clock was read or stepped. */
void broker_set_unix_offset(struct broker *broker, uint64_t unix_at_zero_us);
/** Says goodbye (5.0: server shutting down) to everyone, and publishes their wills. */
void broker_drain(struct broker *broker, uint64_t now_us);

/** When broker_tick wants to be called. */
uint64_t broker_deadline(const struct broker *broker);
/** Keep-alive, sessions and wills whose time has come, $SYS. */
void broker_tick(struct broker *broker, uint64_t now_us);
struct metric_set broker_metrics(const struct broker *broker);

/** ---- clients ---- */

/**
 * A connection. `socket` is the caller's, and `remote` stays as it is until broker_client_closed.
 * NULL: there are too many.
 */
struct broker_client *broker_client_open(struct broker *broker, uint64_t now_us, void *socket,
                                         const struct net_address *remote);
/**
 * Takes whole packets from the front of what arrived; returns how many bytes they had: give the
 * rest again with what follows it. Takes nothing while broker_client_is_busy.
 */
must_check size_t broker_client_input(struct broker_client *client, uint64_t now_us,
                                      struct bytes input);
/** It waits for its login, or does not read what we have for it: read no more of it for now. */
bool broker_client_is_busy(const struct broker_client *client);
/** The connection is gone. Frees the client; its session may stay. */
void broker_client_closed(struct broker_client *client, uint64_t now_us);
/** The decision of a login that was in progress: as `login` would have returned it. */
void broker_client_admit(struct broker_client *client, uint64_t now_us, int reason,
                         struct bytes user);
/** Ends a connection from our side; 5.0 is told the reason. */
void broker_client_disconnect(struct broker_client *client, uint64_t now_us,
                              enum mqtt_reason reason);
void broker_client_set_context(struct broker_client *client, void *context);
void *broker_client_context(const struct broker_client *client);
void *broker_client_socket(const struct broker_client *client);
const struct net_address *broker_client_remote(const struct broker_client *client);
/** Of its session; empty before CONNECT. */
struct bytes broker_client_user(const struct broker_client *client);
struct bytes broker_client_id(const struct broker_client *client);

/** ---- clients inside the process ---- */

/** The server's own client, such as a bridge. Must live as long as the client. */
struct broker_inner {
    struct bytes user;        /**< whose session it gets; no login may have that name */
    uint32_t queue_count_max; /**< in place of the configuration's */
    size_t queue_bytes_max;
    metric_value *dropped; /**< messages that its queue had no room for, and QoS 0 while held */
};

/**
 * A client without a network: nobody is asked who it is and what it may, and no limit of
 * connections, sessions and how long they are kept, packets, keep-alive, subscriptions and messages
 * of QoS 2 holds for it. It is held until it is released.
 */
struct broker_client *broker_client_open_inner(struct broker *broker, uint64_t now_us, void *socket,
                                               const struct broker_inner *inner);
bool broker_client_is_inner(const struct broker_client *client);
/**
 * It gets no messages for now: those of QoS 1 and 2 wait. Answers that were on their way to it are
 * forgotten, as when a connection is lost.
 */
void broker_client_hold(struct broker_client *client);
/**
 * Messages go on, those that it has not acknowledged first, within new limits (5.0: Receive
 * Maximum and Maximum Packet Size).
 */
void broker_client_release(struct broker_client *client, uint16_t receive_max,
                           uint32_t packet_size_max);
/**
 * Whoever it speaks for has lost its state: identifiers of QoS 2 that it has not released will
 * stand for other messages.
 */
void broker_client_forget_received(struct broker_client *client);
/** Ends those subscriptions that `keep` does not want. */
void broker_client_prune(struct broker_client *client,
                         bool (*keep)(void *owner, struct bytes filter), void *owner);

/** ---- users ---- */

/**
 * Ends the connections of users (keys of the map), or those of them that are `chosen` (NULL: all):
 * "administrative action". Their sessions stay. Takes one look at every client.
 */
void broker_users_disconnect(struct broker *broker, uint64_t now_us, const struct map *users,
                             bool (*chosen)(const struct broker_client *client));
/** Ends all connections and all sessions of users. Takes one look at every session. */
void broker_users_forget(struct broker *broker, uint64_t now_us, const struct map *users);
/**
 * Ends those sessions of a user that are away and that `keep` does not want (NULL: all of them).
 * Returns how many. Takes a look at every session.
 */
size_t broker_user_prune(struct broker *broker, uint64_t now_us, struct bytes user,
                         bool (*keep)(void *owner, struct bytes client_id), void *owner);

/** ---- output ---- */

/** A client with something to send that was not blocked; NULL: none. */
struct broker_client *broker_next_ready(struct broker *broker);
/**
 * What is to be sent to it now: whole packets, about 64 KiB of them at most unless one alone is
 * longer. Counts as sent; valid until the next call. It may be empty.
 */
struct bytes broker_client_output(struct broker_client *client, uint64_t now_us);
/** Its socket takes no more for now: it is not ready until this is taken back. */
void broker_client_block(struct broker_client *client, bool blocked);
/** After the last output: close the connection, then broker_client_closed. */
bool broker_client_is_over(const struct broker_client *client);

/** ---- messages of the server's own ---- */

struct broker_publication {
    struct bytes topic;
    struct bytes payload;
    struct bytes properties; /**< encoded as in a packet, without expiry and aliases */
    uint8_t qos;
    bool retain;
    uint32_t expiry_s; /**< 0: never */
};

/** Gives a message to all subscribers. */
void broker_publish(struct broker *broker, uint64_t now_us,
                    const struct broker_publication *publication);
/**
 * Gives a message to this client alone, whoever else has subscribed, and retains nothing. Returns
 * 0; -ENOENT: it has no subscription to that very topic (wildcards and shared ones do not count);
 * -ENOBUFS: too much waits for it, or for all.
 */
must_check int broker_client_send(struct broker_client *client, uint64_t now_us,
                                  const struct broker_publication *publication);
/**
 * Takes back what waits for this client on that very topic, one of the owner's (`reserved`), and
 * what it was sent there and has not acknowledged: it will not be sent again.
 */
void broker_client_take_back(struct broker_client *client, struct bytes topic);
/** Whether all that was for it has been sent, and acknowledged where it has to be. */
bool broker_client_has_all(const struct broker_client *client);
/** Whether there is a retained message. */
bool broker_has_retained(const struct broker *broker, struct bytes topic);
/** Whether it has subscribed to that very filter, not shared. */
bool broker_client_has_subscribed(const struct broker_client *client, struct bytes filter);

/** ---- journal ---- */

/**
 * The records since the last time, in memory that the caller frees; NULL: none. `ret_position` is
 * for broker_journal_durable. Batches are applied in their order.
 */
uint8_t *broker_journal_take(struct broker *broker, size_t *ret_size, uint64_t *ret_position);
/** Everything up to there is on the disk. */
void broker_journal_durable(struct broker *broker, uint64_t position);
/**
 * Before anything else: takes back what a journal kept, all batches one behind the other from a
 * snapshot or the beginning on. Returns 0, or -EBADMSG: something in it cannot be, and the broker
 * holds what came before.
 */
must_check int broker_restore(struct broker *broker, struct bytes records);
/** After it, before the first client: whoever was connected is away since now, wills are due. */
void broker_resume(struct broker *broker, uint64_t now_us);
/**
 * Everything that is kept, as the shortest journal that leads to it, in memory that the caller
 * frees. For a second broker that restored a long journal, to replace it by a short one.
 */
uint8_t *broker_snapshot(const struct broker *broker, size_t *ret_size);
