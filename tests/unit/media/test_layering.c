// To which operating points frames belong, by what their descriptors say.
#include "support/check.h"

#include <errno.h>

#include "media/layering.h"

static struct media_layers vp8(struct media_layering *layering, uint8_t temporal, bool sync,
                               bool key, uint32_t timestamp)
{
    struct payload_info payload = { .frame_start = true,
                                    .has_layers = true,
                                    .temporal_id = temporal,
                                    .layer_sync = sync,
                                    .key_frame_start = key };
    struct media_layers layers;
    media_layering_read(layering, CODEC_VP8, &payload, bytes_of(NULL, 0), timestamp, &layers);
    return layers;
}

static void test_vp8_goes_up_where_a_layer_refers_to_the_base(void **state)
{
    (void)state;
    struct media_layering layering = { 0 };
    struct media_layers layers = vp8(&layering, 0, false, true, 1);
    assert_int_equal(layers.points, MEDIA_POINTS_ALL);
    assert_int_equal(layers.starts, MEDIA_POINTS_ALL);
    assert_true(layers.picture_start);
    layers = vp8(&layering, 2, true, false, 2);
    assert_int_equal(layers.points, 1 << 2 | 1 << 5 | 1 << 8);
    assert_int_equal(layers.starts, 0);
    assert_int_equal(layers.up_from, 1);
    assert_int_equal(layers.up_to, 2);
    layers = vp8(&layering, 1, true, false, 3);
    assert_int_equal(layers.up_from, 0);
    assert_int_equal(layers.up_to, 1);
    // a second packet of the same picture begins none
    assert_false(vp8(&layering, 1, true, false, 3).picture_start);
    assert_int_equal(vp8(&layering, 1, false, false, 4).up_to, 0);
    // of two layers, the second is the top
    layering = (struct media_layering){ 0 };
    vp8(&layering, 0, false, true, 1);
    assert_int_equal(vp8(&layering, 1, true, false, 2).up_to, 2);
}

static struct media_layers vp9(struct media_layering *layering, uint8_t spatial, bool key,
                               bool not_for_upper)
{
    struct payload_info payload = { .frame_start = spatial == 0,
                                    .layer_end = true,
                                    .has_layers = true,
                                    .spatial_id = spatial,
                                    .inter_picture = !key,
                                    .key_frame_start = key && spatial == 0,
                                    .spatial_layers = key && spatial == 0 ? 2 : 0,
                                    .not_for_upper = not_for_upper };
    struct media_layers layers;
    media_layering_read(layering, CODEC_VP9, &payload, bytes_of(NULL, 0), 1, &layers);
    return layers;
}

static void test_vp9_spatial_layers_are_nested_or_apart(void **state)
{
    (void)state;
    struct media_layering layering = { 0 };
    assert_int_equal(vp9(&layering, 0, true, false).points, MEDIA_POINTS_ALL);
    // of two, the second is the top: points above it are the same
    assert_int_equal(vp9(&layering, 1, true, true).points, 0x1f8);
    struct media_layers layers = vp9(&layering, 0, false, false);
    assert_int_equal(layers.points, MEDIA_POINTS_ALL);
    assert_true(layers.nested);
    // K-SVC: between key pictures nobody above needs the lower one
    layers = vp9(&layering, 0, false, true);
    assert_int_equal(layers.points, 0x007);
    assert_false(layers.nested);
    assert_int_equal(vp9(&layering, 1, false, true).points, 0x1f8);
}

static void test_what_says_nothing_belongs_to_all(void **state)
{
    (void)state;
    struct media_layering layering = { 0 };
    struct media_layers layers;
    media_layering_read(&layering, CODEC_H264, NULL, bytes_of(NULL, 0), 1, &layers);
    assert_int_equal(layers.points, MEDIA_POINTS_ALL);
    assert_int_equal(layers.starts, 0);
    // a descriptor that refers to a structure that never came
    static const uint8_t value[] = { 0xc1, 0x00, 0x05 };
    media_layering_read(&layering, CODEC_AV1, NULL, bytes_of(value, 3), 2, &layers);
    assert_int_equal(layers.points, MEDIA_POINTS_ALL);
    assert_false(layers.described);
}

