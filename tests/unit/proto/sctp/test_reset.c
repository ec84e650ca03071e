// Streams start again, each direction by itself, after all that was sent on them.
#include <errno.h>

#include "sctp_pair.h"

static void test_a_reset_comes_after_what_was_sent(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    pair_send(&pair, 0, 5, "last");
    assert_int_equal(sctp_reset_stream(pair.ends[0], 5), 0);
    assert_int_equal(sctp_reset_stream(pair.ends[0], 5), -EALREADY);
    assert_int_equal(
        pair_send_with(&pair, 0, bytes_of_text("late"), (struct sctp_message){ .stream = 5 }),
        -EBUSY);
    pair_run(&pair, time_from_s(1));
    pair_expect_text(&pair, 1, 5, "last");
    assert_int_equal(pair_expect(&pair, 1, SCTP_STREAM_RESET).stream, 5);
    assert_int_equal(pair_expect(&pair, 0, SCTP_STREAM_RESET_DONE).stream, 5);
    pair_expect_nothing(&pair, 0);
    // from 0 again: the receiver would wait for ever for what is in between
    pair_send(&pair, 0, 5, "first");
    pair_run(&pair, time_from_s(1));
    pair_expect_text(&pair, 1, 5, "first");
    pair_done(&pair);
}

static void test_many_streams_go_in_few_requests(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    for (uint16_t stream = 0; stream < 64; stream++) {
        pair_send(&pair, 0, stream, "x");
        assert_int_equal(sctp_reset_stream(pair.ends[0], stream), 0);
    }
    pair_run(&pair, time_from_s(1));
    for (uint16_t stream = 0; stream < 64; stream++)
        pair_expect_text(&pair, 1, stream, "x");
    for (uint16_t stream = 0; stream < 64; stream++) {
        assert_int_equal(pair_expect(&pair, 1, SCTP_STREAM_RESET).stream, stream);
        pair_expect(&pair, 0, SCTP_STREAM_RESET_DONE);
    }
    pair_done(&pair);
}

static bool loses_many(struct pair *pair, int from unused, uint8_t *packet unused,
                       size_t size unused)
{
    return random_below(&pair->random, 10) < 3;
}

static void test_lost_requests_and_answers_are_repeated(void **state unused)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct pair pair;
        pair_init(&pair, NULL);
        pair_connect(&pair);
        random_seeded_init(&pair.random, seed);
        pair.loses = loses_many;
        for (int i = 0; i < 2; i++)
            pair_send(&pair, i, 5, "x");
        for (int i = 0; i < 2; i++)
            assert_int_equal(sctp_reset_stream(pair.ends[i], 5), 0);
        pair_run(&pair, time_from_s(60));
        pair.loses = NULL;
        bool reset[2] = { false }, done[2] = { false };
        for (int i = 0; i < 2; i++)
            for (struct sctp_event event; sctp_event(pair.ends[i], &event);) {
                // once each
                assert_false(event.kind == SCTP_STREAM_RESET && reset[i]);
                reset[i] |= event.kind == SCTP_STREAM_RESET;
                done[i] |= event.kind == SCTP_STREAM_RESET_DONE;
                blob_unref(event.message);
            }
        for (int i = 0; i < 2; i++) {
            assert_true(reset[i] && done[i]);
            pair_send(&pair, i, 5, "again");
        }
        pair_run(&pair, time_from_s(5));
        for (int i = 0; i < 2; i++)
            pair_expect_text(&pair, i, 5, "again");
        pair_done(&pair);
    }
}

static bool holds_data(struct pair *pair, int from, uint8_t *packet, size_t size unused)
{
    return pair->counter && from == 0 && (packet[12] == SCTP_DATA || packet[12] == SCTP_I_DATA);
}

static void test_a_request_waits_for_data_of_other_streams_that_is_missing(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    pair_send(&pair, 0, 5, "whole");
    pair_run(&pair, 100000);
    pair_expect_text(&pair, 1, 5, "whole");
    pair.loses = holds_data;
    pair.counter = 1;
    pair_send(&pair, 0, 6, "missing");
    pair_run(&pair, 1000);
    assert_int_equal(sctp_reset_stream(pair.ends[0], 5), 0);
    pair_run(&pair, 300000);
    pair_expect_nothing(&pair, 1); // "in progress": RFC 6525, 5.2.2, E2
    pair.counter = 0;
    pair_run(&pair, time_from_s(5));
    pair_expect_text(&pair, 1, 6, "missing");
    assert_int_equal(pair_expect(&pair, 1, SCTP_STREAM_RESET).stream, 5);
    assert_int_equal(pair_expect(&pair, 0, SCTP_STREAM_RESET_DONE).stream, 5);
    pair_done(&pair);
}

