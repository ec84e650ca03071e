#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin/cli.h"
#include "base/memory.h"
#include "runtime/files.h"

#define OUTPUT_MAX (256u << 10)

static char output[OUTPUT_MAX];

/** Runs a command line with standard output and error caught in `output`. */
static int run(const char *const *arguments)
{
    FILE *caught = tmpfile();
    assert_non_null(caught);
    fflush(stdout);
    fflush(stderr);
    int old_output = dup(STDOUT_FILENO), old_error = dup(STDERR_FILENO);
    dup2(fileno(caught), STDOUT_FILENO);
    dup2(fileno(caught), STDERR_FILENO);

    char *argv[16] = { memory_copy("roost", 5) };
    int argc = 1;
    for (; arguments[argc - 1]; argc++)
        argv[argc] = memory_copy(arguments[argc - 1], strlen(arguments[argc - 1]));
    int result = cli_main(argc, argv);
    for (int i = 0; i < argc; i++)
        free(argv[i]);

    fflush(stdout);
    fflush(stderr);
    dup2(old_output, STDOUT_FILENO);
    dup2(old_error, STDERR_FILENO);
    close(old_output);
    close(old_error);
    rewind(caught);
    size_t size = fread(output, 1, sizeof(output) - 1, caught);
    output[size] = '\0';
    fclose(caught);
    return result;
}

#define run_line(...) run((const char *const[]){ __VA_ARGS__, NULL })

static void assert_output(const char *part)
{
    if (!strstr(output, part))
        fail_msg("\"%s\" is not in \"%s\"", part, output);
}

static void test_unknown_commands_and_options_get_a_suggestion(void **state)
{
    (void)state;
    assert_int_equal(run_line("chekc"), CLI_EXIT_USAGE);
    assert_output("no command \"chekc\"; did you mean check?");
    assert_int_equal(run_line("check", "--wrokers", "2"), CLI_EXIT_USAGE);
    assert_output("did you mean --workers?");
    assert_int_equal(run_line("check", "--chnaged"), CLI_EXIT_USAGE);
    assert_output("did you mean --changed?");
    assert_int_equal(run_line("-x"), CLI_EXIT_USAGE);
    assert_int_equal(run_line("version", "extra"), CLI_EXIT_USAGE);
    assert_output("an argument too many: \"extra\"");
    assert_int_equal(run_line("check", "--set"), CLI_EXIT_USAGE);
    assert_output("a value must follow \"--set\"");
    assert_int_equal(run_line("check", "--changed=yes"), CLI_EXIT_USAGE);
}

static void test_help_lists_commands_and_every_command_has_its_own(void **state)
{
    (void)state;
    assert_int_equal(run_line("--help"), CLI_EXIT_OK);
    for (size_t i = 0; cli_commands[i]; i++) {
        char usage[64];
        snprintf(usage, sizeof(usage), "  %s ", cli_commands[i]->name);
        assert_int_equal(run_line("--help"), CLI_EXIT_OK);
        if (!cli_commands[i]->hidden)
            assert_output(usage);
        assert_int_equal(run_line(cli_commands[i]->name, "--help"), CLI_EXIT_OK);
        assert_output(cli_commands[i]->summary);
    }
}

static void test_version(void **state)
{
    (void)state;
    assert_int_equal(run_line("version"), CLI_EXIT_OK);
    assert_string_equal(output, "roost " ROOST_VERSION "\n");
    assert_int_equal(run_line("--version"), CLI_EXIT_OK);
    assert_string_equal(output, "roost " ROOST_VERSION "\n");
}

static void test_check_shows_values_with_their_origin_and_hides_secrets(void **state)
{
    (void)state;
    char path[] = "/tmp/roost-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file_write_atomic(path, bytes_of_text("[http]\n\nhttps_port = 9443\n"), 0600),
                     0);
    assert_int_equal(
        run_line("check", "--config", path, "--set", "auth.token_secret=hunter2", "--workers=3"),
        CLI_EXIT_OK);
    char expected[128];
    snprintf(expected, sizeof(expected), "(%s:3)\n", path);
    assert_output(expected);
    assert_output("(set)");
    assert_null(strstr(output, "hunter2"));
    assert_output("server.workers                       = 3                            (command "
                  "line)\n");
    assert_output("(default)");
    unlink(path);
}

static void test_bad_configuration_has_its_own_exit_status(void **state)
{
    (void)state;
    assert_int_equal(run_line("check", "--set", "http.https_prot=1"), CLI_EXIT_CONFIGURATION);
    assert_output("did you mean http.https_port?");
    assert_int_equal(run_line("check", "--config", "/nonexistent"), CLI_EXIT_CONFIGURATION);
    assert_output("cannot read /nonexistent");
    assert_int_equal(run_line("serve", "--workers", "many"), CLI_EXIT_CONFIGURATION);
    assert_output("server.workers must be a number");
}

static void test_environment_is_read(void **state)
{
    (void)state;
    setenv("ROOST_LOG_LEVEL", "debug", 1);
    assert_int_equal(run_line("check", "--changed"), CLI_EXIT_OK);
    unsetenv("ROOST_LOG_LEVEL");
    assert_output("log.level                            = debug                        "
                  "(environment)\n");
    assert_null(strstr(output, "(default)"));
}

static void test_config_prints_documents(void **state)
{
    (void)state;
    assert_int_equal(run_line("config"), CLI_EXIT_OK);
    assert_output("#https_port = 8443\n");
    assert_int_equal(run_line("config", "--format", "man"), CLI_EXIT_OK);
    assert_output(".TH ROOST 1");
    assert_int_equal(run_line("config", "--format", "pdf"), CLI_EXIT_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_commands_and_options_get_a_suggestion),
        cmocka_unit_test(test_help_lists_commands_and_every_command_has_its_own),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_check_shows_values_with_their_origin_and_hides_secrets),
        cmocka_unit_test(test_bad_configuration_has_its_own_exit_status),
        cmocka_unit_test(test_environment_is_read),
        cmocka_unit_test(test_config_prints_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