/**
 * L1T2: key frame 7 with structure (target 0: T0, target 1: both), then T0 that refers to it, T1
 * that refers to that, T1 that refers to what was never seen.
 */
static void test_descriptors_tell_references(void **state)
{
    (void)state;
    struct media_layering layering = { 0 };
    struct media_layers layers;
    // templates T0 (S S), T1 (- D); no references, no chains, no resolutions
    static const uint8_t key[] = { 0xc0, 0x00, 0x07, 0x80, 0x01, 0x7a, 0x10 };
    media_layering_read(&layering, CODEC_AV1, NULL, bytes_of(key, sizeof(key)), 1, &layers);
    assert_true(layers.described);
    assert_true(layers.key_frame);
    assert_int_equal(layers.points, MEDIA_POINTS_ALL);
    assert_int_equal(layers.starts, MEDIA_POINTS_ALL);
    assert_int_equal(layers.follows, MEDIA_POINTS_ALL);
    // own references: one of 4 bits, one back
    static const uint8_t second[] = { 0xc1, 0x00, 0x08, 0x12, 0x00 };
    media_layering_read(&layering, CODEC_AV1, NULL, bytes_of(second, sizeof(second)), 2, &layers);
    assert_false(layers.key_frame);
    assert_int_equal(layers.temporal, 1);
    assert_int_equal(layers.points, 0x1b6);
    assert_int_equal(layers.follows, MEDIA_POINTS_ALL);
    // the next one goes back to frame 8, which base receivers do not have
    static const uint8_t third[] = { 0xc1, 0x00, 0x09, 0x12, 0x00 };
    media_layering_read(&layering, CODEC_AV1, NULL, bytes_of(third, sizeof(third)), 3, &layers);
    assert_int_equal(layers.follows, 0x1b6);
    static const uint8_t lost[] = { 0xc1, 0x00, 0x20, 0x12, 0x00 };
    media_layering_read(&layering, CODEC_AV1, NULL, bytes_of(lost, sizeof(lost)), 4, &layers);
    assert_int_equal(layers.follows, 0);
    struct media_targets targets;
    assert_true(media_targets_read(bytes_of(key, sizeof(key)), &targets));
    assert_int_equal(targets.count, 2);
    assert_int_equal(targets.active[media_point(0, 0)], 1);
    assert_int_equal(targets.active[MEDIA_POINT_BEST], 3);
    assert_false(media_targets_read(bytes_of(second, sizeof(second)), &targets));
}

/** K-SVC of two sizes, whose structure lists the larger target first. */
static void test_a_structure_breaks_no_point_whatever_its_order(void **state)
{
    (void)state;
    struct media_layering layering = { 0 };
    struct media_layers layers;
    // templates S0 (R S), S0 (- S), S1 (S -), S1 (S -); no references, no chains, no resolutions
    static const uint8_t key[] = { 0xc0, 0x00, 0x07, 0x80, 0x01, 0x23, 0xe2, 0x88, 0x00 };
    static const uint8_t low[] = { 0xc1, 0x00, 0x08 };
    for (uint32_t i = 0; i < 2; i++) { // a key frame says it again
        media_layering_read(&layering, CODEC_AV1, NULL, bytes_of(key, sizeof(key)), i, &layers);
        assert_true(layers.described);
        assert_false(layers.broken);
        assert_int_equal(layers.points, MEDIA_POINTS_ALL);
        media_layering_read(&layering, CODEC_AV1, NULL, bytes_of(low, sizeof(low)), i + 9, &layers);
        assert_int_equal(layers.points, 0x007);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vp8_goes_up_where_a_layer_refers_to_the_base),
        cmocka_unit_test(test_vp9_spatial_layers_are_nested_or_apart),
        cmocka_unit_test(test_what_says_nothing_belongs_to_all),
        cmocka_unit_test(test_descriptors_tell_references),
        cmocka_unit_test(test_a_structure_breaks_no_point_whatever_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