static void test_without_the_extension_a_reset_is_done_at_once(void **state unused)
{
    static const struct sctp_features none = { 0 };
    struct pair pair;
    pair_init(&pair, &none);
    pair_connect(&pair);
    assert_int_equal(sctp_reset_stream(pair.ends[0], 5), 0);
    pair_expect(&pair, 0, SCTP_STREAM_RESET_DONE);
    assert_int_equal(sctp_reset_stream(pair.ends[0], 64), -ENOENT);
    pair_done(&pair);
}

/** A RE-CONFIG chunk of the other side's making; returns the result that is answered. */
static uint32_t ask(struct pair *pair, uint16_t type, uint32_t sequence, uint16_t stream)
{
    struct sctp *sctp = pair->ends[1];
    uint8_t bytes[SCTP_PACKET_SIZE_MAX];
    struct writer packet = writer_of(bytes, sizeof(bytes));
    sctp_packet_begin(&packet, &(struct sctp_header){ 5000, 5000, sctp->local_tag });
    size_t chunk = sctp_chunk_begin(&packet, SCTP_RECONFIG, 0);
    size_t parameter = sctp_parameter_begin(&packet, type);
    writer_u32(&packet, sequence);
    writer_u32(&packet, 0);
    writer_u32(&packet, sctp->tracking.cumulative);
    writer_u16(&packet, stream);
    sctp_parameter_end(&packet, parameter);
    sctp_chunk_end(&packet, chunk);
    assert_int_equal(sctp_input(sctp, pair->now_us, writer_written(&packet)), 0);
    assert_int_equal(sctp_deadline(sctp), 0);
    size_t size = sctp_output(sctp, pair->now_us, bytes);
    assert_int_equal(size, 12 + 4 + 12);
    assert_int_equal(bytes[12], SCTP_RECONFIG);
    assert_int_equal(load_u32(bytes + 20), sequence);
    return load_u32(bytes + 24);
}

static void test_requests_are_answered_as_their_numbers_say(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    uint32_t next = pair.ends[1]->resets.expected_sequence;
    pair_send(&pair, 0, 5, "x");
    pair_run(&pair, 200000);
    pair_expect_text(&pair, 1, 5, "x");
    assert_int_equal(ask(&pair, SCTP_PARAMETER_RESET_OUTGOING, next, 5), SCTP_RESET_PERFORMED);
    pair_expect(&pair, 1, SCTP_STREAM_RESET);
    assert_int_equal(ask(&pair, SCTP_PARAMETER_RESET_OUTGOING, next, 5), SCTP_RESET_PERFORMED);
    pair_expect_nothing(&pair, 1); // the same once more
    assert_int_equal(ask(&pair, SCTP_PARAMETER_RESET_OUTGOING, next + 7, 5),
                     SCTP_RESET_BAD_SEQUENCE);
    assert_int_equal(ask(&pair, SCTP_PARAMETER_RESET_OUTGOING, next, 5), SCTP_RESET_PERFORMED);
    assert_int_equal(ask(&pair, SCTP_PARAMETER_RESET_OUTGOING, next + 1, 64),
                     SCTP_RESET_WRONG_STREAM);
    assert_int_equal(ask(&pair, SCTP_PARAMETER_RESET_INCOMING, next + 2, 5), SCTP_RESET_DENIED);
    assert_int_equal(ask(&pair, SCTP_PARAMETER_ADD_OUTGOING, next + 3, 5), SCTP_RESET_DENIED);
    pair_done(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reset_comes_after_what_was_sent),
        cmocka_unit_test(test_many_streams_go_in_few_requests),
        cmocka_unit_test(test_lost_requests_and_answers_are_repeated),
        cmocka_unit_test(test_a_request_waits_for_data_of_other_streams_that_is_missing),
        cmocka_unit_test(test_without_the_extension_a_reset_is_done_at_once),
        cmocka_unit_test(test_requests_are_answered_as_their_numbers_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
