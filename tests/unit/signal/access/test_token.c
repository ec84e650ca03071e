#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "crypto/hmac.h"
#include "signal/access/token.h"

static const struct bytes key = { (const uint8_t *)"0123456789abcdef0123456789abcdef", 32 };

/** The example of RFC 7515, appendix A.1. */
static void test_the_rfcs_example_is_accepted_in_its_time(void **state)
{
    (void)state;
    static const char token[] =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        "cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    static const char key_text[] = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0"
                                   "iPS4hcgUuTwjAzZr1Z9CAow";
    uint8_t rfc_key[64];
    assert_int_equal(text_base64_parse(bytes_of_text(key_text), rfc_key, sizeof(rfc_key)), 64);
    struct token_grants grants;
    assert_int_equal(token_verify(bytes_of_text(token), bytes_of(rfc_key, 64), 1300819379, &grants),
                     0);
    assert_int_equal(grants.expires_unix_s, 1300819380);
    assert_int_equal(token_verify(bytes_of_text(token), bytes_of(rfc_key, 64), 1300819380, &grants),
                     -ETIME);
    assert_int_equal(token_verify(bytes_of_text(token), key, 1300819379, &grants), -EBADMSG);
}

static void test_what_was_minted_is_what_is_granted(void **state)
{
    (void)state;
    struct token_grants given = { .room = "k\xc3\xbc"
                                          "che",
                                  .user = "ada",
                                  .name = "Ada \"L\"",
                                  .moderator = true,
                                  .expires_unix_s = 2000 };
    char *token = token_mint(&given, key, 1000);
    struct token_grants got;
    assert_int_equal(token_verify(bytes_of_text(token), key, 1999, &got), 0);
    assert_string_equal(got.room, given.room);
    assert_string_equal(got.user, given.user);
    assert_string_equal(got.name, given.name);
    assert_true(got.moderator);
    assert_true(token_admits(&got, given.room));
    assert_false(token_admits(&got, "other"));
    free(token);
    struct token_grants none = { 0 };
    assert_false(token_admits(&none, ""));
    struct token_grants all = { .room = "*" };
    assert_true(token_admits(&all, "other"));
}

/** Header and payload of the test's own, properly signed. */
static int verify_signed(const char *header, const char *payload, struct token_grants *grants)
{
    char token[2048];
    text_base64url_write(bytes_of_text(header), token);
    strcat(token, ".");
    text_base64url_write(bytes_of_text(payload), token + strlen(token));
    uint8_t code[HMAC_SHA256_SIZE];
    hmac_sha256(key, bytes_of_text(token), code);
    strcat(token, ".");
    text_base64url_write(bytes_of(code, sizeof(code)), token + strlen(token));
    return token_verify(bytes_of_text(token), key, 1000, grants);
}

