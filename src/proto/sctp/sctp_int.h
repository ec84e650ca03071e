/** The inside of an association, shared by the files of this folder only. */
#pragma once

#include "proto/sctp/sctp_congestion_int.h"
#include "proto/sctp/sctp_events_int.h"
#include "proto/sctp/sctp_flight_int.h"
#include "proto/sctp/sctp_reassembly_int.h"
#include "proto/sctp/sctp_send_queue_int.h"
#include "proto/sctp/sctp_tracking_int.h"

/** Unanswered packets in a row after which the other side counts as gone. */
#define SCTP_TIMEOUTS_MAX 20
/** RFC 9260, 6.2 allows 500 ms; a lone packet shall not come near the sender's RTO. */
#define SCTP_SACK_DELAY_US (50 * TIME_US_PER_MS)
/** RFC 9260, 8.3: HB.interval */
#define SCTP_HEARTBEAT_US (30 * TIME_US_PER_S)
/** Longest information of a HEARTBEAT that is sent back. */
#define SCTP_HEARTBEAT_MAX 256
/** A chunk that fills a hole is taken this far beyond the window: it sets memory free. */
#define SCTP_WINDOW_OVERDRAFT (64u << 10)
/** Pieces and whole messages that wait; twice as many with chunks that fill a hole. */
#define SCTP_PIECES_MAX 1024
/** Streams in one request to reset. */
#define SCTP_RESETS_MAX 64
#define SCTP_NONCE_SIZE 8
/** Longest cookie of the other side that is sent back. */
#define SCTP_COOKIE_MAX 1024

enum sctp_state {
    SCTP_STATE_CLOSED, /**< not begun */
    SCTP_STATE_COOKIE_WAIT,
    SCTP_STATE_COOKIE_ECHOED,
    SCTP_STATE_ESTABLISHED,
    SCTP_STATE_SHUTDOWN_PENDING,
    SCTP_STATE_SHUTDOWN_SENT,
    SCTP_STATE_SHUTDOWN_RECEIVED,
    SCTP_STATE_SHUTDOWN_ACK_SENT,
    SCTP_STATE_ENDED,
};

/**
 * The INIT of the other side that was answered last. RFC 9260, 5.1.3 has all of this in the cookie,
 * so that nothing is kept for strangers. DTLS knows its only peer: the cookie is a random number
 * that names what is kept here, and cannot be forged.
 */
struct sctp_pending {
    bool valid;
    uint8_t nonce[SCTP_NONCE_SIZE];
    uint32_t local_tag;
    uint32_t local_tsn;
    struct sctp_init peer; /**< without views */
};

/** Requests to reset streams (RFC 6525); sctp_reset.c. */
struct sctp_resets {
    uint32_t next_sequence; /**< of our requests */
    bool outstanding;
    bool owed;         /**< the request is to be sent (again) */
    uint64_t again_us; /**< when it is sent again */
    uint32_t last_tsn;
    uint32_t tries; /**< without any answer */
    uint32_t stream_count;
    uint16_t streams[SCTP_RESETS_MAX];
    uint32_t wanted; /**< streams that wait for the next request */

    uint32_t expected_sequence;         /**< of their requests */
    enum sctp_reset_result last_result; /**< of the last one that was new */
    bool response_owed;
    uint32_t response_sequence;
    enum sctp_reset_result response_result;
};

/** What goes out with the next packets, besides data. */
struct sctp_owed {
    bool init;
    bool init_ack;
    bool cookie_echo;
    bool cookie_ack;
    bool sack;
    bool forward_tsn;
    bool heartbeat;
    bool heartbeat_ack;
    bool shutdown;
    bool shutdown_ack;
    bool shutdown_complete;
    bool abort;
    bool error;
};

struct sctp {
    struct sctp_config config;
    enum sctp_state state;
    uint32_t local_tag;
    uint32_t local_tsn;
    uint32_t peer_tag;
    struct sctp_features features; /**< that both speak */
    uint16_t streams_out;
    struct sctp_pending pending;
    uint8_t *cookie; /**< the other side's, until COOKIE ACK */
    uint16_t cookie_size;
    uint32_t unrecognized_size;
    uint8_t unrecognized[64]; /**< parameters of their INIT to be named in our INIT ACK */

    struct sctp_owed owed;
    uint64_t control_us; /**< T1-init, T1-cookie or T2-shutdown: one at a time */
    uint64_t control_wait_us;
    uint32_t control_tries;
    enum sctp_cause abort_cause;
    uint16_t error_cause;
    uint16_t error_size;
    uint8_t error[32]; /**< its beginning */

    // receiving
    struct sctp_events events;
    struct sctp_tracking tracking;
    struct sctp_reassembly reassembly;
    uint64_t sack_us;     /**< when the delayed SACK is due */
    uint32_t unreported;  /**< packets with data since the last SACK */
    uint32_t window_told; /**< a_rwnd of the last SACK */

