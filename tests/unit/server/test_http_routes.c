#include "support/check.h"

#include <errno.h>

#include "server/http_routes.h"
#include "server/protocol_sniff.h"

static void answer(struct http_exchange *exchange, void *owner)
{
    (void)exchange;
    (void)owner;
}

static int add(struct http_routes *routes, unsigned methods, const char *pattern)
{
    // the owner tells routes apart; patterns live in the caller's memory only
    union {
        const char *text;
        void *pointer;
    } owner = { .text = pattern };
    char copy[100];
    strcpy(copy, pattern);
    return http_routes_add(routes, &(struct http_route){ .methods = methods,
                                                         .pattern = copy,
                                                         .handle = answer,
                                                         .owner = owner.pointer });
}

static void expect_match(const struct http_routes *routes, enum http_method method,
                         const char *path, const char *pattern)
{
    struct http_match match = http_routes_find(routes, method, bytes_of_text(path));
    const char *found = match.route ? match.route->owner : NULL;
    if (!pattern ? found != NULL : !found || strcmp(found, pattern) != 0)
        fail_msg("%s matched %s", path, found ? found : "nothing");
}

static void test_the_most_specific_pattern_wins(void **state)
{
    (void)state;
    struct http_routes routes = { 0 };
    static const char *const patterns[] = { "/**",
                                            "/",
                                            "/r/{room}",
                                            "/r/all",
                                            "/r/{room}/x",
                                            "/sdk/**",
                                            "/whip/{room}[/{name}]",
                                            "/a/{b}/c",
                                            "/a/b/**" };
    for (size_t i = 0; i < array_size(patterns); i++)
        assert_int_equal(add(&routes, HTTP_METHOD_GET, patterns[i]), 0);
    expect_match(&routes, HTTP_METHOD_GET, "/", "/");
    expect_match(&routes, HTTP_METHOD_GET, "/r/daily", "/r/{room}");
    expect_match(&routes, HTTP_METHOD_GET, "/r/all", "/r/all");
    expect_match(&routes, HTTP_METHOD_GET, "/r/all/x", "/r/{room}/x");
    expect_match(&routes, HTTP_METHOD_GET, "/r/", "/**");
    expect_match(&routes, HTTP_METHOD_GET, "/r", "/**");
    expect_match(&routes, HTTP_METHOD_GET, "/r/daily/", "/**");
    expect_match(&routes, HTTP_METHOD_GET, "/sdk/", "/sdk/**");
    expect_match(&routes, HTTP_METHOD_GET, "/sdk/a/b.js", "/sdk/**");
    expect_match(&routes, HTTP_METHOD_GET, "/whip/one", "/whip/{room}[/{name}]");
    expect_match(&routes, HTTP_METHOD_GET, "/whip/one/cam", "/whip/{room}[/{name}]");
    expect_match(&routes, HTTP_METHOD_GET, "/whip/one/cam/x", "/**");
    expect_match(&routes, HTTP_METHOD_GET, "/a/b/c", "/a/b/**"); // earlier segments count first
    expect_match(&routes, HTTP_METHOD_GET, "/a/x/c", "/a/{b}/c");
    http_routes_done(&routes);
}

static void test_parameters_are_views_of_the_path(void **state)
{
    (void)state;
    struct http_routes routes = { 0 };
    assert_int_equal(add(&routes, HTTP_METHOD_GET, "/whip/{room}[/{name}]"), 0);
    assert_int_equal(add(&routes, HTTP_METHOD_POST, "/whip/{other}"), 0);
    struct http_match match =
        http_routes_find(&routes, HTTP_METHOD_GET, bytes_of_text("/whip/a%2Fb/cam"));
    assert_int_equal(match.parameter_count, 2);
    assert_string_equal(match.parameters[0].name, "room");
    assert_true(text_equal(match.parameters[0].text, "a%2Fb"));
    assert_true(text_equal(match.parameters[1].text, "cam"));
    match = http_routes_find(&routes, HTTP_METHOD_POST, bytes_of_text("/whip/x"));
    assert_string_equal(match.parameters[0].name, "other");
    assert_int_equal(match.methods, HTTP_METHOD_GET | HTTP_METHOD_HEAD | HTTP_METHOD_POST);
    match = http_routes_find(&routes, HTTP_METHOD_DELETE, bytes_of_text("/whip/x"));
    assert_null(match.route);
    assert_int_equal(match.methods, HTTP_METHOD_GET | HTTP_METHOD_HEAD | HTTP_METHOD_POST);
    match = http_routes_find(&routes, HTTP_METHOD_HEAD, bytes_of_text("/whip/x"));
    assert_non_null(match.route);
    http_routes_done(&routes);
}

