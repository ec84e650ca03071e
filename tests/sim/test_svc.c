// Layers inside one stream: whatever a receiver wishes for and the network does to packets, what it
// gets can be decoded.
#include "sim/layered.h"

#include <stdlib.h>

#include "base/memory.h"
#include "support/check.h"

struct call {
    struct world *world;
    bool plain; /**< the receiver does not take the descriptor */
    struct layered_stream stream;
    struct layered_judge *judge;
};

static void start(struct call *call, const struct layered_mode *mode, uint16_t subscriber_worker)
{
    struct world *world = call->world = world_new(31);
    struct world_client *publisher = world_add_client(world, 0);
    struct world_client *subscriber = world_add_client(world, subscriber_worker);
    for (int i = 0; i < 2; i++) {
        struct world_client *client = &world->clients[i];
        uint16_t section = world_add_section(client, RTC_KIND_VIDEO, i == 0);
        client->sections[section].codec = mode->codec;
        client->sections[section].descriptor = mode->descriptor && !(call->plain && i == 1);
        world_negotiate(client);
    }
    assert_true(world_connect(world, time_from_s(5)));
    call->judge = memory_new(struct layered_judge);
    layered_publish(&call->stream, publisher, mode, 0);
    struct layered_mode watched = *mode;
    watched.descriptor &= !call->plain;
    layered_watch(call->judge, subscriber, &watched);
    publisher->publishing = true;
    network_run(world->net, time_from_ms(300));
    world_show(subscriber, 0, publisher, 0);
}

static void stop(struct call *call)
{
    world_free(call->world);
    free(call->judge);
}

/** The publisher ends, and all repairs are made. */
static void finish(struct call *call, bool clean)
{
    struct world *world = call->world;
    for (int i = 0; i < 2; i++) {
        struct network_pipe_config smooth = { .delay_us = 10000 };
        network_pipe_set(network_uplink(world->clients[i].endpoint), &smooth);
        network_pipe_set(network_downlink(world->clients[i].endpoint), &smooth);
    }
    // what is lost at the very end nobody misses
    network_run(world->net, time_from_ms(300));
    world->clients[0].publishing = false;
    network_run(world->net, time_from_s(1));
    layered_verdict(call->judge, clean);
}

static void wish(struct call *call, uint16_t width, uint8_t frame_rate, bool detail)
{
    world_wish(&call->world->clients[1], 0,
               &(struct media_wish){ .width = width,
                                     .height = (uint16_t)(width * 9 / 16),
                                     .priority = MEDIA_WISH_PRIORITY,
                                     .frame_rate = frame_rate,
                                     .detail = detail });
}

/** Frames of a layer that come in the next two seconds, after half a second to get there. */
static void count(struct call *call, uint32_t counts[3][3])
{
    network_run(call->world->net, time_from_ms(1500));
    uint32_t before[3][3];
    memcpy(before, call->judge->count, sizeof(before));
    network_run(call->world->net, time_from_s(2));
    for (int i = 0; i < 9; i++)
        counts[i / 3][i % 3] = call->judge->count[i / 3][i % 3] - before[i / 3][i % 3];
}

/** What a receiver of a small picture, of a slow one, and of everything gets. */
static void check_wishes(const struct layered_mode *mode, uint16_t worker)
{
    struct call call = { 0 };
    start(&call, mode, worker);
    uint32_t counts[3][3];
    uint8_t top = mode->spatial - 1;
    uint32_t fast = mode->temporal == 3 ? 30 : 0, base = mode->temporal == 3 ? 15 : 60;
    count(&call, counts);
    assert_in_range(counts[top][0], base - 2, base + 2);
    assert_in_range(counts[top][2], fast ? fast - 2 : 0, fast + 2);
    wish(&call, 0, 7, false);
    count(&call, counts);
    assert_in_range(counts[top][0], base - 2, base + 2);
    assert_int_equal(counts[0][1] + counts[top][1], 0);
    assert_int_equal(counts[0][2] + counts[top][2], 0);
    wish(&call, 320, 0, false);
    count(&call, counts);
    assert_in_range(counts[0][0], base - 2, base + 2);
    assert_in_range(counts[0][2], fast ? fast - 2 : 0, fast + 2);
    assert_int_equal(top > 0 ? counts[top][0] + counts[top][1] + counts[top][2] : 0, 0);
    wish(&call, 320, 14, false);
    count(&call, counts);
    assert_int_equal(counts[0][2] + (top ? counts[top][0] : 0), 0);
    if (mode->temporal == 3)
        assert_in_range(counts[0][1], 13, 17);
    wish(&call, 0, 0, false);
    count(&call, counts);
    assert_in_range(counts[top][0], base - 2, base + 2);
    assert_in_range(counts[top][2], fast ? fast - 2 : 0, fast + 2);
    // of layers that do not need each other, the lower ones are not sent along
    if (mode->apart)
        assert_true(counts[0][0] <= 1);
    finish(&call, true);
    stop(&call);
}

