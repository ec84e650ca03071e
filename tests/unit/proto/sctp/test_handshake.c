// How associations begin and end: from one side, from both, anew, in order and not.
#include <errno.h>

#include "sctp_pair.h"

static void expect_both_ways(struct pair *pair)
{
    pair_send(pair, 0, 1, "ping");
    pair_send(pair, 1, 2, "pong");
    pair_run(pair, 100000);
    pair_expect_text(pair, 1, 1, "ping");
    pair_expect_text(pair, 0, 2, "pong");
}

static void test_one_side_calls(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    sctp_connect(pair.ends[0]);
    pair_run(&pair, 200000);
    for (int i = 0; i < 2; i++)
        pair_expect(&pair, i, SCTP_ESTABLISHED);
    expect_both_ways(&pair);
    pair_done(&pair);
}

static void test_both_call_at_once_and_get_one_association(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    expect_both_ways(&pair);
    assert_int_equal(metric_get(&pair.metrics[0][SCTP_METRIC_ESTABLISHED]), 1);
    assert_int_equal(metric_get(&pair.metrics[0][SCTP_METRIC_RESTARTED]), 0);
    pair_done(&pair);
}

static void test_one_calls_while_the_others_init_is_under_way(void **state unused)
{
    // at every stage of the first handshake the other side begins, too
    for (uint64_t wait_us = 0; wait_us <= 60000; wait_us += 5000) {
        struct pair pair;
        pair_init(&pair, NULL);
        sctp_connect(pair.ends[0]);
        pair_run(&pair, wait_us);
        sctp_connect(pair.ends[1]);
        pair_run(&pair, 300000);
        for (int i = 0; i < 2; i++) {
            pair_expect(&pair, i, SCTP_ESTABLISHED);
            pair_expect_nothing(&pair, i);
        }
        expect_both_ways(&pair);
        pair_done(&pair);
    }
}

/** A packet from the other side with one chunk that `size` bytes of zeros, or an INIT ACK, make. */
static void feed(struct pair *pair, uint8_t type, const struct sctp_init *init, size_t size)
{
    uint8_t bytes[SCTP_PACKET_SIZE_MAX];
    struct writer packet = writer_of(bytes, sizeof(bytes));
    sctp_packet_begin(&packet, &(struct sctp_header){ 5000, 5000, pair->ends[0]->local_tag });
    if (init) {
        sctp_init_write(&packet, type, init);
    } else {
        size_t at = sctp_chunk_begin(&packet, type, 0);
        writer_zeros(&packet, size);
        sctp_chunk_end(&packet, at);
    }
    assert_false(packet.failed);
    sctp_packet_seal(bytes, packet.size);
    assert_int_equal(sctp_input(pair->ends[0], pair->now_us, bytes_of(bytes, packet.size)), 0);
}

static void test_a_large_cookie_and_a_large_heartbeat_fit_into_packets(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    uint8_t out[SCTP_PACKET_SIZE_MAX], cookie[SCTP_COOKIE_MAX] = { 0 };
    sctp_connect(pair.ends[0]);
    assert_true(sctp_output(pair.ends[0], pair.now_us, out) > 0);
    feed(&pair, SCTP_INIT_ACK,
         &(struct sctp_init){ .tag = 1,
                              .window = 100000,
                              .streams_out = 10,
                              .streams_in = 10,
                              .tsn = 1,
                              .cookie = bytes_of(cookie, sizeof(cookie)) },
         0);
    assert_int_equal(pair.ends[0]->state, SCTP_STATE_COOKIE_ECHOED);
    feed(&pair, SCTP_HEARTBEAT, NULL, SCTP_HEARTBEAT_MAX);
    assert_true(sctp_output(pair.ends[0], pair.now_us, out) > SCTP_COOKIE_MAX);
    feed(&pair, SCTP_COOKIE_ACK, NULL, 0);
    pair_expect(&pair, 0, SCTP_ESTABLISHED);
    feed(&pair, SCTP_HEARTBEAT, NULL, SCTP_HEARTBEAT_MAX);
    assert_true(sctp_output(pair.ends[0], pair.now_us, out) > SCTP_HEARTBEAT_MAX);
    pair_done(&pair);
}

