// Paths that may carry more than is sent are found out by packets that are sent for that alone.
#include "room/exchange_int.h"
#include "rtc/peer_int.h"
#include "sim/world.h"
#include "support/check.h"

#define VIDEO 0
#define AUDIO 1

/** A publisher of three layers and sound, and a subscriber whose path carries `link_bps`. */
static struct world *a_call(uint64_t link_bps, bool remb_only)
{
    struct world *world = world_new(67);
    world->remb_only = remb_only;
    struct world_client *publisher = world_add_client(world, 0);
    struct world_client *subscriber = world_add_client(world, 1);
    world_add_simulcast(publisher);
    world_add_section(publisher, RTC_KIND_AUDIO, true);
    world_add_section(subscriber, RTC_KIND_VIDEO, false);
    world_add_section(subscriber, RTC_KIND_AUDIO, false);
    world_negotiate(publisher);
    world_negotiate(subscriber);
    assert_true(world_connect(world, time_from_s(5)));
    publisher->publishing = true;
    network_run(world->net, time_from_s(1));
    network_pipe_set(network_downlink(subscriber->endpoint),
                     &(struct network_pipe_config){ .delay_us = 20000, .bandwidth_bps = link_bps });
    world_show(subscriber, VIDEO, publisher, 0);
    world_show(subscriber, AUDIO, publisher, 1);
    return world;
}

static uint64_t probe_packets(const struct world *world)
{
    const struct room_metrics *metrics = exchange_metrics(world->workers[1].exchange);
    return metric_get(&metrics->values[ROOM_METRIC_PROBE_PACKETS]);
}

static uint64_t padding_packets(const struct world *world)
{
    return metric_get(&world->workers[1].thread.counters.values[RTC_METRIC_PADDING_SENT]);
}

static void expect_seamless(const struct world_received *received)
{
    assert_int_equal(received->packets, received->distinct);
    assert_int_equal(received->distinct, received->newest - received->oldest + 1);
}

static bool sees_the_best_layer(void *owner)
{
    const struct world_received *video = owner;
    return video->layer == WORLD_LAYERS - 1;
}

static void test_a_wide_path_is_found_out_by_repeating_what_was_sent(void **state)
{
    (void)state;
    struct world *world = a_call(400000, false);
    struct world_client *subscriber = &world->clients[1];
    struct world_received *video = &subscriber->received[VIDEO];
    network_run(world->net, time_from_s(10));
    assert_in_range(video->layer, 0, 1);
    uint64_t before = probe_packets(world);
    uint32_t repeated = video->repeated;
    network_pipe_set(network_downlink(subscriber->endpoint),
                     &(struct network_pipe_config){ .delay_us = 20000, .bandwidth_bps = 10000000 });
    assert_true(network_run_until(world->net, time_from_s(8), sees_the_best_layer, video));
    assert_true(probe_packets(world) > before + 10);
    assert_true(video->repeated > repeated);
    // and once everything that is wanted is sent, nothing more is asked
    network_run(world->net, time_from_s(5));
    before = probe_packets(world);
    network_run(world->net, time_from_s(10));
    assert_int_equal(probe_packets(world), before);
    world_free(world);
}

static void test_a_joiner_on_a_wide_path_has_the_best_layer_soon(void **state)
{
    (void)state;
    struct world *world = a_call(10000000, false);
    struct world_received *video = &world->clients[1].received[VIDEO];
    assert_true(network_run_until(world->net, time_from_s(3), sees_the_best_layer, video));
    for (int i = 0; i < 40; i++) {
        network_run(world->net, time_from_ms(100));
        assert_int_equal(video->layer, WORLD_LAYERS - 1);
    }
    expect_seamless(video);
    expect_seamless(&world->clients[1].received[AUDIO]);
    world_free(world);
}

static void test_padding_alone_tells_when_there_is_nothing_to_repeat(void **state)
{
    (void)state;
    // sound fits, no picture does
    struct world *world = a_call(90000, false);
    struct world_client *subscriber = &world->clients[1];
    struct world_received *video = &subscriber->received[VIDEO];
    network_run(world->net, time_from_s(20));
    // the next that comes is news
    video->layer = 0;
    uint64_t padding = padding_packets(world);
    network_pipe_set(network_downlink(subscriber->endpoint),
                     &(struct network_pipe_config){ .delay_us = 20000, .bandwidth_bps = 10000000 });
    assert_true(network_run_until(world->net, time_from_s(40), sees_the_best_layer, video));
    assert_true(padding_packets(world) > padding);
    network_run(world->net, time_from_s(1));
    assert_in_range(world->clients[0].frame - video->last_frame, 0, 3);
    world_free(world);
}

/** A probe leaves alone what repairs of lost packets need: then it is made of padding. */
static void test_probes_do_not_take_what_repairs_need(void **state)
{
    (void)state;
    struct world *world = a_call(400000, false);
    struct world_client *subscriber = &world->clients[1];
    struct world_received *video = &subscriber->received[VIDEO];
    struct subscription *subscription =
        exchange_find_peer(world->workers[1].exchange, subscriber->session)->subscriptions[VIDEO];
    network_run(world->net, time_from_s(10));
    uint32_t repeated = video->repeated;
    uint64_t padding = padding_packets(world);
    network_pipe_set(network_downlink(subscriber->endpoint),
                     &(struct network_pipe_config){ .delay_us = 20000, .bandwidth_bps = 10000000 });
    for (int i = 0; i < 1600 && !sees_the_best_layer(video); i++) {
        subscription->repairs_left = SUBSCRIPTION_REPAIRS / 2;
        network_run(world->net, time_from_ms(5));
    }
    assert_true(sees_the_best_layer(video));
    assert_int_equal(video->repeated, repeated);
    assert_true(padding_packets(world) > padding);
    world_free(world);
}

static void test_receivers_that_give_no_feedback_are_left_alone(void **state)
{
    (void)state;
    struct world *world = a_call(10000000, true);
    network_run(world->net, time_from_s(5));
    assert_int_equal(probe_packets(world), 0);
    assert_int_equal(padding_packets(world), 0);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wide_path_is_found_out_by_repeating_what_was_sent),
        cmocka_unit_test(test_a_joiner_on_a_wide_path_has_the_best_layer_soon),
        cmocka_unit_test(test_padding_alone_tells_when_there_is_nothing_to_repeat),
        cmocka_unit_test(test_probes_do_not_take_what_repairs_need),
        cmocka_unit_test(test_receivers_that_give_no_feedback_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
