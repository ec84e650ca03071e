#include "support/check.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/rtp/rewrite.h"
#include "proto/rtp/sequence.h"

static void test_fixed_header_is_read_by_field(void **state)
{
    (void)state;
    static const uint8_t data[] = { 0x80, 0xe0, 0x12, 0x34, 0xde, 0xad, 0xbe,
                                    0xef, 0x01, 0x02, 0x03, 0x04, 'h',  'i' };
    struct rtp_packet packet;
    assert_int_equal(rtp_packet_parse(data, sizeof(data), &packet), 0);
    assert_true(packet.marker);
    assert_int_equal(packet.payload_type, 96);
    assert_int_equal(packet.sequence, 0x1234);
    assert_int_equal(packet.timestamp, 0xdeadbeef);
    assert_int_equal(packet.ssrc, 0x01020304);
    assert_int_equal(packet.payload_at, 12);
    assert_memory_equal(rtp_packet_payload(&packet).data, "hi", 2);
    assert_int_equal(packet.payload_size, 2);
    assert_false(packet.has_extension);
}

static void test_csrcs_extension_and_padding_are_found(void **state)
{
    (void)state;
    static const uint8_t data[] = {
        0xb2, 0x60, 0,   1, 0,    0,    0, 2, 0, 0, 0, 3, // P, X, CC=2
        0,    0,    0,   7, 0,    0,    0, 8,             // CSRCs
        0xbe, 0xde, 0,   1, 0x10, 0xaa, 0, 0,             // one extension word
        'x',  'y',  'z', 0, 2,                            // payload, padding
    };
    struct rtp_packet packet;
    assert_int_equal(rtp_packet_parse(data, sizeof(data), &packet), 0);
    assert_int_equal(packet.csrc_count, 2);
    assert_int_equal(rtp_packet_csrc(&packet, 0), 7);
    assert_int_equal(rtp_packet_csrc(&packet, 1), 8);
    assert_int_equal(packet.extension_profile, RTP_EXTENSION_ONE_BYTE);
    assert_int_equal(packet.extension_at, 24);
    assert_int_equal(packet.extension_size, 4);
    assert_int_equal(packet.payload_at, 28);
    assert_int_equal(packet.payload_size, 3);
    assert_int_equal(packet.padding_size, 2);
}

static void test_impossible_packets_are_refused(void **state)
{
    (void)state;
    uint8_t data[20] = { 0x80, 96 };
    struct rtp_packet packet;
    assert_int_equal(rtp_packet_parse(data, 11, &packet), -EBADMSG);
    assert_int_equal(rtp_packet_parse(data, 12, &packet), 0);
    data[0] = 0x40; // version 1
    assert_int_equal(rtp_packet_parse(data, 20, &packet), -EBADMSG);
    data[0] = 0x83; // 3 CSRCs need 24 bytes
    assert_int_equal(rtp_packet_parse(data, 20, &packet), -EBADMSG);
    data[0] = 0x90; // extension of 2 words needs 24 bytes
    data[15] = 2;
    assert_int_equal(rtp_packet_parse(data, 20, &packet), -EBADMSG);
    data[0] = 0xa0; // padding of 0, of more than there is, of all there is
    assert_int_equal(rtp_packet_parse(data, 20, &packet), -EBADMSG);
    data[19] = 9;
    assert_int_equal(rtp_packet_parse(data, 20, &packet), -EBADMSG);
    data[19] = 8;
    assert_int_equal(rtp_packet_parse(data, 20, &packet), 0);
    assert_int_equal(packet.payload_size, 0);
    // a padding bit with nothing behind the header
    assert_int_equal(rtp_packet_parse(data, 12, &packet), -EBADMSG);
}

static void test_rtcp_is_told_by_its_second_byte(void **state)
{
    (void)state;
    assert_true(rtp_is_rtcp((uint8_t[]){ 0x80, 200 }));
    assert_true(rtp_is_rtcp((uint8_t[]){ 0x80, 223 }));
    assert_false(rtp_is_rtcp((uint8_t[]){ 0x80, 96 }));
    assert_false(rtp_is_rtcp((uint8_t[]){ 0x80, 0x80 | 96 }));
    assert_false(rtp_is_rtcp((uint8_t[]){ 0x80, 191 }));
}

