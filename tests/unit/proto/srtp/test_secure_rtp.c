#include "support/check.h"

#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "proto/srtp/secure_rtp.h"

static const uint16_t profiles[] = { SECURE_RTP_AEAD_AES_128_GCM, SECURE_RTP_AEAD_AES_256_GCM,
                                     SECURE_RTP_AES_CM_128_HMAC_SHA1_80 };

struct pair {
    struct secure_rtp_session *sends;
    struct secure_rtp_session *receives;
    struct secure_rtp_sender sender;
    struct cipher_provider *provider;
    metric_value metrics[SECURE_RTP_METRIC_COUNT];
    size_t overhead;
};

static void pair_init(struct pair *pair, uint16_t profile, uint32_t stream_limit)
{
    static const uint8_t key[32] = "0123456789abcdef0123456789abcde", salt[14] = "salt of tests";
    *pair = (struct pair){ .provider = cipher_provider_new(CIPHER_BEST) };
    struct secure_rtp_config config = {
        .profile = profile,
        .master_key = bytes_of(key, secure_rtp_key_size(profile)),
        .master_salt = bytes_of(salt, secure_rtp_salt_size(profile)),
        .provider = pair->provider,
        .stream_limit = stream_limit,
        .metrics = pair->metrics,
    };
    assert_int_equal(secure_rtp_session_new(&config, &pair->sends), 0);
    assert_int_equal(secure_rtp_session_new(&config, &pair->receives), 0);
    pair->overhead = secure_rtp_overhead(profile);
}

static void pair_done(struct pair *pair)
{
    secure_rtp_session_free(pair->sends);
    secure_rtp_session_free(pair->receives);
    cipher_provider_free(pair->provider);
}

static uint64_t counted(const struct pair *pair, enum secure_rtp_metric metric)
{
    return metric_get(&pair->metrics[metric]);
}

static void header_write(uint8_t header[12], uint16_t sequence, uint32_t ssrc)
{
    memset(header, 0, 12);
    header[0] = 0x80;
    header[1] = 111;
    store_u16(header + 2, sequence);
    store_u32(header + 8, ssrc);
}

static ssize_t protect(struct pair *pair, struct secure_rtp_sender *sender, uint16_t sequence,
                       uint32_t ssrc, const char *payload, uint8_t out[200])
{
    uint8_t header[12];
    header_write(header, sequence, ssrc);
    return secure_rtp_protect(pair->sends, sender, bytes_of(header, 12), bytes_of_text(payload),
                              out, 200);
}

static ssize_t unprotect(struct pair *pair, const uint8_t *packet, ssize_t size)
{
    assert_true(size > 0);
    uint8_t *copy = malloc((size_t)size), out[200]; // exact, for the address sanitizer
    memcpy(copy, packet, (size_t)size);
    ssize_t result =
        secure_rtp_unprotect(pair->receives, bytes_of(copy, (size_t)size), out, sizeof(out), NULL);
    free(copy);
    return result;
}

static void test_any_changed_bit_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(profiles); i++) {
        struct pair pair;
        pair_init(&pair, profiles[i], 0);
        uint8_t sealed[200];
        ssize_t size = protect(&pair, &pair.sender, 7, 1, "a payload", sealed);
        assert_int_equal(size, 12 + 9 + (ssize_t)pair.overhead);
        for (size_t bit = 0; bit < 8 * (size_t)size; bit++) {
            sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
            ssize_t result = unprotect(&pair, sealed, size);
            assert_true(result == -EBADMSG || (result == -EINVAL && bit < 8));
            sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(secure_rtp_stream_count(pair.receives), 0); // forgeries leave no trace
        assert_int_equal(unprotect(&pair, sealed, size), 12 + 9);
        assert_int_equal(unprotect(&pair, sealed, size), -EALREADY);
        assert_int_equal(counted(&pair, SECURE_RTP_DROP_REPLAYED), 1);
        assert_int_equal(counted(&pair, SECURE_RTP_DROP_UNAUTHENTIC) +
                             counted(&pair, SECURE_RTP_DROP_MALFORMED),
                         8 * size);
        pair_done(&pair);
    }
}

