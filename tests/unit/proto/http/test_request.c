#include "support/check.h"

#include <stdio.h>

#include "base/text.h"
#include "proto/http/http_request.h"

/** What one input makes of the parser, whole or cut into pieces. */
struct outcome {
    size_t requests;
    enum http_refusal refusal;
    char body[256];
    size_t body_size;
    size_t taken;
};

static void take_event(const struct http_event *event, struct outcome *outcome)
{
    if (event->kind == HTTP_EVENT_END)
        outcome->requests++;
    if (event->kind == HTTP_EVENT_REFUSED)
        outcome->refusal = event->refusal;
    if (event->kind == HTTP_EVENT_BODY) {
        assert_true(outcome->body_size + event->body.size <= sizeof(outcome->body));
        memcpy(outcome->body + outcome->body_size, event->body.data, event->body.size);
        outcome->body_size += event->body.size;
    }
}

/** Feeds `text` in pieces of `piece` bytes, each in memory of its own so that overreads show. */
static struct outcome feed(const char *text, size_t size, size_t piece,
                           const struct http_limits *limits)
{
    struct http_request_parser parser;
    http_request_parser_init(&parser, limits);
    struct outcome outcome = { 0 };
    for (size_t at = 0; at < size && !outcome.refusal; at += piece) {
        size_t count = min_of(piece, size - at);
        uint8_t *copy = test_malloc(count);
        memcpy(copy, text + at, count);
        size_t done = 0;
        struct http_event event;
        do {
            size_t taken = http_request_input(&parser, bytes_of(copy + done, count - done), &event);
            assert_true(taken <= count - done);
            done += taken;
            take_event(&event, &outcome);
        } while (event.kind != HTTP_EVENT_NONE && event.kind != HTTP_EVENT_REFUSED);
        outcome.taken += done;
        test_free(copy);
    }
    http_request_parser_done(&parser);
    return outcome;
}

static void expect_refusal(const char *text, enum http_refusal refusal)
{
    size_t pieces[] = { 1, 3, 4096 };
    for (size_t i = 0; i < array_size(pieces); i++) {
        struct outcome outcome = feed(text, strlen(text), pieces[i], NULL);
        if (outcome.refusal != refusal)
            fail_msg("got %s for: %s", http_refusal_label(outcome.refusal), text);
        assert_int_equal(outcome.requests, 0);
    }
}

#define GET_HEAD "GET / HTTP/1.1\r\nHost: a\r\n"

static void test_requests_are_read_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const char text[] = "POST /a?b=c HTTP/1.1\r\nHost: example.org:8443\r\n"
                               "Content-Length: 5\r\n\r\nhello"
                               "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "6;name=\"v\"\r\n world\r\n1\r\n!\r\n0\r\nX-Trailer: 1\r\n\r\n"
                               "\r\nGET /last HTTP/1.1\r\nHost: a\r\n\r\n";
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        struct outcome outcome = feed(text, sizeof(text) - 1, piece, NULL);
        assert_int_equal(outcome.refusal, HTTP_REFUSAL_NONE);
        assert_int_equal(outcome.requests, 3);
        assert_int_equal(outcome.taken, sizeof(text) - 1);
        assert_memory_equal(outcome.body, "hello world!", 12);
        assert_int_equal(outcome.body_size, 12);
    }
}

static size_t read_head(struct http_request_parser *parser, const char *text)
{
    struct http_event event;
    http_request_parser_init(parser, NULL);
    size_t taken = http_request_input(parser, bytes_of_text(text), &event);
    if (event.kind != HTTP_EVENT_HEAD)
        fail_msg("refused as %s: %s", http_refusal_label(event.refusal), text);
    return taken;
}

static void test_head_is_taken_apart(void **state)
{
    (void)state;
    struct http_request_parser parser;
    static const char text[] =
        "POST /r/caf%C3%A9%2Fbar/../x%20y/./z?token=a%20b&c HTTP/1.1\r\n"
        "hOST:\t example.org:8443 \r\nEmpty:\r\nConnection: keep-alive, Upgrade\r\n"
        "Expect: 100-Continue\r\nContent-Length: 7\r\n\r\n";
    assert_int_equal(read_head(&parser, text), sizeof(text) - 1);
    const struct http_request *request = &parser.request;
    assert_int_equal(request->method, HTTP_METHOD_POST);
    assert_int_equal(request->version_minor, 1);
    assert_true(request->keep_alive);
    assert_true(request->expects_continue);
    assert_int_equal(request->content_length, 7);
    assert_true(text_equal(request->path, "/r/x y/z"));
    assert_true(text_equal(request->query, "token=a%20b&c"));
    assert_true(text_equal(request->host, "example.org:8443"));
    assert_int_equal(request->headers.count, 5);
    assert_int_equal(http_headers_find(&request->headers, "empty").size, 0);
    assert_non_null(http_headers_find(&request->headers, "EMPTY").data);
    assert_null(http_headers_find(&request->headers, "absent").data);
    assert_true(http_headers_list_has(&request->headers, "connection", "upgrade"));
    http_request_parser_done(&parser);
}