static struct rtp_packet packet_with(uint8_t *data, uint16_t profile, const uint8_t *block,
                                     size_t size)
{
    memset(data, 0, 12);
    data[0] = 0x90;
    store_u16(data + 12, profile);
    store_u16(data + 14, (uint16_t)(size / 4));
    memcpy(data + 16, block, size);
    struct rtp_packet packet;
    assert_int_equal(rtp_packet_parse(data, 16 + size, &packet), 0);
    return packet;
}

// RFC 8285, figure of section 4.2: three elements with padding between them
static void test_one_byte_extensions_follow_rfc_8285(void **state)
{
    (void)state;
    static const uint8_t block[] = { 0x10, 0xa5, 0x21, 0x01, 0x02, 0x00,
                                     0x00, 0x33, 0x61, 0x62, 0x63, 0x64 };
    uint8_t data[64];
    struct rtp_packet packet = packet_with(data, RTP_EXTENSION_ONE_BYTE, block, sizeof(block));
    struct rtp_extension_map map = { 0 };
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_AUDIO_LEVEL, 1), 0);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_TRANSPORT_SEQUENCE, 2), 0);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_MID, 3), 0);
    struct rtp_extensions extensions;
    rtp_extensions_parse(&packet, &map, &extensions);
    uint8_t level;
    bool voice;
    assert_true(rtp_extensions_audio_level(&extensions, data, &level, &voice));
    assert_int_equal(level, 0x25);
    assert_true(voice);
    uint16_t sequence;
    assert_true(rtp_extensions_transport_sequence(&extensions, data, &sequence));
    assert_int_equal(sequence, 0x0102);
    struct bytes mid = rtp_extensions_get(&extensions, RTP_EXTENSION_MID, data);
    assert_true(bytes_equal(mid, bytes_of_text("abcd")));
    assert_false(rtp_extensions_has(&extensions, RTP_EXTENSION_RID));
}

static void test_two_byte_extensions_follow_rfc_8285(void **state)
{
    (void)state;
    static const uint8_t block[] = { 0x01, 0x00, 0x10, 0x01, 0x7f, 0x00,
                                     0x03, 0x04, 'a',  'b',  'c',  'd' };
    uint8_t data[64];
    struct rtp_packet packet = packet_with(data, 0x1000, block, sizeof(block));
    struct rtp_extension_map map = { 0 };
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_RID, 1), 0);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_AUDIO_LEVEL, 16), 0);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_MID, 3), 0);
    struct rtp_extensions extensions;
    rtp_extensions_parse(&packet, &map, &extensions);
    assert_true(rtp_extensions_has(&extensions, RTP_EXTENSION_RID)); // of size 0
    assert_int_equal(rtp_extensions_get(&extensions, RTP_EXTENSION_RID, data).size, 0);
    uint8_t level;
    bool voice;
    assert_true(rtp_extensions_audio_level(&extensions, data, &level, &voice));
    assert_int_equal(level, 0x7f);
    assert_false(voice);
    assert_true(bytes_equal(rtp_extensions_get(&extensions, RTP_EXTENSION_MID, data),
                            bytes_of_text("abcd")));
    // an unknown profile holds nothing for us
    store_u16(data + 12, 0xabcd);
    assert_int_equal(rtp_packet_parse(data, 28, &packet), 0);
    rtp_extensions_parse(&packet, &map, &extensions);
    assert_int_equal(extensions.present, 0);
}

static void test_malformed_extension_ends_the_block_and_keeps_what_was_read(void **state)
{
    (void)state;
    uint8_t data[64];
    struct rtp_extension_map map = { 0 };
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_AUDIO_LEVEL, 1), 0);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_MID, 3), 0);
    struct rtp_extensions extensions;
    // the second element claims 5 bytes, one is there
    static const uint8_t too_long[] = { 0x10, 0x11, 0x34, 0x00 };
    struct rtp_packet packet = packet_with(data, RTP_EXTENSION_ONE_BYTE, too_long, 4);
    rtp_extensions_parse(&packet, &map, &extensions);
    assert_int_equal(extensions.present, RTP_EXTENSION_BIT(RTP_EXTENSION_AUDIO_LEVEL));
    // id 15 stops, whatever follows
    static const uint8_t stop[] = { 0xf0, 0x00, 0x10, 0x11 };
    packet = packet_with(data, RTP_EXTENSION_ONE_BYTE, stop, 4);
    rtp_extensions_parse(&packet, &map, &extensions);
    assert_int_equal(extensions.present, 0);
    static const uint8_t two_byte[] = { 0x01, 0x01, 0x22, 0x03 };
    packet = packet_with(data, 0x1000, two_byte, 4);
    rtp_extensions_parse(&packet, &map, &extensions);
    assert_int_equal(extensions.present, RTP_EXTENSION_BIT(RTP_EXTENSION_AUDIO_LEVEL));
}