static void test_protection_works_in_place_and_out_of_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(profiles); i++) {
        struct pair pair;
        pair_init(&pair, profiles[i], 0);
        uint8_t apart[200], place[200], header[12];
        struct secure_rtp_sender other = { 0 };
        ssize_t size = protect(&pair, &pair.sender, 7, 1, "a payload", apart);
        header_write(header, 7, 1);
        memcpy(place, header, 12);
        memcpy(place + 12, "a payload", 9);
        assert_int_equal(secure_rtp_protect(pair.sends, &other, bytes_of(place, 12),
                                            bytes_of(place + 12, 9), place, sizeof(place)),
                         size);
        assert_memory_equal(place, apart, (size_t)size);
        uint64_t index;
        assert_int_equal(secure_rtp_unprotect(pair.receives, bytes_of(place, (size_t)size), place,
                                              sizeof(place), &index),
                         21);
        assert_int_equal(index, 7);
        assert_memory_equal(place, header, 12);
        assert_memory_equal(place + 12, "a payload", 9);
        pair_done(&pair);
    }
}

static void test_no_index_is_protected_twice(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, SECURE_RTP_AEAD_AES_128_GCM, 0);
    uint8_t out[200];
    assert_true(protect(&pair, &pair.sender, 1000, 1, "x", out) > 0);
    assert_int_equal(protect(&pair, &pair.sender, 1000, 1, "x", out), -EALREADY);
    assert_true(protect(&pair, &pair.sender, 1003, 1, "x", out) > 0);
    assert_true(protect(&pair, &pair.sender, 1001, 1, "x", out) > 0); // late, but new
    assert_int_equal(protect(&pair, &pair.sender, 1001, 1, "x", out), -EALREADY);
    assert_true(protect(&pair, &pair.sender, 2000, 1, "x", out) > 0);
    assert_int_equal(protect(&pair, &pair.sender, 1500, 1, "x", out), -ESTALE);
    assert_int_equal(counted(&pair, SECURE_RTP_REFUSED_REPEATED), 3);
    // before the very first packet's rollover there is nothing
    struct secure_rtp_sender early = { 0 };
    assert_true(protect(&pair, &early, 5, 2, "x", out) > 0);
    assert_int_equal(protect(&pair, &early, 65000, 2, "x", out), -ESTALE);
    pair_done(&pair);
}

static void test_malformed_packets_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t first;
        size_t size;
    } bad[] = { { 0x80, 0 },  { 0x80, 11 }, { 0x80, 12 }, { 0x80, 21 }, { 0x40, 60 },
                { 0xc0, 60 }, { 0x8f, 60 }, { 0x90, 14 }, { 0x9f, 75 }, { 0x90, 30 } };
    for (size_t i = 0; i < array_size(profiles); i++) {
        struct pair pair;
        pair_init(&pair, profiles[i], 0);
        uint8_t packet[200] = { 0 }, out[200];
        for (size_t k = 0; k < array_size(bad); k++) {
            packet[0] = bad[k].first;
            store_u16(packet + 14, 40); // words of extension, when there is one
            assert_int_equal(secure_rtp_unprotect(pair.receives, bytes_of(packet, bad[k].size), out,
                                                  sizeof(out), NULL),
                             -EINVAL);
            if (bad[k].size < 25)
                assert_int_equal(secure_rtcp_unprotect(pair.receives,
                                                       bytes_of(packet, min_of(bad[k].size, 21ul)),
                                                       out, sizeof(out)),
                                 -EINVAL);
        }
        assert_true(counted(&pair, SECURE_RTP_DROP_MALFORMED) >= array_size(bad));
        packet[0] = 0x80;
        assert_int_equal(secure_rtp_unprotect(pair.receives, bytes_of(packet, 100), out, 40, NULL),
                         -ENOBUFS);
        assert_int_equal(secure_rtp_protect(pair.sends, &pair.sender, bytes_of(packet, 11),
                                            bytes_of(packet, 5), out, sizeof(out)),
                         -EINVAL);
        assert_int_equal(secure_rtp_protect(pair.sends, &pair.sender, bytes_of(packet, 12),
                                            bytes_of(packet, 5), out, 17 + pair.overhead - 1),
                         -ENOBUFS);
        assert_true(secure_rtp_protect(pair.sends, &pair.sender, bytes_of(packet, 12),
                                       bytes_of(packet, 5), out, 17 + pair.overhead) > 0);
        pair_done(&pair);
    }
}

