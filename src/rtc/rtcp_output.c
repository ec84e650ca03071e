// RTCP of ours: reports per hop, and feedback to publishers.
#include "rtc/peer_int.h"

#include "proto/rtp/clock.h"

#define SENDER_REPORT_US   (1000 * TIME_US_PER_MS)
#define RECEIVER_REPORT_US (1000 * TIME_US_PER_MS)
/** Largest compound packet before protection. */
#define COMPOUND_MAX  1200
#define NACKS_AT_ONCE 64

/** A compound being gathered; sent when full and at the end. */
struct compound {
    struct rtc_peer *peer;
    struct datagram_batch *batch;
    uint8_t bytes[COMPOUND_MAX];
    struct writer writer;
};

static void compound_begin(struct compound *compound, struct rtc_peer *peer,
                           struct datagram_batch *batch)
{
    compound->peer = peer;
    compound->batch = batch;
    compound->writer = writer_of(compound->bytes, sizeof(compound->bytes));
}

static void compound_send(struct compound *compound)
{
    struct rtc_peer *peer = compound->peer;
    size_t size = compound->writer.size;
    compound->writer = writer_of(compound->bytes, sizeof(compound->bytes));
    if (size == 0)
        return;
    uint8_t *at = datagram_batch_reserve(compound->batch, size + SECURE_RTCP_OVERHEAD_MAX);
    ssize_t written = at ? secure_rtcp_protect(peer->sending, bytes_of(compound->bytes, size), at,
                                               size + SECURE_RTCP_OVERHEAD_MAX)
                         : -1;
    if (written > 0)
        datagram_batch_commit(compound->batch, &peer->path, (size_t)written);
    else
        peer_count(peer, RTC_METRIC_DROPPED_SEND_ROOM, 1);
}

/** Makes room for one more packet of at most `size` bytes. */
static struct writer *compound_room(struct compound *compound, size_t size)
{
    if (compound->writer.capacity - compound->writer.size < size)
        compound_send(compound);
    return &compound->writer;
}

static void write_sender_report(struct compound *compound, uint64_t now_us,
                                struct rtc_sender *sender)
{
    struct rtc_peer *peer = compound->peer;
    uint64_t unix_us = peer_unix_us(peer, now_us);
    struct rtcp_sender_info info;
    if (!rtp_send_stats_report(&sender->stats, now_us, time_ntp_from_unix_us(unix_us), &info))
        return;
    if (sender->clock.valid) {
        // the publisher's own relation of clocks, brought to now
        int64_t passed_us = (int64_t)(unix_us - sender->clock.unix_us);
        int64_t units = passed_us * (int64_t)sender->clock_rate_hz / (int64_t)TIME_US_PER_S;
        info.rtp_timestamp = sender->clock.timestamp + (uint32_t)units;
    }
    struct writer *writer = compound_room(compound, 28 + 8 + 260);
    rtcp_sender_report_write(writer, &info, NULL, 0);
    rtcp_cname_write(writer, sender->ssrc, bytes_of_text("roost"));
}

static void write_sender_reports(struct compound *compound, uint64_t now_us)
{
    struct rtc_peer *peer = compound->peer;
    for (size_t i = 0; i < peer->sender_count; i++) {
        struct rtc_sender *sender = peer->senders[i];
        if (!sender || sender->report_us > now_us)
            continue;
        // silent streams report no more: the next packet starts the timer again
        bool silent = now_us - sender->stats.last_sent_us > 5 * SENDER_REPORT_US;
        write_sender_report(compound, now_us, sender);
        sender->report_us = silent ? TIME_NEVER : now_us + SENDER_REPORT_US;
        if (silent)
            sender->stats.started = false;
    }
}

static void write_receiver_report(struct compound *compound, const struct rtcp_report_block *blocks,
                                  size_t count)
{
    struct rtc_peer *peer = compound->peer;
    struct writer *writer = compound_room(compound, 8 + count * RTCP_REPORT_BLOCK_SIZE + 260);
    rtcp_receiver_report_write(writer, peer->rtcp_ssrc, blocks, count);
    rtcp_cname_write(writer, peer->rtcp_ssrc, bytes_of_text("roost"));
}

