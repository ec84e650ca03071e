#include "rtc/sender.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/rtp/rtx.h"
#include "rtc/peer_int.h"

/** The first report follows soon: without one receivers cannot bring sound and picture together. */
#define FIRST_REPORT_US (200 * TIME_US_PER_MS)
/** Bursts may be as long as the pace makes good in this time; lost packets go before others. */
#define BURST_US        (40 * TIME_US_PER_MS)
#define REPAIR_BURST_US (2 * BURST_US)
/** Of paths that nothing is known of: fast, but no burst that fills their queues. */
#define UNKNOWN_PACE_BPS 24000000
#define UNKNOWN_BURST_US (20 * TIME_US_PER_MS)
/** A group of pictures is longer than any frame: it goes at 3/5 of the pace. */
#define PAST_PARTS 3
#define PAST_OF    5
/** Largest datagram that we make. */
#define DATAGRAM_MAX 1500

bool rtc_sender_ready(const struct rtc_sender *sender)
{
    const struct rtc_peer *peer = sender->peer;
    return peer->sending && peer->state == RTC_PEER_CONNECTED && peer->has_path && !peer->silenced;
}

bool rtc_sender_keys_shown(const struct rtc_sender *sender)
{
    return sender->peer->keys_shown;
}

void rtc_sender_reported(const struct rtc_sender *sender, struct rtc_reported *ret_reported)
{
    *ret_reported = (struct rtc_reported){
        .at_us = sender->stats.reported_at_us,
        .fraction_lost = sender->stats.fraction_lost,
        .round_trip_us = sender->stats.round_trip_us,
    };
}

uint64_t rtc_sender_bandwidth_bps(const struct rtc_sender *sender)
{
    const struct rtc_peer *peer = sender->peer;
    return peer_bandwidth_guessed(peer) ? 0 : rtc_peer_bandwidth_bps(peer);
}

uint32_t rtc_sender_room(const struct rtc_sender *sender, uint64_t now_us, enum rtc_urgency urgency)
{
    struct rtc_peer *peer = sender->peer;
    uint64_t pace_bps = rtc_peer_pacing_bps(peer);
    if (urgency == RTC_URGENCY_PAST)
        return pace_bps == 0
                   ? rtc_pacer_room(&peer->pacer, now_us, UNKNOWN_PACE_BPS, UNKNOWN_BURST_US)
                   : rtc_pacer_room(&peer->pacer, now_us, pace_bps * PAST_PARTS / PAST_OF,
                                    BURST_US);
    if (pace_bps == 0)
        return UINT32_MAX;
    return rtc_pacer_room(&peer->pacer, now_us, pace_bps,
                          urgency == RTC_URGENCY_REPAIR ? REPAIR_BURST_US : BURST_US);
}

void rtc_sender_start_numbers(const struct rtc_sender *sender, struct rtc_numbers *ret_numbers)
{
    *ret_numbers = sender->next;
}

void rtc_sender_set_clock(struct rtc_sender *sender, const struct rtc_clock *clock)
{
    sender->clock = *clock;
}

void rtc_sender_prefetch(const struct rtc_sender *sender, unsigned depth)
{
    if (depth == 0) {
        memory_prefetch(sender, offsetof(struct rtc_sender, rtx_index));
        memory_prefetch(&sender->rewriter.one_byte, sizeof(sender->rewriter.one_byte));
        return;
    }
    const struct rtc_peer *peer = sender->peer;
    if (depth == 1) {
        memory_prefetch(peer, offsetof(struct rtc_peer, ice));
        memory_prefetch(&peer->sending, sizeof(peer->sending));
        memory_prefetch(&peer->transport_sequence, 1);
    } else if (peer->sending) {
        secure_rtp_session_prefetch(peer->sending, depth == RTC_SENDER_DEPTH - 1);
    }
}

bool peer_sender_commit(struct rtc_sender *sender, struct secure_rtp_sender *index, uint8_t *at,
                        size_t header_size, struct bytes payload, struct datagram_batch *batch)
{
    struct rtc_peer *peer = sender->peer;
    ssize_t size = secure_rtp_protect(peer->sending, index, bytes_of(at, header_size), payload, at,
                                      DATAGRAM_SIZE_MAX);
    if (size < 0) {
        peer_count(peer, RTC_METRIC_DROPPED_SEND, 1);
        return false;
    }
    datagram_batch_commit(batch, &peer->path, (size_t)size);
    peer->pacer.sent_bytes += (uint64_t)size;
    return true;
}

