// PBKDF2 and SCRAM against the exchanges that the RFCs print.
#include "support/hex.h"

#include <errno.h>

#include "crypto/scram.h"

static void pbkdf2_gives_published_keys(void **state)
{
    (void)state;
    static const struct {
        enum hash_kind kind;
        const char *password;
        uint32_t iterations;
        const char *key;
    } vectors[] = {
        // RFC 6070 section 2
        { HASH_SHA1, "password", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6" },
        { HASH_SHA1, "password", 2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957" },
        { HASH_SHA1, "password", 4096, "4b007901b765489abead49d926f721d065a429c1" },
        // RFC 7914 section 11, its first block
        { HASH_SHA256, "passwd", 1,
          "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc" },
    };
    for (size_t i = 0; i < array_size(vectors); i++) {
        uint8_t key[HASH_SIZE_MAX];
        pbkdf2_block(vectors[i].kind, bytes_of_text(vectors[i].password), bytes_of_text("salt"),
                     vectors[i].iterations, key);
        hex_check(key, hash_size(vectors[i].kind), vectors[i].key);
    }
}

struct exchange {
    enum hash_kind kind;
    const char *salt;
    const char *auth_message;
    const char *proof;
    const char *signature;
};

/** User "user", password "pencil", 4096 iterations. */
static const struct exchange exchanges[] = {
    // RFC 5802 section 5
    { HASH_SHA1, "QSXCR+Q6sek8bf92",
      "n=user,r=fyko+d2lbbFgONRv9qkxdawL,"
      "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,"
      "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
      "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
    // RFC 7677 section 3
    { HASH_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==",
      "n=user,r=rOprNGfwEbeRWgbNEkqO,"
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
      "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
      "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void make(const struct exchange *exchange, const char *password,
                 struct scram_verifier *verifier)
{
    uint8_t salt[PBKDF2_SALT_SIZE_MAX];
    int size = text_base64_parse(bytes_of_text(exchange->salt), salt, sizeof(salt));
    assert_true(size > 0);
    scram_verifier_make(verifier, exchange->kind, bytes_of_text(password),
                        bytes_of(salt, (size_t)size), 4096);
}

static void the_exchanges_of_the_standards_are_followed(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(exchanges); i++) {
        const struct exchange *exchange = &exchanges[i];
        struct scram_verifier verifier;
        make(exchange, "pencil", &verifier);
        uint8_t proof[SCRAM_KEY_SIZE_MAX], signature[SCRAM_KEY_SIZE_MAX];
        int size = text_base64_parse(bytes_of_text(exchange->proof), proof, sizeof(proof));
        struct bytes message = bytes_of_text(exchange->auth_message);
        assert_true(scram_verifier_admits_proof(&verifier, message, bytes_of(proof, (size_t)size)));
        scram_verifier_sign(&verifier, message, signature);
        char text[TEXT_BASE64_SIZE(SCRAM_KEY_SIZE_MAX)];
        text_base64_write(bytes_of(signature, hash_size(exchange->kind)), text);
        assert_text_equal(text, exchange->signature);
        // another message, a proof that is short or changed, another password
        assert_false(scram_verifier_admits_proof(&verifier, bytes_of_text("n=user"),
                                                 bytes_of(proof, (size_t)size)));
        assert_false(
            scram_verifier_admits_proof(&verifier, message, bytes_of(proof, (size_t)size - 1)));
        proof[0] ^= 1;
        assert_false(
            scram_verifier_admits_proof(&verifier, message, bytes_of(proof, (size_t)size)));
        proof[0] ^= 1;
        make(exchange, "Pencil", &verifier);
        assert_false(
            scram_verifier_admits_proof(&verifier, message, bytes_of(proof, (size_t)size)));
    }
}

static void a_password_in_the_clear_is_told_from_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(exchanges); i++) {
        struct scram_verifier verifier;
        make(&exchanges[i], "pencil", &verifier);
        assert_true(scram_verifier_admits(&verifier, bytes_of_text("pencil")));
        assert_false(scram_verifier_admits(&verifier, bytes_of_text("pencils")));
        assert_false(scram_verifier_admits(&verifier, bytes_of(NULL, 0)));
    }
}

static void verifiers_go_to_text_and_back(void **state)
{
    (void)state;
    struct scram_verifier verifier, back;
    char text[SCRAM_VERIFIER_TEXT_SIZE];
    uint8_t salt[PBKDF2_SALT_SIZE_MAX] = { 1, 2, 3 };
    scram_verifier_make(&verifier, HASH_SHA256, bytes_of_text("x"), bytes_of(salt, sizeof(salt)),
                        4096);
    verifier.iterations = SCRAM_ITERATIONS_MAX; // the longest text
    scram_verifier_write(&verifier, text);
    assert_int_equal(scram_verifier_parse(bytes_of_text(text), &back), 0);
    assert_memory_equal(&verifier, &back, sizeof(back));
    make(&exchanges[0], "pencil", &verifier);
    scram_verifier_write(&verifier, text);
    // computed from RFC 5802's example by another implementation
    assert_text_equal(text, "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:"
                            "D+CSWLOshSulAsxiupA+qs2/fTE=");
    assert_int_equal(scram_verifier_parse(bytes_of_text(text), &back), 0);
    assert_memory_equal(&verifier, &back, sizeof(back));
}

static void texts_that_are_no_verifiers_are_refused(void **state)
{
    (void)state;
#define KEYS "6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE="
    static const char *const texts[] = {
        "",
        "SCRAM-SHA-1",
        "scram-sha-1$4096:QSXCR+Q6sek8bf92$" KEYS,
        "SCRAM-SHA-512$4096:QSXCR+Q6sek8bf92$" KEYS,
        "SCRAM-SHA-256$4096:QSXCR+Q6sek8bf92$" KEYS, // keys of another size
        "SCRAM-SHA-1$4095:QSXCR+Q6sek8bf92$" KEYS,   // too cheap
        "SCRAM-SHA-1$1000001:QSXCR+Q6sek8bf92$" KEYS,
        "SCRAM-SHA-1$-4096:QSXCR+Q6sek8bf92$" KEYS,
        "SCRAM-SHA-1$4096:$" KEYS,
        "SCRAM-SHA-1$4096:!$" KEYS,
        "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$" KEYS ":",
        "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=",
        "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CS",
    };
    for (size_t i = 0; i < array_size(texts); i++) {
        struct scram_verifier verifier = { .iterations = 7 };
        assert_int_equal(scram_verifier_parse(bytes_of_text(texts[i]), &verifier), -EINVAL);
        assert_int_equal(verifier.iterations, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pbkdf2_gives_published_keys),
        cmocka_unit_test(the_exchanges_of_the_standards_are_followed),
        cmocka_unit_test(a_password_in_the_clear_is_told_from_another),
        cmocka_unit_test(verifiers_go_to_text_and_back),
        cmocka_unit_test(texts_that_are_no_verifiers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