static void test_bad_and_taken_patterns_are_refused(void **state)
{
    (void)state;
    struct http_routes routes = { 0 };
    static const char *const bad[] = { "",
                                       "x",
                                       "/{",
                                       "/{}",
                                       "/a}",
                                       "/**/x",
                                       "/a[/b",
                                       "/a[/b]/c",
                                       "/1/2/3/4/5/6/7/8/9/10/11",
                                       "/{a}/{b}/{c}/{d}/{e}" };
    for (size_t i = 0; i < array_size(bad); i++) {
        if (add(&routes, HTTP_METHOD_GET, bad[i]) != -EINVAL)
            fail_msg("%s was taken", bad[i]);
    }
    http_routes_done(&routes);
    assert_int_equal(add(&routes, HTTP_METHOD_GET, "/r/{room}"), 0);
    assert_int_equal(add(&routes, HTTP_METHOD_GET | HTTP_METHOD_POST, "/r/{name}"), -EEXIST);
    assert_int_equal(add(&routes, HTTP_METHOD_POST, "/r/{name}"), 0);
    http_routes_done(&routes);
}

static void test_protocols_are_told_by_their_first_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        enum protocol_sniffed expected;
    } cases[] = {
        { "", 0, PROTOCOL_MORE_NEEDED },
        { "\x16", 1, PROTOCOL_MORE_NEEDED },
        { "\x16\x03", 2, PROTOCOL_TLS },
        { "\x00\x01\x00\x00\x21\x12\xa4\x42\x00", 9, PROTOCOL_MORE_NEEDED },
        { "\x00\x01\x00\x00\x21\x12\xa4\x42\x00\x00", 10, PROTOCOL_STUN },
        { "\x01\x03\x00\x00\x21\x12\xa4\x42\x00\x00", 10, PROTOCOL_STUN },
        { "\x00\x5c\x00\x01\x00\x48\x21\x12\xa4\x42", 10, PROTOCOL_ICE_TCP },
        { "\x10\x23\x00\x04MQTT\x05\x02", 10, PROTOCOL_MQTT },
        { "\x10\x80\x01\x00\x06MQIsd", 10, PROTOCOL_MQTT },
        { "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10, PROTOCOL_UNKNOWN },
        { "<", 1, PROTOCOL_XMPP },
        { "G", 1, PROTOCOL_HTTP },
        { "GET / HTTP/1.1\r\n", 16, PROTOCOL_HTTP },
        { "\r\nGET / HTTP/1.1\r\n", 18, PROTOCOL_HTTP },
        { "REGISTER sip:a SIP/2.0\r\n", 24, PROTOCOL_SIP },
        { "SIP/2.0 200 OK\r\n", 16, PROTOCOL_SIP },
        { "OPTIONS * HTTP/1.1\r\n", 20, PROTOCOL_HTTP },
        { "\x40\x00\x00\x04\x01\x02\x03\x04\x05\x06", 10, PROTOCOL_UNKNOWN },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        uint8_t *copy = test_malloc(cases[i].size ? cases[i].size : 1); // overreads show
        memcpy(copy, cases[i].bytes, cases[i].size);
        enum protocol_sniffed found = protocol_sniff(bytes_of(copy, cases[i].size));
        if (found != cases[i].expected)
            fail_msg("case %zu: %d", i, found);
        test_free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_most_specific_pattern_wins),
        cmocka_unit_test(test_parameters_are_views_of_the_path),
        cmocka_unit_test(test_bad_and_taken_patterns_are_refused),
        cmocka_unit_test(test_protocols_are_told_by_their_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