static void check_network(const struct layered_mode *mode)
{
    struct call call = { 0 };
    start(&call, mode, 1);
    network_run(call.world->net, time_from_ms(500));
    static const struct {
        uint16_t width;
        uint8_t frame_rate;
        bool detail;
    } wishes[] = { { 0, 0, false },    { 320, 0, false }, { 0, 15, false },  { 640, 8, false },
                   { 160, 15, false }, { 0, 0, true },    { 640, 0, false }, { 0, 8, false } };
    for (int i = 0; i < 2; i++) {
        struct network_pipe_config rough = { .delay_us = 10000,
                                             .loss = 0.03,
                                             .loss_burst = i == 0 ? 0.5 : 0,
                                             .reorder = 0.03,
                                             .reorder_us = 30000 };
        network_pipe_set(network_uplink(call.world->clients[0].endpoint), &rough);
        network_pipe_set(network_downlink(call.world->clients[1].endpoint), &rough);
    }
    for (int i = 0; i < 24; i++) {
        wish(&call, wishes[i % 8].width, wishes[i % 8].frame_rate, wishes[i % 8].detail);
        network_run(call.world->net, time_from_ms(700 + 130 * (uint64_t)(i % 5)));
    }
    finish(&call, false);
    stop(&call);
}

static const struct layered_mode modes[] = {
    { .codec = CODEC_VP8, .spatial = 1, .temporal = 3 },
    { .codec = CODEC_VP8, .spatial = 1, .temporal = 3, .rare_syncs = true },
    { .codec = CODEC_VP9, .spatial = 3, .temporal = 3 },
    { .codec = CODEC_VP9, .spatial = 3, .temporal = 3, .apart = true },
    { .codec = CODEC_VP9, .spatial = 1, .temporal = 1 },
    { .codec = CODEC_VP9, .spatial = 3, .temporal = 3, .apart = true, .descriptor = true },
    { .codec = CODEC_AV1, .spatial = 3, .temporal = 3, .descriptor = true },
    { .codec = CODEC_AV1, .spatial = 3, .temporal = 3, .apart = true, .descriptor = true },
    { .codec = CODEC_AV1, .spatial = 2, .temporal = 3, .descriptor = true, .rare_syncs = true },
    { .codec = CODEC_H264, .spatial = 1, .temporal = 3, .descriptor = true },
};

static void test_wishes_choose_layers(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(modes); i++) {
        print_message("mode %zu\n", i);
        check_wishes(&modes[i], i % 2);
    }
}

static void test_what_comes_can_be_decoded_over_bad_networks(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(modes); i++) {
        print_message("mode %zu\n", i);
        check_network(&modes[i]);
    }
}

static void test_bad_descriptors_hurt_nobody(void **state)
{
    (void)state;
    static const struct layered_mode mode = {
        .codec = CODEC_AV1, .spatial = 3, .temporal = 3, .apart = true, .descriptor = true
    };
    struct call call = { 0 };
    start(&call, &mode, 1);
    struct world_client *subscriber = &call.world->clients[1];
    subscriber->take = NULL;
    call.stream.garbled = true;
    for (int i = 0; i < 16; i++) {
        wish(&call, i % 3 ? 0 : 320, i % 2 ? 0 : 8, i % 5 == 0);
        network_run(call.world->net, time_from_ms(500));
    }
    // and when they are good again, all is
    call.stream.garbled = false;
    call.world->clients[0].key_frame_next = true;
    wish(&call, 0, 0, false);
    network_run(call.world->net, time_from_s(1));
    uint32_t frames = subscriber->received[0].frames;
    network_run(call.world->net, time_from_s(2));
    assert_in_range(subscriber->received[0].frames - frames, 57, 63);
    stop(&call);
}

