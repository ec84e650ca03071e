#include "support/check.h"

#include "base/time.h"
#include "proto/rtp/nack_generator.h"

struct fixture {
    struct rtp_nack_generator generator;
    uint16_t out[RTP_NACK_MISSING_MAX];
};

static void setup(struct fixture *fixture)
{
    struct rtp_nack_config config = rtp_nack_config_default();
    rtp_nack_generator_init(&fixture->generator, &config);
}

static size_t ask(struct fixture *fixture, uint64_t now_us)
{
    return rtp_nack_generator_output(&fixture->generator, now_us, fixture->out,
                                     array_size(fixture->out));
}

static void receive(struct fixture *fixture, uint64_t now_us, uint32_t from, uint32_t to)
{
    for (uint32_t sequence = from; sequence <= to; sequence++)
        rtp_nack_generator_received(&fixture->generator, now_us, (uint16_t)sequence, false);
}

static void test_reordered_packet_is_not_asked_for(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    receive(&fixture, 0, 10, 10);
    assert_true(rtp_nack_generator_deadline(&fixture.generator) == TIME_NEVER);
    receive(&fixture, 1000, 12, 12);
    assert_true(rtp_nack_generator_deadline(&fixture.generator) == 11000);
    assert_int_equal(ask(&fixture, 5000), 0);
    receive(&fixture, 6000, 11, 11);
    assert_true(rtp_nack_generator_deadline(&fixture.generator) == TIME_NEVER);
    assert_int_equal(ask(&fixture, 20000), 0);
    rtp_nack_generator_done(&fixture.generator);
}

static void test_gap_is_asked_for_after_the_wait_or_three_packets(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    receive(&fixture, 0, 65534, 65534);
    receive(&fixture, 0, 1 + 65536, 1 + 65536); // 65535 and 0 are missing, over the wrap
    assert_int_equal(ask(&fixture, 9999), 0);
    assert_int_equal(ask(&fixture, 10000), 2);
    assert_int_equal(fixture.out[0], 65535);
    assert_int_equal(fixture.out[1], 0);
    // later packets hurry a request
    receive(&fixture, 10000, 3, 5);
    assert_int_equal(ask(&fixture, 10000), 1);
    assert_int_equal(fixture.out[0], 2);
    rtp_nack_generator_done(&fixture.generator);
}

static void test_requests_repeat_once_per_round_trip(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    rtp_nack_generator_round_trip(&fixture.generator, 50000);
    receive(&fixture, 0, 1, 1);
    receive(&fixture, 0, 3, 3);
    assert_int_equal(ask(&fixture, 10000), 1);
    assert_int_equal(ask(&fixture, 59999), 0);
    assert_true(rtp_nack_generator_deadline(&fixture.generator) == 60000);
    assert_int_equal(ask(&fixture, 60000), 1);
    receive(&fixture, 61000, 2, 2);
    assert_int_equal(fixture.generator.recovered_total, 1);
    assert_int_equal(ask(&fixture, 200000), 0);
    // a tiny round trip does not make a flood
    rtp_nack_generator_round_trip(&fixture.generator, 100);
    receive(&fixture, 200000, 5, 5);
    assert_int_equal(ask(&fixture, 210000), 1);
    assert_int_equal(ask(&fixture, 220000), 0);
    assert_int_equal(ask(&fixture, 230000), 1);
    rtp_nack_generator_done(&fixture.generator);
}

static void test_giving_up_wants_a_key_frame_once(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    receive(&fixture, 0, 1, 1);
    receive(&fixture, 0, 3, 3);
    uint32_t requests = 0;
    for (uint64_t now_us = 0; now_us < time_from_s(3); now_us += 10000)
        requests += (uint32_t)ask(&fixture, now_us);
    assert_int_equal(requests, fixture.generator.config.attempts_max);
    assert_int_equal(fixture.generator.given_up_total, 1);
    assert_true(rtp_nack_generator_key_frame_wanted(&fixture.generator));
    assert_false(rtp_nack_generator_key_frame_wanted(&fixture.generator));
    rtp_nack_generator_done(&fixture.generator);
}

