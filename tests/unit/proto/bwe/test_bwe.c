// The estimator as a whole against receivers that are honest, silent, or liars.
#include <errno.h>

#include "proto/bwe/bwe.h"
#include "proto/rtp/rtcp.h"
#include "support/check.h"

#define MS      TIME_US_PER_MS
#define PACKETS 20
#define SIZE    1000

struct run {
    struct bwe bwe;
    uint64_t now_us;
    uint16_t sequence;
    uint8_t feedback_count;
};

static void begin(struct run *run)
{
    *run = (struct run){ .now_us = 5 * TIME_US_PER_S, .sequence = 65000 };
    bwe_init(&run->bwe, run->now_us);
}

/** Feedback of `count` packets from `base` on, arrived each `gap_us` from `first_us` on. */
static int tell(struct run *run, uint16_t base, size_t count, uint64_t first_us, uint64_t gap_us)
{
    struct twcc_arrival arrivals[256];
    uint8_t bytes[2048];
    for (size_t i = 0; i < count; i++)
        arrivals[i] = (struct twcc_arrival){ true, first_us + i * gap_us };
    struct writer writer = writer_of(bytes, sizeof(bytes));
    assert_int_equal(
        twcc_feedback_write(&writer, 1, 2, run->feedback_count++, base, arrivals, count), count);
    struct twcc_feedback feedback;
    assert_int_equal(twcc_feedback_parse(bytes_of(bytes + 12, writer.size - 12), &feedback), 0);
    return bwe_feedback(&run->bwe, run->now_us, &feedback);
}

/** Sends PACKETS in 100 ms: 1.6 Mbit/s. Returns the first one's number. */
static uint16_t send_packets(struct run *run)
{
    uint16_t base = run->sequence;
    for (int i = 0; i < PACKETS; i++) {
        bwe_sent(&run->bwe, run->now_us, run->sequence++, SIZE);
        run->now_us += 5 * MS;
    }
    return base;
}

/** So many times 100 ms with an honest receiver at a path of `gap_us` per packet. */
static void run_honest(struct run *run, int times, uint64_t gap_us)
{
    uint64_t arrival_us = 900 * TIME_US_PER_S + run->now_us;
    for (int i = 0; i < times; i++) {
        uint16_t base = send_packets(run);
        assert_int_equal(tell(run, base, PACKETS, arrival_us, gap_us), 0);
        arrival_us += PACKETS * gap_us;
    }
}

static void test_what_comes_through_is_carried(void **state)
{
    (void)state;
    struct run run;
    begin(&run);
    assert_false(bwe_heard(&run.bwe));
    assert_int_equal(bwe_bps(&run.bwe), BWE_START_BPS);
    run_honest(&run, 20, 5 * MS);
    assert_true(bwe_heard(&run.bwe));
    assert_in_range(bwe_bps(&run.bwe), 1500000, 2600000);
    assert_int_equal(bwe_limit(&run.bwe, run.now_us), BWE_LIMIT_NONE);
    bwe_done(&run.bwe);
}

static void test_a_queue_that_grows_brings_it_down(void **state)
{
    (void)state;
    struct run run;
    begin(&run);
    run_honest(&run, 20, 5 * MS);
    run_honest(&run, 20, 10 * MS); // 800 kbit/s
    assert_in_range(bwe_bps(&run.bwe), 500000, 850000);
    assert_int_equal(bwe_limit(&run.bwe, run.now_us), BWE_LIMIT_DELAY);
    bwe_done(&run.bwe);
}

static void test_numbers_that_were_never_sent_are_refused(void **state)
{
    (void)state;
    struct run run;
    begin(&run);
    uint16_t base = send_packets(&run);
    assert_int_equal(tell(&run, base, PACKETS + 1, 7000000, 1000), -ERANGE);
    assert_int_equal(tell(&run, (uint16_t)(base + 5000), PACKETS, 7000000, 1000), -ERANGE);
    assert_false(bwe_heard(&run.bwe));
    // long gone: nothing to learn, nothing breaks
    assert_int_equal(tell(&run, (uint16_t)(base - 5000), PACKETS, 7000000, 1000), 0);
    assert_int_equal(run.bwe.acknowledged.now.bytes, 0);
    bwe_done(&run.bwe);
}

static void test_what_is_told_twice_counts_once(void **state)
{
    (void)state;
    struct run run;
    begin(&run);
    uint16_t base = send_packets(&run);
    assert_int_equal(tell(&run, base, PACKETS, 7000000, 5000), 0);
    assert_int_equal(run.bwe.acknowledged.now.bytes, PACKETS * SIZE);
    assert_int_equal(tell(&run, base, PACKETS, 8000000, 1), 0);
    assert_int_equal(run.bwe.acknowledged.now.bytes, PACKETS * SIZE);
    bwe_done(&run.bwe);
}

