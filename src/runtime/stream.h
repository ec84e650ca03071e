/**
 * Byte streams: one interface over TCP (tcp.h) and TLS over TCP (secure_stream.h), so that HTTP,
 * WebSocket and TURN need not know which.
 *
 * Reading: arriving bytes collect in the stream's input buffer; `readable` tells, stream_input
 * shows them all (that is how protocols peek), stream_consume removes some. When the buffer is
 * full the stream stops reading, so an owner that consumes nothing slows its peer down.
 *
 * Writing: stream_write takes all bytes or none into the output buffer. Above the high-water mark
 * stream_congested is true: stop producing, `writable` comes when the buffer has drained to a
 * quarter.
 *
 * Life: after `closed` no other event comes; the owner calls stream_close, then or any time
 * before, and the stream is gone. Every stream op may be called inside every handler.
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"
#include "runtime/loop.h"

struct stream;

enum stream_close_reason {
    STREAM_ENDED,     /**< both directions ended in order */
    STREAM_RESET,     /**< connection reset, or network error (`error` tells) */
    STREAM_TIMED_OUT, /**< the deadline passed */
    STREAM_TLS_FAILED /**< handshake or record error */
};

/** All but `readable` and `closed` may be NULL. */
struct stream_handler {
    /** Connected, or the TLS handshake is done. Not sent for accepted plain TCP streams. */
    void (*opened)(void *owner, struct stream *stream);
    /** New bytes are in the input. */
    void (*readable)(void *owner, struct stream *stream);
    /** The peer sends no more (FIN, close_notify). Input may be left. NULL: stream_finish, 10 s. */
    void (*ended)(void *owner, struct stream *stream);
    /** Room again after stream_congested, or all was written after stream_notify_drained. */
    void (*writable)(void *owner, struct stream *stream);
    /** The stream is dead; `error` is 0 or a negative errno. Call stream_close. */
    void (*closed)(void *owner, struct stream *stream, enum stream_close_reason reason, int error);
};

struct stream_limits {
    size_t input_bytes;      /**< 0: 64 KB */
    size_t output_bytes;     /**< hard limit of stream_write; 0: 4 MB */
    size_t high_water_bytes; /**< 0: 256 KB */
};

/** Replaces the owner: when a protocol takes over a stream another one has opened. */
void stream_set_handler(struct stream *stream, const struct stream_handler *handler, void *owner);
struct net_address stream_remote(const struct stream *stream);
struct net_address stream_local(const struct stream *stream);
/** New limits (0 and NULL as at the start); what is in the buffers already stays. */
void stream_set_limits(struct stream *stream, const struct stream_limits *limits);
/** Whether bytes are protected by TLS on the wire. */
bool stream_is_secure(const struct stream *stream);
/** The ALPN protocol chosen in the TLS handshake, or "". */
const char *stream_alpn(const struct stream *stream);

/** Everything received and not consumed; valid until the next call on this stream. */
struct bytes stream_input(const struct stream *stream);
/** Removes `size` bytes from the front of the input. */
void stream_consume(struct stream *stream, size_t size);
/** Stops or resumes reading from the peer (hang-ups are still noticed when writing). */
void stream_pause(struct stream *stream, bool paused);

/**
 * Queues all bytes and sends what the kernel takes now. Returns 0, -ENOSPC (beyond the hard limit;
 * nothing was taken: a peer that does not read; close it) or -EPIPE (finished or dead).
 */
must_check int stream_write(struct stream *stream, struct bytes bytes);
/** Collects writes until uncork and sends them together; nests. */
void stream_cork(struct stream *stream);
void stream_uncork(struct stream *stream);
/**
 * Over TLS each stream_write becomes a record of its own, corked or not, and corking collects
 * records: for protocols with peers that take a record for a message. Not while corked. Nothing
 * for TCP.
 */
void stream_set_record_per_write(struct stream *stream, bool apart);
/** Bytes written and not yet taken by the kernel. */
size_t stream_unsent(const struct stream *stream);
bool stream_congested(const struct stream *stream);
/** Asks for one `writable` when everything written has gone to the kernel. */
void stream_notify_drained(struct stream *stream);

/** When the stream dies with STREAM_TIMED_OUT; TIME_NEVER: no deadline. Move it as you like. */
void stream_set_deadline(struct stream *stream, uint64_t deadline_us);
/**
 * The end of our direction: sends what is queued, then FIN (close_notify first for TLS); nothing
 * can be written any more. Input goes on. When the peer has ended too, `closed` comes with
 * STREAM_ENDED; the input may still hold bytes then, and stream_input shows them.
 */
void stream_end_output(struct stream *stream);
/**
 * Orderly end: sends what is queued, then FIN (close_notify first for TLS). What still arrives is
 * thrown away, so that the peer reads our last words before a reset could destroy them. `closed`
 * is the only event that follows: when the peer has ended too, or after `timeout_us`.
 */
void stream_finish(struct stream *stream, uint64_t timeout_us);
/** The end of the object: no handler is called again. Accepts NULL; returns NULL. */
struct stream *stream_close(struct stream *stream);

/**
 * Moving to another thread: detach takes the stream out of its loop as a parcel (descriptor, TLS
 * state, buffered bytes both ways) and ends `stream`; send the pointer in a message; the receiver
 * attaches it to its loop. `readable` is deferred at once when input is waiting.
 */
struct stream_parcel;
struct stream_parcel *stream_detach(struct stream *stream);
/** Returns 0, or a negative errno with the parcel freed and its connection closed. */
must_check int stream_attach(struct stream_parcel *parcel, struct loop *loop,
                             const struct stream_handler *handler, void *owner,
                             struct stream **ret_stream);
/** Closes what nobody attached. Accepts NULL. */
void stream_parcel_free(struct stream_parcel *parcel);