static void test_loss_before_a_key_frame_needs_no_other(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    receive(&fixture, 0, 1, 1);
    receive(&fixture, 0, 3, 3);
    rtp_nack_generator_received(&fixture.generator, 0, 4, true);
    for (uint64_t now_us = 0; now_us < time_from_s(3); now_us += 10000)
        ask(&fixture, now_us);
    assert_int_equal(fixture.generator.given_up_total, 1);
    assert_false(rtp_nack_generator_key_frame_wanted(&fixture.generator));
    rtp_nack_generator_done(&fixture.generator);
}

static void test_break_in_the_stream_asks_for_a_key_frame_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    receive(&fixture, 0, 1, 1);
    receive(&fixture, 0, 3000, 3000);
    assert_int_equal(ask(&fixture, 50000), 0);
    assert_true(rtp_nack_generator_key_frame_wanted(&fixture.generator));
    rtp_nack_generator_done(&fixture.generator);
}

static void test_missing_list_is_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    // every second packet is lost
    for (uint32_t sequence = 0; sequence < 2000; sequence += 2)
        receive(&fixture, sequence, sequence, sequence);
    assert_int_equal(fixture.generator.missing_count, RTP_NACK_MISSING_MAX);
    assert_true(rtp_nack_generator_key_frame_wanted(&fixture.generator));
    // the newest ones stay
    assert_int_equal(ask(&fixture, time_from_ms(500)), RTP_NACK_MISSING_MAX);
    assert_int_equal(fixture.out[RTP_NACK_MISSING_MAX - 1], 1997);
    rtp_nack_generator_done(&fixture.generator);
}

static void test_of_a_gap_too_large_to_remember_the_newest_are_asked_for(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    receive(&fixture, 0, 1, 1);
    receive(&fixture, 0, 5, 5);
    receive(&fixture, 0, 905, 905);
    assert_int_equal(fixture.generator.missing_count, RTP_NACK_MISSING_MAX);
    assert_true(rtp_nack_generator_key_frame_wanted(&fixture.generator));
    assert_int_equal(ask(&fixture, time_from_ms(500)), RTP_NACK_MISSING_MAX);
    assert_int_equal(fixture.out[0], 905 - RTP_NACK_MISSING_MAX);
    assert_int_equal(fixture.out[RTP_NACK_MISSING_MAX - 1], 904);
    rtp_nack_generator_done(&fixture.generator);
}

static void test_small_output_goes_on_where_it_stopped(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    receive(&fixture, 0, 1, 1);
    receive(&fixture, 0, 8, 8);
    uint16_t two[2];
    assert_int_equal(rtp_nack_generator_output(&fixture.generator, 10000, two, 2), 2);
    assert_int_equal(two[1], 3);
    assert_int_equal(rtp_nack_generator_output(&fixture.generator, 10000, two, 2), 2);
    assert_int_equal(two[0], 4);
    rtp_nack_generator_done(&fixture.generator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reordered_packet_is_not_asked_for),
        cmocka_unit_test(test_gap_is_asked_for_after_the_wait_or_three_packets),
        cmocka_unit_test(test_requests_repeat_once_per_round_trip),
        cmocka_unit_test(test_giving_up_wants_a_key_frame_once),
        cmocka_unit_test(test_loss_before_a_key_frame_needs_no_other),
        cmocka_unit_test(test_break_in_the_stream_asks_for_a_key_frame_at_once),
        cmocka_unit_test(test_missing_list_is_bounded),
        cmocka_unit_test(test_of_a_gap_too_large_to_remember_the_newest_are_asked_for),
        cmocka_unit_test(test_small_output_goes_on_where_it_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
