// Forward error correction of what a sender sends: media in RED, and ULPFEC packets between them.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "rtc/peer_int.h"

/** A thin stream's FEC packets go after this time, however few packets they are for. */
#define WAIT_US (150 * TIME_US_PER_MS)
/** Packets at a time that are worth two groups, and four. */
#define SPREAD_TWO  4
#define SPREAD_FOUR 12

static const struct rtc_section *section_of(const struct rtc_sender *sender)
{
    return &peer_negotiated(sender->peer)->sections[sender->section];
}

bool rtc_sender_can_protect(const struct rtc_sender *sender)
{
    return sender->can_protect;
}

/** Packets taken in, and `*ret_groups` in how many groups. */
static uint32_t taken_in(const struct rtc_sender_fec *fec, uint32_t *ret_groups)
{
    uint32_t count = 0;
    *ret_groups = 0;
    for (int i = 0; i < RTC_FEC_INTERLEAVE; i++) {
        count += fec->encoders[i].count;
        *ret_groups += fec->encoders[i].count > 0;
    }
    return count;
}

uint32_t rtc_sender_fec_due(const struct rtc_sender *sender, uint64_t now_us, uint8_t group)
{
    if (!sender->fec)
        return 0;
    uint32_t groups;
    uint32_t count = taken_in(sender->fec, &groups);
    bool full = count >= (uint32_t)group * sender->fec->spread;
    return count > 0 && (full || now_us - sender->fec->since_us >= WAIT_US) ? groups : 0;
}

struct bytes peer_sender_wrap(struct rtc_sender *sender, uint64_t now_us, uint8_t *header,
                              size_t header_size, struct bytes payload, uint8_t *buffer)
{
    if (!sender->fec) {
        sender->fec = memory_new(struct rtc_sender_fec);
        sender->fec->spread = 1;
    }
    struct rtc_sender_fec *fec = sender->fec;
    uint32_t groups;
    if (taken_in(fec, &groups) == 0)
        fec->since_us = now_us;
    // neighbours go to different groups, so that two lost in a row come back
    struct ulpfec_encoder *encoder = &fec->encoders[fec->next];
    // what does not fit (late, or too far from the group's first) goes unprotected
    if (ulpfec_encoder_add(encoder, bytes_of(header, header_size), payload) == 0)
        fec->next = (uint8_t)((fec->next + 1) % fec->spread);
    // RFC 2198: one byte, for the primary block is the only one
    buffer[0] = header[1] & 0x7f;
    memcpy(buffer + 1, payload.data, payload.size);
    header[1] = (uint8_t)((header[1] & 0x80) | section_of(sender)->red_payload_type);
    return bytes_of(buffer, payload.size + 1);
}

/** Sends one FEC packet in RED. */
static bool send_fec(struct rtc_sender *sender, uint64_t now_us, struct datagram_batch *batch,
                     uint16_t sequence, struct bytes payload)
{
    struct rtc_peer *peer = sender->peer;
    uint8_t *at = datagram_batch_reserve(batch, DATAGRAM_SIZE_MAX);
    if (!at) {
        peer_count(peer, RTC_METRIC_DROPPED_SEND_ROOM, 1);
        return false;
    }
    struct rtp_rewrite fields = {
        .timestamp = sender->next.timestamp,
        .sequence = sequence,
        .payload_type = section_of(sender)->red_payload_type,
    };
    struct rtp_rewritten header = rtp_rewriter_write(&sender->rewriter, &fields, NULL, NULL, at);
    rtp_rewritten_stamp(&header, at, now_us, peer->transport_sequence);
    if (!peer_sender_commit(sender, &sender->index, at, header.size, payload, batch))
        return false;
    peer_note_sent(peer, now_us, &header, payload.size);
    if ((int16_t)(sequence - sender->next.sequence) >= 0)
        sender->next.sequence = (uint16_t)(sequence + 1);
    rtp_send_stats_packet(&sender->stats, now_us, fields.timestamp, payload.size);
    peer_count(peer, RTC_METRIC_FEC_SENT, 1);
    return true;
}

void rtc_sender_send_fec(struct rtc_sender *sender, uint64_t now_us, struct datagram_batch *batch,
                         uint64_t sequence)
{
    struct rtc_sender_fec *fec = sender->fec;
    uint32_t groups;
    uint32_t count = taken_in(fec, &groups);
    for (int i = 0; i < RTC_FEC_INTERLEAVE; i++) {
        struct ulpfec_encoder *encoder = &fec->encoders[i];
        uint8_t payload[1 + ULPFEC_HEADER_MAX + ULPFEC_PACKET_MAX];
        payload[0] = section_of(sender)->ulpfec_payload_type;
        ssize_t size = ulpfec_encoder_write(encoder, payload + 1, sizeof(payload) - 1);
        ulpfec_encoder_clear(encoder);
        if (size < 0)
            continue;
        if (rtc_sender_ready(sender))
            send_fec(sender, now_us, batch, (uint16_t)sequence,
                     bytes_of(payload, (size_t)size + 1));
        sequence++;
    }
    fec->next = 0;
    fec->spread = count >= SPREAD_FOUR ? 4 : count >= SPREAD_TWO ? 2 : 1;
}

struct rtc_sender *peer_sender_free(struct rtc_sender *sender)
{
    if (!sender)
        return NULL;
    free(sender->fec);
    free(sender);
    return NULL;
}
