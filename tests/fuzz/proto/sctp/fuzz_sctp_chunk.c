// Every parser of SCTP chunks over the packet that is the input (its checksum is not looked at).
// What the parsers take they must be able to write, and to read as the same again.
#include <string.h>

#include "proto/sctp/sctp_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sctp_chunk only_chunk(const struct writer *packet)
{
    struct reader chunks = reader_of(packet->data, packet->size);
    struct sctp_chunk chunk = { 0 };
    ensure(!packet->failed && sctp_chunk_next(&chunks, &chunk));
    return chunk;
}

static void take_data(const struct sctp_chunk *chunk)
{
    struct sctp_data data, again;
    if (sctp_data_parse(chunk, &data) < 0 || data.payload.size > 1200)
        return;
    uint8_t bytes[1300];
    struct writer packet = writer_of(bytes, sizeof(bytes));
    sctp_data_write(&packet, &data);
    struct sctp_chunk copy = only_chunk(&packet);
    ensure(sctp_data_parse(&copy, &again) == 0);
    ensure(again.tsn == data.tsn && again.message == data.message && again.ppid == data.ppid);
    ensure(again.fragment == data.fragment && bytes_equal(again.payload, data.payload));
}

static void take_init(const struct sctp_chunk *chunk)
{
    struct sctp_init init, again;
    if (sctp_init_parse(chunk, &init) < 0 || chunk->value.size > 1200)
        return;
    uint8_t bytes[4096];
    struct writer packet = writer_of(bytes, sizeof(bytes));
    sctp_init_write(&packet, chunk->type, &init);
    struct sctp_chunk copy = only_chunk(&packet);
    ensure(sctp_init_parse(&copy, &again) == 0);
    ensure(again.tag == init.tag && again.tsn == init.tsn);
    ensure(bytes_equal(again.cookie, init.cookie));
    ensure(again.features.reconfig == init.features.reconfig);
}

static void take_sack(const struct sctp_chunk *chunk)
{
    struct sctp_sack sack;
    uint64_t sum = 0;
    if (sctp_sack_parse(chunk, &sack) == 0)
        for (uint32_t i = 0; i < sack.gap_count; i++)
            sum += sctp_sack_gap(&sack, i).last;
    ensure(sum <= UINT16_MAX * (uint64_t)UINT16_MAX);
}

static void take_forward(const struct sctp_chunk *chunk)
{
    uint32_t tsn;
    struct reader skips;
    struct sctp_skip skip;
    if (sctp_forward_parse(chunk, &tsn, &skips) < 0)
        return;
    while (sctp_skip_next(&skips, chunk->type == SCTP_I_FORWARD_TSN, &skip))
        ensure(chunk->type == SCTP_I_FORWARD_TSN || skip.message <= UINT16_MAX);
    ensure(reader_finished(&skips));
}

static void take_reconfig(const struct sctp_chunk *chunk)
{
    struct reader reader = reader_of(chunk->value.data, chunk->value.size);
    struct sctp_parameter parameter;
    struct sctp_reset_request request;
    uint32_t sequence, result;
    while (sctp_parameter_next(&reader, &parameter)) {
        if (sctp_reset_request_parse(parameter.value, &request) == 0)
            for (size_t i = 0; i < request.stream_count; i++)
                ensure(request.streams + 2 * i + 2 <= chunk->value.data + chunk->value.size);
        if (sctp_reset_response_parse(parameter.value, &sequence, &result) == 0)
            ensure(parameter.value.size >= 8);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sctp_header header;
    struct reader chunks;
    if (sctp_packet_parse(bytes_of(data, size), true, &header, &chunks) < 0)
        return 0;
    struct sctp_chunk chunk;
    while (sctp_chunk_next(&chunks, &chunk)) {
        take_data(&chunk);
        take_init(&chunk);
        take_sack(&chunk);
        take_forward(&chunk);
        take_reconfig(&chunk);
        ensure(sctp_cause_text(chunk.value) != NULL);
    }
    return 0;
}
