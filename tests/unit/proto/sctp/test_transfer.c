// Messages between two associations: losses, limits, windows, and what each side is held to.
#include <errno.h>

#include "sctp_pair.h"

static const struct sctp_features kinds[] = {
    { true, true, true, true },
    { true, false, true, false },
};

/** A message of `size` bytes that tells its number. */
static int send_sized(struct pair *pair, uint16_t stream, size_t size, uint32_t number,
                      struct sctp_message message)
{
    uint8_t *at;
    struct blob *content = blob_new_uninit(size, &at);
    assert_non_null(content);
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(number + i);
    message.stream = stream;
    message.content = content;
    int error = sctp_send(pair->ends[0], pair->now_us, &message);
    blob_unref(content);
    return error;
}

static const struct sctp_message reliable = { .retransmits_max = UINT32_MAX };

static void expect_sized(struct pair *pair, uint16_t stream, size_t size, uint32_t number)
{
    struct sctp_event event = pair_expect(pair, 1, SCTP_MESSAGE);
    struct bytes bytes = blob_bytes(event.message);
    assert_int_equal(event.stream, stream);
    assert_int_equal(bytes.size, size);
    for (size_t i = 0; i < size; i++)
        if (bytes.data[i] != (uint8_t)(number + i))
            fail_msg("byte %zu differs", i);
    blob_unref(event.message);
}

static void test_sizes_around_packets_arrive_whole(void **state unused)
{
    static const size_t sizes[] = { 1,    2,    3,    4,    1167,  1168,      1169,
                                    1171, 1172, 1173, 2336, 65536, 256u << 10 };
    for (size_t kind = 0; kind < array_size(kinds); kind++) {
        struct pair pair;
        pair_init(&pair, &kinds[kind]);
        pair_connect(&pair);
        for (uint32_t i = 0; i < array_size(sizes); i++)
            assert_int_equal(send_sized(&pair, 1, sizes[i], i, reliable), 0);
        pair_run(&pair, time_from_s(3));
        for (uint32_t i = 0; i < array_size(sizes); i++)
            expect_sized(&pair, 1, sizes[i], i);
        assert_int_equal(sctp_buffered(pair.ends[0]), 0);
        pair_done(&pair);
    }
}

static bool loses_tenth(struct pair *pair, int from unused, uint8_t *packet unused,
                        size_t size unused)
{
    return random_below(&pair->random, 10) == 0;
}

static void test_reliable_messages_survive_losses_in_order(void **state unused)
{
    for (size_t kind = 0; kind < array_size(kinds); kind++) {
        struct pair pair;
        pair_init(&pair, &kinds[kind]);
        pair_connect(&pair);
        pair.loses = loses_tenth;
        for (uint32_t i = 0; i < 100; i++)
            assert_int_equal(send_sized(&pair, 1, 1 + i * 97 % 5000, i, reliable), 0);
        pair_run(&pair, time_from_s(20));
        for (uint32_t i = 0; i < 100; i++)
            expect_sized(&pair, 1, 1 + i * 97 % 5000, i);
        assert_true(metric_get(&pair.metrics[0][SCTP_METRIC_RETRANSMITTED]) > 10);
        pair_done(&pair);
    }
}

/** Loses the n-th data packet from end 0. */
static bool loses_one(struct pair *pair, int from, uint8_t *packet, size_t size unused)
{
    bool data = packet[12] == SCTP_DATA || packet[12] == SCTP_I_DATA;
    return from == 0 && data && pair->counter > 0 && --pair->counter == 0;
}

static void test_a_lost_packet_is_repaired_without_a_timeout(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    pair.loses = loses_one;
    pair.counter = 3;
    assert_int_equal(send_sized(&pair, 1, 20000, 0, reliable), 0);
    pair_run(&pair, 100000);
    expect_sized(&pair, 1, 20000, 0);
    assert_int_equal(metric_get(&pair.metrics[0][SCTP_METRIC_RETRANSMITTED]), 1);
    assert_int_equal(metric_get(&pair.metrics[0][SCTP_METRIC_TIMEOUTS]), 0);
    pair_done(&pair);
}

/** Loses the first data packet, and its repetition. */
static bool loses_twice(struct pair *pair, int from, uint8_t *packet, size_t size unused)
{
    uint32_t tsn = load_u32(packet + 16);
    if (from != 0 || (packet[12] != SCTP_DATA && packet[12] != SCTP_I_DATA))
        return false;
    if (pair->counter == 0)
        pair->counter = tsn;
    return tsn == pair->counter && random_below(&pair->random, 4) < 3;
}

static void test_lost_repetitions_are_repaired_too(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    pair.loses = loses_twice;
    for (uint32_t i = 0; i < 400; i++)
        assert_int_equal(send_sized(&pair, 1, 1100, i, reliable), 0);
    pair_run(&pair, time_from_s(4));
    for (uint32_t i = 0; i < 400; i++)
        expect_sized(&pair, 1, 1100, i);
    pair_done(&pair);
}

