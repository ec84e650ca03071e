#include "rtc/peer_int.h"
#include "sim/world.h"
#include "support/check.h"

static void lossy(struct world *world, struct world_client *client, double loss)
{
    (void)world;
    struct network_pipe_config config = {
        .loss = loss,
        .reorder = loss,
        .reorder_us = 8000,
        .duplicate = loss,
        .delay_us = 20000,
        .jitter_us = 3000,
    };
    network_pipe_set(network_uplink(client->endpoint), &config);
    network_pipe_set(network_downlink(client->endpoint), &config);
}

/** A publisher of sound and picture and a subscriber with a slot for each. */
static struct world *a_call(uint16_t publisher_worker, uint16_t subscriber_worker, double loss)
{
    struct world *world = world_new(7);
    struct world_client *publisher = world_add_client(world, publisher_worker);
    struct world_client *subscriber = world_add_client(world, subscriber_worker);
    world_add_section(publisher, RTC_KIND_AUDIO, true);
    world_add_section(publisher, RTC_KIND_VIDEO, true);
    world_add_section(subscriber, RTC_KIND_AUDIO, false);
    world_add_section(subscriber, RTC_KIND_VIDEO, false);
    world_negotiate(publisher);
    world_negotiate(subscriber);
    lossy(world, publisher, loss);
    lossy(world, subscriber, loss);
    assert_true(world_connect(world, time_from_s(20)));
    return world;
}

static void show_both(struct world *world)
{
    world_show(&world->clients[1], 0, &world->clients[0], 0);
    world_show(&world->clients[1], 1, &world->clients[0], 1);
}

static void test_a_call_connects_within_a_quarter_second(void **state)
{
    (void)state;
    struct world *world = world_new(1);
    struct world_client *client = world_add_client(world, 0);
    world_add_section(client, RTC_KIND_VIDEO, true);
    world_negotiate(client);
    struct network_pipe_config config = { .delay_us = 10000 };
    network_pipe_set(network_uplink(client->endpoint), &config);
    network_pipe_set(network_downlink(client->endpoint), &config);
    assert_true(world_connect(world, time_from_ms(250)));
    world_free(world);
}

static void test_a_call_connects_through_heavy_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = world_new(seed);
        struct world_client *client = world_add_client(world, 0);
        world_add_section(client, RTC_KIND_AUDIO, true);
        world_negotiate(client);
        lossy(world, client, 0.2);
        assert_true(world_connect(world, time_from_s(30)));
        world_free(world);
    }
}

/** As ffmpeg publishes: it waits for the ClientHello. */
static void test_a_client_that_leaves_dtls_to_the_server_connects(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world *world = world_new(seed);
        struct world_client *client = world_add_client(world, 0);
        client->offer.passive = true;
        world_add_section(client, RTC_KIND_VIDEO, true);
        world_negotiate(client);
        assert_true(rtc_negotiation_result(client->negotiation)->starts_dtls);
        lossy(world, client, 0.2);
        assert_true(world_connect(world, time_from_s(30)));
        client->publishing = true;
        network_run(world->net, time_from_s(1));
        assert_int_equal(world->live_events, 1);
        world_free(world);
    }
}

static void check_media(uint16_t publisher_worker, uint16_t subscriber_worker)
{
    struct world *world = a_call(publisher_worker, subscriber_worker, 0);
    struct world_client *publisher = &world->clients[0];
    struct world_client *subscriber = &world->clients[1];
    publisher->publishing = true;
    network_run(world->net, time_from_ms(500));
    show_both(world);
    network_run(world->net, time_from_s(3));
    struct world_received *video = &subscriber->received[1];
    struct world_received *audio = &subscriber->received[0];
    // three seconds, and what was there since the key frame
    assert_in_range(video->frames, 85, 107);
    assert_int_equal(video->publisher, publisher->name);
    assert_int_equal(audio->publisher, publisher->name);
    assert_in_range(audio->packets, 85, 92);
    // nothing lost, nothing twice, and the first picture is a whole one
    assert_int_equal(video->packets, video->newest - video->oldest + 1);
    assert_int_equal(video->packets, video->distinct);
    assert_true(video->key_frames >= 1);
    assert_int_equal(world->live_events, 2);
    world_free(world);
}

static void test_media_is_forwarded_on_one_worker(void **state)
{
    (void)state;
    check_media(0, 0);
}

static void test_media_crosses_workers(void **state)
{
    (void)state;
    check_media(0, 1);
}

static void test_a_late_joiner_gets_a_picture_within_half_a_second(void **state)
{
    (void)state;
    struct world *world = a_call(0, 1, 0);
    world->clients[0].publishing = true;
    network_run(world->net, time_from_ms(2300)); // in the middle between key frames
    show_both(world);
    network_run(world->net, time_from_ms(500));
    assert_true(world->clients[1].received[1].key_frames >= 1);
    assert_true(world->clients[1].received[1].frames >= 8);
    world_free(world);
}

static void test_losses_on_both_hops_are_repaired(void **state)
{
    (void)state;
    struct world *world = a_call(0, 1, 0.05);
    struct world_client *publisher = &world->clients[0];
    struct world_client *subscriber = &world->clients[1];
    publisher->publishing = true;
    network_run(world->net, time_from_ms(300));
    show_both(world);
    network_run(world->net, time_from_s(10));
    publisher->publishing = false;
    network_run(world->net, time_from_s(1));
    struct world_received *video = &subscriber->received[1];
    uint64_t sent = video->newest - video->oldest + 1;
    assert_true(sent > 1000);
    // twice five percent would be missing; repaired, at most a few in a thousand are
    assert_true(sent - video->distinct <= sent / 200);
    world_free(world);
}

