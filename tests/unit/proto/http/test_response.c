#include "support/check.h"

#include "proto/http/http_response.h"

static struct http_event next(struct http_response_parser *parser, struct bytes *input)
{
    struct http_event event;
    size_t taken = http_response_input(parser, *input, &event);
    *input = bytes_of(input->data + taken, input->size - taken);
    return event;
}

static void test_responses_are_read_one_after_another(void **state)
{
    (void)state;
    struct http_response_parser parser;
    http_response_parser_init(&parser, NULL);
    struct bytes input = bytes_of_text("HTTP/1.1 100 Continue\r\n\r\n"
                                       "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                                       "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       "3\r\nabc\r\n0\r\n\r\n"
                                       "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"
                                       "HTTP/1.0 200 OK\r\n\r\nrest");
    static const unsigned statuses[] = { 100, 200, 200, 304 };
    static const char *const bodies[] = { NULL, "ok", "abc", NULL };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(next(&parser, &input).kind, HTTP_EVENT_HEAD);
        assert_int_equal(parser.response.status, statuses[i]);
        assert_true(parser.response.keep_alive);
        if (bodies[i]) {
            struct http_event event = next(&parser, &input);
            assert_int_equal(event.kind, HTTP_EVENT_BODY);
            assert_true(text_equal(event.body, bodies[i]));
        }
        assert_int_equal(next(&parser, &input).kind, HTTP_EVENT_END);
    }
    assert_int_equal(next(&parser, &input).kind, HTTP_EVENT_HEAD);
    assert_true(parser.response.until_close);
    assert_false(parser.response.keep_alive);
    assert_int_equal(next(&parser, &input).kind, HTTP_EVENT_BODY);
    assert_true(http_response_finish(&parser));
    http_response_parser_done(&parser);
}

static void test_answers_to_head_have_no_body(void **state)
{
    (void)state;
    struct http_response_parser parser;
    http_response_parser_init(&parser, NULL);
    http_response_parser_expect_head(&parser);
    struct bytes input = bytes_of_text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
                                       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
    assert_int_equal(next(&parser, &input).kind, HTTP_EVENT_HEAD);
    assert_int_equal(next(&parser, &input).kind, HTTP_EVENT_END);
    assert_int_equal(next(&parser, &input).kind, HTTP_EVENT_HEAD);
    assert_int_equal(next(&parser, &input).kind, HTTP_EVENT_NONE);
    assert_false(http_response_finish(&parser)); // one byte is missing
    http_response_parser_done(&parser);
}

static void test_malformed_responses_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 X\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    };
    for (size_t i = 0; i < array_size(texts); i++) {
        struct http_response_parser parser;
        http_response_parser_init(&parser, NULL);
        struct bytes input = bytes_of_text(texts[i]);
        assert_int_equal(next(&parser, &input).kind, HTTP_EVENT_REFUSED);
        http_response_parser_done(&parser);
    }
}

static void test_heads_are_written(void **state)
{
    (void)state;
    char out[300];
    struct text_builder text = text_builder_of(out, sizeof(out));
    http_response_begin(&text, 404, 784111777);
    http_field_write_text(&text, "Content-Type", "text/plain");
    http_field_write_number(&text, "Content-Length", 18446744073709551615ull);
    http_head_end(&text);
    assert_string_equal(out, "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 18446744073709551615\r\n\r\n");
}

static void test_fields_cannot_be_injected(void **state)
{
    (void)state;
    char out[300];
    struct text_builder text = text_builder_of(out, sizeof(out));
    http_field_write_text(&text, "Location", "/a\r\nSet-Cookie: x");
    assert_true(text.truncated);
    assert_string_equal(out, "");
    text = text_builder_of(out, sizeof(out));
    http_field_write_text(&text, "X: y\r\nZ", "a");
    assert_true(text.truncated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses_are_read_one_after_another),
        cmocka_unit_test(test_answers_to_head_have_no_body),
        cmocka_unit_test(test_malformed_responses_are_refused),
        cmocka_unit_test(test_heads_are_written),
        cmocka_unit_test(test_fields_cannot_be_injected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
