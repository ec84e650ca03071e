/**
 * One WebSocket connection behind the handshake (RFC 6455) with permessage-deflate (RFC 7692), for
 * either side. An engine: bytes in, events out by value, bytes to send in a bounded buffer.
 *
 *     while (input.size > 0) {
 *         input = rest behind ws_connection_input(ws, now_us, input);
 *         while (ws_connection_event(ws, &event))
 *             ...
 *     }
 *     write ws_connection_output(ws), then ws_connection_output_taken(ws, count)
 */
#pragma once

#include "base/metric.h"
#include "base/random.h"
#include "base/time.h"
#include "proto/ws/ws_handshake.h"

enum ws_refusal {
    WS_REFUSAL_NONE,
#define WS_REFUSAL(name, code, label, reason) WS_REFUSAL_##name,
#include "proto/ws/ws_refusal.def"
#undef WS_REFUSAL
    WS_REFUSAL_COUNT
};

uint16_t ws_refusal_code(enum ws_refusal refusal);
const char *ws_refusal_reason(enum ws_refusal refusal);
/** The snake_case label of its counter. */
const char *ws_refusal_label(enum ws_refusal refusal);

/** Close codes (RFC 6455, 7.4.1). */
enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NO_CODE = 1005,  /**< never sent: the peer's close frame had no code */
    WS_CLOSE_ABNORMAL = 1006, /**< never sent: the connection ended without a close frame */
    WS_CLOSE_BAD_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_SERVER_ERROR = 1011,
    WS_CLOSE_RESTART = 1012,
    WS_CLOSE_TRY_LATER = 1013,
};

/** Zero fields take the defaults in brackets. */
struct ws_config {
    bool is_client;              /**< masks what it sends, expects unmasked frames */
    struct ws_deflate deflate;   /**< as agreed in the handshake */
    size_t message_size_max;     /**< bytes, after inflating [65536]; over it: 1009 */
    uint32_t fragment_count_max; /**< frames of one message [1024] */
    uint64_t message_timeout_us; /**< first frame of a message to its end [60 s] */
    size_t output_size_max;      /**< bytes waiting to be sent [1048576] */
    uint32_t deflate_size_min;   /**< shorter messages are sent as they are [256] */
    uint64_t ping_interval_us;   /**< a ping after this much silence [5 s]; TIME_NEVER: none */
    uint64_t pong_timeout_us;    /**< silence after which the peer is dead [10 s] */
    uint64_t close_timeout_us;   /**< how long our close frame waits for its answer [2 s] */
    struct random *random;       /**< masks; needed by clients only */
};

enum ws_event_kind {
    WS_EVENT_TEXT,   /**< a whole message, valid UTF-8 */
    WS_EVENT_BINARY, /**< a whole message */
    WS_EVENT_PONG,   /**< `rtt_us` of a ping of ours */
    WS_EVENT_CLOSED, /**< the last event: send what output is left, then end the stream */
};

struct ws_event {
    enum ws_event_kind kind;
    uint16_t code;           /**< CLOSED: what the peer sent, or 1005, 1006, or our refusal's */
    enum ws_refusal refusal; /**< CLOSED because of a violation of the peer's, else NONE */
    struct bytes data; /**< message or close reason; valid until the next ws_connection_input */
    uint64_t rtt_us;
};

struct ws_connection;

/** A new connection, open. Never NULL. */
struct ws_connection *ws_connection_new(const struct ws_config *config, uint64_t now_us);
void ws_connection_free(struct ws_connection *ws);
/**
 * Takes bytes of the stream; stops behind the first that makes an event. Returns how many were
 * taken: fetch events, then give the rest. After CLOSED everything is taken and ignored.
 */
must_check size_t ws_connection_input(struct ws_connection *ws, uint64_t now_us,
                                      struct bytes input);
/** The next event; false when there is none. */
must_check bool ws_connection_event(struct ws_connection *ws, struct ws_event *ret_event);
/** The stream ended or broke: CLOSED with 1006 follows unless there was a close frame. */
void ws_connection_stream_ended(struct ws_connection *ws);

/**
 * Queues a message (text must be UTF-8). Returns 0, -ENOBUFS when more than output_size_max would
 * wait (the peer is too slow: close it), -EPIPE when the connection is closing or closed.
 */
must_check int ws_connection_send_text(struct ws_connection *ws, struct bytes text);
must_check int ws_connection_send_binary(struct ws_connection *ws, struct bytes data);
/** Queues a close frame; `reason` at most 123 bytes are used. Later calls do nothing. */
void ws_connection_close(struct ws_connection *ws, uint64_t now_us, uint16_t code,
                         const char *reason);

/** What is to be written to the stream; empty when nothing waits. Valid until the next call. */
struct bytes ws_connection_output(struct ws_connection *ws);
void ws_connection_output_taken(struct ws_connection *ws, size_t size);
/** Bytes waiting. */
size_t ws_connection_output_size(const struct ws_connection *ws);

/** Bytes held for the peer: a message whose rest has not come, and what it has not read. */
size_t ws_connection_memory(const struct ws_connection *ws);

/** When ws_connection_tick wants to be called. */
uint64_t ws_connection_deadline(const struct ws_connection *ws);
/** Sends pings, finds dead peers, messages that do not end and unanswered closes. */
void ws_connection_tick(struct ws_connection *ws, uint64_t now_us);
/**
 * The caller has read nothing on purpose until now: that the peer was silent, or did not end its
 * message, says nothing about it.
 */
void ws_connection_excuse(struct ws_connection *ws, uint64_t now_us);
/** The last measured round trip, 0 when unknown. */
uint64_t ws_connection_rtt_us(const struct ws_connection *ws);
