// Accounts of before get slow keys, and nothing else changes.
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/time.h"
#include "runtime/clock.h"
#include "users/user_renew.h"

#define PATIENCE_US (30 * TIME_US_PER_S)
#define PASSWORD    "the password of ann"

static void add(struct user_store *store, const char *name, bool digest, bool scram)
{
    struct random random;
    struct user_keys keys;
    random_seeded_init(&random, 3);
    user_keys_make(&keys, name, "roost", PASSWORD, digest, &random);
    if (!scram)
        keys.scram_sha256 = keys.scram_sha1 = (struct scram_verifier){ 0 };
    assert_int_equal(user_store_add(store, name, "roost", &keys, 1000), 0);
}

static void read_users(struct user_store *store, struct user_list *ret_users)
{
    user_list_done(ret_users);
    assert_int_equal(user_store_read(store, "roost", ret_users), 0);
}

static const struct user *find(const struct user_list *users, const char *name)
{
    const struct user *user = user_list_find(users, bytes_of_text(name));
    assert_non_null(user);
    return user;
}

static void test_accounts_of_before_get_verifiers(void **state)
{
    (void)state;
    char folder[] = "/tmp/roost-renew-XXXXXX", path[64], text[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/users.db", folder);
    struct text_builder problem = text_builder_of(text, sizeof(text));
    struct user_store *store;
    struct loop loop;
    struct user_renew *renew;
    struct user_list users = { 0 }, before = { 0 };
    assert_int_equal(user_store_open(path, &store, &problem), 0);
    add(store, "ann", true, false);
    add(store, "ben", true, true);
    add(store, "cid", true, false);
    read_users(store, &before);
    // cid has another password by the time that it is done
    struct user cid = *find(&before, "cid");
    cid.changed_unix_s--;
    assert_int_equal(loop_init(&loop), 0);
    struct user_renew_config config = { .loop = &loop, .path = path };
    assert_int_equal(user_renew_new(&config, &renew), 0);
    user_renew_keys(renew, find(&before, "ben"), bytes_of_text(PASSWORD));
    user_renew_keys(renew, &cid, bytes_of_text(PASSWORD));
    user_renew_keys(renew, find(&before, "ann"), bytes_of_text(PASSWORD));
    uint64_t end_us = clock_now_us() + PATIENCE_US;
    do {
        loop_turn(&loop, 10 * TIME_US_PER_MS);
        read_users(store, &users);
    } while (find(&users, "ann")->keys.scram_sha256.iterations == 0 && clock_now_us() < end_us);
    const struct user *ann = find(&users, "ann"), *was = find(&before, "ann");
    assert_int_equal(ann->keys.scram_sha256.iterations, USER_ITERATIONS);
    assert_int_equal(ann->keys.scram_sha1.iterations, USER_ITERATIONS);
    assert_true(user_keys_admit(&ann->keys, "ann", "roost", bytes_of_text(PASSWORD)));
    assert_false(user_keys_admit(&ann->keys, "ann", "roost", bytes_of_text("a guess")));
    // it is the same password, with the same digest keys, of the same time
    assert_int_equal(ann->changed_unix_s, was->changed_unix_s);
    assert_memory_equal(ann->keys.md5, was->keys.md5, sizeof(was->keys.md5));
    assert_true(user_keys_same_password(&ann->keys, &was->keys));
    assert_true(user_keys_equal(&find(&users, "ben")->keys, &find(&before, "ben")->keys));
    assert_int_equal(find(&users, "cid")->keys.scram_sha256.iterations, 0);
    user_renew_free(renew);
    loop_done(&loop);
    user_list_done(&users);
    user_list_done(&before);
    user_store_close(store);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accounts_of_before_get_verifiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
