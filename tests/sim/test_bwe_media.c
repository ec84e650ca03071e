// What a sender of media meets besides a change of capacity: pauses, losses, jitter, a way back
// that is thin, loses or stops, layers that leave the path half empty.
#include <stdio.h>

#include "sim/flow.h"
#include "support/check.h"

static struct network_pipe_config path_of(uint64_t bps)
{
    return (struct network_pipe_config){
        .bandwidth_bps = bps,
        .delay_us = 30000,
        .queue_bytes = (uint32_t)(bps * 300 / 1000 / 8),
    };
}

static const struct flow_config layered = {
    .best_bps = 1800000,
    .levels_bps = { 150000, 600000, 1800000 },
    .audio_bps = 32000,
};

static void test_a_pause_keeps_the_estimate(void **state)
{
    (void)state;
    struct flows *flows = flows_new(11);
    struct network_pipe_config path = path_of(2000000);
    flows_set_path(flows, &path);
    struct flow *flow = flows_add(flows, &(struct flow_config){ .best_bps = 3000000 });
    flows_run(flows, time_from_s(20));
    flow->paused = true;
    flows_run(flows, time_from_s(1));
    uint64_t before = bwe_bps(&flow->bwe);
    flows_run(flows, time_from_s(29));
    assert_int_equal(bwe_bps(&flow->bwe), before);
    assert_int_equal(flow->bwe.history.mask + 1, BWE_HISTORY_MIN);
    flow->paused = false;
    flows_run(flows, time_from_s(20));
    uint32_t ms = flow_settled_ms(flow, 50, 1300000, 2100000);
    printf("after a pause of 30 s: settled after %u ms, queue p95 %u ms\n", ms,
           flow_queue_ms(flow, 50, 55, 95));
    assert_in_range(ms, 0, 1000);
    assert_in_range(flow_queue_ms(flow, 50, 70, 95), 0, 150);
    flows_free(flows);
}

static void test_layers_reach_the_best_and_stay(void **state)
{
    (void)state;
    struct flows *flows = flows_new(12);
    struct network_pipe_config path = path_of(3000000);
    flows_set_path(flows, &path);
    struct flow *flow = flows_add(flows, &layered);
    flows_run(flows, time_from_s(30));
    uint32_t ms = flow_settled_ms(flow, 0, 1700000, 2100000);
    printf("best of three layers after %u ms\n", ms);
    assert_in_range(ms, 0, 1500);
    assert_in_range(flow_rate_bps(flow, 5, 30), 1780000, 1900000);
    // it is not limited by the path: nothing more is asked of it
    assert_in_range(bwe_bps(&flow->bwe), 2200000, 3200000);
    flows_free(flows);
}

static void test_layers_follow_a_path_down_and_up(void **state)
{
    (void)state;
    struct flows *flows = flows_new(13);
    struct network_pipe_config path = path_of(3000000);
    flows_set_path(flows, &path);
    struct flow *flow = flows_add(flows, &layered);
    flows_run(flows, time_from_s(20));
    path = path_of(500000);
    path.queue_bytes = 60000; // 1 s
    flows_set_path(flows, &path);
    flows_run(flows, time_from_s(20));
    path = path_of(3000000);
    flows_set_path(flows, &path);
    flows_run(flows, time_from_s(30));
    uint32_t down = flow_settled_ms(flow, 20, 150000, 480000);
    uint32_t up = flow_settled_ms(flow, 40, 1700000, 2100000);
    printf("3 Mbit/s to 500 kbit/s: layers down after %u ms; back to 3 Mbit/s: up after %u ms\n",
           down, up);
    printf("queue p95 in the narrow time, after 4 s: %u ms\n", flow_queue_ms(flow, 24, 40, 95));
    assert_in_range(down, 0, 2500);
    assert_in_range(up, 0, 12000);
    assert_in_range(flow_queue_ms(flow, 24, 40, 95), 0, 150);
    flows_free(flows);
}

static void test_random_losses_do_not_bring_it_down(void **state)
{
    (void)state;
    static const double losses[] = { 0.02, 0.05, 0.2 };
    for (size_t i = 0; i < array_size(losses); i++) {
        struct flows *flows = flows_new(14 + i);
        struct network_pipe_config path = path_of(2000000);
        path.loss = losses[i];
        flows_set_path(flows, &path);
        struct flow *flow = flows_add(flows, &(struct flow_config){ .best_bps = 1000000 });
        flows_run(flows, time_from_s(60));
        uint64_t rate = flow_rate_bps(flow, 20, 60);
        printf("%.0f %% random losses: %llu of 1000 kbit/s arrive\n", losses[i] * 100,
               (unsigned long long)rate / 1000);
        assert_true((double)rate > 1000000 * (1 - losses[i]) * 0.75);
        flows_free(flows);
    }
}

