#include "support/check.h"

#include <errno.h>

#include "media/payload.h"

#define INSPECT(id, marker, info, ...)                                                             \
    payload_inspect(                                                                               \
        codec_get(id),                                                                             \
        bytes_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })),      \
        marker, info)

// RFC 7741, 4.2: X, S, PID 0; I and L and T; a 15-bit picture id; RFC 6386, 9.1: a key frame
static void test_vp8_key_frame_with_all_fields(void **state)
{
    (void)state;
    struct payload_info info;
    assert_int_equal(INSPECT(CODEC_VP8, false, &info, 0x90, 0xf0, 0x92, 0x34, 0x07, 0x65, 0x10,
                             0x02, 0x00, 0x9d, 0x01, 0x2a, 0x81, 0x42, 0x69, 0x81),
                     0);
    assert_true(info.frame_start);
    assert_false(info.layer_end);
    assert_true(info.key_frame_start);
    assert_int_equal(info.picture_id, 0x1234);
    assert_int_equal(info.picture_id_bits, 15);
    assert_int_equal(info.picture_id_at, 2);
    assert_int_equal(info.tl0_picture_index, 7);
    assert_int_equal(info.tl0_at, 4);
    assert_true(info.has_layers);
    assert_int_equal(info.temporal_id, 1);
    assert_true(info.layer_sync);
    assert_int_equal(info.width, 641); // without the two bits of scale
    assert_int_equal(info.height, 361);
}

static void test_vp8_delta_frames_and_continuations(void **state)
{
    (void)state;
    struct payload_info info;
    // first packet of a delta frame, without extension
    assert_int_equal(INSPECT(CODEC_VP8, true, &info, 0x10, 0x31), 0);
    assert_true(info.frame_start);
    assert_true(info.layer_end);
    assert_false(info.key_frame_start);
    assert_false(info.has_picture_id);
    assert_int_equal(info.picture_id_at, PAYLOAD_NONE);
    // 7-bit picture id
    assert_int_equal(INSPECT(CODEC_VP8, false, &info, 0xb0, 0x80, 0x11, 0x01), 0);
    assert_int_equal(info.picture_id_bits, 7);
    assert_int_equal(info.picture_id, 0x11);
    // S of partition 1 does not start a frame; what looks like a key frame bit is payload
    assert_int_equal(INSPECT(CODEC_VP8, false, &info, 0x11, 0x00), 0);
    assert_false(info.frame_start);
    assert_false(info.key_frame_start);
}

static void test_vp8_cut_short_is_refused(void **state)
{
    (void)state;
    struct payload_info info;
    assert_int_equal(INSPECT(CODEC_VP8, false, &info, 0x10), -EBADMSG);
    assert_int_equal(INSPECT(CODEC_VP8, false, &info, 0x90), -EBADMSG);
    assert_int_equal(INSPECT(CODEC_VP8, false, &info, 0x90, 0x80, 0x81), -EBADMSG);
    assert_int_equal(INSPECT(CODEC_VP8, false, &info, 0x90, 0xf0, 0x92, 0x34, 0x07, 0x65),
                     -EBADMSG);
    assert_int_equal(payload_inspect(codec_get(CODEC_VP8), bytes_of("", 0), false, &info),
                     -ENODATA);
}

// RFC 9628, 4.2: I L B V, 15-bit picture id, layer indices, TL0PICIDX, a scalability structure
static void test_vp9_key_picture_with_scalability_structure(void **state)
{
    (void)state;
    struct payload_info info;
    assert_int_equal(INSPECT(CODEC_VP9, false, &info, 0xaa, 0x81, 0x02, 0x10, 0x2a, 0x38, //
                             0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68, // two sizes
                             0x02, 0x04, 0x01, 0x18, 0x01, 0x02,             // two pictures
                             0x86),
                     0);
    assert_true(info.key_frame_start);
    assert_true(info.frame_start);
    assert_false(info.layer_end);
    assert_int_equal(info.picture_id, 0x102);
    assert_int_equal(info.picture_id_at, 1);
    assert_int_equal(info.tl0_picture_index, 0x2a);
    assert_int_equal(info.tl0_at, 4);
    assert_int_equal(info.spatial_id, 0);
    assert_true(info.layer_sync);
    assert_int_equal(info.width, 640);
    assert_int_equal(info.height, 360);
}

