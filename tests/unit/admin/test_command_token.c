#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin/cli.h"
#include "admin/commands.h"
#include "base/memory.h"
#include "runtime/clock.h"
#include "signal/access/token.h"

#define SECRET "0123456789abcdef"

static char output[8192];

/** Runs `roost token ...` with standard output caught. */
static int run(int argc, char **argv)
{
    FILE *caught = tmpfile();
    assert_non_null(caught);
    fflush(stdout);
    int old_output = dup(STDOUT_FILENO);
    dup2(fileno(caught), STDOUT_FILENO);
    int result = cli_main(argc, argv);
    fflush(stdout);
    dup2(old_output, STDOUT_FILENO);
    close(old_output);
    rewind(caught);
    size_t size = fread(output, 1, sizeof(output) - 1, caught);
    output[size] = '\0';
    fclose(caught);
    return result;
}

#define run_token(...)                                                                             \
    ({                                                                                             \
        static char program[] = "roost", command[] = "token", set[] = "--set",                     \
                    value[] = "auth.token_secret=" SECRET;                                         \
        char *argv[] = { program, command, set, value, __VA_ARGS__ };                              \
        run((int)array_size(argv), argv);                                                          \
    })

static int verify(struct token_grants *ret_grants, uint64_t later_s)
{
    size_t size = strlen(output);
    assert_true(size > 0 && output[size - 1] == '\n');
    return token_verify(bytes_of(output, size - 1), bytes_of_text(SECRET),
                        clock_unix_us() / 1000000 + later_s, ret_grants);
}

static void test_the_token_grants_what_was_asked(void **state)
{
    (void)state;
    char room[] = "--room=lobby", user[] = "--user=ada", name[] = "--name=Ada L.";
    char moderator[] = "--moderator", valid[] = "--valid=90m";
    assert_int_equal(run_token(room, user, name, moderator, valid), CLI_EXIT_OK);
    struct token_grants grants;
    assert_int_equal(verify(&grants, 0), 0);
    assert_string_equal(grants.room, "lobby");
    assert_string_equal(grants.user, "ada");
    assert_string_equal(grants.name, "Ada L.");
    assert_true(grants.moderator);
    assert_true(token_admits(&grants, "lobby"));
    assert_false(token_admits(&grants, "other"));
    assert_int_equal(verify(&grants, 89 * 60), 0);
    assert_true(verify(&grants, 91 * 60 + 120) < 0);
}

static void test_an_admin_token_opens_no_room(void **state)
{
    (void)state;
    char admin[] = "--admin", valid[] = "--valid=10m", room[] = "--room=lobby";
    assert_int_equal(run_token(admin, valid), CLI_EXIT_OK);
    struct token_grants grants;
    assert_int_equal(verify(&grants, 0), 0);
    assert_true(grants.admin);
    assert_false(token_admits(&grants, "lobby"));
    assert_false(grants.moderator);
    assert_int_equal(run_token(room, valid), CLI_EXIT_OK);
    assert_int_equal(verify(&grants, 0), 0);
    assert_false(grants.admin);
}

static void test_a_token_for_nothing_or_without_limits_is_refused(void **state)
{
    (void)state;
    char room[] = "--room=lobby", name[] = "--name=x", valid[] = "--valid=5";
    char long_room[100] = "--room=";
    memset(long_room + 7, 'r', 80);
    assert_int_equal(run_token(name), CLI_EXIT_USAGE);
    assert_int_equal(run_token(room, valid), CLI_EXIT_USAGE);
    assert_int_equal(run_token(long_room), CLI_EXIT_USAGE);
    assert_string_equal(output, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_token_grants_what_was_asked),
        cmocka_unit_test(test_an_admin_token_opens_no_room),
        cmocka_unit_test(test_a_token_for_nothing_or_without_limits_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
