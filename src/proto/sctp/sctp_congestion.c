#include "proto/sctp/sctp_congestion_int.h"

#include "proto/sctp/sctp_chunk.h"

/** Resolution of timers: the variance of round trips counts as at least this (RFC 9260, 6.3.1). */
#define GRANULARITY_US (10 * TIME_US_PER_MS)

void sctp_congestion_init(struct sctp_congestion *congestion, uint32_t packet_size)
{
    *congestion = (struct sctp_congestion){
        .packet_size = packet_size,
        .window = SCTP_INITIAL_WINDOW_PACKETS * packet_size,
        .threshold = UINT32_MAX,
        .rto_us = SCTP_RTO_INITIAL_US,
    };
}

void sctp_congestion_measured(struct sctp_congestion *congestion, uint64_t rtt_us)
{
    if (congestion->srtt_us == 0) {
        congestion->srtt_us = rtt_us;
        congestion->rttvar_us = rtt_us / 2;
    } else {
        uint64_t difference = congestion->srtt_us > rtt_us ? congestion->srtt_us - rtt_us
                                                           : rtt_us - congestion->srtt_us;
        congestion->rttvar_us = (3 * congestion->rttvar_us + difference) / 4;
        congestion->srtt_us = (7 * congestion->srtt_us + rtt_us) / 8;
    }
    congestion->srtt_us = max_of(congestion->srtt_us, (uint64_t)1);
    uint64_t rto_us = congestion->srtt_us + max_of(4 * congestion->rttvar_us, GRANULARITY_US);
    congestion->rto_us = min_of(max_of(rto_us, SCTP_RTO_MIN_US), SCTP_RTO_MAX_US);
}

void sctp_congestion_acknowledged(struct sctp_congestion *congestion, uint32_t bytes, bool was_full,
                                  uint32_t cumulative_tsn)
{
    if (congestion->recovering && sctp_at_least(cumulative_tsn, congestion->recovery_tsn))
        congestion->recovering = false;
    if (congestion->recovering || !was_full)
        return;
    if (congestion->window <= congestion->threshold) {
        // RFC 9260, 7.2.1 with L = 2: every second packet is acknowledged
        congestion->window += min_of(bytes, 2 * congestion->packet_size);
        return;
    }
    congestion->partial += bytes;
    if (congestion->partial >= congestion->window) {
        congestion->partial -= congestion->window;
        congestion->window += congestion->packet_size;
    }
}

static void halve(struct sctp_congestion *congestion)
{
    congestion->threshold = max_of(congestion->window / 2, 4 * congestion->packet_size);
    congestion->partial = 0;
}

void sctp_congestion_lost(struct sctp_congestion *congestion, uint32_t last_tsn)
{
    if (congestion->recovering)
        return;
    halve(congestion);
    congestion->window = congestion->threshold;
    congestion->recovering = true;
    congestion->recovery_tsn = last_tsn;
}

void sctp_congestion_back_off(struct sctp_congestion *congestion)
{
    congestion->rto_us = min_of(2 * congestion->rto_us, SCTP_RTO_MAX_US);
}

void sctp_congestion_timed_out(struct sctp_congestion *congestion)
{
    halve(congestion);
    congestion->window = congestion->packet_size;
    congestion->recovering = false;
}

void sctp_congestion_idled(struct sctp_congestion *congestion)
{
    uint32_t initial = SCTP_INITIAL_WINDOW_PACKETS * congestion->packet_size;
    congestion->window = min_of(congestion->window, initial);
}
