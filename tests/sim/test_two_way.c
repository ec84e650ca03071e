// A call of two through the server: each side sends and receives in the same sections, and the
// callee answers what the server offers it.
#include "rtc/peer_int.h"
#include "sim/world.h"
#include "support/check.h"

enum { AUDIO, VIDEO };

static void join(struct world *world, uint16_t section)
{
    world_show(&world->clients[1], section, &world->clients[0], section);
    world_show(&world->clients[0], section, &world->clients[1], section);
}

/** Caller and callee, sound alone or with pictures, over a path that loses. */
static struct world *call(uint16_t caller_worker, uint16_t callee_worker, bool video, double loss)
{
    struct world *world = world_new(11);
    struct world_client *caller = world_add_client(world, caller_worker);
    struct world_client *callee = world_add_client(world, callee_worker);
    for (uint32_t i = 0; i < 2; i++) {
        world_add_two_way(&world->clients[i], RTC_KIND_AUDIO);
        if (video)
            world_add_two_way(&world->clients[i], RTC_KIND_VIDEO);
        world->clients[i].publishing = true;
    }
    world_negotiate(caller);
    world_negotiate_callee(callee, caller);
    struct network_pipe_config config = { .loss = loss, .delay_us = 15000 };
    for (uint32_t i = 0; i < 2; i++) {
        network_pipe_set(network_uplink(world->clients[i].endpoint), &config);
        network_pipe_set(network_downlink(world->clients[i].endpoint), &config);
    }
    assert_true(world_connect(world, time_from_s(20)));
    join(world, AUDIO);
    if (video)
        join(world, VIDEO);
    return world;
}

static void check_heard(const struct world_client *client, const struct world_client *other,
                        uint16_t section)
{
    const struct world_received *received = &client->received[section];
    assert_true(received->frames > 50);
    assert_int_equal(received->publisher, other->name);
    if (section == VIDEO)
        assert_true(received->key_frames >= 1);
}

static void check_both_ways(uint16_t caller_worker, uint16_t callee_worker, double loss)
{
    struct world *world = call(caller_worker, callee_worker, true, loss);
    network_run(world->net, time_from_s(3));
    for (uint32_t i = 0; i < 2; i++) {
        for (uint16_t section = AUDIO; section <= VIDEO; section++) {
            check_heard(&world->clients[i], &world->clients[1 - i], section);
            const struct world_received *received = &world->clients[i].received[section];
            if (loss == 0)
                assert_int_equal(received->distinct, received->newest - received->oldest + 1);
        }
        // losses are mended, and what the path carries is known, in both directions
        const struct world_received *video = &world->clients[i].received[VIDEO];
        uint64_t expected = video->newest - video->oldest + 1;
        assert_true(video->distinct * 100 >= expected * 98);
        assert_true(rtc_peer_bandwidth_bps(world->clients[i].server_peer) > 0);
        assert_non_null(world->clients[i].server_peer->bwe);
    }
    world_free(world);
}

static void test_both_hear_and_see_each_other(void **state)
{
    (void)state;
    check_both_ways(0, 0, 0);
}

static void test_both_ways_across_workers_with_losses(void **state)
{
    (void)state;
    check_both_ways(0, 1, 0.05);
}

static void test_hold_stops_one_direction_and_gives_it_back(void **state)
{
    (void)state;
    struct world *world = call(0, 0, true, 0);
    struct world_client *caller = &world->clients[0], *callee = &world->clients[1];
    network_run(world->net, time_from_s(2));
    // the callee holds: it takes nothing, and sends nothing
    callee->sections[VIDEO].inactive = callee->sections[AUDIO].inactive = true;
    world_negotiate(callee);
    network_run(world->net, time_from_ms(200));
    uint32_t heard_by_callee = callee->received[AUDIO].packets;
    uint32_t heard_by_caller = caller->received[AUDIO].packets;
    network_run(world->net, time_from_s(1));
    assert_int_equal(callee->received[AUDIO].packets, heard_by_callee);
    assert_int_equal(caller->received[AUDIO].packets, heard_by_caller);
    callee->sections[VIDEO].inactive = callee->sections[AUDIO].inactive = false;
    world_negotiate(callee);
    join(world, AUDIO);
    join(world, VIDEO);
    uint32_t pictures = callee->received[VIDEO].key_frames;
    network_run(world->net, time_from_s(2));
    assert_true(callee->received[AUDIO].packets > heard_by_callee + 40);
    assert_true(caller->received[AUDIO].packets > heard_by_caller + 40);
    assert_true(callee->received[VIDEO].key_frames > pictures);
    world_free(world);
}

static void test_a_picture_is_added_by_the_servers_offer(void **state)
{
    (void)state;
    struct world *world = call(0, 0, false, 0);
    struct world_client *caller = &world->clients[0], *callee = &world->clients[1];
    network_run(world->net, time_from_s(1));
    world_add_two_way(caller, RTC_KIND_VIDEO);
    world_negotiate(caller);
    world_add_two_way(callee, RTC_KIND_VIDEO);
    world_negotiate_callee(callee, caller);
    join(world, VIDEO);
    network_run(world->net, time_from_s(3));
    for (uint32_t i = 0; i < 2; i++) {
        check_heard(&world->clients[i], &world->clients[1 - i], AUDIO);
        check_heard(&world->clients[i], &world->clients[1 - i], VIDEO);
        assert_false(world->clients[i].failed);
    }
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_hear_and_see_each_other),
        cmocka_unit_test(test_both_ways_across_workers_with_losses),
        cmocka_unit_test(test_hold_stops_one_direction_and_gives_it_back),
        cmocka_unit_test(test_a_picture_is_added_by_the_servers_offer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
