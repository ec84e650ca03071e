/**
 * A TURN server (RFC 8656, 6062, 8016) without I/O: one engine per worker. It takes messages of
 * clients and the time, answers requests through `ops->send`, and for data only *decides*: where a
 * client's data goes, and what header stands before a peer's data. The caller moves the bytes
 * from where they lie, in whatever batches it likes.
 *
 * Nothing is kept for anyone who has not authenticated: state begins with an allocation.
 *
 * A credential that has ended begins nothing, but what it began may be refreshed (and moved, and
 * its data connections bound) for up to settings.lifetime_max_s after its end, so that a call does
 * not break in the middle because the credential of its start was short-lived.
 *
 *     client                     engine                                  peer
 *     ChannelData, Send   -->  turn_server_client_input  -> TURN_FORWARD  -->
 *          <--  turn_deliver <-  turn_server_peer_input                 <--
 */
#pragma once

#include "base/handle.h"
#include "base/list.h"
#include "base/metric.h"
#include "proto/turn/turn_auth.h"
#include "proto/turn/turn_ports.h"
#include "proto/turn/turn_quota.h"
#include "proto/turn/turn_settings.h"

/** What was counted: requests by method and result, drops by reason, allocations, bytes. */
enum turn_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "proto/turn/turn_metrics.def"
#undef METRIC
    TURN_METRIC_COUNT,
};
extern const struct metric_description turn_metric_descriptions[TURN_METRIC_COUNT];

enum turn_transport {
    TURN_UDP,
    TURN_TCP,
    TURN_TLS,
    TURN_DTLS,
    TURN_TRANSPORTS,
};

/** The client's end of a 5-tuple, and the caller's object that carries it. */
struct turn_source {
    struct net_path path; /**< local: ours; remote: the client's */
    enum turn_transport transport;
    void *carrier; /**< the caller's: a listener, a stream. Only compared; part of no key */
};

struct turn_allocation;

/**
 * One relayed transport address. The caller may hang its socket at `socket` and what it needs for
 * batching at `run`.
 */
struct turn_relay {
    struct turn_allocation *allocation;
    struct net_address bind; /**< where its socket binds */
    struct net_address told; /**< XOR-RELAYED-ADDRESS */
    void *socket;            /**< the caller's; NULL until relay_open */
    uint32_t address_index;  /**< in turn_ports */
    uint32_t run;            /**< the caller's */
};

/** Why an allocation ended. */
enum turn_end {
    TURN_END_EXPIRED,      /**< nobody refreshed it */
    TURN_END_RELEASED,     /**< a Refresh with lifetime 0 */
    TURN_END_DISCONNECTED, /**< the client's stream closed */
    TURN_END_KILLED,       /**< by an operator */
    TURN_END_STOPPED,      /**< the server stopped */
    TURN_END_COUNT,
};
/** One word for logs and metrics: "expired". */
const char *turn_end_name(enum turn_end end);

/** An allocation as operators see it. A value; `name` views the allocation. */
struct turn_allocation_info {
    handle id;
    enum turn_transport transport;
    bool tcp_relay; /**< RFC 6062 */
    struct net_address client;
    struct net_address relayed[2]; /**< NET_NONE where there is none */
    struct bytes username;         /**< without the expiry of REST credentials */
    uint64_t created_us;
    uint64_t expires_us;
    uint64_t sent_packets; /**< from the client to peers */
    uint64_t sent_bytes;
    uint64_t received_packets; /**< from peers to the client */
    uint64_t received_bytes;
    uint64_t dropped_packets;
    uint32_t permissions;
    uint32_t channels;
};

struct turn_server;

