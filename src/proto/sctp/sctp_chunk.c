#include "proto/sctp/sctp_chunk.h"

#include <errno.h>

enum {
    FLAG_END = 0x01,
    FLAG_BEGIN = 0x02,
    FLAG_UNORDERED = 0x04,
    FLAG_IMMEDIATE = 0x08,
    SKIP_UNORDERED = 0x01,
};

// DATA and I-DATA

int sctp_data_parse(const struct sctp_chunk *chunk, struct sctp_data *ret_data)
{
    struct reader reader = reader_of(chunk->value.data, chunk->value.size);
    struct sctp_data data = {
        .interleaved = chunk->type == SCTP_I_DATA,
        .immediate = chunk->flags & FLAG_IMMEDIATE,
        .unordered = chunk->flags & FLAG_UNORDERED,
        .begin = chunk->flags & FLAG_BEGIN,
        .end = chunk->flags & FLAG_END,
    };
    data.tsn = reader_u32(&reader);
    data.stream = reader_u16(&reader);
    data.message = reader_u16(&reader);
    if (data.interleaved)
        data.message = reader_u32(&reader);
    if (data.interleaved && !data.begin)
        data.fragment = reader_u32(&reader);
    else
        data.ppid = reader_u32(&reader);
    data.payload = reader_bytes(&reader, reader_left(&reader));
    if (reader.failed || data.payload.size == 0)
        return -EINVAL;
    *ret_data = data;
    return 0;
}

void sctp_data_write(struct writer *packet, const struct sctp_data *data)
{
    uint8_t flags =
        (uint8_t)((data->immediate ? FLAG_IMMEDIATE : 0) | (data->unordered ? FLAG_UNORDERED : 0) |
                  (data->begin ? FLAG_BEGIN : 0) | (data->end ? FLAG_END : 0));
    size_t at = sctp_chunk_begin(packet, data->interleaved ? SCTP_I_DATA : SCTP_DATA, flags);
    writer_u32(packet, data->tsn);
    writer_u16(packet, data->stream);
    if (data->interleaved) {
        writer_u16(packet, 0);
        writer_u32(packet, data->message);
        writer_u32(packet, data->begin ? data->ppid : data->fragment);
    } else {
        writer_u16(packet, (uint16_t)data->message);
        writer_u32(packet, data->ppid);
    }
    writer_bytes(packet, data->payload.data, data->payload.size);
    sctp_chunk_end(packet, at);
}

// INIT and INIT ACK

static void take_extensions(struct bytes types, struct sctp_features *features)
{
    bool forward = false, interleaved_forward = false, data = false;
    for (size_t i = 0; i < types.size; i++) {
        forward |= types.data[i] == SCTP_FORWARD_TSN;
        interleaved_forward |= types.data[i] == SCTP_I_FORWARD_TSN;
        data |= types.data[i] == SCTP_I_DATA;
        features->reconfig |= types.data[i] == SCTP_RECONFIG;
    }
    features->forward_tsn |= forward;
    // who gives up messages must be able to say so for interleaved ones, too
    features->interleaving = data && interleaved_forward;
}

/** Returns false when the parameter ends the reading of all that follow. */
static bool take_init_parameter(const struct sctp_parameter *parameter, struct sctp_init *init)
{
    switch (parameter->type) {
    case SCTP_PARAMETER_STATE_COOKIE:
        if (parameter->value.size > 0)
            init->cookie = parameter->value;
        return true;
    case SCTP_PARAMETER_EXTENSIONS:
        take_extensions(parameter->value, &init->features);
        return true;
    case SCTP_PARAMETER_FORWARD_TSN:
        init->features.forward_tsn = true;
        return true;
    case SCTP_PARAMETER_ZERO_CHECKSUM:
        // RFC 9653, 4: the other method of error detection; 1 is DTLS
        init->features.zero_checksum =
            parameter->value.size >= 4 && load_u32(parameter->value.data) == 1;
        return true;
    case 5: // addresses of either kind: DTLS has but one path
    case 6:
    case 9:  // Cookie Preservative
    case 11: // Host Name Address
    case 12: // Supported Address Types
    case SCTP_PARAMETER_UNRECOGNIZED:
        return true;
    default:
        if (sctp_unknown_is_reported(parameter->type >> 8) &&
            init->unrecognized_count < SCTP_UNRECOGNIZED_MAX)
            init->unrecognized[init->unrecognized_count++] = parameter->whole;
        return !sctp_unknown_stops(parameter->type >> 8);
    }
}

