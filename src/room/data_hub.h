/**
 * Data messages of one worker's rooms: the channels that members have opened here, those of other
 * workers as far as they matter, and the way of each message from its sender to those who get it.
 *
 * A message goes to every other member of the room that opened a channel with the same label and
 * protocol. On channels with the envelope of data_envelope.h it may name the members it is for.
 *
 * Nobody waits for the slowest. What a receiver does not take at once waits in a backlog of its
 * own. A reliable sender is read on as long as one of those whom its message is for keeps up; when
 * all of them are slow, the message is held and the sender is not read until one has caught up, so
 * that its own transport slows it down. Who falls behind DATA_BACKLOG_MAX, or takes nothing for
 * DATA_STALL_US, loses the channel. Unreliable messages do not wait at all.
 *
 * In a call a channel has a twin on the other side, which the hub opens with the same label,
 * protocol and reliability: what comes over one goes out over the other, and both end together.
 * Messages wait until the twin is there, for DATA_TWIN_WAIT_US at most; then the channel ends here.
 * So does a negotiated one of whose stream the other side has made another use.
 *
 * No I/O: transports are reached through the operations table.
 */
#pragma once

#include "room/data_parcel.h"
#include "room/track.h"
#include "rtc/data.h"

struct data_hub;
struct data_peer;

enum data_metric {
#define METRIC(id, kind, name, labels, help) DATA_METRIC_##id,
#include "room/data_metrics.def"
#undef METRIC
    DATA_METRIC_COUNT,
};

extern const struct metric_description data_metric_descriptions[DATA_METRIC_COUNT];

/** A receiver with more backlog is slow, until little of it is left. */
#define DATA_SLOW_BYTES  (512 * 1024)
#define DATA_READY_BYTES (128 * 1024)
/** The most that waits for one receiver, in bytes and messages, over all its channels. */
#define DATA_BACKLOG_MAX          (8 * 1024 * 1024)
#define DATA_BACKLOG_MESSAGES_MAX 65536
/** And for all receivers of a worker: then the one who is furthest behind goes. */
#define DATA_BACKLOG_ALL_MAX (256 * 1024 * 1024)
/** A receiver that takes nothing of its backlog for so long has stalled. */
#define DATA_STALL_US (10 * TIME_US_PER_S)
/** How long a channel of a call waits for its twin: as long as a side may take to connect. */
#define DATA_TWIN_WAIT_US (30 * TIME_US_PER_S)

enum data_message_kind {
    DATA_CHANNEL_HERE,  /**< a channel was opened on `worker`: channel, member, name */
    DATA_CHANNEL_GONE,  /**< and is gone: channel */
    DATA_CHANNEL_SLOW,  /**< its receiver does not keep up: channel */
    DATA_CHANNEL_READY, /**< and does again: channel */
    DATA_PARCEL,        /**< parcel, for channels of the receiving worker */
    DATA_TWIN_REFUSED,  /**< the other side of a call takes no channel of this name: name */
};

/** What workers tell each other. By value; `name` and `parcel` are references for the receiver. */
struct data_message {
    enum data_message_kind kind;
    uint16_t worker;  /**< who says it */
    uint64_t channel; /**< a number that is used once in the whole process */
    char member[DATA_MEMBER_SIZE];
    struct blob *name;
    struct data_parcel *parcel;
};

struct data_hub_ops {
    /** rtc_peer_data_send: 0, -EAGAIN, -EMSGSIZE, or another error when the channel is gone. */
    int (*send)(void *owner, uint64_t now_us, handle session, uint16_t stream, struct blob *message,
                bool text);
    /** rtc_peer_data_open: 0, -ENOTCONN or -EAGAIN when it may go later, or another error. */
    int (*open)(void *owner, uint64_t now_us, handle session,
                const struct rtc_data_channel *channel, uint16_t *ret_stream);
    /** Closes a channel that a receiver loses; the hub has forgotten it. */
    void (*close)(void *owner, handle session, uint16_t stream);
    /** A session has something to send, or its messages may be read again. */
    void (*wake)(void *owner, handle session);
    /** Sends a message to another worker's hub. False when it cannot be queued now: the references
     *  in it are then still the hub's. */
    bool (*to_worker)(void *owner, uint16_t worker, const struct data_message *message);
};

struct data_hub_config {
    uint16_t worker; /**< our index */
    uint16_t worker_count;
    const struct data_hub_ops *ops;
    void *owner;
};

/** Who a session belongs to. */
struct data_member {
    uint64_t room;             /**< its number; 0: in no room */
    handle call;               /**< the session of the other side; 0: in no call */
    char id[DATA_MEMBER_SIZE]; /**< by which it is addressed, and named as sender */
    bool may_send;
};

struct data_hub *data_hub_new(const struct data_hub_config *config);
/** All peers must have been removed. Accepts NULL; returns NULL. */
struct data_hub *data_hub_free(struct data_hub *hub);
struct metric_set data_hub_metrics(const struct data_hub *hub, const char *labels);

/** The session's place in the hub, for data_hub_reads and data_hub_serve; valid until it is
 * removed. */
struct data_peer *data_hub_peer_add(struct data_hub *hub, handle session,
                                    const struct data_member *member);
/** Before the session is forgotten: its channels are gone. */
void data_hub_peer_remove(struct data_hub *hub, uint64_t now_us, handle session);
/** Whether what the member sends is passed on. */
void data_hub_permit(struct data_hub *hub, handle session, bool may_send);

/** A member opened a channel (RTC_DATA_OPENED, but for those of `open`). */
void data_hub_opened(struct data_hub *hub, uint64_t now_us, handle session, uint16_t stream,
                     const struct rtc_data_channel *channel);
/** A channel is gone; unknown ones are ignored. */
void data_hub_closed(struct data_hub *hub, uint64_t now_us, handle session, uint16_t stream);
/** A member sent a message; the reference is taken over. Only while data_hub_reads is true. */
void data_hub_input(struct data_hub *hub, uint64_t now_us, handle session, uint16_t stream,
                    bool text, struct blob *message);
/** Whether the next message of the session may be given to the hub now; `wake` says when again. */
bool data_hub_reads(const struct data_peer *peer);
/** The session's transport may have room again: its backlog goes on. */
void data_hub_serve(struct data_hub *hub, uint64_t now_us, struct data_peer *peer);

/** To those of this worker whom a parcel is for. The reference stays the caller's. */
void data_hub_deliver(struct data_hub *hub, uint64_t now_us, struct data_parcel *parcel);
/** A message of another worker's hub; takes over its references. */
void data_hub_message_input(struct data_hub *hub, uint64_t now_us,
                            const struct data_message *message);
/** Frees what a message that nobody will handle carries. */
void data_message_discard(const struct data_message *message);
/** Stalled receivers, twins, what could not be said to other workers; call about every 20 ms. */
void data_hub_tick(struct data_hub *hub, uint64_t now_us);

/** What one member's channels did, for statistics. */
struct data_stats {
    uint32_t channels;
    uint64_t messages_in, bytes_in;
    uint64_t messages_out, bytes_out;
    uint64_t dropped;       /**< unreliable messages for it that had no room */
    uint64_t backlog_bytes; /**< that wait for it here */
    bool held;              /**< what it sends is held back now */
};

/** Zeros for a session that is not here. */
struct data_stats data_hub_stats(const struct data_hub *hub, handle session);
