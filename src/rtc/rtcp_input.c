// RTCP from the other side: reports, feedback about what we send, goodbyes.
#include "rtc/peer_int.h"

#include <errno.h>

#include "proto/rtp/clock.h"

/** The smallest offset seen is the truth; it may grow this much per report, as clocks drift. */
#define CLOCK_DRIFT_US 200

/** An offset that moved by more is a clock that was set, not drift or a slow network. */
#define CLOCK_STEP_US (2 * TIME_US_PER_S)
/** Clocks go to every worker that has subscribers: reports that come faster say nothing new. */
#define CLOCK_MIN_US (100 * TIME_US_PER_MS)

/**
 * Transport-wide feedback in one datagram. A few bytes of it tell of 8,192 packets, and looking at
 * them takes time; honest receivers send one or two.
 */
#define FEEDBACK_MAX 4

/** Unix time in microseconds of an NTP timestamp. */
static int64_t unix_from_ntp(uint64_t ntp)
{
    int64_t seconds = (int64_t)(ntp >> 32) - 2208988800ll;
    int64_t fraction_us = (int64_t)(((ntp & 0xffffffffu) * TIME_US_PER_S) >> 32);
    return seconds * (int64_t)TIME_US_PER_S + fraction_us;
}

/**
 * Brings a publisher's clock into ours. All its streams share one offset, the smallest delay seen,
 * so that sound and picture keep their relation on every receiver.
 */
static void take_clock(struct rtc_peer *peer, uint64_t now_us, struct rtc_stream *stream,
                       const struct rtcp_sender_info *info)
{
    if (stream->clock_us > 0 && now_us - stream->clock_us < CLOCK_MIN_US)
        return;
    stream->clock_us = now_us;
    int64_t sent_us = unix_from_ntp(info->ntp);
    int64_t offset_us = (int64_t)peer_unix_us(peer, now_us) - sent_us;
    if (!peer->clock_offset_known || offset_us < peer->clock_offset_us ||
        offset_us - peer->clock_offset_us > (int64_t)CLOCK_STEP_US)
        peer->clock_offset_us = offset_us;
    else
        peer->clock_offset_us += min_of(offset_us - peer->clock_offset_us, (int64_t)CLOCK_DRIFT_US);
    peer->clock_offset_known = true;
    struct rtc_event *event = peer_event_add(peer, RTC_EVENT_CLOCK);
    if (!event)
        return;
    event->section = stream->section;
    event->layer = stream->layer;
    event->clock = (struct rtc_clock){
        .valid = true,
        .timestamp = info->rtp_timestamp,
        .unix_us = (uint64_t)(sent_us + peer->clock_offset_us),
    };
}

static void take_report_blocks(struct rtc_peer *peer, uint64_t now_us,
                               const struct rtcp_packet *packet)
{
    uint64_t now_ntp = time_ntp_from_unix_us(peer_unix_us(peer, now_us));
    for (size_t i = 0; i < packet->count; i++) {
        struct rtcp_report_block block;
        if (rtcp_report_block_parse(packet, i, &block) < 0)
            return;
        struct rtc_sender *sender = peer_sender_by_ssrc(peer, block.ssrc);
        if (!sender || sender->ssrc != block.ssrc)
            continue;
        rtp_send_stats_reported(&sender->stats, now_us, now_ntp, &block);
        peer_sender_acknowledged(sender, (uint16_t)block.highest_sequence);
    }
}

static void take_sender_report(struct rtc_peer *peer, uint64_t now_us,
                               const struct rtcp_packet *packet)
{
    struct rtcp_sender_info info;
    if (rtcp_sender_report_parse(packet, &info) < 0)
        return;
    struct rtc_stream *stream = peer_find_stream(peer, info.ssrc);
    if (stream && !stream->repair && info.ntp != 0) {
        rtp_receive_stats_sender_report(&stream->stats, now_us, &info);
        take_clock(peer, now_us, stream, &info);
    }
    take_report_blocks(peer, now_us, packet);
}

