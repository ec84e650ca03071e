#include "support/hex.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "crypto/aead.h"
#include "crypto/aes.h"

// The GCM specification's test cases 4 (AES-128) and 16 (AES-256): one text, 20 octets of
// additional data.
static const char gcm_key_128[] = "feffe9928665731c6d6a8f9467308308";
static const char gcm_key_256[] =
    "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
static const char gcm_iv[] = "cafebabefacedbaddecaf888";
static const char gcm_additional[] = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
static const char gcm_plain[] = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                                "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
static const char gcm_sealed_128[] =
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
    "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
    "5bc94fbc3221a5db94fae95ae7121a47";
static const char gcm_sealed_256[] =
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    "76fc6ece0f4e1768cddf8853bb2d551b";

static void check_gcm(const struct cipher_provider *provider, const char *key_text,
                      const char *sealed_text)
{
    struct hex_buffer key, iv, additional, plain, sealed;
    struct aead *aead = aead_new(provider, hex_read(key_text, &key));
    hex_read(gcm_iv, &iv);
    struct bytes aad = hex_read(gcm_additional, &additional), text = hex_read(gcm_plain, &plain);
    hex_read(sealed_text, &sealed);
    for (int round = 0; round < 3; round++) { // a kept context must not carry state over
        uint8_t out[256];
        aead_seal(aead, iv.data, aad, text, out);
        assert_memory_equal(out, sealed.data, sealed.size);
        uint8_t opened[256];
        assert_int_equal(aead_open(aead, iv.data, aad, bytes_of(out, sealed.size), opened), 0);
        assert_memory_equal(opened, text.data, text.size);
        // in place
        memcpy(out, text.data, text.size);
        aead_seal(aead, iv.data, aad, bytes_of(out, text.size), out);
        assert_memory_equal(out, sealed.data, sealed.size);
        assert_int_equal(aead_open(aead, iv.data, aad, bytes_of(out, sealed.size), out), 0);
        assert_memory_equal(out, text.data, text.size);
    }
    for (size_t i = 0; i < sealed.size; i++) {
        uint8_t out[256];
        sealed.data[i] ^= 0x10;
        assert_int_equal(aead_open(aead, iv.data, aad, bytes_of(sealed.data, sealed.size), out),
                         -EBADMSG);
        sealed.data[i] ^= 0x10;
    }
    additional.data[3] ^= 1;
    uint8_t out[256];
    assert_int_equal(aead_open(aead, iv.data, aad, bytes_of(sealed.data, sealed.size), out),
                     -EBADMSG);
    assert_int_equal(aead_open(aead, iv.data, aad, bytes_of(sealed.data, 15), out), -EINVAL);
    aead_free(aead);
}

static void test_gcm_matches_the_specification(void **state)
{
    (void)state;
    for (enum cipher_choice choice = CIPHER_BEST; choice <= CIPHER_OPENSSL; choice++) {
        struct cipher_provider *provider = cipher_provider_new(choice);
        print_message("AES-GCM by %s\n", cipher_provider_name(provider));
        check_gcm(provider, gcm_key_128, gcm_sealed_128);
        check_gcm(provider, gcm_key_256, gcm_sealed_256);
        cipher_provider_free(provider);
    }
    check_gcm(NULL, gcm_key_128, gcm_sealed_128);
}

static void test_all_providers_agree_at_every_size(void **state)
{
    (void)state;
    struct cipher_provider *best = cipher_provider_new(CIPHER_BEST);
    struct random random;
    random_seeded_init(&random, 7);
    for (size_t key_size = 16; key_size <= 32; key_size += 16) {
        uint8_t key[32], iv[AEAD_IV_SIZE], header[40];
        random_fill(&random, key, sizeof(key));
        struct aead *fast = aead_new(best, bytes_of(key, key_size));
        struct aead *plain = aead_new(NULL, bytes_of(key, key_size));
        for (size_t size = 0; size < 1500; size += size < 300 ? 1 : 61) {
            // exact heap blocks, so that the address sanitizer sees reads and writes beyond
            uint8_t *text = malloc(size + 1), *a = malloc(size + 16), *b = malloc(size + 16);
            random_fill(&random, text, size);
            random_fill(&random, iv, sizeof(iv));
            random_fill(&random, header, sizeof(header));
            struct bytes additional = bytes_of(header, 12 + size % 28);
            aead_seal(fast, iv, additional, bytes_of(text, size), a);
            aead_seal(plain, iv, additional, bytes_of(text, size), b);
            assert_memory_equal(a, b, size + 16);
            assert_int_equal(aead_open(fast, iv, additional, bytes_of(b, size + 16), b), 0);
            assert_memory_equal(b, text, size);
            assert_int_equal(aead_open(plain, iv, additional, bytes_of(a, size + 16), a), 0);
            assert_memory_equal(a, text, size);
            free(text);
            free(a);
            free(b);
        }
        aead_free(fast);
        aead_free(plain);
    }
    cipher_provider_free(best);
}

static void test_counter_mode_matches_rfc3711_appendix_b2(void **state)
{
    (void)state;
    struct hex_buffer key, iv, first, last;
    struct aes_counter *counter =
        aes_counter_new(hex_read("2B7E151628AED2A6ABF7158809CF4F3C", &key));
    hex_read("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000", &iv);
    hex_read("E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB"
             "41E95B3BB0A2E8DD477901E4FCA894C0",
             &first);
    hex_read("EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE"
             "6A2CC3787889374FBEB4C81B17BA6C44",
             &last);
    size_t size = 0xff02 * 16; // the last counter block of the vector is 0xff01
    uint8_t *zeros = calloc(size, 1), *stream = malloc(size);
    aes_counter_crypt(counter, iv.data, bytes_of(zeros, size), stream);
    assert_memory_equal(stream, first.data, 48);
    assert_memory_equal(stream + size - 48, last.data, 48);
    aes_counter_crypt(counter, iv.data, bytes_of(zeros, 20), stream);
    assert_memory_equal(stream, first.data, 20);
    free(zeros);
    free(stream);
    aes_counter_free(counter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gcm_matches_the_specification),
        cmocka_unit_test(test_all_providers_agree_at_every_size),
        cmocka_unit_test(test_counter_mode_matches_rfc3711_appendix_b2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
