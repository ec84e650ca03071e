// What a path carries decides which layer goes over it.
#include "sim/world.h"
#include "support/check.h"

/** REMB (draft-alvestrand-rmcat-remb-03) of so many bits per second. */
static void say_remb(struct world_client *client, uint32_t mantissa, uint32_t exponent)
{
    uint8_t bytes[8 + 24] = { 0x80, 201, 0, 1, 0, 0, 0, 1 };
    uint8_t *remb = bytes + 8;
    remb[0] = 0x8f;
    remb[1] = 206;
    store_u16(remb + 2, 5);
    store_u32(remb + 4, 1);
    store_u32(remb + 12, 0x52454d42); // "REMB"
    remb[16] = 1;
    store_u24(remb + 17, exponent << 18 | mantissa);
    world_send_rtcp(client, bytes_of(bytes, sizeof(bytes)));
}

static struct world *a_call(uint16_t subscriber_worker)
{
    struct world *world = world_new(29);
    world->remb_only = true;
    struct world_client *publisher = world_add_client(world, 0);
    struct world_client *subscriber = world_add_client(world, subscriber_worker);
    world_add_simulcast(publisher);
    world_add_section(subscriber, RTC_KIND_VIDEO, false);
    world_negotiate(publisher);
    world_negotiate(subscriber);
    assert_true(world_connect(world, time_from_s(5)));
    publisher->publishing = true;
    network_run(world->net, time_from_ms(200));
    world_show(subscriber, 0, publisher, 0);
    network_run(world->net, time_from_s(4));
    return world;
}

static struct exchange *exchange_of(struct world_client *client)
{
    return client->world->workers[client->worker].exchange;
}

static void expect_seamless(const struct world_received *video)
{
    assert_int_equal(video->packets, video->distinct);
    assert_int_equal(video->distinct, video->newest - video->oldest + 1);
}

static void check_bandwidth(uint16_t worker)
{
    struct world *world = a_call(worker);
    struct world_client *subscriber = &world->clients[1];
    const struct world_received *video = &subscriber->received[0];
    assert_int_equal(video->layer, 2);
    // hardly anything: the smallest layer
    say_remb(subscriber, 100000, 0);
    network_run(world->net, time_from_s(3));
    assert_int_equal(video->layer, 0);
    // and when the path is wide again, the best one
    say_remb(subscriber, 200000, 8);
    network_run(world->net, time_from_s(8));
    assert_int_equal(video->layer, 2);
    expect_seamless(video);
    world_free(world);
}

static void test_a_narrow_path_gets_the_smallest_layer_and_a_wide_one_the_best(void **state)
{
    (void)state;
    check_bandwidth(0);
}

static void test_the_same_over_a_mirror(void **state)
{
    (void)state;
    check_bandwidth(1);
}

static void test_who_has_no_room_for_any_picture_is_told_so(void **state)
{
    (void)state;
    struct world *world = a_call(0);
    struct world_client *subscriber = &world->clients[1];
    assert_int_equal(subscriber->pause, MEDIA_PAUSE_NONE);
    // now and then one is tried all the same
    say_remb(subscriber, 10000, 0);
    for (int i = 0; i < 100 && subscriber->pause == MEDIA_PAUSE_NONE; i++)
        network_run(world->net, time_from_ms(100));
    assert_int_equal(subscriber->pause, MEDIA_PAUSE_PATH);
    say_remb(subscriber, 200000, 8);
    network_run(world->net, time_from_s(8));
    assert_int_equal(subscriber->pause, MEDIA_PAUSE_NONE);
    world_free(world);
}

static void test_a_wish_chooses_the_layer(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *subscriber = &world->clients[1];
    const struct world_received *video = &subscriber->received[0];
    struct media_wish wish = MEDIA_WISH_DEFAULT;
    wish.width = 320;
    wish.height = 180;
    exchange_slot_wish(exchange_of(subscriber), subscriber->session, 0, &wish);
    network_run(world->net, time_from_s(3));
    assert_int_equal(video->layer, 0);
    wish.width = 640;
    wish.height = 360;
    exchange_slot_wish(exchange_of(subscriber), subscriber->session, 0, &wish);
    network_run(world->net, time_from_s(3));
    assert_int_equal(video->layer, 1);
    expect_seamless(video);
    world_free(world);
}

static void test_a_viewer_limits_the_layers(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *publisher = &world->clients[0];
    struct world_client *subscriber = &world->clients[1];
    const struct world_received *video = &subscriber->received[0];
    struct media_wish wish = MEDIA_WISH_DEFAULT;
    for (uint8_t layers = 1; layers <= 3; layers++) {
        wish.layers = layers;
        exchange_slot_wish(exchange_of(subscriber), subscriber->session, 0, &wish);
        network_run(world->net, time_from_s(3));
        assert_int_equal(video->layer, layers - 1);
    }
    // where the smallest is not sent, the next one has to do
    wish.layers = 1;
    exchange_slot_wish(exchange_of(subscriber), subscriber->session, 0, &wish);
    publisher->layers[0].paused = true;
    network_run(world->net, time_from_s(4));
    assert_int_equal(video->layer, 1);
    expect_seamless(video);
    world_free(world);
}

static void test_control_hears_of_layers_that_come_and_go(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *publisher = &world->clients[0];
    network_run(world->net, time_from_s(3));
    for (int i = 0; i < MEDIA_LAYERS_MAX; i++) {
        assert_true(world->layers[i].sent);
        assert_true(world->layers[i].bitrate_bps > 10000);
        assert_true(i == 0 || world->layers[i].bitrate_bps > world->layers[i - 1].bitrate_bps);
    }
    uint32_t events = world->layer_events;
    network_run(world->net, time_from_s(10));
    assert_int_equal(world->layer_events, events); // what stays is not told again
    publisher->layers[2].paused = true;
    network_run(world->net, time_from_s(4));
    assert_false(world->layers[2].sent);
    assert_int_equal(world->layers[2].bitrate_bps, 0);
    assert_true(world->layers[1].sent);
    assert_in_range(world->layer_events, events + 1, events + 4);
    world_free(world);
}

static void test_a_pause_stops_packets_and_ends_without_a_seam(void **state)
{
    (void)state;
    struct world *world = a_call(0);
    struct world_client *subscriber = &world->clients[1];
    const struct world_received *video = &subscriber->received[0];
    struct media_wish wish = MEDIA_WISH_DEFAULT;
    wish.paused = true;
    exchange_slot_wish(exchange_of(subscriber), subscriber->session, 0, &wish);
    network_run(world->net, time_from_ms(300));
    uint32_t packets = video->packets;
    network_run(world->net, time_from_s(5));
    assert_int_equal(video->packets, packets);
    wish.paused = false;
    exchange_slot_wish(exchange_of(subscriber), subscriber->session, 0, &wish);
    network_run(world->net, time_from_s(2));
    assert_true(video->packets > packets + 20);
    assert_int_equal(video->layer, 2);
    expect_seamless(video);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_narrow_path_gets_the_smallest_layer_and_a_wide_one_the_best),
        cmocka_unit_test(test_the_same_over_a_mirror),
        cmocka_unit_test(test_who_has_no_room_for_any_picture_is_told_so),
        cmocka_unit_test(test_a_wish_chooses_the_layer),
        cmocka_unit_test(test_a_viewer_limits_the_layers),
        cmocka_unit_test(test_control_hears_of_layers_that_come_and_go),
        cmocka_unit_test(test_a_pause_stops_packets_and_ends_without_a_seam),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
