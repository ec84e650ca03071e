// Paths, queries, dates, preconditions, ranges, codings: what header values mean.
#include "support/check.h"

#include <errno.h>
#include <stdio.h>

#include "proto/http/http_conditional.h"
#include "proto/http/http_date.h"
#include "proto/http/http_target.h"

static void expect_path(const char *path, const char *normal)
{
    char out[200];
    size_t size = 0;
    int result = http_path_normalise(bytes_of_text(path), out, sizeof(out), &size);
    if (result != 0)
        fail_msg("%d for %s", result, path);
    assert_string_equal(out, normal);
    assert_int_equal(size, strlen(normal));
}

static void test_paths_have_one_normal_form(void **state)
{
    (void)state;
    expect_path("/", "/");
    expect_path("/a/b", "/a/b");
    expect_path("/a/b/", "/a/b/");
    expect_path("//a///b", "/a/b");
    expect_path("/./a/.", "/a/");
    expect_path("/a/b/..", "/a/");
    expect_path("/a/..", "/");
    expect_path("/a/../b", "/b");
    expect_path("/a/%2e%2E/b", "/b");
    expect_path("/%61%2fb%25c", "/a%2Fb%25c");
    expect_path("/...", "/...");
    expect_path("/.a", "/.a");
    expect_path("/caf%c3%a9", "/caf\xc3\xa9");
    char out[100];
    size_t size;
    static const char *const bad[] = { "",     "a",      "/%",   "/%g0", "/%0",
                                       "/%00", "/a%0ab", "/%7f", "/%c3" };
    for (size_t i = 0; i < array_size(bad); i++)
        assert_int_equal(http_path_normalise(bytes_of_text(bad[i]), out, sizeof(out), &size),
                         -EINVAL);
    assert_int_equal(http_path_normalise(bytes_of_text("/../a"), out, sizeof(out), &size), -EACCES);
    assert_int_equal(http_path_normalise(bytes_of_text("/a/%2e./.."), out, sizeof(out), &size),
                     -EACCES);
    assert_int_equal(http_path_normalise(bytes_of_text("/abc"), out, 4, &size), -ENAMETOOLONG);
    assert_int_equal(http_segment_decode(bytes_of_text("a%2Fb%25c+d"), out, sizeof(out)), 7);
    assert_string_equal(out, "a/b%c+d");
}

static void test_queries_are_decoded(void **state)
{
    (void)state;
    struct bytes query = bytes_of_text("a=1&b=x+y%26z&c&=d&%61b=last&bad=%zz&nul=%00");
    char out[20];
    assert_int_equal(http_query_find(query, "a", out, sizeof(out)), 1);
    assert_int_equal(http_query_find(query, "b", out, sizeof(out)), 5);
    assert_string_equal(out, "x y&z");
    assert_int_equal(http_query_find(query, "c", out, sizeof(out)), 0);
    assert_int_equal(http_query_find(query, "ab", out, sizeof(out)), 4);
    assert_int_equal(http_query_find(query, "d", out, sizeof(out)), -ENOENT);
    assert_int_equal(http_query_find(query, "bad", out, sizeof(out)), -EINVAL);
    assert_int_equal(http_query_find(query, "nul", out, sizeof(out)), -EINVAL);
    assert_int_equal(http_query_find(query, "b", out, 5), -ENAMETOOLONG);
    char text[40];
    struct text_builder builder = text_builder_of(text, sizeof(text));
    http_percent_encode(&builder, bytes_of_text("a/b c~\xc3\xa9"));
    assert_string_equal(text, "a%2Fb%20c~%C3%A9");
}