static void test_the_table_of_sources_is_bounded_and_forgettable(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, SECURE_RTP_AEAD_AES_128_GCM, 50);
    uint8_t out[200];
    for (uint32_t ssrc = 1; ssrc <= 60; ssrc++) {
        struct secure_rtp_sender sender = { 0 };
        ssize_t size = protect(&pair, &sender, 1, ssrc * 77, "x", out);
        assert_int_equal(unprotect(&pair, out, size), ssrc <= 50 ? 13 : -ENOSPC);
    }
    assert_int_equal(secure_rtp_stream_count(pair.receives), 50);
    assert_int_equal(counted(&pair, SECURE_RTP_DROP_TOO_MANY_STREAMS), 10);
    secure_rtp_forget(pair.receives, 999999);
    secure_rtp_forget(pair.receives, 20 * 77);
    assert_int_equal(secure_rtp_stream_count(pair.receives), 49);
    struct secure_rtp_sender sender = { 0 };
    ssize_t size = protect(&pair, &sender, 1, 60 * 77, "x", out);
    assert_int_equal(unprotect(&pair, out, size), 13);
    // the others kept their state
    for (uint32_t ssrc = 1; ssrc <= 50; ssrc++) {
        struct secure_rtp_sender again = { 0 };
        size = protect(&pair, &again, 1, ssrc * 77, "x", out);
        assert_int_equal(unprotect(&pair, out, size), ssrc == 20 ? -ENOSPC : -EALREADY);
    }
    pair_done(&pair);
}

static void test_old_packets_are_told_from_replays(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, SECURE_RTP_AEAD_AES_128_GCM, 0);
    static uint8_t packets[3000][200];
    ssize_t size = 0;
    for (uint16_t i = 0; i < 3000; i++)
        size = protect(&pair, &pair.sender, i, 1, "x", packets[i]);
    assert_int_equal(unprotect(&pair, packets[2000], size), 13);
    assert_int_equal(unprotect(&pair, packets[2000 - SECURE_RTP_WINDOW + 1], size), 13);
    assert_int_equal(unprotect(&pair, packets[2000 - SECURE_RTP_WINDOW + 1], size), -EALREADY);
    assert_int_equal(unprotect(&pair, packets[2000 - SECURE_RTP_WINDOW - 64], size), -ESTALE);
    assert_int_equal(unprotect(&pair, packets[2999], size), 13); // a leap clears what it passes
    for (int i = 2001; i < 2999; i++)
        assert_int_equal(unprotect(&pair, packets[i], size), i > 2039 ? 13 : -ESTALE);
    assert_true(counted(&pair, SECURE_RTP_DROP_STALE) > 0);
    pair_done(&pair);
}

