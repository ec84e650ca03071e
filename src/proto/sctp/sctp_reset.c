#include <errno.h>

#include "proto/sctp/sctp_int.h"

// Streams that start again (RFC 6525): how data channels are closed (RFC 8831, 6.7). Each side
// resets its own direction; that the other one does so is its application's business.

void sctp_resets_init(struct sctp *sctp, uint32_t local_tsn, uint32_t peer_tsn)
{
    sctp->resets = (struct sctp_resets){
        .next_sequence = local_tsn,
        .expected_sequence = peer_tsn,
        .again_us = TIME_NEVER,
    };
}

// Ours

int sctp_reset_stream(struct sctp *sctp, uint16_t id)
{
    if (!sctp_sends(sctp))
        return -ENOTCONN;
    if (id >= sctp->streams_out)
        return -ENOENT;
    struct sctp_out_stream *stream = sctp_send_queue_stream(&sctp->queue, id);
    if (stream->reset != SCTP_STREAM_OPEN)
        return -EALREADY;
    if (!sctp->features.reconfig) {
        sctp_event_simple(sctp, SCTP_STREAM_RESET_DONE, id);
        return 0;
    }
    stream->reset = SCTP_STREAM_RESET_WANTED;
    sctp->resets.wanted++;
    return 0;
}

static bool may_be_requested(const struct sctp_out_stream *stream)
{
    return stream && stream->reset == SCTP_STREAM_RESET_WANTED && stream->alive == 0;
}

/** Streams whose messages are all done with go into one request (RFC 6525, 5.1.2). */
static void make_request(struct sctp *sctp)
{
    struct sctp_resets *resets = &sctp->resets;
    resets->stream_count = 0;
    for (uint32_t i = 0; i < sctp->queue.stream_count && resets->stream_count < SCTP_RESETS_MAX;
         i++) {
        struct sctp_out_stream *stream = sctp->queue.streams[i];
        if (!may_be_requested(stream))
            continue;
        stream->reset = SCTP_STREAM_RESET_REQUESTED;
        resets->streams[resets->stream_count++] = stream->id;
        resets->wanted--;
    }
    if (resets->stream_count == 0)
        return;
    resets->outstanding = true;
    resets->owed = true;
    resets->tries = 0;
    resets->last_tsn = sctp_flight_next_tsn(&sctp->flight) - 1;
    resets->next_sequence++;
}

static bool can_request(const struct sctp *sctp)
{
    const struct sctp_resets *resets = &sctp->resets;
    if (resets->wanted == 0 || resets->outstanding || !sctp_sends(sctp))
        return false;
    for (uint32_t i = 0; i < sctp->queue.stream_count; i++)
        if (may_be_requested(sctp->queue.streams[i]))
            return true;
    return false;
}

bool sctp_resets_ready(const struct sctp *sctp)
{
    return sctp->resets.response_owed || sctp->resets.owed || can_request(sctp);
}

static void request_done(struct sctp *sctp, bool performed)
{
    struct sctp_resets *resets = &sctp->resets;
    resets->outstanding = false;
    resets->owed = false;
    resets->again_us = TIME_NEVER;
    for (uint32_t i = 0; i < resets->stream_count; i++) {
        struct sctp_out_stream *stream = sctp_send_queue_stream(&sctp->queue, resets->streams[i]);
        stream->reset = SCTP_STREAM_OPEN;
        if (performed) {
            stream->next_ordered = 0;
            stream->next_unordered = 0;
        }
        sctp_event_simple(sctp, SCTP_STREAM_RESET_DONE, stream->id);
    }
}

static void take_response(struct sctp *sctp, uint64_t now_us, struct bytes value)
{
    struct sctp_resets *resets = &sctp->resets;
    uint32_t sequence, result;
    if (sctp_reset_response_parse(value, &sequence, &result) < 0 || !resets->outstanding ||
        sequence != resets->next_sequence - 1)
        return;
    resets->tries = 0;
    if (result == SCTP_RESET_IN_PROGRESS || result == SCTP_RESET_BUSY) {
        resets->owed = false;
        resets->again_us = now_us + sctp->congestion.rto_us;
        return;
    }
    request_done(sctp, result == SCTP_RESET_PERFORMED || result == SCTP_RESET_NOTHING_TO_DO);
}

void sctp_resets_tick(struct sctp *sctp, uint64_t now_us)
{
    if (now_us < sctp->resets.again_us)
        return;
    sctp->resets.again_us = TIME_NEVER; // set when it goes out
    sctp->resets.tries++;
    sctp->resets.owed = true;
}

// Theirs

static void reset_incoming(struct sctp *sctp, uint16_t stream)
{
    bool used = stream < sctp->queue.stream_count && sctp->queue.streams[stream];
    if (sctp_reassembly_reset(&sctp->reassembly, stream) || used)
        sctp_event_simple(sctp, SCTP_STREAM_RESET, stream);
}

