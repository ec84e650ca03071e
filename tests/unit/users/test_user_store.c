// The user store, also as two processes have it open.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "users/user_store.h"

struct place {
    char folder[64];
    char path[96];
    struct user_store *store;
};

static struct user_store *open_store(const char *path)
{
    struct user_store *store = NULL;
    char text[512];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    int result = user_store_open(path, &store, &problem);
    if (result < 0)
        fail_msg("open: %d %s", result, text);
    return store;
}

static int set_up(void **state)
{
    struct place *place = memory_new(struct place);
    snprintf(place->folder, sizeof(place->folder), "/tmp/roost-users-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof(place->path), "%s/%s", place->folder, DATA_FILE_USERS);
    place->store = open_store(place->path);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    user_store_close(place->store);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static struct user_keys keys_of(uint8_t seed)
{
    struct user_keys keys;
    memset(keys.md5, seed, sizeof(keys.md5));
    memset(keys.sha256, seed + 1, sizeof(keys.sha256));
    return keys;
}

static int add(struct user_store *store, const char *name, uint8_t seed)
{
    struct user_keys keys = keys_of(seed);
    return user_store_add(store, name, "roost", &keys, 1000);
}

static void users_are_kept_with_keys_and_times(void **state)
{
    struct place *place = *state;
    assert_int_equal(add(place->store, "zoe", 1), 0);
    assert_int_equal(add(place->store, "ann", 2), 0);
    user_store_close(place->store);
    place->store = open_store(place->path);
    struct user_list list;
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].name, "ann");
    assert_string_equal(list.items[0].realm, "roost");
    struct user_keys keys = keys_of(2);
    assert_memory_equal(&list.items[0].keys, &keys, sizeof(keys));
    assert_int_equal(list.items[0].created_unix_s, 1000);
    assert_false(list.items[0].disabled);
    assert_string_equal(list.items[1].name, "zoe");
    user_list_done(&list);
}

static void a_name_exists_once_per_realm(void **state)
{
    struct place *place = *state;
    struct user_keys keys = keys_of(1);
    assert_int_equal(add(place->store, "ann", 1), 0);
    assert_int_equal(add(place->store, "ann", 2), -EEXIST);
    assert_string_equal(user_store_problem(place->store), "there is a user of this name");
    assert_int_equal(user_store_add(place->store, "ann", "elsewhere", &keys, 1), 0);
    struct user_list list;
    assert_int_equal(user_store_read(place->store, NULL, &list), 0);
    assert_int_equal(list.count, 2);
    user_list_done(&list);
    assert_int_equal(user_store_read(place->store, "elsewhere", &list), 0);
    assert_int_equal(list.count, 1);
    user_list_done(&list);
}

static void changes_need_somebody(void **state)
{
    struct place *place = *state;
    struct user_keys keys = keys_of(9);
    assert_int_equal(user_store_remove(place->store, "ann", "roost"), -ENOENT);
    assert_int_equal(user_store_set_keys(place->store, "ann", "roost", &keys, 1), -ENOENT);
    assert_int_equal(user_store_set_disabled(place->store, "ann", "roost", true), -ENOENT);
    assert_int_equal(add(place->store, "ann", 1), 0);
    assert_int_equal(user_store_set_keys(place->store, "ann", "roost", &keys, 2000), 0);
    assert_int_equal(user_store_set_disabled(place->store, "ann", "roost", true), 0);
    struct user_list list;
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    assert_memory_equal(&list.items[0].keys, &keys, sizeof(keys));
    assert_int_equal(list.items[0].created_unix_s, 1000);
    assert_int_equal(list.items[0].changed_unix_s, 2000);
    assert_true(list.items[0].disabled);
    user_list_done(&list);
    assert_int_equal(user_store_remove(place->store, "ann", "roost"), 0);
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    assert_int_equal(list.count, 0);
    user_list_done(&list);
}

