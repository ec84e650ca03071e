// Bursts towards receivers whose paths are thin: spread over time, sound first, never for long.
#include "proto/rtp/rtcp.h"
#include "rtc/peer_int.h"
#include "sim/world.h"
#include "support/check.h"

#define VIDEO 0
#define AUDIO 1

static uint64_t counted(struct world *world, enum room_metric metric)
{
    uint64_t sum = 0;
    for (int i = 0; i < WORLD_WORKERS; i++)
        sum += metric_get(&exchange_metrics(world->workers[i].exchange)->values[metric]);
    return sum;
}

/** A publisher with sound and picture, a subscriber, and one more who may come. */
static struct world *a_call(bool simulcast)
{
    struct world *world = world_new(17);
    world->remb_only = true;
    struct world_client *publisher = world_add_client(world, 0);
    struct world_client *subscriber = world_add_client(world, 1);
    if (simulcast)
        world_add_simulcast(publisher);
    else
        world_add_section(publisher, RTC_KIND_VIDEO, true);
    world_add_section(publisher, RTC_KIND_AUDIO, true);
    world_add_section(subscriber, RTC_KIND_VIDEO, false);
    world_add_section(subscriber, RTC_KIND_AUDIO, false);
    world_add_section(world_add_client(world, 1), RTC_KIND_VIDEO, false);
    for (uint32_t i = 0; i < world->client_count; i++)
        world_negotiate(&world->clients[i]);
    assert_true(world_connect(world, time_from_s(5)));
    publisher->publishing = true;
    network_run(world->net, time_from_ms(200));
    world_show(subscriber, VIDEO, publisher, 0);
    world_show(subscriber, AUDIO, publisher, 1);
    network_run(world->net, time_from_s(2));
    return world;
}

/** What the subscriber's path carries (0: everything), and what its receiver says that it does. */
static void narrow(struct world *world, uint64_t link_bps, uint64_t said_bps)
{
    struct world_client *subscriber = &world->clients[1];
    network_pipe_set(network_downlink(subscriber->endpoint),
                     &(struct network_pipe_config){ .delay_us = 20000, .bandwidth_bps = link_bps });
    uint8_t bytes[64];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    uint32_t ssrc = 1;
    rtcp_remb_write(&writer, 2, said_bps, &ssrc, 1);
    world_send_rtcp(subscriber, bytes_of(bytes, writer.size));
    network_run(world->net, time_from_ms(100));
}

static const struct network_pipe_stats *link_of(struct world *world)
{
    return network_pipe_stats(network_downlink(world->clients[1].endpoint));
}

static void expect_seamless(const struct world_received *received)
{
    assert_int_equal(received->packets, received->distinct);
    assert_int_equal(received->distinct, received->newest - received->oldest + 1);
}

static void test_a_key_frame_does_not_overflow_a_thin_link(void **state)
{
    (void)state;
    // whose queue holds 50 KB
    struct world *world = a_call(false);
    narrow(world, 2000000, 2000000);
    struct world_client *publisher = &world->clients[0];
    const struct world_received *video = &world->clients[1].received[VIDEO];
    const struct world_received *audio = &world->clients[1].received[AUDIO];
    for (int i = 0; i < 3; i++) {
        publisher->key_frame_parts = 52;
        publisher->key_frame_next = true;
        network_run(world->net, time_from_s(2));
    }
    assert_int_equal(link_of(world)->overflowed, 0);
    assert_true(counted(world, ROOM_METRIC_PACED) >= 3);
    assert_int_equal(counted(world, ROOM_METRIC_PACED_SKIPPED), 0);
    assert_int_equal(counted(world, ROOM_METRIC_NACKS), 0);
    assert_in_range(publisher->frame - video->last_frame, 0, 3);
    assert_in_range(publisher->frame - audio->last_frame, 0, 3);
    expect_seamless(video);
    expect_seamless(audio);
    world_free(world);
}

/** The longest that a frame of sound was late, in frames. */
struct lateness {
    const struct world_client *publisher;
    const struct world_received *received;
    uint32_t frames;
};

static bool watch_lateness(void *owner)
{
    struct lateness *late = owner;
    late->frames = max_of(late->frames, late->publisher->frame - late->received->last_frame);
    return false;
}