int sctp_init_parse(const struct sctp_chunk *chunk, struct sctp_init *ret_init)
{
    struct reader reader = reader_of(chunk->value.data, chunk->value.size);
    struct sctp_init init = { 0 };
    init.tag = reader_u32(&reader);
    init.window = reader_u32(&reader);
    init.streams_out = reader_u16(&reader);
    init.streams_in = reader_u16(&reader);
    init.tsn = reader_u32(&reader);
    struct sctp_parameter parameter;
    while (sctp_parameter_next(&reader, &parameter))
        if (!take_init_parameter(&parameter, &init))
            break;
    if (reader.failed || init.tag == 0 || init.streams_out == 0 || init.streams_in == 0)
        return -EINVAL;
    *ret_init = init;
    return 0;
}

static void write_extensions(struct writer *packet, const struct sctp_features *features)
{
    if (!features->forward_tsn && !features->interleaving && !features->reconfig)
        return;
    size_t at = sctp_parameter_begin(packet, SCTP_PARAMETER_EXTENSIONS);
    if (features->reconfig)
        writer_u8(packet, SCTP_RECONFIG);
    if (features->forward_tsn)
        writer_u8(packet, SCTP_FORWARD_TSN);
    if (features->interleaving) {
        writer_u8(packet, SCTP_I_DATA);
        writer_u8(packet, SCTP_I_FORWARD_TSN);
    }
    sctp_parameter_end(packet, at);
}

void sctp_init_write(struct writer *packet, uint8_t type, const struct sctp_init *init)
{
    size_t at = sctp_chunk_begin(packet, type, 0);
    writer_u32(packet, init->tag);
    writer_u32(packet, init->window);
    writer_u16(packet, init->streams_out);
    writer_u16(packet, init->streams_in);
    writer_u32(packet, init->tsn);
    if (init->cookie.size > 0) {
        size_t cookie = sctp_parameter_begin(packet, SCTP_PARAMETER_STATE_COOKIE);
        writer_bytes(packet, init->cookie.data, init->cookie.size);
        sctp_parameter_end(packet, cookie);
    }
    write_extensions(packet, &init->features);
    if (init->features.forward_tsn)
        sctp_parameter_end(packet, sctp_parameter_begin(packet, SCTP_PARAMETER_FORWARD_TSN));
    if (init->features.zero_checksum) {
        size_t zero = sctp_parameter_begin(packet, SCTP_PARAMETER_ZERO_CHECKSUM);
        writer_u32(packet, 1);
        sctp_parameter_end(packet, zero);
    }
    for (uint32_t i = 0; i < init->unrecognized_count; i++) {
        size_t unrecognized = sctp_parameter_begin(packet, SCTP_PARAMETER_UNRECOGNIZED);
        writer_bytes(packet, init->unrecognized[i].data, init->unrecognized[i].size);
        sctp_parameter_end(packet, unrecognized);
    }
    sctp_chunk_end(packet, at);
}

// SACK

int sctp_sack_parse(const struct sctp_chunk *chunk, struct sctp_sack *ret_sack)
{
    struct reader reader = reader_of(chunk->value.data, chunk->value.size);
    struct sctp_sack sack = { 0 };
    sack.tsn = reader_u32(&reader);
    sack.window = reader_u32(&reader);
    sack.gap_count = reader_u16(&reader);
    sack.duplicate_count = reader_u16(&reader);
    sack.gaps = reader_bytes(&reader, 4 * (size_t)sack.gap_count).data;
    reader_skip(&reader, 4 * (size_t)sack.duplicate_count);
    if (reader.failed)
        return -EINVAL;
    *ret_sack = sack;
    return 0;
}

void sctp_sack_write(struct writer *packet, uint32_t tsn, uint32_t window,
                     const struct sctp_gap *gaps, size_t gap_count, const uint32_t *duplicates,
                     size_t duplicate_count)
{
    size_t at = sctp_chunk_begin(packet, SCTP_SACK, 0);
    writer_u32(packet, tsn);
    writer_u32(packet, window);
    writer_u16(packet, (uint16_t)gap_count);
    writer_u16(packet, (uint16_t)duplicate_count);
    for (size_t i = 0; i < gap_count; i++) {
        writer_u16(packet, gaps[i].first);
        writer_u16(packet, gaps[i].last);
    }
    for (size_t i = 0; i < duplicate_count; i++)
        writer_u32(packet, duplicates[i]);
    sctp_chunk_end(packet, at);
}

