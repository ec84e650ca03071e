/**
 * TURN clients over TCP and TLS, on one worker. `struct turn_streams` is the set of them; each one
 * is a carrier (turn_carrier.h).
 *
 *     [PROXY v2] -> TLS or not, by the first bytes -> framing (RFC 8656, 12.5) -> engine
 *
 * Towards the client whole messages wait in a queue that is bounded in time: what a slow client
 * could only get too late is dropped, oldest data first, and counted; answers stay. The kernel gets
 * little at a time, so that what is dropped is really the oldest.
 */
#pragma once

#include "base/metric.h"
#include "server/turn_message.h"
#include "server/turn_worker.h"

struct turn_streams;

/** Zero fields take the defaults in brackets. */
struct turn_stream_options {
    uint64_t queue_us;            /**< age at which data for a client is dropped [300 ms] */
    size_t queue_bytes;           /**< of data for one client [512 KiB] */
    size_t queue_bytes_all;       /**< of data for all clients of this worker [64 MiB] */
    uint64_t unallocated_us;      /**< longest time without an allocation [30 s] */
    uint64_t handshake_us;        /**< PROXY header, TLS handshake and first byte [10 s] */
    uint32_t kernel_unsent_bytes; /**< what the kernel may hold and not have sent [16 KiB] */
};

/** Never NULL. Uses turn_worker_* of `turn`, and turn_shared's `group` and `control`. */
struct turn_streams *turn_streams_new(struct turn_worker *turn,
                                      const struct turn_stream_options *options);
/** New options: for all that comes. */
void turn_streams_set_options(struct turn_streams *streams,
                              const struct turn_stream_options *options);
/**
 * Says goodbye to all clients and closes them; allocations that live on end. On the worker's
 * thread, before the engine is freed. Accepts NULL; returns NULL.
 */
struct turn_streams *turn_streams_free(struct turn_streams *streams);

/** TURN_MESSAGE_CONNECTION: an accepted connection, with nothing read. Owns the descriptor. */
void turn_streams_connection(struct turn_streams *streams,
                             const struct turn_message_connection *message);
/** TURN_MESSAGE_STREAM: from the HTTPS port or another worker. Owns the parcel. */
void turn_streams_adopt(struct turn_streams *streams, const struct turn_message_stream *message);
/**
 * Sends what this turn wrote. It happens by itself at the end of the turn's tasks; call it at the
 * end of a loop hook that may have delivered something, or that waits for the next turn.
 */
void turn_streams_flush(struct turn_streams *streams);

/** Open connections of this worker. */
uint32_t turn_streams_count(const struct turn_streams *streams);
/** The set of turn_stream_metrics.def; lives as long as the streams. */
struct metric_set turn_streams_metrics(const struct turn_streams *streams, const char *labels);

enum turn_stream_metric {
#define METRIC(id, kind, name, labels, help) TURN_STREAM_##id,
#include "server/turn_stream_metrics.def"
#undef METRIC
    TURN_STREAM_METRIC_COUNT,
};
