#include "support/check.h"

#include <errno.h>

#include "base/text.h"
#include "proto/stun/stun.h"
#include "rfc5769.h"

#define MATRIX_NAME                                                                                \
    "\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9" // in katakana
#define MATRIX_REALM "example.org"

static struct stun_message parse(const uint8_t *data, size_t size)
{
    struct stun_message message;
    assert_int_equal(stun_message_parse(bytes_of(data, size), &message), 0);
    return message;
}

static void assert_value(const struct stun_message *message, uint16_t type, const char *text)
{
    struct bytes value;
    assert_true(stun_message_find(message, type, &value));
    assert_true(text_equal(value, text));
}

static void test_rfc5769_request_verifies(void **state)
{
    (void)state;
    struct stun_message message = parse(vector_request, sizeof(vector_request));
    assert_int_equal(message.class, STUN_REQUEST);
    assert_int_equal(message.method, STUN_BINDING);
    assert_memory_equal(stun_message_transaction_id(&message), vector_request + 8, 12);
    assert_value(&message, STUN_SOFTWARE, "STUN test client");
    assert_value(&message, STUN_USERNAME, "evtj:h6vY");
    uint32_t priority;
    assert_int_equal(stun_message_find_u32(&message, STUN_PRIORITY, &priority), 0);
    assert_int_equal(priority, 0x6e0001ff);
    uint64_t tie_breaker;
    assert_int_equal(stun_message_find_u64(&message, STUN_ICE_CONTROLLED, &tie_breaker), 0);
    assert_true(tie_breaker == 0x932ff9b151263b36ull);
    assert_int_equal(stun_message_check_integrity(&message, bytes_of_text(VECTOR_PASSWORD)), 0);
    assert_int_equal(stun_message_check_fingerprint(&message), 0);
    assert_int_equal(stun_message_check_integrity(&message, bytes_of_text("wrong")), -EBADMSG);
}

static void check_response(const uint8_t *data, size_t size, const char *ip)
{
    struct stun_message message = parse(data, size);
    assert_int_equal(message.class, STUN_SUCCESS);
    struct net_address mapped, expected;
    assert_int_equal(stun_message_find_address(&message, STUN_XOR_MAPPED_ADDRESS, &mapped), 0);
    assert_int_equal(net_address_parse_ip(ip, 32853, &expected), 0);
    assert_true(net_address_equal(&mapped, &expected));
    assert_int_equal(stun_message_check_integrity(&message, bytes_of_text(VECTOR_PASSWORD)), 0);
    assert_int_equal(stun_message_check_fingerprint(&message), 0);
}

static void test_rfc5769_responses_give_their_addresses(void **state)
{
    (void)state;
    check_response(vector_response_ipv4, sizeof(vector_response_ipv4), "192.0.2.1");
    check_response(vector_response_ipv6, sizeof(vector_response_ipv6),
                   "2001:db8:1234:5678:11:2233:4455:6677");
}

static void test_rfc5769_long_term_request_verifies(void **state)
{
    (void)state;
    struct stun_message message = parse(vector_request_long_term, sizeof(vector_request_long_term));
    assert_value(&message, STUN_REALM, MATRIX_REALM);
    assert_value(&message, STUN_NONCE, "f//499k954d6OL34oL9FSTvy64sA");
    uint8_t key[HASH_MD5_SIZE];
    stun_long_term_key(bytes_of_text(MATRIX_NAME), bytes_of_text(MATRIX_REALM),
                       bytes_of_text("TheMatrIX"), key);
    assert_int_equal(stun_message_check_integrity(&message, bytes_of(key, sizeof(key))), 0);
    assert_int_equal(stun_message_check_fingerprint(&message), -ENOENT);
}

static void test_rfc8489_sha256_request_verifies(void **state)
{
    (void)state;
    struct stun_message message = parse(vector_request_sha256, sizeof(vector_request_sha256));
    uint8_t hash[HASH_SHA256_SIZE], key[HASH_SHA256_SIZE];
    stun_userhash(bytes_of_text(MATRIX_NAME), bytes_of_text(MATRIX_REALM), hash);
    struct bytes value;
    assert_true(stun_message_find(&message, STUN_USERHASH, &value));
    assert_true(bytes_equal(value, bytes_of(hash, sizeof(hash))));
    stun_long_term_key_sha256(bytes_of_text(MATRIX_NAME), bytes_of_text(MATRIX_REALM),
                              bytes_of_text("TheMatrIX"), key);
    assert_int_equal(stun_message_check_integrity_sha256(&message, bytes_of(key, sizeof(key))), 0);
    key[0] ^= 1;
    assert_int_equal(stun_message_check_integrity_sha256(&message, bytes_of(key, sizeof(key))),
                     -EBADMSG);
}

