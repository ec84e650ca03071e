// Flows that share a bottleneck: among themselves, with other round trips, with TCP
// (RFC 8867, 5.2 and 5.4 to 5.7).
#include <stdio.h>

#include "sim/flow.h"
#include "support/check.h"

static struct network_pipe_config path_of(uint64_t bps)
{
    return (struct network_pipe_config){
        .bandwidth_bps = bps,
        .delay_us = 10000,
        .queue_bytes = (uint32_t)(bps * 300 / 1000 / 8),
    };
}

/** Jain's index: 1 when all have the same. */
static double fairness(struct flow *const *flows, size_t count, double from_s, double to_s)
{
    double sum = 0;
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        double rate = (double)flow_rate_bps(flows[i], from_s, to_s);
        sum += rate;
        squares += rate * rate;
    }
    return sum * sum / ((double)count * squares);
}

static void test_three_flows_share_alike(void **state)
{
    (void)state;
    struct flows *flows = flows_new(2);
    struct network_pipe_config path = path_of(3500000);
    flows_set_path(flows, &path);
    struct flow *flow[3];
    for (size_t i = 0; i < 3; i++)
        flow[i] = flows_add(flows, &(struct flow_config){ .best_bps = 4000000,
                                                          .delay_us = 40000,
                                                          .start_us = i * 20 * TIME_US_PER_S });
    flows_run(flows, time_from_s(120));
    double index = fairness(flow, 3, 60, 120);
    uint64_t sum = 0;
    for (size_t i = 0; i < 3; i++)
        sum += flow_rate_bps(flow[i], 60, 120);
    printf("three flows: fairness %.3f, %llu %% used, queue p95 %u ms\n", index,
           (unsigned long long)(sum * 100 / 3500000), flow_queue_ms(flow[0], 60, 120, 95));
    assert_true(index > 0.85);
    assert_in_range(sum * 100 / 3500000, 75, 98);
    assert_in_range(flow_queue_ms(flow[0], 60, 120, 95), 0, 120);
    flows_free(flows);
}

static void test_longer_round_trips_do_not_starve(void **state)
{
    (void)state;
    struct flows *flows = flows_new(3);
    struct network_pipe_config path = path_of(4000000);
    flows_set_path(flows, &path);
    static const uint64_t delays_ms[] = { 0, 15, 40, 65, 90 }; // RFC: 10 to 100 ms one way
    struct flow *flow[5];
    for (size_t i = 0; i < 5; i++)
        flow[i] = flows_add(flows, &(struct flow_config){ .best_bps = 4000000,
                                                          .delay_us = delays_ms[i] * 1000,
                                                          .start_us = i * 10 * TIME_US_PER_S });
    flows_run(flows, time_from_s(120));
    double index = fairness(flow, 5, 60, 120);
    printf("round trips 20 to 200 ms: fairness %.3f\n", index);
    assert_true(index > 0.55);
    for (size_t i = 0; i < 5; i++)
        assert_in_range(flow_rate_bps(flow[i], 60, 120), 80000, 2000000);
    flows_free(flows);
}

static void test_a_long_tcp_transfer_does_not_starve_media(void **state)
{
    (void)state;
    struct flows *flows = flows_new(4);
    struct network_pipe_config path = path_of(2000000);
    flows_set_path(flows, &path);
    struct flow *media = flows_add(
        flows, &(struct flow_config){ .best_bps = 2000000, .delay_us = 40000, .audio_bps = 40000 });
    struct flow *tcp =
        flows_add(flows, &(struct flow_config){
                             .kind = FLOW_TCP, .delay_us = 40000, .start_us = 20 * TIME_US_PER_S });
    flows_run(flows, time_from_s(120));
    uint64_t rate = flow_rate_bps(media, 40, 120);
    printf("beside TCP: media %llu kbit/s, TCP %llu kbit/s, queue p95 %u ms\n",
           (unsigned long long)rate / 1000, (unsigned long long)flow_rate_bps(tcp, 40, 120) / 1000,
           flow_queue_ms(media, 40, 120, 95));
    assert_in_range(rate, 250000, 1500000);
    flows_free(flows);
}

static void test_short_tcp_transfers_leave_media_its_rate(void **state)
{
    (void)state;
    struct flows *flows = flows_new(5);
    struct network_pipe_config path = path_of(2000000);
    flows_set_path(flows, &path);
    struct flow *media = flows_add(
        flows, &(struct flow_config){ .best_bps = 2000000, .delay_us = 40000, .audio_bps = 40000 });
    for (uint64_t i = 0; i < 7; i++)
        flows_add(flows, &(struct flow_config){ .kind = FLOW_TCP,
                                                .delay_us = 40000,
                                                .transfer_bytes = 100000 + i * 50000,
                                                .start_us = (20 + 10 * i) * TIME_US_PER_S });
    flows_run(flows, time_from_s(100));
    printf("beside short transfers: media %llu kbit/s, queue p95 %u ms\n",
           (unsigned long long)flow_rate_bps(media, 20, 90) / 1000,
           flow_queue_ms(media, 20, 90, 95));
    assert_in_range(flow_rate_bps(media, 20, 90), 1000000, 1900000);
    flows_free(flows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_flows_share_alike),
        cmocka_unit_test(test_longer_round_trips_do_not_starve),
        cmocka_unit_test(test_a_long_tcp_transfer_does_not_starve_media),
        cmocka_unit_test(test_short_tcp_transfers_leave_media_its_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
