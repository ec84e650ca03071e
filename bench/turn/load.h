/**
 * The load generator: TURN clients and their peers in one thread.
 *
 * Client number i has the address options.client_ip + i, by default from 127.1.0.0 on. All peers
 * are one socket on options.peer_ip: the relayed transport address tells whose data it is.
 */
#pragma once

#include "base/time.h"
#include "datagram_port.h"
#include "server_usage.h"

#define LOAD_NONCE_MAX   160
#define LOAD_REALM_MAX   128
#define LOAD_CHANNEL     0x4000
#define LOAD_PAYLOAD_MAX 1400
#define LOAD_PAYLOAD_MIN 16
/** Bodies begin at one of these offsets into the pattern, so that swapped ones show. */
#define LOAD_PATTERN_SHIFT 64

enum load_transport {
    LOAD_UDP,
    LOAD_TCP,
    LOAD_TLS,
};

enum load_direction {
    LOAD_UP,   /**< client to peer */
    LOAD_DOWN, /**< peer to client */
    LOAD_DIRECTIONS,
};

/** How far a client has come. */
enum load_step {
    STEP_NEW,
    STEP_CHALLENGED, /**< 401 with realm and nonce */
    STEP_ALLOCATED,
    STEP_READY, /**< with a channel, or a permission for indications */
    STEP_RELEASED,
    STEP_FAILED,
};

/** One direction of one client. */
struct load_lane {
    uint64_t sent;
    uint64_t expected; /**< number of the next packet */
};

struct client_stream; // client_stream.h

struct load_client {
    struct port_address relay;
    struct load_lane lanes[LOAD_DIRECTIONS];
    struct client_stream *stream; /**< NULL over UDP */
    enum load_step step;
    uint32_t try_count;
    uint64_t asked_us; /**< when the request that is under way was sent; 0: none is */
    uint8_t nonce_size;
    uint8_t nonce[LOAD_NONCE_MAX];
};

struct load_counts {
    uint64_t received[LOAD_DIRECTIONS];
    uint64_t lost;
    uint64_t disordered; /**< late or twice */
    uint64_t corrupt;
    uint64_t answers;
    uint64_t errors; /**< error responses but the challenges */
};

struct load_options {
    struct port_address server;
    uint32_t client_ip; /**< of the first client: the others follow */
    uint32_t peer_ip;
    long pid;
    int core;
    bool bare; /**< the server is the bare forwarder */
    const char *user;
    const char *password;
    enum load_transport transport;
    bool indications;
    bool directions[LOAD_DIRECTIONS];
    bool gso; /**< send a burst as one message */
    bool gro; /**< take runs as one message */
    uint32_t clients;
    uint32_t burst;
    uint32_t size;
    uint32_t window; /**< packets under way at most, per direction */
    uint32_t outstanding;
    bool bind; /**< allocate: with a channel (or a permission), and so with a relay socket */
    /** How long to look for data without sleeping: a wake-up would be in the server's time. */
    uint32_t spin_us;
    double seconds;
};

struct load {
    struct load_options options;
    struct datagram_port *client_port;
    struct datagram_port *peer_port;
    int epoll_fd; /**< of the streams */
    void *tls;    /**< SSL_CTX of the streams */
    struct load_client *clients;
    uint32_t *by_relay; /**< port of the relayed address -> client + 1 */
    uint8_t pattern[LOAD_PAYLOAD_MAX + LOAD_PATTERN_SHIFT];
    struct load_counts counts;
    char realm[LOAD_REALM_MAX];
    uint32_t transaction; /**< random part of the transaction ids of this run */
};

/** Opens the sockets. */
void load_open(struct load *load);
void load_close(struct load *load);

/** ---- control: load_control.c ---- */

/**
 * Takes the clients from `first` on to `step` with at most options.outstanding requests under way.
 * Returns whether all of them got there.
 */
bool load_bring(struct load *load, uint32_t first, uint32_t count, enum load_step step);
/** A response; others are left alone. */
void load_take_response(struct load *load, uint32_t index, struct bytes message);
/** Allocate without credentials, as a first one is; returns the size. */
size_t load_write_bare_allocate(const struct load *load, uint32_t index, uint8_t *out,
                                size_t capacity);

/** ---- data: load_data.c ---- */

/** One turn of the event loop; waits when nothing came. Returns whether something came. */
bool load_turn(struct load *load, int wait_ms);
/** A whole message for client `index`: from its datagrams or its stream. */
void load_take_message(struct load *load, uint32_t index, struct bytes message);
/** Queues a burst of client `index`; load_data_flush sends. */
void load_send_burst(struct load *load, uint32_t index, enum load_direction direction,
                     uint32_t count);
void load_data_flush(struct load *load);
/** Sends and receives for `duration_us`, then waits for what is under way. */
void load_run(struct load *load, uint64_t duration_us);
/** Counts what is under way as lost once nothing has come for `silence_ms`. */
void load_settle(struct load *load, int silence_ms);
