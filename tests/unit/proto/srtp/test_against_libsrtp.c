// Packet for packet against libsrtp2, which shares no code with ours, both ways.
#include "support/check.h"

#include <errno.h>

#include "base/random.h"
#include "crypto/cipher.h"
#include "proto/srtp/secure_rtp.h"

#ifdef ROOST_HAVE_LIBSRTP2
#include <srtp2/srtp.h>

#define SSRC 0x5eed0001u

static const uint16_t profiles[] = { SECURE_RTP_AEAD_AES_128_GCM, SECURE_RTP_AEAD_AES_256_GCM,
                                     SECURE_RTP_AES_CM_128_HMAC_SHA1_80 };

struct pair {
    uint16_t profile;
    uint8_t key[48]; // master key, then salt
    srtp_t judge_sends;
    srtp_t judge_receives;
    struct secure_rtp_session *sends;
    struct secure_rtp_session *receives;
    struct secure_rtp_sender sender;
    struct cipher_provider *provider;
    struct random random;
};

static srtp_t judge_new(struct pair *pair, srtp_ssrc_type_t direction)
{
    srtp_policy_t policy = { 0 };
    switch (pair->profile) {
    case SECURE_RTP_AEAD_AES_128_GCM:
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
        break;
    case SECURE_RTP_AEAD_AES_256_GCM:
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp);
        break;
    default:
        srtp_crypto_policy_set_rtp_default(&policy.rtp);
        break;
    }
    policy.rtcp = policy.rtp;
    policy.ssrc.type = direction;
    policy.key = pair->key;
    policy.window_size = 960;
    srtp_t judge;
    assert_int_equal(srtp_create(&judge, &policy), srtp_err_status_ok);
    return judge;
}

static struct secure_rtp_session *ours_new(struct pair *pair)
{
    size_t key_size = secure_rtp_key_size(pair->profile);
    struct secure_rtp_config config = {
        .profile = pair->profile,
        .master_key = bytes_of(pair->key, key_size),
        .master_salt = bytes_of(pair->key + key_size, secure_rtp_salt_size(pair->profile)),
        .provider = pair->provider,
    };
    struct secure_rtp_session *session;
    assert_int_equal(secure_rtp_session_new(&config, &session), 0);
    return session;
}

static void pair_init(struct pair *pair, uint16_t profile)
{
    *pair = (struct pair){ .profile = profile };
    random_seeded_init(&pair->random, profile);
    random_fill(&pair->random, pair->key, sizeof(pair->key));
    pair->provider = cipher_provider_new(CIPHER_BEST);
    pair->judge_sends = judge_new(pair, ssrc_any_outbound);
    pair->judge_receives = judge_new(pair, ssrc_any_inbound);
    pair->sends = ours_new(pair);
    pair->receives = ours_new(pair);
}

static void pair_done(struct pair *pair)
{
    srtp_dealloc(pair->judge_sends);
    srtp_dealloc(pair->judge_receives);
    secure_rtp_session_free(pair->sends);
    secure_rtp_session_free(pair->receives);
    cipher_provider_free(pair->provider);
}

struct packet {
    _Alignas(8) uint8_t data[2048];
    size_t header_size;
    size_t size;
};