bool rtc_sender_send(struct rtc_sender *sender, uint64_t now_us, struct datagram_batch *batch,
                     struct packet *packet, const struct rtc_outgoing *outgoing)
{
    struct rtc_peer *peer = sender->peer;
    const struct media_info *info = media_info_of(packet);
    if (!rtc_sender_ready(sender))
        return false;
    uint8_t *at = datagram_batch_reserve(batch, DATAGRAM_SIZE_MAX);
    bool own = outgoing->payload.size > 0;
    size_t payload_size = own ? outgoing->payload.size : outgoing->empty ? 0 : info->payload_size;
    if (!at || payload_size > DATAGRAM_MAX) {
        peer_count(peer, RTC_METRIC_DROPPED_SEND_ROOM, 1);
        return false;
    }
    // the receiver left a padding count of 1 behind every payload
    bool pad =
        !own && !outgoing->empty && !outgoing->protect && payload_size + 1 == outgoing->pad_to;
    struct rtp_rewrite fields = {
        .timestamp = outgoing->timestamp,
        .sequence = (uint16_t)outgoing->sequence,
        .payload_type = outgoing->payload_type,
        .marker = (info->marker || outgoing->ends_picture) && !outgoing->empty,
        .padding = pad,
        .descriptor = outgoing->descriptor,
    };
    struct rtp_rewritten header =
        rtp_rewriter_write(&sender->rewriter, &fields, &info->extensions, packet->bytes, at);
    rtp_rewritten_stamp(&header, at, now_us, peer->transport_sequence);
    struct bytes payload =
        own ? outgoing->payload
            : bytes_of(packet->bytes + info->payload_at, payload_size + (pad ? 1 : 0));
    if (outgoing->head.size > 0) {
        // to where it will be encrypted in place
        memcpy(at + header.size, payload.data, payload.size);
        memcpy(at + header.size, outgoing->head.data, outgoing->head.size);
        payload.data = at + header.size;
    }
    uint8_t wrapped[1 + DATAGRAM_MAX];
    if (outgoing->protect)
        payload = peer_sender_wrap(sender, now_us, at, header.size, payload, wrapped);
    if (!peer_sender_commit(sender, &sender->index, at, header.size, payload, batch))
        return false;
    peer_note_sent(peer, now_us, &header, payload.size);
    if (!sender->stats.started)
        sender->report_us = now_us + FIRST_REPORT_US;
    if ((int16_t)((uint16_t)outgoing->sequence - sender->next.sequence) >= 0)
        sender->next =
            (struct rtc_numbers){ (uint16_t)(outgoing->sequence + 1), outgoing->timestamp, now_us };
    rtp_send_stats_packet(&sender->stats, now_us, outgoing->timestamp, payload_size);
    peer_count(peer, RTC_METRIC_RTP_SENT, 1);
    peer_count(peer, RTC_METRIC_RTP_SENT_BYTES, payload_size);
    return true;
}

/** The RTX payload type that repairs `payload_type` in the sender's section. */
static uint8_t rtx_payload_type(const struct rtc_sender *sender, uint8_t payload_type)
{
    const struct rtc_section *section = &peer_negotiated(sender->peer)->sections[sender->section];
    bool is_rtx;
    const struct rtc_codec *codec = rtc_section_codec(section, payload_type, &is_rtx);
    return codec ? codec->rtx_payload_type : RTC_PAYLOAD_TYPE_NONE;
}