static bool loses_by_chance(struct pair *pair, int from unused, uint8_t *packet unused,
                            size_t size unused)
{
    return random_below(&pair->random, 100) < 40;
}

static void test_lost_packets_are_repeated(void **state unused)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct pair pair;
        pair_init(&pair, NULL);
        random_seeded_init(&pair.random, seed);
        pair.loses = loses_by_chance;
        sctp_connect(pair.ends[0]);
        if (seed % 2)
            sctp_connect(pair.ends[1]);
        pair_run(&pair, time_from_s(40));
        pair.loses = NULL;
        pair_expect(&pair, 0, SCTP_ESTABLISHED);
        pair_expect(&pair, 1, SCTP_ESTABLISHED);
        expect_both_ways(&pair);
        pair_done(&pair);
    }
}

static void test_extensions_are_used_only_when_both_speak_them(void **state unused)
{
    static const struct sctp_features none = { 0 };
    struct pair pair;
    pair_init(&pair, NULL);
    struct sctp_config config = pair_config(&pair, 1);
    config.features = none;
    sctp_free(pair.ends[1]);
    pair.ends[1] = sctp_new(&config);
    pair_connect(&pair);
    for (int i = 0; i < 2; i++) {
        struct sctp_features features = sctp_features(pair.ends[i]);
        assert_false(features.forward_tsn || features.interleaving || features.reconfig ||
                     features.zero_checksum);
    }
    expect_both_ways(&pair);
    pair_done(&pair);
}

static bool notes_chunks_of_data(struct pair *pair, int from unused, uint8_t *packet, size_t size)
{
    struct sctp_header header;
    struct reader chunks;
    struct sctp_chunk chunk;
    assert_int_equal(sctp_packet_parse(bytes_of(packet, size), true, &header, &chunks), 0);
    while (sctp_chunk_next(&chunks, &chunk)) {
        pair->counter += chunk.type == SCTP_I_DATA;
        assert_int_not_equal(chunk.type, SCTP_DATA);
    }
    return false;
}

static void test_extensions_are_used_when_both_speak_them(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair.loses = notes_chunks_of_data;
    pair_connect(&pair);
    for (int i = 0; i < 2; i++) {
        struct sctp_features features = sctp_features(pair.ends[i]);
        assert_true(features.forward_tsn && features.interleaving && features.reconfig &&
                    features.zero_checksum);
    }
    expect_both_ways(&pair);
    assert_int_equal(pair.counter, 2);
    for (int i = 0; i < 2; i++)
        assert_true(metric_get(&pair.metrics[i][SCTP_METRIC_PACKETS_UNCHECKED]) >= 2);
    pair_done(&pair);
}

static void test_each_extension_is_agreed_on_alone(void **state unused)
{
    for (int left_out = 0; left_out < 4; left_out++) {
        const struct sctp_features spoken = { left_out != 0, left_out != 1, left_out != 2,
                                              left_out != 3 };
        struct pair pair;
        pair_init(&pair, NULL);
        struct sctp_config config = pair_config(&pair, 1);
        config.features = spoken;
        sctp_free(pair.ends[1]);
        pair.ends[1] = sctp_new(&config);
        pair_connect(&pair);
        for (int i = 0; i < 2; i++) {
            struct sctp_features features = sctp_features(pair.ends[i]);
            assert_memory_equal(&features, &spoken, sizeof(features));
        }
        expect_both_ways(&pair);
        if (left_out == 3)
            assert_int_equal(metric_get(&pair.metrics[0][SCTP_METRIC_PACKETS_UNCHECKED]), 0);
        pair_done(&pair);
    }
}

static bool notes_checksums(struct pair *pair, int from unused, uint8_t *packet, size_t size unused)
{
    uint8_t type = packet[12];
    bool zero = load_u32(packet + 8) == 0;
    if (type == SCTP_INIT || type == SCTP_INIT_ACK || type == SCTP_COOKIE_ECHO)
        assert_false(zero);
    else if (zero)
        pair->counter++;
    return false;
}

