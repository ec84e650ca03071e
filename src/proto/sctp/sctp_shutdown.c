#include "proto/sctp/sctp_int.h"

// The end of an association in order (RFC 9260, 9.2).

void sctp_shutdown(struct sctp *sctp)
{
    if (sctp->state == SCTP_STATE_ESTABLISHED) {
        sctp->state = SCTP_STATE_SHUTDOWN_PENDING;
        sctp_shutdown_advance(sctp);
    } else if (sctp->state < SCTP_STATE_ESTABLISHED) {
        sctp_end(sctp, NULL);
    }
}

void sctp_shutdown_advance(struct sctp *sctp)
{
    if (sctp->flight.count > 0 || sctp->queue.messages > 0)
        return;
    if (sctp->state == SCTP_STATE_SHUTDOWN_PENDING) {
        sctp->state = SCTP_STATE_SHUTDOWN_SENT;
        sctp->owed.shutdown = true;
    } else if (sctp->state == SCTP_STATE_SHUTDOWN_RECEIVED) {
        sctp->state = SCTP_STATE_SHUTDOWN_ACK_SENT;
        sctp->owed.shutdown_ack = true;
    }
}

void sctp_take_shutdown(struct sctp *sctp, uint64_t now_us, const struct sctp_chunk *chunk)
{
    if (sctp->state < SCTP_STATE_ESTABLISHED || chunk->value.size < 4) {
        sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
        return;
    }
    if (sctp->state == SCTP_STATE_SHUTDOWN_SENT) {
        sctp_control_done(sctp);
        sctp->owed.shutdown = false;
        sctp->owed.shutdown_ack = true;
        sctp->state = SCTP_STATE_SHUTDOWN_ACK_SENT;
        return;
    }
    if (sctp->state == SCTP_STATE_ESTABLISHED || sctp->state == SCTP_STATE_SHUTDOWN_PENDING)
        sctp->state = SCTP_STATE_SHUTDOWN_RECEIVED;
    sctp_take_cumulative(sctp, now_us, load_u32(chunk->value.data));
}

void sctp_take_shutdown_ack(struct sctp *sctp)
{
    if (sctp->state != SCTP_STATE_SHUTDOWN_SENT && sctp->state != SCTP_STATE_SHUTDOWN_ACK_SENT) {
        sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
        return;
    }
    sctp_end(sctp, NULL);
    sctp->owed.shutdown_complete = true;
}

void sctp_take_shutdown_complete(struct sctp *sctp)
{
    if (sctp->state == SCTP_STATE_SHUTDOWN_ACK_SENT)
        sctp_end(sctp, NULL);
}
