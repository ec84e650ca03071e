/** What the kinds of streams share: stream.c drives, tcp_stream.c and secure_stream.c implement. */
#pragma once

#include "runtime/buffer.h"
#include "runtime/stream.h"

struct stream_kind {
    size_t size; /**< of the whole struct, which begins with its `struct stream` */
    bool secure;
    /** Hands bytes to the level below; returns how many it took now. Failure: stream_die, 0. */
    size_t (*take)(struct stream *stream, struct bytes bytes);
    /** Input room, pause or pending output changed. Gives no event. */
    void (*update)(struct stream *stream);
    /** Work that `update` put off with stream_defer(STREAM_DEFERRED_WORK). May be NULL. */
    void (*work)(struct stream *stream);
    /** All output was taken and no more comes. */
    void (*end_output)(struct stream *stream);
    /** Taken output that the kernel does not have yet. */
    size_t (*unsent_below)(const struct stream *stream);
    /** Frees what the kind owns; afterwards it owns nothing. */
    void (*release)(struct stream *stream);
    /** Out of the loop, and into `stream->loop` again. */
    void (*detach)(struct stream *stream);
    int (*attach)(struct stream *stream);
    const char *(*alpn)(const struct stream *stream);
    /** Of the two ends, ours or the peer's. */
    struct net_address (*address)(const struct stream *stream, bool ours);
    /** The stream that this one runs over; NULL for TCP itself. */
    struct stream *(*below)(const struct stream *stream);
};

enum stream_deferred {
    STREAM_DEFERRED_READABLE = 1,
    STREAM_DEFERRED_WRITABLE = 2,
    STREAM_DEFERRED_WORK = 4,
    STREAM_DEFERRED_CLOSED = 8,
};

/** Only streams that have a deadline have one. */
struct stream_deadline {
    struct loop_timer timer;
    struct stream *stream;
};

/** There are as many as clients, and most have nothing to do: what is seldom is not in here. */
struct stream {
    const struct stream_kind *kind;
    struct loop *loop;
    const struct stream_handler *handler;
    void *owner;
    struct buffer input;
    struct buffer output;
    struct stream_deadline *deadline; /**< NULL: it may live for ever */
    struct loop_task task;
    uint32_t high_water_bytes;
    int error;
    uint16_t busy; /**< frames of ours on the stack that use the stream */
    uint16_t corked;
    uint8_t deferred;          /**< set of enum stream_deferred */
    uint8_t reason;            /**< enum stream_close_reason */
    bool record_per_write : 1; /**< corking is for the stream below */
    bool opened : 1;           /**< connected, handshake done */
    bool paused : 1;           /**< by the owner */
    bool peer_ended : 1;       /**< nothing more comes in */
    bool ended_told : 1;
    bool finishing : 1;     /**< the owner wants nothing more */
    bool output_ending : 1; /**< the owner writes no more */
    bool output_ended : 1;  /**< and all of it was taken */
    bool congested : 1;     /**< `writable` is owed when drained to a quarter */
    bool drain_wanted : 1;  /**< `writable` is owed when all is gone */
    bool dead : 1;
    bool closed : 1;  /**< by the owner: freed when `busy` ends */
    bool hung_up : 1; /**< TCP: seen while not reading. Not watched: it would be told every turn */
};

/** Fills in the common part of a zeroed stream of some kind. */
void stream_init(struct stream *stream, const struct stream_kind *kind, struct loop *loop,
                 const struct stream_limits *limits, const struct stream_handler *handler,
                 void *owner);
/** Around code that gives events: the stream's memory stays until the matching leave. */
void stream_enter(struct stream *stream);
void stream_leave(struct stream *stream);
/** Whether events may still be given. */
static inline bool stream_alive(const struct stream *stream)
{
    return !stream->dead && !stream->closed;
}
/** No input, no output from now on; `closed` follows as a deferred event. The first call counts. */
void stream_die(struct stream *stream, enum stream_close_reason reason, int error);
void stream_defer(struct stream *stream, unsigned deferred);
/** Whether the kind should collect input now. */
bool stream_wants_input(const struct stream *stream);
/** Gives pending output to the kind; ends it when finishing. Gives no event. */
void stream_flush(struct stream *stream);
/** Events, each only where due. Call them between enter and leave. */
void stream_tell_opened(struct stream *stream);
/** `grown`: input has new bytes. They are thrown away while finishing. */
void stream_tell_input(struct stream *stream, bool grown);
void stream_tell_writable(struct stream *stream);