bool rtc_sender_resend(struct rtc_sender *sender, uint64_t now_us, struct datagram_batch *batch,
                       struct packet *packet, const struct rtc_outgoing *outgoing)
{
    struct rtc_peer *peer = sender->peer;
    const struct media_info *info = media_info_of(packet);
    uint8_t payload_type = rtx_payload_type(sender, outgoing->payload_type);
    if (!rtc_sender_ready(sender) || sender->rtx_ssrc == 0 ||
        payload_type == RTC_PAYLOAD_TYPE_NONE || info->payload_size > DATAGRAM_MAX)
        return false;
    uint8_t *at = datagram_batch_reserve(batch, DATAGRAM_SIZE_MAX);
    if (!at) {
        peer_count(peer, RTC_METRIC_DROPPED_SEND_ROOM, 1);
        return false;
    }
    size_t payload_size = outgoing->empty ? 0 : info->payload_size;
    struct rtp_rewrite fields = {
        .timestamp = outgoing->timestamp,
        .sequence = sender->rtx_sequence,
        .payload_type = payload_type,
        .marker = (info->marker || outgoing->ends_picture) && !outgoing->empty,
        .descriptor = outgoing->descriptor,
    };
    struct rtp_rewritten header =
        rtp_rewriter_write(&sender->rtx_rewriter, &fields, &info->extensions, packet->bytes, at);
    rtp_rewritten_stamp(&header, at, now_us, peer->transport_sequence);
    uint8_t payload[RTX_OSN_SIZE + DATAGRAM_MAX];
    rtx_osn_store(payload, (uint16_t)outgoing->sequence);
    memcpy(payload + RTX_OSN_SIZE, packet->bytes + info->payload_at, payload_size);
    if (outgoing->head.size > 0 && !outgoing->empty)
        memcpy(payload + RTX_OSN_SIZE, outgoing->head.data, outgoing->head.size);
    if (!peer_sender_commit(sender, &sender->rtx_index, at, header.size,
                            bytes_of(payload, RTX_OSN_SIZE + payload_size), batch))
        return false;
    sender->rtx_sequence++;
    peer_note_sent(peer, now_us, &header, RTX_OSN_SIZE + payload_size);
    peer_count(peer, RTC_METRIC_RTX_SENT, 1);
    return true;
}

/** playout-delay extension: | min (12 bits) | max (12 bits) |, in units of 10 ms. */
static void write_playout_delay(const struct rtc_playout_delay *delay, uint8_t *out)
{
    store_u24(out, (uint32_t)(delay->min_ms / 10) << 12 | delay->max_ms / 10);
}

/** Whether packets of a sender have to tell the delay still, or passed ones must not. */
static bool tells_playout_delay(struct rtc_sender *sender, const struct rtc_section *section)
{
    const struct rtc_playout_delay *wanted = &peer_negotiated(sender->peer)->playout_delay;
    struct rtc_playout_delay *told = &sender->playout_delay;
    if (!wanted->set || !(section->extensions & RTP_EXTENSION_BIT(RTP_EXTENSION_PLAYOUT_DELAY))) {
        told->set = false;
        return false;
    }
    if (!told->set || told->min_ms != wanted->min_ms || told->max_ms != wanted->max_ms) {
        *told = *wanted;
        sender->playout_delay_told = false;
        sender->playout_delay_since = sender->next.sequence;
    }
    return !sender->playout_delay_told;
}

static void init_rewriters(struct rtc_sender *sender, const struct rtc_section *section)
{
    const struct rtc_negotiated *negotiated = peer_negotiated(sender->peer);
    // extensions are agreed on per section; ids are the same for all
    struct rtp_extension_map map = negotiated->extensions;
    for (int kind = 0; kind < RTP_EXTENSION_COUNT; kind++) {
        if (!(section->extensions & RTP_EXTENSION_BIT(kind)))
            map.id_of_kind[kind] = 0;
    }
    struct rtp_rewriter_config config = {
        .map = &map,
        .ssrc = sender->ssrc,
        .mid = bytes_of_text(section->mid),
        .abs_send_time = true,
        .transport_sequence = true,
        .pass = RTP_REWRITE_PASS_DEFAULT,
    };
    sender->can_protect = section->red_payload_type != 0 && section->ulpfec_payload_type != 0;
    uint8_t playout_delay[3];
    if (tells_playout_delay(sender, section)) {
        write_playout_delay(&sender->playout_delay, playout_delay);
        config.playout_delay = bytes_of(playout_delay, sizeof(playout_delay));
    }
    if (sender->playout_delay.set)
        config.pass &= ~RTP_EXTENSION_BIT(RTP_EXTENSION_PLAYOUT_DELAY);
    rtp_rewriter_init(&sender->rewriter, &config);
    config.ssrc = sender->rtx_ssrc;
    rtp_rewriter_init(&sender->rtx_rewriter, &config);
}