static enum sctp_reset_result perform(struct sctp *sctp, const struct sctp_reset_request *request)
{
    if (sctp_after(request->last_tsn, sctp->tracking.cumulative))
        return SCTP_RESET_IN_PROGRESS; // RFC 6525, 5.2.2, E2
    if (sctp_window(sctp) == 0)
        return SCTP_RESET_IN_PROGRESS; // the application has not fetched what was before
    for (size_t i = 0; i < request->stream_count; i++)
        if (load_u16(request->streams + 2 * i) >= sctp->config.streams)
            return SCTP_RESET_WRONG_STREAM;
    for (size_t i = 0; i < request->stream_count; i++)
        reset_incoming(sctp, load_u16(request->streams + 2 * i));
    for (uint32_t i = 0; request->stream_count == 0 && i < sctp->config.streams; i++)
        reset_incoming(sctp, (uint16_t)i);
    return SCTP_RESET_PERFORMED;
}

static void respond(struct sctp *sctp, uint32_t sequence, enum sctp_reset_result result)
{
    sctp->resets.response_owed = true;
    sctp->resets.response_sequence = sequence;
    sctp->resets.response_result = result;
}

/** The answer to the last request, which may be asked for again. */
static void respond_first(struct sctp *sctp, uint32_t sequence, enum sctp_reset_result result)
{
    sctp->resets.last_result = result;
    respond(sctp, sequence, result);
}

/** Sequence numbers as RFC 6525, 5.2.1 has them: one new request, or the last one again. */
static bool is_news(struct sctp *sctp, uint32_t sequence)
{
    struct sctp_resets *resets = &sctp->resets;
    if (sequence == resets->expected_sequence) {
        resets->expected_sequence++;
        return true;
    }
    if (sequence != resets->expected_sequence - 1) {
        respond(sctp, sequence, SCTP_RESET_BAD_SEQUENCE);
        return false;
    }
    // what was in progress may be done now
    if (resets->last_result == SCTP_RESET_IN_PROGRESS)
        return true;
    respond(sctp, sequence, resets->last_result);
    return false;
}

static void take_request(struct sctp *sctp, const struct sctp_parameter *parameter)
{
    struct sctp_reset_request request;
    if (parameter->value.size < 4) {
        sctp_count(sctp, SCTP_METRIC_DROP_MALFORMED, 1);
        return;
    }
    uint32_t sequence = load_u32(parameter->value.data);
    if (parameter->type != SCTP_PARAMETER_RESET_OUTGOING) {
        // resets of our direction are our application's, streams are not added
        if (is_news(sctp, sequence))
            respond_first(sctp, sequence, SCTP_RESET_DENIED);
        return;
    }
    if (sctp_reset_request_parse(parameter->value, &request) < 0)
        sctp_count(sctp, SCTP_METRIC_DROP_MALFORMED, 1);
    else if (is_news(sctp, sequence))
        respond_first(sctp, sequence, perform(sctp, &request));
}

void sctp_take_reconfig(struct sctp *sctp, uint64_t now_us, const struct sctp_chunk *chunk)
{
    if (sctp->state < SCTP_STATE_ESTABLISHED || !sctp->features.reconfig) {
        sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
        return;
    }
    struct reader reader = reader_of(chunk->value.data, chunk->value.size);
    struct sctp_parameter parameter;
    while (sctp_parameter_next(&reader, &parameter)) {
        if (parameter.type == SCTP_PARAMETER_RESET_RESPONSE)
            take_response(sctp, now_us, parameter.value);
        else if (parameter.type >= SCTP_PARAMETER_RESET_OUTGOING &&
                 parameter.type <= SCTP_PARAMETER_ADD_INCOMING)
            take_request(sctp, &parameter);
    }
}

void sctp_write_reconfig(struct sctp *sctp, uint64_t now_us, struct writer *packet)
{
    struct sctp_resets *resets = &sctp->resets;
    if (can_request(sctp))
        make_request(sctp);
    size_t at = sctp_chunk_begin(packet, SCTP_RECONFIG, 0);
    if (resets->response_owed)
        sctp_reset_response_write(packet, resets->response_sequence, resets->response_result);
    if (resets->owed) {
        const struct sctp_reset_request request = {
            .sequence = resets->next_sequence - 1,
            .response_sequence = resets->expected_sequence - 1,
            .last_tsn = resets->last_tsn,
            .stream_count = resets->stream_count,
        };
        sctp_reset_request_write(packet, &request, resets->streams);
        resets->again_us = now_us + sctp->congestion.rto_us;
    }
    sctp_chunk_end(packet, at);
    resets->response_owed = false;
    resets->owed = false;
}
