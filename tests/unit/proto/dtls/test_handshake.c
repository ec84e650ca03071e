#include "dtls_pair.h"

#include <sys/time.h>
#include <time.h>

/** Stands before libc's for OpenSSL too: a wall clock that leaps a minute at each look. */
__attribute__((visibility("default"))) int gettimeofday(struct timeval *restrict now,
                                                        void *restrict zone);
static time_t wall_clock_s = 1700000000;
static uint32_t wall_clock_looks;

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    wall_clock_looks++;
    *now = (struct timeval){ .tv_sec = wall_clock_s += 60 };
    return 0;
}

static void test_the_wall_clock_does_not_matter(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 9);
    wall_clock_looks = 0;
    pair_run_until_connected(&pair, 10000000);
    check_same_keys(&pair);
    assert_true(wall_clock_looks > 0); // OpenSSL looked, but drew no conclusion
    assert_int_equal(pair.sent, 4);    // one datagram for each flight, none twice
    pair_done(&pair);
}

static void test_peers_agree_on_keys_in_two_round_trips(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 1);
    uint64_t began_us = pair.now_us;
    pair_run_until_connected(&pair, 10000000);
    check_same_keys(&pair);
    assert_int_equal(pair.events[0].keys.profile, 0x0007); // AEAD_AES_128_GCM
    assert_int_equal(pair.events[0].keys.key_size, 16);
    assert_int_equal(pair.events[0].keys.salt_size, 12);
    assert_int_equal(pair.now_us - began_us, 4 * WIRE_DELAY_US); // no cookie exchange
    assert_int_equal(metric_get(&pair.metrics[1][DTLS_METRIC_RETRANSMITTED]), 0);
    pair_done(&pair);
}

static void test_the_server_chooses_the_srtp_profile(void **state)
{
    (void)state;
    static const struct {
        const char *client;
        uint16_t profile;
        uint8_t key_size, salt_size;
    } cases[] = {
        { "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM", 7, 16, 12 },
        { "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM", 8, 32, 12 },
        { "SRTP_AES128_CM_SHA1_80", 1, 16, 14 },
    };
    struct pair pair;
    pair_prepare(&pair, 2);
    for (size_t i = 0; i < array_size(cases); i++) {
        dtls_context_unref(pair.contexts[0]);
        assert_int_equal(
            dtls_context_new_with(pair.certificates[0], cases[i].client, NULL, &pair.contexts[0]),
            0);
        pair_start(&pair, NULL, NULL);
        pair_run_until_connected(&pair, 10000000);
        check_same_keys(&pair);
        assert_int_equal(pair.events[1].keys.profile, cases[i].profile);
        assert_int_equal(pair.events[1].keys.key_size, cases[i].key_size);
        assert_int_equal(pair.events[1].keys.salt_size, cases[i].salt_size);
        pair_stop(&pair);
    }
    pair_done(&pair);
}

static void test_a_handshake_survives_the_loss_of_any_one_datagram(void **state)
{
    (void)state;
    struct pair pair;
    pair_prepare(&pair, 3);
    for (uint32_t lost = 0; lost < 8; lost++) {
        pair.sent = 0;
        pair.drop_from = lost;
        pair.drop_to = lost + 1;
        pair_start(&pair, NULL, NULL);
        uint64_t began_us = pair.now_us;
        pair_run_until_connected(&pair, 2000000);
        check_same_keys(&pair);
        assert_true(pair.now_us - began_us < 400000);
        pair_stop(&pair);
    }
    pair_done(&pair);
}

static void test_a_handshake_survives_heavy_loss_and_reordering_by_virtual_time(void **state)
{
    (void)state;
    struct pair pair;
    pair_prepare(&pair, 4);
    pair.loss_percent = 35;
    pair.reorder_percent = 40;
    uint64_t virtual_us = 0;
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int round = 0; round < 60; round++) {
        pair_start(&pair, NULL, NULL);
        uint64_t began_us = pair.now_us;
        pair_run_until_connected(&pair, 29000000);
        check_same_keys(&pair);
        virtual_us += pair.now_us - began_us;
        pair_stop(&pair);
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    uint64_t real_us = (uint64_t)(ended.tv_sec - began.tv_sec) * 1000000u;
    print_message("60 handshakes: %.1f virtual seconds in %.0f real ones\n",
                  (double)virtual_us / 1e6, (double)real_us / 1e6);
    assert_true(virtual_us > 60u * 2 * WIRE_DELAY_US + 5000000);
    pair_done(&pair);
}