static bool loses_data(struct pair *pair unused, int from, uint8_t *packet, size_t size unused)
{
    return from == 0 && (packet[12] == SCTP_DATA || packet[12] == SCTP_I_DATA);
}

static void test_messages_without_retransmission_are_skipped_when_lost(void **state unused)
{
    for (size_t kind = 0; kind < array_size(kinds); kind++)
        for (int unordered = 0; unordered < 2; unordered++) {
            struct pair pair;
            pair_init(&pair, &kinds[kind]);
            pair_connect(&pair);
            const struct sctp_message once = { .unordered = unordered };
            assert_int_equal(send_sized(&pair, 1, 100, 0, once), 0);
            pair_run(&pair, 20000);
            pair.loses = loses_data;
            assert_int_equal(send_sized(&pair, 1, 5000, 1, once), 0);
            pair_run(&pair, 20000);
            pair.loses = NULL;
            assert_int_equal(send_sized(&pair, 1, 100, 2, once), 0);
            pair_run(&pair, time_from_s(3));
            expect_sized(&pair, 1, 100, 0);
            expect_sized(&pair, 1, 100, 2);
            pair_expect_nothing(&pair, 1);
            assert_int_equal(metric_get(&pair.metrics[0][SCTP_METRIC_ABANDONED]), 1);
            assert_int_equal(sctp_buffered(pair.ends[0]), 0);
            assert_int_equal(sctp_deadline(pair.ends[0]) > pair.now_us + time_from_s(10), 1);
            pair_done(&pair);
        }
}

static void test_messages_live_as_long_as_they_may(void **state unused)
{
    for (size_t kind = 0; kind < array_size(kinds); kind++) {
        struct pair pair;
        pair_init(&pair, &kinds[kind]);
        pair_connect(&pair);
        const struct sctp_message brief = { .retransmits_max = UINT32_MAX, .lifetime_us = 300000 };
        pair.loses = loses_data;
        // a part of this is sent and lost, the rest waits for its turn
        assert_int_equal(send_sized(&pair, 1, 100000, 0, brief), 0);
        assert_int_equal(send_sized(&pair, 1, 100, 1, brief), 0);
        pair_run(&pair, 400000);
        pair.loses = NULL;
        assert_int_equal(send_sized(&pair, 1, 100, 2, brief), 0);
        pair_run(&pair, time_from_s(2));
        expect_sized(&pair, 1, 100, 2);
        pair_expect_nothing(&pair, 1);
        assert_int_equal(metric_get(&pair.metrics[0][SCTP_METRIC_ABANDONED]), 2);
        assert_int_equal(pair.ends[1]->reassembly.held, 0);
        pair_done(&pair);
    }
}

static bool passes_first_fragments(struct pair *pair, int from, uint8_t *packet, size_t size unused)
{
    // acknowledgements get lost: the sender's window stays full
    (void)packet;
    return from == 1 && pair->counter;
}

static void test_a_message_cut_off_after_its_first_fragments_blocks_nobody(void **state unused)
{
    for (size_t kind = 0; kind < array_size(kinds); kind++) {
        struct pair pair;
        pair_init(&pair, &kinds[kind]);
        pair_connect(&pair);
        const struct sctp_message brief = { .retransmits_max = UINT32_MAX, .lifetime_us = 200000 };
        pair.loses = passes_first_fragments;
        pair.counter = 1;
        assert_int_equal(send_sized(&pair, 1, 100000, 0, brief), 0);
        pair_run(&pair, 150000);
        assert_true(pair.ends[1]->reassembly.held > 0);
        pair.counter = 0;
        pair_run(&pair, 100000);
        assert_int_equal(send_sized(&pair, 1, 100, 2, reliable), 0);
        pair_run(&pair, time_from_s(2));
        expect_sized(&pair, 1, 100, 2);
        assert_int_equal(pair.ends[1]->reassembly.held, 0);
        pair_done(&pair);
    }
}

static void test_a_reader_who_pauses_closes_the_window_and_opens_it(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    uint32_t sent = 0, received = 0;
    for (int i = 0; i < 400; i++) {
        while (send_sized(&pair, 1, 10000, sent, reliable) == 0)
            sent++;
        pair_run(&pair, 20000);
    }
    // what was not fetched here, and what waits there: bounded
    assert_in_range(pair.ends[1]->events.held, PAIR_WINDOW / 2,
                    PAIR_WINDOW + SCTP_WINDOW_OVERDRAFT);
    assert_in_range(sctp_buffered(pair.ends[0]), PAIR_WINDOW / 2, PAIR_WINDOW);
    // probes that were not taken have told nothing about the path
    assert_true(pair.ends[0]->congestion.window >= SCTP_INITIAL_WINDOW_PACKETS * 1200);
    uint64_t before_us = pair.now_us;
    uint64_t timeouts = metric_get(&pair.metrics[0][SCTP_METRIC_TIMEOUTS]);
    while (received < sent) {
        for (struct sctp_event event; sctp_event(pair.ends[1], &event); received++) {
            assert_int_equal(event.kind, SCTP_MESSAGE);
            assert_int_equal(blob_bytes(event.message).data[0], (uint8_t)received);
            blob_unref(event.message);
        }
        pair_run(&pair, 20000);
        assert_true(pair.now_us < before_us + time_from_s(10));
    }
    // a SACK has told that there is room again: the sender did not have to try
    assert_int_equal(metric_get(&pair.metrics[0][SCTP_METRIC_TIMEOUTS]), timeouts);
    pair_done(&pair);
}