static void test_sound_does_not_wait_for_pictures(void **state)
{
    (void)state;
    struct world *world = a_call(false);
    narrow(world, 0, 1800000);
    struct world_client *publisher = &world->clients[0];
    struct lateness sound = { publisher, &world->clients[1].received[AUDIO], 0 };
    struct lateness picture = { publisher, &world->clients[1].received[VIDEO], 0 };
    publisher->key_frame_parts = 60;
    publisher->key_frame_next = true;
    network_run_until(world->net, time_from_ms(200), watch_lateness, &picture);
    network_run_until(world->net, time_from_ms(200), watch_lateness, &sound);
    assert_true(picture.frames >= 3);
    assert_true(sound.frames <= 2);
    network_run(world->net, time_from_s(1));
    assert_in_range(publisher->frame - picture.received->last_frame, 0, 2);
    world_free(world);
}

static void test_wide_paths_get_bursts_at_once(void **state)
{
    (void)state;
    struct world *world = a_call(false);
    narrow(world, 0, 1000000000);
    struct world_client *publisher = &world->clients[0];
    publisher->key_frame_parts = 200;
    publisher->key_frame_next = true;
    network_run(world->net, time_from_s(2));
    assert_int_equal(counted(world, ROOM_METRIC_PACED), 0);
    expect_seamless(&world->clients[1].received[VIDEO]);
    world_free(world);
}

static void test_who_is_too_far_behind_skips_to_a_key_frame(void **state)
{
    (void)state;
    // five times less than the stream needs: its lowest layer is tried now and then
    struct world *world = a_call(false);
    narrow(world, 0, 100000);
    struct world_client *publisher = &world->clients[0];
    const struct world_received *video = &world->clients[1].received[VIDEO];
    const struct world_received *audio = &world->clients[1].received[AUDIO];
    network_run(world->net, time_from_s(10));
    assert_in_range(counted(world, ROOM_METRIC_PACED_SKIPPED), 1, 8);
    assert_in_range(publisher->frame - audio->last_frame, 0, 3);
    narrow(world, 0, 10000000);
    network_run(world->net, time_from_s(20));
    assert_in_range(publisher->frame - video->last_frame, 0, 3);
    // what was skipped is no loss
    expect_seamless(video);
    world_free(world);
}

static bool sees_layer_0(void *owner)
{
    return ((struct world_received *)owner)->layer == 0;
}

static void test_a_smaller_layer_does_not_wait_behind_a_larger_one(void **state)
{
    (void)state;
    struct world *world = a_call(true);
    narrow(world, 0, 3000000);
    struct world_client *publisher = &world->clients[0];
    struct world_client *subscriber = &world->clients[1];
    struct world_received *video = &subscriber->received[VIDEO];
    network_run(world->net, time_from_s(1));
    assert_int_equal(video->layer, 2);
    // half a second of the larger one waits when the path turns out to carry a tenth
    narrow(world, 600000, 260000);
    assert_true(network_run_until(world->net, time_from_ms(1300), sees_layer_0, video));
    network_run(world->net, time_from_s(1));
    assert_in_range(publisher->frame - video->last_frame, 0, 3);
    network_run(world->net, time_from_s(1));
    expect_seamless(video);
    world_free(world);
}

/** Asks once more for the packets before one, 4 times 17. */
static void ask_again(struct world_client *client, uint16_t newest)
{
    const struct rtc_section *section = &rtc_peer_negotiated(client->server_peer)->sections[VIDEO];
    uint8_t bytes[24 + 16] = { 0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 205, 0, 6, 0, 0, 0, 1 };
    store_u32(bytes + 16, section->ssrc);
    for (uint16_t i = 0; i < 4; i++) {
        store_u16(bytes + 20 + 4 * i, (uint16_t)(newest - 17 * (i + 1)));
        store_u16(bytes + 22 + 4 * i, 0xffff);
    }
    world_send_rtcp(client, bytes_of(bytes, 36));
}