static void take_nack(struct rtc_peer *peer, const struct rtcp_feedback *feedback)
{
    struct rtc_sender *sender = peer_sender_by_ssrc(peer, feedback->media_ssrc);
    // numbers of the repair stream mean nothing to the medium's ring
    if (!sender || sender->ssrc != feedback->media_ssrc)
        return;
    struct rtcp_nack_cursor cursor = { 0 };
    struct rtc_event *event = NULL;
    uint16_t sequence;
    while (rtcp_nack_next(feedback->control, &cursor, &sequence)) {
        if (!event || event->lost_count == RTC_NACK_MAX) {
            event = peer_event_add(peer, RTC_EVENT_NACK);
            if (!event)
                return;
            event->section = sender->section;
        }
        event->lost[event->lost_count++] = sequence;
    }
}

static void want_key_frame(struct rtc_peer *peer, uint32_t media_ssrc)
{
    struct rtc_sender *sender = peer_sender_by_ssrc(peer, media_ssrc);
    struct rtc_event *event = sender ? peer_event_add(peer, RTC_EVENT_KEY_FRAME_WANTED) : NULL;
    if (event)
        event->section = sender->section;
}

static void take_payload_feedback(struct rtc_peer *peer, uint8_t format,
                                  const struct rtcp_feedback *feedback)
{
    if (format == RTCP_PAYLOAD_PLI) {
        want_key_frame(peer, feedback->media_ssrc);
    } else if (format == RTCP_PAYLOAD_FIR) {
        size_t at = 0;
        uint32_t ssrc;
        uint8_t command;
        while (rtcp_fir_next(feedback->control, &at, &ssrc, &command))
            want_key_frame(peer, ssrc);
    } else if (format == RTCP_PAYLOAD_APPLICATION) {
        struct rtcp_remb remb;
        if (rtcp_remb_parse(feedback->control, &remb) == 0)
            peer_take_remb(peer, remb.bitrate_bps);
    }
}

static void take_transport_feedback(struct rtc_peer *peer, uint64_t now_us, uint8_t format,
                                    const struct rtcp_feedback *feedback, unsigned *feedback_left)
{
    if (format == RTCP_TRANSPORT_NACK)
        take_nack(peer, feedback);
    if (format != RTCP_TRANSPORT_WIDE)
        return;
    if (*feedback_left == 0) {
        peer_count(peer, RTC_METRIC_DROPPED_FEEDBACK, 1);
        return;
    }
    --*feedback_left;
    peer_take_transport_feedback(peer, now_us, feedback->control);
}

static void take_packet(struct rtc_peer *peer, uint64_t now_us, const struct rtcp_packet *packet,
                        unsigned *feedback_left)
{
    struct rtcp_feedback feedback;
    switch (packet->type) {
    case RTCP_SENDER_REPORT:
        take_sender_report(peer, now_us, packet);
        break;
    case RTCP_RECEIVER_REPORT:
        take_report_blocks(peer, now_us, packet);
        break;
    case RTCP_TRANSPORT_FEEDBACK:
        if (rtcp_feedback_parse(packet, &feedback) == 0)
            take_transport_feedback(peer, now_us, packet->count, &feedback, feedback_left);
        break;
    case RTCP_PAYLOAD_FEEDBACK:
        if (rtcp_feedback_parse(packet, &feedback) == 0)
            take_payload_feedback(peer, packet->count, &feedback);
        break;
    default:
        break;
    }
}

int peer_receive_rtcp(struct rtc_peer *peer, uint64_t now_us, struct bytes datagram)
{
    if (!peer->receiving) {
        peer_count(peer, RTC_METRIC_DROPPED_NO_KEYS, 1);
        return -ENOTCONN;
    }
    uint8_t plain[PACKET_BYTES_MAX];
    ssize_t size = secure_rtcp_unprotect(peer->receiving, datagram, plain, sizeof(plain));
    if (size < 0) {
        peer_count(peer, RTC_METRIC_DROPPED_SRTP, 1);
        return (int)size;
    }
    struct reader reader = reader_of(plain, (size_t)size);
    struct rtcp_packet packet;
    unsigned feedback_left = FEEDBACK_MAX;
    int more;
    while ((more = rtcp_next(&reader, &packet)) > 0)
        take_packet(peer, now_us, &packet, &feedback_left);
    if (more < 0)
        peer_count(peer, RTC_METRIC_DROPPED_RTCP, 1);
    return more;
}
