// Chunks of SCTP: what is written is read again, and what is malformed is refused.
#include "proto/sctp/sctp_chunk.h"

#include <errno.h>

#include "support/check.h"

/** The only chunk of what was written. */
static struct sctp_chunk only_chunk(const struct writer *packet)
{
    struct reader chunks = reader_of(packet->data, packet->size);
    struct sctp_chunk chunk;
    assert_false(packet->failed);
    assert_true(sctp_chunk_next(&chunks, &chunk));
    assert_true(reader_finished(&chunks));
    return chunk;
}

static void test_data(void **state unused)
{
    for (int interleaved = 0; interleaved < 2; interleaved++)
        for (int begin = 0; begin < 2; begin++) {
            uint8_t bytes[64];
            struct writer packet = writer_of(bytes, sizeof(bytes));
            struct sctp_data data = { .interleaved = interleaved,
                                      .immediate = true,
                                      .unordered = !begin,
                                      .begin = begin,
                                      .end = !begin,
                                      .stream = 17,
                                      .tsn = 0xfffffffe,
                                      .message = interleaved ? 0x12345678 : 0x5678,
                                      .fragment = interleaved && !begin ? 9 : 0,
                                      .ppid = interleaved && !begin ? 0 : 51,
                                      .payload = bytes_of("hello", 5) };
            sctp_data_write(&packet, &data);
            assert_int_equal(packet.size, sctp_data_header_size(interleaved) + 8);
            struct sctp_chunk chunk = only_chunk(&packet);
            struct sctp_data read;
            assert_int_equal(sctp_data_parse(&chunk, &read), 0);
            assert_int_equal(read.interleaved, interleaved);
            assert_true(read.immediate);
            assert_int_equal(read.unordered, !begin);
            assert_int_equal(read.begin, begin);
            assert_int_equal(read.end, !begin);
            assert_int_equal(read.stream, 17);
            assert_int_equal(read.tsn, 0xfffffffe);
            assert_int_equal(read.message, data.message);
            assert_int_equal(read.fragment, data.fragment);
            assert_int_equal(read.ppid, data.ppid);
            assert_true(bytes_equal(read.payload, data.payload));
            chunk.value.size -= 5;
            assert_int_equal(sctp_data_parse(&chunk, &read), -EINVAL);
        }
}

static void test_init_tells_what_is_spoken(void **state unused)
{
    uint8_t bytes[256];
    struct writer packet = writer_of(bytes, sizeof(bytes));
    const struct sctp_init init = {
        .tag = 1,
        .window = 2000,
        .streams_out = 3,
        .streams_in = 4,
        .tsn = 5,
        .features = { true, true, true, true },
        .cookie = bytes_of("cookie!", 7),
        .unrecognized_count = 1,
        .unrecognized = { bytes_of("\xc0\x55\x00\x05x", 5) },
    };
    sctp_init_write(&packet, SCTP_INIT_ACK, &init);
    struct sctp_chunk chunk = only_chunk(&packet);
    struct sctp_init read;
    assert_int_equal(sctp_init_parse(&chunk, &read), 0);
    assert_int_equal(read.tag, 1);
    assert_int_equal(read.window, 2000);
    assert_int_equal(read.streams_out, 3);
    assert_int_equal(read.streams_in, 4);
    assert_int_equal(read.tsn, 5);
    assert_true(bytes_equal(read.cookie, init.cookie));
    assert_true(read.features.forward_tsn && read.features.interleaving);
    assert_true(read.features.reconfig && read.features.zero_checksum);
    assert_int_equal(read.unrecognized_count, 0);
}

static struct sctp_init parse_init_with(const char *parameters, size_t size)
{
    uint8_t bytes[128] = { 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1 };
    memcpy(bytes + 16, parameters, size);
    struct sctp_chunk chunk = { .type = SCTP_INIT, .value = bytes_of(bytes, 16 + size) };
    struct sctp_init init;
    assert_int_equal(sctp_init_parse(&chunk, &init), 0);
    return init;
}

static void test_unknown_parameters_are_treated_as_their_bits_say(void **state unused)
{
    // 0x4001: report and stop; what follows is not read
    struct sctp_init init = parse_init_with("\x40\x01\x00\x04\xc0\x00\x00\x04", 8);
    assert_int_equal(init.unrecognized_count, 1);
    assert_false(init.features.forward_tsn);
    // 0xc123: report and go on; 0x8123: go on silently
    init = parse_init_with("\xc1\x23\x00\x04\x81\x23\x00\x04\xc0\x00\x00\x04", 12);
    assert_int_equal(init.unrecognized_count, 1);
    assert_true(init.features.forward_tsn);
    // 0x0123: stop silently
    init = parse_init_with("\x01\x23\x00\x04\xc0\x00\x00\x04", 8);
    assert_int_equal(init.unrecognized_count, 0);
    assert_false(init.features.forward_tsn);
    // more than are kept
    char many[64];
    for (size_t i = 0; i < 8; i++)
        memcpy(many + 4 * i, "\xc1\x23\x00\x04", 4);
    assert_int_equal(parse_init_with(many, 32).unrecognized_count, SCTP_UNRECOGNIZED_MAX);
}

static void test_interleaving_needs_its_forward_tsn(void **state unused)
{
    assert_false(parse_init_with("\x80\x08\x00\x05\x40", 5).features.interleaving);
    assert_true(parse_init_with("\x80\x08\x00\x06\x40\xc2", 6).features.interleaving);
    // error detection by something else than DTLS
    assert_false(parse_init_with("\x80\x01\x00\x08\x00\x00\x00\x02", 8).features.zero_checksum);
}