static void test_vp9_upper_layers_do_not_begin_a_picture(void **state)
{
    (void)state;
    struct payload_info info;
    // L B E, SID 1 with inter-layer prediction, no inter-picture prediction
    assert_int_equal(INSPECT(CODEC_VP9, true, &info, 0x2c, 0x03, 0x2a, 0x00), 0);
    assert_true(info.layer_end);
    assert_false(info.frame_start);
    assert_false(info.key_frame_start);
    assert_int_equal(info.spatial_id, 1);
}

static void test_vp9_flexible_mode_lists_references(void **state)
{
    (void)state;
    struct payload_info info;
    // I P L F B: no TL0PICIDX, three P_DIFF
    assert_int_equal(INSPECT(CODEC_VP9, false, &info, 0xf8, 0x05, 0x40, 0x03, 0x05, 0x06, 0x00), 0);
    assert_true(info.inter_picture);
    assert_false(info.key_frame_start);
    assert_false(info.has_tl0);
    assert_int_equal(info.temporal_id, 2);
    // four are not allowed, nor is one that is missing
    assert_int_equal(
        INSPECT(CODEC_VP9, false, &info, 0xf8, 0x05, 0x40, 0x03, 0x05, 0x07, 0x08, 0x00), -EBADMSG);
    assert_int_equal(INSPECT(CODEC_VP9, false, &info, 0xf8, 0x05, 0x40, 0x03), -EBADMSG);
}

static void test_h264_single_units(void **state)
{
    (void)state;
    struct payload_info info;
    assert_int_equal(INSPECT(CODEC_H264, true, &info, 0x65, 0x88), 0); // IDR, first_mb 0
    assert_true(info.frame_start && info.layer_end && info.key_frame_start);
    assert_int_equal(INSPECT(CODEC_H264, true, &info, 0x65, 0x40), 0); // a later slice
    assert_false(info.frame_start || info.key_frame_start);
    assert_int_equal(INSPECT(CODEC_H264, true, &info, 0x01, 0x9a), 0); // P, nal_ref_idc 0
    assert_true(info.frame_start && info.layer_end);
    assert_false(info.key_frame_start);
    assert_int_equal(INSPECT(CODEC_H264, false, &info, 0x41, 0x9a), 0);
    assert_false(info.layer_end);
    assert_int_equal(INSPECT(CODEC_H264, false, &info, 0x67, 0x42, 0xe0, 0x1f), 0); // SPS
    assert_true(info.key_frame_start);
}

// RFC 6184, 5.7.1 and 5.8
static void test_h264_aggregated_and_fragmented_units(void **state)
{
    (void)state;
    struct payload_info info;
    // STAP-A of SPS and PPS, as browsers begin a key frame
    assert_int_equal(
        INSPECT(CODEC_H264, false, &info, 0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 2, 0x68, 0xce), 0);
    assert_true(info.frame_start && info.key_frame_start);
    // FU-A: start of an IDR, its middle, its end
    assert_int_equal(INSPECT(CODEC_H264, false, &info, 0x7c, 0x85, 0x88, 0x84), 0);
    assert_true(info.frame_start && info.key_frame_start);
    assert_int_equal(INSPECT(CODEC_H264, false, &info, 0x7c, 0x05, 0x88), 0);
    assert_false(info.frame_start || info.key_frame_start);
    assert_int_equal(INSPECT(CODEC_H264, true, &info, 0x7c, 0x45, 0x88), 0);
    assert_true(info.layer_end);
    assert_int_equal(INSPECT(CODEC_H264, false, &info, 0x5c, 0x81, 0x9a), 0); // P
    assert_true(info.frame_start);
    assert_false(info.key_frame_start);
}