    // sending
    struct sctp_send_queue queue;
    struct sctp_flight flight;
    struct sctp_congestion congestion;
    uint32_t peer_window; /**< as last said; what flies has to be taken from it */
    uint64_t resend_us;   /**< T3-rtx */
    uint32_t timeouts;    /**< in a row */
    uint64_t active_us;   /**< when a chunk was last sent */
    uint64_t forward_us;  /**< when FORWARD-TSN was last sent */
    uint32_t forward_tsn; /**< what it said */

    struct sctp_resets resets;

    uint64_t heartbeat_us; /**< next one, or the end of the wait for an answer */
    bool heartbeat_waits;
    uint64_t heartbeat_sent_us;
    uint16_t heartbeat_size;
    uint8_t *heartbeat_info; /**< of theirs, until it is answered */
};

static inline void sctp_count(struct sctp *sctp, enum sctp_metric metric, uint64_t amount)
{
    if (sctp->config.metrics)
        metric_add(&sctp->config.metrics[metric], amount);
}

static inline int sctp_drop(struct sctp *sctp, enum sctp_metric why, int error)
{
    sctp_count(sctp, why, 1);
    return error;
}

/** Whether data may be received. */
static inline bool sctp_receives(const struct sctp *sctp)
{
    return sctp->state >= SCTP_STATE_COOKIE_ECHOED && sctp->state < SCTP_STATE_SHUTDOWN_ACK_SENT;
}

/** Whether data may be sent. */
static inline bool sctp_sends(const struct sctp *sctp)
{
    return sctp->state == SCTP_STATE_ESTABLISHED || sctp->state == SCTP_STATE_SHUTDOWN_PENDING ||
           sctp->state == SCTP_STATE_SHUTDOWN_RECEIVED;
}

static inline void sctp_event_simple(struct sctp *sctp, enum sctp_event_kind kind, uint16_t stream)
{
    sctp_events_add(&sctp->events, &(struct sctp_event){ .kind = kind, .stream = stream });
}

// sctp.c
/** The association has ended; `reason` is NULL when in order. */
void sctp_end(struct sctp *sctp, const char *reason);
/** It ends by an ABORT of ours. */
void sctp_fail(struct sctp *sctp, enum sctp_cause cause, enum sctp_metric why, const char *reason);
/** Bytes that may still be received (a_rwnd). */
uint32_t sctp_window(const struct sctp *sctp);

// sctp_handshake.c
void sctp_take_init(struct sctp *sctp, const struct sctp_chunk *chunk);
void sctp_take_init_ack(struct sctp *sctp, const struct sctp_chunk *chunk);
void sctp_take_cookie_echo(struct sctp *sctp, uint64_t now_us, const struct sctp_chunk *chunk);
void sctp_take_cookie_ack(struct sctp *sctp, uint64_t now_us);
/** Our cookie came too late for them: the handshake begins again. */
void sctp_take_stale_cookie(struct sctp *sctp);
/** A whole packet with INIT or INIT ACK. */
void sctp_write_init(struct sctp *sctp, struct writer *packet);
void sctp_write_init_ack(struct sctp *sctp, struct writer *packet);
/** Starts or repeats the wait for the answer to a control chunk that has just gone out. */
void sctp_control_sent(struct sctp *sctp, uint64_t now_us);
void sctp_control_done(struct sctp *sctp);

// sctp_shutdown.c
void sctp_take_shutdown(struct sctp *sctp, uint64_t now_us, const struct sctp_chunk *chunk);
void sctp_take_shutdown_ack(struct sctp *sctp);
void sctp_take_shutdown_complete(struct sctp *sctp);
/** Goes on with a shutdown when all data has arrived. */
void sctp_shutdown_advance(struct sctp *sctp);

// sctp_receive.c
void sctp_take_data(struct sctp *sctp, const struct sctp_chunk *chunk);
void sctp_take_forward(struct sctp *sctp, const struct sctp_chunk *chunk);
/** After a packet: whether it wants a SACK now or later. */
void sctp_schedule_sack(struct sctp *sctp, uint64_t now_us);

// sctp_acknowledge.c
void sctp_take_sack(struct sctp *sctp, uint64_t now_us, const struct sctp_chunk *chunk);
/** A cumulative TSN without more, as SHUTDOWN has it. */
void sctp_take_cumulative(struct sctp *sctp, uint64_t now_us, uint32_t tsn);
void sctp_resend_timeout(struct sctp *sctp);

// sctp_reset.c
void sctp_take_reconfig(struct sctp *sctp, uint64_t now_us, const struct sctp_chunk *chunk);
void sctp_resets_init(struct sctp *sctp, uint32_t local_tsn, uint32_t peer_tsn);
/** Whether RE-CONFIG has something to say; a request is made when its time has come. */
bool sctp_resets_ready(const struct sctp *sctp);
void sctp_write_reconfig(struct sctp *sctp, uint64_t now_us, struct writer *packet);
void sctp_resets_tick(struct sctp *sctp, uint64_t now_us);

// sctp_output.c
/** Whether a packet is to be sent now. */
bool sctp_has_output(const struct sctp *sctp);
