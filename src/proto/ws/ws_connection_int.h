/** What the files of a WebSocket connection share: receiving, sending, time. */
#pragma once

#include "proto/ws/ws_connection.h"
#include "proto/ws/ws_deflate.h"
#include "proto/ws/ws_frame.h"

enum ws_state {
    WS_OPEN,
    WS_CLOSING, /**< our close frame is out, the peer's is awaited */
    WS_CLOSED,
};

/** A growing byte queue; holds no memory while empty. */
struct ws_queue {
    uint8_t *data;
    size_t start;
    size_t end;
    size_t capacity;
};

/** The data message whose fragments arrive. */
struct ws_message {
    uint8_t opcode; /**< of its first frame; 0: none */
    bool is_compressed;
    uint32_t fragment_count;
    uint64_t started_us;
    uint64_t wire_size; /**< payload bytes of its frames so far */
    uint8_t *data;
    size_t size;
    size_t capacity;
};

struct ws_connection {
    struct ws_config config;
    enum ws_state state;

    uint8_t header[WS_FRAME_HEADER_SIZE_MAX];
    uint8_t header_size; /**< bytes of the header received */
    bool in_payload;
    struct ws_frame frame;
    uint64_t payload_at;
    struct ws_message message;
    uint8_t control[WS_CONTROL_SIZE_MAX];
    struct ws_inflater *inflater;

    struct ws_queue output;

    bool has_event;
    bool has_closed; /**< delivered last */
    struct ws_event event;
    struct ws_event closed;
    uint8_t close_reason[WS_CONTROL_SIZE_MAX];

    uint64_t now_us;
    uint64_t heard_us;   /**< when the last byte came */
    uint64_t pinged_us;  /**< when the last ping was queued */
    uint64_t closing_us; /**< when our close frame was queued */
    uint64_t ping_number;
    uint64_t rtt_us;
};

/** Queues a frame with the connection's masking. Returns 0 or -ENOBUFS. */
must_check int ws_send_frame(struct ws_connection *ws, uint8_t opcode, bool is_compressed,
                             struct bytes payload);
/** Queues a close frame unless one was queued before. */
void ws_send_close(struct ws_connection *ws, uint16_t code, struct bytes reason);
/** Ends the connection with an event; only the first call counts. */
void ws_end(struct ws_connection *ws, uint16_t code, enum ws_refusal refusal, struct bytes reason);
/** Ends it because of a violation: tells the peer why. */
void ws_fail(struct ws_connection *ws, enum ws_refusal refusal);
void ws_queue_done(struct ws_queue *queue);
