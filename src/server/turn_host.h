/**
 * The TURN server for the control thread: what all workers share, and what operators ask of it.
 * The workers themselves are media workers (media_host.h), each with a struct turn_worker.
 *
 *     turn_host_new -> media_host_start(config.turn = turn_host_shared(...)) -> turn_host_attach
 */
#pragma once

#include <stdatomic.h>

#include "base/log.h"
#include "base/random.h"
#include "proto/turn/turn_server.h"
#include "room/track.h"
#include "runtime/loop.h"
#include "runtime/mailbox.h"
#include "runtime/worker.h"
#include "server/turn_message.h"

struct media_host;
struct turn_host;
struct turn_worker;

/** What workers do beyond the engine's settings. Constant once they run. */
struct turn_options {
    bool udp;                             /**< on the shared media port (and `tls_udp_port`) */
    bool dtls;                            /**< DTLS on the same UDP ports */
    bool tls_udp;                         /**< open a second UDP port (5349) */
    uint16_t tls_udp_port;                /**< 0: a free one */
    bool relay_sockets_at_once;           /**< do not wait for the first outside peer */
    uint32_t relay_receive_buffer;        /**< bytes; 0: the system's default */
    uint64_t stream_queue_us;             /**< oldest data that waits for a TCP client */
    uint64_t stream_timeout_us;           /**< a connection or association without allocation */
    uint32_t dtls_associations_max;       /**< per worker */
    struct net_address bind;              /**< of the second UDP port; NET_NONE: all */
    struct net_address discovery_address; /**< RFC 5780: the second IP; NET_NONE: none */
    uint16_t discovery_port;              /**< RFC 5780: the second port */
};

/** Shared by all workers. Set up before they start; only atomics change afterwards. */
struct turn_shared {
    struct turn_options options;
    struct turn_ports *ports;
    struct turn_quota *quota;
    struct turn_nonce_key nonce_key;
    struct random_secret {
        uint8_t bytes[32];
    } cookie_secret;                 /**< DTLS cookies */
    struct turn_settings *settings;  /**< at the start; later by message */
    struct tls_server_context *tls;  /**< at the start; later by message. May be NULL */
    struct certificate *certificate; /**< the same, for DTLS. May be NULL */
    struct log_sink *log_sink;
    int64_t unix_offset_us;
    uint32_t allocations_max;   /**< per worker */
    struct worker_group *group; /**< set by the first worker that starts */
    struct mailbox *control;    /**< TURN_MESSAGE_CLOSED and others go here; set before workers */
    uint32_t count;             /**< workers */
    uint16_t udp_port;          /**< the shared one, real; set by the first worker */
    uint16_t tls_udp_port;      /**< real; set by the first worker; 0: none */
    /** RFC 5780: both IPs as this host has them and as clients see them; NET_NONE: none. */
    struct net_address discovery[2];
    struct net_address discovery_external[2];
    uint16_t discovery_port; /**< the second port, real; set by the first worker */
    _Atomic(struct turn_worker *) workers[TRACK_WORKERS_MAX]; /**< set by each at its start */
};

struct turn_host_config {
    struct turn_options options;
    const struct turn_relay_address *relay_addresses; /**< copied */
    size_t relay_address_count;
    uint16_t port_min;
    uint16_t port_max;
    struct turn_quota_limits limits;
    struct turn_settings *settings;  /**< a reference is taken */
    struct tls_server_context *tls;  /**< a reference is taken; may be NULL */
    struct certificate *certificate; /**< for DTLS; a reference is taken; may be NULL */
    uint32_t allocations_max;        /**< of the process, a hard limit for the workers' tables */
    uint32_t workers;
    struct random *random;
    struct loop *loop;
    struct log *log;
    void (*connection_closed)(void *owner, const struct net_address *remote); /**< TCP limits */
    void *owner;
};

/** Never NULL. */
struct turn_host *turn_host_new(const struct turn_host_config *config);
/** After media_host_stop. Accepts NULL; returns NULL. */
struct turn_host *turn_host_free(struct turn_host *host);
/** For media_host_config. */
struct turn_shared *turn_host_shared(struct turn_host *host);
/** The workers run: messages can be sent from now on. */
void turn_host_attach(struct turn_host *host, struct media_host *media);
/** The workers are about to end: nothing is sent any more. */
void turn_host_detach(struct turn_host *host);

/** Reload: allocations live on. References are taken. */
void turn_host_set_settings(struct turn_host *host, struct turn_settings *settings);
void turn_host_set_limits(struct turn_host *host, const struct turn_quota_limits *limits);
void turn_host_set_tls(struct turn_host *host, struct tls_server_context *tls,
                       struct certificate *certificate);
/** Gives an accepted connection, or one that turned out to speak TURN, to a worker. Owns them. */
void turn_host_connection(struct turn_host *host, int fd,
                          const struct turn_connection_origin *origin);
void turn_host_stream(struct turn_host *host, struct stream_parcel *parcel,
                      const struct turn_connection_origin *origin, const struct net_address *local);

/** A page of the list of allocations. */
struct turn_list_query {
    const char *username; /**< NULL: all */
    const char *after;    /**< `next` of the page before; NULL or "": from the start */
    size_t limit;         /**< at most this many; 0: TURN_LIST_LIMIT_MAX */
};
#define TURN_ID_TEXT_MAX 32
/** An allocation's id for operators: "<worker>-<handle in hex>". Returns `out`. */
const char *turn_id_format(uint32_t worker, handle id, char out[TURN_ID_TEXT_MAX]);
#define TURN_LIST_LIMIT_MAX 1000
/**
 * Calls `done` on the control thread soon, once. `items` end with the call; `next` is what to ask
 * for as `after` to get the following page, "" when there is none.
 */
void turn_host_list(struct turn_host *host, const struct turn_list_query *query,
                    void (*done)(void *owner, const struct turn_listed *items, size_t count,
                                 const char *next),
                    void *owner);
/** Ends an allocation. `done` is called soon, once: whether there was one. */
void turn_host_kill(struct turn_host *host, const char *id, void (*done)(void *owner, bool found),
                    void *owner);
/** Allocations of all workers. */
uint32_t turn_host_allocation_count(const struct turn_host *host);
/** The real UDP ports: the one shared with media, and the second one (0: none). */
uint16_t turn_host_udp_port(const struct turn_host *host);
uint16_t turn_host_tls_udp_port(const struct turn_host *host);
/** Messages of the workers: media_host passes those of enum turn_message here. */
void turn_host_received(struct turn_host *host, const struct message *message);
/** Frees what a message carries that nobody will handle. */
void turn_message_discard(const struct message *message);
/** Counter sets of all workers: at most `capacity` are written; returns how many there are. */
size_t turn_host_metric_sets(const struct turn_host *host, struct metric_set *out, size_t capacity);
