#include <errno.h>
#include <string.h>

#include "proto/sctp/sctp_int.h"

// DATA, I-DATA and the FORWARD-TSNs that say what will not come, and the SACKs they bring about.

/** A SACK says how much of the window is free again when it had been nearly closed. */
#define WINDOW_LOW(sctp) ((sctp)->config.receive_window / 4)

uint32_t sctp_window(const struct sctp *sctp)
{
    size_t held = sctp->events.held + sctp->reassembly.held;
    uint32_t window = sctp->config.receive_window;
    return held < window ? window - (uint32_t)held : 0;
}

/** Whether the chunk may be held. One that fills a hole sets memory free, most of the time. */
static bool has_room(struct sctp *sctp, const struct sctp_data *data)
{
    bool next = data->tsn == sctp->tracking.cumulative + 1;
    size_t held = sctp->events.held + sctp->reassembly.held;
    size_t held_max = sctp->config.receive_window + (next ? SCTP_WINDOW_OVERDRAFT : 0);
    uint32_t pieces_max = next ? 2 * SCTP_PIECES_MAX : SCTP_PIECES_MAX;
    if (held + SCTP_PIECE_COST + data->payload.size <= held_max &&
        sctp->reassembly.piece_count < pieces_max)
        return true;
    if (next && sctp->events.count == 0)
        // all of it are parts of messages: waiting cannot help
        sctp_fail(sctp, SCTP_CAUSE_OUT_OF_RESOURCE, SCTP_METRIC_ABORTED_MEMORY,
                  "The other side began more messages at once than can be held.");
    return false;
}

static void refuse_stream(struct sctp *sctp, const struct sctp_data *data)
{
    sctp_count(sctp, SCTP_METRIC_DROP_STREAM, 1);
    sctp->owed.error = true;
    sctp->error_cause = SCTP_CAUSE_INVALID_STREAM;
    sctp->error_size = 4;
    store_u16(sctp->error, data->stream);
    store_u16(sctp->error + 2, 0);
}

static void take_new_data(struct sctp *sctp, const struct sctp_data *data)
{
    if (!has_room(sctp, data)) {
        sctp_count(sctp, SCTP_METRIC_DROP_WINDOW, 1);
        return;
    }
    if (data->stream >= sctp->config.streams) {
        refuse_stream(sctp, data); // RFC 9260, 6.5: acknowledged all the same
    } else {
        uint32_t events = sctp->events.count;
        int error = sctp_reassembly_add(&sctp->reassembly, data);
        if (error == -ENOMEM) {
            sctp_count(sctp, SCTP_METRIC_DROP_WINDOW, 1);
            return;
        }
        if (error)
            sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
        for (; events < sctp->events.count; events++)
            sctp_count(sctp, SCTP_METRIC_MESSAGES_RECEIVED, 1);
    }
    sctp_tracking_add(&sctp->tracking, data->tsn);
}

void sctp_take_data(struct sctp *sctp, const struct sctp_chunk *chunk)
{
    struct sctp_data data;
    if (!sctp_receives(sctp)) {
        sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
        return;
    }
    if (sctp_data_parse(chunk, &data) < 0) { // RFC 9260, 6.2: without data it is fatal
        sctp_fail(sctp, SCTP_CAUSE_NO_USER_DATA, SCTP_METRIC_ABORTED_VIOLATION,
                  "The other side sent a DATA chunk without data.");
        return;
    }
    if (data.interleaved != sctp->features.interleaving) { // RFC 8260, 2.2.1
        sctp_fail(sctp, SCTP_CAUSE_PROTOCOL_VIOLATION, SCTP_METRIC_ABORTED_VIOLATION,
                  "The other side sent DATA of the kind that was not agreed on.");
        return;
    }
    sctp->unreported = max_of(sctp->unreported, 1u);
    switch (sctp_tracking_check(&sctp->tracking, data.tsn)) {
    case SCTP_ARRIVAL_NEW:
        take_new_data(sctp, &data);
        break;
    case SCTP_ARRIVAL_DUPLICATE:
        sctp_count(sctp, SCTP_METRIC_DUPLICATES, 1);
        sctp->owed.sack = true;
        break;
    case SCTP_ARRIVAL_TOO_FAR:
        sctp_count(sctp, SCTP_METRIC_DROP_WINDOW, 1);
        sctp->owed.sack = true;
        break;
    }
    if (data.immediate || sctp->tracking.block_count > 0)
        sctp->owed.sack = true;
}

void sctp_take_forward(struct sctp *sctp, const struct sctp_chunk *chunk)
{
    bool interleaved = chunk->type == SCTP_I_FORWARD_TSN;
    uint32_t tsn;
    struct reader skips;
    if (!sctp_receives(sctp) || !sctp->features.forward_tsn ||
        interleaved != sctp->features.interleaving) {
        sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
        return;
    }
    if (sctp_forward_parse(chunk, &tsn, &skips) < 0) {
        sctp_count(sctp, SCTP_METRIC_DROP_MALFORMED, 1);
        return;
    }
    sctp->owed.sack = true;
    if (!sctp_after(tsn, sctp->tracking.cumulative)) // RFC 3758, 3.6: our SACK was lost
        return;
    sctp_tracking_forward(&sctp->tracking, tsn);
    struct sctp_skip skip;
    while (sctp_skip_next(&skips, interleaved, &skip))
        if (skip.stream < sctp->config.streams)
            sctp_reassembly_skip(&sctp->reassembly, interleaved, &skip);
    if (!interleaved)
        sctp_reassembly_forward(&sctp->reassembly, tsn);
}

void sctp_schedule_sack(struct sctp *sctp, uint64_t now_us)
{
    // what has ended since owes nothing
    if (sctp->unreported == 0 || !sctp_receives(sctp))
        return;
    // RFC 9260, 6.2: every second packet, and none later than this
    if (sctp->sack_us == TIME_NEVER)
        sctp->sack_us = now_us + SCTP_SACK_DELAY_US;
    else
        sctp->owed.sack = true;
    sctp->unreported = 0;
}

bool sctp_event(struct sctp *sctp, struct sctp_event *ret_event)
{
    if (!sctp_events_next(&sctp->events, ret_event))
        return false;
    if (sctp_receives(sctp) && sctp->window_told < WINDOW_LOW(sctp) &&
        sctp_window(sctp) >= 2 * WINDOW_LOW(sctp))
        sctp->owed.sack = true;
    return true;
}
