/**
 * One frame of RFC 6455, section 5.2:
 *
 *      0               1               2               3
 *     |F|R|R|R|op     |M|length 7     | length 16 (126) or 64 (127)   |
 *     | ... length    | masking key (when M)                          | payload
 *
 * F: final fragment; first R: compressed message (RFC 7692, 6); lengths in their shortest form.
 */
#pragma once

#include "base/bytes.h"

#define WS_FRAME_HEADER_SIZE_MAX 14
#define WS_CONTROL_SIZE_MAX      125

enum ws_opcode {
    WS_OPCODE_CONTINUATION = 0,
    WS_OPCODE_TEXT = 1,
    WS_OPCODE_BINARY = 2,
    WS_OPCODE_CLOSE = 8,
    WS_OPCODE_PING = 9,
    WS_OPCODE_PONG = 10,
};

struct ws_frame {
    bool is_final;
    bool is_compressed; /**< RSV1 */
    bool is_masked;
    uint8_t reserved; /**< RSV2 and RSV3, must be 0 */
    uint8_t opcode;
    uint8_t mask[4];
    uint64_t size;
};

static inline bool ws_opcode_is_control(uint8_t opcode)
{
    return opcode >= WS_OPCODE_CLOSE;
}

/** Size of the header whose first two bytes are these. */
size_t ws_frame_header_size(const uint8_t first[2]);
/** Takes a whole header apart. False when the length is not in its shortest form or above 2^63. */
bool ws_frame_parse(const uint8_t *header, struct ws_frame *ret_frame);
/** Writes a header; returns its size. */
size_t ws_frame_write(const struct ws_frame *frame, uint8_t out[WS_FRAME_HEADER_SIZE_MAX]);
/** XORs `size` bytes with the key as it applies from byte `offset` of the payload on. */
void ws_mask_apply(const uint8_t mask[4], uint64_t offset, uint8_t *data, size_t size);
