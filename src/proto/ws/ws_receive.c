#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/ws/ws_connection_int.h"

/** A message buffer up to this size is kept for the next message. */
#define MESSAGE_KEEP_SIZE 512
/** What compressed data may exceed the message limit by, for messages that do not shrink. */
#define DEFLATE_SLACK 1024

/** Whether the frame's header is allowed here and now; NONE when it is. */
static enum ws_refusal frame_check(const struct ws_connection *ws)
{
    const struct ws_frame *frame = &ws->frame;
    bool control = ws_opcode_is_control(frame->opcode);
    bool starts = frame->opcode == WS_OPCODE_TEXT || frame->opcode == WS_OPCODE_BINARY;
    bool may_compress = ws->config.deflate.enabled && starts;
    if (frame->reserved || (frame->is_compressed && !may_compress))
        return WS_REFUSAL_RESERVED_BITS;
    if (!starts && frame->opcode != WS_OPCODE_CONTINUATION &&
        (frame->opcode < WS_OPCODE_CLOSE || frame->opcode > WS_OPCODE_PONG))
        return WS_REFUSAL_UNKNOWN_OPCODE;
    if (frame->is_masked == ws->config.is_client)
        return frame->is_masked ? WS_REFUSAL_MASKED : WS_REFUSAL_NOT_MASKED;
    if (control && !frame->is_final)
        return WS_REFUSAL_FRAGMENTED_CONTROL;
    if (control)
        return frame->size > WS_CONTROL_SIZE_MAX ? WS_REFUSAL_LARGE_CONTROL : WS_REFUSAL_NONE;
    bool inside = ws->message.opcode != 0;
    if (inside == starts)
        return inside ? WS_REFUSAL_EXPECTED_CONTINUATION : WS_REFUSAL_UNEXPECTED_CONTINUATION;
    return WS_REFUSAL_NONE;
}

static enum ws_refusal message_frame_begin(struct ws_connection *ws)
{
    struct ws_message *message = &ws->message;
    if (message->opcode == 0) {
        message->opcode = ws->frame.opcode;
        message->started_us = ws->now_us;
        message->is_compressed = ws->frame.is_compressed;
        message->fragment_count = 0;
        message->wire_size = 0;
        message->size = 0;
    }
    message->fragment_count++;
    if (message->fragment_count > ws->config.fragment_count_max)
        return WS_REFUSAL_TOO_MANY_FRAGMENTS;
    uint64_t limit = ws->config.message_size_max + (message->is_compressed ? DEFLATE_SLACK : 0);
    if (ws->frame.size > limit - min_of(message->wire_size, limit))
        return WS_REFUSAL_MESSAGE_TOO_BIG;
    message->wire_size += ws->frame.size;
    if (message->is_compressed && !ws->inflater) {
        const struct ws_deflate *deflate = &ws->config.deflate;
        ws->inflater = ws_inflater_new(ws->config.is_client ? deflate->server_window_bits
                                                            : deflate->client_window_bits);
        if (!ws->inflater)
            return WS_REFUSAL_MESSAGE_TOO_BIG;
    }
    return WS_REFUSAL_NONE;
}

/** Grows the message's buffer by doubling, never beyond the limit and what inflating needs. */
static void message_reserve(struct ws_connection *ws, size_t size)
{
    struct ws_message *message = &ws->message;
    size_t needed = message->size + size;
    if (needed <= message->capacity)
        return;
    size_t capacity = max_of(message->capacity * 2, (size_t)256);
    message->capacity = max_of(needed, min_of(capacity, ws->config.message_size_max));
    message->data = memory_resize(message->data, message->capacity);
}

/** Inflates into the message, at most one byte beyond the limit. */
static enum ws_refusal message_inflate(struct ws_connection *ws, struct bytes packed)
{
    struct ws_message *message = &ws->message;
    for (;;) {
        if (message->size > ws->config.message_size_max)
            return WS_REFUSAL_MESSAGE_TOO_BIG;
        if (message->size == message->capacity)
            message_reserve(ws,
                            min_of((size_t)4096, ws->config.message_size_max + 1 - message->size));
        long count = ws_inflater_run(ws->inflater, &packed, message->data + message->size,
                                     message->capacity - message->size);
        if (count < 0)
            return WS_REFUSAL_BAD_DEFLATE;
        message->size += (size_t)count;
        // a full buffer may hide more output
        if (packed.size == 0 && message->size < message->capacity)
            return WS_REFUSAL_NONE;
    }
}

