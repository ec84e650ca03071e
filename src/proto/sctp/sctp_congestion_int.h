/**
 * How much may be under way, and how long to wait for an answer (RFC 9260, 6.3 and 7.2).
 * Private to this folder.
 */
#pragma once

#include "base/compiler.h"
#include "base/time.h"

/** As RFC 6928 has it for TCP, and SCTP stacks of browsers too; RFC 9260 is older at heart. */
#define SCTP_INITIAL_WINDOW_PACKETS 10
#define SCTP_RTO_INITIAL_US         (500 * TIME_US_PER_MS)
/**
 * RFC 9260 says 1 s, for paths and clocks of its time. 400 ms is above the delay of
 * acknowledgements (200 ms) with which browsers answer a single packet.
 */
#define SCTP_RTO_MIN_US (400 * TIME_US_PER_MS)
/** A path that was gone for a while is tried again soon: ICE knows whether it is there. */
#define SCTP_RTO_MAX_US (3 * TIME_US_PER_S)

struct sctp_congestion {
    uint32_t packet_size;
    uint32_t window;    /**< cwnd, bytes */
    uint32_t threshold; /**< ssthresh, bytes */
    uint32_t partial;   /**< bytes acknowledged towards the next increase */
    bool recovering;    /**< from losses up to `recovery_tsn` */
    uint32_t recovery_tsn;
    uint64_t srtt_us; /**< 0: not measured */
    uint64_t rttvar_us;
    uint64_t rto_us;
};

void sctp_congestion_init(struct sctp_congestion *congestion, uint32_t packet_size);
/** A round trip that was no retransmission's. */
void sctp_congestion_measured(struct sctp_congestion *congestion, uint64_t rtt_us);
/** `bytes` were acknowledged; `was_full` when all of the window had been in use. */
void sctp_congestion_acknowledged(struct sctp_congestion *congestion, uint32_t bytes, bool was_full,
                                  uint32_t cumulative_tsn);
/** Chunks were lost; `last_tsn` is the highest one under way. */
void sctp_congestion_lost(struct sctp_congestion *congestion, uint32_t last_tsn);
/** No answer in `rto_us`; the next one is awaited longer. */
void sctp_congestion_back_off(struct sctp_congestion *congestion);
/** What was under way then has been lost on the path. */
void sctp_congestion_timed_out(struct sctp_congestion *congestion);
/** Nothing was under way for longer than `rto_us`: the window is not known any more. */
void sctp_congestion_idled(struct sctp_congestion *congestion);