// FORWARD-TSN and I-FORWARD-TSN

int sctp_forward_parse(const struct sctp_chunk *chunk, uint32_t *ret_tsn, struct reader *ret_skips)
{
    struct reader reader = reader_of(chunk->value.data, chunk->value.size);
    uint32_t tsn = reader_u32(&reader);
    if (reader.failed || reader_left(&reader) % sctp_skip_size(chunk->type == SCTP_I_FORWARD_TSN))
        return -EINVAL;
    *ret_tsn = tsn;
    *ret_skips = reader;
    return 0;
}

bool sctp_skip_next(struct reader *skips, bool interleaved, struct sctp_skip *ret_skip)
{
    if (reader_left(skips) == 0)
        return false;
    ret_skip->stream = reader_u16(skips);
    ret_skip->unordered = interleaved && reader_u16(skips) & SKIP_UNORDERED;
    ret_skip->message = interleaved ? reader_u32(skips) : reader_u16(skips);
    return !skips->failed;
}

void sctp_forward_write(struct writer *packet, bool interleaved, uint32_t tsn,
                        const struct sctp_skip *skips, size_t skip_count)
{
    size_t at = sctp_chunk_begin(packet, interleaved ? SCTP_I_FORWARD_TSN : SCTP_FORWARD_TSN, 0);
    writer_u32(packet, tsn);
    for (size_t i = 0; i < skip_count; i++) {
        writer_u16(packet, skips[i].stream);
        if (interleaved) {
            writer_u16(packet, skips[i].unordered ? SKIP_UNORDERED : 0);
            writer_u32(packet, skips[i].message);
        } else {
            writer_u16(packet, (uint16_t)skips[i].message);
        }
    }
    sctp_chunk_end(packet, at);
}

// RE-CONFIG

int sctp_reset_request_parse(struct bytes value, struct sctp_reset_request *ret_request)
{
    struct reader reader = reader_of(value.data, value.size);
    struct sctp_reset_request request = { 0 };
    request.sequence = reader_u32(&reader);
    request.response_sequence = reader_u32(&reader);
    request.last_tsn = reader_u32(&reader);
    if (reader.failed || reader_left(&reader) % 2)
        return -EINVAL;
    request.stream_count = reader_left(&reader) / 2;
    request.streams = reader_bytes(&reader, reader_left(&reader)).data;
    *ret_request = request;
    return 0;
}

void sctp_reset_request_write(struct writer *packet, const struct sctp_reset_request *request,
                              const uint16_t *streams)
{
    size_t at = sctp_parameter_begin(packet, SCTP_PARAMETER_RESET_OUTGOING);
    writer_u32(packet, request->sequence);
    writer_u32(packet, request->response_sequence);
    writer_u32(packet, request->last_tsn);
    for (size_t i = 0; i < request->stream_count; i++)
        writer_u16(packet, streams[i]);
    sctp_parameter_end(packet, at);
}

int sctp_reset_response_parse(struct bytes value, uint32_t *ret_sequence, uint32_t *ret_result)
{
    struct reader reader = reader_of(value.data, value.size);
    uint32_t sequence = reader_u32(&reader);
    uint32_t result = reader_u32(&reader);
    if (reader.failed)
        return -EINVAL;
    *ret_sequence = sequence;
    *ret_result = result;
    return 0;
}

void sctp_reset_response_write(struct writer *packet, uint32_t sequence,
                               enum sctp_reset_result result)
{
    size_t at = sctp_parameter_begin(packet, SCTP_PARAMETER_RESET_RESPONSE);
    writer_u32(packet, sequence);
    writer_u32(packet, result);
    sctp_parameter_end(packet, at);
}

// ABORT

const char *sctp_cause_text(struct bytes causes)
{
    struct reader reader = reader_of(causes.data, causes.size);
    struct sctp_parameter cause;
    if (!sctp_parameter_next(&reader, &cause))
        return "The other side aborted the SCTP association.";
    switch (cause.type) {
    case SCTP_CAUSE_OUT_OF_RESOURCE:
        return "The other side has no room for the SCTP association.";
    case SCTP_CAUSE_USER_ABORT:
        return "The other side's application ended the SCTP association.";
    case SCTP_CAUSE_PROTOCOL_VIOLATION:
        return "The other side saw a violation of the SCTP protocol.";
    default:
        return "The other side aborted the SCTP association because of an error.";
    }
}