static void test_only_hs256_is_trusted(void **state)
{
    (void)state;
    struct token_grants grants;
    assert_int_equal(verify_signed("{\"alg\":\"HS256\"}", "{\"room\":\"a\"}", &grants), 0);
    assert_int_equal(verify_signed("{\"alg\":\"none\"}", "{}", &grants), -EBADMSG);
    assert_int_equal(verify_signed("{\"alg\":\"HS512\"}", "{}", &grants), -EBADMSG);
    assert_int_equal(verify_signed("{\"typ\":\"JWT\"}", "{}", &grants), -EBADMSG);
    assert_int_equal(verify_signed("{\"alg\":\"HS256\",\"crit\":[\"x\"]}", "{}", &grants),
                     -EBADMSG);
    assert_int_equal(verify_signed("{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "{}", &grants),
                     -EBADMSG);
    // unsigned: the classic
    assert_int_equal(token_verify(bytes_of_text("eyJhbGciOiJub25lIn0.e30."), key, 1000, &grants),
                     -EBADMSG);
}

static void test_claims_of_the_wrong_kind_are_refused(void **state)
{
    (void)state;
    static const char header[] = "{\"alg\":\"HS256\"}";
    struct token_grants grants;
    assert_int_equal(verify_signed(header, "{\"room\":1}", &grants), -EBADMSG);
    assert_int_equal(verify_signed(header, "{\"exp\":\"never\"}", &grants), -EBADMSG);
    assert_int_equal(verify_signed(header, "{\"exp\":-1}", &grants), -EBADMSG);
    assert_int_equal(verify_signed(header, "{\"exp\":0}", &grants), -ETIME);
    assert_int_equal(verify_signed(header, "{\"nbf\":1001}", &grants), -EAGAIN);
    assert_int_equal(verify_signed(header, "{\"name\":\"a\\nb\"}", &grants), -EBADMSG);
    assert_int_equal(verify_signed(header, "[]", &grants), -EBADMSG);
    assert_int_equal(verify_signed(header, "{", &grants), -EBADMSG);
    char longer[256] = "{\"user\":\"";
    memset(longer + 9, 'x', 100);
    strcpy(longer + 109, "\"}");
    assert_int_equal(verify_signed(header, longer, &grants), -EBADMSG);
    assert_int_equal(verify_signed(header, "{\"sub\":\"ada\"}", &grants), 0);
    assert_string_equal(grants.user, "ada");
    assert_false(grants.moderator);
}

static void test_grants_survive_the_way_through_a_token(void **state)
{
    (void)state;
    struct token_grants given = {
        .room = "team-*-call",
        .id = "abc",
        .hidden = true,
        .record = true,
        .join_denied = true,
        .denials = { .publish = ROOM_SOURCES_ALL & ~(1u << ROOM_SOURCE_MICROPHONE),
                     .subscribe = true,
                     .data = true },
    };
    char *token = token_mint(&given, key, 1000);
    struct token_grants got;
    assert_int_equal(token_verify(bytes_of_text(token), key, 1000, &got), 0);
    assert_string_equal(got.id, "abc");
    assert_true(got.hidden && got.record && got.join_denied);
    assert_int_equal(got.denials.publish, given.denials.publish);
    assert_true(got.denials.subscribe && got.denials.data);
    assert_int_equal(got.issued_unix_s, 1000);
    got.hidden = false;
    assert_true(token_may_publish(&got, ROOM_SOURCE_MICROPHONE));
    assert_false(token_may_publish(&got, ROOM_SOURCE_CAMERA));
    assert_true(token_admits(&got, "team-red-call"));
    assert_true(token_admits(&got, "team-a-call-b-call"));
    assert_false(token_admits(&got, "team-red"));
    assert_false(token_admits(&got, "a-team-red-call"));
    free(token);
}

static void test_a_denial_of_the_wrong_type_is_not_overlooked(void **state)
{
    (void)state;
    static const char header[] = "{\"alg\":\"HS256\"}";
    struct token_grants grants;
    assert_int_equal(verify_signed(header, "{\"publish\":\"camera\"}", &grants), -EBADMSG);
    assert_int_equal(verify_signed(header, "{\"publish\":[1]}", &grants), -EBADMSG);
    assert_int_equal(verify_signed(header, "{\"subscribe\":\"false\"}", &grants), -EBADMSG);
    assert_int_equal(verify_signed(header, "{\"hidden\":1}", &grants), -EBADMSG);
    assert_int_equal(verify_signed(header, "{\"publish\":[\"smell\"]}", &grants), 0);
    assert_int_equal(grants.denials.publish, ROOM_SOURCES_ALL);
    assert_int_equal(verify_signed(header, "{\"moderate\":true,\"identity\":\"ada\"}", &grants), 0);
    assert_true(grants.moderator);
    assert_string_equal(grants.user, "ada");
}

static void test_every_changed_byte_breaks_a_token(void **state)
{
    (void)state;
    struct token_grants given = { .room = "room" };
    char *token = token_mint(&given, key, 1000);
    size_t length = strlen(token);
    struct token_grants got;
    for (size_t i = 0; i < length; i++) {
        char old = token[i];
        token[i] = old == 'A' ? 'B' : 'A';
        // the last character of 32 bytes has 2 bits that carry nothing: base64url decoders differ
        if (i != length - 1)
            assert_true(token_verify(bytes_of_text(token), key, 1000, &got) < 0);
        token[i] = old;
    }
    for (size_t size = 0; size < length - 1; size++)
        assert_true(token_verify(bytes_of(token, size), key, 1000, &got) < 0);
    assert_int_equal(token_verify(bytes_of_text(token), bytes_of(NULL, 0), 1000, &got), -EBADMSG);
    free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_rfcs_example_is_accepted_in_its_time),
        cmocka_unit_test(test_what_was_minted_is_what_is_granted),
        cmocka_unit_test(test_only_hs256_is_trusted),
        cmocka_unit_test(test_claims_of_the_wrong_kind_are_refused),
        cmocka_unit_test(test_grants_survive_the_way_through_a_token),
        cmocka_unit_test(test_a_denial_of_the_wrong_type_is_not_overlooked),
        cmocka_unit_test(test_every_changed_byte_breaks_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