static void test_a_flood_of_nacks_gets_no_more_than_the_pace(void **state)
{
    (void)state;
    struct world *world = a_call(false);
    narrow(world, 0, 2000000);
    struct world_client *subscriber = &world->clients[1];
    uint64_t before = link_of(world)->bytes;
    for (int i = 0; i < 500; i++) {
        ask_again(subscriber, (uint16_t)subscriber->received[VIDEO].newest);
        network_run(world->net, time_from_ms(2));
    }
    uint64_t bytes = link_of(world)->bytes - before;
    // one second at 5/2 of 2 Mbit/s, and what may be ahead of it
    assert_true(bytes <= 625000 + 2 * 25000 + 10000);
    assert_true(bytes > 300000);
    assert_true(counted(world, ROOM_METRIC_REPAIRS_REFUSED) > 10000);
    assert_in_range(world->clients[0].frame - subscriber->received[AUDIO].last_frame, 0, 3);
    world_free(world);
}

static void test_a_copy_on_its_way_is_not_sent_once_more(void **state)
{
    (void)state;
    struct world *world = a_call(false);
    struct world_client *subscriber = &world->clients[1];
    // the receiver's reports tell how long the way is
    network_pipe_set(network_downlink(subscriber->endpoint),
                     &(struct network_pipe_config){ .delay_us = 300000 });
    network_run(world->net, time_from_s(10));
    uint64_t before = counted(world, ROOM_METRIC_PACKETS_REPAIRED);
    uint16_t newest = (uint16_t)subscriber->received[VIDEO].newest;
    for (int i = 0; i < 10; i++) {
        ask_again(subscriber, newest);
        network_run(world->net, time_from_ms(20));
    }
    assert_int_equal(counted(world, ROOM_METRIC_PACKETS_REPAIRED) - before, 4 * 17);
    world_free(world);
}

static void test_a_replay_is_paced_by_what_is_known(void **state)
{
    (void)state;
    // whose queue holds 75 KB; the group that a joiner gets is longer
    struct world *world = a_call(false);
    narrow(world, 3000000, 3000000);
    struct world_client *publisher = &world->clients[0];
    struct world_client *subscriber = &world->clients[1];
    const struct world_received *video = &subscriber->received[VIDEO];
    assert_int_equal(exchange_slot_set(world->workers[1].exchange, network_now(world->net),
                                       subscriber->session, VIDEO, NULL, 0, NULL),
                     0);
    world_show(&world->clients[2], 0, publisher, 0);
    network_run(world->net, time_from_s(1));
    publisher->key_frame_next = true;
    publisher->key_frame_parts = 60;
    network_run(world->net, time_from_ms(200));
    uint32_t asked = publisher->key_frames_asked;
    world_show(subscriber, VIDEO, publisher, 0);
    network_run(world->net, time_from_ms(500));
    assert_in_range(publisher->frame - video->last_frame, 0, 3);
    assert_int_equal(link_of(world)->overflowed, 0);
    assert_int_equal(publisher->key_frames_asked, asked);
    // a longer one is not sent: it would never catch up
    publisher->key_frame_next = true;
    publisher->key_frame_parts = 120;
    assert_int_equal(exchange_slot_set(world->workers[1].exchange, network_now(world->net),
                                       subscriber->session, VIDEO, NULL, 0, NULL),
                     0);
    network_run(world->net, time_from_ms(200));
    publisher->key_frame_parts = 0;
    uint64_t replays = counted(world, ROOM_METRIC_GOP_REPLAYS);
    world_show(subscriber, VIDEO, publisher, 0);
    network_run(world->net, time_from_s(1));
    assert_int_equal(counted(world, ROOM_METRIC_GOP_REPLAYS), replays);
    assert_int_equal(publisher->key_frames_asked, asked + 1);
    assert_in_range(publisher->frame - video->last_frame, 0, 3);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_frame_does_not_overflow_a_thin_link),
        cmocka_unit_test(test_sound_does_not_wait_for_pictures),
        cmocka_unit_test(test_wide_paths_get_bursts_at_once),
        cmocka_unit_test(test_who_is_too_far_behind_skips_to_a_key_frame),
        cmocka_unit_test(test_a_smaller_layer_does_not_wait_behind_a_larger_one),
        cmocka_unit_test(test_a_flood_of_nacks_gets_no_more_than_the_pace),
        cmocka_unit_test(test_a_copy_on_its_way_is_not_sent_once_more),
        cmocka_unit_test(test_a_replay_is_paced_by_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
