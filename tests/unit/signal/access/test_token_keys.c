#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/hmac.h"
#include "crypto/public_key.h"
#include "signal/access/token_keys.h"
#include "token_vectors.h"

static const struct token_policy no_policy = { 0 };

static int verify(const struct token_keys *keys, const char *token,
                  const struct token_policy *policy, struct token_grants *grants)
{
    return token_verify_with((const struct token_keys *const[]){ keys }, 1, policy,
                             bytes_of_text(token), 1000, grants);
}

static struct token_keys *keys_of(const char *text, enum token_trust trust)
{
    struct token_keys *keys = token_keys_new();
    assert_int_equal(token_keys_add_text(keys, bytes_of_text(text), trust, NULL), 1);
    return keys;
}

static const struct {
    const char *token, *pem, *jwks, *private;
} vectors[] = {
    { rs256_token, rs256_pem, rs256_jwks, rs256_private },
    { es256_token, es256_pem, es256_jwks, es256_private },
    { eddsa_token, eddsa_pem, eddsa_jwks, eddsa_private },
};

static void test_tokens_of_another_implementation_are_verified(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(vectors); i++) {
        const char *const texts[] = { vectors[i].pem, vectors[i].jwks };
        for (size_t t = 0; t < array_size(texts); t++) {
            struct token_keys *keys = keys_of(texts[t], TOKEN_TRUST_GRANTS);
            struct token_grants grants;
            assert_int_equal(verify(keys, vectors[i].token, &no_policy, &grants), 0);
            assert_string_equal(grants.room, "demo");
            assert_string_equal(grants.user, "ada");
            assert_false(grants.admin); // no identity provider makes operators
            token_keys_free(keys);
        }
        // and none of the other keys is good for it
        struct token_keys *other = keys_of(vectors[(i + 1) % 3].pem, TOKEN_TRUST_ALL);
        struct token_grants grants;
        assert_int_equal(verify(other, vectors[i].token, &no_policy, &grants), -ENOKEY);
        token_keys_free(other);
    }
}

static void test_every_changed_byte_breaks_a_signature(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(vectors); i++) {
        struct token_keys *keys = keys_of(vectors[i].pem, TOKEN_TRUST_ALL);
        struct token_grants grants;
        char token[TOKEN_SIZE_MAX];
        size_t size = strlen(vectors[i].token);
        memcpy(token, vectors[i].token, size + 1);
        for (size_t at = 0; at < size - 1; at += 3) {
            char old = token[at];
            token[at] = old == 'A' ? 'B' : 'A';
            assert_true(verify(keys, token, &no_policy, &grants) < 0);
            token[at] = old;
        }
        assert_int_equal(verify(keys, token, &no_policy, &grants), 0);
        token_keys_free(keys);
    }
}

/** "HS256", keyed with the text of a public key, which everyone has. */
static void test_a_public_key_is_no_secret(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(vectors); i++) {
        struct token_keys *keys = keys_of(vectors[i].pem, TOKEN_TRUST_ALL);
        struct token_grants forged = { .room = "*", .admin = true }, grants;
        char *token = token_mint(&forged, bytes_of_text(vectors[i].pem), 1000);
        assert_true(verify(keys, token, &no_policy, &grants) < 0);
        free(token);
        assert_true(verify(keys, "eyJhbGciOiJub25lIn0.eyJyb29tIjoiKiJ9.", &no_policy, &grants) < 0);
        assert_true(verify(keys, "eyJhbGciOiJOb25lIn0.eyJyb29tIjoiKiJ9.AA", &no_policy, &grants) <
                    0);
        token_keys_free(keys);
    }
}

static void test_a_key_id_chooses_and_an_unknown_one_says_so(void **state)
{
    (void)state;
    struct token_keys *keys = token_keys_new();
    struct token_grants given = { .room = "a" }, grants;
    assert_int_equal(token_keys_add_secret(keys, "one", bytes_of_text("0123456789abcdef")), 0);
    assert_int_equal(token_keys_add_secret(keys, "two", bytes_of_text("fedcba9876543210")), 0);
    char *token = token_mint(&given, bytes_of_text("fedcba9876543210"), 1000);
    assert_int_equal(verify(keys, token, &no_policy, &grants), 0); // without a kid all are tried
    free(token);
    assert_int_equal(verify(keys, es256_token, &no_policy, &grants), -ENOKEY);
    assert_int_equal(token_keys_add_text(keys, bytes_of_text(es256_jwks), TOKEN_TRUST_GRANTS, NULL),
                     1);
    assert_int_equal(verify(keys, es256_token, &no_policy, &grants), 0);
    token_keys_free(keys);
}

