#include "rtc/peer_stats.h"

#include "base/time.h"
#include "rtc/data_int.h"
#include "rtc/peer_int.h"

static struct rtc_stream_stats *add(struct rtc_peer_stats *stats)
{
    if (stats->stream_count == RTC_STATS_STREAMS_MAX)
        return NULL;
    return &stats->streams[stats->stream_count++];
}

static void add_incoming(struct rtc_peer_stats *stats, const struct rtc_stream *stream)
{
    // repairs are counted with what they repair
    struct rtc_stream_stats *out = stream->repair ? NULL : add(stats);
    if (!out)
        return;
    *out = (struct rtc_stream_stats){
        .section = stream->section,
        .layer = stream->layer,
        .ssrc = stream->ssrc,
        .packets = stream->stats.packets_received,
        .bytes = stream->stats.bytes_received,
        .lost = stream->stats.started ? rtp_receive_stats_lost(&stream->stats) : 0,
        .jitter_us = rtp_receive_stats_jitter_us(&stream->stats),
    };
}

static void add_outgoing(struct rtc_peer_stats *stats, const struct rtc_sender *sender)
{
    struct rtc_stream_stats *out = sender && sender->stats.started ? add(stats) : NULL;
    if (!out)
        return;
    uint32_t clock_hz = sender->stats.clock_rate_hz;
    *out = (struct rtc_stream_stats){
        .section = sender->section,
        .outgoing = true,
        .ssrc = sender->ssrc,
        .packets = sender->stats.packet_count,
        .bytes = sender->stats.octet_count,
        .lost = sender->stats.cumulative_lost,
        .fraction_lost = sender->stats.fraction_lost,
        .jitter_us = clock_hz ? sender->stats.jitter * TIME_US_PER_S / clock_hz : 0,
        .round_trip_us = sender->stats.round_trip_us,
    };
}

static struct rtc_congestion_stats congestion_of(const struct bwe *bwe, uint64_t now_us)
{
    static const char *const limits[] = {
        [BWE_LIMIT_NONE] = "nothing",
        [BWE_LIMIT_DELAY] = "delay",
        [BWE_LIMIT_LOSS] = "loss",
        [BWE_LIMIT_SILENCE] = "silence",
    };
    if (!bwe || !bwe_heard(bwe))
        return (struct rtc_congestion_stats){ .known = false };
    return (struct rtc_congestion_stats){
        .known = true,
        .acknowledged_bps = bwe->acknowledged_bps,
        .round_trip_us = (uint32_t)min_of(bwe->round_trip_us, (uint64_t)UINT32_MAX),
        .queue_us = (uint32_t)min_of(max_of(bwe->queue_us, 0), (int64_t)UINT32_MAX),
        .loss = bwe->loss.last,
        .limited_by = limits[bwe_limit(bwe, now_us)],
    };
}

static struct rtc_data_stats data_of(const struct sctp *sctp)
{
    if (!sctp || sctp_streams(sctp) == 0)
        return (struct rtc_data_stats){ .associated = false };
    const struct sctp_features features = sctp_features(sctp);
    return (struct rtc_data_stats){
        .associated = true,
        .partial_reliability = features.forward_tsn,
        .interleaving = features.interleaving,
        .stream_reset = features.reconfig,
        .zero_checksum = features.zero_checksum,
    };
}

void rtc_peer_read_stats(const struct rtc_peer *peer, uint64_t now_us,
                         struct rtc_peer_stats *ret_stats)
{
    *ret_stats = (struct rtc_peer_stats){
        .at_us = now_us,
        .connected = rtc_peer_connected(peer),
        .rtt_us = rtc_peer_rtt_us(peer),
        .bandwidth_bps = rtc_peer_bandwidth_bps(peer),
        .allocated_bps = peer->allocated_bps,
        .wanted_bps = peer->wanted_bps,
        .congestion = congestion_of(peer->bwe, now_us),
        .data = data_of(peer->data ? peer->data->sctp : NULL),
    };
    if (!rtc_peer_path(peer, &ret_stats->path))
        ret_stats->path = (struct net_path){ 0 };
    for (uint32_t i = 0; i < peer->stream_count; i++)
        add_incoming(ret_stats, &peer->streams[i]);
    for (size_t i = 0; i < peer->sender_count; i++)
        add_outgoing(ret_stats, peer->senders[i]);
}
