/**
 * Captures of a session's packets, as they are on the wire: encrypted; or, where the operator has
 * said so twice, with RTP and RTCP decrypted. The session's worker writes
 * pcap records into chunks, which go to the control thread by message. A session without a capture
 * costs one comparison per datagram that comes in, and a worker without any costs nothing for those
 * that go out.
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"
#include "base/handle.h"

struct media_host;
struct media_worker;
struct media_transport;

#define MEDIA_CAPTURE_CHUNK (64u << 10)

/** What a capture is to end by, besides the end of its session. */
struct media_capture_limits {
    uint64_t bytes_max; /**< of the file */
    uint64_t duration_us;
    bool decrypted; /**< RTP and RTCP are written in the clear */
};

/** A piece of a capture: whole pcap records. */
struct media_captured {
    uint64_t number; /**< of the capture */
    uint8_t *data;   /**< heap; who takes it sets it to NULL. NULL: only news */
    size_t size;
    uint32_t packets; /**< in it */
    uint32_t missed;  /**< datagrams before it that are not in the capture: we were too slow */
    bool ended;       /**< nothing follows */
};

/** ---- control thread ---- */

/** Who gets the pieces of all captures. Set it once, before the first. */
void media_capture_set_sink(struct media_host *host,
                            void (*captured)(void *owner, struct media_captured *piece),
                            void *owner);
/**
 * Begins a capture; a session has one at a time, the next ends the one before. The last piece has
 * `ended` set. Returns 0 with its number; -ENOENT (no such session) or -ENOTCONN (its client was
 * not seen yet).
 */
must_check int media_capture_start(struct media_host *host, handle session,
                                   const struct media_capture_limits *limits, uint64_t *ret_number);
/** Ends the capture of a session, if it has one. */
void media_capture_stop(struct media_host *host, handle session);

/** ---- on a worker ---- */

struct media_message_capture;
struct media_capture;

void media_capture_take(struct media_worker *worker, const struct media_message_capture *message);
/** One datagram of a transport that has a capture. */
void media_capture_incoming(struct media_worker *worker, struct media_transport *transport,
                            const struct net_path *path, struct bytes datagram);
/** What is about to be sent; call it while the worker has captures. */
void media_capture_outgoing(struct media_worker *worker);
/** Ends the capture of a transport that goes. */
void media_capture_end(struct media_worker *worker, struct media_transport *transport);
/** Sends pieces that are not full but old, ends captures in their time. */
void media_capture_tick(struct media_worker *worker, uint64_t now_us);