static void test_one_id_means_one_extension(void **state)
{
    (void)state;
    struct rtp_extension_map map = { 0 };
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_MID, 4), 0);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_MID, 4), 0);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_RID, 4), -EINVAL);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_MID, 5), -EINVAL);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_RID, 0), -EINVAL);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_RID, 15), -EINVAL);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_RID, 256), -EINVAL);
    assert_false(map.two_byte_allowed);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_RID, 16), 0);
    assert_true(map.two_byte_allowed);
    assert_int_equal(rtp_extension_kind_find(bytes_of_text("urn:ietf:params:rtp-hdrext:sdes:mid")),
                     RTP_EXTENSION_MID);
    assert_int_equal(rtp_extension_kind_find(bytes_of_text("urn:x")), -ENOENT);
}

static void test_abs_send_time_counts_seconds_in_6_18_fixed_point(void **state)
{
    (void)state;
    assert_int_equal(rtp_abs_send_time(0), 0);
    assert_int_equal(rtp_abs_send_time(1000000), 1 << 18);
    assert_int_equal(rtp_abs_send_time(500000), 1 << 17);
    assert_int_equal(rtp_abs_send_time(64000000), 0);
    assert_int_equal(rtp_abs_send_time(63999999), 0xffffff);
}

/** Both sides' maps differ, as those of two browsers do. */
static void make_maps(struct rtp_extension_map *receive, struct rtp_extension_map *send)
{
    *receive = (struct rtp_extension_map){ 0 };
    *send = (struct rtp_extension_map){ 0 };
    assert_int_equal(rtp_extension_map_set(receive, RTP_EXTENSION_AUDIO_LEVEL, 1), 0);
    assert_int_equal(rtp_extension_map_set(receive, RTP_EXTENSION_MID, 2), 0);
    assert_int_equal(rtp_extension_map_set(receive, RTP_EXTENSION_DEPENDENCY_DESCRIPTOR, 3), 0);
    assert_int_equal(rtp_extension_map_set(send, RTP_EXTENSION_AUDIO_LEVEL, 9), 0);
    assert_int_equal(rtp_extension_map_set(send, RTP_EXTENSION_MID, 4), 0);
    assert_int_equal(rtp_extension_map_set(send, RTP_EXTENSION_ABS_SEND_TIME, 2), 0);
    assert_int_equal(rtp_extension_map_set(send, RTP_EXTENSION_TRANSPORT_SEQUENCE, 3), 0);
    assert_int_equal(rtp_extension_map_set(send, RTP_EXTENSION_DEPENDENCY_DESCRIPTOR, 12), 0);
}

static void test_rewriter_translates_ids_and_stamps(void **state)
{
    (void)state;
    struct rtp_extension_map receive;
    struct rtp_extension_map send;
    make_maps(&receive, &send);
    static const uint8_t block[] = { 0x10, 0xa5, 0x22, 'p', 'u', 'b', 0, 0 };
    uint8_t source_data[64];
    struct rtp_packet source =
        packet_with(source_data, RTP_EXTENSION_ONE_BYTE, block, sizeof(block));
    struct rtp_extensions source_extensions;
    rtp_extensions_parse(&source, &receive, &source_extensions);

    struct rtp_rewriter rewriter;
    rtp_rewriter_init(&rewriter, &(struct rtp_rewriter_config){
                                     .map = &send,
                                     .ssrc = 0xcafe,
                                     .mid = bytes_of_text("17"),
                                     .rid = bytes_of_text("q"), // not negotiated: left out
                                     .abs_send_time = true,
                                     .transport_sequence = true,
                                     .pass = RTP_REWRITE_PASS_DEFAULT,
                                 });
    uint8_t out[RTP_REWRITE_HEADER_MAX];
    struct rtp_rewrite fields = {
        .timestamp = 90000, .sequence = 77, .payload_type = 100, .marker = true
    };
    struct rtp_rewritten rewritten =
        rtp_rewriter_write(&rewriter, &fields, &source_extensions, source_data, out);
    rtp_rewritten_stamp(&rewritten, out, 1500000, 0x0a0b);

    struct rtp_packet packet;
    assert_int_equal(rtp_packet_parse(out, rewritten.size, &packet), 0);
    assert_int_equal(packet.payload_at, rewritten.size);
    assert_int_equal(packet.ssrc, 0xcafe);
    assert_int_equal(packet.sequence, 77);
    assert_int_equal(packet.timestamp, 90000);
    assert_int_equal(packet.payload_type, 100);
    assert_true(packet.marker);
    assert_int_equal(packet.extension_profile, RTP_EXTENSION_ONE_BYTE);
    struct rtp_extensions extensions;
    rtp_extensions_parse(&packet, &send, &extensions);
    assert_true(bytes_equal(rtp_extensions_get(&extensions, RTP_EXTENSION_MID, out),
                            bytes_of_text("17"))); // ours, not the publisher's
    uint8_t level;
    bool voice;
    assert_true(rtp_extensions_audio_level(&extensions, out, &level, &voice));
    assert_int_equal(level, 0x25);
    uint16_t sequence;
    assert_true(rtp_extensions_transport_sequence(&extensions, out, &sequence));
    assert_int_equal(sequence, 0x0a0b);
    uint32_t time;
    assert_true(rtp_extensions_abs_send_time(&extensions, out, &time));
    assert_int_equal(time, 3 << 17);
}

