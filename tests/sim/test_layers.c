// Simulcast, and what a network does to packets: bursts of loss, copies, late ones.
#include "sim/world.h"
#include "support/check.h"

static struct world *a_call_in(enum codec_id codec, bool simulcast, uint16_t subscriber_worker)
{
    struct world *world = world_new(23);
    struct world_client *publisher = world_add_client(world, 0);
    struct world_client *subscriber = world_add_client(world, subscriber_worker);
    if (simulcast)
        world_add_simulcast(publisher);
    else
        world_add_section(publisher, RTC_KIND_VIDEO, true);
    world_add_section(subscriber, RTC_KIND_VIDEO, false);
    publisher->sections[0].codec = subscriber->sections[0].codec = codec;
    world_negotiate(publisher);
    world_negotiate(subscriber);
    assert_true(world_connect(world, time_from_s(5)));
    publisher->publishing = true;
    network_run(world->net, time_from_ms(200));
    world_show(subscriber, 0, publisher, 0);
    return world;
}

static struct world *a_call(bool simulcast, uint16_t subscriber_worker)
{
    return a_call_in(CODEC_VP8, simulcast, subscriber_worker);
}

/** One stream to the receiver, whatever became of the layers: no gap, no copy. */
static void expect_seamless(const struct world_received *video)
{
    assert_int_equal(video->packets, video->distinct);
    assert_int_equal(video->distinct, video->newest - video->oldest + 1);
}

/** Browsers put mid and rid into packets until they hear that these came. */
static void publish_without_names(struct world_client *publisher)
{
    for (uint32_t i = 0; i < WORLD_LAYERS; i++) {
        struct rtp_extension_map map = { 0 };
        struct rtp_rewriter_config config = { .map = &map, .ssrc = publisher->name * 1000 + i };
        rtp_rewriter_init(&publisher->layers[i].rewriter, &config);
    }
}

static void test_layers_that_rested_come_again_without_their_names(void **state)
{
    (void)state;
    struct world *world = a_call(true, 1);
    struct world_client *publisher = &world->clients[0];
    const struct world_received *video = &world->clients[1].received[0];
    network_run(world->net, time_from_s(2));
    publish_without_names(publisher);
    publisher->publishing = false;
    world_rest(publisher, 0, true);
    network_run(world->net, time_from_s(1));
    world_rest(publisher, 0, false);
    publisher->publishing = true;
    publisher->next_frame_us = network_now(world->net);
    publisher->key_frame_next = true;
    world_show(&world->clients[1], 0, publisher, 0);
    uint32_t frames = video->frames;
    network_run(world->net, time_from_s(2));
    assert_true(video->frames > frames + 40);
    for (uint32_t layer = 0; layer < WORLD_LAYERS; layer++)
        assert_true(world->layers[layer].sent);
    world_free(world);
}

static void check_layers(enum codec_id codec, uint16_t subscriber_worker)
{
    struct world *world = a_call_in(codec, true, subscriber_worker);
    struct world_client *publisher = &world->clients[0];
    const struct world_received *video = &world->clients[1].received[0];
    network_run(world->net, time_from_s(3));
    assert_int_equal(video->publisher, publisher->name);
    assert_int_equal(video->layer, 2);
    // the best layer stops, as when the publisher's uplink becomes narrow
    publisher->layers[2].paused = true;
    network_run(world->net, time_from_s(4));
    assert_int_equal(video->layer, 1);
    uint32_t frames = video->frames, decoded = video->decoder.decoded;
    network_run(world->net, time_from_s(2));
    assert_in_range(video->frames - frames, 55, 62);
    assert_in_range(video->decoder.decoded - decoded, 55, 62);
    publisher->layers[1].paused = true;
    network_run(world->net, time_from_s(4));
    assert_int_equal(video->layer, 0);
    // and comes back
    publisher->layers[2].paused = false;
    network_run(world->net, time_from_s(3));
    assert_int_equal(video->layer, 2);
    expect_seamless(video);
    // each picture came whole, behind what it refers to
    assert_in_range(video->frames - video->decoder.decoded, 0, 1);
    world_free(world);
}

static void test_the_best_layer_that_is_sent_is_forwarded(void **state)
{
    (void)state;
    check_layers(CODEC_VP8, 0);
}

static void test_layers_switch_on_another_worker_too(void **state)
{
    (void)state;
    check_layers(CODEC_VP8, 1);
}

/** Each size is a stream of its own, told by its rid, whatever the codec. */
static void test_layers_of_other_codecs_switch_at_their_key_frames(void **state)
{
    (void)state;
    static const enum codec_id codecs[] = { CODEC_H264, CODEC_VP9, CODEC_AV1 };
    for (size_t i = 0; i < array_size(codecs); i++) {
        check_layers(codecs[i], 0);
        check_layers(codecs[i], 1);
    }
}

static void impair(struct world *world, const struct network_pipe_config *config)
{
    for (uint32_t i = 0; i < world->client_count; i++) {
        network_pipe_set(network_uplink(world->clients[i].endpoint), config);
        network_pipe_set(network_downlink(world->clients[i].endpoint), config);
    }
}