struct rtc_sender *peer_sender_new(struct rtc_peer *peer, uint16_t index)
{
    const struct rtc_section *section = &peer_negotiated(peer)->sections[index];
    struct rtc_sender *sender = memory_new(struct rtc_sender);
    sender->peer = peer;
    sender->section = index;
    sender->ssrc = section->ssrc;
    sender->rtx_ssrc = section->rtx_ssrc;
    sender->clock_rate_hz =
        codec_get(section->kind == RTC_KIND_AUDIO ? CODEC_OPUS : CODEC_VP8)->clock_rate_hz;
    sender->report_us = TIME_NEVER;
    // below 2^15: a receiver that misses the first packets must not mistake the rollover counter
    sender->next.sequence = (uint16_t)(random_u32(peer->thread->random) & 0x7fff);
    sender->rtx_sequence = (uint16_t)(random_u32(peer->thread->random) & 0x7fff);
    sender->next.timestamp = random_u32(peer->thread->random);
    rtp_send_stats_init(&sender->stats, sender->ssrc, sender->clock_rate_hz);
    secure_rtp_sender_init(&sender->index);
    secure_rtp_sender_init(&sender->rtx_index);
    init_rewriters(sender, section);
    return sender;
}

void peer_sender_acknowledged(struct rtc_sender *sender, uint16_t highest)
{
    if (!sender->playout_delay.set || sender->playout_delay_told || !sender->stats.started ||
        (int16_t)(highest - sender->playout_delay_since) < 0 ||
        (int16_t)(sender->next.sequence - highest) <= 0)
        return;
    // every packet since then had it
    sender->playout_delay_told = true;
    init_rewriters(sender, &peer_negotiated(sender->peer)->sections[sender->section]);
}

struct rtc_sender *peer_sender_by_ssrc(struct rtc_peer *peer, uint32_t ssrc)
{
    for (size_t i = 0; i < peer->sender_count; i++) {
        struct rtc_sender *sender = peer->senders[i];
        if (sender && (sender->ssrc == ssrc || (sender->rtx_ssrc == ssrc && ssrc != 0)))
            return sender;
    }
    return NULL;
}

/**
 * A slot that rests keeps its sender: it comes back with the same SSRC, and under the same keys its
 * numbers must never be used again (RFC 7714, 9.1).
 */
static bool wants_sender(const struct rtc_section *section)
{
    return rtc_section_is_slot(section) && section->ssrc != 0 &&
           (section->kind == RTC_KIND_AUDIO || section->kind == RTC_KIND_VIDEO);
}

static void free_replaced(struct rtc_peer *peer)
{
    while (peer->replaced) {
        struct rtc_sender *sender = peer->replaced;
        peer->replaced = sender->next_replaced;
        peer_sender_free(sender);
    }
}

void peer_sync_senders(struct rtc_peer *peer)
{
    const struct rtc_negotiated *negotiated = peer_negotiated(peer);
    free_replaced(peer);
    peer->numbered = false;
    if (negotiated->section_count > peer->sender_count) {
        peer->senders =
            memory_resize(peer->senders, negotiated->section_count * sizeof(*peer->senders));
        for (size_t i = peer->sender_count; i < negotiated->section_count; i++)
            peer->senders[i] = NULL;
        peer->sender_count = negotiated->section_count;
    }
    for (size_t i = 0; i < peer->sender_count; i++) {
        const struct rtc_section *section =
            i < negotiated->section_count ? &negotiated->sections[i] : NULL;
        struct rtc_sender *sender = peer->senders[i];
        if (sender && (!section || section->ssrc != sender->ssrc)) {
            sender->next_replaced = peer->replaced;
            peer->replaced = sender;
            sender = peer->senders[i] = NULL;
        }
        if (!section || !wants_sender(section))
            continue;
        peer->numbered |=
            (section->extensions & RTP_EXTENSION_BIT(RTP_EXTENSION_TRANSPORT_SEQUENCE)) != 0;
        if (sender)
            init_rewriters(sender, section);
        else
            peer->senders[i] = peer_sender_new(peer, (uint16_t)i);
    }
}

void peer_drop_senders(struct rtc_peer *peer)
{
    free_replaced(peer);
    for (size_t i = 0; i < peer->sender_count; i++)
        peer_sender_free(peer->senders[i]);
    free(peer->senders);
    peer->senders = NULL;
    peer->sender_count = 0;
}
