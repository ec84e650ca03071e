#include <string.h>

#include "proto/rtp/rtcp.h"

/** Writes the header of a packet with `size` bytes behind it (a multiple of 4), if all fits. */
static bool begin(struct writer *writer, uint8_t count, enum rtcp_type type, size_t size)
{
    if (writer->failed || writer->capacity - writer->size < RTCP_HEADER_SIZE + size) {
        writer->failed = true;
        return false;
    }
    writer_u8(writer, (uint8_t)(2 << 6 | count));
    writer_u8(writer, (uint8_t)type);
    writer_u16(writer, (uint16_t)(size / 4));
    return true;
}

static void report_block_write(struct writer *writer, const struct rtcp_report_block *block)
{
    writer_u32(writer, block->ssrc);
    writer_u8(writer, block->fraction_lost);
    writer_u24(writer, (uint32_t)block->cumulative_lost & 0xffffff);
    writer_u32(writer, block->highest_sequence);
    writer_u32(writer, block->jitter);
    writer_u32(writer, block->last_sender_report);
    writer_u32(writer, block->delay_since_last);
}

void rtcp_sender_report_write(struct writer *writer, const struct rtcp_sender_info *info,
                              const struct rtcp_report_block *blocks, size_t block_count)
{
    ensure(block_count <= RTCP_REPORT_BLOCKS_MAX);
    if (!begin(writer, (uint8_t)block_count, RTCP_SENDER_REPORT,
               24 + block_count * RTCP_REPORT_BLOCK_SIZE))
        return;
    writer_u32(writer, info->ssrc);
    writer_u64(writer, info->ntp);
    writer_u32(writer, info->rtp_timestamp);
    writer_u32(writer, info->packet_count);
    writer_u32(writer, info->octet_count);
    for (size_t i = 0; i < block_count; i++)
        report_block_write(writer, &blocks[i]);
}

void rtcp_receiver_report_write(struct writer *writer, uint32_t ssrc,
                                const struct rtcp_report_block *blocks, size_t block_count)
{
    ensure(block_count <= RTCP_REPORT_BLOCKS_MAX);
    if (!begin(writer, (uint8_t)block_count, RTCP_RECEIVER_REPORT,
               4 + block_count * RTCP_REPORT_BLOCK_SIZE))
        return;
    writer_u32(writer, ssrc);
    for (size_t i = 0; i < block_count; i++)
        report_block_write(writer, &blocks[i]);
}

void rtcp_cname_write(struct writer *writer, uint32_t ssrc, struct bytes cname)
{
    ensure(cname.size <= 255);
    // at least one zero byte ends the items, more fill the word
    size_t size = 4 + 2 + cname.size;
    size_t zeros = 4 - size % 4;
    if (!begin(writer, 1, RTCP_SOURCE_DESCRIPTION, size + zeros))
        return;
    writer_u32(writer, ssrc);
    writer_u8(writer, 1);
    writer_u8(writer, (uint8_t)cname.size);
    writer_bytes(writer, cname.data, cname.size);
    writer_zeros(writer, zeros);
}

void rtcp_bye_write(struct writer *writer, const uint32_t *ssrcs, size_t ssrc_count)
{
    ensure(ssrc_count <= 31);
    if (!begin(writer, (uint8_t)ssrc_count, RTCP_BYE, 4 * ssrc_count))
        return;
    for (size_t i = 0; i < ssrc_count; i++)
        writer_u32(writer, ssrcs[i]);
}

static bool begin_feedback(struct writer *writer, uint8_t format, enum rtcp_type type,
                           uint32_t sender_ssrc, uint32_t media_ssrc, size_t control_size)
{
    if (!begin(writer, format, type, 8 + control_size))
        return false;
    writer_u32(writer, sender_ssrc);
    writer_u32(writer, media_ssrc);
    return true;
}

void rtcp_pli_write(struct writer *writer, uint32_t sender_ssrc, uint32_t media_ssrc)
{
    begin_feedback(writer, RTCP_PAYLOAD_PLI, RTCP_PAYLOAD_FEEDBACK, sender_ssrc, media_ssrc, 0);
}