static void test_checksums_are_zero_once_both_agree_but_never_in_the_handshake(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair.loses = notes_checksums;
    pair_connect(&pair);
    expect_both_ways(&pair);
    assert_true(pair.counter >= 4);
    pair_done(&pair);
    static const struct sctp_features with_checksum = { true, true, true, false };
    pair_init(&pair, &with_checksum);
    pair.loses = notes_checksums;
    pair_connect(&pair);
    expect_both_ways(&pair);
    assert_int_equal(pair.counter, 0);
    pair_done(&pair);
}

static void test_a_side_that_begins_anew_restarts_the_association(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    expect_both_ways(&pair);
    pair_send(&pair, 1, 3, "lost with the old association");
    struct sctp_config config = pair_config(&pair, 0);
    sctp_free(pair.ends[0]);
    pair.ends[0] = sctp_new(&config);
    sctp_connect(pair.ends[0]);
    pair_run(&pair, 300000);
    pair_expect(&pair, 0, SCTP_ESTABLISHED);
    pair_expect(&pair, 1, SCTP_RESTARTED);
    assert_int_equal(sctp_buffered(pair.ends[1]), 0);
    expect_both_ways(&pair);
    pair_done(&pair);
}

static void test_restarts_are_bounded_by_what_is_not_fetched(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    uint8_t *at;
    struct blob *large = blob_new_uninit(PAIR_WINDOW / 4, &at);
    assert_non_null(large);
    memset(at, 0, PAIR_WINDOW / 4);
    for (int i = 0; i < 8; i++) {
        const struct sctp_message message = { .retransmits_max = UINT32_MAX, .content = large };
        assert_true(sctp_send(pair.ends[0], pair.now_us, &message) <= 0);
        pair_run(&pair, time_from_s(1));
    }
    blob_unref(large);
    assert_int_equal(sctp_window(pair.ends[1]), 0);
    uint32_t events = pair.ends[1]->events.count;
    struct sctp_config config = pair_config(&pair, 0);
    sctp_free(pair.ends[0]);
    pair.ends[0] = sctp_new(&config);
    sctp_connect(pair.ends[0]);
    pair_run(&pair, time_from_s(5));
    pair_expect_nothing(&pair, 0);
    assert_int_equal(pair.ends[1]->events.count, events);
    for (struct sctp_event event; sctp_event(pair.ends[1], &event);)
        blob_unref(event.message);
    pair_run(&pair, time_from_s(5));
    pair_expect(&pair, 0, SCTP_ESTABLISHED);
    pair_expect(&pair, 1, SCTP_RESTARTED);
    expect_both_ways(&pair);
    pair_done(&pair);
}

static void test_shutdown_waits_for_what_was_sent(void **state unused)
{
    for (int both = 0; both < 2; both++) {
        struct pair pair;
        pair_init(&pair, NULL);
        pair_connect(&pair);
        for (int i = 0; i < 100; i++)
            pair_send(&pair, 0, 1, "last words");
        sctp_shutdown(pair.ends[0]);
        if (both)
            sctp_shutdown(pair.ends[1]);
        assert_int_equal(
            pair_send_with(&pair, 0, bytes_of_text("late"), (struct sctp_message){ .stream = 1 }),
            -ENOTCONN);
        pair_run(&pair, time_from_s(2));
        for (int i = 0; i < 100; i++)
            pair_expect_text(&pair, 1, 1, "last words");
        for (int i = 0; i < 2; i++)
            assert_null(pair_expect(&pair, i, SCTP_CLOSED).reason);
        for (int i = 0; i < 2; i++)
            assert_int_equal(sctp_deadline(pair.ends[i]), TIME_NEVER);
        pair_done(&pair);
    }
}

static void test_abort_ends_at_once(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    sctp_abort(pair.ends[0]);
    pair_run(&pair, 100000);
    pair_expect(&pair, 0, SCTP_CLOSED);
    assert_non_null(pair_expect(&pair, 1, SCTP_CLOSED).reason);
    assert_int_equal(sctp_input(pair.ends[1], pair.now_us, bytes_of("x", 1)), -EPIPE);
    pair_done(&pair);
}

static bool loses_all(struct pair *pair unused, int from unused, uint8_t *packet unused,
                      size_t size unused)
{
    return true;
}