static void test_issuer_audience_and_skew_are_asked_for(void **state)
{
    (void)state;
    struct token_keys *keys = keys_of(eddsa_jwks, TOKEN_TRUST_ALL);
    struct token_grants grants;
    assert_int_equal(verify(keys, eddsa_token,
                            &(struct token_policy){ .issuer = "idp", .audience = "roost" },
                            &grants),
                     0);
    assert_true(grants.admin);
    assert_int_equal(
        verify(keys, eddsa_token, &(struct token_policy){ .issuer = "other" }, &grants), -EBADMSG);
    assert_int_equal(
        verify(keys, eddsa_token, &(struct token_policy){ .audience = "other" }, &grants),
        -EBADMSG);
    const struct token_keys *const sets[] = { keys };
    const struct token_policy skewed = { .skew_s = 5 };
    assert_int_equal(token_verify_with(sets, 1, &skewed, bytes_of_text(eddsa_token), 2004, &grants),
                     0);
    assert_int_equal(token_verify_with(sets, 1, &skewed, bytes_of_text(eddsa_token), 2005, &grants),
                     -ETIME);
    token_keys_free(keys);
}

static void test_what_a_set_may_hold(void **state)
{
    (void)state;
    static const char oct[] = "{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODw\",\"kid\":\"s\"}";
    struct token_keys *keys = token_keys_new();
    // what anyone may fetch is no secret
    assert_int_equal(token_keys_add_text(keys, bytes_of_text(oct), TOKEN_TRUST_GRANTS, NULL), 0);
    assert_int_equal(token_keys_add_text(keys, bytes_of_text(oct), TOKEN_TRUST_ALL, NULL), 1);
    static const char *const useless[] = {
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", // 17 bits
        "{\"keys\":[{\"kty\":\"RSA\",\"use\":\"enc\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[1,null,{}]}",
        "{}",
    };
    for (size_t i = 0; i < array_size(useless); i++)
        assert_int_equal(
            token_keys_add_text(keys, bytes_of_text(useless[i]), TOKEN_TRUST_ALL, NULL), 0);
    assert_int_equal(token_keys_add_text(keys, bytes_of_text("{"), TOKEN_TRUST_ALL, NULL), -EINVAL);
    assert_int_equal(token_keys_add_text(keys, bytes_of_text(" "), TOKEN_TRUST_ALL, NULL), -EINVAL);
    char both[4096];
    snprintf(both, sizeof(both), "%s%s", rs256_pem, eddsa_pem);
    assert_int_equal(token_keys_add_text(keys, bytes_of_text(both), TOKEN_TRUST_ALL, NULL), 2);
    token_keys_free(keys);
}

static void test_our_signatures_are_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(vectors); i++) {
        struct private_key *private = NULL;
        assert_int_equal(private_key_load(bytes_of_text(vectors[i].private), NULL, &private), 0);
        struct token_grants given = { .room = "r" }, grants;
        const struct token_policy policy = { .issuer = "me", .audience = "you" };
        char *token = token_sign(&given, private, "k", &policy, 1000);
        assert_non_null(token);
        struct token_keys *keys = keys_of(vectors[i].pem, TOKEN_TRUST_ALL);
        assert_int_equal(verify(keys, token, &policy, &grants), 0);
        assert_string_equal(grants.room, "r");
        token_keys_free(keys);
        free(token);
        private_key_free(private);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_of_another_implementation_are_verified),
        cmocka_unit_test(test_every_changed_byte_breaks_a_signature),
        cmocka_unit_test(test_a_public_key_is_no_secret),
        cmocka_unit_test(test_a_key_id_chooses_and_an_unknown_one_says_so),
        cmocka_unit_test(test_issuer_audience_and_skew_are_asked_for),
        cmocka_unit_test(test_what_a_set_may_hold),
        cmocka_unit_test(test_our_signatures_are_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
