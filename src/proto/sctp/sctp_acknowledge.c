#include <errno.h>

#include "proto/sctp/sctp_int.h"

// SACKs of the other side, and what happens without them (RFC 9260, 6.2.1, 6.3.3).

/** RFC 3758, 3.5, C3 and C4: the receiver is told what to skip, and again when that got lost. */
static void consider_forward(struct sctp *sctp, uint64_t now_us)
{
    uint32_t tsn;
    struct sctp_skip skips[SCTP_SKIPS_MAX];
    size_t count;
    if (!sctp_flight_forward(&sctp->flight, &tsn, skips, &count))
        return;
    bool news = tsn != sctp->forward_tsn;
    if (news || now_us >= sctp->forward_us + sctp->congestion.srtt_us)
        sctp->owed.forward_tsn = true;
}

static void apply(struct sctp *sctp, uint64_t now_us, const struct sctp_sack *sack)
{
    struct sctp_acknowledged result;
    bool was_full = sctp->flight.flying + sctp->config.packet_size > sctp->congestion.window;
    int error = sctp_flight_acknowledge(&sctp->flight, now_us, sack, &result);
    if (error == -EPROTO)
        sctp_fail(sctp, SCTP_CAUSE_PROTOCOL_VIOLATION, SCTP_METRIC_ABORTED_VIOLATION,
                  "The other side acknowledged what was never sent.");
    if (error)
        return;
    sctp->peer_window = sack->window;
    if (result.measured)
        sctp_congestion_measured(&sctp->congestion, result.rtt_us);
    if (result.lost)
        sctp_congestion_lost(&sctp->congestion, sctp_flight_next_tsn(&sctp->flight) - 1);
    if (result.advanced)
        sctp_congestion_acknowledged(&sctp->congestion, result.bytes, was_full, sack->tsn);
    // who says that it has no room is there
    if (result.bytes > 0 || result.advanced || sack->window < sctp->config.packet_size)
        sctp->timeouts = 0;
    if (sctp->flight.count == 0)
        sctp->resend_us = TIME_NEVER;
    else if (result.advanced)
        sctp->resend_us = now_us + sctp->congestion.rto_us;
    consider_forward(sctp, now_us);
    sctp_shutdown_advance(sctp);
}

void sctp_take_sack(struct sctp *sctp, uint64_t now_us, const struct sctp_chunk *chunk)
{
    struct sctp_sack sack;
    if (sctp->state < SCTP_STATE_ESTABLISHED) {
        sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
        return;
    }
    if (sctp_sack_parse(chunk, &sack) < 0) {
        sctp_count(sctp, SCTP_METRIC_DROP_MALFORMED, 1);
        return;
    }
    apply(sctp, now_us, &sack);
}

void sctp_take_cumulative(struct sctp *sctp, uint64_t now_us, uint32_t tsn)
{
    struct sctp_sack sack = { .tsn = tsn, .window = sctp->peer_window };
    apply(sctp, now_us, &sack);
}

void sctp_resend_timeout(struct sctp *sctp)
{
    sctp->resend_us = TIME_NEVER; // set when something goes out
    sctp_count(sctp, SCTP_METRIC_TIMEOUTS, 1);
    sctp_congestion_back_off(&sctp->congestion);
    // a receiver without room has dropped it: that says nothing about the path
    if (sctp->peer_window >= sctp->config.packet_size)
        sctp_congestion_timed_out(&sctp->congestion);
    sctp_flight_time_out(&sctp->flight);
    sctp->timeouts++;
    uint32_t tsn;
    struct sctp_skip skips[SCTP_SKIPS_MAX];
    size_t count;
    if (sctp_flight_forward(&sctp->flight, &tsn, skips, &count))
        sctp->owed.forward_tsn = true;
}
