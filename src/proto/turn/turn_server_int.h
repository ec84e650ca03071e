/** The inside of the engine, private to this folder. */
#pragma once

#include "base/map.h"
#include "proto/turn/turn_expiry_int.h"
#include "proto/turn/turn_reach_int.h"
#include "proto/turn/turn_server.h"

/**
 * Channel numbers. RFC 8656 section 12 has narrowed them to 0x4fff so that a client may run other
 * protocols on its port; what a server gets as ChannelData stays unmistakable up to 0x7ffe, and
 * clients of RFC 5766 (coturn's own programs among them) take numbers from all of that.
 */
#define TURN_CHANNEL_FIRST       0x4000
#define TURN_CHANNEL_LAST        0x7ffe
#define TURN_CHANNEL_HEADER_SIZE 4

#define TURN_PERMISSION_US (300 * TIME_US_PER_S) // section 9
#define TURN_CHANNEL_US    (600 * TIME_US_PER_S) // section 12
/** How long an expired channel binding keeps its number and peer from others (section 12). */
#define TURN_CHANNEL_REBIND_US (300 * TIME_US_PER_S)
#define TURN_RESERVATION_US    (30 * TIME_US_PER_S) // section 7.2
#define TURN_CONNECT_US        (30 * TIME_US_PER_S) // RFC 6062, sections 5.2 and 5.3
/** ICMP errors of one allocation are told at most this often. */
#define TURN_ICMP_GAP_US (20 * TIME_US_PER_MS)

/** IPv4 and IPv6 (section 7.2: at most one relayed address of each). */
#define TURN_RELAYS_MAX 2
/** Largest UDP payload over IPv4. */
#define TURN_DATAGRAM_MAX 65507
/** Longest answer: two addresses, a ticket, realm, nonce and both integrity codes fit well. */
#define TURN_ANSWER_MAX 1024

/** The link of an object in a hash table. */
struct turn_node {
    struct turn_node *next; // of the same bucket
    uint32_t hash;
};

/** A relay with what only the engine needs. */
struct turn_relay_entry {
    struct turn_relay relay;
    struct turn_node node; // in server->relays
    uint64_t expires_us;
    uint16_t port; // in turn_ports
    bool open;     // relay_open was called
};

struct turn_allocation {
    struct turn_source source;
    struct turn_node node; // in server->sources
    struct turn_relay_entry *relays[TURN_RELAYS_MAX];
    struct turn_reach *reach; // permissions and channels; NULL before the first one
    struct turn_user *user;
    void *slot;
    handle id;
    uint64_t created_us;
    uint64_t sent_packets;
    uint64_t sent_bytes;
    uint64_t received_packets;
    uint64_t received_bytes;
    uint64_t dropped_packets;
    uint64_t icmp_us;          // when the last one was told
    uint64_t token;            // RESERVATION-TOKEN given out, for a repeated answer
    int64_t credential_ends_s; // Unix time, 0: never
    uint8_t *session_key;      // the mac key of its token (RFC 7635); NULL without
    struct list connections;   // RFC 6062
    uint32_t connection_count;
    uint32_t ticket;    // number of the newest mobility ticket, RFC 8016
    uint32_t expiry_at; // position in the expiry queue + 1
    uint8_t transaction_id[STUN_TRANSACTION_ID_SIZE]; // of the Allocate request
    uint16_t address_error; // why there is no second relay, for a repeated answer; or 0
    uint16_t quota_skip;
    uint16_t name_size;
    uint8_t session_key_size;
    bool has_token;
    bool tcp;    // RFC 6062
    bool mobile; // RFC 8016
    bool away;   // its client's connection ended; a ticket brings it back. In no table of sources
    char name[]; // as identified, without terminator
};

/** A port kept for whoever shows its RESERVATION-TOKEN. */
struct turn_reservation {
    struct list node;
    uint64_t token;
    uint64_t ends_us;
};

/** How answers to one request are protected: the part of an identity that outlives the request. */
struct turn_protection {
    uint8_t key[32];
    uint8_t key_size;
    bool sha256;
    bool none;
    bool fingerprint;
    uint8_t transaction_id[STUN_TRANSACTION_ID_SIZE];
};

