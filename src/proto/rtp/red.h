/**
 * Redundant payloads (RFC 2198): a list of block headers, then the blocks, the primary one last.
 *
 *    |F=1| block PT (7) | timestamp offset (14) | block length (10) |   ...   |F=0| block PT (7) |
 */
#pragma once

#include "base/bytes.h"

#define RED_BLOCKS_MAX 16

struct red_block {
    uint8_t payload_type;
    bool primary;
    uint16_t timestamp_offset; /**< back from the packet's timestamp; 0 for the primary */
    struct bytes data;
};

struct red_payload {
    size_t count; /**< the last block is the primary one */
    struct red_block blocks[RED_BLOCKS_MAX];
};

/** Returns 0, or -EBADMSG when headers or blocks are cut short or too many. */
must_check int red_parse(struct bytes payload, struct red_payload *ret_payload);
