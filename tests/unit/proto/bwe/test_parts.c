// The parts of the estimator, each alone.
#include "base/random.h"
#include "proto/bwe/bwe.h"
#include "support/check.h"

#define MS TIME_US_PER_MS

// History

static void test_history_finds_what_was_sent_and_nothing_else(void **state)
{
    (void)state;
    struct bwe_history history;
    bwe_history_init(&history);
    assert_null(bwe_history_find(&history, 0));
    uint64_t now_us = 5000000000; // beyond 32 bits
    for (int i = 0; i < 10; i++)
        bwe_history_add(&history, now_us + (unsigned)i * MS, (uint16_t)(65530 + i), 100, 0);
    assert_int_equal(history.next, 4);
    struct bwe_packet *packet = bwe_history_find(&history, 65530);
    assert_non_null(packet);
    assert_int_equal(bwe_packet_sent_us(packet, now_us + 500 * MS), now_us);
    assert_non_null(bwe_history_find(&history, 3));
    assert_null(bwe_history_find(&history, 4));
    assert_null(bwe_history_find(&history, 65529));
    assert_true(bwe_history_unsent(&history, 4));
    assert_false(bwe_history_unsent(&history, 3));
    assert_int_equal(history.sent_bytes, 1000);
    bwe_history_done(&history);
}

static void test_history_grows_while_packets_wait_and_shrinks_at_rest(void **state)
{
    (void)state;
    struct bwe_history history;
    bwe_history_init(&history);
    uint64_t now_us = TIME_US_PER_S;
    // 1000 packets/s without feedback: 2 s of them are kept
    for (uint32_t i = 0; i < 10000; i++)
        bwe_history_add(&history, now_us += MS, (uint16_t)i, 100, 0);
    assert_int_equal(history.mask + 1, 2048);
    assert_non_null(bwe_history_find(&history, 9999));
    assert_non_null(bwe_history_find(&history, 10000 - 2048));
    bwe_history_shrink(&history);
    assert_int_equal(history.mask + 1, BWE_HISTORY_MIN);
    assert_non_null(bwe_history_find(&history, 9999));
    // never more than its bound
    for (uint32_t i = 0; i < 100000; i++)
        bwe_history_add(&history, now_us, (uint16_t)(10000 + i), 100, 0);
    assert_int_equal(history.mask + 1, BWE_HISTORY_MAX);
    bwe_history_done(&history);
}

// Groups

static void test_packets_sent_together_are_one_group(void **state)
{
    (void)state;
    struct bwe_groups groups;
    struct bwe_spacing spacing;
    bwe_groups_clear(&groups);
    uint64_t at_us = TIME_US_PER_S;
    assert_false(bwe_groups_add(&groups, at_us, 500000, &spacing));
    assert_false(bwe_groups_add(&groups, at_us + 3 * MS, 504000, &spacing));
    assert_false(bwe_groups_add(&groups, at_us + 33 * MS, 540000, &spacing));
    assert_false(bwe_groups_add(&groups, at_us + 35 * MS, 541000, &spacing));
    // the third group completes the second
    assert_true(bwe_groups_add(&groups, at_us + 66 * MS, 570000, &spacing));
    assert_int_equal(spacing.sent_us, 32 * MS);
    assert_int_equal(spacing.arrival_us, 37000);
}

static void test_packets_that_queued_are_one_group(void **state)
{
    (void)state;
    struct bwe_groups groups;
    struct bwe_spacing spacing;
    bwe_groups_clear(&groups);
    // sent each 20 ms, held back and let go at once
    for (uint64_t i = 0; i < 5; i++)
        assert_false(bwe_groups_add(&groups, TIME_US_PER_S + i * 20 * MS, 700000 + (int64_t)i * 100,
                                    &spacing));
    assert_int_equal(groups.count, 1);
}

