#include "proto/rtp/receive_stats.h"

#include "proto/rtp/clock.h"

enum {
    // RFC 3550, A.1; its 100 packets of disorder are too few beside late repairs
    DROPOUT_MAX = 3000,
    MISORDER_MAX = 1000,
    NO_SEQUENCE = UINT32_MAX,
};

void rtp_receive_stats_init(struct rtp_receive_stats *stats, uint32_t ssrc, uint32_t clock_rate_hz)
{
    *stats = (struct rtp_receive_stats){
        .ssrc = ssrc,
        .clock_rate_hz = clock_rate_hz,
        .bad_sequence = NO_SEQUENCE,
    };
}

/** Begins to count anew at `sequence`, which stays above all unwrapped numbers of before. */
static void start(struct rtp_receive_stats *stats, uint16_t sequence)
{
    if (stats->started)
        stats->sequence.highest += (uint16_t)(sequence - (uint16_t)stats->sequence.highest);
    else
        rtp_sequence_unwrap(&stats->sequence, sequence);
    stats->started = true;
    stats->first_sequence = stats->sequence.highest;
    stats->packets_received = 0;
    stats->expected_before = 0;
    stats->received_before = 0;
    stats->jitter_16 = 0;
    stats->last_arrival_us = 0;
    stats->bad_sequence = NO_SEQUENCE;
}

/** RFC 3550, A.8, for the first packet of each frame: the others tell of pacing, not of the path.
 */
static void jitter_update(struct rtp_receive_stats *stats, uint64_t now_us, uint32_t timestamp)
{
    if (stats->last_arrival_us != 0 && timestamp == stats->last_timestamp)
        return;
    if (stats->last_arrival_us != 0) {
        int64_t arrival =
            (int64_t)rtp_units_from_us(now_us - stats->last_arrival_us, stats->clock_rate_hz);
        int64_t sent = (int32_t)(timestamp - stats->last_timestamp);
        int64_t difference = arrival > sent ? arrival - sent : sent - arrival;
        // a pause or a new clock, not jitter
        if (difference < 5 * (int64_t)stats->clock_rate_hz)
            stats->jitter_16 =
                (uint32_t)(stats->jitter_16 + difference - ((stats->jitter_16 + 8) >> 4));
    }
    stats->last_arrival_us = now_us;
    stats->last_timestamp = timestamp;
}

bool rtp_receive_stats_packet(struct rtp_receive_stats *stats, uint64_t now_us, uint16_t sequence,
                              uint32_t timestamp, size_t payload_size, uint64_t *ret_sequence)
{
    if (!stats->started)
        start(stats, sequence);
    uint16_t distance = (uint16_t)(sequence - (uint16_t)stats->sequence.highest);
    bool behind = distance >= 0x10000 - MISORDER_MAX;
    if (distance >= DROPOUT_MAX && !behind) {
        if (sequence != stats->bad_sequence) {
            stats->bad_sequence = (uint16_t)(sequence + 1);
            return false;
        }
        start(stats, sequence);
    }
    uint64_t unwrapped = rtp_sequence_unwrap(&stats->sequence, sequence);
    if (unwrapped < stats->first_sequence)
        stats->first_sequence = unwrapped;
    stats->packets_received++;
    stats->bytes_received += payload_size;
    if (!behind)
        jitter_update(stats, now_us, timestamp);
    if (ret_sequence)
        *ret_sequence = unwrapped;
    return true;
}

void rtp_receive_stats_sender_report(struct rtp_receive_stats *stats, uint64_t now_us,
                                     const struct rtcp_sender_info *info)
{
    stats->sender_report_ntp = info->ntp;
    stats->sender_report_rtp = info->rtp_timestamp;
    stats->sender_report_at_us = now_us;
    stats->sender_packet_count = info->packet_count;
}

static uint64_t expected(const struct rtp_receive_stats *stats)
{
    return stats->started ? stats->sequence.highest - stats->first_sequence + 1 : 0;
}

int64_t rtp_receive_stats_lost(const struct rtp_receive_stats *stats)
{
    return (int64_t)expected(stats) - (int64_t)stats->packets_received;
}

uint64_t rtp_receive_stats_jitter_us(const struct rtp_receive_stats *stats)
{
    return stats->clock_rate_hz ? rtp_units_to_us(stats->jitter_16 >> 4, stats->clock_rate_hz) : 0;
}

/** RFC 3550, A.3: loss since the report before, as a fraction of 256. */
static uint8_t fraction_lost(struct rtp_receive_stats *stats)
{
    uint64_t expected_now = expected(stats);
    int64_t expected_interval = (int64_t)(expected_now - stats->expected_before);
    int64_t received_interval = (int64_t)(stats->packets_received - stats->received_before);
    stats->expected_before = expected_now;
    stats->received_before = stats->packets_received;
    int64_t lost = expected_interval - received_interval;
    if (expected_interval <= 0 || lost <= 0)
        return 0;
    return (uint8_t)min_of(lost * 256 / expected_interval, (int64_t)255);
}

bool rtp_receive_stats_report(struct rtp_receive_stats *stats, uint64_t now_us,
                              struct rtcp_report_block *ret_block)
{
    if (!stats->started)
        return false;
    int64_t lost = rtp_receive_stats_lost(stats);
    lost = max_of(min_of(lost, (int64_t)0x7fffff), (int64_t)-0x800000);
    *ret_block = (struct rtcp_report_block){
        .ssrc = stats->ssrc,
        .fraction_lost = fraction_lost(stats),
        .cumulative_lost = (int32_t)lost,
        // unwrapping begins one cycle above 0, which the wire does not show
        .highest_sequence = (uint32_t)(stats->sequence.highest - 0x10000),
        .jitter = stats->jitter_16 >> 4,
    };
    if (stats->sender_report_ntp != 0) {
        ret_block->last_sender_report = rtp_ntp_middle(stats->sender_report_ntp);
        ret_block->delay_since_last = rtp_short_from_us(now_us - stats->sender_report_at_us);
    }
    return true;
}
