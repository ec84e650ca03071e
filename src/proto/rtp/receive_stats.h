/**
 * What a receiver knows about one SSRC (RFC 3550, A.1, A.3, A.8): extended highest sequence number,
 * loss, jitter, the sender's last report; and the report block made of it.
 */
#pragma once

#include "proto/rtp/rtcp.h"
#include "proto/rtp/sequence.h"

struct rtp_receive_stats {
    uint32_t ssrc;
    uint32_t clock_rate_hz;
    struct rtp_unwrapper sequence;
    bool started;
    uint64_t first_sequence;
    uint64_t packets_received; /**< duplicates included, as the RFC counts */
    uint64_t bytes_received;   /**< payload bytes */
    uint64_t expected_before;
    uint64_t received_before;
    uint32_t bad_sequence; /**< next one expected after a jump; UINT32_MAX: none */
    uint64_t last_arrival_us;
    uint32_t last_timestamp;
    uint32_t jitter_16;         /**< 16 times the jitter in timestamp units */
    uint64_t sender_report_ntp; /**< of the last SR; 0: none */
    uint32_t sender_report_rtp;
    uint64_t sender_report_at_us;
    uint32_t sender_packet_count;
};

void rtp_receive_stats_init(struct rtp_receive_stats *stats, uint32_t ssrc, uint32_t clock_rate_hz);
/**
 * Counts a packet. A jump of more than 3000 forwards (or 1000 backwards) is believed only when the
 * next packet follows it; then everything starts again. Returns false for a packet of an unproven
 * jump: such packets should be dropped. `*ret_sequence` (may be NULL) is its unwrapped number.
 */
bool rtp_receive_stats_packet(struct rtp_receive_stats *stats, uint64_t now_us, uint16_t sequence,
                              uint32_t timestamp, size_t payload_size, uint64_t *ret_sequence);
/** Remembers a sender report for LSR and DLSR. */
void rtp_receive_stats_sender_report(struct rtp_receive_stats *stats, uint64_t now_us,
                                     const struct rtcp_sender_info *info);
/** Makes the report block and begins a new interval. Returns false before the first packet. */
bool rtp_receive_stats_report(struct rtp_receive_stats *stats, uint64_t now_us,
                              struct rtcp_report_block *ret_block);
/** Packets lost since the beginning: expected less received, may be negative with duplicates. */
int64_t rtp_receive_stats_lost(const struct rtp_receive_stats *stats);
/** Interarrival jitter. */
uint64_t rtp_receive_stats_jitter_us(const struct rtp_receive_stats *stats);