static void test_bursts_of_loss_are_repaired(void **state)
{
    (void)state;
    struct world *world = a_call(false, 1);
    const struct world_received *video = &world->clients[1].received[0];
    network_run(world->net, time_from_s(1));
    // bursts of ten in a row on the way to the subscriber
    struct network_pipe_config config = { .delay_us = 20000, .loss = 0.01, .loss_burst = 0.9 };
    network_pipe_set(network_downlink(world->clients[1].endpoint), &config);
    network_run(world->net, time_from_s(20));
    network_pipe_set(network_downlink(world->clients[1].endpoint),
                     &(struct network_pipe_config){ .delay_us = 20000 });
    network_run(world->net, time_from_s(2));
    uint64_t sent = video->newest - video->oldest + 1;
    assert_true(sent > 2000);
    assert_true(sent - video->distinct <= sent / 200);
    assert_true(metric_get(&world->workers[1].thread.counters.values[RTC_METRIC_RTX_SENT]) > 100);
    world_free(world);
}

static void test_copies_go_out_once(void **state)
{
    (void)state;
    struct world *world = a_call(false, 1);
    const struct world_received *video = &world->clients[1].received[0];
    network_run(world->net, time_from_s(1));
    network_pipe_set(network_uplink(world->clients[0].endpoint),
                     &(struct network_pipe_config){ .duplicate = 0.5, .delay_us = 10000 });
    network_run(world->net, time_from_s(5));
    expect_seamless(video);
    world_free(world);
}

static void test_late_packets_find_their_place(void **state)
{
    (void)state;
    struct world *world = a_call(false, 1);
    const struct world_received *video = &world->clients[1].received[0];
    network_run(world->net, time_from_s(1));
    impair(world, &(struct network_pipe_config){
                      .reorder = 0.1, .reorder_us = 300000, .delay_us = 10000 });
    network_run(world->net, time_from_s(10));
    impair(world, &(struct network_pipe_config){ .delay_us = 10000 });
    network_run(world->net, time_from_s(2));
    assert_int_equal(video->distinct, video->newest - video->oldest + 1);
    assert_true(video->frames > 300);
    world_free(world);
}

static void wish(struct world_client *subscriber, uint16_t width, bool paused)
{
    world_wish(subscriber, 0,
               &(struct media_wish){ .width = width,
                                     .height = (uint16_t)(width * 9 / 16),
                                     .priority = MEDIA_WISH_PRIORITY,
                                     .paused = paused });
}

/** The publisher does as it is told. */
static void obey(struct world_client *publisher)
{
    for (uint32_t i = 0; i < WORLD_LAYERS; i++)
        publisher->layers[i].paused = i >= publisher->demand;
    // what begins again begins with a key frame
    publisher->key_frame_next = true;
}

static void check_demand(enum codec_id codec, uint16_t subscriber_worker)
{
    struct world *world = a_call_in(codec, true, subscriber_worker);
    struct world_client *publisher = &world->clients[0], *subscriber = &world->clients[1];
    const struct world_received *video = &subscriber->received[0];
    publisher->demand = WORLD_LAYERS;
    network_run(world->net, time_from_s(30));
    assert_int_equal(publisher->demand, WORLD_LAYERS);
    // small: the upper layers may rest, but not at once
    wish(subscriber, 320, false);
    network_run(world->net, time_from_s(4));
    assert_int_equal(publisher->demand, WORLD_LAYERS);
    network_run(world->net, time_from_s(3));
    assert_int_equal(publisher->demand, 1);
    obey(publisher);
    network_run(world->net, time_from_s(2));
    assert_int_equal(video->layer, 0);
    // large again: at once
    wish(subscriber, 1280, false);
    network_run(world->net, time_from_ms(600));
    assert_int_equal(publisher->demand, WORLD_LAYERS);
    obey(publisher);
    network_run(world->net, time_from_s(2));
    assert_int_equal(video->layer, 2);
    // nobody: all of it rests, and is not taken for gone
    wish(subscriber, 0, true);
    network_run(world->net, time_from_s(15));
    assert_int_equal(publisher->demand, WORLD_LAYERS);
    network_run(world->net, time_from_s(7));
    assert_int_equal(publisher->demand, 0);
    obey(publisher);
    network_run(world->net, time_from_s(20));
    assert_int_equal(world->silent_events, 0);
    uint32_t frames = video->frames;
    wish(subscriber, 640, false);
    network_run(world->net, time_from_ms(600));
    assert_int_equal(publisher->demand, 2);
    obey(publisher);
    network_run(world->net, time_from_s(2));
    assert_int_equal(video->layer, 1);
    assert_true(video->frames > frames + 40);
    world_free(world);
}

static void test_publishers_hear_what_nobody_watches(void **state)
{
    (void)state;
    check_demand(CODEC_VP8, 0);
    check_demand(CODEC_VP8, 1);
    // sizes are not known of H.264: each is taken for half of the next
    check_demand(CODEC_H264, 1);
    check_demand(CODEC_VP9, 1);
    check_demand(CODEC_AV1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_best_layer_that_is_sent_is_forwarded),
        cmocka_unit_test(test_layers_switch_on_another_worker_too),
        cmocka_unit_test(test_layers_of_other_codecs_switch_at_their_key_frames),
        cmocka_unit_test(test_bursts_of_loss_are_repaired),
        cmocka_unit_test(test_copies_go_out_once),
        cmocka_unit_test(test_late_packets_find_their_place),
        cmocka_unit_test(test_publishers_hear_what_nobody_watches),
        cmocka_unit_test(test_layers_that_rested_come_again_without_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
