/**
 * One SCTP association over DTLS (RFC 9260, RFC 8261), as data channels use it: partial reliability
 * (RFC 3758), interleaving of messages (RFC 8260), reset of streams (RFC 6525), packets without
 * checksum (RFC 9653). One path, no I/O, no clock.
 *
 * Both sides may call sctp_connect at once: the handshakes meet (RFC 9260, 5.2.1). Messages go in
 * and out as blobs and are never copied whole on their way out. What the other side can make us
 * hold is bounded: by the announced window what it sends, by `send_capacity` what it does not
 * acknowledge.
 */
#pragma once

#include "base/blob.h"
#include "base/metric.h"
#include "base/random.h"
#include "base/time.h"
#include "proto/sctp/sctp_chunk.h"

/** Largest packet that is sent. */
#define SCTP_PACKET_SIZE_MAX 1200

/** What is counted, and why packets and chunks were dropped. */
enum sctp_metric {
#define METRIC(id, kind, name, labels, help) SCTP_METRIC_##id,
#include "proto/sctp/sctp_metrics.def"
#undef METRIC
    SCTP_METRIC_COUNT,
};
extern const struct metric_description sctp_metric_descriptions[SCTP_METRIC_COUNT];

struct sctp_config {
    uint16_t local_port;
    uint16_t remote_port;
    uint16_t streams;          /**< in each direction, at most */
    uint16_t packet_size;      /**< of packets sent, at most; 0: SCTP_PACKET_SIZE_MAX */
    uint32_t receive_window;   /**< bytes held for the application and until messages are whole */
    uint32_t send_capacity;    /**< bytes taken and not acknowledged */
    uint32_t message_size_max; /**< of messages received; at most half of `receive_window` */
    struct sctp_features features; /**< what is offered */
    struct random *random;
    metric_value *metrics; /**< SCTP_METRIC_COUNT values of this thread; may be NULL */
};

enum sctp_event_kind {
    SCTP_ESTABLISHED,
    SCTP_RESTARTED, /**< the other side began anew: all streams are as at the start */
    SCTP_MESSAGE,
    SCTP_MESSAGE_TOO_LONG, /**< one on `stream` was longer than `message_size_max`; it is dropped */
    SCTP_STREAM_RESET,     /**< the other side's direction of `stream` starts again */
    SCTP_STREAM_RESET_DONE, /**< ours does, or the other side refuses that */
    SCTP_CLOSED,            /**< for good: `reason` is a sentence, NULL after an orderly shutdown */
};

struct sctp_event {
    enum sctp_event_kind kind;
    uint16_t stream;
    bool unordered;
    uint32_t ppid;        /**< payload protocol identifier, as sent */
    struct blob *message; /**< a reference for the caller */
    const char *reason;   /**< a constant */
};

/** A message to send. */
struct sctp_message {
    uint16_t stream;
    bool unordered;
    uint32_t ppid;
    uint32_t retransmits_max; /**< UINT32_MAX: no limit */
    uint64_t lifetime_us;     /**< 0: no limit */
    struct blob *content;     /**< not empty */
};

struct sctp;

/** Never NULL. Waits for the other side's INIT. */
struct sctp *sctp_new(const struct sctp_config *config);
/** Accepts NULL; returns NULL. */
struct sctp *sctp_free(struct sctp *sctp);
/** Sends INIT with the next output, unless the association exists already. */
void sctp_connect(struct sctp *sctp);

/**
 * Takes one packet. Returns 0, or a negative errno when it was dropped (counted): -EINVAL
 * malformed, -EBADMSG wrong checksum, -EACCES wrong ports or tag, -EPIPE after the end.
 */
int sctp_input(struct sctp *sctp, uint64_t now_us, struct bytes packet);
void sctp_tick(struct sctp *sctp, uint64_t now_us);
/** When sctp_tick or sctp_output has something to do; 0: there is a packet to send now. */
uint64_t sctp_deadline(const struct sctp *sctp);
/**
 * Writes the next packet to send; `out` has room for SCTP_PACKET_SIZE_MAX bytes. Returns its size,
 * 0 when there is none. Timers start when packets go out: without output nothing times out.
 */
size_t sctp_output(struct sctp *sctp, uint64_t now_us, uint8_t *out);
/** The next event; false when there is none. What is not fetched fills the receive window. */
bool sctp_event(struct sctp *sctp, struct sctp_event *ret_event);

/**
 * Queues a message; a reference to its content is taken. Returns 0; -ENOTCONN before and after the
 * association, -ENOENT when there is no such stream, -EBUSY while it is reset, -EMSGSIZE when it is
 * empty or longer than `send_capacity`, -EAGAIN when too much waits already.
 */
must_check int sctp_send(struct sctp *sctp, uint64_t now_us, const struct sctp_message *message);
/** Share of a stream (RFC 8831, 6.4); 256 is the share of one that was never set. */
void sctp_set_weight(struct sctp *sctp, uint16_t stream, uint16_t weight);
/**
 * Starts our direction of the stream again once all its messages have arrived or been given up.
 * Messages are refused until SCTP_STREAM_RESET_DONE. Returns 0, -ENOTCONN, -ENOENT, or -EALREADY.
 */
must_check int sctp_reset_stream(struct sctp *sctp, uint16_t stream);
/** Bytes of messages taken and neither acknowledged nor given up. */
size_t sctp_buffered(const struct sctp *sctp);
/** Streams in our direction; 0 before the association exists. */
uint16_t sctp_streams(const struct sctp *sctp);
/** Extensions that both sides speak; nothing before the association exists. */
struct sctp_features sctp_features(const struct sctp *sctp);

/** Ends the association when all messages have arrived; nothing more is taken from now on. */
void sctp_shutdown(struct sctp *sctp);
/** Ends it at once: ABORT goes with the next output. */
void sctp_abort(struct sctp *sctp);
