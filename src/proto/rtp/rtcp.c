#include "proto/rtp/rtcp.h"

#include <errno.h>

enum {
    VERSION = 2,
    PADDING_BIT = 0x20,
    COUNT_MASK = 0x1f,
    SENDER_INFO_SIZE = 24, // with the SSRC
    FEEDBACK_HEAD_SIZE = 8,
    SDES_END = 0,
    SDES_CNAME = 1,
};

/**
 *     0                   1                   2                   3
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |V=2|P| RC/FMT  |      PT       |  length in words, less one    |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
int rtcp_next(struct reader *reader, struct rtcp_packet *ret_packet)
{
    if (reader_finished(reader))
        return 0;
    uint8_t first = reader_u8(reader);
    uint8_t type = reader_u8(reader);
    size_t size = 4u * reader_u16(reader);
    struct bytes body = reader_bytes(reader, size);
    if (reader->failed)
        return -EBADMSG;
    if (first >> 6 != VERSION || type < 192 || type > 223) {
        reader->failed = true;
        return -EBADMSG;
    }
    if (first & PADDING_BIT) {
        size_t padding = body.size ? body.data[body.size - 1] : 0;
        // RFC 3550 asks for a multiple of four; transport-wide feedback is padded by single bytes
        if (padding == 0 || padding > body.size) {
            reader->failed = true;
            return -EBADMSG;
        }
        body.size -= padding;
    }
    *ret_packet = (struct rtcp_packet){ .type = type, .count = first & COUNT_MASK, .body = body };
    return 1;
}

int rtcp_sender_report_parse(const struct rtcp_packet *packet, struct rtcp_sender_info *ret_info)
{
    struct reader reader = reader_of(packet->body.data, packet->body.size);
    struct rtcp_sender_info info = { .ssrc = reader_u32(&reader) };
    info.ntp = reader_u64(&reader);
    info.rtp_timestamp = reader_u32(&reader);
    info.packet_count = reader_u32(&reader);
    info.octet_count = reader_u32(&reader);
    if (reader.failed)
        return -EBADMSG;
    *ret_info = info;
    return 0;
}

int rtcp_reporter_parse(const struct rtcp_packet *packet, uint32_t *ret_ssrc)
{
    if (packet->body.size < 4)
        return -EBADMSG;
    *ret_ssrc = load_u32(packet->body.data);
    return 0;
}

/**
 *    |                 SSRC_1 (SSRC of first source)                 |
 *    | fraction lost |       cumulative number of packets lost       |
 *    |           extended highest sequence number received           |
 *    |                      interarrival jitter                      |
 *    |                         last SR (LSR)                         |
 *    |                   delay since last SR (DLSR)                  |
 */
int rtcp_report_block_parse(const struct rtcp_packet *packet, size_t index,
                            struct rtcp_report_block *ret_block)
{
    if (index >= packet->count)
        return -EBADMSG;
    size_t head = packet->type == RTCP_SENDER_REPORT ? SENDER_INFO_SIZE : 4;
    struct reader reader = reader_of(packet->body.data, packet->body.size);
    reader_skip(&reader, head + index * RTCP_REPORT_BLOCK_SIZE);
    struct rtcp_report_block block = { .ssrc = reader_u32(&reader) };
    block.fraction_lost = reader_u8(&reader);
    uint32_t lost = reader_u24(&reader);
    block.cumulative_lost = (int32_t)(lost ^ 0x800000) - 0x800000;
    block.highest_sequence = reader_u32(&reader);
    block.jitter = reader_u32(&reader);
    block.last_sender_report = reader_u32(&reader);
    block.delay_since_last = reader_u32(&reader);
    if (reader.failed)
        return -EBADMSG;
    *ret_block = block;
    return 0;
}

int rtcp_bye_parse(const struct rtcp_packet *packet, size_t index, uint32_t *ret_ssrc)
{
    if (index >= packet->count || packet->body.size < 4 * (index + 1))
        return -ENOENT;
    *ret_ssrc = load_u32(packet->body.data + 4 * index);
    return 0;
}

