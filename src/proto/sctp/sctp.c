#include "proto/sctp/sctp.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "proto/sctp/sctp_int.h"

const struct metric_description sctp_metric_descriptions[SCTP_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(SCTP_METRIC_##id, __VA_ARGS__)
#include "proto/sctp/sctp_metrics.def"
#undef METRIC
};

struct sctp *sctp_new(const struct sctp_config *config)
{
    struct sctp *sctp = memory_new(struct sctp);
    sctp->config = *config;
    if (sctp->config.packet_size == 0)
        sctp->config.packet_size = SCTP_PACKET_SIZE_MAX;
    // all that is owed at once fits into a packet: the largest cookie with an error and a SACK, or
    // an answer to the largest heartbeat with requests of resets and what else an association owes
    ensure(sctp->config.packet_size <= SCTP_PACKET_SIZE_MAX);
    ensure(sctp->config.packet_size >= 1100 && sctp->config.packet_size % 4 == 0);
    ensure(config->message_size_max <= config->receive_window / 2 && config->streams > 0);
    sctp_send_queue_init(&sctp->queue, config->send_capacity);
    sctp->resend_us = TIME_NEVER;
    sctp->sack_us = TIME_NEVER;
    sctp->heartbeat_us = TIME_NEVER;
    sctp->resets.again_us = TIME_NEVER;
    sctp_control_done(sctp);
    return sctp;
}

/** Frees what only a living association needs. */
static void release(struct sctp *sctp)
{
    sctp_flight_done(&sctp->flight);
    sctp_send_queue_done(&sctp->queue);
    sctp_tracking_done(&sctp->tracking);
    sctp_reassembly_done(&sctp->reassembly);
    free(sctp->cookie);
    sctp->cookie = NULL;
    free(sctp->heartbeat_info);
    sctp->heartbeat_info = NULL;
}

struct sctp *sctp_free(struct sctp *sctp)
{
    if (!sctp)
        return NULL;
    release(sctp);
    sctp_events_done(&sctp->events);
    free(sctp);
    return NULL;
}

void sctp_end(struct sctp *sctp, const char *reason)
{
    if (sctp->state == SCTP_STATE_ENDED)
        return;
    sctp->state = SCTP_STATE_ENDED;
    sctp->owed = (struct sctp_owed){ 0 };
    sctp->resets = (struct sctp_resets){ .again_us = TIME_NEVER };
    sctp_control_done(sctp);
    sctp->resend_us = TIME_NEVER;
    sctp->sack_us = TIME_NEVER;
    sctp->heartbeat_us = TIME_NEVER;
    release(sctp);
    sctp_events_add(&sctp->events, &(struct sctp_event){ .kind = SCTP_CLOSED, .reason = reason });
}

void sctp_fail(struct sctp *sctp, enum sctp_cause cause, enum sctp_metric why, const char *reason)
{
    if (sctp->state == SCTP_STATE_ENDED)
        return;
    bool known = sctp->peer_tag != 0;
    sctp_count(sctp, why, 1);
    sctp_end(sctp, reason);
    sctp->abort_cause = cause;
    sctp->owed.abort = known;
}

void sctp_abort(struct sctp *sctp)
{
    if (sctp->state == SCTP_STATE_ENDED)
        return;
    bool known = sctp->peer_tag != 0;
    sctp_end(sctp, NULL);
    sctp->abort_cause = SCTP_CAUSE_USER_ABORT;
    sctp->owed.abort = known;
}

// Time

static void control_expired(struct sctp *sctp)
{
    sctp->control_us = TIME_NEVER; // set when it goes out again
    sctp->control_wait_us = min_of(2 * sctp->control_wait_us, SCTP_RTO_MAX_US);
    sctp->control_tries++;
    sctp->owed.init = sctp->state == SCTP_STATE_COOKIE_WAIT;
    sctp->owed.cookie_echo = sctp->state == SCTP_STATE_COOKIE_ECHOED;
    sctp->owed.shutdown = sctp->state == SCTP_STATE_SHUTDOWN_SENT;
    sctp->owed.shutdown_ack = sctp->state == SCTP_STATE_SHUTDOWN_ACK_SENT;
}

static void heartbeat_expired(struct sctp *sctp, uint64_t now_us)
{
    sctp->timeouts += sctp->heartbeat_waits;
    sctp->heartbeat_waits = false;
    // data that waits for its acknowledgement does the same
    bool idle = sctp->state == SCTP_STATE_ESTABLISHED && sctp->flight.count == 0;
    sctp->owed.heartbeat = idle;
    sctp->heartbeat_us = idle ? TIME_NEVER : now_us + SCTP_HEARTBEAT_US;
}

void sctp_tick(struct sctp *sctp, uint64_t now_us)
{
    if (now_us >= sctp->sack_us) {
        sctp->sack_us = TIME_NEVER;
        sctp->owed.sack = true;
    }
    if (now_us >= sctp->control_us)
        control_expired(sctp);
    if (now_us >= sctp->resend_us)
        sctp_resend_timeout(sctp);
    if (now_us >= sctp->heartbeat_us)
        heartbeat_expired(sctp, now_us);
    sctp_resets_tick(sctp, now_us);
    // whether an unanswered request was performed is not known: no going on without an answer
    uint32_t tries = max_of(sctp->control_tries, sctp->resets.tries);
    if (max_of(sctp->timeouts, tries) > SCTP_TIMEOUTS_MAX)
        sctp_fail(sctp, SCTP_CAUSE_USER_ABORT, SCTP_METRIC_LOST, "The other side does not answer.");
}

uint64_t sctp_deadline(const struct sctp *sctp)
{
    if (sctp_has_output(sctp))
        return 0;
    uint64_t deadline_us = time_earlier(sctp->control_us, sctp->resend_us);
    deadline_us = time_earlier(deadline_us, sctp->sack_us);
    deadline_us = time_earlier(deadline_us, sctp->heartbeat_us);
    return time_earlier(deadline_us, sctp->resets.again_us);
}

// The application's side

int sctp_send(struct sctp *sctp, uint64_t now_us, const struct sctp_message *message)
{
    if (sctp->state != SCTP_STATE_ESTABLISHED)
        return -ENOTCONN;
    if (message->stream >= sctp->streams_out)
        return -ENOENT;
    struct sctp_message taken = *message;
    if (!sctp->features.forward_tsn) {
        // without FORWARD-TSN nothing that was sent may be given up
        taken.retransmits_max = UINT32_MAX;
        taken.lifetime_us = 0;
    }
    int error = sctp_send_queue_add(&sctp->queue, now_us, &taken);
    if (!error)
        sctp_count(sctp, SCTP_METRIC_MESSAGES_SENT, 1);
    return error;
}

void sctp_set_weight(struct sctp *sctp, uint16_t stream, uint16_t weight)
{
    if (stream < sctp->streams_out)
        sctp_send_queue_stream(&sctp->queue, stream)->weight = max_of(weight, (uint16_t)1);
}

size_t sctp_buffered(const struct sctp *sctp)
{
    return sctp->queue.buffered;
}

uint16_t sctp_streams(const struct sctp *sctp)
{
    return sctp->streams_out;
}

struct sctp_features sctp_features(const struct sctp *sctp)
{
    return sctp->features;
}