static void test_a_silent_side_is_given_up(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    pair.loses = loses_all;
    pair_send(&pair, 0, 1, "anybody?");
    pair_run(&pair, time_from_s(30));
    pair_expect_nothing(&pair, 0); // patience: the path may come back
    pair_run(&pair, time_from_s(60));
    assert_non_null(pair_expect(&pair, 0, SCTP_CLOSED).reason);
    assert_int_equal(sctp_buffered(pair.ends[0]), 0);
    pair_done(&pair);
}

static void test_nothing_times_out_while_nothing_may_be_sent(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    pair_send(&pair, 0, 1, "patience");
    // consent has expired: the association is told the time, but not asked for packets
    for (int i = 0; i < 3600; i++) {
        pair.now_us += time_from_s(1);
        sctp_tick(pair.ends[0], pair.now_us);
        sctp_tick(pair.ends[1], pair.now_us);
    }
    pair_run(&pair, 100000);
    pair_expect_text(&pair, 1, 1, "patience");
    pair_expect_nothing(&pair, 0);
    pair_done(&pair);
}

static void test_idle_associations_ask_now_and_then(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    uint64_t sent = metric_get(&pair.metrics[0][SCTP_METRIC_PACKETS_SENT]);
    pair_run(&pair, time_from_s(600));
    sent = metric_get(&pair.metrics[0][SCTP_METRIC_PACKETS_SENT]) - sent;
    assert_in_range(sent, 30, 60); // heartbeats and answers, each 30 s
    pair.loses = loses_all;
    pair_run(&pair, time_from_s(1200));
    assert_non_null(pair_expect(&pair, 0, SCTP_CLOSED).reason);
    pair_done(&pair);
}

static void test_foreign_tags_ports_and_cookies_change_nothing(void **state unused)
{
    struct pair pair;
    pair_init(&pair, NULL);
    pair_connect(&pair);
    struct sctp *sctp = pair.ends[0];
    uint8_t bytes[64];
    static const struct {
        uint16_t source;
        uint32_t tag_offset;
        uint8_t type, flags;
    } cases[] = {
        { 5000, 1, SCTP_ABORT, 0 },       { 5001, 0, SCTP_ABORT, 0 },
        { 5000, 0, SCTP_ABORT, 1 },       { 5000, 1, SCTP_SHUTDOWN_COMPLETE, 0 },
        { 5000, 0, SCTP_COOKIE_ECHO, 0 }, { 5000, 0, SCTP_INIT, 0 },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct writer packet = writer_of(bytes, sizeof(bytes));
        sctp_packet_begin(&packet, &(struct sctp_header){ cases[i].source, 5000,
                                                          sctp->local_tag + cases[i].tag_offset });
        sctp_chunk_end(&packet, sctp_chunk_begin(&packet, cases[i].type, cases[i].flags));
        sctp_packet_seal(bytes, packet.size);
        assert_true(sctp_input(sctp, pair.now_us, writer_written(&packet)) <= 0);
    }
    pair_expect_nothing(&pair, 0);
    expect_both_ways(&pair);
    pair_done(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_side_calls),
        cmocka_unit_test(test_both_call_at_once_and_get_one_association),
        cmocka_unit_test(test_one_calls_while_the_others_init_is_under_way),
        cmocka_unit_test(test_a_large_cookie_and_a_large_heartbeat_fit_into_packets),
        cmocka_unit_test(test_lost_packets_are_repeated),
        cmocka_unit_test(test_extensions_are_used_only_when_both_speak_them),
        cmocka_unit_test(test_extensions_are_used_when_both_speak_them),
        cmocka_unit_test(test_each_extension_is_agreed_on_alone),
        cmocka_unit_test(test_checksums_are_zero_once_both_agree_but_never_in_the_handshake),
        cmocka_unit_test(test_a_side_that_begins_anew_restarts_the_association),
        cmocka_unit_test(test_restarts_are_bounded_by_what_is_not_fetched),
        cmocka_unit_test(test_shutdown_waits_for_what_was_sent),
        cmocka_unit_test(test_abort_ends_at_once),
        cmocka_unit_test(test_a_silent_side_is_given_up),
        cmocka_unit_test(test_nothing_times_out_while_nothing_may_be_sent),
        cmocka_unit_test(test_idle_associations_ask_now_and_then),
        cmocka_unit_test(test_foreign_tags_ports_and_cookies_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