static enum ws_refusal message_append(struct ws_connection *ws, struct bytes part)
{
    struct ws_message *message = &ws->message;
    if (!message->is_compressed) {
        message_reserve(ws, part.size);
        memcpy(message->data + message->size, part.data, part.size);
        if (ws->frame.is_masked)
            ws_mask_apply(ws->frame.mask, ws->payload_at, message->data + message->size, part.size);
        message->size += part.size;
        return WS_REFUSAL_NONE;
    }
    uint8_t piece[1024];
    for (size_t at = 0; at < part.size; at += sizeof(piece)) {
        size_t size = min_of(sizeof(piece), part.size - at);
        memcpy(piece, part.data + at, size);
        if (ws->frame.is_masked)
            ws_mask_apply(ws->frame.mask, ws->payload_at + at, piece, size);
        enum ws_refusal refusal = message_inflate(ws, bytes_of(piece, size));
        if (refusal)
            return refusal;
    }
    return WS_REFUSAL_NONE;
}

/** The end of a compressed message: the tail that the sender left out (RFC 7692, 7.2.2). */
static enum ws_refusal message_inflate_end(struct ws_connection *ws)
{
    static const uint8_t tail[4] = { 0x00, 0x00, 0xff, 0xff };
    enum ws_refusal refusal = message_inflate(ws, bytes_of(tail, sizeof(tail)));
    const struct ws_deflate *deflate = &ws->config.deflate;
    bool forget = ws->config.is_client ? deflate->server_no_context_takeover
                                       : deflate->client_no_context_takeover;
    if (forget) {
        ws_inflater_free(ws->inflater);
        ws->inflater = NULL;
    }
    return refusal;
}

static enum ws_refusal message_finish(struct ws_connection *ws)
{
    struct ws_message *message = &ws->message;
    if (message->is_compressed) {
        enum ws_refusal refusal = message_inflate_end(ws);
        if (refusal)
            return refusal;
    }
    struct bytes data = bytes_of(message->data, message->size);
    bool is_text = message->opcode == WS_OPCODE_TEXT;
    message->opcode = 0;
    if (is_text && !text_is_utf8(data))
        return WS_REFUSAL_BAD_TEXT;
    if (ws->state != WS_OPEN)
        return WS_REFUSAL_NONE; // we have said our last word
    ws->has_event = true;
    ws->event =
        (struct ws_event){ .kind = is_text ? WS_EVENT_TEXT : WS_EVENT_BINARY, .data = data };
    return WS_REFUSAL_NONE;
}

/** RFC 6455, 7.4: codes that may stand in a close frame. */
static bool close_code_allowed(uint16_t code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != WS_CLOSE_NO_CODE &&
            code != WS_CLOSE_ABNORMAL) ||
           (code >= 3000 && code <= 4999);
}

static enum ws_refusal close_receive(struct ws_connection *ws, struct bytes payload)
{
    uint16_t code = WS_CLOSE_NO_CODE;
    struct bytes reason = bytes_of(NULL, 0);
    if (payload.size == 1)
        return WS_REFUSAL_BAD_CLOSE;
    if (payload.size >= 2) {
        code = load_u16(payload.data);
        reason = bytes_of(payload.data + 2, payload.size - 2);
        if (!close_code_allowed(code))
            return WS_REFUSAL_BAD_CLOSE;
        if (!text_is_utf8(reason))
            return WS_REFUSAL_BAD_CLOSE_TEXT;
    }
    ws_send_close(ws, code, bytes_of(NULL, 0));
    ws_end(ws, code, WS_REFUSAL_NONE, reason);
    return WS_REFUSAL_NONE;
}

