/**
 * The inside of a worker's TURN server: turn_worker.c, turn_worker_message.c, turn_route.c,
 * turn_relay_socket.c, turn_udp.c, turn_inside.c.
 */
#pragma once

#include "base/map.h"
#include "runtime/handoff.h"
#include "server/turn_host.h"
#include "server/turn_worker.h"

struct turn_dtls;
struct turn_streams;
struct turn_tcp_relays;
struct turn_nat_discovery;

/** What a worker did besides the engine's counters. */
enum turn_worker_metric {
#define METRIC(id, kind, name, labels, help) TURN_WORKER_##id,
#include "server/turn_worker_metrics.def"
#undef METRIC
    TURN_WORKER_METRIC_COUNT,
};
extern const struct metric_description turn_worker_metric_descriptions[TURN_WORKER_METRIC_COUNT];

/** A UDP socket that clients speak to. */
struct turn_udp {
    struct turn_carrier carrier;
    struct turn_worker *turn;
    struct udp_socket *socket;
    uint16_t port;
};

/** Datagrams for our own media server that wait for the flush. */
#define TURN_MEDIA_MAX 64

struct turn_worker {
    struct worker *worker;
    struct turn_shared *shared;
    struct log log;
    struct log account; /**< one line per ended allocation: not rate limited */
    struct turn_server *server;
    struct udp_gather *gather;
    struct udp_memory *memory;            /**< of all relay sockets */
    struct list closed_relays;            /**< sockets to close at the end of the turn */
    struct turn_udp main;                 /**< the port shared with media */
    struct turn_udp second;               /**< turn_options.tls_udp; socket NULL when off */
    struct turn_dtls *dtls;               /**< NULL when off */
    struct turn_nat_discovery *discovery; /**< NULL when off */
    struct turn_streams *streams;
    struct turn_tcp_relays *tcp_relays;
    struct tls_server_context *tls;
    struct certificate *certificate;

    /** The client that the last datagram came from: the next one is likely to be the same. */
    struct turn_source last;
    struct turn_allocation *last_allocation;

    struct handoff clients; /**< others got datagrams of our clients that moved (RFC 8016) */
    struct handoff relays;  /**< others have data for relayed addresses of ours */
    struct map routes;      /**< clients that moved: remote address -> worker index + 2 */
    size_t peak;            /**< most allocations since memory was last given back */
    struct loop_timer timer;
    struct loop_hook flush;

    turn_worker_media *media; /**< our own media server */
    void *media_owner;
    turn_worker_media_stream *media_stream; /**< takes connections that speak ICE; or NULL */
    struct udp_datagram waiting[TURN_MEDIA_MAX];
    size_t waiting_count;

    metric_value counters[TURN_METRIC_COUNT];
    metric_value metrics[TURN_WORKER_METRIC_COUNT];
    char labels[24];
    char dtls_labels[40]; /**< of handshakes: those of media have the same names */
};

static inline void turn_worker_count(struct turn_worker *turn, enum turn_worker_metric metric)
{
    metric_add(&turn->metrics[metric], 1);
}

static inline uint64_t turn_now_us(const struct turn_worker *turn)
{
    return loop_now_us(&turn->worker->loop);
}

/** Sets the timer to what the engine waits for; after everything that may have changed it. */
void turn_worker_schedule(struct turn_worker *turn);

// turn_route.c: clients that moved
/** The worker that has the allocation of this client; false: no route is known. */
bool turn_route_find(const struct turn_worker *turn, const struct net_address *remote,
                     uint32_t *ret_worker);
/** What another worker told. */
void turn_route_take(struct turn_worker *turn, const struct turn_message_route *message);
/** Tells all workers where the datagrams of a client that moved belong, or that it is gone. */
void turn_route_tell(struct turn_worker *turn, const struct net_address *remote, bool gone);

// turn_udp.c: the sockets that clients speak to
void turn_udp_init(struct turn_udp *udp, struct turn_worker *turn, struct udp_socket *socket);
/** A DTLS association of another worker comes to us. Owns the parcel. */
void turn_worker_take_association(struct turn_worker *turn, struct turn_dtls_parcel *parcel);
/** Datagrams of clients that others' sockets got. */
void turn_clients_received(void *owner, const struct udp_datagram *datagrams, size_t count);
/** Opens the second port. Returns 0 or a negative errno. */
must_check int turn_udp_open_second(struct turn_worker *turn);

// turn_relay_socket.c: the sockets that peers speak to
must_check int turn_relay_socket_open(struct turn_worker *turn, struct turn_relay *relay);
/** The socket is closed at the end of the turn. */
void turn_relay_socket_close(struct turn_worker *turn, struct turn_relay *relay);
void turn_relay_sockets_free_closed(struct turn_worker *turn);
struct udp_socket *turn_relay_socket_of(const struct turn_relay *relay);

// turn_inside.c: peers that are reached without a socket
/** The client's data goes where the engine decided. */
void turn_worker_forward(struct turn_worker *turn, const struct turn_forward *forward);
/** Data from `peer` for one of our relays: to its client. */
void turn_worker_deliver(struct turn_worker *turn, struct turn_relay *relay,
                         const struct net_address *peer, struct bytes payload);
/** Hands what waits to our own media server. */
void turn_worker_flush_media(struct turn_worker *turn);
/** turn_shared's handoff: datagrams whose path.local is a relayed address of ours. */
void turn_inside_received(void *owner, const struct udp_datagram *datagrams, size_t count);
