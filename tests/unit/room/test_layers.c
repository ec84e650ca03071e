// Steps between the worst and the best of a track, moves between operating points, ids of pictures.
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "room/frame_ids.h"
#include "room/ladder.h"
#include "room/layer_select.h"

#define NOW_US time_from_s(100)
#define KBPS   1000ull

/** A stream of `rows` spatial and `columns` temporal layers that was measured. */
static void fill(struct track_layer *layer, unsigned rows, unsigned columns)
{
    layer->last_packet_us = NOW_US;
    layer->width = 1280;
    layer->height = 720;
    for (unsigned i = 0; i < MEDIA_SPATIAL_LAYERS; i++) {
        layer->rates.row_us[i] = i < rows ? NOW_US : 0;
        layer->rates.column_us[i] = i < columns ? NOW_US : 0;
        layer->rates.picture_rate_mhz[i] = 30000u >> (columns - 1 - min_of(i, columns - 1));
    }
    for (unsigned point = 0; point < MEDIA_POINTS; point++) {
        unsigned row = min_of(point / 3, rows - 1), column = min_of(point % 3, columns - 1);
        layer->rates.bitrate_bps[point] = (100 * KBPS << (2 * row)) * (column + 1);
    }
}

static struct track *a_track(unsigned rows, unsigned columns)
{
    struct track *track = track_new(&(struct track_key){ .session = 1 }, true);
    fill(&track->layers[0], rows, columns);
    return track;
}

/** The steps on offer as places "row.column", in their order. */
static void expect_steps(const struct track *track, const struct media_wish *wish,
                         const char *expected)
{
    struct allocate_item item = { 0 };
    char text[64] = "";
    ladder_describe(track, NOW_US, wish, &item);
    for (uint8_t i = 0; i < ALLOCATE_STEPS_MAX; i++) {
        if (!item.steps[i].sent)
            continue;
        assert_true(item.steps[i].bitrate_bps > 0);
        struct ladder_place place = ladder_place(track, NOW_US, wish, i);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u.%u", i && *text ? " " : "",
                 track->simulcast ? place.layer : media_point_spatial(place.point),
                 media_point_temporal(place.point));
    }
    assert_string_equal(text, expected);
}

static void test_pictures_lose_half_their_frames_before_their_size(void **state)
{
    (void)state;
    struct media_wish any = MEDIA_WISH_DEFAULT;
    struct track *track = a_track(3, 3);
    expect_steps(track, &any, "0.0 0.1 0.2 1.1 1.2 2.1 2.2");
    track_free(track);
    track = a_track(1, 3);
    expect_steps(track, &any, "2.0 2.1 2.2");
    track_free(track);
    track = a_track(2, 2);
    expect_steps(track, &any, "0.0 0.2 2.0 2.2");
    track_free(track);
    track = a_track(1, 1);
    expect_steps(track, &any, "2.2");
    track_free(track);
}

static void test_screens_lose_frames_first(void **state)
{
    (void)state;
    struct media_wish detail = { .detail = true };
    struct track *track = a_track(3, 3);
    expect_steps(track, &detail, "0.0 1.0 2.0 2.1 2.2");
    track_free(track);
}

static void test_wishes_bound_the_steps(void **state)
{
    (void)state;
    struct track *track = a_track(3, 3);
    expect_steps(track, &(struct media_wish){ .width = 320, .height = 180 }, "0.0 0.1 0.2");
    expect_steps(track, &(struct media_wish){ .width = 640, .height = 360, .frame_rate = 15 },
                 "0.0 0.1 1.1");
    expect_steps(track, &(struct media_wish){ .frame_rate = 7 }, "0.0 1.0 2.0");
    expect_steps(track, &(struct media_wish){ .layers = 1 }, "0.0 0.1 0.2");
    expect_steps(track, &(struct media_wish){ .width = 640, .height = 360, .detail = true },
                 "0.0 1.0 1.1 1.2");
    // the structure tells other sizes than halves
    track->layers[0].targets.width[1] = 853;
    track->layers[0].targets.height[1] = 480;
    expect_steps(track, &(struct media_wish){ .width = 853, .height = 480, .layers = 2 },
                 "0.0 0.1 0.2 1.1 1.2");
    track_free(track);
}

static void test_simulcast_layers_have_frame_rates_of_their_own(void **state)
{
    (void)state;
    struct track *track = a_track(1, 1);
    track->simulcast = true;
    track->layers[0].width = 320;
    track->layers[0].height = 180;
    fill(&track->layers[2], 1, 3);
    expect_steps(track, &(struct media_wish){ .width = 0 }, "0.2 2.1 2.2");
    expect_steps(track, &(struct media_wish){ .width = 160, .height = 90 }, "0.2");
    track_free(track);
}