static void pong_receive(struct ws_connection *ws, struct bytes payload)
{
    if (payload.size != 8 || ws->ping_number == 0 || load_u64(payload.data) != ws->ping_number)
        return;
    ws->rtt_us = ws->now_us - ws->pinged_us;
    ws->has_event = true;
    ws->event = (struct ws_event){ .kind = WS_EVENT_PONG, .rtt_us = ws->rtt_us };
}

static enum ws_refusal control_finish(struct ws_connection *ws)
{
    struct bytes payload = bytes_of(ws->control, (size_t)ws->frame.size);
    switch (ws->frame.opcode) {
    case WS_OPCODE_CLOSE:
        return close_receive(ws, payload);
    case WS_OPCODE_PING:
        if (ws->state == WS_OPEN && ws_send_frame(ws, WS_OPCODE_PONG, false, payload) != 0)
            return WS_REFUSAL_PING_FLOOD;
        return WS_REFUSAL_NONE;
    default:
        pong_receive(ws, payload);
        return WS_REFUSAL_NONE;
    }
}

static enum ws_refusal frame_finish(struct ws_connection *ws)
{
    ws->in_payload = false;
    ws->header_size = 0;
    if (ws_opcode_is_control(ws->frame.opcode))
        return control_finish(ws);
    return ws->frame.is_final ? message_finish(ws) : WS_REFUSAL_NONE;
}

/** Collects the header; checks it when it is whole. */
static enum ws_refusal header_input(struct ws_connection *ws, struct reader *reader)
{
    size_t needed = ws->header_size < 2 ? 2 : ws_frame_header_size(ws->header);
    size_t size = min_of(needed - ws->header_size, reader_left(reader));
    reader_copy(reader, ws->header + ws->header_size, size);
    ws->header_size = (uint8_t)(ws->header_size + size);
    if (ws->header_size < 2 || ws->header_size < ws_frame_header_size(ws->header))
        return WS_REFUSAL_NONE;
    if (!ws_frame_parse(ws->header, &ws->frame))
        return WS_REFUSAL_LONG_LENGTH;
    enum ws_refusal refusal = frame_check(ws);
    if (refusal)
        return refusal;
    ws->in_payload = true;
    ws->payload_at = 0;
    return ws_opcode_is_control(ws->frame.opcode) ? WS_REFUSAL_NONE : message_frame_begin(ws);
}

static enum ws_refusal payload_input(struct ws_connection *ws, struct reader *reader)
{
    uint64_t left = ws->frame.size - ws->payload_at;
    size_t size = (size_t)min_of(left, (uint64_t)reader_left(reader));
    struct bytes part = reader_bytes(reader, size);
    enum ws_refusal refusal = WS_REFUSAL_NONE;
    if (ws_opcode_is_control(ws->frame.opcode) && size > 0) {
        memcpy(ws->control + ws->payload_at, part.data, size);
        if (ws->frame.is_masked)
            ws_mask_apply(ws->frame.mask, ws->payload_at, ws->control + ws->payload_at, size);
    } else if (size > 0) {
        refusal = message_append(ws, part);
    }
    ws->payload_at += size;
    if (!refusal && ws->payload_at == ws->frame.size)
        refusal = frame_finish(ws);
    return refusal;
}

size_t ws_connection_input(struct ws_connection *ws, uint64_t now_us, struct bytes input)
{
    ws->now_us = now_us;
    if (input.size > 0)
        ws->heard_us = now_us;
    if (!ws->has_event && ws->message.opcode == 0 && ws->message.capacity > MESSAGE_KEEP_SIZE) {
        free(ws->message.data);
        ws->message = (struct ws_message){ 0 };
    }
    struct reader reader = reader_of(input.data, input.size);
    while (ws->state != WS_CLOSED && !ws->has_event) {
        // a frame without payload ends with its header
        bool more =
            reader_left(&reader) > 0 || (ws->in_payload && ws->payload_at == ws->frame.size);
        if (!more)
            break;
        enum ws_refusal refusal =
            ws->in_payload ? payload_input(ws, &reader) : header_input(ws, &reader);
        if (refusal)
            ws_fail(ws, refusal);
    }
    return ws->state == WS_CLOSED ? input.size : reader.at;
}
