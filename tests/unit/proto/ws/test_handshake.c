#include "support/check.h"

#include <errno.h>
#include <stdio.h>

#include "proto/ws/ws_handshake.h"

static const char *const names[] = { "roost.1", "sip", NULL };
static const struct ws_server_offer offer = { .subprotocols = names, .deflate = true };

static struct ws_handshake check(const char *method, const char *fields,
                                 const struct ws_server_offer *server)
{
    char text[1000];
    snprintf(text, sizeof(text), "%s /ws HTTP/1.1\r\nHost: a\r\n%s\r\n", method, fields);
    struct http_request_parser parser;
    http_request_parser_init(&parser, NULL);
    struct http_event event;
    size_t taken = http_request_input(&parser, bytes_of_text(text), &event);
    assert_int_equal(taken, strlen(text));
    assert_int_equal(event.kind, HTTP_EVENT_HEAD);
    struct ws_handshake handshake = ws_handshake_check(&parser.request, server);
    http_request_parser_done(&parser);
    return handshake;
}

#define UPGRADE "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

static void test_the_key_of_the_rfc_is_answered(void **state)
{
    (void)state;
    struct ws_handshake handshake = check("GET", UPGRADE KEY VERSION, &offer);
    assert_int_equal(handshake.status, 101);
    assert_string_equal(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_null(handshake.subprotocol);
    assert_false(handshake.deflate.enabled);
}

static void test_bad_handshakes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *method, *fields;
        unsigned status;
    } cases[] = {
        { "POST", UPGRADE KEY VERSION, 405 },
        { "GET", "Connection: Upgrade\r\n" KEY VERSION, 426 },
        { "GET", "Upgrade: websocket\r\n" KEY VERSION, 400 },
        { "GET", UPGRADE KEY "Sec-WebSocket-Version: 8\r\n", 426 },
        { "GET", UPGRADE KEY, 426 },
        { "GET", UPGRADE VERSION, 400 },
        { "GET", UPGRADE KEY KEY VERSION, 400 },
        { "GET", UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n", 400 },
        { "GET", UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n", 400 },
        { "GET", UPGRADE KEY VERSION "Content-Length: 4\r\n", 400 },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct ws_handshake handshake = check(cases[i].method, cases[i].fields, &offer);
        if (handshake.status != cases[i].status)
            fail_msg("%u for %s", handshake.status, cases[i].fields);
        assert_non_null(handshake.sentence);
    }
}

static void test_the_subprotocol_preferred_here_is_chosen(void **state)
{
    (void)state;
    const char *both = UPGRADE KEY VERSION "Sec-WebSocket-Protocol: sip, other, roost.1\r\n";
    const char *none = UPGRADE KEY VERSION "Sec-WebSocket-Protocol: other\r\n";
    assert_string_equal(check("GET", both, &offer).subprotocol, "roost.1");
    assert_null(check("GET", none, &offer).subprotocol);
    struct ws_server_offer strict = offer;
    strict.subprotocol_required = true;
    assert_int_equal(check("GET", none, &strict).status, 400);
    assert_int_equal(check("GET", both, &strict).status, 101);
}

static void test_deflate_is_negotiated(void **state)
{
    (void)state;
    static const struct {
        const char *extensions;
        uint8_t server_bits; // 0: declined
    } cases[] = {
        { "permessage-deflate", 15 },
        { "permessage-deflate; client_max_window_bits", 15 },
        { "x-other, permessage-deflate; server_max_window_bits=10", 10 },
        { "permessage-deflate; server_max_window_bits=\"12\"; client_no_context_takeover", 12 },
        { "permessage-deflate; server_max_window_bits=8, permessage-deflate", 15 },
        { "permessage-deflate; server_max_window_bits=16", 0 },
        { "permessage-deflate; server_max_window_bits=09", 0 },
        { "permessage-deflate; server_max_window_bits", 0 },
        { "permessage-deflate; unknown", 0 },
        { "permessage-deflate; server_no_context_takeover; server_no_context_takeover", 0 },
        { "permessage-deflate; server_no_context_takeover=1", 0 },
        { "x-webkit-deflate-frame", 0 },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        char fields[400];
        snprintf(fields, sizeof(fields), UPGRADE KEY VERSION "Sec-WebSocket-Extensions: %s\r\n",
                 cases[i].extensions);
        struct ws_handshake handshake = check("GET", fields, &offer);
        if (handshake.status != 101 || handshake.deflate.enabled != (cases[i].server_bits != 0) ||
            handshake.deflate.server_window_bits != cases[i].server_bits)
            fail_msg("%s", cases[i].extensions);
    }
}

/** Runs our client against our server. */
static int shake(const struct ws_client_offer *client, const struct ws_server_offer *server,
                 struct ws_deflate *ret_deflate, char ret_subprotocol[WS_SUBPROTOCOL_SIZE])
{
    struct random random;
    random_seeded_init(&random, 7);
    char request[1000], response[1000], key[WS_KEY_SIZE];
    struct text_builder text = text_builder_of(request, sizeof(request));
    ws_client_handshake_write(client, &random, &text, key);
    assert_false(text.truncated);
    struct http_request_parser parser;
    http_request_parser_init(&parser, NULL);
    struct http_event event;
    assert_int_equal(http_request_input(&parser, bytes_of_text(request), &event), text.length);
    struct ws_handshake handshake = ws_handshake_check(&parser.request, server);
    assert_int_equal(handshake.status, 101);
    text = text_builder_of(response, sizeof(response));
    ws_handshake_write(&handshake, &text);
    http_request_parser_done(&parser);
    struct http_response_parser answer;
    http_response_parser_init(&answer, NULL);
    assert_int_equal(http_response_input(&answer, bytes_of_text(response), &event), text.length);
    assert_int_equal(event.kind, HTTP_EVENT_HEAD);
    int result =
        ws_client_handshake_check(&answer.response, client, key, ret_deflate, ret_subprotocol);
    http_response_parser_done(&answer);
    return result;
}

static void test_client_and_server_agree(void **state)
{
    (void)state;
    struct ws_client_offer client = { .host = "a",
                                      .target = "/ws",
                                      .origin = "https://a",
                                      .subprotocol = "sip, roost.1",
                                      .deflate = true };
    struct ws_deflate deflate;
    char subprotocol[WS_SUBPROTOCOL_SIZE];
    assert_int_equal(shake(&client, &offer, &deflate, subprotocol), 0);
    assert_true(deflate.enabled && deflate.server_no_context_takeover);
    assert_string_equal(subprotocol, "roost.1");
    client.deflate = false;
    client.subprotocol = NULL;
    assert_int_equal(shake(&client, &offer, &deflate, subprotocol), 0);
    assert_false(deflate.enabled);
    assert_string_equal(subprotocol, "");
}

static void test_the_client_takes_only_what_it_offered(void **state)
{
    (void)state;
    struct ws_client_offer client = { .host = "a", .target = "/ws", .subprotocol = "a" };
#define ANSWER                                                                                     \
    "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                              \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    static const struct {
        const char *answer;
        int result;
    } cases[] = {
        { ANSWER "\r\n", 0 },
        { ANSWER "Sec-WebSocket-Protocol: a\r\n\r\n", 0 },
        { ANSWER "Sec-WebSocket-Protocol: b\r\n\r\n", -EPROTO },
        { ANSWER "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", -EPROTO },
        { "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: wrong\r\n\r\n",
          -EPROTO },
        { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", -ECONNREFUSED },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct http_response_parser parser;
        struct http_event event;
        struct ws_deflate deflate;
        char subprotocol[WS_SUBPROTOCOL_SIZE];
        http_response_parser_init(&parser, NULL);
        assert_true(http_response_input(&parser, bytes_of_text(cases[i].answer), &event) > 0);
        int result = ws_client_handshake_check(&parser.response, &client,
                                               "dGhlIHNhbXBsZSBub25jZQ==", &deflate, subprotocol);
        if (result != cases[i].result)
            fail_msg("%d for %s", result, cases[i].answer);
        http_response_parser_done(&parser);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_key_of_the_rfc_is_answered),
        cmocka_unit_test(test_bad_handshakes_are_refused),
        cmocka_unit_test(test_the_subprotocol_preferred_here_is_chosen),
        cmocka_unit_test(test_deflate_is_negotiated),
        cmocka_unit_test(test_client_and_server_agree),
        cmocka_unit_test(test_the_client_takes_only_what_it_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
