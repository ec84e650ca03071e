/** Shared by the data_*.c files only. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/time.h"
#include "room/data_hub.h"

#define DATA_WORKER_WORDS (TRACK_WORKERS_MAX / 64)

/** A set of workers. */
struct data_workers {
    uint64_t words[DATA_WORKER_WORDS];
};

struct data_hub {
    struct data_hub_config config;
    struct map peers;       /**< session -> struct data_peer */
    struct map labels;      /**< name -> struct data_label */
    struct map remotes;     /**< number -> struct data_remote */
    uint64_t last_number;   /**< of a channel */
    struct list changed;    /**< labels whose receivers may have room again, or are fewer */
    struct list untold;     /**< channels of which some worker has to hear */
    struct list doomed;     /**< channels that are to be closed at the end of the call */
    struct list backlogged; /**< peers with a backlog */
    struct list waiting;    /**< peers whose message waits for room in a worker's queue */
    struct list twinless;   /**< labels of calls' channels without twin, by their deadlines */
    size_t backlog_bytes;
    metric_value metrics[DATA_METRIC_COUNT];
};

/** Of the label of a call's channel. */
enum data_twin {
    DATA_TWIN_NONE,   /**< there is none: the label is of a room, or nobody took the twin */
    DATA_TWIN_WANTED, /**< the other side is not there yet */
    DATA_TWIN_UNSAID, /**< it was refused, and the opener's worker has not heard of it */
    DATA_TWIN_MADE,   /**< there is one, or was */
};

/** The channels of a room with one label and protocol, or a call's channel and its twin. */
struct data_label {
    struct blob *name;
    struct list changed;
    struct list locals;  /**< struct data_channel */
    struct list remotes; /**< struct data_remote */
    struct list held;    /**< peers whose message waits until one of these has room */
    enum data_twin twin;
    uint64_t twin_deadline_us; /**< until then it is waited for */
    struct list twinless;      /**< in the hub's, while there may be one */
};

/** A session of this worker. */
struct data_peer {
    handle session;
    struct data_member member;
    struct list channels;
    bool slow;
    size_t backlog_bytes;
    uint32_t backlog_messages;
    uint64_t progress_us; /**< when its backlog last became smaller, or began */
    struct list backlogged;
    struct data_parcel *held; /**< what it sent and nobody could take; NULL: it is read */
    bool held_sent;           /**< but for the workers in `held_for` */
    struct data_workers held_for;
    struct list held_node; /**< in a label's `held`, or the hub's `waiting` */
    struct data_stats stats;
};

/** A message that waits for its receiver. */
struct data_queued {
    struct list node;
    struct blob *message;
    bool text;
};

/** A channel of this worker. After it has gone it stays until the other workers know. */
struct data_channel {
    uint64_t number;
    uint16_t stream;
    struct data_peer *peer;   /**< NULL: gone */
    struct data_label *label; /**< NULL: gone */
    struct list by_peer;
    struct list by_label;
    struct list untold;
    struct list doomed;
    enum data_metric doom; /**< why, while in that list */
    bool reliable;
    bool envelope;
    bool negotiated;
    bool used;                /**< its client has sent something over it */
    bool ending;              /**< its twin has gone: it is closed behind its backlog */
    struct list backlog;      /**< struct data_queued */
    struct data_workers here; /**< who knows of it */
    struct data_workers slow; /**< and takes it for slow */
};

/** A channel of another worker. */
struct data_remote {
    uint64_t number;
    uint16_t worker;
    bool slow;
    char member[DATA_MEMBER_SIZE];
    struct data_label *label;
    struct list by_label;
};

static inline void data_count(struct data_hub *hub, enum data_metric metric, uint64_t amount)
{
    metric_add(&hub->metrics[metric], amount);
}

static inline bool data_workers_have(const struct data_workers *workers, uint16_t worker)
{
    return workers->words[worker / 64] >> (worker % 64) & 1;
}

static inline void data_workers_set(struct data_workers *workers, uint16_t worker, bool in)
{
    uint64_t bit = UINT64_C(1) << (worker % 64);
    if (in)
        workers->words[worker / 64] |= bit;
    else
        workers->words[worker / 64] &= ~bit;
}

// data_hub.c
struct data_peer *data_peer_find(const struct data_hub *hub, handle session);
struct data_label *data_label_find(const struct data_hub *hub, const struct blob *name);
struct data_channel *data_channel_find(const struct data_peer *peer, uint16_t stream);
/** The label of that name, made when there is none. */
struct data_label *data_label_get(struct data_hub *hub, struct blob *name);
/** Its receivers may have room again, or are fewer: looked at in data_settle. */
void data_label_changed(struct data_hub *hub, struct data_label *label);
/** A channel of the peer, among those of the label. */
struct data_channel *data_channel_add(struct data_hub *hub, struct data_peer *peer, uint16_t stream,
                                      struct data_label *label,
                                      const struct rtc_data_channel *channel);
/** Closes the channel at the end of the call; until then it gets nothing more. */
void data_channel_doom(struct data_hub *hub, struct data_channel *channel, enum data_metric why);
static inline bool data_channel_is_doomed(const struct data_channel *channel)
{
    return !list_empty(&channel->doomed);
}
/** The end of each call from outside: what it made due. Channels and labels end only here. */
void data_settle(struct data_hub *hub, uint64_t now_us);

// data_presence.c: what workers know of each other's channels
/** Tells the other workers what they do not know yet; frees a gone channel once they all do. */
void data_channel_tell(struct data_hub *hub, struct data_channel *channel);
void data_tell_again(struct data_hub *hub);
void data_remote_free(struct data_hub *hub, struct data_remote *remote);

// data_twin.c: channels of calls
/** A label has become known here: of a call's channel, its twin is looked after. */
void data_twin_label(struct data_hub *hub, uint64_t now_us, struct data_label *label);
/** Opens the twin if it is for this worker, and ends what has lost its twin. */
void data_twin_settle(struct data_hub *hub, uint64_t now_us, struct data_label *label);
/** The client does not know of the negotiated channel that it has here: its twin stays alone. */
void data_twin_unknown(struct data_hub *hub, struct data_label *label);
/** Another worker could not make the twin. */
void data_twin_refused(struct data_hub *hub, const struct blob *name);
/** Tries again, or gives up. */
void data_twin_tick(struct data_hub *hub, uint64_t now_us);

// data_backlog.c: the receiver's side
/** Gives a message to the receiver, or its backlog; one that may get lost goes or is dropped. */
void data_channel_send(struct data_hub *hub, uint64_t now_us, struct data_channel *channel,
                       struct blob *message, bool text, bool droppable);
/** Gives the receiver as much of its backlog as it takes now. */
void data_peer_flush(struct data_hub *hub, uint64_t now_us, struct data_peer *peer);
void data_channel_drop_backlog(struct data_hub *hub, struct data_channel *channel);
/** Dooms the channels of receivers that take nothing any more. */
void data_find_stalled(struct data_hub *hub, uint64_t now_us);

// data_route.c: the sender's side
/** Tries to send on what the peer's messages wait for. */
void data_peer_retry(struct data_hub *hub, uint64_t now_us, struct data_peer *peer);
/** Forgets what the peer's messages wait for. */
void data_peer_drop_held(struct data_peer *peer);
