#include "support/check.h"

#include <errno.h>

#include "base/random.h"
#include "base/text.h"
#include "proto/stun/stun.h"

static const uint8_t id[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

static struct stun_writer start(uint8_t *out, size_t capacity)
{
    struct stun_writer writer;
    stun_writer_start(&writer, out, capacity, STUN_REQUEST, STUN_BINDING, id);
    return writer;
}

static struct stun_message parse(const uint8_t *data, size_t size)
{
    struct stun_message message;
    assert_int_equal(stun_message_parse(bytes_of(data, size), &message), 0);
    return message;
}

static void assert_malformed(const uint8_t *data, size_t size)
{
    struct stun_message message = { .method = 0xbeef };
    assert_int_equal(stun_message_parse(bytes_of(data, size), &message), -EBADMSG);
    assert_int_equal(message.method, 0xbeef); // results stay untouched
}

static void test_every_class_and_method_survives_the_type_field(void **state)
{
    (void)state;
    for (unsigned class = 0; class < 4; class ++) {
        for (uint16_t method = 0; method < 0x1000; method++) {
            uint8_t out[20];
            struct stun_writer writer;
            stun_writer_start(&writer, out, sizeof(out), class, method, id);
            assert_int_equal(stun_writer_finish(&writer), 20);
            struct stun_message message = parse(out, 20);
            assert_int_equal(message.class, class);
            assert_int_equal(message.method, method);
        }
    }
    // as the registry has it: Binding success is 0x0101, Allocate error 0x0113
    uint8_t out[20];
    struct stun_writer writer;
    stun_writer_start(&writer, out, sizeof(out), STUN_SUCCESS, STUN_BINDING, id);
    assert_int_equal(load_u16(out), 0x0101);
    stun_writer_start(&writer, out, sizeof(out), STUN_ERROR, STUN_ALLOCATE, id);
    assert_int_equal(load_u16(out), 0x0113);
}

static void test_classifier_tells_stun_from_its_neighbours(void **state)
{
    (void)state;
    uint8_t out[32];
    struct stun_writer writer = start(out, sizeof(out));
    stun_write_u32(&writer, STUN_PRIORITY, 1);
    size_t size = stun_writer_finish(&writer);
    assert_true(stun_message_is(out, size));
    assert_false(stun_message_is(out, size - 1));
    assert_false(stun_message_is(out, size + 1));
    assert_false(stun_message_is(out, 19));
    assert_false(stun_message_is(out, 0));
    const uint8_t first_bytes[] = { 0x80 /* RTP */, 0x40 /* TURN channel */, 0xc0 };
    for (size_t i = 0; i < sizeof(first_bytes); i++) {
        uint8_t copy[32];
        memcpy(copy, out, size);
        copy[0] = first_bytes[i];
        assert_false(stun_message_is(copy, size));
    }
    out[4] ^= 1; // the cookie
    assert_false(stun_message_is(out, size));
}

static void test_stream_size_comes_from_the_header(void **state)
{
    (void)state;
    uint8_t out[64] = { 0 };
    struct stun_writer writer = start(out, sizeof(out));
    stun_write_bytes(&writer, STUN_SOFTWARE, bytes_of_text("abcde"));
    assert_int_equal(stun_writer_finish(&writer), 32);
    assert_int_equal(stun_message_stream_size(out, 19), 0);
    assert_int_equal(stun_message_stream_size(out, 20), 32);
    assert_int_equal(stun_message_stream_size(out, sizeof(out)), 32);
    out[3]++;
    assert_int_equal(stun_message_stream_size(out, 20), -EBADMSG);
    out[3]--;
    out[7]++;
    assert_int_equal(stun_message_stream_size(out, 20), -EBADMSG);
}

static void test_attributes_are_walked_in_order(void **state)
{
    (void)state;
    uint8_t out[128];
    struct stun_writer writer = start(out, sizeof(out));
    stun_write_bytes(&writer, STUN_USERNAME, bytes_of_text("a"));
    stun_write_flag(&writer, STUN_USE_CANDIDATE);
    stun_write_u64(&writer, STUN_ICE_CONTROLLING, 0x0102030405060708ull);
    stun_write_bytes(&writer, STUN_USERNAME, bytes_of_text("second"));
    size_t size = stun_writer_finish(&writer);
    assert_int_equal(size, 20 + 8 + 4 + 12 + 12);
    struct stun_message message = parse(out, size);
    const struct {
        uint16_t type;
        size_t size;
    } expected[] = { { STUN_USERNAME, 1 },
                     { STUN_USE_CANDIDATE, 0 },
                     { STUN_ICE_CONTROLLING, 8 },
                     { STUN_USERNAME, 6 } };
    struct stun_cursor cursor = { 0 };
    struct stun_attribute attribute;
    for (size_t i = 0; i < array_size(expected); i++) {
        assert_true(stun_message_next(&message, &cursor, &attribute));
        assert_int_equal(attribute.type, expected[i].type);
        assert_int_equal(attribute.value.size, expected[i].size);
    }
    assert_false(stun_message_next(&message, &cursor, &attribute));
    assert_false(stun_message_next(&message, &cursor, &attribute));
    struct bytes value;
    assert_true(stun_message_find(&message, STUN_USERNAME, &value));
    assert_true(text_equal(value, "a")); // the first of two
    assert_false(stun_message_find(&message, STUN_REALM, &value));
}

static void test_attributes_behind_integrity_do_not_count(void **state)
{
    (void)state;
    uint8_t out[256];
    struct stun_writer writer = start(out, sizeof(out));
    stun_write_bytes(&writer, STUN_USERNAME, bytes_of_text("a:b"));
    stun_write_integrity(&writer, bytes_of_text("key"));
    stun_write_flag(&writer, STUN_USE_CANDIDATE); // slipped in by someone without the key
    stun_write_u32(&writer, 0x7abc, 1);
    stun_write_fingerprint(&writer);
    struct stun_message message = parse(out, stun_writer_finish(&writer));
    struct bytes value;
    uint16_t unknown;
    assert_true(stun_message_find(&message, STUN_USERNAME, &value));
    assert_false(stun_message_find(&message, STUN_USE_CANDIDATE, &value));
    const uint16_t known[] = { STUN_USERNAME };
    assert_int_equal(stun_message_unknown(&message, known, 1, &unknown, 1), 0);
    assert_int_equal(stun_message_check_integrity(&message, bytes_of_text("key")), 0);
    assert_int_equal(stun_message_check_fingerprint(&message), 0);
}

static void test_both_integrity_codes_may_stand_together(void **state)
{
    (void)state;
    uint8_t out[256];
    struct stun_writer writer = start(out, sizeof(out));
    stun_write_bytes(&writer, STUN_USERNAME, bytes_of_text("a:b"));
    stun_write_integrity(&writer, bytes_of_text("key"));
    stun_write_integrity_sha256(&writer, bytes_of_text("key"));
    stun_write_fingerprint(&writer);
    struct stun_message message = parse(out, stun_writer_finish(&writer));
    assert_int_equal(stun_message_check_integrity(&message, bytes_of_text("key")), 0);
    assert_int_equal(stun_message_check_integrity_sha256(&message, bytes_of_text("key")), 0);
    assert_int_equal(stun_message_check_integrity_sha256(&message, bytes_of_text("kez")), -EBADMSG);
}

static void test_sha256_may_be_cut_to_16_bytes_and_not_less(void **state)
{
    (void)state;
    uint8_t full[128], cut[128];
    for (size_t length = 12; length <= 32; length += 4) {
        // the code covers the header's length, so that each cut is computed anew
        struct stun_writer writer = start(full, sizeof(full));
        stun_write_bytes(&writer, STUN_MESSAGE_INTEGRITY_SHA256, bytes_of(cut, length));
        uint8_t code[HMAC_SHA256_SIZE];
        hmac_sha256(bytes_of_text("key"), bytes_of(full, 20), code);
        memcpy(full + 24, code, length);
        size_t size = stun_writer_finish(&writer);
        if (length < 16) {
            assert_malformed(full, size);
            continue;
        }
        struct stun_message message = parse(full, size);
        assert_int_equal(stun_message_check_integrity_sha256(&message, bytes_of_text("key")), 0);
    }
}

static void test_broken_framing_is_refused(void **state)
{
    (void)state;
    uint8_t out[64];
    struct stun_writer writer = start(out, sizeof(out));
    stun_write_bytes(&writer, STUN_USERNAME, bytes_of_text("abcd"));
    size_t size = stun_writer_finish(&writer);
    out[23] = 5; // one byte longer than the message
    assert_malformed(out, size);
    out[23] = 0xff;
    assert_malformed(out, size);
    out[22] = 0xff;
    assert_malformed(out, size);
    out[22] = 0;
    out[23] = 0; // four bytes of value become a header: of type "ab", too long
    assert_malformed(out, size);
    for (size_t i = 0; i < size; i++)
        assert_malformed(out, i);
}

static void test_misplaced_protection_is_refused(void **state)
{
    (void)state;
    uint8_t out[64];
    struct stun_writer writer = start(out, sizeof(out));
    stun_write_fingerprint(&writer);
    stun_write_u32(&writer, STUN_PRIORITY, 1); // behind FINGERPRINT
    assert_malformed(out, stun_writer_finish(&writer));
    writer = start(out, sizeof(out));
    stun_write_bytes(&writer, STUN_FINGERPRINT, bytes_of_text("too long"));
    assert_malformed(out, stun_writer_finish(&writer));
    writer = start(out, sizeof(out));
    stun_write_bytes(&writer, STUN_MESSAGE_INTEGRITY, bytes_of_text("short"));
    assert_malformed(out, stun_writer_finish(&writer));
}

static void test_values_of_wrong_size_are_refused(void **state)
{
    (void)state;
    uint8_t out[128];
    struct stun_writer writer = start(out, sizeof(out));
    stun_write_bytes(&writer, STUN_PRIORITY, bytes_of_text("abc"));
    stun_write_u32(&writer, STUN_ICE_CONTROLLED, 1);
    stun_write_bytes(&writer, STUN_XOR_MAPPED_ADDRESS, bytes_of("\0\1\1\1\1\1\1", 7));
    stun_write_bytes(&writer, STUN_MAPPED_ADDRESS, bytes_of("\0\3\1\1\1\1\1\1", 8));
    stun_write_bytes(&writer, STUN_ERROR_CODE, bytes_of("\0\0\2\0", 4));
    struct stun_message message = parse(out, stun_writer_finish(&writer));
    uint32_t u32;
    uint64_t u64;
    uint16_t code;
    struct net_address address;
    assert_int_equal(stun_message_find_u32(&message, STUN_PRIORITY, &u32), -EBADMSG);
    assert_int_equal(stun_message_find_u64(&message, STUN_ICE_CONTROLLED, &u64), -EBADMSG);
    assert_int_equal(stun_message_find_u64(&message, STUN_ICE_CONTROLLING, &u64), -ENOENT);
    assert_int_equal(stun_message_find_address(&message, STUN_XOR_MAPPED_ADDRESS, &address),
                     -EBADMSG);
    assert_int_equal(stun_message_find_address(&message, STUN_MAPPED_ADDRESS, &address), -EBADMSG);
    assert_int_equal(stun_message_find_address(&message, STUN_XOR_PEER_ADDRESS, &address), -ENOENT);
    assert_int_equal(stun_message_find_error(&message, &code, NULL), -EBADMSG);
}

static void test_addresses_go_round_masked_and_plain(void **state)
{
    (void)state;
    const char *ips[] = { "192.0.2.200", "2001:db8::17", "::" };
    const uint16_t types[] = { STUN_MAPPED_ADDRESS, STUN_XOR_MAPPED_ADDRESS, STUN_XOR_PEER_ADDRESS,
                               STUN_XOR_RELAYED_ADDRESS };
    for (size_t i = 0; i < array_size(ips); i++) {
        for (size_t j = 0; j < array_size(types); j++) {
            uint8_t out[64];
            struct net_address address, read;
            assert_int_equal(net_address_parse_ip(ips[i], 50001, &address), 0);
            struct stun_writer writer = start(out, sizeof(out));
            stun_write_address(&writer, types[j], &address);
            struct stun_message message = parse(out, stun_writer_finish(&writer));
            assert_int_equal(stun_message_find_address(&message, types[j], &read), 0);
            assert_true(net_address_equal(&address, &read));
            bool masked = load_u16(out + 26) != 50001;
            assert_int_equal(masked, types[j] != STUN_MAPPED_ADDRESS);
        }
    }
}

static void test_errors_carry_code_and_reason(void **state)
{
    (void)state;
    const uint16_t codes[] = { 300, 400, 401, 420, 438, 487, 500, 508, 699 };
    for (size_t i = 0; i < array_size(codes); i++) {
        uint8_t out[128];
        struct stun_writer writer = start(out, sizeof(out));
        stun_write_error(&writer, codes[i]);
        struct stun_message message = parse(out, stun_writer_finish(&writer));
        uint16_t code;
        struct bytes reason;
        assert_int_equal(stun_message_find_error(&message, &code, &reason), 0);
        assert_int_equal(code, codes[i]);
        assert_true(text_equal(reason, stun_error_reason(codes[i])));
    }
    assert_text_equal(stun_error_reason(487), "Role Conflict");
    assert_text_equal(stun_error_reason(699), "Error");
}

static void test_unknown_required_attributes_are_listed_once(void **state)
{
    (void)state;
    uint8_t out[128];
    struct stun_writer writer = start(out, sizeof(out));
    stun_write_u32(&writer, STUN_PRIORITY, 1);
    stun_write_u32(&writer, 0x7001, 1);
    stun_write_u32(&writer, 0x8fff, 1); // comprehension-optional
    stun_write_u32(&writer, 0x7001, 1);
    stun_write_u32(&writer, 0x0002, 1);
    struct stun_message message = parse(out, stun_writer_finish(&writer));
    const uint16_t known[] = { STUN_PRIORITY };
    uint16_t unknown[4];
    assert_int_equal(stun_message_unknown(&message, known, 1, unknown, 4), 2);
    assert_int_equal(unknown[0], 0x7001);
    assert_int_equal(unknown[1], 0x0002);
    assert_int_equal(stun_message_unknown(&message, known, 1, unknown, 1), 1);

    writer = start(out, sizeof(out));
    stun_write_unknown(&writer, unknown, 2);
    message = parse(out, stun_writer_finish(&writer));
    struct bytes value;
    assert_true(stun_message_find(&message, STUN_UNKNOWN_ATTRIBUTES, &value));
    assert_int_equal(value.size, 4);
    assert_int_equal(load_u16(value.data), 0x7001);
}

static void test_writer_says_when_a_message_does_not_fit(void **state)
{
    (void)state;
    uint8_t out[128];
    struct net_address address = net_address_ipv4(192, 0, 2, 1, 9);
    size_t whole = 0;
    for (size_t capacity = sizeof(out) + 1; capacity-- > 0;) {
        memset(out, 0xee, sizeof(out));
        struct stun_writer writer = start(out, capacity);
        stun_write_address(&writer, STUN_XOR_MAPPED_ADDRESS, &address);
        stun_write_integrity(&writer, bytes_of_text("key"));
        stun_write_fingerprint(&writer);
        size_t size = stun_writer_finish(&writer);
        if (whole == 0)
            whole = size;
        assert_int_equal(size, capacity >= whole ? whole : 0);
        for (size_t i = capacity; i < sizeof(out); i++)
            assert_int_equal(out[i], 0xee);
    }
    assert_int_equal(whole, 20 + 12 + 24 + 8);
}

static void test_crc32_is_that_of_the_standard(void **state)
{
    (void)state;
    assert_int_equal(stun_crc32(bytes_of_text("123456789")), 0xcbf43926u);
    assert_int_equal(stun_crc32(bytes_of_text("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_class_and_method_survives_the_type_field),
        cmocka_unit_test(test_classifier_tells_stun_from_its_neighbours),
        cmocka_unit_test(test_stream_size_comes_from_the_header),
        cmocka_unit_test(test_attributes_are_walked_in_order),
        cmocka_unit_test(test_attributes_behind_integrity_do_not_count),
        cmocka_unit_test(test_both_integrity_codes_may_stand_together),
        cmocka_unit_test(test_sha256_may_be_cut_to_16_bytes_and_not_less),
        cmocka_unit_test(test_broken_framing_is_refused),
        cmocka_unit_test(test_misplaced_protection_is_refused),
        cmocka_unit_test(test_values_of_wrong_size_are_refused),
        cmocka_unit_test(test_addresses_go_round_masked_and_plain),
        cmocka_unit_test(test_errors_carry_code_and_reason),
        cmocka_unit_test(test_unknown_required_attributes_are_listed_once),
        cmocka_unit_test(test_writer_says_when_a_message_does_not_fit),
        cmocka_unit_test(test_crc32_is_that_of_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