/** A publisher for want of bandwidth sends fewer sizes than its structure names, and says so. */
static void check_sizes_that_end(const struct layered_mode *mode)
{
    struct call call = { 0 };
    struct layered_stream *stream = &call.stream;
    start(&call, mode, 1);
    uint32_t counts[3][3];
    static const struct {
        uint8_t rows;
        uint32_t targets;
    } steps[] = { { 3, 0x1ff }, { 2, 0x03f }, { 1, 0x007 }, { 3, 0x1ff } };
    for (size_t i = 0; i < array_size(steps); i++) {
        stream->active_targets = steps[i].targets;
        stream->says_active = true;
        // what is added begins with a key frame
        call.world->clients[0].key_frame_next |= steps[i].rows > stream->rows;
        stream->rows = steps[i].rows;
        count(&call, counts);
        assert_in_range(counts[steps[i].rows - 1][0], 13, 17);
        assert_in_range(counts[steps[i].rows - 1][2], 28, 32);
    }
    finish(&call, true);
    stop(&call);
}

static void test_sizes_that_end_are_followed_by_smaller_ones(void **state)
{
    (void)state;
    check_sizes_that_end(&modes[5]);
    check_sizes_that_end(&modes[6]);
    check_sizes_that_end(&modes[7]);
}

static void expect_active(struct call *call, uint32_t targets)
{
    network_run(call->world->net, time_from_s(2));
    assert_int_equal(call->judge->active_targets, targets);
}

/** Targets 0 to 2 are the frame rates of the small size, 3 to 5 of the large one. */
static void test_receivers_hear_what_is_sent_to_them(void **state)
{
    (void)state;
    static const struct layered_mode mode = {
        .codec = CODEC_AV1, .spatial = 2, .temporal = 3, .descriptor = true
    };
    struct call call = { 0 };
    struct layered_stream *stream = &call.stream;
    start(&call, &mode, 0);
    expect_active(&call, 0x3f);
    wish(&call, 640, 0, false);
    expect_active(&call, 0x07);
    // of what the publisher says, the part that is sent
    stream->active_targets = 0x3f;
    stream->says_active = true;
    expect_active(&call, 0x07);
    stream->active_targets = 0x1b;
    stream->says_active = true;
    expect_active(&call, 0x03);
    wish(&call, 640, 7, false);
    expect_active(&call, 0x01);
    wish(&call, 640, 0, false);
    expect_active(&call, 0x03);
    // up in size with a key frame, which says it as well
    wish(&call, 0, 0, false);
    expect_active(&call, 0x1b);
    stream->active_targets = 0x3f;
    stream->says_active = true;
    expect_active(&call, 0x3f);
    finish(&call, true);
    stop(&call);
}

/** Without the descriptor nothing tells a receiver of AV1 which frames are one picture. */
static void test_who_takes_no_descriptor_gets_one_size(void **state)
{
    (void)state;
    static const struct layered_mode mode = {
        .codec = CODEC_AV1, .spatial = 3, .temporal = 3, .descriptor = true
    };
    struct call call = { .plain = true };
    start(&call, &mode, 1);
    uint32_t counts[3][3];
    for (int i = 0; i < 2; i++) {
        wish(&call, i == 0 ? 0 : 1280, 0, false);
        count(&call, counts);
        assert_in_range(counts[0][0], 13, 17);
        assert_in_range(counts[0][2], 28, 32);
        assert_int_equal(counts[1][0] + counts[1][1] + counts[2][0] + counts[2][2], 0);
    }
    wish(&call, 0, 7, false);
    count(&call, counts);
    assert_in_range(counts[0][0], 13, 17);
    assert_int_equal(counts[0][1] + counts[0][2] + counts[2][0], 0);
    assert_true(call.stream.key_pictures <= 2);
    finish(&call, true);
    stop(&call);
}