static void test_h264_forms_not_negotiated_are_refused(void **state)
{
    (void)state;
    struct payload_info info;
    static const uint8_t types[] = { 0, 25, 26, 27, 29, 30, 31 };
    for (size_t i = 0; i < array_size(types); i++)
        assert_int_equal(INSPECT(CODEC_H264, false, &info, types[i], 1, 2, 3), -EBADMSG);
    assert_int_equal(INSPECT(CODEC_H264, false, &info, 0x78), -EBADMSG);
    assert_int_equal(INSPECT(CODEC_H264, false, &info, 0x78, 0, 5, 0x67), -EBADMSG);
    assert_int_equal(INSPECT(CODEC_H264, false, &info, 0x78, 0, 0), -EBADMSG);
    assert_int_equal(INSPECT(CODEC_H264, false, &info, 0x7c, 0x85), -EBADMSG);
}

static void test_av1_aggregation_header(void **state)
{
    (void)state;
    struct payload_info info;
    // W=2 N: a sequence header with its length and a frame to the end
    assert_int_equal(INSPECT(CODEC_AV1, true, &info, 0x28, 0x02, 0x08, 0xaa, 0x30, 0x11), 0);
    assert_true(info.key_frame_start && info.frame_start && info.layer_end);
    // Z Y W=1: the middle of an OBU, whose bytes are not looked at
    assert_int_equal(INSPECT(CODEC_AV1, false, &info, 0xd0, 0x0a, 0x0b), 0);
    assert_false(info.frame_start || info.key_frame_start);
    // W=0: every element with its length; a frame of temporal layer 1, spatial layer 2
    assert_int_equal(INSPECT(CODEC_AV1, false, &info, 0x00, 0x03, 0x34, 0x30, 0x55), 0);
    assert_true(info.frame_start && info.has_layers);
    assert_int_equal(info.temporal_id, 1);
    assert_int_equal(info.spatial_id, 2);
    // a tile group continues a frame
    assert_int_equal(INSPECT(CODEC_AV1, false, &info, 0x10, 0x20, 0x00), 0);
    assert_false(info.frame_start);
    // N in the middle of an OBU, a length beyond the end, a length without end, nothing
    assert_int_equal(INSPECT(CODEC_AV1, false, &info, 0x98, 0x0a), -EBADMSG);
    assert_int_equal(INSPECT(CODEC_AV1, false, &info, 0x00, 0x09, 0x34), -EBADMSG);
    assert_int_equal(INSPECT(CODEC_AV1, false, &info, 0x00, 0xff, 0xff), -EBADMSG);
    assert_int_equal(INSPECT(CODEC_AV1, false, &info, 0x10), -EBADMSG);
}

static void test_every_opus_packet_may_be_the_first(void **state)
{
    (void)state;
    struct payload_info info;
    assert_int_equal(INSPECT(CODEC_OPUS, false, &info, 0x78, 1, 2), 0);
    assert_true(info.frame_start && info.layer_end && info.key_frame_start);
}

static void test_codecs_are_found_as_sdp_writes_them(void **state)
{
    (void)state;
    assert_ptr_equal(codec_find(CODEC_AUDIO, bytes_of_text("OPUS"), 48000, 2),
                     codec_get(CODEC_OPUS));
    assert_null(codec_find(CODEC_AUDIO, bytes_of_text("opus"), 48000, 1));
    assert_null(codec_find(CODEC_AUDIO, bytes_of_text("VP8"), 90000, 0));
    assert_ptr_equal(codec_find(CODEC_VIDEO, bytes_of_text("vp8"), 90000, 0), codec_get(CODEC_VP8));
    assert_null(codec_find(CODEC_VIDEO, bytes_of_text("vp8"), 8000, 0));
    assert_int_equal(codec_feedback_find(bytes_of_text("nack pli")), CODEC_FEEDBACK_PLI);
    assert_int_equal(codec_feedback_find(bytes_of_text("nack sli")), 0);
}

static void test_fmtp_values_are_found_by_whole_names(void **state)
{
    (void)state;
    struct bytes fmtp = bytes_of_text("max-fr=30; Profile-Id=2;flag ;x=");
    struct bytes value;
    assert_true(codec_fmtp_get(fmtp, "profile-id", &value));
    assert_true(text_equal(value, "2"));
    assert_true(codec_fmtp_get(fmtp, "flag", &value));
    assert_int_equal(value.size, 0);
    assert_false(codec_fmtp_get(fmtp, "profile", &value));
    assert_false(codec_fmtp_get(fmtp, "fr", &value));
}