static void test_points_change_where_the_packet_allows_it(void **state)
{
    (void)state;
    uint8_t small = media_point(0, 2), large = media_point(2, 2), slow = media_point(2, 0);
    struct media_layers plain = { .points = MEDIA_POINTS_ALL, .nested = true };
    assert_int_equal(layer_select(large, slow, &plain), slow);
    assert_int_equal(layer_select(large, small, &plain), small);
    assert_int_equal(layer_select(small, large, &plain), small);
    // rows that do not contain each other are left only where another begins
    struct media_layers apart = { .points = MEDIA_POINTS_ALL };
    assert_int_equal(layer_select(large, small, &apart), large);
    assert_int_equal(layer_select(large, media_point(0, 0), &apart), slow);
    struct media_layers key = { .starts = MEDIA_POINTS_ALL, .follows = MEDIA_POINTS_ALL };
    assert_int_equal(layer_select(large, small, &key), small);
    assert_int_equal(layer_select(small, large, &key), large);
    // VP8's Y and VP9's U, one column at a time or more
    struct media_layers up = { .nested = true, .up_from = 0, .up_to = 1 };
    assert_int_equal(layer_select(slow, large, &up), media_point(2, 1));
    up.up_from = 1;
    assert_int_equal(layer_select(slow, large, &up), slow);
    // only for those who have what the frame refers to
    struct media_layers switched = { .starts = 1 << 8, .follows = 1 << 7 };
    assert_int_equal(layer_select(media_point(2, 0), large, &switched), slow);
    assert_int_equal(layer_select(media_point(2, 1), large, &switched), large);
    // inside of a picture: the frame rate only, and only up
    assert_int_equal(layer_select_rate(slow, large, &switched), slow);
    assert_int_equal(layer_select_rate(media_point(2, 1), large, &switched), large);
    assert_int_equal(layer_select_rate(small, large, &key), small);
    assert_int_equal(layer_select_rate(slow, large, &key), large);
    assert_int_equal(layer_select_rate(large, slow, &key), large);
    assert_int_equal(layer_select_first(large, &(struct media_layers){ .starts = 0x7 }), small);
}

static void test_late_packets_are_judged_by_their_time(void **state)
{
    (void)state;
    struct layer_moves moves;
    layer_moves_begin(&moves, 1000, 8);
    for (uint64_t i = 1; i <= 4; i++)
        layer_moves_to(&moves, 1000 + i * 10, (uint8_t)i);
    assert_int_equal(layer_moves_at(&moves, 1040), 4);
    assert_int_equal(layer_moves_at(&moves, 1039), 3);
    assert_int_equal(layer_moves_at(&moves, 1010), 1);
    assert_int_equal(layer_moves_at(&moves, 1009), 8);
}

static void test_ids_follow_each_other_over_streams(void **state)
{
    (void)state;
    struct packet_pool pool;
    packet_pool_init(&pool, 4);
    struct packet *packet = packet_pool_take(&pool, PACKET_BYTES_MAX);
    static const uint8_t bytes[] = {
        0x90, 0xe0, 0xff, 0xff, 0x09, 0x40, 0x11, 0xc1, 0x00, 0x05, 0
    };
    memcpy(packet->bytes, bytes, sizeof(bytes));
    struct media_info *info = media_info_of(packet);
    *info = (struct media_info){
        .codec = CODEC_VP8,
        .payload_size = 7,
        .picture_id = 0x7fff,
        .picture_id_bits = 15,
        .picture_id_at = 2,
        .tl0 = 9,
        .tl0_at = 4,
        .extensions = { .present = RTP_EXTENSION_BIT(RTP_EXTENSION_DEPENDENCY_DESCRIPTOR) },
    };
    info->extensions.places[RTP_EXTENSION_DEPENDENCY_DESCRIPTOR].at = 7;
    info->extensions.places[RTP_EXTENSION_DEPENDENCY_DESCRIPTOR].size = 3;
    struct frame_ids ids = { 0 };
    uint8_t buffer[DEPENDENCY_DESCRIPTOR_MAX];
    // the first stream passes as it is
    struct rewrite_ids added = frame_ids_begin(&ids, packet);
    assert_int_equal(frame_ids_head(&added, packet, buffer).size, 0);
    assert_int_equal(frame_ids_descriptor(&added, 0, packet, buffer).size, 0);
    frame_ids_sent(&ids, &added, packet);
    // the same again, as another stream: what follows is 0, 10 and 6
    added = frame_ids_begin(&ids, packet);
    struct bytes head = frame_ids_head(&added, packet, buffer);
    static const uint8_t expected[] = { 0x90, 0xe0, 0x80, 0x00, 0x0a };
    assert_int_equal(head.size, sizeof(expected));
    assert_memory_equal(head.data, expected, sizeof(expected));
    struct bytes descriptor = frame_ids_descriptor(&added, 0, packet, buffer);
    static const uint8_t renumbered[] = { 0xc1, 0x00, 0x06 };
    assert_int_equal(descriptor.size, sizeof(renumbered));
    assert_memory_equal(descriptor.data, renumbered, sizeof(renumbered));
    // a picture of two packets is left out once
    assert_true(frame_ids_leave_out(&ids, packet));
    assert_false(frame_ids_leave_out(&ids, packet));
    info->picture_id = 1;
    assert_true(frame_ids_leave_out(&ids, packet));
    info->codec = CODEC_VP9;
    info->picture_id = 2;
    assert_false(frame_ids_leave_out(&ids, packet));
    packet_unref(packet);
    assert_int_equal(packet_pool_done(&pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures_lose_half_their_frames_before_their_size),
        cmocka_unit_test(test_screens_lose_frames_first),
        cmocka_unit_test(test_wishes_bound_the_steps),
        cmocka_unit_test(test_simulcast_layers_have_frame_rates_of_their_own),
        cmocka_unit_test(test_points_change_where_the_packet_allows_it),
        cmocka_unit_test(test_late_packets_are_judged_by_their_time),
        cmocka_unit_test(test_ids_follow_each_other_over_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