static void test_rewriter_takes_the_two_byte_form_for_long_values_only(void **state)
{
    (void)state;
    struct rtp_extension_map receive;
    struct rtp_extension_map send;
    make_maps(&receive, &send);
    receive.two_byte_allowed = true;
    uint8_t block[24] = { 0x03, 20 }; // a dependency descriptor of 20 bytes
    memset(block + 2, 'd', 20);
    uint8_t source_data[64];
    struct rtp_packet source = packet_with(source_data, 0x1000, block, sizeof(block));
    struct rtp_extensions source_extensions;
    rtp_extensions_parse(&source, &receive, &source_extensions);
    struct rtp_rewriter_config config = {
        .map = &send,
        .mid = bytes_of_text("0"),
        .transport_sequence = true,
        .pass = RTP_REWRITE_PASS_DEFAULT,
    };
    struct rtp_rewriter rewriter;
    uint8_t out[RTP_REWRITE_HEADER_MAX];
    struct rtp_packet packet;
    struct rtp_extensions extensions;

    // not agreed on: the long value is left out, the rest stays
    rtp_rewriter_init(&rewriter, &config);
    struct rtp_rewrite fields = { .sequence = 1 };
    struct rtp_rewritten rewritten =
        rtp_rewriter_write(&rewriter, &fields, &source_extensions, source_data, out);
    assert_int_equal(rtp_packet_parse(out, rewritten.size, &packet), 0);
    rtp_extensions_parse(&packet, &send, &extensions);
    assert_false(rtp_extensions_has(&extensions, RTP_EXTENSION_DEPENDENCY_DESCRIPTOR));
    assert_true(rtp_extensions_has(&extensions, RTP_EXTENSION_MID));

    send.two_byte_allowed = true;
    rtp_rewriter_init(&rewriter, &config);
    rewritten = rtp_rewriter_write(&rewriter, &fields, &source_extensions, source_data, out);
    rtp_rewritten_stamp(&rewritten, out, 0, 99);
    assert_int_equal(rtp_packet_parse(out, rewritten.size, &packet), 0);
    assert_int_equal(packet.extension_profile, RTP_EXTENSION_TWO_BYTE);
    rtp_extensions_parse(&packet, &send, &extensions);
    assert_int_equal(rtp_extensions_get(&extensions, RTP_EXTENSION_DEPENDENCY_DESCRIPTOR, out).size,
                     20);
    uint16_t sequence;
    assert_true(rtp_extensions_transport_sequence(&extensions, out, &sequence));
    assert_int_equal(sequence, 99);
    // packets without it stay in the short form
    rewritten = rtp_rewriter_write(&rewriter, &fields, NULL, NULL, out);
    assert_int_equal(rtp_packet_parse(out, rewritten.size, &packet), 0);
    assert_int_equal(packet.extension_profile, RTP_EXTENSION_ONE_BYTE);
}

static void test_rewriter_without_extensions_writes_twelve_bytes(void **state)
{
    (void)state;
    struct rtp_extension_map send = { 0 };
    struct rtp_rewriter rewriter;
    rtp_rewriter_init(&rewriter,
                      &(struct rtp_rewriter_config){ .map = &send, .mid = bytes_of_text("0") });
    uint8_t out[RTP_REWRITE_HEADER_MAX];
    struct rtp_rewrite fields = { .payload_type = 5, .padding = true };
    struct rtp_rewritten rewritten = rtp_rewriter_write(&rewriter, &fields, NULL, NULL, out);
    assert_int_equal(rewritten.size, 12);
    assert_int_equal(out[0], 0xa0);
    assert_int_equal(rewritten.transport_sequence_at, 0);
}

