#include "proto/rtp/rtx.h"

#include <errno.h>
#include <string.h>

int rtx_decapsulate(const struct rtp_packet *rtx, uint16_t *ret_sequence, struct bytes *ret_payload)
{
    struct bytes payload = rtp_packet_payload(rtx);
    if (payload.size < RTX_OSN_SIZE)
        return -ENODATA;
    *ret_sequence = load_u16(payload.data);
    *ret_payload = bytes_of(payload.data + RTX_OSN_SIZE, payload.size - RTX_OSN_SIZE);
    return 0;
}

int rtx_restore(uint8_t *data, size_t size, uint32_t ssrc, uint8_t payload_type, uint8_t **ret_data,
                size_t *ret_size)
{
    struct rtp_packet rtx;
    int result = rtp_packet_parse(data, size, &rtx);
    if (result < 0)
        return result;
    uint16_t sequence;
    struct bytes payload;
    result = rtx_decapsulate(&rtx, &sequence, &payload);
    if (result < 0)
        return result;
    uint8_t *packet = data + RTX_OSN_SIZE;
    memmove(packet, data, rtx.payload_at);
    packet[1] = (uint8_t)((packet[1] & 0x80) | payload_type);
    store_u16(packet + 2, sequence);
    store_u32(packet + 8, ssrc);
    *ret_data = packet;
    *ret_size = size - RTX_OSN_SIZE;
    return 0;
}