/** RFC 3550, 6.5: chunks of an SSRC and items (type, length, text), ended by 0, padded to words. */
int rtcp_cname_parse(const struct rtcp_packet *packet, uint32_t *ret_ssrc, struct bytes *ret_cname)
{
    struct reader reader = reader_of(packet->body.data, packet->body.size);
    for (size_t chunk = 0; chunk < packet->count; chunk++) {
        uint32_t ssrc = reader_u32(&reader);
        for (;;) {
            uint8_t type = reader_u8(&reader);
            if (reader.failed)
                return -EBADMSG;
            if (type == SDES_END)
                break;
            struct bytes text = reader_bytes(&reader, reader_u8(&reader));
            if (reader.failed)
                return -EBADMSG;
            if (type == SDES_CNAME) {
                *ret_ssrc = ssrc;
                *ret_cname = text;
                return 0;
            }
        }
        reader_skip(&reader, (4 - reader.at % 4) % 4);
    }
    return -ENOENT;
}

int rtcp_feedback_parse(const struct rtcp_packet *packet, struct rtcp_feedback *ret_feedback)
{
    struct bytes body = packet->body;
    if (body.size < FEEDBACK_HEAD_SIZE)
        return -EBADMSG;
    *ret_feedback = (struct rtcp_feedback){
        .sender_ssrc = load_u32(body.data),
        .media_ssrc = load_u32(body.data + 4),
        .control = bytes_of(body.data + FEEDBACK_HEAD_SIZE, body.size - FEEDBACK_HEAD_SIZE),
    };
    return 0;
}

bool rtcp_nack_next(struct bytes control, struct rtcp_nack_cursor *cursor, uint16_t *ret_sequence)
{
    if (cursor->mask) {
        unsigned bit = (unsigned)__builtin_ctz(cursor->mask);
        cursor->mask = (uint16_t)(cursor->mask & (cursor->mask - 1));
        *ret_sequence = (uint16_t)(cursor->next + 1 + bit);
        return true;
    }
    if (cursor->at + 4 > control.size)
        return false;
    cursor->next = load_u16(control.data + cursor->at);
    cursor->mask = load_u16(control.data + cursor->at + 2);
    cursor->at += 4;
    *ret_sequence = cursor->next;
    return true;
}

bool rtcp_fir_next(struct bytes control, size_t *at, uint32_t *ret_ssrc, uint8_t *ret_command)
{
    if (*at + 8 > control.size)
        return false;
    *ret_ssrc = load_u32(control.data + *at);
    *ret_command = control.data[*at + 4];
    *at += 8;
    return true;
}

/**
 *    |  Unique identifier 'R' 'E' 'M' 'B'                            |
 *    |  Num SSRC     | BR Exp    |  BR Mantissa                      |
 *    |   SSRC feedback ...                                           |
 */
int rtcp_remb_parse(struct bytes control, struct rtcp_remb *ret_remb)
{
    struct reader reader = reader_of(control.data, control.size);
    if (reader_u32(&reader) != 0x52454d42)
        return -ENOENT;
    uint8_t count = reader_u8(&reader);
    uint32_t rate = reader_u24(&reader);
    struct bytes ssrcs = reader_bytes(&reader, 4u * count);
    if (reader.failed)
        return -EBADMSG;
    unsigned exponent = rate >> 18;
    uint64_t mantissa = rate & 0x3ffff;
    // 18 bits of mantissa: exponents above 46 leave 64 bits, whatever they were meant to say
    uint64_t bitrate = exponent > 46 && mantissa ? UINT64_MAX : mantissa << (exponent & 63);
    *ret_remb = (struct rtcp_remb){
        .bitrate_bps = bitrate,
        .ssrc_count = count,
        .ssrcs = ssrcs.data,
    };
    return 0;
}

bool rtcp_xr_next(const struct rtcp_packet *packet, size_t *at, struct rtcp_xr_block *ret_block)
{
    struct reader reader = reader_of(packet->body.data, packet->body.size);
    reader_skip(&reader, 4 + *at);
    struct rtcp_xr_block block = { .type = reader_u8(&reader), .specific = reader_u8(&reader) };
    block.body = reader_bytes(&reader, 4u * reader_u16(&reader));
    if (reader.failed)
        return false;
    *at = reader.at - 4;
    *ret_block = block;
    return true;
}

bool rtcp_dlrr_next(struct bytes body, size_t *at, uint32_t *ret_ssrc, uint32_t *ret_last_report,
                    uint32_t *ret_delay)
{
    if (*at + 12 > body.size)
        return false;
    *ret_ssrc = load_u32(body.data + *at);
    *ret_last_report = load_u32(body.data + *at + 4);
    *ret_delay = load_u32(body.data + *at + 8);
    *at += 12;
    return true;
}
