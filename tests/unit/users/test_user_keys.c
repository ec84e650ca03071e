// What becomes of a password, and what is a user's password afterwards.
#include "support/hex.h"

#include <time.h>

#include "users/user_keys.h"

static struct user_keys keys_of(const char *password, bool with_digest, uint64_t seed)
{
    struct random random;
    random_seeded_init(&random, seed);
    struct user_keys keys;
    user_keys_make(&keys, "ann", "roost", password, with_digest, &random);
    return keys;
}

static bool admits(const struct user_keys *keys, const char *password)
{
    return user_keys_admit(keys, "ann", "roost", bytes_of_text(password));
}

static void the_password_opens_and_others_do_not(void **state)
{
    (void)state;
    struct user_keys keys = keys_of("a pencil", false, 1);
    assert_true(admits(&keys, "a pencil"));
    assert_false(admits(&keys, "A pencil"));
    assert_false(admits(&keys, "a pencil "));
    assert_false(admits(&keys, ""));
    // a no-break space is a space (RFC 8265), a control character is in no password
    assert_true(admits(&keys, "a\xc2\xa0pencil"));
    assert_false(admits(&keys, "a\tpencil"));
    assert_true(scram_verifier_admits(&keys.scram_sha1, bytes_of_text("a pencil")));
    assert_true(keys.scram_sha256.iterations >= 10000);
    assert_true(keys.scram_sha1.iterations >= SCRAM_ITERATIONS_MIN);
}

static void salts_differ(void **state)
{
    (void)state;
    struct user_keys one = keys_of("pencil", false, 1), other = keys_of("pencil", false, 2);
    assert_memory_not_equal(one.scram_sha256.salt, other.scram_sha256.salt, USER_SALT_SIZE);
    assert_memory_not_equal(one.scram_sha256.stored_key, other.scram_sha256.stored_key,
                            USER_SHA256_SIZE);
    assert_memory_not_equal(one.scram_sha256.salt, one.scram_sha1.salt, USER_SALT_SIZE);
}

static void digest_keys_are_those_of_turn_and_sip(void **state)
{
    (void)state;
    struct user_keys keys = keys_of("pencil", true, 1);
    assert_true(keys.has_digest);
    // "ann:roost:pencil"
    hex_check(keys.md5, sizeof(keys.md5), "6e59f2ba37025c78802c5fd4b6433781");
    hex_check(keys.sha256, sizeof(keys.sha256),
              "290459c459d49717829371b67e5527d2b1171787412921805ae86df8966269b7");
    keys = keys_of("pencil", false, 1);
    static const uint8_t nothing[USER_SHA256_SIZE];
    assert_false(keys.has_digest);
    assert_memory_equal(keys.sha256, nothing, sizeof(keys.sha256));
}

static void without_a_verifier_the_digest_key_decides(void **state)
{
    (void)state;
    struct user_keys keys = keys_of("pencil", true, 1);
    keys.scram_sha256.iterations = 0;
    assert_true(admits(&keys, "pencil"));
    assert_false(admits(&keys, "pencils"));
    assert_false(user_keys_admit(&keys, "ann", "elsewhere", bytes_of_text("pencil")));
    keys.has_digest = false;
    assert_false(admits(&keys, "pencil"));
    // and with one it decides nothing
    struct user_keys mixed = keys_of("pencil", true, 1), other = keys_of("paper", true, 1);
    mixed.scram_sha256 = other.scram_sha256;
    assert_false(admits(&mixed, "pencil"));
    assert_true(admits(&mixed, "paper"));
}

/** What a password costs this thread at least. */
static uint64_t cost_ns(const struct user_keys *keys)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 7; i++) {
        struct timespec begin, end;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
        assert_false(admits(keys, "a guess"));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
        uint64_t took = (uint64_t)(end.tv_sec - begin.tv_sec) * 1000000000u +
                        (uint64_t)end.tv_nsec - (uint64_t)begin.tv_nsec;
        least = took < least ? took : least;
    }
    return least;
}

static void quicker_keys_of_other_servers_cost_as_much(void **state)
{
    (void)state;
    const uint8_t salt[8] = { 1 };
    struct user_keys own = keys_of("pencil", false, 1), other = own;
    scram_verifier_make(&other.scram_sha256, HASH_SHA256, bytes_of_text("pencil"),
                        bytes_of(salt, sizeof(salt)), SCRAM_ITERATIONS_MIN);
    assert_true(admits(&other, "pencil"));
    assert_true(cost_ns(&other) * 2 > cost_ns(&own)); // a fifth without
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_password_opens_and_others_do_not),
        cmocka_unit_test(salts_differ),
        cmocka_unit_test(digest_keys_are_those_of_turn_and_sip),
        cmocka_unit_test(without_a_verifier_the_digest_key_decides),
        cmocka_unit_test(quicker_keys_of_other_servers_cost_as_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
