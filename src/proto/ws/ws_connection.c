#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/ws/ws_connection_int.h"

static struct ws_config config_with_defaults(const struct ws_config *config)
{
    struct ws_config result = *config;
    if (result.message_size_max == 0)
        result.message_size_max = 65536;
    if (result.fragment_count_max == 0)
        result.fragment_count_max = 1024;
    if (result.message_timeout_us == 0)
        result.message_timeout_us = time_from_s(60);
    if (result.output_size_max == 0)
        result.output_size_max = 1 << 20;
    if (result.deflate_size_min == 0)
        result.deflate_size_min = 256;
    if (result.ping_interval_us == 0)
        result.ping_interval_us = time_from_s(5);
    if (result.pong_timeout_us == 0)
        result.pong_timeout_us = time_from_s(10);
    if (result.close_timeout_us == 0)
        result.close_timeout_us = time_from_s(2);
    return result;
}

struct ws_connection *ws_connection_new(const struct ws_config *config, uint64_t now_us)
{
    ensure(!config->is_client || config->random);
    struct ws_connection *ws = memory_new(struct ws_connection);
    ws->config = config_with_defaults(config);
    ws->now_us = now_us;
    ws->heard_us = now_us;
    ws->pinged_us = now_us;
    return ws;
}

void ws_connection_free(struct ws_connection *ws)
{
    if (!ws)
        return;
    ws_inflater_free(ws->inflater);
    ws_queue_done(&ws->output);
    free(ws->message.data);
    free(ws);
}

void ws_end(struct ws_connection *ws, uint16_t code, enum ws_refusal refusal, struct bytes reason)
{
    if (ws->state == WS_CLOSED)
        return;
    ws->state = WS_CLOSED;
    if (reason.size > 0)
        memcpy(ws->close_reason, reason.data, reason.size);
    ws->has_closed = true;
    ws->closed = (struct ws_event){ .kind = WS_EVENT_CLOSED,
                                    .code = code,
                                    .refusal = refusal,
                                    .data = bytes_of(ws->close_reason, reason.size) };
}

void ws_fail(struct ws_connection *ws, enum ws_refusal refusal)
{
    uint16_t code = ws_refusal_code(refusal);
    struct bytes reason = bytes_of_text(ws_refusal_reason(refusal));
    if (code != WS_CLOSE_ABNORMAL)
        ws_send_close(ws, code, reason);
    ws_end(ws, code, refusal, reason);
}

bool ws_connection_event(struct ws_connection *ws, struct ws_event *ret_event)
{
    if (ws->has_event) {
        ws->has_event = false;
        *ret_event = ws->event;
        return true;
    }
    if (ws->has_closed) {
        ws->has_closed = false;
        *ret_event = ws->closed;
        return true;
    }
    return false;
}

void ws_connection_stream_ended(struct ws_connection *ws)
{
    ws_end(ws, WS_CLOSE_ABNORMAL, WS_REFUSAL_NONE, bytes_of(NULL, 0));
}

static uint64_t later(uint64_t base_us, uint64_t delay_us)
{
    return delay_us >= TIME_NEVER - base_us ? TIME_NEVER : base_us + delay_us;
}

size_t ws_connection_memory(const struct ws_connection *ws)
{
    size_t window = ws->inflater ? (size_t)1 << ws->config.deflate.client_window_bits : 0;
    return ws->message.capacity + ws->output.capacity + window;
}

/** When the message that has begun must have ended. */
static uint64_t message_deadline(const struct ws_connection *ws)
{
    return ws->message.opcode ? later(ws->message.started_us, ws->config.message_timeout_us)
                              : TIME_NEVER;
}

uint64_t ws_connection_deadline(const struct ws_connection *ws)
{
    if (ws->state == WS_CLOSED)
        return TIME_NEVER;
    uint64_t dead_us =
        time_earlier(later(ws->heard_us, ws->config.pong_timeout_us), message_deadline(ws));
    if (ws->state == WS_CLOSING)
        return time_earlier(dead_us, later(ws->closing_us, ws->config.close_timeout_us));
    return time_earlier(dead_us, later(ws->pinged_us, ws->config.ping_interval_us));
}

/**
 * When a ping is late by as much as pings are apart, this process stood still (a busy or sleeping
 * machine): nobody asked the peer for so long, and that time says nothing about it.
 */
static void forgive_our_delay(struct ws_connection *ws, uint64_t now_us)
{
    uint64_t due_us = later(ws->pinged_us, ws->config.ping_interval_us);
    if (ws->state == WS_OPEN && now_us >= later(due_us, ws->config.ping_interval_us))
        ws->heard_us = min_of(ws->heard_us + (now_us - due_us), now_us);
}

void ws_connection_tick(struct ws_connection *ws, uint64_t now_us)
{
    ws->now_us = now_us;
    if (ws->state == WS_CLOSED)
        return;
    forgive_our_delay(ws, now_us);
    if (now_us >= later(ws->heard_us, ws->config.pong_timeout_us)) {
        ws_fail(ws, WS_REFUSAL_PEER_SILENT);
    } else if (now_us >= message_deadline(ws)) {
        ws_fail(ws, WS_REFUSAL_MESSAGE_TOO_SLOW);
    } else if (ws->state == WS_CLOSING) {
        if (now_us >= later(ws->closing_us, ws->config.close_timeout_us))
            ws_end(ws, WS_CLOSE_ABNORMAL, WS_REFUSAL_NONE, bytes_of(NULL, 0));
    } else if (now_us >= later(ws->pinged_us, ws->config.ping_interval_us)) {
        uint8_t payload[8];
        store_u64(payload, ++ws->ping_number);
        ws->pinged_us = now_us;
        // a full queue means a peer that reads nothing; its silence is found by itself
        int result = ws_send_frame(ws, WS_OPCODE_PING, false, bytes_of(payload, 8));
        (void)result;
    }
}

void ws_connection_excuse(struct ws_connection *ws, uint64_t now_us)
{
    ws->heard_us = now_us;
    ws->message.started_us = now_us;
}

uint64_t ws_connection_rtt_us(const struct ws_connection *ws)
{
    return ws->rtt_us;
}