/** A packet of any shape that RTP allows: CSRCs, extensions of any size, padding, empty payload. */
static void packet_make(struct pair *pair, uint16_t sequence, struct packet *packet)
{
    uint32_t shape = random_u32(&pair->random);
    uint8_t csrcs = shape & 1 ? shape >> 8 & 15 : 0;
    bool extension = shape & 2, padding = shape & 4;
    size_t extension_words = extension ? shape >> 12 & 15 : 0;
    size_t payload = shape >> 16 & 1 ? random_below(&pair->random, 1300) : shape >> 20 & 31;
    struct writer writer = writer_of(packet->data, sizeof(packet->data));
    writer_u8(&writer,
              (uint8_t)(0x80 | (padding && payload ? 0x20 : 0) | (extension ? 0x10 : 0) | csrcs));
    writer_u8(&writer, 96);
    writer_u16(&writer, sequence);
    writer_u32(&writer, sequence * 3000u);
    writer_u32(&writer, SSRC);
    for (uint8_t i = 0; i < csrcs; i++)
        writer_u32(&writer, random_u32(&pair->random));
    if (extension) {
        writer_u16(&writer, 0xbede);
        writer_u16(&writer, (uint16_t)extension_words);
        for (size_t i = 0; i < extension_words; i++)
            writer_u32(&writer, random_u32(&pair->random));
    }
    packet->header_size = writer.size;
    random_fill(&pair->random, packet->data + writer.size, payload);
    packet->size = writer.size + payload;
    if (padding && payload)
        packet->data[packet->size - 1] = (uint8_t)(1 + payload / 300);
}

static ssize_t protect(struct pair *pair, const struct packet *packet, uint8_t *out,
                       size_t capacity)
{
    return secure_rtp_protect(
        pair->sends, &pair->sender, bytes_of(packet->data, packet->header_size),
        bytes_of(packet->data + packet->header_size, packet->size - packet->header_size), out,
        capacity);
}

/** Both protect the packet: equal bytes; each opens the other's. */
static void exchange(struct pair *pair, uint16_t sequence)
{
    struct packet packet, judged;
    packet_make(pair, sequence, &packet);
    judged = packet;
    int size = (int)packet.size;
    assert_int_equal(srtp_protect(pair->judge_sends, judged.data, &size), srtp_err_status_ok);
    uint8_t ours[2048];
    ssize_t our_size =
        protect(pair, &packet, ours, packet.size + secure_rtp_overhead(pair->profile));
    assert_int_equal(our_size, size);
    assert_memory_equal(ours, judged.data, (size_t)size);

    uint8_t opened[2048];
    uint64_t index;
    ssize_t opened_size = secure_rtp_unprotect(pair->receives, bytes_of(judged.data, (size_t)size),
                                               opened, sizeof(opened), &index);
    assert_int_equal(opened_size, packet.size);
    assert_memory_equal(opened, packet.data, packet.size);
    assert_int_equal(index & 0xffff, sequence);
    assert_int_equal(index, pair->sender.window.newest); // in order, so the newest
    assert_int_equal(srtp_unprotect(pair->judge_receives, judged.data, &size), srtp_err_status_ok);
    assert_memory_equal(judged.data, packet.data, packet.size);
}

static void test_packets_are_equal_over_two_rollovers(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(profiles); i++) {
        struct pair pair;
        pair_init(&pair, profiles[i]);
        uint32_t sequence = 30000;
        while (sequence < 0x20100) {
            exchange(&pair, (uint16_t)sequence);
            // dense around the wraps, in leaps between them
            bool near_wrap = (sequence & 0xffff) < 64 || (sequence & 0xffff) > 0xffc0;
            uint32_t leap = near_wrap ? 1 : 1 + random_below(&pair.random, 200);
            if (!near_wrap && (sequence & 0xffff) + leap > 0xffc0)
                leap = 0xffc1 - (sequence & 0xffff);
            sequence += leap;
        }
        assert_int_equal(pair.sender.window.newest >> 16, 2);
        pair_done(&pair);
    }
}