struct turn_ops {
    /**
     * A whole message to a client: an answer, an indication about an error. On TURN_TCP/TLS a
     * stream message. `to` and `message` are valid during the call.
     */
    void (*send)(void *owner, const struct turn_source *to, struct bytes message);
    /**
     * The relay gets its first peer that only a socket reaches: open one at relay->bind and set
     * relay->socket. Returns 0 or a negative errno (508 is answered). For a TCP allocation it also
     * listens.
     */
    int (*relay_open)(void *owner, struct turn_relay *relay, bool tcp);
    /** The relay goes: close relay->socket if there is one. */
    void (*relay_close)(void *owner, struct turn_relay *relay);
    /** An allocation began to live. For metrics of the caller, cross-worker routes. May be NULL. */
    void (*began)(void *owner, const struct turn_allocation *allocation);
    /**
     * An allocation ends: write the log line; forget every pointer to it. Its relays are closed
     * before. For stream clients: close the stream unless the stream itself ended.
     */
    void (*ended)(void *owner, const struct turn_allocation *allocation, enum turn_end why);
    /** A permission or channel was refused with 403; say so in the log. May be NULL. */
    void (*refused)(void *owner, const struct turn_allocation *allocation,
                    const struct net_address *peer, const struct turn_peer_decision *decision);
    /**
     * A request was refused with 401 although it named a user; say so in the log. `username` is
     * what the client wrote, empty when it hid it (USERHASH). May be NULL.
     */
    void (*unauthenticated)(void *owner, const struct turn_source *source, struct bytes username,
                            const char *reason);
    /**
     * RFC 8016: the client goes on from another 5-tuple. `before` is where it was: forget it; the
     * allocation's source is the new one already. May be NULL.
     */
    void (*moved)(void *owner, const struct turn_allocation *allocation,
                  const struct turn_source *before);
    /**
     * RFC 6062: connect from relay->bind to `peer`; answer with turn_server_connected. Returns 0 or
     * a negative errno (447 is answered at once).
     */
    int (*tcp_connect)(void *owner, struct turn_relay *relay, uint32_t connection,
                       const struct net_address *peer);
    /**
     * RFC 6062: `client` (the source of a ConnectionBind) becomes the data of `connection`. The
     * answer to the request was sent just before. Returns 0 or a negative errno: tcp_close follows.
     */
    int (*tcp_bind)(void *owner, uint32_t connection, const struct turn_source *client);
    /** RFC 6062: close the peer's side, and the client's data connection if bound. */
    void (*tcp_close)(void *owner, uint32_t connection);
};

struct turn_server_config {
    uint32_t worker; /**< index: in mobility tickets and connection ids; 0 to 255 */
    uint32_t worker_count;
    struct turn_ports *ports;               /**< shared; outlives the server */
    struct turn_quota *quota;               /**< shared; outlives the server */
    const struct turn_nonce_key *nonce_key; /**< shared */
    struct turn_settings *settings;         /**< a reference is taken */
    struct random *random;
    int64_t unix_offset_us;   /**< Unix time minus monotonic time */
    uint32_t allocations_max; /**< of this worker: a hard limit */
    /** Open relays with the allocation, on another port where one is in use, not with the first
     * peer that needs a socket. Where that fails it is tried again then. */
    bool relays_at_once;
    const struct turn_ops *ops;
    void *owner;
    metric_value *metrics; /**< TURN_METRIC_COUNT values of this thread; required */
};

/** Never NULL. */
struct turn_server *turn_server_new(const struct turn_server_config *config);
/** Ends every allocation (TURN_END_STOPPED). Accepts NULL; returns NULL. */
struct turn_server *turn_server_free(struct turn_server *server);
/** New settings (a reference is taken) for all that comes; allocations live on. */
void turn_server_set_settings(struct turn_server *server, struct turn_settings *settings);

/** What turn_server_client_input found. */
enum turn_verdict {
    TURN_DONE,    /**< answered, or dropped and counted */
    TURN_FORWARD, /**< data for a peer: `ret_forward` is set */
};

enum turn_peer_place {
    TURN_PLACE_OUTSIDE, /**< through relay->socket */
    TURN_PLACE_MEDIA,   /**< our own media server: hand it over in the process, from relay->told */
    TURN_PLACE_RELAY,   /**< another allocation here: hand it to the worker `worker` */
};

struct turn_forward {
    struct turn_allocation *allocation;
    struct turn_relay *relay; /**< it leaves from here */
    struct net_address peer;
    struct bytes payload; /**< views the input */
    enum turn_peer_place place;
    uint32_t worker;    /**< TURN_PLACE_RELAY */
    bool dont_fragment; /**< a Send indication with DONT-FRAGMENT */
};

/**
 * One whole message of a client: a datagram, a DTLS record, or what was cut out of a stream (whose
 * padding is not part of `message`). STUN requests, indications and ChannelData of TURN, and
 * Binding requests without USERNAME. `cache` is the caller's memory of the last allocation of this
 * very source (start with NULL; the caller clears it in `ended` and `moved`); it saves the lookup.
 */
enum turn_verdict turn_server_client_input(struct turn_server *server, uint64_t now_us,
                                           const struct turn_source *source,
                                           struct turn_allocation **cache, struct bytes message,
                                           struct turn_forward *ret_forward);