static void test_lies_about_times_do_not_bring_it_above_what_was_sent(void **state)
{
    (void)state;
    // all at once, backwards, leaps there and back
    static const int64_t leaps_us[] = { 0, -100000, 1000000000, -1000000000, 60000000 };
    for (size_t lie = 0; lie < array_size(leaps_us); lie++) {
        struct run run;
        begin(&run);
        int64_t arrival_us = 4000000000;
        for (int i = 0; i < 200; i++) {
            uint16_t base = send_packets(&run);
            assert_int_equal(tell(&run, base, PACKETS, (uint64_t)arrival_us, (unsigned)i % 2), 0);
            arrival_us += i % 3 == 2 ? -leaps_us[lie] : leaps_us[lie];
            arrival_us = arrival_us < 0 ? 4000000000 : arrival_us;
            assert_in_range(bwe_bps(&run.bwe), BWE_MIN_BPS, 1700000 * 3 / 2 + 10000);
        }
        bwe_done(&run.bwe);
    }
}

/** Feedback about `count` packets up to the newest that says of all that they were lost. */
static int tell_all_lost(struct run *run, uint16_t count, int32_t reference)
{
    const uint8_t chunk[2] = { (uint8_t)(count >> 8), (uint8_t)count };
    const struct twcc_feedback feedback = {
        .base_sequence = (uint16_t)(run->sequence - count),
        .status_count = count,
        .reference = reference,
        .rest = bytes_of(chunk, sizeof(chunk)),
    };
    return bwe_feedback(&run->bwe, run->now_us, &feedback);
}

static void test_a_clock_that_leaps_on_and_on_leads_nowhere(void **state)
{
    (void)state;
    struct run run;
    begin(&run);
    uint32_t reference = 0;
    for (int i = 0; i < 1000; i++) {
        send_packets(&run);
        assert_int_equal(tell_all_lost(&run, PACKETS, (int32_t)(reference << 8) >> 8), 0);
        reference += 0x7fffff; // half of the range, always in one direction
        int64_t most_us = ((int64_t)1 << 24) * TWCC_REFERENCE_US;
        assert_true(run.bwe.reference_us <= most_us && run.bwe.reference_us >= -most_us);
    }
    bwe_done(&run.bwe);
}

static void test_short_feedback_about_many_packets_is_looked_at_so_often_only(void **state)
{
    (void)state;
    struct run run;
    begin(&run);
    send_packets(&run);
    // a few bytes each
    for (int i = 0; i < 16; i++)
        assert_int_equal(tell_all_lost(&run, 8191, 100), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(tell_all_lost(&run, 8191, 100), -EDQUOT);
    // what is sent pays for what is told of it
    for (int i = 0; i < 100; i++) {
        uint16_t base = send_packets(&run);
        for (int again = 0; again < 10; again++)
            assert_int_equal(tell(&run, base, PACKETS, run.now_us, 5 * MS), 0);
        for (int again = 0; again < 10; again++)
            (void)!tell_all_lost(&run, 8191, 100);
    }
    bwe_done(&run.bwe);
}

static void test_a_receiver_that_gives_no_feedback_is_known_by_it(void **state)
{
    (void)state;
    struct run run;
    begin(&run);
    for (int i = 0; i < 40; i++) {
        send_packets(&run);
        if (bwe_deadline(&run.bwe) <= run.now_us)
            bwe_tick(&run.bwe, run.now_us);
    }
    assert_int_equal(bwe_bps(&run.bwe), 0);
    assert_int_equal(bwe_deadline(&run.bwe), TIME_NEVER);
    // it comes late
    run_honest(&run, 10, 5 * MS);
    assert_true(bwe_bps(&run.bwe) > 1000000);
    bwe_done(&run.bwe);
}

static void test_probes_are_wanted_only_where_more_is(void **state)
{
    (void)state;
    struct run run;
    begin(&run);
    run_honest(&run, 10, 5 * MS);
    assert_int_equal(run.bwe.probe.state, BWE_PROBE_NONE);
    bwe_set_wanted(&run.bwe, run.now_us, 1000000);
    assert_int_equal(run.bwe.probe.state, BWE_PROBE_NONE);
    uint64_t estimate_bps = bwe_bps(&run.bwe);
    bwe_set_wanted(&run.bwe, run.now_us, 20000000);
    assert_int_equal(run.bwe.probe.state, BWE_PROBE_WANTED);
    assert_in_range((uint64_t)run.bwe.probe.rate_bps, estimate_bps * 2, estimate_bps * 4);
    bwe_done(&run.bwe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_comes_through_is_carried),
        cmocka_unit_test(test_a_queue_that_grows_brings_it_down),
        cmocka_unit_test(test_numbers_that_were_never_sent_are_refused),
        cmocka_unit_test(test_what_is_told_twice_counts_once),
        cmocka_unit_test(test_lies_about_times_do_not_bring_it_above_what_was_sent),
        cmocka_unit_test(test_a_clock_that_leaps_on_and_on_leads_nowhere),
        cmocka_unit_test(test_short_feedback_about_many_packets_is_looked_at_so_often_only),
        cmocka_unit_test(test_a_receiver_that_gives_no_feedback_is_known_by_it),
        cmocka_unit_test(test_probes_are_wanted_only_where_more_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
