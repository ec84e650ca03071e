#include "support/check.h"

#include <stdlib.h>

#include "admin/options_int.h"
#include "base/log.h"
#include "base/time.h"

struct fixture {
    struct options options;
    struct options_problems problems;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture.problems = (struct options_problems){ 0 };
    options_init(&fixture.options);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    options_done(&fixture->options);
    options_problems_done(&fixture->problems);
    return 0;
}

static void parse(struct fixture *fixture, const char *text)
{
    options_parse(&fixture->options, "roost.conf", bytes_of_text(text), &fixture->problems);
}

/** Exactly one problem, with this text in it. */
static void assert_problem(struct fixture *fixture, const char *part)
{
    assert_int_equal(fixture->problems.count, 1);
    if (!strstr(fixture->problems.sentences[0], part))
        fail_msg("\"%s\" is not in \"%s\"", part, fixture->problems.sentences[0]);
    options_problems_done(&fixture->problems);
}

static void assert_no_problem(struct fixture *fixture)
{
    if (fixture->problems.count > 0)
        fail_msg("%s", fixture->problems.sentences[0]);
}

static void test_defaults_are_as_the_table_says(void **state)
{
    const struct roost_options *values = &((struct fixture *)*state)->options.values;
    assert_int_equal(values->http.https_port, 8443);
    assert_int_equal(values->media.udp_port, 3478);
    assert_int_equal(values->signal.resume_window_us, 30 * TIME_US_PER_S);
    assert_int_equal(values->http.max_header, 16 * 1024);
    assert_int_equal(values->log.level, LOG_LEVEL_INFO);
    assert_int_equal(values->log.format, OPTION_LOG_FORMAT_AUTO);
    assert_string_equal(values->server.data_dir, "./roost-data");
    assert_true(option_list_has(&values->server.roles, "signal"));
    assert_int_equal(values->http.bind.count, 2);
    assert_int_equal(values->http.bind.items[1].family, NET_IPV6);
    assert_int_equal(values->media.external_address.family, NET_NONE);
    assert_null(values->signal.allowed_origins.items[0]);
}

/** Every limit of the table can be read, and its default is written back as the table has it. */
static void test_every_row_is_consistent(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        char text[512], expected_text[512];
        struct text_builder out = text_builder_of(text, sizeof(text));
        option_write_value(row, &fixture->options.values, &out);
        if (row->type != OPTION_SECRET)
            assert_string_equal(text, row->default_text);
        // reads the limits, since no value of these types has a control character
        struct text_builder expected = text_builder_of(expected_text, sizeof(expected_text));
        void *field = option_field(row, &fixture->options.values);
        assert_int_equal(option_value_parse(row, bytes_of_text("\x01"), field, &expected), -22);
        assert_true(row->help[strlen(row->help) - 1] == '.');
        assert_ptr_equal(option_find(bytes_of_text(row->section), bytes_of_text(row->key)), row);
        for (const char *at = row->section; *at; at++)
            assert_true(*at != '_'); // ROOST_SECTION_KEY is split at the first one
    }
}

static void test_a_file_sets_values_of_every_type(void **state)
{
    struct fixture *fixture = *state;
    const struct roost_options *values = &fixture->options.values;
    parse(fixture, "\xef\xbb\xbf# comment\r\n"
                   "[server]\r\n"
                   "  workers = 3\r\n"
                   "roles = signal media\r\n"
                   "data_dir=\"/srv/with space \"\n"
                   "[log]\nlevel = warning\n"
                   "; another comment\n"
                   "[ http ]\nhttp = off\nmax_body = 2m\nhttps_port=0\nbind = 127.0.0.1,[::1]\n"
                   "[media]\nexternal_address = 192.0.2.7\n"
                   "[signal]\nping_interval = 1500ms\n"
                   "[auth]\ntoken_secret = \"a \\\"b\\\\ #c\"\n"
                   "[metrics]\nallow = 10.0.0.0/8 2001:db8::/32\n");
    assert_no_problem(fixture);
    assert_int_equal(values->server.workers, 3);
    assert_int_equal(values->server.roles.count, 2);
    assert_string_equal(values->server.data_dir, "/srv/with space ");
    assert_int_equal(values->log.level, LOG_LEVEL_WARNING);
    assert_false(values->http.http);
    assert_int_equal(values->http.max_body, 2 * 1024 * 1024);
    assert_int_equal(values->http.https_port, 0);
    assert_true(net_address_is_loopback(&values->http.bind.items[1]));
    assert_int_equal(values->media.external_address.ip[3], 7);
    assert_int_equal(values->signal.ping_interval_us, 1500 * TIME_US_PER_MS);
    assert_string_equal(values->auth.token_secret, "a \"b\\ #c");
    assert_int_equal(values->metrics.allow.items[1].bits, 32);
    size_t workers = option_index(option_find(bytes_of_text("server"), bytes_of_text("workers")));
    assert_int_equal(fixture->options.origins[workers].source, OPTION_FROM_FILE);
    assert_int_equal(fixture->options.origins[workers].line, 3);
}