static void test_clocks_that_are_set_begin_anew(void **state)
{
    (void)state;
    struct bwe_groups groups;
    struct bwe_spacing spacing;
    bwe_groups_clear(&groups);
    for (uint64_t i = 0; i < 3; i++)
        bwe_groups_add(&groups, TIME_US_PER_S + i * 20 * MS, 700000 + (int64_t)(i * 20 * MS),
                       &spacing);
    // forward by 10 s
    assert_true(bwe_groups_add(&groups, TIME_US_PER_S + 60 * MS, 10760000, &spacing));
    assert_false(bwe_groups_add(&groups, TIME_US_PER_S + 80 * MS, 10780000, &spacing));
    assert_int_equal(groups.count, 1);
    // and back: a few are taken for reordering
    bool measured = false;
    for (uint64_t i = 5; i < 12; i++)
        measured |= bwe_groups_add(&groups, TIME_US_PER_S + i * 20 * MS,
                                   100000 + (int64_t)(i * 20 * MS), &spacing);
    assert_true(measured);
    assert_int_equal(spacing.arrival_us, 20 * MS);
}

// Trend

/** Feeds groups each 20 ms whose delay grows by `growth_us` each; returns what was seen. */
static enum bwe_usage feed(struct bwe_trend *trend, uint64_t *now_us, int groups, int64_t growth_us,
                           struct random *random, uint32_t jitter_us, int *ret_overs)
{
    int64_t last_noise = 0;
    for (int i = 0; i < groups; i++) {
        *now_us += 20 * MS;
        int64_t noise = jitter_us ? (int64_t)random_below(random, jitter_us) : 0;
        struct bwe_spacing spacing = { 20 * MS,
                                       (int64_t)(20 * MS) + growth_us + noise - last_noise };
        last_noise = noise;
        bwe_trend_add(trend, *now_us, &spacing, (int64_t)*now_us);
        if (ret_overs)
            *ret_overs += trend->usage == BWE_USAGE_OVER;
    }
    return trend->usage;
}

static void test_growing_delay_is_overuse_and_shrinking_is_underuse(void **state)
{
    (void)state;
    struct bwe_trend trend;
    uint64_t now_us = TIME_US_PER_S;
    bwe_trend_init(&trend);
    assert_int_equal(feed(&trend, &now_us, 40, 0, NULL, 0, NULL), BWE_USAGE_NORMAL);
    int overs = 0;
    feed(&trend, &now_us, 30, 4000, NULL, 0, &overs);
    assert_true(overs > 0);
    assert_int_equal(feed(&trend, &now_us, 30, -6000, NULL, 0, NULL), BWE_USAGE_UNDER);
    assert_int_equal(feed(&trend, &now_us, 60, 0, NULL, 0, NULL), BWE_USAGE_NORMAL);
}

static void test_jitter_without_trend_is_no_overuse(void **state)
{
    (void)state;
    struct bwe_trend trend;
    struct random random;
    random_seeded_init(&random, 3);
    uint64_t now_us = TIME_US_PER_S;
    bwe_trend_init(&trend);
    int overs = 0;
    feed(&trend, &now_us, 500, 0, &random, 15000, &overs);
    assert_in_range(overs, 0, 10);
    // a drift of clocks by 100 ppm neither
    overs = 0;
    feed(&trend, &now_us, 5000, 2, &random, 2000, &overs);
    assert_int_equal(overs, 0);
}

// The acknowledged rate

static void test_acknowledged_rate_is_the_slower_of_both_ends(void **state)
{
    (void)state;
    struct bwe_acknowledged acknowledged = { 0 };
    uint64_t sent_us = TIME_US_PER_S;
    int64_t arrival_us = -400000; // any clock
    for (int i = 0; i < 200; i++) {
        bwe_acknowledged_add(&acknowledged, sent_us, arrival_us, 1000);
        if (i % 5 == 4)
            bwe_acknowledged_mark(&acknowledged);
        sent_us += 10 * MS;
        arrival_us += 10000;
    }
    assert_in_range(bwe_acknowledged_bps(&acknowledged, 400000), 780000, 820000);
    // said to have come all at once: no faster than it was sent
    for (int i = 0; i < 100; i++) {
        bwe_acknowledged_add(&acknowledged, sent_us, arrival_us, 1000);
        bwe_acknowledged_mark(&acknowledged);
        sent_us += 10 * MS;
    }
    assert_in_range(bwe_acknowledged_bps(&acknowledged, 400000), 780000, 820000);
    // sent in a burst, arriving at the path's pace
    for (int i = 0; i < 100; i++) {
        bwe_acknowledged_add(&acknowledged, sent_us, arrival_us, 1000);
        sent_us += MS;
        arrival_us += 20000;
        bwe_acknowledged_mark(&acknowledged);
    }
    assert_in_range(bwe_acknowledged_bps(&acknowledged, 400000), 390000, 410000);
    // after a pause it counts anew
    bwe_acknowledged_add(&acknowledged, sent_us + 60 * TIME_US_PER_S, arrival_us + 60000000, 1000);
    assert_int_equal(bwe_acknowledged_bps(&acknowledged, 400000), 0);
}

