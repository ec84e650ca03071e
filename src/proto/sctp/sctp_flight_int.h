/**
 * DATA chunks that were sent and not acknowledged cumulatively (RFC 9260, 6.2.1 and 7.2.4;
 * RFC 3758, 3.5). Private to this folder.
 *
 * Losses are found by the order of sending: a chunk is lost when one has arrived that was sent
 * three packets later. RFC 9260 counts SACKs instead, three of which must miss the chunk; but who
 * takes packets in bursts answers several of them with one SACK. As every transmission has its own
 * place in the order, retransmissions that are lost are found the same way.
 */
#pragma once

#include "proto/sctp/sctp_congestion_int.h"
#include "proto/sctp/sctp_send_queue_int.h"

/** How many packets may overtake a chunk before it counts as lost. */
#define SCTP_REORDERING 3
/** Streams that one FORWARD-TSN names. */
#define SCTP_SKIPS_MAX 64

enum sctp_sent_state {
    SCTP_SENT_FLYING,
    SCTP_SENT_ACKNOWLEDGED, /**< by a gap block, which may be taken back */
    SCTP_SENT_LOST,         /**< to be sent again */
    SCTP_SENT_ABANDONED,
};

struct sctp_sent {
    struct sctp_outgoing *message;
    uint32_t offset; /**< in the message */
    uint16_t size;   /**< 0: never sent, closes a message that was given up */
    uint8_t state;
    uint32_t fragment;
    uint32_t times; /**< sent */
    uint32_t order; /**< of the packet that carried it last */
    uint64_t sent_us;
};

struct sctp_flight {
    struct sctp_send_queue *queue; /**< owns the messages */
    struct sctp_sent *ring;        /**< heap, a power of two */
    uint32_t capacity;
    uint32_t at; /**< index of `first_tsn` */
    uint32_t count;
    uint32_t first_tsn;
    uint32_t flying; /**< bytes under way, headers included */
    uint32_t acknowledged_count;
    uint32_t lost_count;
    uint32_t order;           /**< of the packet that is being written */
    uint32_t abandoned_count; /**< messages, since it was last looked at */
};

/** What a SACK has brought. */
struct sctp_acknowledged {
    uint32_t bytes; /**< acknowledged for the first time, headers included */
    bool advanced;  /**< the cumulative TSN has */
    bool lost;      /**< chunks were found lost */
    bool measured;
    uint64_t rtt_us;
};

void sctp_flight_init(struct sctp_flight *flight, struct sctp_send_queue *queue,
                      uint32_t first_tsn);
/** Lets go of all chunks; messages that were wholly in chunks are freed. */
void sctp_flight_done(struct sctp_flight *flight);

static inline uint32_t sctp_flight_next_tsn(const struct sctp_flight *flight)
{
    return flight->first_tsn + flight->count;
}

static inline struct sctp_sent *sctp_flight_at(const struct sctp_flight *flight, uint32_t index)
{
    return &flight->ring[(flight->at + index) & (flight->capacity - 1)];
}

/** Chunks that are sent from now on go in another packet. */
static inline void sctp_flight_begin_packet(struct sctp_flight *flight)
{
    flight->order++;
}

/** The next `size` bytes of the message become a chunk, which is sent now. Returns its index. */
uint32_t sctp_flight_send(struct sctp_flight *flight, uint64_t now_us,
                          struct sctp_outgoing *message, uint16_t size);
/** A lost chunk is sent again. */
void sctp_flight_resend(struct sctp_flight *flight, uint64_t now_us, uint32_t index);
/**
 * The first lost chunk; messages whose limits do not allow another transmission are given up on
 * the way. False when there is none.
 */
bool sctp_flight_next_lost(struct sctp_flight *flight, uint64_t now_us, uint32_t *ret_index);
/** Gives up a message that has chunks, or waits as the first of its stream. */
void sctp_flight_abandon(struct sctp_flight *flight, struct sctp_outgoing *message);
/** Returns 0; -ESTALE for a SACK that is older than another; -EPROTO: of what was never sent. */
must_check int sctp_flight_acknowledge(struct sctp_flight *flight, uint64_t now_us,
                                       const struct sctp_sack *sack,
                                       struct sctp_acknowledged *ret_result);
/** All that is under way is lost (T3-rtx). */
void sctp_flight_time_out(struct sctp_flight *flight);
/**
 * Which TSN a FORWARD-TSN should move the receiver to, and what it skips. Returns false when it
 * needs none.
 */
bool sctp_flight_forward(const struct sctp_flight *flight, uint32_t *ret_tsn,
                         struct sctp_skip skips[SCTP_SKIPS_MAX], size_t *ret_skip_count);