static void write_receiver_reports(struct compound *compound, uint64_t now_us)
{
    struct rtc_peer *peer = compound->peer;
    if (peer->report_us > now_us)
        return;
    peer->report_us = now_us + RECEIVER_REPORT_US;
    struct rtcp_report_block blocks[RTCP_REPORT_BLOCKS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < peer->stream_count; i++) {
        struct rtc_stream *stream = &peer->streams[i];
        if (stream->repair || !rtp_receive_stats_report(&stream->stats, now_us, &blocks[count]))
            continue;
        if (++count < RTCP_REPORT_BLOCKS_MAX)
            continue;
        write_receiver_report(compound, blocks, count);
        count = 0;
    }
    if (count > 0)
        write_receiver_report(compound, blocks, count);
}

static void write_nacks(struct compound *compound, uint64_t now_us, struct rtc_stream *stream)
{
    struct rtc_peer *peer = compound->peer;
    uint16_t lost[NACKS_AT_ONCE];
    size_t count;
    while ((count = rtp_nack_generator_output(&stream->nack, now_us, lost, NACKS_AT_ONCE)) > 0) {
        struct writer *writer = compound_room(compound, 12 + 4 * NACKS_AT_ONCE);
        rtcp_nack_write(writer, peer->rtcp_ssrc, stream->ssrc, lost, count);
        peer_count(peer, RTC_METRIC_NACKS_SENT, count);
    }
}

static void write_stream_feedback(struct compound *compound, uint64_t now_us)
{
    struct rtc_peer *peer = compound->peer;
    for (uint32_t i = 0; i < peer->stream_count; i++) {
        struct rtc_stream *stream = &peer->streams[i];
        if (stream->repair)
            continue;
        write_nacks(compound, now_us, stream);
        if (!stream->key_frame_wanted)
            continue;
        stream->key_frame_wanted = false;
        rtcp_pli_write(compound_room(compound, 12), peer->rtcp_ssrc, stream->ssrc);
        peer_count(peer, RTC_METRIC_PLIS_SENT, 1);
    }
}

static void write_transport_feedback(struct compound *compound, uint64_t now_us)
{
    struct rtc_peer *peer = compound->peer;
    // as large as a whole compound: it takes what is left of this one, or a new one
    while (twcc_receiver_deadline(&peer->twcc) <= now_us) {
        struct writer *writer = compound_room(compound, COMPOUND_MAX / 2);
        if (!twcc_receiver_output(&peer->twcc, now_us, peer->rtcp_ssrc, writer))
            break;
    }
}

uint64_t peer_rtcp_deadline(const struct rtc_peer *peer)
{
    if (!peer->sending || peer->state != RTC_PEER_CONNECTED || peer->silenced || !peer->has_path)
        return TIME_NEVER;
    uint64_t deadline_us = peer->sender_count > 0 ? peer->wake_us : TIME_NEVER;
    if (peer->stream_count > 0)
        deadline_us = time_earlier(time_earlier(deadline_us, peer->report_us),
                                   twcc_receiver_deadline(&peer->twcc));
    for (uint32_t i = 0; i < peer->stream_count; i++) {
        const struct rtc_stream *stream = &peer->streams[i];
        if (stream->key_frame_wanted)
            return 0;
        deadline_us = time_earlier(deadline_us, rtp_nack_generator_deadline(&stream->nack));
    }
    for (size_t i = 0; i < peer->sender_count; i++) {
        if (peer->senders[i])
            deadline_us = time_earlier(deadline_us, peer->senders[i]->report_us);
    }
    return deadline_us;
}

void peer_rtcp_output(struct rtc_peer *peer, uint64_t now_us, struct datagram_batch *batch)
{
    if (peer_rtcp_deadline(peer) > now_us)
        return;
    struct compound compound;
    compound_begin(&compound, peer, batch);
    write_sender_reports(&compound, now_us);
    if (peer->stream_count > 0) {
        write_receiver_reports(&compound, now_us);
        write_stream_feedback(&compound, now_us);
        write_transport_feedback(&compound, now_us);
    }
    compound_send(&compound);
}
