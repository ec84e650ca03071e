#include "proto/rtp/red.h"

#include <errno.h>

int red_parse(struct bytes payload, struct red_payload *ret_payload)
{
    struct reader reader = reader_of(payload.data, payload.size);
    struct red_payload parsed = { 0 };
    size_t sizes[RED_BLOCKS_MAX];
    for (;;) {
        if (parsed.count == RED_BLOCKS_MAX)
            return -EBADMSG;
        uint8_t first = reader_u8(&reader);
        if (reader.failed)
            return -EBADMSG;
        struct red_block *block = &parsed.blocks[parsed.count];
        block->payload_type = first & 0x7f;
        block->primary = !(first & 0x80);
        sizes[parsed.count++] = 0;
        if (block->primary)
            break;
        uint32_t rest = reader_u24(&reader);
        block->timestamp_offset = (uint16_t)(rest >> 10);
        sizes[parsed.count - 1] = rest & 0x3ff;
    }
    for (size_t i = 0; i < parsed.count; i++) {
        size_t size = parsed.blocks[i].primary ? reader_left(&reader) : sizes[i];
        parsed.blocks[i].data = reader_bytes(&reader, size);
    }
    if (reader.failed)
        return -EBADMSG;
    *ret_payload = parsed;
    return 0;
}
