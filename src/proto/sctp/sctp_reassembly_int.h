/**
 * Puts messages together from DATA and I-DATA chunks, and into their order within a stream
 * (RFC 9260, 6.6 and 6.9; RFC 8260, 2.2). Private to this folder.
 *
 * What has arrived of a message is kept in pieces: runs of fragments without a hole. The piece with
 * the message's beginning grows as its fragments come, into the very memory that the application
 * gets. Fragments that come early make pieces of their own and are moved over once.
 */
#pragma once

#include "proto/sctp/sctp_events_int.h"

/** What a piece is charged with besides its bytes. */
#define SCTP_PIECE_COST 96
struct sctp_in_stream;

struct sctp_reassembly {
    struct sctp_in_stream **streams; /**< heap, by stream; NULL where nothing came yet */
    uint32_t stream_count;
    uint32_t piece_count;
    uint32_t message_size_max;
    size_t held;                /**< bytes that waiting pieces cost */
    struct sctp_events *events; /**< where whole messages go */
};

/** `events` outlives it. */
void sctp_reassembly_init(struct sctp_reassembly *reassembly, uint32_t message_size_max,
                          struct sctp_events *events);
void sctp_reassembly_done(struct sctp_reassembly *reassembly);
/**
 * Takes a chunk that came for the first time. Messages that are whole and whose turn it is become
 * events. Returns 0; -ESTALE for a message whose turn has passed, -EINVAL for a fragment that
 * overlaps another, -ENOMEM.
 */
must_check int sctp_reassembly_add(struct sctp_reassembly *reassembly,
                                   const struct sctp_data *data);
/** Messages of the stream up to this one will not come any more. */
void sctp_reassembly_skip(struct sctp_reassembly *reassembly, bool interleaved,
                          const struct sctp_skip *skip);
/** Fragments of unordered DATA messages up to this TSN will not come any more. */
void sctp_reassembly_forward(struct sctp_reassembly *reassembly, uint32_t tsn);
/** The stream starts again. Returns whether anything ever came on it. */
bool sctp_reassembly_reset(struct sctp_reassembly *reassembly, uint16_t stream);
