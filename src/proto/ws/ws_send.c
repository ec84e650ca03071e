#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/ws/ws_connection_int.h"

void ws_queue_done(struct ws_queue *queue)
{
    free(queue->data);
    *queue = (struct ws_queue){ 0 };
}

/** Room for `size` bytes at the end. */
static uint8_t *queue_reserve(struct ws_queue *queue, size_t size)
{
    if (queue->capacity - queue->end < size && queue->start > 0) {
        memmove(queue->data, queue->data + queue->start, queue->end - queue->start);
        queue->end -= queue->start;
        queue->start = 0;
    }
    if (queue->capacity - queue->end < size) {
        size_t capacity = max_of(queue->capacity, (size_t)512);
        while (capacity - queue->end < size)
            capacity *= 2;
        queue->data = memory_resize(queue->data, capacity);
        queue->capacity = capacity;
    }
    return queue->data + queue->end;
}

size_t ws_connection_output_size(const struct ws_connection *ws)
{
    return ws->output.end - ws->output.start;
}

struct bytes ws_connection_output(struct ws_connection *ws)
{
    size_t size = ws_connection_output_size(ws);
    return size ? bytes_of(ws->output.data + ws->output.start, size) : bytes_of(NULL, 0);
}

void ws_connection_output_taken(struct ws_connection *ws, size_t size)
{
    ensure(size <= ws_connection_output_size(ws));
    ws->output.start += size;
    if (ws->output.start == ws->output.end)
        ws_queue_done(&ws->output);
}

int ws_send_frame(struct ws_connection *ws, uint8_t opcode, bool is_compressed,
                  struct bytes payload)
{
    size_t waiting = ws_connection_output_size(ws);
    // control frames may use a reserve, so that a full queue can still be closed
    size_t limit = ws->config.output_size_max + (ws_opcode_is_control(opcode) ? 1024 : 0);
    if (payload.size + WS_FRAME_HEADER_SIZE_MAX > limit - min_of(waiting, limit))
        return -ENOBUFS;
    struct ws_frame frame = { .is_final = true,
                              .is_compressed = is_compressed,
                              .is_masked = ws->config.is_client,
                              .opcode = opcode,
                              .size = payload.size };
    if (frame.is_masked)
        random_fill(ws->config.random, frame.mask, sizeof(frame.mask));
    uint8_t *at = queue_reserve(&ws->output, payload.size + WS_FRAME_HEADER_SIZE_MAX);
    size_t header = ws_frame_write(&frame, at);
    if (payload.size > 0)
        memcpy(at + header, payload.data, payload.size);
    if (frame.is_masked)
        ws_mask_apply(frame.mask, 0, at + header, payload.size);
    ws->output.end += header + payload.size;
    return 0;
}

static int send_message(struct ws_connection *ws, uint8_t opcode, struct bytes data)
{
    if (ws->state != WS_OPEN)
        return -EPIPE;
    const struct ws_deflate *deflate = &ws->config.deflate;
    if (deflate->enabled && data.size >= ws->config.deflate_size_min &&
        data.size <= ws->config.output_size_max) {
        uint8_t bits =
            ws->config.is_client ? deflate->client_window_bits : deflate->server_window_bits;
        // what does not shrink is sent as it is
        uint8_t *packed = malloc(data.size);
        long size = packed ? ws_deflate_message(data, bits, packed, data.size) : -ENOMEM;
        int result = size > 0 ? ws_send_frame(ws, opcode, true, bytes_of(packed, (size_t)size)) : 0;
        free(packed);
        if (size > 0)
            return result;
    }
    return ws_send_frame(ws, opcode, false, data);
}

int ws_connection_send_text(struct ws_connection *ws, struct bytes text)
{
    return send_message(ws, WS_OPCODE_TEXT, text);
}

int ws_connection_send_binary(struct ws_connection *ws, struct bytes data)
{
    return send_message(ws, WS_OPCODE_BINARY, data);
}

void ws_send_close(struct ws_connection *ws, uint16_t code, struct bytes reason)
{
    if (ws->state != WS_OPEN)
        return;
    ws->state = WS_CLOSING;
    ws->closing_us = ws->now_us;
    uint8_t payload[WS_CONTROL_SIZE_MAX];
    struct writer writer = writer_of(payload, sizeof(payload));
    if (code != WS_CLOSE_NO_CODE) {
        writer_u16(&writer, code);
        writer_bytes(&writer, reason.data, reason.size);
    }
    // without room even in the reserve the peer reads nothing: the timeout ends it
    int result = ws_send_frame(ws, WS_OPCODE_CLOSE, false, writer_written(&writer));
    (void)result;
}

/** At most `size` bytes without cutting a UTF-8 sequence. */
static size_t text_cut(const char *text, size_t size)
{
    size_t length = strlen(text);
    if (length <= size)
        return length;
    while (size > 0 && ((uint8_t)text[size] & 0xc0) == 0x80)
        size--;
    return size;
}

void ws_connection_close(struct ws_connection *ws, uint64_t now_us, uint16_t code,
                         const char *reason)
{
    ws->now_us = now_us;
    const char *text = reason ? reason : "";
    ws_send_close(ws, code, bytes_of(text, text_cut(text, WS_CONTROL_SIZE_MAX - 2)));
}
