// Changes of users as the command and the control API ask for them: whole or not at all.
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "users/user_edit.h"

struct place {
    char folder[64];
    struct random random;
    struct user_store *store;
    struct user_list users;
};

static int set_up(void **state)
{
    struct place *place = memory_new(struct place);
    char path[96], text[512];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    random_seeded_init(&place->random, 1);
    snprintf(place->folder, sizeof(place->folder), "/tmp/roost-edit-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(path, sizeof(path), "%s/%s", place->folder, DATA_FILE_USERS);
    assert_int_equal(user_store_open(path, &place->store, &problem), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    user_list_done(&place->users);
    user_store_close(place->store);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static int apply(struct place *place, struct user_edit edit)
{
    edit.name = edit.name ? edit.name : "ann";
    edit.realm = "roost";
    return user_edit_apply(place->store, &edit, &place->random, 1000);
}

static int add(struct place *place, enum user_digest digest)
{
    return apply(
        place, (struct user_edit){ .kind = USER_EDIT_ADD, .password = "pencil", .digest = digest });
}

/** NULL: nobody. */
static const struct user *ann(struct place *place)
{
    user_list_done(&place->users);
    assert_int_equal(user_store_read(place->store, "roost", &place->users), 0);
    return user_list_find(&place->users, bytes_of_text("ann"));
}

static bool is_password(struct place *place, const char *password)
{
    const struct user *user = ann(place);
    return user_keys_admit(&user->keys, "ann", "roost", bytes_of_text(password));
}

static void what_is_not_said_stays(void **state)
{
    struct place *place = *state;
    struct user_edit edit = { .kind = USER_EDIT_ADD,
                              .password = "pencil",
                              .display_name = "Ann",
                              .has_role = true,
                              .role = USER_ROLE_OPERATOR };
    assert_int_equal(apply(place, edit), 0);
    assert_int_equal(apply(place, (struct user_edit){ .kind = USER_EDIT_CHANGE,
                                                      .has_disabled = true,
                                                      .disabled = true }),
                     0);
    assert_true(ann(place)->disabled);
    assert_string_equal(ann(place)->display_name, "Ann");
    assert_int_equal(ann(place)->role, USER_ROLE_OPERATOR);
    assert_true(is_password(place, "pencil"));
    assert_int_equal(
        apply(place, (struct user_edit){ .kind = USER_EDIT_CHANGE, .password = "paper" }), 0);
    assert_true(is_password(place, "paper") && !is_password(place, "pencil"));
    assert_true(ann(place)->disabled);
    assert_int_equal(
        apply(place, (struct user_edit){ .kind = USER_EDIT_CHANGE, .display_name = "" }), 0);
    assert_null(ann(place)->display_name);
    assert_int_equal(apply(place, (struct user_edit){ .kind = USER_EDIT_REMOVE }), 0);
    assert_null(ann(place));
}

static void a_new_password_has_digest_keys_if_the_old_one_had(void **state)
{
    struct place *place = *state;
    static const struct {
        enum user_digest before, then;
        bool has;
    } cases[] = {
        { USER_DIGEST_AS_IT_IS, USER_DIGEST_AS_IT_IS, false },
        { USER_DIGEST_NO, USER_DIGEST_AS_IT_IS, false },
        { USER_DIGEST_YES, USER_DIGEST_AS_IT_IS, true },
        { USER_DIGEST_YES, USER_DIGEST_NO, false },
        { USER_DIGEST_NO, USER_DIGEST_YES, true },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        assert_int_equal(add(place, cases[i].before), 0);
        assert_int_equal(ann(place)->keys.has_digest, cases[i].before == USER_DIGEST_YES);
        struct user_edit edit = { .kind = USER_EDIT_CHANGE,
                                  .password = "paper",
                                  .digest = cases[i].then };
        assert_int_equal(apply(place, edit), 0);
        assert_int_equal(ann(place)->keys.has_digest, cases[i].has);
        assert_int_equal(apply(place, (struct user_edit){ .kind = USER_EDIT_REMOVE }), 0);
    }
}

static void what_cannot_be_done_changes_nothing(void **state)
{
    struct place *place = *state;
    // the first part of it could be done
    struct user_edit edit = { .kind = USER_EDIT_ADD, .password = "pencil", .display_name = " no" };
    assert_int_equal(apply(place, edit), -EINVAL);
    assert_null(ann(place));
    assert_int_equal(apply(place, (struct user_edit){ .kind = USER_EDIT_ADD }), -EINVAL);
    assert_int_equal(add(place, USER_DIGEST_NO), 0);
    assert_int_equal(add(place, USER_DIGEST_NO), -EEXIST);
    edit.kind = USER_EDIT_CHANGE;
    edit.password = "paper";
    assert_int_equal(apply(place, edit), -EINVAL);
    assert_true(is_password(place, "pencil"));
    edit = (struct user_edit){ .kind = USER_EDIT_CHANGE, .name = "zoe", .password = "x" };
    assert_int_equal(apply(place, edit), -ENOENT);
    edit.digest = USER_DIGEST_NO;
    assert_int_equal(apply(place, edit), -ENOENT);
    assert_int_equal(apply(place, (struct user_edit){ .kind = USER_EDIT_REMOVE, .name = "zoe" }),
                     -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_said_stays),
        TEST(a_new_password_has_digest_keys_if_the_old_one_had),
        TEST(what_cannot_be_done_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
