#include "support/check.h"

#include <errno.h>

#include "proto/rtp/red.h"
#include "proto/rtp/rtcp.h"
#include "proto/rtp/rtx.h"

static struct rtcp_packet only_packet(const uint8_t *data, size_t size)
{
    struct reader reader = reader_of(data, size);
    struct rtcp_packet packet;
    struct rtcp_packet none;
    assert_int_equal(rtcp_next(&reader, &packet), 1);
    assert_int_equal(rtcp_next(&reader, &none), 0);
    return packet;
}

// RFC 3550, 6.4.1: an SR with one report block, byte by byte
static void test_sender_report_follows_the_figure_of_rfc_3550(void **state)
{
    (void)state;
    static const uint8_t wire[] = {
        0x81, 200,  0,    12,   0x11, 0x22, 0x33, 0x44, // V=2 RC=1 PT=200, SSRC of sender
        0xe1, 0xe2, 0xe3, 0xe4, 0x80, 0x00, 0x00, 0x00, // NTP
        0x00, 0x01, 0x5f, 0x90,                         // RTP timestamp 90000
        0x00, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x04, 0xd2, // packets, octets
        0x55, 0x66, 0x77, 0x88,                         // SSRC_1
        0x40, 0xff, 0xff, 0xfe,                         // 64/256 lost, -2 in all
        0x00, 0x01, 0x00, 0x07, 0x00, 0x00, 0x00, 0x2a, // highest, jitter
        0xe3, 0xe4, 0x80, 0x00, 0x00, 0x01, 0x80, 0x00, // LSR, DLSR 1.5 s
    };
    struct rtcp_packet packet = only_packet(wire, sizeof(wire));
    assert_int_equal(packet.type, RTCP_SENDER_REPORT);
    struct rtcp_sender_info info;
    assert_int_equal(rtcp_sender_report_parse(&packet, &info), 0);
    assert_int_equal(info.ssrc, 0x11223344);
    assert_true(info.ntp == 0xe1e2e3e480000000);
    assert_int_equal(info.rtp_timestamp, 90000);
    assert_int_equal(info.packet_count, 10);
    assert_int_equal(info.octet_count, 1234);
    struct rtcp_report_block block;
    assert_int_equal(rtcp_report_block_parse(&packet, 0, &block), 0);
    assert_int_equal(block.ssrc, 0x55667788);
    assert_int_equal(block.fraction_lost, 64);
    assert_int_equal(block.cumulative_lost, -2);
    assert_int_equal(block.highest_sequence, 0x10007);
    assert_int_equal(block.jitter, 42);
    assert_int_equal(block.delay_since_last, 0x18000);
    assert_int_equal(rtcp_report_block_parse(&packet, 1, &block), -EBADMSG);

    uint8_t out[sizeof(wire)];
    struct writer writer = writer_of(out, sizeof(out));
    rtcp_sender_report_write(&writer, &info, &block, 1);
    assert_false(writer.failed);
    assert_int_equal(writer.size, sizeof(wire));
    assert_memory_equal(out, wire, sizeof(wire));
}

static void test_compound_is_read_packet_by_packet(void **state)
{
    (void)state;
    uint8_t data[256];
    struct writer writer = writer_of(data, sizeof(data));
    rtcp_receiver_report_write(&writer, 7, NULL, 0);
    rtcp_cname_write(&writer, 7, bytes_of_text("roost"));
    rtcp_pli_write(&writer, 7, 9);
    rtcp_fir_write(&writer, 7, 9, 200);
    uint32_t ssrcs[] = { 7, 8 };
    rtcp_bye_write(&writer, ssrcs, 2);
    assert_false(writer.failed);

    struct reader reader = reader_of(data, writer.size);
    struct rtcp_packet packet;
    assert_int_equal(rtcp_next(&reader, &packet), 1);
    uint32_t ssrc;
    assert_int_equal(rtcp_reporter_parse(&packet, &ssrc), 0);
    assert_int_equal(ssrc, 7);
    assert_int_equal(rtcp_next(&reader, &packet), 1);
    struct bytes cname;
    assert_int_equal(rtcp_cname_parse(&packet, &ssrc, &cname), 0);
    assert_true(bytes_equal(cname, bytes_of_text("roost")));
    assert_int_equal(rtcp_next(&reader, &packet), 1);
    assert_int_equal(packet.type, RTCP_PAYLOAD_FEEDBACK);
    assert_int_equal(packet.count, RTCP_PAYLOAD_PLI);
    struct rtcp_feedback feedback;
    assert_int_equal(rtcp_feedback_parse(&packet, &feedback), 0);
    assert_int_equal(feedback.media_ssrc, 9);
    assert_int_equal(rtcp_next(&reader, &packet), 1);
    assert_int_equal(packet.count, RTCP_PAYLOAD_FIR);
    assert_int_equal(rtcp_feedback_parse(&packet, &feedback), 0);
    size_t at = 0;
    uint8_t command;
    assert_true(rtcp_fir_next(feedback.control, &at, &ssrc, &command));
    assert_int_equal(ssrc, 9);
    assert_int_equal(command, 200);
    assert_false(rtcp_fir_next(feedback.control, &at, &ssrc, &command));
    assert_int_equal(rtcp_next(&reader, &packet), 1);
    assert_int_equal(rtcp_bye_parse(&packet, 1, &ssrc), 0);
    assert_int_equal(ssrc, 8);
    assert_int_equal(rtcp_bye_parse(&packet, 2, &ssrc), -ENOENT);
    assert_int_equal(rtcp_next(&reader, &packet), 0);
}

