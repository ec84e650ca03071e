// Joiners begin with the packets since the last key frame, and publishers are left in peace.
#include "proto/rtp/rtcp.h"
#include "sim/world.h"
#include "support/check.h"

#define FRAME_TICKS 3000u

static uint64_t counted(struct world *world, enum room_metric metric)
{
    uint64_t sum = 0;
    for (int i = 0; i < WORLD_WORKERS; i++)
        sum += metric_get(&exchange_metrics(world->workers[i].exchange)->values[metric]);
    return sum;
}

/** A publisher on worker 0 that one client there watches, and two who may join on `worker`. */
static struct world *a_room(uint16_t worker)
{
    struct world *world = world_new(41);
    world_add_section(world_add_client(world, 0), RTC_KIND_VIDEO, true);
    world_add_section(world_add_client(world, 0), RTC_KIND_VIDEO, false);
    world_add_section(world_add_client(world, worker), RTC_KIND_VIDEO, false);
    world_add_section(world_add_client(world, worker), RTC_KIND_VIDEO, false);
    for (uint32_t i = 0; i < world->client_count; i++)
        world_negotiate(&world->clients[i]);
    assert_true(world_connect(world, time_from_s(5)));
    world->clients[0].publishing = true;
    world_show(&world->clients[1], 0, &world->clients[0], 0);
    network_run(world->net, time_from_s(1));
    assert_true(world->clients[1].received[0].key_frames > 0);
    return world;
}

static void expect_seamless(const struct world_received *video)
{
    assert_int_equal(video->packets, video->distinct);
    assert_int_equal(video->distinct, video->newest - video->oldest + 1);
}

static void check_joiner(uint16_t worker)
{
    struct world *world = a_room(worker);
    struct world_client *publisher = &world->clients[0];
    uint32_t asked = publisher->key_frames_asked;
    for (uint32_t i = 2; i < 4; i++) {
        const struct world_received *video = &world->clients[i].received[0];
        world_show(&world->clients[i], 0, publisher, 0);
        network_run(world->net, time_from_ms(100));
        assert_int_equal(video->publisher, publisher->name);
        assert_in_range(video->last_frame, publisher->frame - 4, publisher->frame);
        assert_true(video->frames > 20);
    }
    // the present is not delayed by what went before: frames are as far apart as they were sent
    const struct world_received *video = &world->clients[3].received[0];
    uint32_t frame = video->last_frame, timestamp = video->last_timestamp;
    network_run(world->net, time_from_s(1));
    assert_int_equal(video->last_timestamp - timestamp, (video->last_frame - frame) * FRAME_TICKS);
    for (uint32_t i = 2; i < 4; i++)
        expect_seamless(&world->clients[i].received[0]);
    assert_int_equal(publisher->key_frames_asked, asked);
    assert_int_equal(counted(world, ROOM_METRIC_GOP_REPLAYS), 2);
    world_free(world);
}

static void test_a_joiner_sees_a_picture_at_once_and_nobody_is_asked(void **state)
{
    (void)state;
    check_joiner(0);
}

static void test_so_does_the_first_joiner_of_another_worker(void **state)
{
    (void)state;
    check_joiner(1);
}

static void test_an_old_group_is_not_replayed_and_one_key_frame_serves_all(void **state)
{
    (void)state;
    struct world *world = a_room(1);
    struct world_client *publisher = &world->clients[0];
    network_run(world->net, time_from_s(4));
    uint32_t asked = publisher->key_frames_asked;
    for (uint32_t i = 2; i < 4; i++)
        world_show(&world->clients[i], 0, publisher, 0);
    network_run(world->net, time_from_ms(300));
    for (uint32_t i = 2; i < 4; i++) {
        assert_int_equal(world->clients[i].received[0].key_frames, 1);
        expect_seamless(&world->clients[i].received[0]);
    }
    assert_int_equal(publisher->key_frames_asked, asked + 1);
    assert_int_equal(counted(world, ROOM_METRIC_GOP_REPLAYS), 0);
    world_free(world);
}