static void test_a_path_without_a_queue_is_found_by_its_losses(void **state)
{
    (void)state;
    struct flows *flows = flows_new(17);
    struct network_pipe_config path = path_of(1000000);
    path.queue_bytes = 6000; // 48 ms: five packets
    flows_set_path(flows, &path);
    struct flow *flow = flows_add(flows, &(struct flow_config){ .best_bps = 3000000 });
    flows_run(flows, time_from_s(60));
    uint64_t rate = flow_rate_bps(flow, 10, 60);
    printf("shallow queue: %llu of 1000 kbit/s used, %.1f %% lost\n",
           (unsigned long long)rate / 1000, flow_loss(flow) * 100);
    assert_in_range(rate, 650000, 1000000);
    assert_true(flow_loss(flow) < 0.08);
    flows_free(flows);
}

static void test_jitter_costs_little(void **state)
{
    (void)state;
    static const uint64_t jitters_ms[] = { 5, 30, 60 };
    for (size_t i = 0; i < array_size(jitters_ms); i++) {
        struct flows *flows = flows_new(18 + i);
        struct network_pipe_config path = path_of(2000000);
        path.jitter_us = jitters_ms[i] * TIME_US_PER_MS;
        flows_set_path(flows, &path);
        struct flow *flow = flows_add(flows, &(struct flow_config){ .best_bps = 3000000 });
        flows_run(flows, time_from_s(60));
        uint64_t rate = flow_rate_bps(flow, 10, 60);
        printf("jitter of %llu ms: %llu of 2000 kbit/s used\n", (unsigned long long)jitters_ms[i],
               (unsigned long long)rate / 1000);
        assert_in_range(rate, 1100000, 2000000);
        flows_free(flows);
    }
}

static void test_lost_feedback_costs_little(void **state)
{
    (void)state;
    struct flows *flows = flows_new(21);
    struct network_pipe_config path = path_of(2000000);
    flows_set_path(flows, &path);
    struct flow *flow = flows_add(flows, &(struct flow_config){ .best_bps = 3000000 });
    flow_set_return_path(
        flow, &(struct network_pipe_config){ .loss = 0.3, .delay_us = 30000, .jitter_us = 40000 });
    flows_run(flows, time_from_s(60));
    uint64_t rate = flow_rate_bps(flow, 10, 60);
    printf("a third of the feedback lost: %llu of 2000 kbit/s used, queue p95 %u ms\n",
           (unsigned long long)rate / 1000, flow_queue_ms(flow, 10, 60, 95));
    assert_in_range(rate, 1200000, 2000000);
    assert_in_range(flow_queue_ms(flow, 10, 60, 95), 0, 150);
    flows_free(flows);
}

static void test_a_full_way_back_costs_little(void **state)
{
    (void)state;
    // feedback alone fills it; with media in it: test_bwe_shared.c
    struct flows *flows = flows_new(26);
    struct network_pipe_config path = path_of(2000000);
    flows_set_path(flows, &path);
    struct flow *flow = flows_add(flows, &(struct flow_config){ .best_bps = 3000000 });
    flow_set_return_path(flow, &(struct network_pipe_config){
                                   .bandwidth_bps = 16000, .queue_bytes = 700, .delay_us = 30000 });
    flows_run(flows, time_from_s(60));
    uint64_t rate = flow_rate_bps(flow, 10, 60);
    printf("way back of 16 kbit/s: %llu of 2000 kbit/s used, queue p95 %u ms, round trip %llu ms\n",
           (unsigned long long)rate / 1000, flow_queue_ms(flow, 10, 60, 95),
           (unsigned long long)flow->bwe.round_trip_us / 1000);
    assert_in_range(rate, 1000000, 2000000);
    assert_in_range(flow_queue_ms(flow, 10, 60, 95), 0, 250);
    flows_free(flows);
}