static void test_absolute_form_names_the_host(void **state)
{
    (void)state;
    struct http_request_parser parser;
    read_head(&parser, "GET http://other.example?q HTTP/1.1\r\nHost: ignored\r\n\r\n");
    assert_true(text_equal(parser.request.host, "other.example"));
    assert_true(text_equal(parser.request.path, "/"));
    assert_true(text_equal(parser.request.query, "q"));
    http_request_parser_done(&parser);
}

static void test_keep_alive_follows_version_and_connection(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keep_alive;
    } cases[] = {
        { "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true },
        { "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n", false },
        { "GET / HTTP/1.0\r\n\r\n", false },
        { "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct http_request_parser parser;
        read_head(&parser, cases[i].text);
        assert_int_equal(parser.request.keep_alive, cases[i].keep_alive);
        http_request_parser_done(&parser);
    }
}

static void test_ambiguous_framing_is_refused(void **state)
{
    (void)state;
    expect_refusal("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                   HTTP_REFUSAL_LENGTH_AND_ENCODING);
    expect_refusal(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        HTTP_REFUSAL_REPEATED_LENGTH);
    static const char *const lengths[] = {
        "3, 3", "+3", "-3", "0x3", "3 3", "", "99999999999999999999", "3;", "\"3\""
    };
    for (size_t i = 0; i < array_size(lengths); i++) {
        char text[200];
        snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %s\r\n\r\nabc",
                 lengths[i]);
        expect_refusal(text, HTTP_REFUSAL_BAD_LENGTH);
    }
    static const char *const encodings[] = { "xchunked",   "chunked, chunked", "gzip, chunked",
                                             "identity",   "chunked;q=1",      "\"chunked\"",
                                             "chunked\x80" };
    for (size_t i = 0; i < array_size(encodings); i++) {
        char text[200];
        snprintf(text, sizeof(text),
                 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: %s\r\n\r\n0\r\n\r\n",
                 encodings[i]);
        expect_refusal(text, HTTP_REFUSAL_BAD_ENCODING);
    }
    expect_refusal("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                   "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
                   HTTP_REFUSAL_BAD_ENCODING);
    expect_refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                   HTTP_REFUSAL_ENCODING_IN_OLD_VERSION);
}

static void test_lines_that_others_read_differently_are_refused(void **state)
{
    (void)state;
    expect_refusal("GET / HTTP/1.1\nHost: a\n\n", HTTP_REFUSAL_BARE_LINE_FEED);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", HTTP_REFUSAL_BARE_LINE_FEED);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\rX: y\r\n\r\n", HTTP_REFUSAL_BARE_CARRIAGE_RETURN);
    expect_refusal(GET_HEAD "X: a\r\n b\r\n\r\n", HTTP_REFUSAL_FOLDED_HEADER);
    expect_refusal(GET_HEAD "\tX: a\r\n\r\n", HTTP_REFUSAL_FOLDED_HEADER);
    expect_refusal(GET_HEAD "Content-Length : 3\r\n\r\nabc", HTTP_REFUSAL_SPACE_BEFORE_COLON);
    expect_refusal(GET_HEAD "X\r\n\r\n", HTTP_REFUSAL_BAD_HEADER_NAME);
    expect_refusal(GET_HEAD ": a\r\n\r\n", HTTP_REFUSAL_BAD_HEADER_NAME);
    expect_refusal(GET_HEAD "X(y): a\r\n\r\n", HTTP_REFUSAL_BAD_HEADER_NAME);
    expect_refusal(GET_HEAD "Transfer-\x01"
                            "Encoding: chunked\r\n\r\n",
                   HTTP_REFUSAL_BAD_HEADER_NAME);
    expect_refusal(GET_HEAD "Transfer-Encoding:\x0b"
                            "chunked\r\n\r\n",
                   HTTP_REFUSAL_BAD_HEADER_VALUE);
    expect_refusal(GET_HEAD "X: a\x7f\r\n\r\n", HTTP_REFUSAL_BAD_HEADER_VALUE);
    static const char nul[] = GET_HEAD "X: a\0b\r\n\r\n";
    assert_int_equal(feed(nul, sizeof(nul) - 1, 100, NULL).refusal, HTTP_REFUSAL_BAD_HEADER_VALUE);
}