static void test_thousands_of_joins_in_a_second_ask_once(void **state)
{
    (void)state;
    struct world *world = a_room(1);
    struct world_client *publisher = &world->clients[0];
    network_run(world->net, time_from_s(4));
    uint32_t asked = publisher->key_frames_asked;
    for (int i = 0; i < 1000; i++) {
        for (uint32_t j = 2; j < 4; j++) {
            struct world_client *viewer = &world->clients[j];
            assert_int_equal(exchange_slot_set(world->workers[1].exchange, network_now(world->net),
                                               viewer->session, 0, NULL, 0, NULL),
                             0);
            world_show(viewer, 0, publisher, 0);
        }
        network_run(world->net, time_from_ms(1));
    }
    network_run(world->net, time_from_ms(200));
    assert_in_range(publisher->key_frames_asked - asked, 1, 2);
    for (uint32_t j = 2; j < 4; j++) {
        const struct world_received *video = &world->clients[j].received[0];
        expect_seamless(video);
        assert_in_range(video->last_frame, publisher->frame - 4, publisher->frame);
    }
    world_free(world);
}

static void test_losses_of_a_replay_are_repaired(void **state)
{
    (void)state;
    struct world *world = a_room(1);
    const struct world_received *video = &world->clients[2].received[0];
    network_pipe_set(network_downlink(world->clients[2].endpoint),
                     &(struct network_pipe_config){ .delay_us = 10000, .loss = 0.1 });
    world_show(&world->clients[2], 0, &world->clients[0], 0);
    network_run(world->net, time_from_ms(300));
    network_pipe_set(network_downlink(world->clients[2].endpoint),
                     &(struct network_pipe_config){ .delay_us = 10000 });
    network_run(world->net, time_from_s(1));
    assert_int_equal(video->distinct, video->newest - video->oldest + 1);
    assert_true(video->frames > 60);
    world_free(world);
}

static void test_what_was_sent_before_a_block_is_not_replayed(void **state)
{
    (void)state;
    struct world *world = a_room(1);
    struct world_client *publisher = &world->clients[0];
    exchange_publication_block(world->workers[0].exchange, publisher->session, 0, true);
    for (uint32_t i = 2; i < 4; i++)
        world_show(&world->clients[i], 0, publisher, 0);
    network_run(world->net, time_from_s(1));
    exchange_publication_block(world->workers[0].exchange, publisher->session, 0, false);
    uint32_t frame = publisher->frame;
    assert_int_equal(world->clients[2].received[0].packets, 0);
    network_run(world->net, time_from_s(1));
    assert_true(world->clients[2].received[0].last_frame > frame);
    assert_true(world->clients[2].received[0].frames < 40);
    world_free(world);
}

static void send_pli(struct world_client *client)
{
    struct rtc_peer *server = client->server_peer;
    uint8_t bytes[20] = { 0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 206, 0, 2, 0, 0, 0, 1 };
    store_u32(bytes + 16, rtc_peer_negotiated(server)->sections[0].ssrc);
    world_send_rtcp(client, bytes_of(bytes, sizeof(bytes)));
}

static void test_subscribers_who_ask_all_the_time_get_a_budget(void **state)
{
    (void)state;
    struct world *world = a_room(1);
    struct world_client *publisher = &world->clients[0];
    for (uint32_t i = 2; i < 4; i++)
        world_show(&world->clients[i], 0, publisher, 0);
    uint32_t asked = publisher->key_frames_asked;
    for (int i = 0; i < 600; i++) {
        for (uint32_t j = 1; j < 4; j++)
            send_pli(&world->clients[j]);
        network_run(world->net, time_from_ms(100));
    }
    // a minute: what each may ask in a row, then one in four seconds
    assert_in_range(publisher->key_frames_asked - asked, 10, 5 + 15 + 2);
    assert_true(counted(world, ROOM_METRIC_KEY_FRAMES_REFUSED) > 1000);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_joiner_sees_a_picture_at_once_and_nobody_is_asked),
        cmocka_unit_test(test_so_does_the_first_joiner_of_another_worker),
        cmocka_unit_test(test_an_old_group_is_not_replayed_and_one_key_frame_serves_all),
        cmocka_unit_test(test_thousands_of_joins_in_a_second_ask_once),
        cmocka_unit_test(test_losses_of_a_replay_are_repaired),
        cmocka_unit_test(test_what_was_sent_before_a_block_is_not_replayed),
        cmocka_unit_test(test_subscribers_who_ask_all_the_time_get_a_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
