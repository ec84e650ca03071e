#include "proto/rtp/red.h"

#include <errno.h>
#include <string.h>

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

ssize_t red_write(const struct red_payload *payload, uint8_t *out, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < payload->count; i++)
        size += payload->blocks[i].data.size + (payload->blocks[i].primary ? 1 : 4);
    if (size > capacity)
        return -EMSGSIZE;
    uint8_t *at = out;
    for (size_t i = 0; i < payload->count; i++) {
        const struct red_block *block = &payload->blocks[i];
        if (block->primary) {
            *at++ = block->payload_type;
            continue;
        }
        store_u32(at, 1u << 31 | (uint32_t)block->payload_type << 24 |
                          (uint32_t)block->timestamp_offset << 10 | (uint32_t)block->data.size);
        at += 4;
    }
    for (size_t i = 0; i < payload->count; i++) {
        struct bytes data = payload->blocks[i].data;
        if (data.size > 0) // an empty block may have no place
            memcpy(at, data.data, data.size);
        at += data.size;
    }
    return (ssize_t)size;
}

void red_set_payload_type(uint8_t *payload, size_t size, uint8_t payload_type)
{
    size_t at = 0;
    for (; at + 4 < size && payload[at] & 0x80; at += 4)
        payload[at] = 0x80 | payload_type;
    if (at < size)
        payload[at] = payload_type;
}