static void test_a_silent_peer_is_given_up_after_retransmissions(void **state)
{
    (void)state;
    struct pair pair;
    pair_prepare(&pair, 5);
    pair.loss_percent = 100;
    pair_start(&pair, NULL, NULL);
    pair_run(&pair, 29900000);
    assert_false(pair.ended[0]);
    uint64_t repeated = metric_get(&pair.metrics[0][DTLS_METRIC_RETRANSMITTED]);
    assert_in_range(repeated, 12, 22);
    pair_run(&pair, 200000);
    assert_true(pair.ended[0]);
    assert_int_equal(pair.end_kinds[0], DTLS_FAILED);
    assert_text_equal(pair.reasons[0], "The DTLS handshake took too long.");
    // the server has heard nothing and waits without a timer
    assert_false(pair.ended[1]);
    assert_true(dtls_deadline(pair.peers[1]) == TIME_NEVER);
    assert_true(dtls_deadline(pair.peers[0]) == TIME_NEVER);
    pair_done(&pair);
}

static void test_a_lost_last_flight_is_repeated_after_openssl_is_gone(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 6);
    while (!pair.connected[1])
        assert_true(pair_step(&pair, pair.now_us + 1000000));
    pair.wire_count = 0; // the server's last flight is lost
    assert_false(pair.connected[0]);
    pair_run_until_connected(&pair, 2000000);
    check_same_keys(&pair);
    assert_int_equal(metric_get(&pair.metrics[1][DTLS_METRIC_RETRANSMITTED]), 1);
    // and again and again
    assert_int_equal(dtls_send(pair.peers[1], bytes_of("after", 5)), 0);
    pair_run(&pair, 100000);
    struct bytes data;
    assert_true(dtls_data(pair.peers[0], &data));
    assert_true(text_equal(data, "after"));
    // it is forgotten in the end
    assert_true(dtls_deadline(pair.peers[1]) != TIME_NEVER);
    pair_run(&pair, 70000000);
    assert_true(dtls_deadline(pair.peers[1]) == TIME_NEVER);
    pair_done(&pair);
}

static void check_failure(struct pair *pair, size_t who, const char *reason)
{
    assert_true(pair->ended[who]);
    assert_int_equal(pair->end_kinds[who], DTLS_FAILED);
    assert_false(pair->connected[who]);
    assert_non_null(strstr(pair->reasons[who], reason));
}

static void test_a_certificate_that_was_not_promised_is_refused(void **state)
{
    (void)state;
    for (size_t wrong = 0; wrong < 2; wrong++) {
        struct pair pair;
        pair_prepare(&pair, 7);
        struct dtls_fingerprint other = fingerprint_of(pair.certificates[wrong]);
        other.value[31] ^= 1;
        pair_start(&pair, wrong == 0 ? &other : NULL, wrong == 1 ? &other : NULL);
        pair_run(&pair, 2000000);
        size_t refuser = 1 - wrong;
        check_failure(&pair, refuser, "The peer's certificate does not match its fingerprint.");
        check_failure(&pair, wrong, "certificate"); // told by an alert
        pair_done(&pair);
    }
}