enum turn_connection_state {
    TURN_CONNECTION_CONNECTING, // of a Connect request
    TURN_CONNECTION_WAITING,    // for a ConnectionBind
    TURN_CONNECTION_BOUND,
};

/** A TCP connection between a relay and a peer (RFC 6062). */
struct turn_connection {
    struct list of_allocation;
    struct list waiting; // in server->connections_waiting unless bound
    struct turn_allocation *allocation;
    struct net_address peer;
    uint64_t ends_us;
    uint32_t id;
    enum turn_connection_state state;
    struct turn_protection protection; // of the Connect request
};

/** Chained hash table of objects that carry their own link. */
struct turn_buckets {
    struct turn_node **heads;
    uint32_t mask; // count of buckets - 1
    uint32_t count;
};

struct turn_server {
    const struct turn_ops *ops;
    void *owner;
    metric_value *metrics;
    struct turn_quota *quota;
    struct turn_ports *ports;
    struct turn_settings *settings;
    const struct turn_settings_config *config; // of the settings
    uint32_t generation;                       // of the settings: judgements are of one
    uint32_t worker;
    uint32_t worker_count;
    bool limited;               // some bandwidth limit is set
    uint64_t limits_us;         // when to look at the limits again
    uint64_t now_us;            // the last time heard
    uint64_t secret[2];         // of hashes
    struct random transactions; // of indications; not secret
    struct random *random;
    const struct turn_nonce_key *nonce_key;
    struct hmac_key ticket_key;
    int64_t unix_offset_us;
    uint32_t allocations_max;
    bool relays_at_once;
    uint32_t address_next;           // relay addresses take turns
    uint32_t alternate_next;         // alternate servers too
    struct handle_table allocations; // by id
    struct turn_buckets sources;     // struct turn_allocation by 5-tuple
    struct turn_buckets relays;      // struct turn_relay_entry by address and port
    struct turn_expiry expiry;       // of allocations
    struct list reservations;        // struct turn_reservation, by age
    struct map connections;          // struct turn_connection by id
    struct list connections_waiting; // by age
};

/** One request being answered. */
struct turn_request {
    struct turn_server *server;
    uint64_t now_us;
    const struct turn_source *source;
    const struct stun_message *message;
    struct turn_allocation **cache;
    struct turn_allocation *allocation; // of the source; NULL: none
    struct turn_identity identity;
    bool authenticated; // `identity` is valid
};

static inline void turn_count(struct turn_server *server, enum turn_metric metric)
{
    metric_add(&server->metrics[metric], 1);
}

static inline bool turn_is_stream(enum turn_transport transport)
{
    return transport == TURN_TCP || transport == TURN_TLS;
}

static inline int64_t turn_unix_s(const struct turn_server *server, uint64_t now_us)
{
    return ((int64_t)now_us + server->unix_offset_us) / (int64_t)TIME_US_PER_S;
}

// turn_server.c
/** Looks whether any bandwidth limit is set. */
void turn_limits_look(struct turn_server *server, uint64_t now_us);

/** To be called with every input: notes the time, and now and then looks at the limits. */
static inline void turn_heard(struct turn_server *server, uint64_t now_us)
{
    server->now_us = now_us;
    if (unlikely(now_us >= server->limits_us))
        turn_limits_look(server, now_us);
}

/** The caller's memory of the source's allocation, or the table's. */
struct turn_allocation *turn_server_lookup(const struct turn_server *server,
                                           const struct turn_source *source,
                                           struct turn_allocation **cache);

// turn_request.c
/** Authenticates a request and has it answered. */
void turn_request_take(struct turn_server *server, uint64_t now_us,
                       const struct turn_source *source, struct turn_allocation **cache,
                       const struct stun_message *message);
/** The comprehension-required attributes that nobody here knows. */
size_t turn_unknown_attributes(const struct stun_message *message, uint16_t *ret_types,
                               size_t capacity);

// turn_table.c: allocations by the 5-tuple of their client, relays by address and port
void turn_sources_add(struct turn_server *server, struct turn_allocation *allocation);
void turn_sources_remove(struct turn_server *server, struct turn_allocation *allocation);
struct turn_allocation *turn_sources_find(const struct turn_server *server,
                                          const struct turn_source *source);
