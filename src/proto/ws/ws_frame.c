#include "proto/ws/ws_frame.h"

#include <string.h>

size_t ws_frame_header_size(const uint8_t first[2])
{
    uint8_t length = first[1] & 0x7f;
    size_t size = 2 + (first[1] & 0x80 ? 4u : 0u);
    return size + (length == 127 ? 8u : length == 126 ? 2u : 0u);
}

bool ws_frame_parse(const uint8_t *header, struct ws_frame *ret_frame)
{
    struct ws_frame frame = {
        .is_final = header[0] & 0x80,
        .is_compressed = header[0] & 0x40,
        .reserved = header[0] & 0x30,
        .opcode = header[0] & 0x0f,
        .is_masked = header[1] & 0x80,
        .size = header[1] & 0x7f,
    };
    const uint8_t *at = header + 2;
    if (frame.size == 126) {
        frame.size = load_u16(at);
        at += 2;
        if (frame.size < 126)
            return false;
    } else if (frame.size == 127) {
        frame.size = load_u64(at);
        at += 8;
        if (frame.size <= UINT16_MAX || frame.size > INT64_MAX)
            return false;
    }
    if (frame.is_masked)
        memcpy(frame.mask, at, 4);
    *ret_frame = frame;
    return true;
}

size_t ws_frame_write(const struct ws_frame *frame, uint8_t out[WS_FRAME_HEADER_SIZE_MAX])
{
    struct writer writer = writer_of(out, WS_FRAME_HEADER_SIZE_MAX);
    uint8_t masked = frame->is_masked ? 0x80 : 0;
    writer_u8(&writer, (uint8_t)((frame->is_final ? 0x80 : 0) | (frame->is_compressed ? 0x40 : 0) |
                                 frame->reserved | frame->opcode));
    if (frame->size < 126) {
        writer_u8(&writer, (uint8_t)(masked | frame->size));
    } else if (frame->size <= UINT16_MAX) {
        writer_u8(&writer, masked | 126);
        writer_u16(&writer, (uint16_t)frame->size);
    } else {
        writer_u8(&writer, masked | 127);
        writer_u64(&writer, frame->size);
    }
    if (frame->is_masked)
        writer_bytes(&writer, frame->mask, 4);
    return writer.size;
}

void ws_mask_apply(const uint8_t mask[4], uint64_t offset, uint8_t *data, size_t size)
{
    uint8_t turned[8];
    for (size_t i = 0; i < 8; i++)
        turned[i] = mask[(offset + i) & 3];
    uint64_t wide;
    memcpy(&wide, turned, 8);
    size_t at = 0;
    for (; size - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, 8);
        word ^= wide;
        memcpy(data + at, &word, 8);
    }
    for (; at < size; at++)
        data[at] ^= turned[at & 7];
}