static void test_dates_are_written_and_read(void **state)
{
    (void)state;
    static const struct {
        int64_t unix_s;
        const char *text;
    } cases[] = {
        { 784111777, "Sun, 06 Nov 1994 08:49:37 GMT" },
        { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
        { 4107542399, "Sun, 28 Feb 2100 23:59:59 GMT" },
        { 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT" },
        { 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        char out[HTTP_DATE_SIZE];
        http_date_write(cases[i].unix_s, out);
        assert_string_equal(out, cases[i].text);
        int64_t read = -1;
        assert_int_equal(http_date_parse(bytes_of_text(out), &read), 0);
        assert_int_equal(read, cases[i].unix_s);
    }
    int64_t read = 0;
    assert_int_equal(http_date_parse(bytes_of_text("Sunday, 06-Nov-94 08:49:37 GMT"), &read), 0);
    assert_int_equal(read, 784111777);
    assert_int_equal(http_date_parse(bytes_of_text("Sun Nov  6 08:49:37 1994"), &read), 0);
    assert_int_equal(read, 784111777);
    static const char *const bad[] = { "",
                                       "Sun, 06 Nov 1994 08:49:37 CET",
                                       "Sun, 6 Nov 1994 08:49:37 GMT",
                                       "Sun, 06 Nov 1994 25:49:37 GMT",
                                       "Sun, 06 Nox 1994 08:49:37 GMT",
                                       "Sun, 06 Nov 1994 08:49:37 GMT ",
                                       "0",
                                       "," };
    for (size_t i = 0; i < array_size(bad); i++)
        assert_int_equal(http_date_parse(bytes_of_text(bad[i]), &read), -EINVAL);
}

struct fields {
    struct http_header items[4];
    struct http_headers headers;
};

static struct http_headers *fields_of(struct fields *fields, const char *name, const char *value,
                                      const char *name2, const char *value2)
{
    fields->items[0] = (struct http_header){ bytes_of_text(name), bytes_of_text(value) };
    fields->headers = (struct http_headers){ fields->items, 1 };
    if (name2) {
        fields->items[1] = (struct http_header){ bytes_of_text(name2), bytes_of_text(value2) };
        fields->headers.count = 2;
    }
    return &fields->headers;
}

static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";

static void test_preconditions_decide(void **state)
{
    (void)state;
    struct http_validator validator = { bytes_of_text("\"abc\""), 784111777 };
    static const struct {
        const char *name, *value;
        enum http_method method;
        enum http_precondition expected;
    } cases[] = {
        { "If-None-Match", "\"abc\"", HTTP_METHOD_GET, HTTP_PRECONDITION_NOT_MODIFIED },
        { "If-None-Match", "\"x\", W/\"abc\"", HTTP_METHOD_HEAD, HTTP_PRECONDITION_NOT_MODIFIED },
        { "If-None-Match", "\"a,b\", \"x\"", HTTP_METHOD_GET, HTTP_PRECONDITION_OK },
        { "If-None-Match", "*", HTTP_METHOD_PUT, HTTP_PRECONDITION_FAILED },
        { "If-None-Match", "abc", HTTP_METHOD_GET, HTTP_PRECONDITION_OK },
        { "If-Match", "\"abc\"", HTTP_METHOD_GET, HTTP_PRECONDITION_OK },
        { "If-Match", "W/\"abc\"", HTTP_METHOD_GET, HTTP_PRECONDITION_FAILED },
        { "If-Match", "\"x\"", HTTP_METHOD_GET, HTTP_PRECONDITION_FAILED },
        { "If-Modified-Since", date, HTTP_METHOD_GET, HTTP_PRECONDITION_NOT_MODIFIED },
        { "If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", HTTP_METHOD_GET,
          HTTP_PRECONDITION_OK },
        { "If-Modified-Since", "yesterday", HTTP_METHOD_GET, HTTP_PRECONDITION_OK },
        { "If-Modified-Since", date, HTTP_METHOD_POST, HTTP_PRECONDITION_OK },
        { "If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", HTTP_METHOD_GET,
          HTTP_PRECONDITION_FAILED },
        { "If-Unmodified-Since", date, HTTP_METHOD_GET, HTTP_PRECONDITION_OK },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct fields fields;
        fields_of(&fields, cases[i].name, cases[i].value, NULL, NULL);
        if (http_precondition_check(&fields.headers, cases[i].method, &validator) !=
            cases[i].expected)
            fail_msg("%s: %s", cases[i].name, cases[i].value);
    }
    // the etag decides alone when both are there
    struct fields fields;
    fields_of(&fields, "If-None-Match", "\"old\"", "If-Modified-Since", date);
    assert_int_equal(http_precondition_check(&fields.headers, HTTP_METHOD_GET, &validator),
                     HTTP_PRECONDITION_OK);
}

static void test_ranges_are_chosen(void **state)
{
    (void)state;
    struct http_validator validator = { bytes_of_text("\"abc\""), 784111777 };
    static const struct {
        const char *range;
        enum http_range_kind kind;
        uint64_t first, last;
    } cases[] = {
        { "bytes=0-0", HTTP_RANGE_PART, 0, 0 },
        { "bytes=2-5", HTTP_RANGE_PART, 2, 5 },
        { "bytes=5-", HTTP_RANGE_PART, 5, 9 },
        { "bytes=-3", HTTP_RANGE_PART, 7, 9 },
        { "bytes=-30", HTTP_RANGE_PART, 0, 9 },
        { "bytes=9-100", HTTP_RANGE_PART, 9, 9 },
        { "Bytes= 2-5 ", HTTP_RANGE_PART, 2, 5 },
        { "bytes=10-", HTTP_RANGE_UNSATISFIABLE, 0, 0 },
        { "bytes=-0", HTTP_RANGE_UNSATISFIABLE, 0, 0 },
        { "bytes=5-2", HTTP_RANGE_WHOLE, 0, 0 },
        { "bytes=0-1,3-4", HTTP_RANGE_WHOLE, 0, 0 },
        { "lines=0-1", HTTP_RANGE_WHOLE, 0, 0 },
        { "bytes=-", HTTP_RANGE_WHOLE, 0, 0 },
        { "bytes=a-b", HTTP_RANGE_WHOLE, 0, 0 },
        { "bytes", HTTP_RANGE_WHOLE, 0, 0 },
        { "bytes=99999999999999999999-", HTTP_RANGE_WHOLE, 0, 0 },
        { "bytes=--1", HTTP_RANGE_WHOLE, 0, 0 },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct fields fields;
        fields_of(&fields, "Range", cases[i].range, NULL, NULL);
        struct http_range range = http_range_choose(&fields.headers, 10, &validator);
        if (range.kind != cases[i].kind || range.first != cases[i].first ||
            range.last != cases[i].last)
            fail_msg("%s: %d %u-%u", cases[i].range, range.kind, (unsigned)range.first,
                     (unsigned)range.last);
    }
    static const struct {
        const char *if_range;
        enum http_range_kind kind;
    } conditions[] = {
        { "\"abc\"", HTTP_RANGE_PART },
        { "\"old\"", HTTP_RANGE_WHOLE },
        { "W/\"abc\"", HTTP_RANGE_WHOLE },
        { date, HTTP_RANGE_PART },
        { "Sun, 06 Nov 1994 08:49:38 GMT", HTTP_RANGE_WHOLE },
        { "Sun, 06 Nov 1994 08:49:36 GMT", HTTP_RANGE_WHOLE },
    };
    for (size_t i = 0; i < array_size(conditions); i++) {
        struct fields fields;
        fields_of(&fields, "Range", "bytes=0-1", "If-Range", conditions[i].if_range);
        assert_int_equal(http_range_choose(&fields.headers, 10, &validator).kind,
                         conditions[i].kind);
    }
}

static void test_codings_are_negotiated(void **state)
{
    (void)state;
    const unsigned all = HTTP_CODING_IDENTITY | HTTP_CODING_GZIP | HTTP_CODING_BROTLI;
    static const struct {
        const char *accept;
        enum http_coding expected;
    } cases[] = {
        { "gzip, deflate, br", HTTP_CODING_BROTLI },
        { "gzip", HTTP_CODING_GZIP },
        { "br;q=0.5, gzip;q=0.8", HTTP_CODING_GZIP },
        { "br;q=0, *", HTTP_CODING_GZIP },
        { "", HTTP_CODING_IDENTITY },
        { "identity, gzip;q=0.1", HTTP_CODING_IDENTITY },
        { "*;q=0", HTTP_CODING_IDENTITY },
        { "GZIP;Q=0.001", HTTP_CODING_GZIP },
        { "gzip;q=x", HTTP_CODING_IDENTITY },
        { "br; q=1.000", HTTP_CODING_BROTLI },
        { "compress", HTTP_CODING_IDENTITY },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct fields fields;
        fields_of(&fields, "Accept-Encoding", cases[i].accept, NULL, NULL);
        if (http_coding_choose(&fields.headers, all) != cases[i].expected)
            fail_msg("%s", cases[i].accept);
    }
    struct fields fields;
    fields_of(&fields, "Accept-Encoding", "br, gzip", NULL, NULL);
    assert_int_equal(http_coding_choose(&fields.headers, HTTP_CODING_IDENTITY | HTTP_CODING_GZIP),
                     HTTP_CODING_GZIP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_have_one_normal_form),
        cmocka_unit_test(test_queries_are_decoded),
        cmocka_unit_test(test_dates_are_written_and_read),
        cmocka_unit_test(test_preconditions_decide),
        cmocka_unit_test(test_ranges_are_chosen),
        cmocka_unit_test(test_codings_are_negotiated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