static void test_problems_name_file_line_and_the_nearest_name(void **state)
{
    struct fixture *fixture = *state;
    parse(fixture, "[http]\n\nhttps_prot = 1\n");
    assert_problem(fixture, "roost.conf:3: no option http.\"https_prot\"; did you mean "
                            "http.https_port?");
    parse(fixture, "[http]\nudp_port = 1\n");
    assert_problem(fixture, "did you mean media.udp_port?");
    parse(fixture, "[singal]\nwhatever = 1\n");
    assert_problem(fixture, "roost.conf:1: no such section; did you mean [signal]?");
    parse(fixture, "[http]\nzzzzzzzzz = 1\n");
    assert_null(strstr(fixture->problems.sentences[0], "did you mean"));
    assert_problem(fixture, "no option http.");
}

static void test_bad_values_are_refused_and_change_nothing(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        { "[http]\nhttps_port = 65536", "a port number from 0 to 65535, not \"65536\"" },
        { "[http]\nhttps_port = ", "a port number" },
        { "[http]\nhttps_port = 12x", "a port number" },
        { "[server]\nworkers = -1", "a number from 0 to 256" },
        { "[server]\nworkers = 18446744073709551616", "a number from 0 to 256" },
        { "[http]\nmax_body = 1", "from 1k to 1g" },
        { "[http]\nmax_body = 99999999999g", "from 1k to 1g" },
        { "[signal]\nresume_window = 30", "with its unit" },
        { "[signal]\nresume_window = 11m", "from 1s to 10m" },
        { "[log]\nlevel = verbose", "one of debug, info, warning, error" },
        { "[server]\nroles = app, sip", "each one of app, signal, turn, media" },
        { "[http]\nhttp = maybe", "true or false" },
        { "[http]\nbind = 127.0.0.1:80", "without ports" },
        { "[media]\nexternal_address = example.org", "an IPv4 or IPv6 address" },
        { "[metrics]\nallow = 10.0.0.0/33", "networks such as" },
        { "[metrics]\nallow = 10.0.0.0/", "networks such as" },
        { "[server]\ndata_dir = a\x01", "control characters" },
        { "[server]\ndata_dir = \xff", "UTF-8" },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        parse(fixture, cases[i].text);
        assert_problem(fixture, cases[i].problem);
    }
    struct options fresh;
    struct option_change changes[OPTION_COUNT];
    options_init(&fresh);
    assert_int_equal(options_reload(&fixture->options, &fresh, changes), 0);
    options_done(&fresh);
}

static void test_broken_lines_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const char *const cases[][2] = {
        { "workers = 1", "a [section] must come first" },
        { "[http\n", "a section is written [name]" },
        { "[http]\nhttps_port", "neither [section] nor key = value" },
        { "[server]\ndata_dir = \"open", "the quotes of the value do not close" },
        { "[server]\ndata_dir = \"a\" b", "the quotes of the value do not close" },
        { "[server]\ndata_dir = \"a\\n\"", "the quotes of the value do not close" },
        { "[server]\nworkers = 1 # one", "put the comment on a line of its own" },
        { "[server]\nworkers = 1\nworkers = 2", "roost.conf:3: server.workers was set before, on "
                                                "line 2" },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        parse(fixture, cases[i][0]);
        assert_problem(fixture, cases[i][1]);
    }
}

