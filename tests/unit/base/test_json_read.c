// JSON as it is read: what it says, what is refused and where.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json_read.h"
#include "support/check.h"

static const struct json_limits limits = { .depth_max = 4, .values_max = 64 };

static struct json_document document;
static struct json_problem problem;

static const struct json_value *must_read(const char *text)
{
    json_document_done(&document);
    assert_int_equal(json_read(bytes_of_text(text), &limits, &document, &problem), 0);
    return document.values;
}

static int refused(const char *text)
{
    struct json_document none = { 0 };
    int result = json_read(bytes_of_text(text), &limits, &none, &problem);
    assert_null(none.values);
    return result;
}

static int forget(void **state)
{
    (void)state;
    json_document_done(&document);
    return 0;
}

static void test_values_are_what_they_say(void **state)
{
    (void)state;
    assert_int_equal(must_read("null")->kind, JSON_KIND_NULL);
    assert_int_equal(must_read(" true\n")->kind, JSON_KIND_TRUE);
    assert_int_equal(must_read("false")->kind, JSON_KIND_FALSE);
    assert_int_equal(must_read("-42")->integer, -42);
    assert_int_equal(must_read("9223372036854775807")->integer, INT64_MAX);
    assert_int_equal(must_read("9223372036854775808")->kind, JSON_KIND_NUMBER);
    assert_int_equal(must_read("1.5e-3")->kind, JSON_KIND_NUMBER);
    assert_int_equal(must_read("1E2")->kind, JSON_KIND_NUMBER);
    assert_int_equal(must_read("0")->kind, JSON_KIND_INTEGER);
    assert_string_equal(must_read("\"\"")->text, "");
    assert_string_equal(must_read("\"plain words, more than eight\"")->text,
                        "plain words, more than eight");
}

static void test_escapes_become_what_they_mean(void **state)
{
    (void)state;
    const struct json_value *value =
        must_read("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u20AC\\ud83d\\ude00\"");
    assert_string_equal(value->text, "\"\\/\b\f\n\r\tä€😀");
    assert_int_equal(value->integer, (int64_t)strlen(value->text));
    assert_string_equal(must_read("\"v=0\\r\\no=- 1 2 IN IP4 127.0.0.1\\r\\n\"")->text,
                        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n");
    assert_string_equal(must_read("\"größer als acht Zeichen: 日本\"")->text,
                        "größer als acht Zeichen: 日本");
}

static void test_members_are_found_and_walked(void **state)
{
    (void)state;
    const struct json_value *whole =
        must_read("{\"a\": [1, [2, 3], {\"b\": 4}], \"c\": {}, \"d\": \"e\", \"\": null}");
    assert_int_equal(whole->kind, JSON_KIND_OBJECT);
    assert_int_equal(whole->count, 4);
    const struct json_value *list = json_member(whole, "a");
    assert_int_equal(list->count, 3);
    const struct json_value *item = json_first(list);
    assert_int_equal(item->integer, 1);
    item = json_next(item);
    assert_int_equal(item->count, 2);
    item = json_next(item);
    assert_int_equal(json_member(item, "b")->integer, 4);
    assert_true(json_next(item) == json_member(whole, "c"));
    assert_int_equal(json_member(whole, "c")->count, 0);
    assert_string_equal(json_member(whole, "d")->text, "e");
    assert_int_equal(json_member(whole, "")->kind, JSON_KIND_NULL);
    assert_null(json_member(whole, "b"));
    assert_null(json_member(list, "a"));
    assert_null(json_member(NULL, "a"));
}

static void test_the_source_is_what_was_written(void **state)
{
    (void)state;
    const struct json_value *whole = must_read("{\"data\" : { \"x\":[1 ,2] } , \"n\": 1.50}");
    struct bytes source = json_member(whole, "data")->source;
    assert_int_equal(source.size, strlen("{ \"x\":[1 ,2] }"));
    assert_memory_equal(source.data, "{ \"x\":[1 ,2] }", source.size);
    source = json_member(whole, "n")->source;
    assert_int_equal(source.size, 4);
    assert_memory_equal(source.data, "1.50", 4);
}

static void test_what_is_not_json_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "+1",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{\"a\" 1}",
        "{1:2}",
        "[1}",
        "{\"a\":1]",
        "\"",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"tab\there\"",
        "\"\n\"",
        "1 2",
        "{} {}",
        "'a'",
        "/**/1",
        "\357\273\2771",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800x\"",
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "\"\xc0\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
    };
    for (size_t i = 0; i < array_size(broken); i++) {
        int result = refused(broken[i]);
        if (result != -EBADMSG)
            print_error("%s\n", broken[i]);
        assert_int_equal(result, -EBADMSG);
    }
}

static void test_a_problem_has_its_place(void **state)
{
    (void)state;
    assert_int_equal(refused("{\n  \"a\": 1,\n  b: 2}"), -EBADMSG);
    assert_int_equal(problem.line, 3);
    assert_int_equal(problem.column, 3);
}

static void test_limits_hold(void **state)
{
    (void)state;
    must_read("[[[[1]]]]");
    assert_int_equal(refused("[[[[[1]]]]]"), -E2BIG);
    assert_int_equal(refused("[[[[{\"a\":1}]]]]"), -E2BIG);
    char text[1024] = "[0";
    for (int i = 0; i < 62; i++)
        strcat(text, ",0");
    strcat(text, "]");
    must_read(text); // with the array 64
    memcpy(text + strlen(text) - 1, ",0]", 4);
    assert_int_equal(refused(text), -E2BIG);
    static const struct json_limits wide = { .depth_max = 100, .values_max = 100000 };
    char many[JSON_MEMBERS_MAX * 16] = "{\"first\":0";
    size_t size = strlen(many);
    for (int i = 1; i <= JSON_MEMBERS_MAX; i++)
        size += (size_t)snprintf(many + size, sizeof(many) - size, ",\"m%d\":0", i);
    memcpy(many + size, "}", 2);
    struct json_document none;
    assert_int_equal(json_read(bytes_of_text(many), &wide, &none, &problem), -E2BIG);
    char deep[200];
    memset(deep, '[', sizeof(deep));
    assert_int_equal(json_read(bytes_of(deep, sizeof(deep)), &wide, &none, &problem), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_values_are_what_they_say, forget),
        cmocka_unit_test_teardown(test_escapes_become_what_they_mean, forget),
        cmocka_unit_test_teardown(test_members_are_found_and_walked, forget),
        cmocka_unit_test_teardown(test_the_source_is_what_was_written, forget),
        cmocka_unit_test_teardown(test_what_is_not_json_is_refused, forget),
        cmocka_unit_test_teardown(test_a_problem_has_its_place, forget),
        cmocka_unit_test_teardown(test_limits_hold, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