static void test_unencrypted_rtcp_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(profiles); i++) {
        struct pair pair;
        pair_init(&pair, profiles[i], 0);
        uint8_t plain[28] = { 0x80, 201, 0, 6 }, out[60];
        ssize_t size = secure_rtcp_protect(pair.sends, bytes_of(plain, 28), out, sizeof(out));
        assert_int_equal(size, 28 + 4 + (ssize_t)pair.overhead);
        size_t flag_at = profiles[i] == SECURE_RTP_AES_CM_128_HMAC_SHA1_80 ? 28 : 28 + 16;
        out[flag_at] ^= 0x80;
        uint8_t opened[60];
        assert_int_equal(secure_rtcp_unprotect(pair.receives, bytes_of(out, (size_t)size), opened,
                                               sizeof(opened)),
                         -EINVAL);
        assert_int_equal(counted(&pair, SECURE_RTP_DROP_UNENCRYPTED), 1);
        out[flag_at] ^= 0x80;
        for (size_t bit = 0; bit < 8 * (size_t)size; bit++) {
            out[bit / 8] ^= (uint8_t)(1 << bit % 8);
            ssize_t result = secure_rtcp_unprotect(pair.receives, bytes_of(out, (size_t)size),
                                                   opened, sizeof(opened));
            assert_true(result == -EBADMSG ||
                        (result == -EINVAL && (bit < 8 || bit == 8 * flag_at + 7)));
            out[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(secure_rtcp_unprotect(pair.receives, bytes_of(out, (size_t)size), out, 28),
                         28);
        assert_memory_equal(out, plain, 28);
        pair_done(&pair);
    }
}

static void test_who_looks_on_reads_both_ways_and_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(profiles); i++) {
        struct pair pair;
        pair_init(&pair, profiles[i], 1);
        uint8_t packet[200], out[200], rtcp[60], plain[28] = { 0x80, 201, 0, 6, 0, 0, 0, 1 };
        // over two turns of the sequence number
        for (uint32_t number = 65000; number < 3 * 65536; number += 100) {
            ssize_t size = protect(&pair, &pair.sender, (uint16_t)number, 1, "hello", packet);
            struct bytes sealed = bytes_of(packet, (size_t)size);
            for (int time = 0; time < 2; time++) {
                memset(out, 0, sizeof(out));
                assert_int_equal(
                    secure_rtp_reveal(pair.sends, &pair.sender, sealed, out, sizeof(out)), 17);
                assert_memory_equal(out, packet, 12);
                assert_memory_equal(out + 12, "hello", 5);
                memset(out, 0, sizeof(out));
                assert_int_equal(secure_rtp_reveal(pair.receives, NULL, sealed, out, 17), 17);
                assert_memory_equal(out + 12, "hello", 5);
            }
            assert_int_equal(secure_rtp_reveal(pair.receives, NULL, sealed, out, 16), -ENOBUFS);
            assert_int_equal(unprotect(&pair, packet, size), 17);
            packet[13] ^= 1;
            assert_int_equal(secure_rtp_reveal(pair.receives, NULL, sealed, out, sizeof(out)),
                             -EBADMSG);
        }
        assert_int_equal(secure_rtp_reveal(pair.receives, NULL, bytes_of(packet, 11), out, 200),
                         -EINVAL);
        ssize_t size = secure_rtcp_protect(pair.sends, bytes_of(plain, 28), rtcp, sizeof(rtcp));
        struct bytes sealed = bytes_of(rtcp, (size_t)size);
        assert_int_equal(secure_rtcp_reveal(pair.sends, sealed, out, sizeof(out)), 28);
        assert_memory_equal(out, plain, 28);
        assert_int_equal(secure_rtcp_reveal(pair.receives, sealed, out, sizeof(out)), 28);
        assert_int_equal(secure_rtcp_reveal(pair.receives, sealed, out, 27), -ENOBUFS);
        assert_int_equal(secure_rtcp_unprotect(pair.receives, sealed, out, sizeof(out)), 28);
        rtcp[9] ^= 1;
        assert_int_equal(secure_rtcp_reveal(pair.receives, sealed, out, sizeof(out)), -EBADMSG);
        for (int metric = 0; metric < SECURE_RTP_METRIC_COUNT; metric++)
            assert_int_equal(metric_get(&pair.metrics[metric]), 0);
        pair_done(&pair);
    }
}

static void test_wrong_sizes_of_keys_are_refused(void **state)
{
    (void)state;
    static const uint8_t zeros[40];
    for (size_t i = 0; i < array_size(profiles); i++) {
        for (size_t key = 0; key < 40; key++) {
            for (size_t salt = 10; salt < 16; salt++) {
                struct secure_rtp_config config = { .profile = profiles[i],
                                                    .master_key = bytes_of(zeros, key),
                                                    .master_salt = bytes_of(zeros, salt) };
                bool right = key == secure_rtp_key_size(profiles[i]) &&
                             salt == secure_rtp_salt_size(profiles[i]);
                struct secure_rtp_session *session = NULL;
                assert_int_equal(secure_rtp_session_new(&config, &session), right ? 0 : -EINVAL);
                assert_true(right == (session != NULL));
                assert_null(secure_rtp_session_free(session));
            }
        }
    }
    assert_int_equal(secure_rtp_key_size(2), 0);
    assert_int_equal(secure_rtp_overhead(2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_changed_bit_is_noticed),
        cmocka_unit_test(test_protection_works_in_place_and_out_of_place),
        cmocka_unit_test(test_no_index_is_protected_twice),
        cmocka_unit_test(test_malformed_packets_are_refused),
        cmocka_unit_test(test_the_table_of_sources_is_bounded_and_forgettable),
        cmocka_unit_test(test_old_packets_are_told_from_replays),
        cmocka_unit_test(test_unencrypted_rtcp_is_refused),
        cmocka_unit_test(test_who_looks_on_reads_both_ways_and_changes_nothing),
        cmocka_unit_test(test_wrong_sizes_of_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