/** The publisher does as it is told, which changes nothing for a while; then it hears of `next`. */
static void obey(struct call *call, uint8_t rows, uint8_t next)
{
    struct world_client *publisher = &call->world->clients[0];
    assert_int_equal(publisher->demand, rows);
    layered_send_rows(&call->stream, rows, 3);
    for (int i = 0; i < 80; i++) {
        network_run(call->world->net, time_from_ms(50));
        assert_int_equal(publisher->demand, rows);
    }
    network_run(call->world->net, time_from_s(3));
    assert_int_equal(publisher->demand, next);
}

static void check_demand(const struct layered_mode *mode, uint16_t worker)
{
    struct call call = { 0 };
    start(&call, mode, worker);
    struct world_client *publisher = &call.world->clients[0];
    uint32_t counts[3][3];
    publisher->demand = 3;
    network_run(call.world->net, time_from_s(8));
    assert_int_equal(publisher->demand, 3);
    // small: the larger sizes may rest, but not at once
    wish(&call, 320, 0, false);
    network_run(call.world->net, time_from_s(4));
    assert_int_equal(publisher->demand, 3);
    network_run(call.world->net, time_from_s(3));
    obey(&call, 1, 1);
    count(&call, counts);
    assert_in_range(counts[0][0], 13, 17);
    // larger: at once all of them, for nobody knows which it will be
    wish(&call, 640, 0, false);
    network_run(call.world->net, time_from_ms(600));
    obey(&call, 3, 2);
    obey(&call, 2, 2);
    count(&call, counts);
    assert_in_range(counts[1][0], 13, 17);
    wish(&call, 0, 0, false);
    network_run(call.world->net, time_from_ms(600));
    obey(&call, 3, 3);
    count(&call, counts);
    assert_in_range(counts[2][0], 13, 17);
    finish(&call, true);
    stop(&call);
}

static void test_sizes_that_nobody_watches_rest(void **state)
{
    (void)state;
    check_demand(&modes[2], 0);
    check_demand(&modes[3], 1);
    check_demand(&modes[6], 1);
    check_demand(&modes[7], 0);
}

/** One slot, two publishers in turn: all numbers go on. */
static void check_tracks(const struct layered_mode *mode)
{
    struct call call = { 0 };
    start(&call, mode, 0);
    struct world *world = call.world;
    struct world_client *other = world_add_client(world, 0);
    uint16_t section = world_add_section(other, RTC_KIND_VIDEO, true);
    other->sections[section].codec = mode->codec;
    other->sections[section].descriptor = mode->descriptor;
    world_negotiate(other);
    assert_true(world_connect(world, time_from_s(5)));
    struct layered_stream stream;
    layered_publish(&stream, other, mode, LAYERED_FRAMES_MAX / 2);
    other->publishing = true;
    for (int i = 0; i < 4; i++) {
        wish(&call, 0, i % 2 ? 8 : 0, false);
        network_run(world->net, time_from_s(4));
        world_show(&world->clients[1], 0, i % 2 ? &world->clients[0] : other, 0);
    }
    network_run(world->net, time_from_s(2));
    other->publishing = false;
    finish(&call, true);
    stop(&call);
}

static void test_numbers_go_on_over_tracks(void **state)
{
    (void)state;
    check_tracks(&modes[0]);
    check_tracks(&modes[2]);
    check_tracks(&modes[7]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wishes_choose_layers),
        cmocka_unit_test(test_what_comes_can_be_decoded_over_bad_networks),
        cmocka_unit_test(test_numbers_go_on_over_tracks),
        cmocka_unit_test(test_who_takes_no_descriptor_gets_one_size),
        cmocka_unit_test(test_sizes_that_nobody_watches_rest),
        cmocka_unit_test(test_sizes_that_end_are_followed_by_smaller_ones),
        cmocka_unit_test(test_receivers_hear_what_is_sent_to_them),
        cmocka_unit_test(test_bad_descriptors_hurt_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
