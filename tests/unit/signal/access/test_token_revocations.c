#include "support/check.h"

#include <errno.h>
#include <stdio.h>

#include "signal/access/token_revocations.h"

static void start(struct token_revocations *revocations)
{
    token_revocations_init(revocations, (uint64_t[2]){ 1, 2 });
}

static void test_ids_users_and_times_are_revoked(void **state)
{
    (void)state;
    struct token_revocations list;
    start(&list);
    assert_false(token_revocations_cover(&list, "a", "ada", 100));
    assert_int_equal(token_revocations_add_id(&list, "a", 50), 0);
    assert_true(token_revocations_cover(&list, "a", "ada", 100));
    assert_false(token_revocations_cover(&list, "b", "ada", 100));
    assert_false(token_revocations_cover(&list, "", "ada", 100));
    assert_int_equal(token_revocations_add_user(&list, "ada", 100), 0);
    assert_true(token_revocations_cover(&list, "b", "ada", 99));
    assert_true(token_revocations_cover(&list, "b", "ada", 0)); // says no time: old
    assert_false(token_revocations_cover(&list, "b", "ada", 100));
    // an earlier time does not undo a later one
    assert_int_equal(token_revocations_add_user(&list, "ada", 10), 0);
    assert_true(token_revocations_cover(&list, "b", "ada", 99));
    assert_true(token_revocations_remove_id(&list, "a"));
    assert_false(token_revocations_remove_id(&list, "a"));
    assert_false(token_revocations_cover(&list, "a", "", 100));
    list.issued_before_unix_s = 200;
    assert_true(token_revocations_cover(&list, "", "", 199));
    assert_false(token_revocations_cover(&list, "", "", 200));
    token_revocations_done(&list);
}

static void test_what_was_written_is_read_again(void **state)
{
    (void)state;
    struct token_revocations list, again;
    start(&list);
    start(&again);
    assert_int_equal(token_revocations_add_id(&list, "id \"1\"", 5), 0);
    assert_int_equal(token_revocations_add_user(&list, "ada", 7), 0);
    list.issued_before_unix_s = 3;
    json_t *json = token_revocations_write(&list);
    assert_int_equal(token_revocations_read(&again, json), 0);
    json_decref(json);
    assert_true(token_revocations_cover(&again, "id \"1\"", "", 9));
    assert_true(token_revocations_cover(&again, "", "ada", 6));
    assert_true(token_revocations_cover(&again, "", "", 2));
    assert_false(token_revocations_cover(&again, "", "", 3));
    json = json_pack("{s:{s:s}}", "ids", "a", "soon");
    assert_int_equal(token_revocations_read(&again, json), -EINVAL);
    json_decref(json);
    token_revocations_done(&list);
    token_revocations_done(&again);
}

static void test_the_list_is_bounded(void **state)
{
    (void)state;
    struct token_revocations list;
    start(&list);
    char id[80];
    for (int i = 0; i < TOKEN_REVOCATIONS_MAX; i++) {
        snprintf(id, sizeof(id), "%d", i);
        assert_int_equal(token_revocations_add_id(&list, id, 1), 0);
    }
    assert_int_equal(token_revocations_add_id(&list, "more", 1), -ENOSPC);
    assert_int_equal(token_revocations_add_id(&list, "", 1), -EINVAL);
    memset(id, 'x', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    assert_int_equal(token_revocations_add_id(&list, id, 1), -EINVAL);
    token_revocations_done(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_users_and_times_are_revoked),
        cmocka_unit_test(test_what_was_written_is_read_again),
        cmocka_unit_test(test_the_list_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