static void names_that_break_keys_or_terminals_are_refused(void **state)
{
    struct place *place = *state;
    static const char *const bad[] = { "", "a:b", " ann", "ann ", "a\nb", "\x7f", "\xff\xfe" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(add(place->store, bad[i], 1), -EINVAL);
    char longest[USER_NAME_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[USER_NAME_MAX + 1] = '\0';
    assert_int_equal(add(place->store, longest, 1), -EINVAL);
    longest[USER_NAME_MAX] = '\0';
    assert_int_equal(add(place->store, longest, 1), 0);
    assert_int_equal(add(place->store, "J\xc3\xb8rgen O'Neil; DROP TABLE users", 1), 0);
    assert_int_equal(add(place->store, "ann@example.org", 1), 0);
}

static void another_process_is_noticed(void **state)
{
    struct place *place = *state;
    struct user_store *other = open_store(place->path);
    uint32_t before = 0, after = 0;
    assert_int_equal(user_store_version(place->store, &before), 0);
    assert_int_equal(user_store_version(place->store, &after), 0);
    assert_int_equal(before, after);
    assert_int_equal(add(other, "ann", 1), 0);
    assert_int_equal(user_store_version(place->store, &after), 0);
    assert_int_not_equal(before, after);
    user_store_close(other);
}

static void all_is_in_one_file_that_only_the_owner_may_read(void **state)
{
    struct place *place = *state;
    assert_int_equal(add(place->store, "ann", 1), 0);
    struct stat status;
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    static const char *const ends[] = { "-wal", "-shm", "-journal" };
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s%s", place->path, ends[i]);
        assert_int_equal(access(path, F_OK), -1);
    }
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static int open_problem(const char *path, char text[512])
{
    struct user_store *store = NULL;
    struct text_builder problem = text_builder_of(text, 512);
    int result = user_store_open(path, &store, &problem);
    assert_null(store);
    return result;
}

static void files_that_are_not_ours_are_left_alone(void **state)
{
    struct place *place = *state;
    char path[128], text[512];
    snprintf(path, sizeof(path), "%s/other.db", place->folder);
    run_sql(path, "CREATE TABLE turnusers_lt (name TEXT)");
    assert_int_equal(open_problem(path, text), -EBADMSG);
    assert_non_null(strstr(text, "another program"));

    snprintf(path, sizeof(path), "%s/text.db", place->folder);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 200; i++)
        fputs("this is no database at all\n", file);
    fclose(file);
    assert_int_equal(open_problem(path, text), -EBADMSG);

    snprintf(path, sizeof(path), "%s/none/users.db", place->folder);
    assert_int_equal(open_problem(path, text), -ENOENT);
    assert_non_null(strstr(text, "cannot open"));
}

static void a_newer_schema_is_refused(void **state)
{
    struct place *place = *state;
    char text[512];
    run_sql(place->path, "PRAGMA user_version = 999");
    assert_int_equal(open_problem(place->path, text), -ENOTSUP);
    assert_non_null(strstr(text, "newer version"));
}

static void users_without_keys_cannot_sign_in(void **state)
{
    struct place *place = *state;
    assert_int_equal(add(place->store, "ann", 1), 0);
    run_sql(place->path, "UPDATE users SET sha256_key = NULL");
    struct user_list list;
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    assert_int_equal(list.count, 0);
    user_list_done(&list);
}

static void many_users_are_read_in_order(void **state)
{
    struct place *place = *state;
    run_sql(place->path, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < "
                         "1999) INSERT INTO users (name, realm, created, changed, md5_key, "
                         "sha256_key) SELECT printf('user%05d', i), 'roost', 1, 1, "
                         "zeroblob(16), zeroblob(32) FROM n");
    struct user_list list;
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    assert_int_equal(list.count, 2000);
    assert_string_equal(list.items[1999].name, "user01999");
    user_list_done(&list);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(users_are_kept_with_keys_and_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_exists_once_per_realm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_need_somebody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_that_break_keys_or_terminals_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_process_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_is_in_one_file_that_only_the_owner_may_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(files_that_are_not_ours_are_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(users_without_keys_cannot_sign_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_users_are_read_in_order, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