// Rate control

static void test_rate_goes_down_to_what_arrived_and_up_slowly_near_it(void **state)
{
    (void)state;
    struct bwe_rate_control control;
    uint64_t now_us = TIME_US_PER_S;
    bwe_rate_control_init(&control, 2e6);
    struct bwe_rate_input input = { BWE_USAGE_NORMAL, 2e6, 50 * MS, 0, false };
    // while no capacity is known: 8 % a second
    for (int i = 0; i <= 20; i++, now_us += 50 * MS)
        assert_false(bwe_rate_control_update(&control, now_us, &input));
    assert_in_range((uint64_t)control.rate_bps, 2150000, 2170000);
    input.usage = BWE_USAGE_OVER;
    input.acknowledged_bps = 1e6;
    assert_true(bwe_rate_control_update(&control, now_us, &input));
    assert_int_equal((uint64_t)control.rate_bps, 850000);
    // not again before the queue could drain
    input.acknowledged_bps = 9e5;
    assert_false(bwe_rate_control_update(&control, now_us + 10 * MS, &input));
    assert_int_equal((uint64_t)control.rate_bps, 850000);
    // held while it drains, then a packet more per response time, each second: 64 kbit/s
    input = (struct bwe_rate_input){ BWE_USAGE_UNDER, 8.5e5, 50 * MS, 0, false };
    bwe_rate_control_update(&control, now_us += 100 * MS, &input);
    assert_int_equal((uint64_t)control.rate_bps, 850000);
    input.usage = BWE_USAGE_NORMAL;
    bwe_rate_control_update(&control, now_us += 50 * MS, &input);
    for (int i = 0; i < 20; i++)
        bwe_rate_control_update(&control, now_us += 50 * MS, &input);
    assert_in_range((uint64_t)control.rate_bps, 905000, 920000);
}

static void test_rate_does_not_drift_when_little_is_sent(void **state)
{
    (void)state;
    struct bwe_rate_control control;
    uint64_t now_us = TIME_US_PER_S;
    bwe_rate_control_init(&control, 1e6);
    struct bwe_rate_input input = { BWE_USAGE_NORMAL, 1e5, 50 * MS, 0, true };
    for (int i = 0; i < 1200; i++)
        bwe_rate_control_update(&control, now_us += 50 * MS, &input);
    assert_int_equal((uint64_t)control.rate_bps, 1000000);
    // what comes through without a queue is carried
    input.acknowledged_bps = 3e6;
    bwe_rate_control_update(&control, now_us += 50 * MS, &input);
    assert_true(control.rate_bps >= 3e6);
}

// Losses

/** Windows of 50 packets and 300 ms; losses by what a path of `capacity` lets through. */
static void lose(struct bwe_loss *loss, uint64_t *now_us, int windows, double capacity_bps,
                 double share, struct bwe_loss_input *input)
{
    for (int i = 0; i < windows; i++) {
        double sent =
            loss->limit_bps > 0 ? min_of(loss->limit_bps, input->rate_bps) : input->rate_bps;
        double lost = share;
        if (sent > capacity_bps)
            lost = 1 - (1 - share) * capacity_bps / sent;
        input->sent_bps = sent;
        input->acknowledged_bps = sent * (1 - lost);
        for (int tenth = 0; tenth < 10; tenth++)
            bwe_loss_count(loss, *now_us += 40 * MS, (uint32_t)(100 - lost * 100),
                           (uint32_t)(lost * 100), 0);
        bwe_loss_update(loss, *now_us, input);
    }
}

