// Redundant audio (RED): passed on, taken out, added, and losses mended by it.
#include "sim/world.h"
#include "support/check.h"

/** One who speaks, and two who listen: the first takes RED, the second does not. */
static struct world *a_call(bool sends_red)
{
    struct world *world = world_new(47);
    struct world_client *speaker = world_add_client(world, 0);
    world_add_section(speaker, RTC_KIND_AUDIO, true);
    speaker->sections[0].red = true;
    speaker->sends_red = sends_red;
    for (uint16_t i = 0; i < 2; i++) {
        struct world_client *listener = world_add_client(world, i);
        world_add_section(listener, RTC_KIND_AUDIO, false);
        listener->sections[0].red = i == 0;
    }
    for (uint32_t i = 0; i < world->client_count; i++)
        world_negotiate(&world->clients[i]);
    assert_true(world_connect(world, time_from_s(5)));
    speaker->publishing = true;
    for (uint32_t i = 1; i < 3; i++)
        world_show(&world->clients[i], 0, speaker, 0);
    return world;
}

static uint32_t missing(const struct world_received *sound)
{
    return (uint32_t)(sound->newest - sound->oldest + 1) - sound->distinct;
}

static void lose(struct network_pipe *pipe, double loss)
{
    network_pipe_set(pipe, &(struct network_pipe_config){ .delay_us = 10000, .loss = loss });
}

static uint64_t recovered(const struct rtc_thread *thread)
{
    return metric_get(&thread->counters.values[RTC_METRIC_RTP_RECOVERED]);
}

static void test_who_loses_packets_gets_them_twice_when_it_can_take_it(void **state)
{
    (void)state;
    struct world *world = a_call(false);
    const struct world_received *with = &world->clients[1].received[0];
    const struct world_received *without = &world->clients[2].received[0];
    network_run(world->net, time_from_s(3));
    assert_int_equal(missing(with), 0);
    for (uint32_t i = 1; i < 3; i++)
        lose(network_downlink(world->clients[i].endpoint), 0.15);
    // the first reports of losses come
    network_run(world->net, time_from_s(8));
    uint32_t before = missing(with), plain_before = missing(without);
    network_run(world->net, time_from_s(60));
    assert_true(missing(without) - plain_before > 150);
    // of two repetitions both must be lost, too: one in three hundred
    assert_in_range(missing(with) - before, 0, 20);
    assert_true(recovered(&world->clients[1].thread) > 150);
    assert_int_equal(recovered(&world->clients[2].thread), 0);
    // and without losses, the repetitions end
    for (uint32_t i = 1; i < 3; i++)
        lose(network_downlink(world->clients[i].endpoint), 0);
    network_run(world->net, time_from_s(40));
    before = missing(with);
    uint64_t recovered_before = recovered(&world->clients[1].thread);
    lose(network_downlink(world->clients[1].endpoint), 0.5);
    network_run(world->net, time_from_ms(500));
    assert_true(missing(with) > before);
    assert_int_equal(recovered(&world->clients[1].thread), recovered_before);
    world_free(world);
}

static void test_what_a_speaker_repeats_mends_its_losses_for_all(void **state)
{
    (void)state;
    struct world *world = a_call(true);
    network_run(world->net, time_from_s(1));
    lose(network_uplink(world->clients[0].endpoint), 0.1);
    network_run(world->net, time_from_s(60));
    lose(network_uplink(world->clients[0].endpoint), 0);
    network_run(world->net, time_from_s(1));
    for (uint32_t i = 1; i < 3; i++) {
        const struct world_received *sound = &world->clients[i].received[0];
        assert_in_range(missing(sound), 0, 8);
        assert_true(sound->distinct > 1750);
        assert_int_equal(sound->packets, sound->distinct);
    }
    assert_true(recovered(&world->workers[0].thread) > 100);
    world_free(world);
}

static void test_red_of_a_speaker_is_passed_on(void **state)
{
    (void)state;
    struct world *world = a_call(true);
    network_run(world->net, time_from_s(2));
    lose(network_downlink(world->clients[1].endpoint), 0.1);
    // at once, before any report
    network_run(world->net, time_from_ms(900));
    assert_int_equal(missing(&world->clients[1].received[0]), 0);
    assert_true(recovered(&world->clients[1].thread) > 0);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_loses_packets_gets_them_twice_when_it_can_take_it),
        cmocka_unit_test(test_what_a_speaker_repeats_mends_its_losses_for_all),
        cmocka_unit_test(test_red_of_a_speaker_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