static void test_an_init_without_tag_or_streams_is_refused(void **state unused)
{
    uint8_t good[16] = { 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1 };
    static const size_t places[] = { 3, 9, 11 };
    for (size_t i = 0; i < array_size(places); i++) {
        uint8_t bytes[16];
        memcpy(bytes, good, sizeof(bytes));
        bytes[places[i]] = 0;
        struct sctp_chunk chunk = { .type = SCTP_INIT, .value = bytes_of(bytes, 16) };
        struct sctp_init init;
        assert_int_equal(sctp_init_parse(&chunk, &init), -EINVAL);
    }
}

static void test_sack(void **state unused)
{
    uint8_t bytes[64];
    struct writer packet = writer_of(bytes, sizeof(bytes));
    const struct sctp_gap gaps[] = { { 2, 3 }, { 5, 5 } };
    const uint32_t duplicates[] = { 77 };
    sctp_sack_write(&packet, 100, 4096, gaps, 2, duplicates, 1);
    struct sctp_chunk chunk = only_chunk(&packet);
    struct sctp_sack sack;
    assert_int_equal(sctp_sack_parse(&chunk, &sack), 0);
    assert_int_equal(sack.tsn, 100);
    assert_int_equal(sack.window, 4096);
    assert_int_equal(sack.gap_count, 2);
    assert_int_equal(sack.duplicate_count, 1);
    assert_int_equal(sctp_sack_gap(&sack, 1).first, 5);
    chunk.value.size -= 4;
    assert_int_equal(sctp_sack_parse(&chunk, &sack), -EINVAL);
}

static void test_forward_tsn(void **state unused)
{
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        uint8_t bytes[64];
        struct writer packet = writer_of(bytes, sizeof(bytes));
        const struct sctp_skip skips[] = { { 1, false, 0xffff }, { 2, interleaved, 7 } };
        sctp_forward_write(&packet, interleaved, 55, skips, 2);
        struct sctp_chunk chunk = only_chunk(&packet);
        uint32_t tsn;
        struct reader reader;
        assert_int_equal(sctp_forward_parse(&chunk, &tsn, &reader), 0);
        assert_int_equal(tsn, 55);
        for (size_t i = 0; i < 2; i++) {
            struct sctp_skip skip;
            assert_true(sctp_skip_next(&reader, interleaved, &skip));
            assert_int_equal(skip.stream, skips[i].stream);
            assert_int_equal(skip.unordered, skips[i].unordered);
            assert_int_equal(skip.message, skips[i].message);
        }
        struct sctp_skip skip;
        assert_false(sctp_skip_next(&reader, interleaved, &skip));
        chunk.value.size -= 2;
        assert_int_equal(sctp_forward_parse(&chunk, &tsn, &reader), -EINVAL);
    }
}

static void test_reset_requests_and_responses(void **state unused)
{
    uint8_t bytes[64];
    struct writer packet = writer_of(bytes, sizeof(bytes));
    const uint16_t streams[] = { 3, 5, 7 };
    size_t at = sctp_chunk_begin(&packet, SCTP_RECONFIG, 0);
    sctp_reset_response_write(&packet, 11, SCTP_RESET_IN_PROGRESS);
    sctp_reset_request_write(
        &packet,
        &(struct sctp_reset_request){
            .sequence = 8, .response_sequence = 9, .last_tsn = 10, .stream_count = 3 },
        streams);
    sctp_chunk_end(&packet, at);
    struct sctp_chunk chunk = only_chunk(&packet);
    struct reader reader = reader_of(chunk.value.data, chunk.value.size);
    struct sctp_parameter parameter;
    assert_true(sctp_parameter_next(&reader, &parameter));
    uint32_t sequence, result;
    assert_int_equal(parameter.type, SCTP_PARAMETER_RESET_RESPONSE);
    assert_int_equal(sctp_reset_response_parse(parameter.value, &sequence, &result), 0);
    assert_int_equal(sequence, 11);
    assert_int_equal(result, SCTP_RESET_IN_PROGRESS);
    assert_true(sctp_parameter_next(&reader, &parameter));
    struct sctp_reset_request request;
    assert_int_equal(parameter.type, SCTP_PARAMETER_RESET_OUTGOING);
    assert_int_equal(sctp_reset_request_parse(parameter.value, &request), 0);
    assert_int_equal(request.sequence, 8);
    assert_int_equal(request.response_sequence, 9);
    assert_int_equal(request.last_tsn, 10);
    assert_int_equal(request.stream_count, 3);
    assert_int_equal(load_u16(request.streams + 4), 7);
    parameter.value.size--;
    assert_int_equal(sctp_reset_request_parse(parameter.value, &request), -EINVAL);
}

static void test_causes_become_sentences(void **state unused)
{
    assert_non_null(strstr(sctp_cause_text(bytes_of("\x00\x0c\x00\x04", 4)), "application"));
    assert_non_null(strstr(sctp_cause_text(bytes_of("\x00\x0d\x00\x04", 4)), "violation"));
    assert_non_null(sctp_cause_text(bytes_of("\x00", 1)));
    assert_non_null(sctp_cause_text(bytes_of(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_init_tells_what_is_spoken),
        cmocka_unit_test(test_unknown_parameters_are_treated_as_their_bits_say),
        cmocka_unit_test(test_interleaving_needs_its_forward_tsn),
        cmocka_unit_test(test_an_init_without_tag_or_streams_is_refused),
        cmocka_unit_test(test_sack),
        cmocka_unit_test(test_forward_tsn),
        cmocka_unit_test(test_reset_requests_and_responses),
        cmocka_unit_test(test_causes_become_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