static bool h264_works(const char *sent, const char *received)
{
    return codec_compatible(codec_get(CODEC_H264), bytes_of_text(sent), bytes_of_text(received));
}

static void test_h264_profiles_decide_who_receives_whom(void **state)
{
    (void)state;
    const struct codec *h264 = codec_get(CODEC_H264);
    assert_true(codec_accepts(h264, bytes_of_text("packetization-mode=1;profile-level-id=42e01f")));
    assert_false(
        codec_accepts(h264, bytes_of_text("packetization-mode=0;profile-level-id=42e01f")));
    assert_false(codec_accepts(h264, bytes_of_text("profile-level-id=42e01f")));
    assert_false(
        codec_accepts(h264, bytes_of_text("packetization-mode=1;profile-level-id=f4001f")));
    assert_false(codec_accepts(h264, bytes_of_text("packetization-mode=1;profile-level-id=42e0")));
    assert_true(h264_works("profile-level-id=42e01f", "profile-level-id=640c1f"));
    assert_true(h264_works("profile-level-id=42001f", "profile-level-id=42e01f"));
    assert_true(h264_works("profile-level-id=4d001f", "profile-level-id=640c1f"));
    assert_false(h264_works("profile-level-id=640c1f", "profile-level-id=42e01f"));
    assert_false(h264_works("profile-level-id=4d001f", "profile-level-id=42001f"));
    assert_false(h264_works("profile-level-id=64001f", "profile-level-id=640c1f"));
}

static void test_answers_repeat_only_what_both_sides_share(void **state)
{
    (void)state;
    static const struct {
        enum codec_id codec;
        const char *offered;
        const char *answered;
    } rows[] = {
        { CODEC_OPUS, "minptime=10;useinbandfec=1", "minptime=10;useinbandfec=1" },
        { CODEC_VP8, "max-fs=12288;max-fr=60", "" },
        { CODEC_VP9, "max-fs=12288;profile-id=2", "profile-id=2" },
        { CODEC_VP9, "max-fs=12288;max-fr=60", "" },
        { CODEC_H264,
          "profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1;"
          "sprop-parameter-sets=Z0LgH9o=;max-mbps=1",
          "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f" },
        { CODEC_H264, "packetization-mode=1", "packetization-mode=1" },
        { CODEC_AV1, "level-idx=5;profile=0;tier=0", "level-idx=5;profile=0;tier=0" },
    };
    for (size_t i = 0; i < array_size(rows); i++) {
        char text[256];
        struct text_builder builder = text_builder_of(text, sizeof(text));
        codec_answer(codec_get(rows[i].codec), bytes_of_text(rows[i].offered), &builder);
        assert_string_equal(text, rows[i].answered);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vp8_key_frame_with_all_fields),
        cmocka_unit_test(test_vp8_delta_frames_and_continuations),
        cmocka_unit_test(test_vp8_cut_short_is_refused),
        cmocka_unit_test(test_vp9_key_picture_with_scalability_structure),
        cmocka_unit_test(test_vp9_upper_layers_do_not_begin_a_picture),
        cmocka_unit_test(test_vp9_flexible_mode_lists_references),
        cmocka_unit_test(test_h264_single_units),
        cmocka_unit_test(test_h264_aggregated_and_fragmented_units),
        cmocka_unit_test(test_h264_forms_not_negotiated_are_refused),
        cmocka_unit_test(test_av1_aggregation_header),
        cmocka_unit_test(test_every_opus_packet_may_be_the_first),
        cmocka_unit_test(test_codecs_are_found_as_sdp_writes_them),
        cmocka_unit_test(test_fmtp_values_are_found_by_whole_names),
        cmocka_unit_test(test_h264_profiles_decide_who_receives_whom),
        cmocka_unit_test(test_answers_repeat_only_what_both_sides_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