static void test_cname_is_found_behind_other_chunks_and_items(void **state)
{
    (void)state;
    static const uint8_t wire[] = {
        0x82, 202, 0, 6, 0, 0, 0,   1,   2, 3, 'B', 'o', 'b', 0, 0, 0, // NAME, end, padding
        0,    0,   0, 2, 1, 2, 'h', 'i', 0, 0, 0,   0,
    };
    struct rtcp_packet packet = only_packet(wire, sizeof(wire));
    uint32_t ssrc;
    struct bytes cname;
    assert_int_equal(rtcp_cname_parse(&packet, &ssrc, &cname), 0);
    assert_int_equal(ssrc, 2);
    assert_true(bytes_equal(cname, bytes_of_text("hi")));
}

static void test_cname_always_ends_with_a_zero(void **state)
{
    (void)state;
    // RFC 3550, 6.5: at least one, also when the text fills its word
    for (size_t length = 0; length <= 4; length++) {
        uint8_t data[64];
        struct writer writer = writer_of(data, sizeof(data));
        rtcp_cname_write(&writer, 1, bytes_of("abcd", length));
        assert_int_equal(writer.size, length < 2 ? 12 : 16);
        assert_int_equal(data[writer.size - 1], 0);
        struct rtcp_packet packet = only_packet(data, writer.size);
        uint32_t ssrc;
        struct bytes cname;
        assert_int_equal(rtcp_cname_parse(&packet, &ssrc, &cname), 0);
        assert_int_equal(cname.size, length);
    }
}

static void test_broken_compounds_are_refused(void **state)
{
    (void)state;
    struct rtcp_packet packet;
    uint8_t data[] = { 0x80, 201, 0, 1, 0, 0, 0, 7 };
    struct reader reader = reader_of(data, sizeof(data));
    assert_int_equal(rtcp_next(&reader, &packet), 1);
    reader = reader_of(data, 7); // cut short
    assert_int_equal(rtcp_next(&reader, &packet), -EBADMSG);
    assert_int_equal(rtcp_next(&reader, &packet), -EBADMSG);
    data[0] = 0x40;
    reader = reader_of(data, sizeof(data)); // version 1
    assert_int_equal(rtcp_next(&reader, &packet), -EBADMSG);
    data[0] = 0xa0;
    reader = reader_of(data, sizeof(data)); // padding of 7
    assert_int_equal(rtcp_next(&reader, &packet), -EBADMSG);
    data[7] = 4;
    reader = reader_of(data, sizeof(data));
    assert_int_equal(rtcp_next(&reader, &packet), 1);
    assert_int_equal(packet.body.size, 0);
    data[0] = 0x80;
    data[1] = 96; // RTP
    reader = reader_of(data, sizeof(data));
    assert_int_equal(rtcp_next(&reader, &packet), -EBADMSG);
}

static void test_nack_packs_seventeen_numbers_in_four_bytes(void **state)
{
    (void)state;
    uint8_t data[64];
    struct writer writer = writer_of(data, sizeof(data));
    uint16_t lost[] = { 65530, 65531, 65535, 3, 10, 11, 500 };
    assert_int_equal(rtcp_nack_write(&writer, 1, 2, lost, 7), 7);
    // RFC 4585, 6.2.1: PID and BLP, where bit 0 is PID + 1
    static const uint8_t pairs[] = { 0xff, 0xfa, 0x81, 0x11, 0, 11, 0, 0, 0x01, 0xf4, 0, 0 };
    assert_int_equal(writer.size, 12 + sizeof(pairs));
    assert_memory_equal(data + 12, pairs, sizeof(pairs));
    struct rtcp_packet packet = only_packet(data, writer.size);
    assert_int_equal(packet.count, RTCP_TRANSPORT_NACK);
    struct rtcp_feedback feedback;
    assert_int_equal(rtcp_feedback_parse(&packet, &feedback), 0);
    struct rtcp_nack_cursor cursor = { 0 };
    uint16_t sequence;
    for (size_t i = 0; i < 7; i++) {
        assert_true(rtcp_nack_next(feedback.control, &cursor, &sequence));
        assert_int_equal(sequence, lost[i]);
    }
    assert_false(rtcp_nack_next(feedback.control, &cursor, &sequence));
}