static void test_every_problem_is_told_and_their_number_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    char text[OPTIONS_PROBLEMS_MAX * 8];
    struct text_builder out = text_builder_of(text, sizeof(text));
    text_append(&out, "[log]\n");
    for (int i = 0; i < OPTIONS_PROBLEMS_MAX + 3; i++)
        text_append(&out, "x=1\n");
    parse(fixture, text);
    assert_int_equal(fixture->problems.count, OPTIONS_PROBLEMS_MAX + 3);
}

static void test_secrets_are_neither_repeated_nor_written(void **state)
{
    struct fixture *fixture = *state;
    parse(fixture, "[auth]\ntoken_secret = hunter2\x02\n");
    assert_null(strstr(fixture->problems.sentences[0], "hunter2"));
    assert_problem(fixture, "auth.token_secret must be");
    parse(fixture, "[auth]\ntoken_secret = hunter2\n");
    assert_no_problem(fixture);
    char text[64];
    struct text_builder out = text_builder_of(text, sizeof(text));
    option_write_value(option_find(bytes_of_text("auth"), bytes_of_text("token_secret")),
                       &fixture->options.values, &out);
    assert_string_equal(text, "(set)");
}

static void test_environment_beats_file_and_command_line_beats_both(void **state)
{
    struct fixture *fixture = *state;
    const struct roost_options *values = &fixture->options.values;
    const char *const environment[] = { "PATH=/bin", "ROOST_HTTP_HTTPS_PORT=9443",
                                        "ROOST_SERVER_WORKERS=2", "ROOST_CONFIG=/x", NULL };
    parse(fixture, "[http]\nhttps_port = 7443\nhttp_port = 7080\n[server]\nworkers = 1\n");
    options_load_environment(&fixture->options, environment, &fixture->problems);
    options_set(&fixture->options, "server.workers = 4", &fixture->problems);
    assert_no_problem(fixture);
    assert_int_equal(values->http.http_port, 7080);
    assert_int_equal(values->http.https_port, 9443);
    assert_int_equal(values->server.workers, 4);
}

static void test_mistaken_variables_are_problems_and_foreign_ones_are_not(void **state)
{
    struct fixture *fixture = *state;
    const char *const foreign[] = { "ROOST_TEST_BINARY=/x", "ROOST_CONFIG=/y", "ROOSTER=1", NULL };
    options_load_environment(&fixture->options, foreign, &fixture->problems);
    assert_no_problem(fixture);
    const char *const wrong_key[] = { "ROOST_HTTP_HTTPS_PROT=1", NULL };
    options_load_environment(&fixture->options, wrong_key, &fixture->problems);
    assert_problem(fixture, "did you mean ROOST_HTTP_HTTPS_PORT?");
    const char *const wrong_section[] = { "ROOST_HTPT_HTTPS_PORT=1", NULL };
    options_load_environment(&fixture->options, wrong_section, &fixture->problems);
    assert_problem(fixture, "did you mean ROOST_HTTP_HTTPS_PORT?");
    const char *const wrong_value[] = { "ROOST_HTTP_HTTPS_PORT=x", NULL };
    options_load_environment(&fixture->options, wrong_value, &fixture->problems);
    assert_problem(fixture, "environment ROOST_HTTP_HTTPS_PORT: http.https_port must be");
}

static void test_assignments_of_the_command_line_are_checked(void **state)
{
    struct fixture *fixture = *state;
    options_set(&fixture->options, "http.https_port", &fixture->problems);
    assert_problem(fixture, "--set needs section.key=value");
    options_set(&fixture->options, "http.https_prot=1", &fixture->problems);
    assert_problem(fixture, "did you mean http.https_port?");
    options_set(&fixture->options, "https_port=1", &fixture->problems);
    assert_problem(fixture, "did you mean http.https_port?");
    options_set(&fixture->options, "log.level=loud", &fixture->problems);
    assert_problem(fixture, "command line: log.level must be one of");
}