static void test_rewriter_uses_ids_above_14_in_the_two_byte_form(void **state)
{
    (void)state;
    struct rtp_extension_map send = { 0 };
    assert_int_equal(rtp_extension_map_set(&send, RTP_EXTENSION_MID, 20), 0);
    assert_int_equal(rtp_extension_map_set(&send, RTP_EXTENSION_TRANSPORT_SEQUENCE, 3), 0);
    struct rtp_rewriter rewriter;
    rtp_rewriter_init(&rewriter, &(struct rtp_rewriter_config){ .map = &send,
                                                                .mid = bytes_of_text("0"),
                                                                .transport_sequence = true });
    uint8_t out[RTP_REWRITE_HEADER_MAX];
    struct rtp_rewrite fields = { .payload_type = 5 };
    struct rtp_rewritten rewritten = rtp_rewriter_write(&rewriter, &fields, NULL, NULL, out);
    struct rtp_packet packet;
    assert_int_equal(rtp_packet_parse(out, rewritten.size, &packet), 0);
    struct rtp_extensions extensions;
    rtp_extensions_parse(&packet, &send, &extensions);
    assert_true(rtp_extensions_has(&extensions, RTP_EXTENSION_MID));
    assert_true(rtp_extensions_has(&extensions, RTP_EXTENSION_TRANSPORT_SEQUENCE));
}

static void test_sequence_numbers_unwrap_over_many_cycles(void **state)
{
    (void)state;
    struct rtp_unwrapper unwrapper = { 0 };
    uint64_t expected = 65536 + 65000;
    for (uint32_t i = 0; i < 300000; i += 7, expected += 7)
        assert_true(rtp_sequence_unwrap(&unwrapper, (uint16_t)(65000 + i)) == expected);
    // an older one does not move the highest
    uint64_t highest = unwrapper.highest;
    assert_true(rtp_sequence_unwrap(&unwrapper, (uint16_t)(highest - 1000)) == highest - 1000);
    assert_true(unwrapper.highest == highest);
}

static void test_number_before_the_first_one_is_smaller_not_huge(void **state)
{
    (void)state;
    struct rtp_unwrapper unwrapper = { 0 };
    assert_true(rtp_sequence_unwrap(&unwrapper, 2) == 65538);
    assert_true(rtp_sequence_unwrap(&unwrapper, 65534) == 65534);
    struct rtp_unwrapper clock = { 0 };
    uint64_t first = rtp_timestamp_unwrap(&clock, 5);
    assert_true(rtp_timestamp_unwrap(&clock, 0xfffffff5u) == first - 16);
    assert_true(rtp_timestamp_unwrap(&clock, 25) == first + 20);
    assert_true(rtp_sequence_after(1, 65535));
    assert_false(rtp_sequence_after(65535, 1));
    assert_false(rtp_sequence_after(7, 7));
    assert_true(rtp_timestamp_after(3, 0xfffffff0u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_header_is_read_by_field),
        cmocka_unit_test(test_csrcs_extension_and_padding_are_found),
        cmocka_unit_test(test_impossible_packets_are_refused),
        cmocka_unit_test(test_rtcp_is_told_by_its_second_byte),
        cmocka_unit_test(test_one_byte_extensions_follow_rfc_8285),
        cmocka_unit_test(test_two_byte_extensions_follow_rfc_8285),
        cmocka_unit_test(test_malformed_extension_ends_the_block_and_keeps_what_was_read),
        cmocka_unit_test(test_one_id_means_one_extension),
        cmocka_unit_test(test_abs_send_time_counts_seconds_in_6_18_fixed_point),
        cmocka_unit_test(test_rewriter_translates_ids_and_stamps),
        cmocka_unit_test(test_rewriter_takes_the_two_byte_form_for_long_values_only),
        cmocka_unit_test(test_rewriter_without_extensions_writes_twelve_bytes),
        cmocka_unit_test(test_rewriter_uses_ids_above_14_in_the_two_byte_form),
        cmocka_unit_test(test_sequence_numbers_unwrap_over_many_cycles),
        cmocka_unit_test(test_number_before_the_first_one_is_smaller_not_huge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