void turn_relays_add(struct turn_server *server, struct turn_relay_entry *entry);
void turn_relays_remove(struct turn_server *server, struct turn_relay_entry *entry);
struct turn_relay_entry *turn_relays_find(const struct turn_server *server, uint32_t address_index,
                                          uint16_t port);
void turn_buckets_done(struct turn_buckets *buckets);

// turn_allocation.c
struct turn_allocation *turn_allocation_new(struct turn_request *request, struct turn_user *user);
/** Adds the relay of a port that was taken. */
struct turn_relay_entry *turn_allocation_add_relay(struct turn_server *server,
                                                   struct turn_allocation *allocation,
                                                   size_t address_index, uint16_t port,
                                                   uint64_t expires_us);
/** Closes one relay and forgets its permissions and channels. The other one is not touched. */
void turn_allocation_drop_relay(struct turn_server *server, struct turn_allocation *allocation,
                                size_t at);
/** Ends it and frees it. */
void turn_allocation_end(struct turn_server *server, struct turn_allocation *allocation,
                         enum turn_end why);
/** The relay of a family, or NULL. */
struct turn_relay_entry *turn_allocation_relay(const struct turn_allocation *allocation,
                                               uint8_t family);
/** Sets its place in the expiry queue after a relay's time has changed. */
void turn_allocation_schedule(struct turn_server *server, struct turn_allocation *allocation);
/** Ends the relays whose time is over, and the allocation with the last one. */
void turn_allocation_expire(struct turn_server *server, struct turn_allocation *allocation,
                            uint64_t now_us);
/** Remembers what a token brought: later requests come without it (RFC 7635 section 9). */
void turn_allocation_keep_token(struct turn_allocation *allocation,
                                const struct turn_identity *identity);
/** For requests from the allocation's own 5-tuple. */
bool turn_allocation_is_of(const struct turn_allocation *allocation,
                           const struct turn_identity *identity);
/** For requests from elsewhere: no token is enough but the one that the session is under. */
bool turn_allocation_is_held_by(const struct turn_allocation *allocation,
                                const struct turn_identity *identity);
/** relay_open, once. Returns 0 or a negative errno. */
must_check int turn_relay_open(struct turn_server *server, struct turn_relay_entry *entry);
/** The same, on another port when the one it has is in use. */
void turn_relay_open_anywhere(struct turn_server *server, struct turn_relay_entry *entry,
                              enum turn_port_parity parity);
/** Counts one living allocation of a transport more or less. */
void turn_count_living(struct turn_server *server, enum turn_transport transport, bool more);

// turn_answer.c
/** An answer being written. */
struct turn_answer {
    struct stun_writer writer;
    uint8_t buffer[TURN_ANSWER_MAX];
};
/** A message of the request's method and transaction. */
void turn_answer_start(struct turn_answer *answer, const struct turn_request *request,
                       enum stun_class class);
/** SOFTWARE, integrity and fingerprint as the request wants them, and out. */
void turn_answer_send(struct turn_answer *answer, struct turn_request *request);
/** A success without attributes of its own. */
void turn_answer_success(struct turn_request *request);
void turn_answer_error(struct turn_request *request, uint16_t code);
/** 420 with UNKNOWN-ATTRIBUTES. */
void turn_answer_unknown(struct turn_request *request, const uint16_t *types, size_t count);
/**
 * An error for someone who has not authenticated: as short as the RFC allows, with a challenge for
 * 401 and 438, and only when turn_quota_stranger agrees.
 */
void turn_answer_stranger(struct turn_request *request, uint16_t code);
/** Whether the source may get an answer without credentials now; counts when not. */
must_check bool turn_answer_allowed(struct turn_request *request);
/** For an answer that is due later: how the request wants it protected. */
void turn_protection_set(struct turn_protection *protection, const struct turn_request *request);
/** An answer after its request is gone. `code` 0: success with CONNECTION-ID. */
void turn_answer_later(struct turn_server *server, const struct turn_source *to,
                       const struct turn_protection *protection, uint16_t method, uint16_t code,
                       uint32_t connection);
void turn_count_error(struct turn_server *server, uint16_t code);

