/**
 * The inside of TURN's streams.
 *
 *     turn_streams.c       the set of one worker: ends of turns, goodbyes, what control is told
 *     turn_stream.c        one connection: its first bytes, framing, moving to another worker
 *     turn_stream_send.c   towards the client: direct while it keeps up, else the queue
 *     turn_tcp_relay.c     data connections (RFC 6062)
 */
#pragma once

#include "base/list.h"
#include "runtime/loop.h"
#include "runtime/stream.h"
#include "server/turn_queue.h"
#include "server/turn_stream.h"

struct turn_tcp_connection;

/** What a client without allocation may make us hold: requests are some hundred bytes. */
#define TURN_STREAM_STRANGER_BYTES 4096u
/** The largest message: a STUN header and 64 KiB behind it, and another message's begin. */
#define TURN_STREAM_CLIENT_BYTES (68u << 10)
/** Answers that a client may leave unread. */
#define TURN_STREAM_ANSWER_BYTES (64u << 10)
/** How long a client that we leave may take for the last words. */
#define TURN_STREAM_FAREWELL_US time_from_s(2)

/** Who vanishes without a word is noticed by the kernel: it asks the silent ones. */
#define TURN_STREAM_KEEPALIVE_IDLE_S     60
#define TURN_STREAM_KEEPALIVE_INTERVAL_S 15

enum turn_stream_phase {
    TURN_STREAM_PROXY,    /**< a PROXY header comes */
    TURN_STREAM_FIRST,    /**< TLS or STUN? */
    TURN_STREAM_SECURE,   /**< the handshake, then STUN */
    TURN_STREAM_MESSAGES, /**< STUN and ChannelData */
    TURN_STREAM_PIPE,     /**< bytes of a peer (RFC 6062); `pipe` has taken over when it flows */
};

struct turn_stream {
    struct turn_carrier carrier; /**< first: turn_source.carrier points here */
    struct turn_streams *streams;
    struct list node;      /**< of all streams */
    struct list dirty;     /**< in streams->dirty while something is to be done at the turn's end */
    struct stream *stream; /**< NULL: it has moved */
    struct turn_source source;
    struct turn_allocation *cache;
    struct turn_connection_origin origin;
    struct loop_timer timer;
    enum turn_stream_phase phase;
    struct turn_tcp_connection *pipe;

    struct turn_queue answers; /**< STUN messages: before all data, never dropped */
    struct turn_queue data;
    uint32_t handed; /**< bytes written since the last flush */
    bool corked;     /**< and not flushed */
    bool blocked;    /**< the kernel takes no more: `writable` will come */

    bool allocated;  /**< an answer has said so */
    bool lost;       /**< the allocation has ended; an answer to a Refresh is no new one */
    bool peer_ended; /**< it sends no more */
    bool flowing;    /**< `pipe` has the stream's events: no messages any more */
    bool closing;    /**< nothing is read or written any more; done at the turn's end */
    bool orderly;    /**< with the last words */
    bool left;       /**< the engine knows */
    bool finishing;  /**< stream_finish was called */
    bool dead;       /**< no stream is left */
};

struct turn_streams {
    struct turn_worker *turn;
    struct turn_stream_options options; /**< with defaults */
    struct list all;
    struct list dirty;
    struct list untold; /**< ended, and the control thread was too busy to hear of it */
    struct loop_task task;
    struct loop_timer retry;
    uint8_t *record; /**< where a message becomes one piece for TLS; NULL until there is a client */
    metric_value metrics[TURN_STREAM_METRIC_COUNT];
};

static inline void turn_stream_count(struct turn_streams *streams, enum turn_stream_metric metric)
{
    metric_add(&streams->metrics[metric], 1);
}

// turn_streams.c
/** Something is to be done with the stream at the end of the turn. */
void turn_stream_touch(struct turn_stream *stream);
/** Forgets the stream's slots of the engine and control, and frees it. */
void turn_stream_free(struct turn_stream *stream);

// turn_stream.c
extern const struct stream_handler turn_stream_handler;
/** A stream in the set, of nothing yet. */
struct turn_stream *turn_stream_new(struct turn_streams *streams,
                                    const struct turn_connection_origin *origin);
/** The stream that carries a client, or NULL when it is none. */
struct turn_stream *turn_stream_of(const struct turn_source *source);
/**
 * The connection ends, counted as `reason`. Nothing is freed before the end of the turn, so this
 * may be called from anywhere. The first call counts.
 */
void turn_stream_end(struct turn_stream *stream, enum turn_stream_metric reason, bool orderly);
/** The same when there is no stream left, or its end has been seen. */
void turn_stream_end_dead(struct turn_stream *stream, enum turn_stream_metric reason);

// turn_stream_send.c
extern const struct turn_carrier_ops turn_stream_ops;
/** Sends what the turn wrote, and what waits as far as the kernel takes it. */
void turn_stream_settle(struct turn_stream *stream);
/** The kernel has taken all that was handed to it. */
void turn_stream_writable(struct turn_stream *stream);
/** Hands all answers to the stream and uncorks it: before it is finished or moved. */
void turn_stream_hand_over(struct turn_stream *stream);
/** Forgets what waits. */
void turn_stream_drop_queues(struct turn_stream *stream);

// turn_tcp_relay.c
/** The answer to ConnectionBind is out: bytes flow. */
void turn_tcp_connection_start(struct turn_tcp_connection *connection);
/** The client's stream of a bound connection is about to be freed. */
void turn_tcp_connection_client_gone(struct turn_tcp_connection *connection);