static void test_nack_that_does_not_fit_says_how_far_it_came(void **state)
{
    (void)state;
    uint8_t data[20]; // two pairs
    struct writer writer = writer_of(data, sizeof(data));
    uint16_t lost[] = { 100, 200, 300, 400 };
    assert_int_equal(rtcp_nack_write(&writer, 1, 2, lost, 4), 2);
    assert_int_equal(writer.size, 20);
    assert_int_equal(rtcp_nack_write(&writer, 1, 2, lost + 2, 2), 0);
    assert_false(writer.failed);
}

static void test_writers_write_whole_packets_or_nothing(void **state)
{
    (void)state;
    uint8_t data[20];
    struct writer writer = writer_of(data, sizeof(data));
    rtcp_pli_write(&writer, 1, 2);
    assert_int_equal(writer.size, 12);
    rtcp_pli_write(&writer, 1, 2);
    assert_true(writer.failed);
    assert_int_equal(writer.size, 12);
}

static void test_remb_keeps_eighteen_bits_of_the_rate(void **state)
{
    (void)state;
    uint8_t data[64];
    uint32_t ssrcs[] = { 5, 6 };
    struct writer writer = writer_of(data, sizeof(data));
    rtcp_remb_write(&writer, 1, 2500000, ssrcs, 2);
    struct rtcp_packet packet = only_packet(data, writer.size);
    struct rtcp_feedback feedback;
    struct rtcp_remb remb;
    assert_int_equal(rtcp_feedback_parse(&packet, &feedback), 0);
    assert_int_equal(rtcp_remb_parse(feedback.control, &remb), 0);
    assert_true(remb.bitrate_bps <= 2500000 && remb.bitrate_bps > 2500000 - 16);
    assert_int_equal(remb.ssrc_count, 2);
    assert_int_equal(load_u32(remb.ssrcs + 4), 6);
    // the largest exponent must not shift bits out
    static const uint8_t huge[] = { 'R', 'E', 'M', 'B', 0, 0xff, 0xff, 0xff };
    assert_int_equal(rtcp_remb_parse(bytes_of(huge, 8), &remb), 0);
    assert_true(remb.bitrate_bps == UINT64_MAX);
    assert_int_equal(rtcp_remb_parse(bytes_of("XXXX1234", 8), &remb), -ENOENT);
    assert_int_equal(rtcp_remb_parse(bytes_of("REMB\1\0\0\0", 8), &remb), -EBADMSG);
}

static void test_extended_reports_round_trip(void **state)
{
    (void)state;
    uint8_t data[64];
    struct writer writer = writer_of(data, sizeof(data));
    rtcp_receiver_reference_write(&writer, 3, 0x1122334455667788);
    rtcp_dlrr_write(&writer, 3, 4, 0x33445566, 0x8000);
    struct reader reader = reader_of(data, writer.size);
    struct rtcp_packet packet;
    struct rtcp_xr_block block;
    assert_int_equal(rtcp_next(&reader, &packet), 1);
    size_t at = 0;
    assert_true(rtcp_xr_next(&packet, &at, &block));
    assert_int_equal(block.type, RTCP_XR_RECEIVER_REFERENCE_TIME);
    assert_true(load_u64(block.body.data) == 0x1122334455667788);
    assert_false(rtcp_xr_next(&packet, &at, &block));
    assert_int_equal(rtcp_next(&reader, &packet), 1);
    at = 0;
    assert_true(rtcp_xr_next(&packet, &at, &block));
    uint32_t ssrc;
    uint32_t last_report;
    uint32_t delay;
    size_t sub = 0;
    assert_true(rtcp_dlrr_next(block.body, &sub, &ssrc, &last_report, &delay));
    assert_int_equal(ssrc, 4);
    assert_int_equal(last_report, 0x33445566);
    assert_int_equal(delay, 0x8000);
}