// Requests, each in the file of its name. All but Binding come authenticated.
void turn_request_binding(struct turn_request *request);
void turn_request_allocate(struct turn_request *request);
void turn_request_refresh(struct turn_request *request);
void turn_request_create_permission(struct turn_request *request);
void turn_request_channel_bind(struct turn_request *request);
void turn_request_connect(struct turn_request *request);
void turn_request_connection_bind(struct turn_request *request);

// turn_allocate_read.c, for turn_refresh.c
/** The lifetime of a LIFETIME attribute (section 7.2). Returns 0 or -EBADMSG. */
must_check int turn_lifetime(const struct turn_request *request, uint32_t *ret_lifetime_s,
                             bool *ret_zero);
/** A family attribute: NET_IPV4, NET_IPV6; NET_NONE: absent. Returns 0 or the error code. */
must_check int turn_family_attribute(const struct stun_message *message, uint16_t type,
                                     uint8_t *ret_family);
// turn_allocate.c
void turn_reservations_expire(struct turn_server *server, uint64_t now_us);

// turn_permission.c
/** Brings the judgement of a permission up to date with the settings. */
void turn_permission_judge(const struct turn_server *server, struct turn_permission *permission,
                           struct turn_peer_decision *ret_decision);
/**
 * Judges `peer` for the request's allocation. Returns 0 with the judged permission (not installed),
 * or the error code to answer with: 403 or 443.
 */
must_check int turn_permission_prepare(struct turn_request *request, const struct net_address *peer,
                                       struct turn_permission *ret_permission);
/** Installs or refreshes; there must be room. Returns its position. */
uint16_t turn_permission_install(struct turn_server *server, struct turn_allocation *allocation,
                                 const struct turn_permission *permission, uint64_t now_us);
/** Whether `count` more permissions fit, after the expired ones are gone. */
must_check bool turn_permission_room(struct turn_server *server, struct turn_allocation *allocation,
                                     size_t count, uint64_t now_us);

/** Where a peer is reached; `place` is valid when `allowed`. */
struct turn_route {
    bool allowed;
    enum turn_metric reason; /**< why not */
    enum turn_peer_place place;
    uint32_t worker;
};
/** `permission` must be judged. */
struct turn_route turn_peer_route(const struct turn_server *server,
                                  const struct turn_permission *permission,
                                  const struct net_address *peer);

// turn_relay_data.c
enum turn_verdict turn_channel_data(struct turn_server *server, uint64_t now_us,
                                    struct turn_allocation *allocation, struct bytes message,
                                    struct turn_forward *ret_forward);
enum turn_verdict turn_send_indication(struct turn_server *server, uint64_t now_us,
                                       struct turn_allocation *allocation,
                                       const struct stun_message *message,
                                       struct turn_forward *ret_forward);

// turn_connect.c
void turn_connections_end(struct turn_server *server, struct turn_allocation *allocation);
/** The allocation that a ConnectionBind speaks of, or NULL. */
struct turn_allocation *turn_connection_allocation(const struct turn_request *request);
void turn_connections_expire(struct turn_server *server, uint64_t now_us);

// turn_mobility.c
void turn_mobility_init(struct turn_server *server);
/** MOBILITY-TICKET for the allocation as it is now. */
void turn_mobility_write(const struct turn_server *server, const struct turn_allocation *allocation,
                         struct stun_writer *writer);
/**
 * What the ticket of a Refresh says: 0 with the allocation (its ticket is used up), -ENOENT when
 * there is no ticket to look at, or -EBADMSG for a ticket that is not (or no longer) good.
 */
must_check int turn_mobility_find(struct turn_request *request,
                                  struct turn_allocation **ret_allocation, uint32_t *ret_ticket);
/** The ticket was used by its owner: the next one is due, and the one before is worth nothing. */
void turn_mobility_use(struct turn_allocation *allocation, uint32_t ticket);
/** Moves the allocation to the request's 5-tuple. */
void turn_mobility_move(struct turn_request *request, struct turn_allocation *allocation);
/** The client's connection ended: it may come back from elsewhere. */
void turn_mobility_leave(struct turn_server *server, struct turn_allocation *allocation);