static void test_contradictions_between_options_are_found(void **state)
{
    struct fixture *fixture = *state;
    options_check(&fixture->options, &fixture->problems);
    assert_no_problem(fixture);
    static const char *const cases[][2] = {
        { "http.http_port=8443", "must differ" },
        { "signal.ping_timeout=2s", "longer than signal.ping_interval" },
        { "server.roles=", "at least one role" },
        { "http.bind=", "at least one address" },
        { "server.roles=app signal", "signal needs media" },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        options_done(&fixture->options);
        options_init(&fixture->options);
        options_set(&fixture->options, cases[i][0], &fixture->problems);
        options_check(&fixture->options, &fixture->problems);
        assert_problem(fixture, cases[i][1]);
    }
    options_done(&fixture->options);
    options_init(&fixture->options);
    options_set(&fixture->options, "http.cert=/nonexistent/cert.pem", &fixture->problems);
    options_check(&fixture->options, &fixture->problems);
    assert_int_equal(fixture->problems.count, 2);
    assert_non_null(strstr(fixture->problems.sentences[0], "must be set together"));
    assert_non_null(strstr(fixture->problems.sentences[1], "cannot read /nonexistent/cert.pem"));
}

static void test_reload_applies_what_reloads_and_names_the_rest(void **state)
{
    struct fixture *fixture = *state;
    struct options fresh;
    struct option_change changes[OPTION_COUNT];
    options_init(&fresh);
    options_set(&fresh, "log.level=debug", &fixture->problems);
    options_set(&fresh, "server.workers=7", &fixture->problems);
    options_set(&fresh, "app.frame_ancestors=https://a.example https://b.example",
                &fixture->problems);
    assert_no_problem(fixture);
    assert_int_equal(options_reload(&fixture->options, &fresh, changes), 3);
    options_done(&fresh);
    assert_string_equal(changes[0].row->key, "workers");
    assert_false(changes[0].applied);
    assert_int_equal(fixture->options.values.server.workers, 0);
    assert_string_equal(changes[1].row->key, "level");
    assert_true(changes[1].applied);
    assert_int_equal(fixture->options.values.log.level, LOG_LEVEL_DEBUG);
    assert_string_equal(fixture->options.values.app.frame_ancestors.items[1], "https://b.example");
}

static void test_networks_contain_by_bits_and_family(void **state)
{
    struct fixture *fixture = *state;
    options_set(&fixture->options, "metrics.allow=10.20.0.0/14 192.0.2.1 2001:db8::/33",
                &fixture->problems);
    assert_no_problem(fixture);
    const struct option_networks *networks = &fixture->options.values.metrics.allow;
    static const struct {
        const char *ip;
        bool inside;
    } cases[] = {
        { "10.20.0.1", true },         { "10.23.255.255", true },
        { "10.24.0.0", false },        { "10.19.255.255", false },
        { "192.0.2.1", true },         { "192.0.2.0", false },
        { "::ffff:10.21.0.9", true },  { "2001:db8:7fff::1", true },
        { "2001:db8:8000::1", false }, { "::1", false },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct net_address address;
        assert_int_equal(net_address_parse_ip(cases[i].ip, 0, &address), 0);
        assert_int_equal(option_networks_contain(networks, &address), cases[i].inside);
    }
}

static void test_unreadable_files_are_problems(void **state)
{
    struct fixture *fixture = *state;
    options_load_file(&fixture->options, "/nonexistent/roost.conf", &fixture->problems);
    assert_problem(fixture, "cannot read /nonexistent/roost.conf: No such file");
}

#define options_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        options_test(test_defaults_are_as_the_table_says),
        options_test(test_every_row_is_consistent),
        options_test(test_a_file_sets_values_of_every_type),
        options_test(test_problems_name_file_line_and_the_nearest_name),
        options_test(test_bad_values_are_refused_and_change_nothing),
        options_test(test_broken_lines_are_refused),
        options_test(test_every_problem_is_told_and_their_number_is_bounded),
        options_test(test_secrets_are_neither_repeated_nor_written),
        options_test(test_environment_beats_file_and_command_line_beats_both),
        options_test(test_mistaken_variables_are_problems_and_foreign_ones_are_not),
        options_test(test_assignments_of_the_command_line_are_checked),
        options_test(test_contradictions_between_options_are_found),
        options_test(test_reload_applies_what_reloads_and_names_the_rest),
        options_test(test_networks_contain_by_bits_and_family),
        options_test(test_unreadable_files_are_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