static void test_rtx_restores_the_original_packet(void **state)
{
    (void)state;
    // with an extension, which moves along with the header
    uint8_t data[] = { 0x90, 0x80 | 97, 0, 9,    0,    0, 0, 5,    0,    0,   0,   77, 0xbe,
                       0xde, 0,         1, 0x10, 0xaa, 0, 0, 0x12, 0x34, 'a', 'b', 'c' };
    uint8_t *restored;
    size_t size;
    assert_int_equal(rtx_restore(data, sizeof(data), 42, 96, &restored, &size), 0);
    struct rtp_packet packet;
    assert_int_equal(rtp_packet_parse(restored, size, &packet), 0);
    assert_int_equal(packet.sequence, 0x1234);
    assert_int_equal(packet.ssrc, 42);
    assert_int_equal(packet.payload_type, 96);
    assert_true(packet.marker);
    assert_int_equal(packet.timestamp, 5);
    assert_int_equal(packet.extension_size, 4);
    assert_true(bytes_equal(rtp_packet_payload(&packet), bytes_of_text("abc")));
}

static void test_rtx_without_payload_is_padding_not_an_error(void **state)
{
    (void)state;
    uint8_t data[] = { 0xa0, 97, 0, 9, 0, 0, 0, 5, 0, 0, 0, 77, 0, 0, 0, 4 };
    uint8_t *restored;
    size_t size;
    assert_int_equal(rtx_restore(data, sizeof(data), 42, 96, &restored, &size), -ENODATA);
}

// RFC 2198, 5: one redundant block and the primary
static void test_red_follows_rfc_2198(void **state)
{
    (void)state;
    // F=1 PT=111 offset=960 length=2 | F=0 PT=111
    static const uint8_t wire[] = { 0xef, 0x0f, 0x00, 0x02, 0x6f, 'o', 'l', 'n', 'e', 'w' };
    struct red_payload red;
    assert_int_equal(red_parse(bytes_of(wire, sizeof(wire)), &red), 0);
    assert_int_equal(red.count, 2);
    assert_int_equal(red.blocks[0].payload_type, 111);
    assert_int_equal(red.blocks[0].timestamp_offset, 960);
    assert_true(bytes_equal(red.blocks[0].data, bytes_of_text("ol")));
    assert_true(red.blocks[1].primary);
    assert_true(bytes_equal(red.blocks[1].data, bytes_of_text("new")));
    assert_int_equal(red_parse(bytes_of(wire, 6), &red), -EBADMSG);
    assert_int_equal(red_parse(bytes_of(wire, 4), &red), -EBADMSG);
    assert_int_equal(red_parse(bytes_of(wire, 0), &red), -EBADMSG);
}

static void test_red_is_written_as_it_is_read(void **state)
{
    (void)state;
    static const uint8_t sound[3][5] = { { 1, 1, 1, 1, 1 }, { 2, 2, 2, 2, 2 }, { 3, 3, 3, 3, 3 } };
    struct red_payload payload = {
        .count = 3,
        .blocks = { { 111, false, 1920, bytes_of(sound[0], 5) },
                    { 111, false, 960, bytes_of(sound[1], 4) },
                    { 111, true, 0, bytes_of(sound[2], 3) } },
    };
    uint8_t bytes[64];
    assert_int_equal(red_write(&payload, bytes, 20), -EMSGSIZE);
    assert_int_equal(red_write(&payload, bytes, sizeof(bytes)), 21);
    red_set_payload_type(bytes, 21, 96);
    struct red_payload parsed;
    assert_int_equal(red_parse(bytes_of(bytes, 21), &parsed), 0);
    assert_int_equal(parsed.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(parsed.blocks[i].payload_type, 96);
        assert_int_equal(parsed.blocks[i].timestamp_offset, payload.blocks[i].timestamp_offset);
        assert_true(bytes_equal(parsed.blocks[i].data, payload.blocks[i].data));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sender_report_follows_the_figure_of_rfc_3550),
        cmocka_unit_test(test_compound_is_read_packet_by_packet),
        cmocka_unit_test(test_cname_is_found_behind_other_chunks_and_items),
        cmocka_unit_test(test_cname_always_ends_with_a_zero),
        cmocka_unit_test(test_broken_compounds_are_refused),
        cmocka_unit_test(test_nack_packs_seventeen_numbers_in_four_bytes),
        cmocka_unit_test(test_nack_that_does_not_fit_says_how_far_it_came),
        cmocka_unit_test(test_writers_write_whole_packets_or_nothing),
        cmocka_unit_test(test_remb_keeps_eighteen_bits_of_the_rate),
        cmocka_unit_test(test_extended_reports_round_trip),
        cmocka_unit_test(test_rtx_restores_the_original_packet),
        cmocka_unit_test(test_rtx_without_payload_is_padding_not_an_error),
        cmocka_unit_test(test_red_follows_rfc_2198),
        cmocka_unit_test(test_red_is_written_as_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
