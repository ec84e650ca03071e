#include "support/check.h"

#include <errno.h>

#include "crypto/x509.h"

static const char *const names[] = { "localhost", "roost.example", "127.0.0.1", "2001:db8::7" };

static struct certificate *make(uint64_t seed)
{
    struct random random;
    random_seeded_init(&random, seed);
    struct certificate_request request = {
        .common_name = "roost.example",
        .names = names,
        .name_count = array_size(names),
        .not_before_unix_s = 1700000000,
        .not_after_unix_s = 1800000000,
    };
    struct certificate *certificate = NULL;
    assert_int_equal(certificate_make(&request, &random, &certificate), 0);
    return certificate;
}

static void test_a_made_certificate_says_what_was_asked(void **state)
{
    (void)state;
    struct certificate *certificate = make(1);
    assert_true(certificate_is_self_signed(certificate));
    assert_true(certificate_not_before_unix_s(certificate) == 1700000000);
    assert_true(certificate_not_after_unix_s(certificate) == 1800000000);
    for (size_t i = 0; i < array_size(names); i++)
        assert_true(certificate_covers(certificate, names[i]));
    assert_false(certificate_covers(certificate, "other.example"));
    assert_false(certificate_covers(certificate, "127.0.0.2"));
    const char *fingerprint = certificate_fingerprint(certificate);
    assert_int_equal(strlen(fingerprint), 95);
    for (size_t i = 0; i < 95; i++)
        assert_non_null(strchr(i % 3 == 2 ? ":" : "0123456789ABCDEF", fingerprint[i]));
    struct certificate *other = make(1); // equal randomness, yet another key
    assert_string_not_equal(certificate_fingerprint(other), fingerprint);
    certificate_unref(other);
    certificate_unref(certificate);
}

static void test_a_certificate_survives_pem(void **state)
{
    (void)state;
    struct certificate *certificate = make(2), *loaded = NULL;
    char chain[4096], key[1024];
    struct text_builder chain_text = text_builder_of(chain, sizeof(chain));
    struct text_builder key_text = text_builder_of(key, sizeof(key));
    certificate_write_chain(certificate, &chain_text);
    certificate_write_key(certificate, &key_text);
    assert_false(chain_text.truncated || key_text.truncated);
    assert_non_null(strstr(key, "BEGIN PRIVATE KEY"));
    assert_int_equal(certificate_load(bytes_of_text(chain), bytes_of_text(key), NULL, &loaded), 0);
    assert_text_equal(certificate_fingerprint(loaded), certificate_fingerprint(certificate));
    certificate_unref(loaded);

    // a chain of two keeps both
    struct certificate *issuer = make(3);
    certificate_write_chain(issuer, &chain_text);
    assert_int_equal(certificate_load(bytes_of_text(chain), bytes_of_text(key), NULL, &loaded), 0);
    char again[4096];
    struct text_builder again_text = text_builder_of(again, sizeof(again));
    certificate_write_chain(loaded, &again_text);
    assert_text_equal(again, chain);
    assert_text_equal(certificate_fingerprint(loaded), certificate_fingerprint(certificate));
    certificate_unref(loaded);
    certificate_unref(issuer);
    certificate_unref(certificate);
}

static void check_refused(const char *chain, const char *key, int expected, const char *sentence)
{
    char error[200];
    struct text_builder text = text_builder_of(error, sizeof(error));
    struct certificate *loaded = NULL;
    assert_int_equal(certificate_load(bytes_of_text(chain), bytes_of_text(key), &text, &loaded),
                     expected);
    assert_null(loaded);
    assert_non_null(strstr(error, sentence));
    assert_int_equal(error[text.length - 1], '.');
}

static void test_unusable_pem_is_refused_with_a_sentence(void **state)
{
    (void)state;
    struct certificate *certificate = make(4), *other = make(5);
    char chain[4096], key[1024], other_key[1024];
    struct text_builder text = text_builder_of(chain, sizeof(chain));
    certificate_write_chain(certificate, &text);
    text = text_builder_of(key, sizeof(key));
    certificate_write_key(certificate, &text);
    text = text_builder_of(other_key, sizeof(other_key));
    certificate_write_key(other, &text);
    check_refused("", key, -EINVAL, "The certificate cannot be read");
    check_refused("nonsense", key, -EINVAL, "The certificate cannot be read");
    check_refused(key, key, -EINVAL, "The certificate cannot be read");
    check_refused(chain, "", -EINVAL, "The private key cannot be read");
    check_refused(chain, chain, -EINVAL, "The private key cannot be read");
    check_refused(chain, other_key, -EKEYREJECTED, "is not this certificate's");
    certificate_unref(other);
    certificate_unref(certificate);
    assert_null(certificate_unref(NULL));
}

static void test_names_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "two words", "semi;colon", "a,DNS:b" };
    struct random random;
    random_seeded_init(&random, 6);
    for (size_t i = 0; i < array_size(bad); i++) {
        struct certificate_request request = {
            .common_name = "x", .names = &bad[i], .name_count = 1, .not_after_unix_s = 1800000000
        };
        struct certificate *certificate = NULL;
        assert_int_equal(certificate_make(&request, &random, &certificate), -EINVAL);
        assert_null(certificate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_made_certificate_says_what_was_asked),
        cmocka_unit_test(test_a_certificate_survives_pem),
        cmocka_unit_test(test_unusable_pem_is_refused_with_a_sentence),
        cmocka_unit_test(test_names_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
