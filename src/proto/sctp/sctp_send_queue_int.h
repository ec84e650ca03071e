/**
 * Messages that wait to be sent, by stream, and whose turn it is: streams share by weight
 * (RFC 8260, 3.6: weighted fair queueing), chunk by chunk where chunks may be interleaved, else
 * message by message. Private to this folder.
 */
#pragma once

#include "base/list.h"
#include "proto/sctp/sctp.h"

#define SCTP_WEIGHT_DEFAULT 256
/** What a message is charged with besides its bytes. */
#define SCTP_MESSAGE_COST 128

/** A message, from sctp_send until its last chunk is acknowledged or given up. */
struct sctp_outgoing {
    struct list node; /**< in its stream, until all of it is in chunks */
    struct sctp_out_stream *stream;
    struct blob *content;
    uint32_t size;
    uint32_t sent; /**< bytes that are in chunks */
    uint32_t ppid;
    bool unordered;
    uint32_t number;    /**< within the stream, once `sent` > 0 */
    uint32_t fragments; /**< chunks made */
    uint32_t chunks;    /**< of them not acknowledged yet */
    uint32_t first_tsn; /**< once `sent` > 0 */
    uint32_t retransmits_max;
    uint64_t expires_us;
};

enum sctp_stream_reset {
    SCTP_STREAM_OPEN,
    SCTP_STREAM_RESET_WANTED,
    SCTP_STREAM_RESET_REQUESTED,
};

struct sctp_out_stream {
    struct list node; /**< among those with something to send */
    struct list messages;
    uint16_t id;
    uint16_t weight;
    enum sctp_stream_reset reset;
    uint32_t alive; /**< messages not yet done with */
    uint64_t turn;  /**< the lowest is served next */
    uint32_t next_ordered;
    uint32_t next_unordered;
};

struct sctp_send_queue {
    struct sctp_out_stream **streams; /**< heap, by stream; NULL where nothing was sent */
    uint32_t stream_count;            /**< places in `streams` */
    struct list active;
    struct sctp_out_stream *in_message; /**< its message must be finished before another begins */
    bool interleaving;
    uint64_t turn; /**< of the stream served last */
    size_t capacity;
    size_t buffered; /**< bytes of messages */
    size_t messages;
};

void sctp_send_queue_init(struct sctp_send_queue *queue, size_t capacity);
/** Drops what waits. Messages with chunks under way must be gone (sctp_flight_done). */
void sctp_send_queue_done(struct sctp_send_queue *queue);
/** The stream's state, made when it was not there. */
struct sctp_out_stream *sctp_send_queue_stream(struct sctp_send_queue *queue, uint16_t stream);
/** Returns 0, -EBUSY, -EMSGSIZE or -EAGAIN as sctp_send does. */
must_check int sctp_send_queue_add(struct sctp_send_queue *queue, uint64_t now_us,
                                   const struct sctp_message *message);
/** The message whose turn it is; NULL when nothing waits. */
struct sctp_outgoing *sctp_send_queue_next(const struct sctp_send_queue *queue);
/** The next `size` bytes of that message are in a chunk with number `tsn`. */
void sctp_send_queue_take(struct sctp_send_queue *queue, struct sctp_outgoing *message,
                          uint32_t size, uint32_t tsn);
/** What of the message is not in chunks will never be; it is freed when it has no chunks. */
void sctp_send_queue_give_up(struct sctp_send_queue *queue, struct sctp_outgoing *message);
/** A chunk of the message, `size` bytes, is done with; the last one frees it. */
void sctp_send_queue_chunk_done(struct sctp_send_queue *queue, struct sctp_outgoing *message,
                                uint32_t size);