static void test_losses_press_down_to_what_a_policed_path_carries(void **state)
{
    (void)state;
    struct bwe_loss loss = { 0 };
    struct bwe_loss_input input = { .rate_bps = 2e6, .round_trip_us = 50 * MS };
    uint64_t now_us = TIME_US_PER_S;
    lose(&loss, &now_us, 20, 1e6, 0, &input);
    assert_true(loss.limit_bps > 9e5 && loss.limit_bps < 1.15e6);
    assert_true(loss.own < 0.01);
    // and up again when it carries more
    lose(&loss, &now_us, 60, 1e9, 0, &input);
    assert_true(loss.limit_bps == 0 || loss.limit_bps > 2e6);
}

static void test_losses_of_the_path_itself_set_no_limit(void **state)
{
    (void)state;
    struct bwe_loss loss = { 0 };
    struct bwe_loss_input input = { .rate_bps = 2e6, .round_trip_us = 50 * MS };
    uint64_t now_us = TIME_US_PER_S;
    lose(&loss, &now_us, 40, 1e9, 0.2, &input);
    assert_true(loss.limit_bps == 0);
    assert_true(loss.own > 0.18 && loss.own < 0.22);
    // losses on top of them do
    lose(&loss, &now_us, 20, 1e6, 0.2, &input);
    assert_true(loss.limit_bps > 0 && loss.limit_bps < 1.2e6);
    // better times are noticed
    lose(&loss, &now_us, 40, 1e9, 0, &input);
    assert_true(loss.own < 0.01);
}

static void test_a_few_packets_tell_no_losses(void **state)
{
    (void)state;
    struct bwe_loss loss = { 0 };
    struct bwe_loss_input input = { .rate_bps = 2e6, .sent_bps = 1e5, .round_trip_us = 50 * MS };
    bwe_loss_count(&loss, TIME_US_PER_S, 5, 5, 0);
    assert_false(bwe_loss_update(&loss, 2 * TIME_US_PER_S, &input));
    // those that came after all are no losses
    bwe_loss_count(&loss, 2 * TIME_US_PER_S, 40, 0, 5);
    assert_false(bwe_loss_update(&loss, 2 * TIME_US_PER_S, &input));
    assert_true(loss.fraction == 0);
}

// Probes

/** A train sent at its pace, over a path of `path_bps`; returns what it finds. */
static double run_train(struct bwe_probe *probe, uint64_t now_us, double path_bps, int lost)
{
    bwe_probe_begin(probe, now_us);
    uint16_t sequence = 10;
    int64_t arrival_us = 1000000;
    while (bwe_probe_mark(probe) != 0) {
        uint8_t mark = bwe_probe_mark(probe);
        bwe_probe_sent(probe, now_us, sequence++, 1000);
        double pace = probe->rate_bps;
        now_us += (uint64_t)(8000 * 1e6 / pace);
        arrival_us += (int64_t)(8000 * 1e6 / min_of(pace, path_bps));
        if (lost-- <= 0)
            bwe_probe_arrived(probe, mark, arrival_us, 1000);
    }
    double found = -1;
    assert_false(bwe_probe_judge(probe, now_us, (uint16_t)(sequence - 2), &found));
    assert_true(bwe_probe_judge(probe, now_us, (uint16_t)(sequence - 1), &found));
    return found;
}

static void test_a_train_finds_the_slower_of_pace_and_path(void **state)
{
    (void)state;
    struct bwe_probe probe = { 0 };
    bwe_probe_want(&probe, TIME_US_PER_S, 3e6);
    double found = run_train(&probe, TIME_US_PER_S, 1e9, 0);
    assert_true(found > 2.9e6 && found <= 3e6);
    bwe_probe_succeeded(&probe, TIME_US_PER_S, found);
    bwe_probe_want(&probe, TIME_US_PER_S, 6e6);
    found = run_train(&probe, TIME_US_PER_S, 2e6, 0);
    assert_true(found > 1.8e6 && found < 2e6);
    bwe_probe_failed(&probe, TIME_US_PER_S);
    // one that lost much tells nothing
    bwe_probe_want(&probe, TIME_US_PER_S, 3e6);
    assert_true(run_train(&probe, TIME_US_PER_S, 1e9, 3) == 0);
}

