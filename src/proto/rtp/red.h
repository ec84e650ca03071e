/**
 * Redundant payloads (RFC 2198): a list of block headers, then the blocks, the primary one last.
 *
 *    |F=1| block PT (7) | timestamp offset (14) | block length (10) |   ...   |F=0| block PT (7) |
 */
#pragma once

#include <sys/types.h>

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

/** What a redundant block can be (its length has 10 bits), and how far back (14 bits). */
#define RED_BLOCK_SIZE_MAX       1023
#define RED_TIMESTAMP_OFFSET_MAX 16383

/**
 * Writes blocks, oldest first and the primary one last. Returns the size, or -EMSGSIZE when `out`
 * is too small. Redundant blocks keep within the bounds above.
 */
must_check ssize_t red_write(const struct red_payload *payload, uint8_t *out, size_t capacity);
/** Says in the headers of a payload that red_parse took that all blocks are `payload_type`. */
void red_set_payload_type(uint8_t *payload, size_t size, uint8_t payload_type);