static void test_a_small_message_overtakes_a_large_one_of_another_stream(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    assert_int_equal(send_sized(&pair, 1, 256u << 10, 0, reliable), 0);
    pair_run(&pair, 21000);
    assert_int_equal(send_sized(&pair, 2, 10, 1, reliable), 0);
    pair_run(&pair, time_from_s(2));
    expect_sized(&pair, 2, 10, 1);
    expect_sized(&pair, 1, 256u << 10, 0);
    pair_done(&pair);
}

static void test_messages_longer_than_announced_are_told_and_dropped(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    assert_int_equal(send_sized(&pair, 1, (256u << 10) + 1, 0, reliable), 0);
    assert_int_equal(send_sized(&pair, 1, 10, 1, reliable), 0);
    pair_run(&pair, time_from_s(2));
    assert_int_equal(pair_expect(&pair, 1, SCTP_MESSAGE_TOO_LONG).stream, 1);
    expect_sized(&pair, 1, 10, 1);
    pair_done(&pair);
}

static void test_more_begun_messages_than_memory_end_the_association(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    struct sctp_config config = pair_config(&pair, 0);
    config.send_capacity = 64u << 20;
    sctp_free(pair.ends[0]);
    pair.ends[0] = sctp_new(&config);
    pair_connect(&pair);
    for (uint16_t stream = 0; stream < 60; stream++)
        assert_int_equal(send_sized(&pair, stream, 256u << 10, 0, reliable), 0);
    for (int i = 0; i < 3000 && pair.ends[1]->events.count == 0; i++) {
        pair_run(&pair, 100000);
        assert_true(pair.ends[1]->reassembly.held <= PAIR_WINDOW + SCTP_WINDOW_OVERDRAFT);
    }
    assert_non_null(pair_expect(&pair, 1, SCTP_CLOSED).reason);
    pair_expect(&pair, 0, SCTP_CLOSED);
    pair_done(&pair);
}

static void test_chunks_that_cost_work_are_taken_once_in_a_packet(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    struct sctp *sctp = pair.ends[0];
    uint8_t bytes[SCTP_PACKET_SIZE_MAX];
    struct writer packet = writer_of(bytes, sizeof(bytes));
    sctp_packet_begin(&packet, &(struct sctp_header){ 5000, 5000, sctp->local_tag });
    for (int i = 0; i < 10; i++)
        sctp_sack_write(&packet, sctp->flight.first_tsn - 1, PAIR_WINDOW, NULL, 0, NULL, 0);
    assert_int_equal(sctp_input(sctp, pair.now_us, writer_written(&packet)), 0);
    assert_int_equal(metric_get(&pair.metrics[0][SCTP_METRIC_DROP_UNEXPECTED]), 9);
    pair_done(&pair);
}

static void test_unknown_streams_and_states_are_refused(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    assert_int_equal(send_sized(&pair, 1, 10, 0, reliable), -ENOTCONN);
    pair_connect(&pair);
    assert_int_equal(sctp_streams(pair.ends[0]), 64);
    assert_int_equal(send_sized(&pair, 64, 10, 0, reliable), -ENOENT);
    assert_int_equal(send_sized(&pair, 1, 0, 0, reliable), -EMSGSIZE);
    assert_int_equal(send_sized(&pair, 1, PAIR_WINDOW + 1, 0, reliable), -EMSGSIZE);
    pair_done(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_around_packets_arrive_whole),
        cmocka_unit_test(test_reliable_messages_survive_losses_in_order),
        cmocka_unit_test(test_a_lost_packet_is_repaired_without_a_timeout),
        cmocka_unit_test(test_lost_repetitions_are_repaired_too),
        cmocka_unit_test(test_messages_without_retransmission_are_skipped_when_lost),
        cmocka_unit_test(test_messages_live_as_long_as_they_may),
        cmocka_unit_test(test_a_message_cut_off_after_its_first_fragments_blocks_nobody),
        cmocka_unit_test(test_a_reader_who_pauses_closes_the_window_and_opens_it),
        cmocka_unit_test(test_a_small_message_overtakes_a_large_one_of_another_stream),
        cmocka_unit_test(test_messages_longer_than_announced_are_told_and_dropped),
        cmocka_unit_test(test_more_begun_messages_than_memory_end_the_association),
        cmocka_unit_test(test_chunks_that_cost_work_are_taken_once_in_a_packet),
        cmocka_unit_test(test_unknown_streams_and_states_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