/** Largest thing written before a peer's data. */
#define TURN_DELIVER_HEADER_MAX 48

struct turn_deliver {
    struct turn_allocation *allocation;
    const struct turn_source *client;
    uint8_t header[TURN_DELIVER_HEADER_MAX]; /**< ChannelData, or a Data indication */
    uint8_t header_size;
    uint8_t padding; /**< zero bytes after the payload: indications, and streams */
};

/**
 * `size` bytes arrived at `relay` from `peer`. TURN_FORWARD: send header, payload, padding to the
 * client. TURN_DONE: dropped and counted (no permission, quota).
 */
enum turn_verdict turn_server_peer_input(struct turn_server *server, uint64_t now_us,
                                         struct turn_relay *relay, const struct net_address *peer,
                                         size_t size, struct turn_deliver *ret_deliver);
/**
 * ICMP said that something sent from `relay` to `peer` did not arrive (RFC 8656 section 11.5):
 * sends a Data indication with the ICMP attribute. `data`: MTU and the like, in host order.
 */
void turn_server_peer_icmp(struct turn_server *server, uint64_t now_us, struct turn_relay *relay,
                           const struct net_address *peer, uint8_t type, uint8_t code,
                           uint32_t data);
/** The relay of this worker with this relayed address (told or bound, with port); or NULL. */
struct turn_relay *turn_server_find_relay(struct turn_server *server,
                                          const struct net_address *address);
/**
 * The caller's stream or DTLS association of this source ended: so does its allocation, unless it
 * has a mobility ticket (RFC 8016). Then it lives on for its lifetime, out of reach and without a
 * carrier (NULL in `ended` and `moved`), until the ticket comes from another address.
 */
void turn_server_disconnected(struct turn_server *server, uint64_t now_us,
                              const struct turn_source *source);

/**
 * Which worker a message must reach, whoever received it (0 to worker_count - 1), or -ENOENT when
 * any will do: RFC 8016 tickets of a Refresh and RFC 6062 connection ids name their worker. Cheap,
 * and reveals nothing: the engine there judges.
 */
must_check int turn_message_worker(const struct turn_server *server, struct bytes message);

/** RFC 6062: how a tcp_connect ended; `error` 0 or a negative errno. */
void turn_server_tcp_connected(struct turn_server *server, uint64_t now_us, uint32_t connection,
                               int error);
/**
 * RFC 6062: `peer` connected to the relay. Returns 0 with the id (ConnectionAttempt was sent; the
 * peer's bytes wait until tcp_bind), or a negative errno: close it.
 */
must_check int turn_server_tcp_accepted(struct turn_server *server, uint64_t now_us,
                                        struct turn_relay *relay, const struct net_address *peer,
                                        uint32_t *ret_connection);
/**
 * RFC 6062: `size` bytes of a bound connection are about to go on, to the peer or to the client.
 * True: they are counted for the allocation. False: its bandwidth is used up; try again soon.
 */
must_check bool turn_server_tcp_data(struct turn_server *server, uint64_t now_us,
                                     uint32_t connection, bool to_peer, size_t size);
/** RFC 6062: either side of a connection ended; `connection` is free again. */
void turn_server_tcp_ended(struct turn_server *server, uint64_t now_us, uint32_t connection);

/** Expires what is due. */
void turn_server_tick(struct turn_server *server, uint64_t now_us);
/** When turn_server_tick has something to do. */
uint64_t turn_server_deadline(const struct turn_server *server);

/** Living allocations of this engine. */
size_t turn_server_allocation_count(const struct turn_server *server);
/** Walks all allocations: `*cursor` = 0 first; false at the end. */
bool turn_server_next(const struct turn_server *server, uint32_t *cursor,
                      struct turn_allocation_info *ret_info);
/** An allocation as it is now. */
void turn_allocation_info(const struct turn_allocation *allocation,
                          struct turn_allocation_info *ret_info);
/** Where the client is now. */
const struct turn_source *turn_allocation_source(const struct turn_allocation *allocation);
/** The caller's pointer on an allocation (run bookkeeping towards the client); starts NULL. */
void **turn_allocation_slot(struct turn_allocation *allocation);
/** Ends one. Returns 0 or -ENOENT. */
must_check int turn_server_kill(struct turn_server *server, uint64_t now_us, handle id,
                                enum turn_end why);
