/** What a sender counts about one SSRC, its sender reports, and what receivers report back. */
#pragma once

#include "proto/rtp/rtcp.h"

struct rtp_send_stats {
    uint32_t ssrc;
    uint32_t clock_rate_hz;
    uint64_t packet_count;
    uint64_t octet_count; /**< payload without padding (RFC 3550, 6.4.1) */
    bool started;
    uint32_t last_timestamp;
    uint64_t last_sent_us;
    // from receivers' reports
    uint64_t round_trip_us; /**< smoothed; 0: not known */
    uint8_t fraction_lost;
    int32_t cumulative_lost;
    uint32_t jitter;
    uint64_t reported_at_us; /**< 0: never */
};

void rtp_send_stats_init(struct rtp_send_stats *stats, uint32_t ssrc, uint32_t clock_rate_hz);
/** Counts a packet just sent. */
void rtp_send_stats_packet(struct rtp_send_stats *stats, uint64_t now_us, uint32_t timestamp,
                           size_t payload_size);
/**
 * The sender report of this moment: the RTP timestamp is that of the last packet moved on to
 * `now_us`. An SFU that knows the publisher's own relation of clocks should pass it on instead.
 * Returns false before the first packet.
 */
bool rtp_send_stats_report(const struct rtp_send_stats *stats, uint64_t now_us, uint64_t now_ntp,
                           struct rtcp_sender_info *ret_info);
/** Takes in a report block about this SSRC. */
void rtp_send_stats_reported(struct rtp_send_stats *stats, uint64_t now_us, uint64_t now_ntp,
                             const struct rtcp_report_block *block);
