#include "support/hex.h"

#include "crypto/hash.h"
#include "crypto/hmac.h"

static void test_digests_match_published_vectors(void **state)
{
    (void)state;
    static const char *const expected[] = {
        [HASH_MD5] = "900150983cd24fb0d6963f7d28e17f72",          // RFC 1321, A.5
        [HASH_SHA1] = "a9993e364706816aba3e25717850c26c9cd0d89d", // FIPS 180, "abc"
        [HASH_SHA256] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        [HASH_SHA384] = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                        "8086072ba1e7cc2358baeca134c825a7",
        [HASH_SHA512] = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    };
    for (enum hash_kind kind = HASH_MD5; kind <= HASH_SHA512; kind++) {
        uint8_t digest[HASH_SIZE_MAX];
        hash_compute(kind, bytes_of_text("abc"), digest);
        hex_check(digest, hash_size(kind), expected[kind]);
        struct hash hash;
        hash_begin(&hash, kind);
        hash_add(&hash, bytes_of_text("a"));
        struct hash fork = hash;
        hash_add(&hash, bytes_of_text("x"));
        hash_add(&fork, bytes_of(NULL, 0));
        hash_add(&fork, bytes_of_text("bc"));
        hash_end(&fork, digest);
        hex_check(digest, hash_size(kind), expected[kind]);
    }
}

struct hmac_vector {
    uint8_t key[131];
    size_t key_size;
    const char *data;
    const char *sha1;
    const char *sha256;
};

// RFC 2202 (SHA-1) and RFC 4231 (SHA-256)
static const struct hmac_vector vectors[] = {
    { "Jefe", 4, "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
    { { 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
        0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b },
      20,
      "Hi There",
      "b617318655057264e28bc0b6fb378c8ef146be00",
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
};

static void test_hmac_matches_published_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(vectors); i++) {
        const struct hmac_vector *vector = &vectors[i];
        struct bytes key = bytes_of(vector->key, vector->key_size);
        uint8_t code[HMAC_SIZE_MAX];
        hmac_sha1(key, bytes_of_text(vector->data), code);
        hex_check(code, HMAC_SHA1_SIZE, vector->sha1);
        hmac_sha256(key, bytes_of_text(vector->data), code);
        hex_check(code, HMAC_SHA256_SIZE, vector->sha256);
    }
}

static void test_hmac_hashes_keys_longer_than_a_block(void **state)
{
    (void)state;
    uint8_t key[131];
    memset(key, 0xaa, sizeof(key));
    const char *data = "Test Using Larger Than Block-Size Key - Hash Key First";
    uint8_t code[HMAC_SIZE_MAX];
    hmac_sha1(bytes_of(key, 80), bytes_of_text(data), code);
    hex_check(code, HMAC_SHA1_SIZE, "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    hmac_sha256(bytes_of(key, sizeof(key)), bytes_of_text(data), code);
    hex_check(code, HMAC_SHA256_SIZE,
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_hmac_of_parts_is_that_of_the_whole(void **state)
{
    (void)state;
    uint8_t data[500];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7);
    struct bytes secret = bytes_of_text("a secret");
    struct hmac_key keys[2];
    hmac_key_init(&keys[0], HASH_SHA1, secret);
    hmac_key_init(&keys[1], HASH_SHA256, secret);
    for (size_t size = 0; size <= sizeof(data); size += 37) {
        uint8_t whole[HMAC_SIZE_MAX], parts[HMAC_SIZE_MAX], kept[HMAC_SIZE_MAX];
        struct bytes pieces[3] = { bytes_of(data, size / 3), bytes_of(data + size / 3, 0),
                                   bytes_of(data + size / 3, size - size / 3) };
        hmac_sha1(secret, bytes_of(data, size), whole);
        hmac_sha1_parts(secret, pieces, 3, parts);
        assert_memory_equal(whole, parts, HMAC_SHA1_SIZE);
        for (size_t k = 0; k < 2; k++) {
            struct hmac hmac;
            hmac_begin(&hmac, &keys[k]);
            for (size_t i = 0; i < 3; i++)
                hmac_add(&hmac, pieces[i]);
            hmac_end(&hmac, kept);
            if (k == 1)
                hmac_sha256(secret, bytes_of(data, size), whole);
            assert_memory_equal(whole, kept, k ? HMAC_SHA256_SIZE : HMAC_SHA1_SIZE);
        }
    }
    hmac_key_wipe(&keys[0]);
    assert_int_equal(keys[0].inner[0] | keys[0].outer[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests_match_published_vectors),
        cmocka_unit_test(test_hmac_matches_published_vectors),
        cmocka_unit_test(test_hmac_hashes_keys_longer_than_a_block),
        cmocka_unit_test(test_hmac_of_parts_is_that_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