static void test_a_path_that_gave_a_burst_for_nothing_is_asked_for_longer(void **state)
{
    (void)state;
    struct bwe_probe probe = { .deceived = 2 };
    bwe_probe_want(&probe, TIME_US_PER_S, 1e6);
    assert_true(probe.all_bytes >= 4 * 1875); // 15 ms four times
    bwe_probe_begin(&probe, TIME_US_PER_S);
    uint64_t now_us = TIME_US_PER_S;
    int64_t arrival_us = 1000000;
    // half of it at once, the rest at 200 kbit/s
    uint32_t sent = 0;
    uint16_t sequence = 0;
    while (bwe_probe_mark(&probe) != 0) {
        uint8_t mark = bwe_probe_mark(&probe);
        bwe_probe_sent(&probe, now_us, sequence++, 500);
        now_us += 4000;
        arrival_us += sent < probe.all_bytes / 2 ? 4000 : 20000;
        sent += 500;
        bwe_probe_arrived(&probe, mark, arrival_us, 500);
    }
    double found = 0;
    assert_true(bwe_probe_judge(&probe, now_us, (uint16_t)(sequence - 1), &found));
    assert_true(found > 150e3 && found < 220e3);
}

static void test_trains_that_nobody_sends_end_by_themselves(void **state)
{
    (void)state;
    struct bwe_probe probe = { 0 };
    uint64_t now_us = TIME_US_PER_S;
    bwe_probe_want(&probe, now_us, 3e6);
    bwe_probe_tick(&probe, now_us += TIME_US_PER_S);
    assert_int_equal(probe.state, BWE_PROBE_WANTED);
    bwe_probe_tick(&probe, now_us = bwe_probe_deadline(&probe));
    assert_int_equal(probe.state, BWE_PROBE_NONE);
    assert_true(probe.next_us > now_us);
    // begun, but never complete, and never told of
    bwe_probe_want(&probe, now_us, 3e6);
    bwe_probe_begin(&probe, now_us);
    bwe_probe_sent(&probe, now_us, 5, 500);
    bwe_probe_tick(&probe, now_us = bwe_probe_deadline(&probe));
    assert_int_equal(probe.state, BWE_PROBE_JUDGING);
    bwe_probe_tick(&probe, now_us = bwe_probe_deadline(&probe));
    assert_int_equal(probe.state, BWE_PROBE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history_finds_what_was_sent_and_nothing_else),
        cmocka_unit_test(test_history_grows_while_packets_wait_and_shrinks_at_rest),
        cmocka_unit_test(test_packets_sent_together_are_one_group),
        cmocka_unit_test(test_packets_that_queued_are_one_group),
        cmocka_unit_test(test_clocks_that_are_set_begin_anew),
        cmocka_unit_test(test_growing_delay_is_overuse_and_shrinking_is_underuse),
        cmocka_unit_test(test_jitter_without_trend_is_no_overuse),
        cmocka_unit_test(test_acknowledged_rate_is_the_slower_of_both_ends),
        cmocka_unit_test(test_rate_goes_down_to_what_arrived_and_up_slowly_near_it),
        cmocka_unit_test(test_rate_does_not_drift_when_little_is_sent),
        cmocka_unit_test(test_losses_press_down_to_what_a_policed_path_carries),
        cmocka_unit_test(test_losses_of_the_path_itself_set_no_limit),
        cmocka_unit_test(test_a_few_packets_tell_no_losses),
        cmocka_unit_test(test_a_train_finds_the_slower_of_pace_and_path),
        cmocka_unit_test(test_a_path_that_gave_a_burst_for_nothing_is_asked_for_longer),
        cmocka_unit_test(test_trains_that_nobody_sends_end_by_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