static void test_a_key_frame_mends_what_repair_cannot(void **state)
{
    (void)state;
    struct world *world = a_call(0, 0, 0);
    struct world_client *publisher = &world->clients[0];
    struct world_client *subscriber = &world->clients[1];
    publisher->publishing = true;
    network_run(world->net, time_from_ms(300));
    show_both(world);
    network_run(world->net, time_from_s(2));
    uint32_t asked_before = publisher->key_frames_asked;
    network_pipe_cut(network_uplink(publisher->endpoint), true);
    network_run(world->net, time_from_s(3));
    network_pipe_cut(network_uplink(publisher->endpoint), false);
    uint32_t frames_before = subscriber->received[1].frames;
    network_run(world->net, time_from_s(2));
    assert_true(publisher->key_frames_asked > asked_before);
    assert_true(subscriber->received[1].frames > frames_before + 40);
    world_free(world);
}

static void test_media_goes_on_over_an_ice_restart(void **state)
{
    (void)state;
    struct world *world = a_call(0, 1, 0);
    struct world_client *publisher = &world->clients[0];
    struct world_client *subscriber = &world->clients[1];
    publisher->publishing = true;
    show_both(world);
    network_run(world->net, time_from_s(2));
    world_restart_ice(publisher);
    world_restart_ice(subscriber);
    network_run(world->net, time_from_s(3));
    struct world_received *video = &subscriber->received[1];
    assert_int_equal(video->distinct, video->newest - video->oldest + 1);
    assert_true(video->frames > 120);
    world_free(world);
}

/** A client comes from another address, as from Wi-Fi to a mobile network; it checks at once. */
static void test_a_client_that_changes_networks_misses_less_than_200_ms(void **state)
{
    (void)state;
    struct world *world = a_call(0, 1, 0);
    struct world_client *subscriber = &world->clients[1];
    world->clients[0].publishing = true;
    show_both(world);
    network_run(world->net, time_from_s(2));
    struct net_address outside = subscriber->address;
    outside.port = 6000;
    network_translate(subscriber->endpoint, &subscriber->address, &outside);
    world_restart_ice(subscriber);
    const struct world_received *video = &subscriber->received[1];
    uint32_t packets = video->packets;
    uint64_t silent_us = 0, longest_us = 0;
    for (int i = 0; i < 300; i++) {
        network_run(world->net, time_from_ms(10));
        silent_us = video->packets == packets ? silent_us + time_from_ms(10) : 0;
        longest_us = max_of(longest_us, silent_us);
        packets = video->packets;
    }
    assert_true(longest_us < time_from_ms(200));
    struct net_path path;
    assert_true(ice_lite_path(&subscriber->server_peer->ice, &path));
    assert_true(net_address_equal(&path.remote, &outside));
    assert_false(subscriber->server_disconnected);
    world_free(world);
}

static void test_a_slot_changes_tracks_without_a_seam(void **state)
{
    (void)state;
    struct world *world = a_call(0, 1, 0);
    struct world_client *other = world_add_client(world, 0);
    world_add_section(other, RTC_KIND_VIDEO, true);
    world_negotiate(other);
    assert_true(world_connect(world, time_from_s(5)));
    struct world_client *subscriber = &world->clients[1];
    world->clients[0].publishing = true;
    other->publishing = true;
    show_both(world);
    network_run(world->net, time_from_s(2));
    struct world_received *video = &subscriber->received[1];
    assert_int_equal(video->publisher, world->clients[0].name);
    world_show(subscriber, 1, other, 0);
    network_run(world->net, time_from_s(2));
    assert_int_equal(video->publisher, other->name);
    // one stream to the receiver: no gap, no repetition
    assert_int_equal(video->distinct, video->newest - video->oldest + 1);
    assert_int_equal(video->packets, video->distinct);
    world_free(world);
}

static void test_more_sections_come_with_a_later_offer(void **state)
{
    (void)state;
    struct world *world = a_call(0, 0, 0);
    struct world_client *publisher = &world->clients[0];
    struct world_client *subscriber = &world->clients[1];
    publisher->publishing = true;
    uint16_t slot = world_add_section(subscriber, RTC_KIND_VIDEO, false);
    world_negotiate(subscriber);
    world_show(subscriber, slot, publisher, 1);
    network_run(world->net, time_from_s(1));
    assert_true(subscriber->received[slot].frames > 20);
    assert_int_equal(subscriber->received[slot].publisher, publisher->name);
    world_free(world);
}

static void test_a_vanished_client_is_noticed(void **state)
{
    (void)state;
    struct world *world = a_call(0, 0, 0);
    network_pipe_cut(network_uplink(world->clients[1].endpoint), true);
    network_run(world->net, time_from_s(40));
    assert_true(world->clients[1].server_disconnected);
    assert_false(world->clients[0].server_disconnected);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_client_that_leaves_dtls_to_the_server_connects),
        cmocka_unit_test(test_a_call_connects_within_a_quarter_second),
        cmocka_unit_test(test_a_call_connects_through_heavy_loss),
        cmocka_unit_test(test_media_is_forwarded_on_one_worker),
        cmocka_unit_test(test_media_crosses_workers),
        cmocka_unit_test(test_a_late_joiner_gets_a_picture_within_half_a_second),
        cmocka_unit_test(test_losses_on_both_hops_are_repaired),
        cmocka_unit_test(test_a_key_frame_mends_what_repair_cannot),
        cmocka_unit_test(test_media_goes_on_over_an_ice_restart),
        cmocka_unit_test(test_a_client_that_changes_networks_misses_less_than_200_ms),
        cmocka_unit_test(test_a_slot_changes_tracks_without_a_seam),
        cmocka_unit_test(test_more_sections_come_with_a_later_offer),
        cmocka_unit_test(test_a_vanished_client_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
