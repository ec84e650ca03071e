/**
 * ICE over TCP (RFC 6544, passive candidates) on one worker: connections whose first frame is an
 * authentic STUN check of a session become paths of that session. Packets are framed by two bytes
 * of length (RFC 4571). A path over a connection has `stream` set in its addresses, so that engines
 * and tables treat it like any other and never mix it up with UDP between the same ports.
 *
 *     control thread: accepted, first bytes look like ICE -> any worker: whose check is it?
 *         -> the worker that owns the session
 *
 * Towards the client whole packets wait in a queue bounded in time: late media is dropped, oldest
 * first, and counted. What strangers may hold: a connection with one small frame, for 10 s.
 */
#pragma once

#include "base/datagram.h"
#include "base/metric.h"
#include "runtime/stream.h"

struct media_streams;
struct media_worker;

/** Who counts a connection, and hears when it is gone. */
enum media_stream_limit {
    MEDIA_STREAM_LIMIT_NONE,
    MEDIA_STREAM_LIMIT_MEDIA, /**< media_host: MEDIA_MESSAGE_STREAM_CLOSED */
    MEDIA_STREAM_LIMIT_TURN,  /**< turn_listener: TURN_MESSAGE_CLOSED */
};

/** MEDIA_MESSAGE_STREAM: a connection that speaks ICE, its first bytes in the input. */
struct media_message_stream {
    struct stream_parcel *parcel; /**< the receiver's */
    struct net_address remote;
    struct net_address local;
    struct net_address limited; /**< the address as the limit knows it */
    enum media_stream_limit limit;
    uint64_t ends_us; /**< unless a check was authentic by then; 0: its time begins anew */
};

/** MEDIA_MESSAGE_STREAM_CLOSED, to the control thread. */
struct media_message_stream_closed {
    struct net_address limited;
};

/** Never NULL; of the worker's thread, as all that follows. */
struct media_streams *media_streams_new(struct media_worker *worker);
/** Closes all connections. Accepts NULL; returns NULL. */
struct media_streams *media_streams_free(struct media_streams *streams);
/** Owns the parcel. */
void media_streams_adopt(struct media_streams *streams, const struct media_message_stream *message);
/** Takes those runs out of a batch that go to connections, and sends them. The others stay. */
void media_streams_take_batch(struct media_streams *streams, struct datagram_batch *batch);
/** Tells the limit that a connection is gone; false when the control thread is too busy. */
bool media_stream_tell_closed(const struct media_worker *worker, enum media_stream_limit limit,
                              const struct net_address *limited);