static void test_request_lines_are_strict(void **state)
{
    (void)state;
    expect_refusal("GET /\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_REQUEST_LINE);
    expect_refusal("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_REQUEST_LINE);
    expect_refusal("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_REQUEST_LINE);
    expect_refusal("GET / http/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_REQUEST_LINE);
    expect_refusal(" GET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_METHOD);
    expect_refusal("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_METHOD);
    expect_refusal("get / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_UNKNOWN_METHOD);
    expect_refusal("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_UNKNOWN_METHOD);
    expect_refusal("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_UNKNOWN_METHOD);
    expect_refusal("GET / HTTP/2.0\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_VERSION);
    expect_refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_REFUSAL_BAD_VERSION);
    expect_refusal("GET a HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_TARGET);
    expect_refusal("GET * HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_TARGET);
    expect_refusal("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_TARGET);
    expect_refusal("GET http://u@h/x HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_HOST);
    expect_refusal("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_TARGET);
    expect_refusal("GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_TARGET);
    expect_refusal("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_ESCAPE);
    expect_refusal("GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_ESCAPE);
    expect_refusal("GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_BAD_ESCAPE);
    expect_refusal("GET /%2e%2e/x HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_PATH_ABOVE_ROOT);
    expect_refusal("GET /a/../../x HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_REFUSAL_PATH_ABOVE_ROOT);
    expect_refusal("\r\n\r\n\r\n\r\n\r\n\r\n", HTTP_REFUSAL_BAD_REQUEST_LINE);
}

static void test_host_must_be_one(void **state)
{
    (void)state;
    expect_refusal("GET / HTTP/1.1\r\n\r\n", HTTP_REFUSAL_NO_HOST);
    expect_refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HTTP_REFUSAL_REPEATED_HOST);
    static const char *const hosts[] = { "", "a b", "a/b", "a@b", "a:x", "a:70000", "[::1", "a,b" };
    for (size_t i = 0; i < array_size(hosts); i++) {
        char text[100];
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
        expect_refusal(text, HTTP_REFUSAL_BAD_HOST);
    }
    assert_int_equal(feed("GET / HTTP/1.0\r\n\r\n", 18, 18, NULL).requests, 1);
    const char *v6 = "GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n";
    assert_int_equal(feed(v6, strlen(v6), 100, NULL).requests, 1);
}

static void test_chunks_are_strict(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum http_refusal refusal;
    } cases[] = {
        { "x\r\n", HTTP_REFUSAL_BAD_CHUNK },
        { "\r\n", HTTP_REFUSAL_BAD_CHUNK },
        { "1 \r\na\r\n0\r\n\r\n", HTTP_REFUSAL_BAD_CHUNK },
        { "0x1\r\na\r\n", HTTP_REFUSAL_BAD_CHUNK },
        { "1\na\r\n0\r\n\r\n", HTTP_REFUSAL_BAD_CHUNK },
        { "1\r\nab\r\n0\r\n\r\n", HTTP_REFUSAL_BAD_CHUNK },
        { "1\r\na\n0\r\n\r\n", HTTP_REFUSAL_BAD_CHUNK },
        { "1;a\nb\r\na\r\n0\r\n\r\n", HTTP_REFUSAL_BAD_CHUNK },
        { "ffffffffffffffff\r\n", HTTP_REFUSAL_BAD_CHUNK },
        { "fffffffffffffff\r\n", HTTP_REFUSAL_BODY_TOO_LARGE },
        { "0\r\n X: y\r\n\r\n", HTTP_REFUSAL_BAD_TRAILER },
        { "0\r\nX: y\n\r\n", HTTP_REFUSAL_BAD_TRAILER },
        { "0\r\n\rX", HTTP_REFUSAL_BAD_TRAILER },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        char text[200];
        snprintf(text, sizeof(text),
                 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s",
                 cases[i].body);
        expect_refusal(text, cases[i].refusal);
    }
}

static void test_limits_are_kept(void **state)
{
    (void)state;
    struct http_limits limits = {
        .first_line_size_max = 40, .head_size_max = 100, .header_count_max = 3, .body_size_max = 4
    };
    char text[400];
    snprintf(text, sizeof(text), "GET /%060d HTTP/1.1\r\n", 0);
    assert_int_equal(feed(text, strlen(text), 7, &limits).refusal,
                     HTTP_REFUSAL_REQUEST_LINE_TOO_LONG);
    // refused before the line ends: nobody may send for ever
    assert_int_equal(feed(text, 45, 7, &limits).refusal, HTTP_REFUSAL_REQUEST_LINE_TOO_LONG);
    snprintf(text, sizeof(text), GET_HEAD "X: %0100d\r\n\r\n", 0);
    assert_int_equal(feed(text, strlen(text), 7, &limits).refusal, HTTP_REFUSAL_HEAD_TOO_LARGE);
    snprintf(text, sizeof(text), GET_HEAD "A:1\r\nB:1\r\nC:1\r\n\r\n");
    assert_int_equal(feed(text, strlen(text), 7, &limits).refusal, HTTP_REFUSAL_TOO_MANY_HEADERS);
    snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(feed(text, strlen(text), 100, &limits).refusal, HTTP_REFUSAL_BODY_TOO_LARGE);
    snprintf(text, sizeof(text),
             "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    assert_int_equal(feed(text, strlen(text), 100, &limits).refusal, HTTP_REFUSAL_BODY_TOO_LARGE);
    snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfour");
    assert_int_equal(feed(text, strlen(text), 100, &limits).requests, 1);
}

static void test_endless_extensions_and_trailers_are_refused(void **state)
{
    (void)state;
    static char text[40000];
    static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    memset(text, 'x', sizeof(text));
    memcpy(text, head, sizeof(head) - 1);
    memcpy(text + sizeof(head) - 1, "1;", 2);
    assert_int_equal(feed(text, sizeof(text), 1000, NULL).refusal, HTTP_REFUSAL_BAD_CHUNK);
    memcpy(text + sizeof(head) - 1, "0\r\n", 3);
    assert_int_equal(feed(text, sizeof(text), 1000, NULL).refusal, HTTP_REFUSAL_BAD_TRAILER);
}

static void test_unknown_expectations_are_refused(void **state)
{
    (void)state;
    expect_refusal(GET_HEAD "Expect: more\r\n\r\n", HTTP_REFUSAL_BAD_EXPECTATION);
}

static void test_a_route_can_set_the_limit_of_its_body(void **state)
{
    (void)state;
    struct http_request_parser parser;
    read_head(&parser, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    http_request_limit_body(&parser, 99);
    struct http_event event;
    assert_int_equal(http_request_input(&parser, bytes_of_text("x"), &event), 0);
    assert_int_equal(event.refusal, HTTP_REFUSAL_BODY_TOO_LARGE);
    assert_int_equal(http_refusal_status(event.refusal), 413);
    http_request_parser_done(&parser);
}

static void test_every_refusal_has_a_status_and_a_sentence(void **state)
{
    (void)state;
    for (int i = 1; i < HTTP_REFUSAL_COUNT; i++) {
        enum http_refusal refusal = (enum http_refusal)i;
        assert_in_range(http_refusal_status(refusal), 400, 505);
        assert_true(strlen(http_refusal_sentence(refusal)) > 10);
        assert_true(strlen(http_status_phrase(http_refusal_status(refusal))) > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_read_in_pieces_of_any_size),
        cmocka_unit_test(test_head_is_taken_apart),
        cmocka_unit_test(test_absolute_form_names_the_host),
        cmocka_unit_test(test_keep_alive_follows_version_and_connection),
        cmocka_unit_test(test_ambiguous_framing_is_refused),
        cmocka_unit_test(test_lines_that_others_read_differently_are_refused),
        cmocka_unit_test(test_request_lines_are_strict),
        cmocka_unit_test(test_host_must_be_one),
        cmocka_unit_test(test_chunks_are_strict),
        cmocka_unit_test(test_limits_are_kept),
        cmocka_unit_test(test_endless_extensions_and_trailers_are_refused),
        cmocka_unit_test(test_unknown_expectations_are_refused),
        cmocka_unit_test(test_a_route_can_set_the_limit_of_its_body),
        cmocka_unit_test(test_every_refusal_has_a_status_and_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