static void test_reordered_lost_and_repeated_packets_fare_alike(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    static struct packet packets[COUNT];
    for (size_t i = 0; i < array_size(profiles); i++) {
        struct pair pair;
        pair_init(&pair, profiles[i]);
        for (size_t n = 0; n < COUNT; n++) {
            packet_make(&pair, (uint16_t)(30000 + n * 20), &packets[n]); // wraps on the way
            uint8_t out[2048];
            ssize_t size = protect(&pair, &packets[n], out, sizeof(out));
            assert_true(size > 0);
            memcpy(packets[n].data, out, (size_t)size);
            packets[n].size = (size_t)size;
        }
        size_t accepted = 0, refused = 0;
        for (size_t n = 0; n < 2 * COUNT; n++) {
            size_t around = n / 2, reach = 1 + random_below(&pair.random, 80);
            size_t at = around + random_below(&pair.random, (uint32_t)reach);
            at = at > reach / 2 ? min_of(at - reach / 2, (size_t)COUNT - 1) : 0;
            struct packet judged = packets[at];
            int size = (int)judged.size;
            srtp_err_status_t verdict = srtp_unprotect(pair.judge_receives, judged.data, &size);
            uint8_t out[2048];
            ssize_t ours =
                secure_rtp_unprotect(pair.receives, bytes_of(packets[at].data, packets[at].size),
                                     out, sizeof(out), NULL);
            if (verdict == srtp_err_status_ok) {
                assert_int_equal(ours, size);
                assert_memory_equal(out, judged.data, (size_t)size);
                accepted++;
            } else if (verdict == srtp_err_status_replay_fail) {
                assert_int_equal(ours, -EALREADY);
                refused++;
            } else {
                assert_int_equal(verdict, srtp_err_status_replay_old);
                assert_int_equal(ours, -ESTALE);
                refused++;
            }
        }
        assert_true(accepted > COUNT / 2 && refused > COUNT / 2);
        pair_done(&pair);
    }
}

static void test_rtcp_is_equal_and_replays_fare_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(profiles); i++) {
        struct pair pair;
        pair_init(&pair, profiles[i]);
        uint8_t previous[2048];
        ssize_t previous_size = 0;
        for (uint32_t n = 0; n < 300; n++) {
            _Alignas(8) uint8_t plain[1400], judged[2048];
            uint8_t ours[2048], opened[2048];
            size_t words = n < 40 ? n : random_below(&pair.random, 300);
            random_fill(&pair.random, plain, 8 + 4 * words);
            plain[0] = 0x80;
            plain[1] = 200;
            store_u16(plain + 2, (uint16_t)(words + 1));
            store_u32(plain + 4, SSRC);
            struct bytes packet = bytes_of(plain, 8 + 4 * words);
            if (n == 0) // libsrtp's first index is 1, RFC 3711's is 0
                assert_true(secure_rtcp_protect(pair.sends, packet, ours, sizeof(ours)) > 0);
            memcpy(judged, plain, packet.size);
            int size = (int)packet.size;
            assert_int_equal(srtp_protect_rtcp(pair.judge_sends, judged, &size),
                             srtp_err_status_ok);
            ssize_t our_size = secure_rtcp_protect(pair.sends, packet, ours, sizeof(ours));
            assert_int_equal(our_size, size);
            assert_memory_equal(ours, judged, (size_t)size);
            ssize_t opened_size = secure_rtcp_unprotect(
                pair.receives, bytes_of(judged, (size_t)size), opened, sizeof(opened));
            assert_int_equal(opened_size, packet.size);
            assert_memory_equal(opened, plain, packet.size);
            assert_int_equal(srtp_unprotect_rtcp(pair.judge_receives, judged, &size),
                             srtp_err_status_ok);
            assert_int_equal(secure_rtcp_unprotect(pair.receives, bytes_of(ours, (size_t)our_size),
                                                   opened, sizeof(opened)),
                             -EALREADY);
            if (previous_size > 0)
                assert_int_equal(secure_rtcp_unprotect(pair.receives,
                                                       bytes_of(previous, (size_t)previous_size),
                                                       opened, sizeof(opened)),
                                 -EALREADY);
            memcpy(previous, ours, (size_t)our_size);
            previous_size = our_size;
        }
        pair_done(&pair);
    }
}

static int set_up(void **state)
{
    (void)state;
    return srtp_init() == srtp_err_status_ok ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    srtp_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets_are_equal_over_two_rollovers),
        cmocka_unit_test(test_reordered_lost_and_repeated_packets_fare_alike),
        cmocka_unit_test(test_rtcp_is_equal_and_replays_fare_alike),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
#else
int main(void)
{
    return 77; // built without libsrtp2
}
#endif
