// RFC 3711, appendix B.3 and RFC 7714, sections 16 and 17 (their keys are session keys).
#include "support/hex.h"

#include "base/memory.h"
#include "proto/srtp/secure_rtp_int.h"

static void test_key_derivation_matches_rfc3711_b3(void **state)
{
    (void)state;
    struct hex_buffer key, salt;
    struct secure_rtp_derived derived;
    secure_rtp_derive(secure_rtp_shape_of(SECURE_RTP_AES_CM_128_HMAC_SHA1_80),
                      hex_read("e1f97a0d3e018be0d64fa32c06de4139", &key),
                      hex_read("0ec675ad498afeebb6960b3aabe6", &salt), false, &derived);
    hex_check(derived.encryption, 16, "c61e7a93744f39ee10734afe3ff7a087");
    hex_check(derived.salt, 14, "30cbbc08863d8c85d49db34a9ae1");
    hex_check(derived.authentication, 20, "cebe321f6ff7716b6fd4ab49af256a156d38baa4");
}

/** A session whose session keys, not master keys, are given. */
static struct secure_rtp_session *session_of(uint16_t profile, struct bytes key, struct bytes salt)
{
    struct secure_rtp_session *session;
    assert_int_equal(secure_rtp_session_new(&(struct secure_rtp_config){ .profile = profile,
                                                                         .master_key = key,
                                                                         .master_salt = salt },
                                            &session),
                     0);
    struct secure_rtp_derived derived = { 0 };
    memcpy(derived.encryption, key.data, key.size);
    memcpy(derived.salt, salt.data, salt.size);
    struct secure_rtp_cipher *ciphers[] = { secure_rtp_keys_use(session, &session->rtp),
                                            secure_rtp_keys_use(session, &session->rtcp) };
    for (size_t i = 0; i < 2; i++) {
        secure_rtp_cipher_done(ciphers[i]);
        secure_rtp_cipher_init(ciphers[i], session->shape, &derived, NULL);
    }
    return session;
}

static const char salt_text[] = "517569642070726f2071756f";
static const char plain_rtp[] = "8040f17b8041f8d35501a0b2"
                                "47616c6c696120657374206f6d6e69732064697669736120696e207061727465"
                                "732074726573";
static const char plain_rtcp[] = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61"
                                 "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

static const struct {
    uint16_t profile;
    const char *key;
    const char *rtp;
    const char *rtcp;
} gcm_vectors[] = {
    { SECURE_RTP_AEAD_AES_128_GCM, "000102030405060708090a0b0c0d0e0f",
      "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b"
      "36de3adf8833899d7f27beb16a9152cf765ee4390cce",
      "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b46"
      "86303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4" },
    { SECURE_RTP_AEAD_AES_256_GCM,
      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
      "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f"
      "1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
      "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658"
      "c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4" },
};

static void test_rtp_matches_rfc7714_16(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(gcm_vectors); i++) {
        struct hex_buffer key, salt, plain, sealed;
        struct secure_rtp_session *session = session_of(
            gcm_vectors[i].profile, hex_read(gcm_vectors[i].key, &key), hex_read(salt_text, &salt));
        struct bytes packet = hex_read(plain_rtp, &plain);
        struct secure_rtp_sender sender = { 0 };
        uint8_t out[256];
        ssize_t size =
            secure_rtp_protect(session, &sender, bytes_of(packet.data, 12),
                               bytes_of(packet.data + 12, packet.size - 12), out, sizeof(out));
        assert_true(size > 0);
        hex_check(out, (size_t)size, gcm_vectors[i].rtp);
        struct bytes secured = hex_read(gcm_vectors[i].rtp, &sealed);
        size = secure_rtp_unprotect(session, secured, out, sizeof(out), NULL);
        assert_int_equal(size, packet.size);
        hex_check(out, packet.size, plain_rtp);
        secure_rtp_session_free(session);
    }
}

static void test_rtcp_matches_rfc7714_17(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(gcm_vectors); i++) {
        struct hex_buffer key, salt, plain, sealed;
        struct secure_rtp_session *session = session_of(
            gcm_vectors[i].profile, hex_read(gcm_vectors[i].key, &key), hex_read(salt_text, &salt));
        struct bytes packet = hex_read(plain_rtcp, &plain);
        uint8_t out[256];
        session->rtcp_next = 0x5d4;
        ssize_t size = secure_rtcp_protect(session, packet, out, sizeof(out));
        assert_true(size > 0);
        hex_check(out, (size_t)size, gcm_vectors[i].rtcp);
        struct bytes secured = hex_read(gcm_vectors[i].rtcp, &sealed);
        size = secure_rtcp_unprotect(session, secured, out, sizeof(out));
        assert_int_equal(size, packet.size);
        hex_check(out, packet.size, plain_rtcp);
        secure_rtp_session_free(session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_derivation_matches_rfc3711_b3),
        cmocka_unit_test(test_rtp_matches_rfc7714_16),
        cmocka_unit_test(test_rtcp_matches_rfc7714_17),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
