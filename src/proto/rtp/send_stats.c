#include "proto/rtp/send_stats.h"

#include "proto/rtp/clock.h"

void rtp_send_stats_init(struct rtp_send_stats *stats, uint32_t ssrc, uint32_t clock_rate_hz)
{
    *stats = (struct rtp_send_stats){ .ssrc = ssrc, .clock_rate_hz = clock_rate_hz };
}

void rtp_send_stats_packet(struct rtp_send_stats *stats, uint64_t now_us, uint32_t timestamp,
                           size_t payload_size)
{
    // a retransmission of an older frame must not move the clock back
    if (!stats->started || (int32_t)(timestamp - stats->last_timestamp) > 0) {
        stats->last_timestamp = timestamp;
        stats->last_sent_us = now_us;
        stats->started = true;
    }
    stats->packet_count++;
    stats->octet_count += payload_size;
}

bool rtp_send_stats_report(const struct rtp_send_stats *stats, uint64_t now_us, uint64_t now_ntp,
                           struct rtcp_sender_info *ret_info)
{
    if (!stats->started)
        return false;
    uint64_t passed = rtp_units_from_us(now_us - stats->last_sent_us, stats->clock_rate_hz);
    *ret_info = (struct rtcp_sender_info){
        .ssrc = stats->ssrc,
        .ntp = now_ntp,
        .rtp_timestamp = (uint32_t)(stats->last_timestamp + passed),
        .packet_count = (uint32_t)stats->packet_count,
        .octet_count = (uint32_t)stats->octet_count,
    };
    return true;
}

void rtp_send_stats_reported(struct rtp_send_stats *stats, uint64_t now_us, uint64_t now_ntp,
                             const struct rtcp_report_block *block)
{
    stats->fraction_lost = block->fraction_lost;
    stats->cumulative_lost = block->cumulative_lost;
    stats->jitter = block->jitter;
    stats->reported_at_us = now_us;
    uint64_t round_trip_us =
        rtp_round_trip_us(now_ntp, block->last_sender_report, block->delay_since_last);
    if (round_trip_us == 0)
        return;
    stats->round_trip_us =
        stats->round_trip_us == 0 ? round_trip_us : (7 * stats->round_trip_us + round_trip_us) / 8;
}