static void test_silence_brings_it_down_and_an_answer_up_again(void **state)
{
    (void)state;
    struct flows *flows = flows_new(22);
    struct network_pipe_config path = path_of(3000000);
    flows_set_path(flows, &path);
    struct flow *flow = flows_add(flows, &layered);
    flows_run(flows, time_from_s(10));
    path.loss = 1;
    flows_set_path(flows, &path);
    flows_run(flows, time_from_s(6));
    uint64_t silent = bwe_bps(&flow->bwe);
    assert_int_equal(bwe_limit(&flow->bwe, 0), BWE_LIMIT_SILENCE);
    path.loss = 0;
    flows_set_path(flows, &path);
    flows_run(flows, time_from_s(20));
    uint32_t ms = flow_settled_ms(flow, 16, 1700000, 2100000);
    printf("6 s of silence: down to %llu kbit/s; best layer again after %u ms\n",
           (unsigned long long)silent / 1000, ms);
    assert_in_range(silent, BWE_MIN_BPS, 200000);
    assert_in_range(ms, 0, 5000);
    flows_free(flows);
}

static void test_longer_round_trips_in_the_midst_are_no_queue_for_long(void **state)
{
    (void)state;
    struct flows *flows = flows_new(23);
    struct network_pipe_config path = path_of(3000000);
    flows_set_path(flows, &path);
    struct flow *flow = flows_add(flows, &layered);
    flows_run(flows, time_from_s(10));
    path.delay_us = 150000;
    flows_set_path(flows, &path);
    flows_run(flows, time_from_s(20));
    path.delay_us = 20000;
    flows_set_path(flows, &path);
    flows_run(flows, time_from_s(20));
    printf("30 to 150 to 20 ms: %llu, %llu kbit/s of 1832\n",
           (unsigned long long)flow_rate_bps(flow, 25, 30) / 1000,
           (unsigned long long)flow_rate_bps(flow, 32, 50) / 1000);
    assert_in_range(flow_rate_bps(flow, 25, 30), 1700000, 1900000);
    assert_in_range(flow_rate_bps(flow, 32, 50), 1700000, 1900000);
    flows_free(flows);
}

static void test_a_token_bucket_does_not_deceive_for_long(void **state)
{
    (void)state;
    struct flows *flows = flows_new(25);
    struct network_pipe_config path = path_of(500000);
    path.burst_bytes = 8000;
    flows_set_path(flows, &path);
    // the second layer is too much for the path, but not for its bucket
    struct flow *flow =
        flows_add(flows, &(struct flow_config){ .best_bps = 1800000,
                                                .levels_bps = { 200000, 700000, 1800000 },
                                                .audio_bps = 32000 });
    uint32_t ups[4] = { 0 };
    for (int i = 0; i < 400; i++) {
        uint64_t before_bps = flow->sending_bps;
        flows_run(flows, time_from_ms(300));
        ups[i / 100] += flow->sending_bps > 200000 && before_bps <= 200000;
    }
    printf("token bucket of 8 KB: %u, %u, %u, %u times too much in half a minute each\n", ups[0],
           ups[1], ups[2], ups[3]);
    assert_in_range(ups[0], 0, 6);
    assert_in_range(ups[2] + ups[3], 0, 4);
    flows_free(flows);
}

static void test_sound_alone_changes_nothing(void **state)
{
    (void)state;
    struct flows *flows = flows_new(24);
    struct network_pipe_config path = path_of(3000000);
    flows_set_path(flows, &path);
    struct flow *flow = flows_add(flows, &(struct flow_config){ .audio_bps = 32000 });
    flows_run(flows, time_from_s(600));
    assert_in_range(bwe_bps(&flow->bwe), 500000, 700000);
    assert_int_equal(flow->bwe.history.mask + 1, BWE_HISTORY_MIN);
    assert_int_equal(flow->bwe.probe.id, 0);
    flows_free(flows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pause_keeps_the_estimate),
        cmocka_unit_test(test_layers_reach_the_best_and_stay),
        cmocka_unit_test(test_layers_follow_a_path_down_and_up),
        cmocka_unit_test(test_random_losses_do_not_bring_it_down),
        cmocka_unit_test(test_a_path_without_a_queue_is_found_by_its_losses),
        cmocka_unit_test(test_jitter_costs_little),
        cmocka_unit_test(test_lost_feedback_costs_little),
        cmocka_unit_test(test_a_full_way_back_costs_little),
        cmocka_unit_test(test_silence_brings_it_down_and_an_answer_up_again),
        cmocka_unit_test(test_longer_round_trips_in_the_midst_are_no_queue_for_long),
        cmocka_unit_test(test_a_token_bucket_does_not_deceive_for_long),
        cmocka_unit_test(test_sound_alone_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
