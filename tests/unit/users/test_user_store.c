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
    struct user_keys keys = { .has_digest = true };
    memset(keys.md5, seed, sizeof(keys.md5));
    memset(keys.sha256, seed + 1, sizeof(keys.sha256));
    scram_verifier_make(&keys.scram_sha256, HASH_SHA256, bytes_of_text("x"), bytes_of(&seed, 1),
                        SCRAM_ITERATIONS_MIN);
    scram_verifier_make(&keys.scram_sha1, HASH_SHA1, bytes_of_text("x"), bytes_of(&seed, 1),
                        SCRAM_ITERATIONS_MIN);
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

static void digest_keys_are_kept_where_they_are_wanted(void **state)
{
    struct place *place = *state;
    struct user_keys keys = keys_of(1);
    keys.has_digest = false;
    assert_int_equal(user_store_add(place->store, "ann", "roost", &keys, 1), 0);
    struct user_list list;
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    const struct user_keys *kept = &list.items[0].keys;
    static const uint8_t nothing[USER_SHA256_SIZE];
    assert_false(kept->has_digest);
    assert_memory_equal(kept->sha256, nothing, sizeof(kept->sha256));
    assert_memory_equal(&kept->scram_sha256, &keys.scram_sha256, sizeof(kept->scram_sha256));
    user_list_done(&list);
    // and they go when they are not any more
    keys = keys_of(1);
    assert_int_equal(user_store_set_keys(place->store, "ann", "roost", &keys, 1), 0);
    keys.has_digest = false;
    assert_int_equal(user_store_set_keys(place->store, "ann", "roost", &keys, 1), 0);
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    assert_false(list.items[0].keys.has_digest);
    user_list_done(&list);
}

static void users_have_a_role_and_a_name_for_people(void **state)
{
    struct place *place = *state;
    assert_int_equal(add(place->store, "ann", 1), 0);
    struct user_list list;
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    assert_int_equal(list.items[0].role, USER_ROLE_USER);
    assert_null(list.items[0].display_name);
    user_list_done(&list);
    struct user_store *store = place->store;
    assert_int_equal(user_store_set_role(store, "ann", "roost", USER_ROLE_OPERATOR), 0);
    assert_int_equal(user_store_set_display_name(store, "ann", "roost", "Ann \xc3\x85"), 0);
    assert_int_equal(user_store_read(store, "roost", &list), 0);
    assert_int_equal(list.items[0].role, USER_ROLE_OPERATOR);
    assert_string_equal(list.items[0].display_name, "Ann \xc3\x85");
    user_list_done(&list);
    assert_int_equal(user_store_set_display_name(store, "ann", "roost", NULL), 0);
    assert_int_equal(user_store_read(store, "roost", &list), 0);
    assert_null(list.items[0].display_name);
    user_list_done(&list);
    assert_int_equal(user_store_set_display_name(store, "ann", "roost", "a\x1b[2J"), -EINVAL);
    assert_int_equal(user_store_set_role(store, "ann", "roost", USER_ROLE_COUNT), -EINVAL);
    assert_int_equal(user_store_set_role(store, "zoe", "roost", USER_ROLE_USER), -ENOENT);
}

static void changes_of_one_transaction_are_all_made_or_none(void **state)
{
    struct place *place = *state;
    struct user_list list;
    assert_int_equal(user_store_begin(place->store), 0);
    assert_int_equal(add(place->store, "ann", 1), 0);
    assert_int_equal(add(place->store, "ann", 1), -EEXIST);
    assert_int_equal(user_store_end(place->store, false), 0);
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    assert_int_equal(list.count, 0);
    user_list_done(&list);
    assert_int_equal(user_store_begin(place->store), 0);
    assert_int_equal(add(place->store, "ann", 1), 0);
    assert_int_equal(add(place->store, "ben", 1), 0);
    assert_int_equal(user_store_end(place->store, true), 0);
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    assert_int_equal(list.count, 2);
    user_list_done(&list);
}

static void users_are_found_by_their_name(void **state)
{
    struct place *place = *state;
    static const char *const names[] = { "ann", "anna", "Ann", "ben", "\xc3\xa9va" };
    for (size_t i = 0; i < array_size(names); i++)
        assert_int_equal(add(place->store, names[i], 1), 0);
    struct user_list list;
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    for (size_t i = 0; i < array_size(names); i++)
        assert_string_equal(user_list_find(&list, bytes_of_text(names[i]))->name, names[i]);
    static const char *const strangers[] = { "", "an", "annab", "ANN", "zoe" };
    for (size_t i = 0; i < array_size(strangers); i++)
        assert_null(user_list_find(&list, bytes_of_text(strangers[i])));
    user_list_done(&list);
}

/** As stores of the first schema have them. */
static void older_stores_keep_their_users(void **state)
{
    struct place *place = *state;
    place->store = user_store_close(place->store);
    unlink(place->path);
    run_sql(place->path,
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, realm TEXT NOT NULL,"
            " created INTEGER NOT NULL, changed INTEGER NOT NULL,"
            " disabled INTEGER NOT NULL DEFAULT 0,"
            " md5_key BLOB CHECK (length(md5_key) = 16),"
            " sha256_key BLOB CHECK (length(sha256_key) = 32), UNIQUE (realm, name)) STRICT;"
            "PRAGMA application_id = 1919906676; PRAGMA user_version = 1;"
            // SHA-256 of "ann:roost:pencil"
            "INSERT INTO users (name, realm, created, changed, md5_key, sha256_key) VALUES "
            "('ann', 'roost', 1, 2, zeroblob(16), "
            "x'290459c459d49717829371b67e5527d2b1171787412921805ae86df8966269b7');");
    place->store = open_store(place->path);
    struct user_list list;
    assert_int_equal(user_store_read(place->store, "roost", &list), 0);
    assert_int_equal(list.count, 1);
    const struct user *ann = &list.items[0];
    assert_int_equal(ann->role, USER_ROLE_USER);
    assert_int_equal(ann->keys.scram_sha256.iterations, 0);
    assert_true(user_keys_admit(&ann->keys, "ann", "roost", bytes_of_text("pencil")));
    assert_false(user_keys_admit(&ann->keys, "ann", "roost", bytes_of_text("pencils")));
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
        cmocka_unit_test_setup_teardown(digest_keys_are_kept_where_they_are_wanted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(users_have_a_role_and_a_name_for_people, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_of_one_transaction_are_all_made_or_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(users_are_found_by_their_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(older_stores_keep_their_users, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_users_are_read_in_order, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
