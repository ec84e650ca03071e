#include "support/check.h"

#include <errno.h>
#include <unistd.h>

#include <jansson.h>

#include "admin/log_output.h"

#define WHEN_US 1772366400123000ull // 2026-03-01T12:00:00.123Z

static char line[LOG_OUTPUT_LINE_MAX];

static const char *write_line(enum log_output_format format, const struct log_field *fields)
{
    struct log_record record = {
        .level = LOG_LEVEL_WARNING, .domain = "room", .message = "member joined", .fields = fields
    };
    struct text_builder out = text_builder_of(line, sizeof(line));
    log_output_write_line(&record, format, WHEN_US, &out);
    return line;
}

static void test_a_human_line_has_time_level_domain_message_and_fields(void **state)
{
    (void)state;
    struct net_address address = net_address_ipv4(192, 0, 2, 1, 99);
    const struct log_field fields[] = { log_text("room", "lobby"),
                                        log_number("members", -3),
                                        log_address("from", &address),
                                        log_error_code("error", -ECONNREFUSED),
                                        log_text("name", "two words"),
                                        log_text("empty", ""),
                                        { 0 } };
    assert_string_equal(write_line(LOG_OUTPUT_HUMAN, fields),
                        "2026-03-01T12:00:00.123Z warning room     member joined  room=lobby  "
                        "members=-3  from=192.0.2.1:99  error=\"Connection refused\"  name=\"two "
                        "words\"  empty=\"\"\n");
}

static json_t *parse_line(void)
{
    json_error_t error;
    json_t *json = json_loads(line, 0, &error);
    if (!json)
        fail_msg("%s: %s", error.text, line);
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), &line[strlen(line) - 1]);
    return json;
}

static void test_a_json_line_is_json(void **state)
{
    (void)state;
    const struct log_field fields[] = { log_text("room", "a\"b\\c\nd"), log_number("n", 7), { 0 } };
    write_line(LOG_OUTPUT_JSON, fields);
    json_t *json = parse_line();
    assert_string_equal(json_string_value(json_object_get(json, "time")),
                        "2026-03-01T12:00:00.123Z");
    assert_string_equal(json_string_value(json_object_get(json, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(json, "message")), "member joined");
    assert_string_equal(json_string_value(json_object_get(json, "room")), "a\"b\\c\nd");
    assert_int_equal(json_integer_value(json_object_get(json, "n")), 7);
    json_decref(json);
}

/** Escape sequences, line feeds and stray bytes come from names that strangers choose. */
static void test_values_cannot_break_the_line_or_drive_the_terminal(void **state)
{
    (void)state;
    static const char *const bad[] = { "\x1b[2J", "a\nb",         "a\rb", "\xc2\x9b[31m",
                                       "\x7f",    "\xff\x1b\xfe", "\x07" };
    for (size_t i = 0; i < array_size(bad); i++) {
        const struct log_field fields[] = { log_text("name", bad[i]), { 0 } };
        write_line(LOG_OUTPUT_HUMAN, fields);
        size_t length = strlen(line);
        for (size_t at = 0; at + 1 < length; at++) {
            uint8_t c = (uint8_t)line[at];
            assert_true(c >= 0x20 && c != 0x7f);
            assert_false(c == 0xc2 && (uint8_t)line[at + 1] < 0xa0);
        }
        write_line(LOG_OUTPUT_JSON, fields);
        json_decref(parse_line());
    }
}

static void test_a_long_line_is_cut_between_fields_and_says_so(void **state)
{
    (void)state;
    char big[1500];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    const struct log_field fields[] = { log_text("a", big),    log_text("b", big),
                                        log_text("c", big),    log_text("d", big),
                                        log_text("e", "last"), { 0 } };
    write_line(LOG_OUTPUT_JSON, fields);
    json_t *json = parse_line();
    assert_true(json_is_true(json_object_get(json, "cut")));
    assert_int_equal(json_string_length(json_object_get(json, "a")), 1024);
    assert_non_null(json_object_get(json, "c"));
    assert_null(json_object_get(json, "e"));
    json_decref(json);
    write_line(LOG_OUTPUT_HUMAN, fields);
    assert_string_equal(line + strlen(line) - 6, "  ...\n");
}

static void test_suppressed_messages_are_counted(void **state)
{
    (void)state;
    struct log_record record = { .level = LOG_LEVEL_INFO, .message = "again", .suppressed = 12 };
    struct text_builder out = text_builder_of(line, sizeof(line));
    log_output_write_line(&record, LOG_OUTPUT_JSON, WHEN_US, &out);
    json_t *json = parse_line();
    assert_int_equal(json_integer_value(json_object_get(json, "suppressed")), 12);
    json_decref(json);
}

static void test_the_level_holds_back_what_is_below(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct log_output output;
    log_output_init(&output, ends[1], LOG_OUTPUT_JSON, LOG_LEVEL_WARNING);
    struct log log = { .sink = &output.sink, .domain = "test" };
    log_info(&log, "not this");
    log_warning(&log, "this");
    log_output_set_level(&output, LOG_LEVEL_DEBUG);
    log_debug(&log, "and this");
    close(ends[1]);
    char text[1024] = "";
    size_t length = 0;
    for (ssize_t got = 1; got > 0; length += (size_t)got)
        got = read(ends[0], text + length, sizeof(text) - 1 - length);
    close(ends[0]);
    assert_null(strstr(text, "not this"));
    assert_non_null(strstr(text, "\"message\":\"this\""));
    assert_non_null(strstr(text, "\"message\":\"and this\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_human_line_has_time_level_domain_message_and_fields),
        cmocka_unit_test(test_a_json_line_is_json),
        cmocka_unit_test(test_values_cannot_break_the_line_or_drive_the_terminal),
        cmocka_unit_test(test_a_long_line_is_cut_between_fields_and_says_so),
        cmocka_unit_test(test_suppressed_messages_are_counted),
        cmocka_unit_test(test_the_level_holds_back_what_is_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
