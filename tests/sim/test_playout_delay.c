// How long pictures are held back: the server tells a receiver until it knows, and no longer.
#include "sim/world.h"
#include "support/check.h"

static struct world *a_call(const struct rtc_playout_delay *delay)
{
    struct world *world = world_new(53);
    world_add_section(world_add_client(world, 0), RTC_KIND_VIDEO, true);
    struct world_client *viewer = world_add_client(world, 1);
    world_add_section(viewer, RTC_KIND_VIDEO, false);
    viewer->playout_delay = *delay;
    for (uint32_t i = 0; i < 2; i++)
        world_negotiate(&world->clients[i]);
    assert_true(world_connect(world, time_from_s(5)));
    world->clients[0].publishing = true;
    world_show(viewer, 0, &world->clients[0], 0);
    return world;
}

static void test_a_receiver_is_told_until_it_has_confirmed(void **state)
{
    (void)state;
    struct world *world = a_call(&(struct rtc_playout_delay){ true, 0, 0 });
    struct world_client *viewer = &world->clients[1];
    const struct world_received *video = &viewer->received[0];
    network_pipe_set(network_downlink(viewer->endpoint),
                     &(struct network_pipe_config){ .delay_us = 10000, .loss = 0.2 });
    network_run(world->net, time_from_s(5));
    assert_true(video->delays_told > 0);
    assert_int_equal(video->delay, 0);
    uint32_t told = video->delays_told;
    assert_true(told < video->packets);
    network_run(world->net, time_from_s(5));
    assert_int_equal(video->delays_told, told);
    // another delay with a later offer
    viewer->playout_delay = (struct rtc_playout_delay){ true, 200, 400 };
    world_negotiate(viewer);
    network_run(world->net, time_from_s(5));
    assert_true(video->delays_told > told);
    assert_int_equal(video->delay, 20 << 12 | 40);
    told = video->delays_told;
    network_run(world->net, time_from_s(2));
    assert_int_equal(video->delays_told, told);
    world_free(world);
}

static void test_nothing_is_told_when_the_receiver_may_choose(void **state)
{
    (void)state;
    struct world *world = a_call(&(struct rtc_playout_delay){ .set = false });
    network_run(world->net, time_from_s(3));
    assert_true(world->clients[1].received[0].packets > 200);
    assert_int_equal(world->clients[1].received[0].delays_told, 0);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_receiver_is_told_until_it_has_confirmed),
        cmocka_unit_test(test_nothing_is_told_when_the_receiver_may_choose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
