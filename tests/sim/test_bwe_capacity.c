// One flow on a path whose capacity changes (RFC 8867, 5.1), and a path that is narrow from the
// start. Rates of the bottleneck count IP packets; those of flows do not: 2 % and more are headers.
#include <stdio.h>

#include "sim/flow.h"
#include "support/check.h"

static struct network_pipe_config path_of(uint64_t bps)
{
    return (struct network_pipe_config){
        .bandwidth_bps = bps,
        .delay_us = 50000,
        .queue_bytes = (uint32_t)(bps * 300 / 1000 / 8), // 300 ms, as the RFC has it
    };
}

static void test_capacity_steps_of_rfc_8867_are_followed(void **state)
{
    (void)state;
    static const struct {
        double from_s, to_s;
        uint64_t bps;
        uint32_t settled_ms; /**< at most */
    } steps[] = {
        { 0, 40, 1000000, 1000 },
        { 40, 60, 2500000, 5000 },
        { 60, 80, 600000, 1000 },
        { 80, 100, 1000000, 8000 },
    };
    struct flows *flows = flows_new(1);
    struct flow *flow = flows_add(flows, &(struct flow_config){ .best_bps = 4000000 });
    for (size_t i = 0; i < array_size(steps); i++) {
        struct network_pipe_config path = path_of(steps[i].bps);
        flows_set_path(flows, &path);
        flows_run(flows, (uint64_t)((steps[i].to_s - steps[i].from_s) * 1e6));
    }
    for (size_t i = 0; i < array_size(steps); i++) {
        uint64_t bps = steps[i].bps;
        uint32_t ms = flow_settled_ms(flow, steps[i].from_s, bps * 7 / 10, bps * 105 / 100);
        uint64_t rate = flow_rate_bps(flow, steps[i].from_s + 10, steps[i].to_s);
        uint32_t queue = flow_queue_ms(flow, steps[i].from_s + 5, steps[i].to_s, 95);
        printf("%llu kbit/s: settled after %u ms, %llu %% used, queue p95 %u ms\n",
               (unsigned long long)bps / 1000, ms, (unsigned long long)(rate * 100 / bps), queue);
        assert_in_range(ms, 0, steps[i].settled_ms);
        assert_in_range(rate * 100 / bps, 75, 98);
        assert_in_range(queue, 0, 90);
    }
    printf("lost %.2f %%\n", flow_loss(flow) * 100);
    assert_true(flow_loss(flow) < 0.02);
    assert_int_equal(flow->bad_feedback, 0);
    flows_free(flows);
}

/** Starts on a path of `bps` with a queue of 1 s; layers as a simulcast publisher has them. */
static void start_on(uint64_t bps, uint64_t expected_bps, uint32_t within_ms)
{
    struct flows *flows = flows_new(7);
    struct network_pipe_config path = path_of(bps);
    path.queue_bytes = (uint32_t)(bps / 8);
    flows_set_path(flows, &path);
    struct flow *flow =
        flows_add(flows, &(struct flow_config){ .best_bps = 1800000,
                                                .levels_bps = { 60000, 250000, 600000, 1800000 },
                                                .audio_bps = 32000 });
    flows_run(flows, time_from_s(20));
    uint32_t ms = flow_settled_ms(flow, 0, expected_bps * 8 / 10, expected_bps * 13 / 10);
    uint32_t first = flow_queue_ms(flow, 0, 2, 100);
    uint32_t later = flow_queue_ms(flow, 5, 20, 95);
    printf("start on %llu kbit/s: %llu kbit/s of layers after %u ms, queue at most %u ms, then "
           "p95 %u ms\n",
           (unsigned long long)bps / 1000, (unsigned long long)expected_bps / 1000, ms, first,
           later);
    assert_in_range(ms, 0, within_ms);
    assert_in_range(first, 0, 800);
    assert_in_range(later, 0, 100);
    flows_free(flows);
}

static void test_a_wide_path_gives_the_best_layer_soon(void **state)
{
    (void)state;
    start_on(10000000, 1800000, 1000);
}

static void test_a_narrow_path_is_found_out_before_its_queue_is_long(void **state)
{
    (void)state;
    start_on(500000, 282000, 3000);
    start_on(160000, 92000, 7000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capacity_steps_of_rfc_8867_are_followed),
        cmocka_unit_test(test_a_wide_path_gives_the_best_layer_soon),
        cmocka_unit_test(test_a_narrow_path_is_found_out_before_its_queue_is_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