/** Our writer pads with zeros where the vectors of RFC 5769 have spaces: only 2.4 is comparable. */
static void test_writer_makes_the_long_term_vector(void **state)
{
    (void)state;
    uint8_t key[HASH_MD5_SIZE], out[256];
    stun_long_term_key(bytes_of_text(MATRIX_NAME), bytes_of_text(MATRIX_REALM),
                       bytes_of_text("TheMatrIX"), key);
    struct stun_writer writer;
    stun_writer_start(&writer, out, sizeof(out), STUN_REQUEST, STUN_BINDING,
                      vector_request_long_term + 8);
    stun_write_bytes(&writer, STUN_USERNAME, bytes_of_text(MATRIX_NAME));
    stun_write_bytes(&writer, STUN_NONCE, bytes_of_text("f//499k954d6OL34oL9FSTvy64sA"));
    stun_write_bytes(&writer, STUN_REALM, bytes_of_text(MATRIX_REALM));
    stun_write_integrity(&writer, bytes_of(key, sizeof(key)));
    assert_int_equal(stun_writer_finish(&writer), sizeof(vector_request_long_term));
    assert_memory_equal(out, vector_request_long_term, sizeof(vector_request_long_term));
}

static void test_writer_makes_the_sha256_vector(void **state)
{
    (void)state;
    uint8_t key[HASH_SHA256_SIZE], hash[HASH_SHA256_SIZE], out[256];
    stun_long_term_key_sha256(bytes_of_text(MATRIX_NAME), bytes_of_text(MATRIX_REALM),
                              bytes_of_text("TheMatrIX"), key);
    stun_userhash(bytes_of_text(MATRIX_NAME), bytes_of_text(MATRIX_REALM), hash);
    struct stun_writer writer;
    stun_writer_start(&writer, out, sizeof(out), STUN_REQUEST, STUN_BINDING,
                      vector_request_sha256 + 8);
    stun_write_bytes(&writer, STUN_USERHASH, bytes_of(hash, sizeof(hash)));
    stun_write_bytes(&writer, STUN_NONCE,
                     bytes_of_text("obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"));
    stun_write_bytes(&writer, STUN_REALM, bytes_of_text(MATRIX_REALM));
    stun_write_bytes(&writer, STUN_PASSWORD_ALGORITHM, bytes_of("\0\2\0\0", 4));
    stun_write_integrity_sha256(&writer, bytes_of(key, sizeof(key)));
    assert_int_equal(stun_writer_finish(&writer), sizeof(vector_request_sha256));
    assert_memory_equal(out, vector_request_sha256, sizeof(vector_request_sha256));
}

static void test_any_flipped_bit_is_noticed(void **state)
{
    (void)state;
    uint8_t copy[sizeof(vector_request)];
    for (size_t bit = 0; bit < sizeof(copy) * 8; bit++) {
        memcpy(copy, vector_request, sizeof(copy));
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct stun_message message;
        if (stun_message_parse(bytes_of(copy, sizeof(copy)), &message) < 0)
            continue;
        assert_int_not_equal(stun_message_check_fingerprint(&message), 0);
        // the integrity code covers all but itself and what follows
        if (bit / 8 < sizeof(copy) - 8)
            assert_int_not_equal(
                stun_message_check_integrity(&message, bytes_of_text(VECTOR_PASSWORD)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc5769_request_verifies),
        cmocka_unit_test(test_rfc5769_responses_give_their_addresses),
        cmocka_unit_test(test_rfc5769_long_term_request_verifies),
        cmocka_unit_test(test_rfc8489_sha256_request_verifies),
        cmocka_unit_test(test_writer_makes_the_long_term_vector),
        cmocka_unit_test(test_writer_makes_the_sha256_vector),
        cmocka_unit_test(test_any_flipped_bit_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
