// Packets of nothing: what a probe is filled with when there is nothing to send again.
#include "rtc/peer_int.h"

/** The payload type of retransmissions in the sender's section, or RTC_PAYLOAD_TYPE_NONE. */
static uint8_t any_rtx_payload_type(const struct rtc_sender *sender)
{
    const struct rtc_section *section = &peer_negotiated(sender->peer)->sections[sender->section];
    for (size_t i = 0; section->codecs && i < section->codecs->count; i++) {
        if (section->codecs->codecs[i].rtx_payload_type != RTC_PAYLOAD_TYPE_NONE)
            return section->codecs->codecs[i].rtx_payload_type;
    }
    return RTC_PAYLOAD_TYPE_NONE;
}

bool rtc_sender_can_repair(const struct rtc_sender *sender)
{
    return rtc_sender_ready(sender) && sender->rtx_ssrc != 0 &&
           any_rtx_payload_type(sender) != RTC_PAYLOAD_TYPE_NONE;
}

bool rtc_sender_pad(struct rtc_sender *sender, uint64_t now_us, struct datagram_batch *batch)
{
    struct rtc_peer *peer = sender->peer;
    if (!rtc_sender_can_repair(sender))
        return false;
    uint8_t *at = datagram_batch_reserve(batch, DATAGRAM_SIZE_MAX);
    if (!at) {
        peer_count(peer, RTC_METRIC_DROPPED_SEND_ROOM, 1);
        return false;
    }
    struct rtp_rewrite fields = {
        .timestamp = sender->next.timestamp,
        .sequence = sender->rtx_sequence,
        .payload_type = any_rtx_payload_type(sender),
        .padding = true,
    };
    struct rtp_rewritten header =
        rtp_rewriter_write(&sender->rtx_rewriter, &fields, NULL, NULL, at);
    rtp_rewritten_stamp(&header, at, now_us, peer->transport_sequence);
    // RFC 3550, 5.1: the last byte counts the padding, itself included
    uint8_t padding[RTC_SENDER_PAD_SIZE] = { [RTC_SENDER_PAD_SIZE - 1] = RTC_SENDER_PAD_SIZE };
    if (!peer_sender_commit(sender, &sender->rtx_index, at, header.size,
                            bytes_of(padding, sizeof(padding)), batch))
        return false;
    sender->rtx_sequence++;
    peer_note_sent(peer, now_us, &header, sizeof(padding));
    peer_count(peer, RTC_METRIC_PADDING_SENT, 1);
    return true;
}
