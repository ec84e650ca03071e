#include "proto/rtp/packet.h"

#include <errno.h>

enum {
    PADDING_BIT = 0x20,
    EXTENSION_BIT = 0x10,
    CSRC_COUNT_MASK = 0x0f,
};

int rtp_packet_parse(const uint8_t *data, size_t size, struct rtp_packet *ret_packet)
{
    if (size < RTP_HEADER_SIZE || size > UINT16_MAX || data[0] >> 6 != RTP_VERSION)
        return -EBADMSG;
    uint8_t csrc_count = data[0] & CSRC_COUNT_MASK;
    size_t at = RTP_HEADER_SIZE + 4u * csrc_count;
    uint16_t extension_profile = 0;
    size_t extension_at = at;
    size_t extension_size = 0;
    bool has_extension = data[0] & EXTENSION_BIT;
    if (has_extension) {
        if (at + 4 > size)
            return -EBADMSG;
        extension_profile = load_u16(data + at);
        extension_size = 4u * load_u16(data + at + 2);
        extension_at = at + 4;
        at = extension_at + extension_size;
    }
    if (at > size)
        return -EBADMSG;
    uint8_t padding_size = 0;
    if (data[0] & PADDING_BIT) {
        // the last byte counts itself, so that zero is as impossible as more than there is
        padding_size = at < size ? data[size - 1] : 0;
        if (padding_size == 0 || padding_size > size - at)
            return -EBADMSG;
    }
    *ret_packet = (struct rtp_packet){
        .data = data,
        .size = (uint16_t)size,
        .sequence = load_u16(data + 2),
        .timestamp = load_u32(data + 4),
        .ssrc = load_u32(data + 8),
        .payload_type = data[1] & 0x7f,
        .csrc_count = csrc_count,
        .marker = data[1] & 0x80,
        .has_extension = has_extension,
        .padding_size = padding_size,
        .extension_profile = extension_profile,
        .extension_at = (uint16_t)extension_at,
        .extension_size = (uint16_t)extension_size,
        .payload_at = (uint16_t)at,
        .payload_size = (uint16_t)(size - at - padding_size),
    };
    return 0;
}

uint32_t rtp_packet_csrc(const struct rtp_packet *packet, size_t index)
{
    ensure(index < packet->csrc_count);
    return load_u32(packet->data + RTP_HEADER_SIZE + 4 * index);
}