void rtcp_fir_write(struct writer *writer, uint32_t sender_ssrc, uint32_t media_ssrc,
                    uint8_t command)
{
    // RFC 5104, 4.3.1.2: the media source in the head is 0, the entry names it
    if (!begin_feedback(writer, RTCP_PAYLOAD_FIR, RTCP_PAYLOAD_FEEDBACK, sender_ssrc, 0, 8))
        return;
    writer_u32(writer, media_ssrc);
    writer_u8(writer, command);
    writer_zeros(writer, 3);
}

/** Takes the numbers that one (PID, BLP) pair covers; returns how many. */
static size_t nack_pair(const uint16_t *sequences, size_t count, uint16_t *ret_mask)
{
    size_t taken = 1;
    *ret_mask = 0;
    while (taken < count) {
        uint16_t distance = (uint16_t)(sequences[taken] - sequences[0]);
        if (distance > 16)
            break;
        if (distance > 0)
            *ret_mask |= (uint16_t)(1u << (distance - 1));
        taken++;
    }
    return taken;
}

size_t rtcp_nack_write(struct writer *writer, uint32_t sender_ssrc, uint32_t media_ssrc,
                       const uint16_t *sequences, size_t sequence_count)
{
    size_t room = writer->failed ? 0 : writer->capacity - writer->size;
    if (sequence_count == 0 || room < RTCP_HEADER_SIZE + 8 + 4)
        return 0;
    size_t pairs_max = (room - RTCP_HEADER_SIZE - 8) / 4;
    uint16_t mask;
    size_t pairs = 0;
    for (size_t at = 0; at < sequence_count && pairs < pairs_max; pairs++)
        at += nack_pair(sequences + at, sequence_count - at, &mask);
    if (!begin_feedback(writer, RTCP_TRANSPORT_NACK, RTCP_TRANSPORT_FEEDBACK, sender_ssrc,
                        media_ssrc, 4 * pairs))
        return 0;
    size_t at = 0;
    while (pairs-- > 0) {
        uint16_t first = sequences[at];
        at += nack_pair(sequences + at, sequence_count - at, &mask);
        writer_u16(writer, first);
        writer_u16(writer, mask);
    }
    return at;
}

void rtcp_remb_write(struct writer *writer, uint32_t sender_ssrc, uint64_t bitrate_bps,
                     const uint32_t *ssrcs, size_t ssrc_count)
{
    ensure(ssrc_count <= RTCP_REMB_SSRCS_MAX);
    if (!begin_feedback(writer, RTCP_PAYLOAD_APPLICATION, RTCP_PAYLOAD_FEEDBACK, sender_ssrc, 0,
                        8 + 4 * ssrc_count))
        return;
    uint32_t exponent = 0;
    while (bitrate_bps >> exponent > 0x3ffff)
        exponent++;
    writer_bytes(writer, "REMB", 4);
    writer_u8(writer, (uint8_t)ssrc_count);
    writer_u24(writer, exponent << 18 | (uint32_t)(bitrate_bps >> exponent));
    for (size_t i = 0; i < ssrc_count; i++)
        writer_u32(writer, ssrcs[i]);
}

void rtcp_receiver_reference_write(struct writer *writer, uint32_t ssrc, uint64_t ntp)
{
    if (!begin(writer, 0, RTCP_EXTENDED_REPORT, 4 + 12))
        return;
    writer_u32(writer, ssrc);
    writer_u8(writer, RTCP_XR_RECEIVER_REFERENCE_TIME);
    writer_u8(writer, 0);
    writer_u16(writer, 2);
    writer_u64(writer, ntp);
}

void rtcp_dlrr_write(struct writer *writer, uint32_t sender_ssrc, uint32_t ssrc,
                     uint32_t last_report, uint32_t delay)
{
    if (!begin(writer, 0, RTCP_EXTENDED_REPORT, 4 + 16))
        return;
    writer_u32(writer, sender_ssrc);
    writer_u8(writer, RTCP_XR_DLRR);
    writer_u8(writer, 0);
    writer_u16(writer, 3);
    writer_u32(writer, ssrc);
    writer_u32(writer, last_report);
    writer_u32(writer, delay);
}