static void test_other_hashes_are_understood_and_the_strongest_counts(void **state)
{
    (void)state;
    // a certificate is needed as DER: take the server's from its PEM
    struct pair pair;
    pair_prepare(&pair, 8);
    char pem[4096];
    struct text_builder text = text_builder_of(pem, sizeof(pem));
    certificate_write_chain(pair.certificates[1], &text);
    char *body = strchr(pem, '\n') + 1;
    *strstr(body, "-----END") = '\0';
    char packed[4096];
    size_t packed_size = 0;
    for (char *at = body; *at; at++)
        if (*at != '\n')
            packed[packed_size++] = *at;
    uint8_t der[2048];
    int der_size = text_base64_parse(bytes_of(packed, packed_size), der, sizeof(der));
    assert_true(der_size > 0);

    static const struct {
        const char *name;
        enum hash_kind hash;
    } hashes[] = {
        { "sha-1", HASH_SHA1 },
        { "SHA-256", HASH_SHA256 },
        { "sha-384", HASH_SHA384 },
        { "sha-512", HASH_SHA512 },
    };
    struct dtls_fingerprint all[4];
    for (size_t i = 0; i < 4; i++) {
        uint8_t digest[HASH_SIZE_MAX];
        char value[3 * HASH_SIZE_MAX + 1];
        hash_compute(hashes[i].hash, bytes_of(der, (size_t)der_size), digest);
        size_t size = hash_size(hashes[i].hash);
        for (size_t k = 0; k < size; k++)
            snprintf(value + 3 * k, 4, i % 2 ? "%02X:" : "%02x:", digest[k]);
        assert_int_equal(dtls_fingerprint_parse(bytes_of_text(hashes[i].name),
                                                bytes_of(value, 3 * size - 1), &all[i]),
                         0);
        assert_int_equal(dtls_fingerprint_parse(bytes_of_text(hashes[i].name),
                                                bytes_of(value, 3 * size - 4), &all[i]),
                         -EINVAL);
        pair_start(&pair, NULL, &all[i]);
        pair_run_until_connected(&pair, 2000000);
        check_same_keys(&pair);
        pair_stop(&pair);
    }
    all[3].value[0] ^= 1; // the sha-1 one is still right
    struct dtls_config config = {
        .context = pair.contexts[0], .client = true, .fingerprints = all, .fingerprint_count = 4
    };
    pair_start(&pair, NULL, NULL);
    dtls_free(pair.peers[0]);
    pair.peers[0] = dtls_new(&config, pair.now_us);
    pair_run(&pair, 2000000);
    check_failure(&pair, 0, "does not match");
    pair_done(&pair);
}

static void test_malformed_fingerprints_are_refused(void **state)
{
    (void)state;
    struct dtls_fingerprint fingerprint;
    static const char good[] = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33";
    assert_int_equal(
        dtls_fingerprint_parse(bytes_of_text("sha-1"), bytes_of_text(good), &fingerprint), 0);
    assert_int_equal(fingerprint.value[10], 0xaa);
    char bad[sizeof(good)];
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        memcpy(bad, good, sizeof(good));
        bad[i] = 'x';
        assert_int_equal(
            dtls_fingerprint_parse(bytes_of_text("sha-1"), bytes_of_text(bad), &fingerprint),
            -EINVAL);
    }
    assert_int_equal(dtls_fingerprint_parse(bytes_of_text("md5"), bytes_of(good, 47), &fingerprint),
                     -ENOTSUP);
    assert_int_equal(
        dtls_fingerprint_parse(bytes_of_text("sha-1"), bytes_of(NULL, 0), &fingerprint), -EINVAL);
}

static void test_flights_of_many_datagrams_keep_to_the_mtu(void **state)
{
    (void)state;
    struct pair pair;
    pair_prepare(&pair, 10);
    pair.mtu = 280;
    pair.loss_percent = 15;
    pair.reorder_percent = 30;
    for (int round = 0; round < 40; round++) {
        pair.sent = 0;
        pair_start(&pair, NULL, NULL);
        pair_run_until_connected(&pair, 29000000);
        check_same_keys(&pair);
        assert_true(pair.sent > 6);
        assert_in_range(pair.largest, 200, 280);
        pair_stop(&pair);
    }
    pair_done(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_wall_clock_does_not_matter),
        cmocka_unit_test(test_peers_agree_on_keys_in_two_round_trips),
        cmocka_unit_test(test_the_server_chooses_the_srtp_profile),
        cmocka_unit_test(test_a_handshake_survives_the_loss_of_any_one_datagram),
        cmocka_unit_test(test_a_handshake_survives_heavy_loss_and_reordering_by_virtual_time),
        cmocka_unit_test(test_flights_of_many_datagrams_keep_to_the_mtu),
        cmocka_unit_test(test_a_silent_peer_is_given_up_after_retransmissions),
        cmocka_unit_test(test_a_lost_last_flight_is_repeated_after_openssl_is_gone),
        cmocka_unit_test(test_a_certificate_that_was_not_promised_is_refused),
        cmocka_unit_test(test_other_hashes_are_understood_and_the_strongest_counts),
        cmocka_unit_test(test_malformed_fingerprints_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
