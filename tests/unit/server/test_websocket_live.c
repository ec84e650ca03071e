// WebSocket endpoints as clients meet them: our own client engine over real sockets.
#include "http_live.h"

#include "proto/ws/ws_frame.h"

static char text_out[1 << 16];

struct endpoint_log {
    struct live *live;
    _Atomic int opened;
    _Atomic int closed;
    _Atomic int drained;
    _Atomic int refused;
    _Atomic uint16_t code;
    struct websocket *paused;
    char room[40];
};

static void on_opened(struct websocket *socket, struct http_exchange *exchange, void *owner)
{
    struct endpoint_log *log = owner;
    snprintf(log->room, sizeof(log->room), "%s", http_exchange_parameter(exchange, "room"));
    websocket_set_context(socket, log);
    log->opened++;
}

/** Sends until the queue is full. */
static void flood(struct websocket *socket, struct endpoint_log *log)
{
    static char chunk[10000];
    memset(chunk, 'f', sizeof(chunk));
    while (websocket_send_text(socket, bytes_of(chunk, sizeof(chunk))) == 0)
        ;
    log->refused++;
}

static void on_message(struct websocket *socket, bool is_text, struct bytes data, void *owner)
{
    struct endpoint_log *log = owner;
    assert_ptr_equal(websocket_context(socket), log);
    if (text_equal(data, "pause")) {
        websocket_pause(socket, true);
        log->paused = socket;
    } else if (text_equal(data, "resume")) {
        websocket_pause(log->paused, false);
    } else if (text_equal(data, "close all")) {
        websocket_close(log->paused, 4321, "as you wish");
    } else if (text_equal(data, "close")) {
        websocket_close(socket, 4321, "as you wish");
    } else if (text_equal(data, "abort")) {
        websocket_abort(socket);
    } else if (text_equal(data, "flood")) {
        flood(socket, log);
    } else {
        assert_int_equal(
            is_text ? websocket_send_text(socket, data) : websocket_send_binary(socket, data), 0);
    }
}

static void on_closed(struct websocket *socket, uint16_t code, struct bytes reason, void *owner)
{
    (void)socket;
    (void)reason;
    struct endpoint_log *log = owner;
    log->code = code;
    log->closed++;
}

static void on_drained(struct websocket *socket, void *owner)
{
    (void)socket;
    struct endpoint_log *log = owner;
    log->drained++;
}

static const char *const subprotocols[] = { "roost.1", NULL };

static struct endpoint_log *open_live(const struct websocket_endpoint *config)
{
    struct endpoint_log *log = calloc(1, sizeof(*log));
    log->live = live_new(&(struct http_server_config){ 0 });
    struct websocket_endpoint endpoint = *config;
    endpoint.pattern = "/ws[/{room}]";
    endpoint.owner = log;
    endpoint.subprotocols = subprotocols;
    endpoint.ops = (struct websocket_ops){ on_opened, on_message, on_closed, on_drained };
    assert_int_equal(http_server_add_websocket(log->live->server, &endpoint), 0);
    live_start(log->live);
    return log;
}

static void close_live(struct endpoint_log *log)
{
    live_free(log->live);
    assert_int_equal(log->opened, log->closed);
    free(log);
}

/** A blocking client on our own engine. */
struct client {
    int fd;
    struct random random;
    struct ws_connection *ws;
};

static struct client *client_open(struct endpoint_log *log, const char *target)
{
    struct client *client = calloc(1, sizeof(*client));
    int before = log->opened;
    random_seeded_init(&client->random, 5);
    struct ws_client_offer offer = {
        .host = "localhost", .target = target, .deflate = true, .subprotocol = "roost.1"
    };
    char key[WS_KEY_SIZE], subprotocol[WS_SUBPROTOCOL_SIZE];
    struct text_builder text = text_builder_of(text_out, sizeof(text_out));
    ws_client_handshake_write(&offer, &client->random, &text, key);
    client->fd = live_connect(&log->live->plain);
    live_send(client->fd, text_out, text.length);
    struct http_response_parser parser;
    http_response_parser_init(&parser, NULL);
    struct http_event event = { .kind = HTTP_EVENT_NONE };
    char byte;
    while (event.kind == HTTP_EVENT_NONE) {
        assert_int_equal(live_read(client->fd, &byte, 1), 1);
        assert_int_equal(http_response_input(&parser, bytes_of(&byte, 1), &event), 1);
    }
    struct ws_config config = { .is_client = true,
                                .random = &client->random,
                                .output_size_max = 64u << 20 };
    assert_int_equal(
        ws_client_handshake_check(&parser.response, &offer, key, &config.deflate, subprotocol), 0);
    assert_string_equal(subprotocol, "roost.1");
    assert_true(config.deflate.enabled);
    http_response_parser_done(&parser);
    client->ws = ws_connection_new(&config, live_now_ms() * 1000);
    while (log->opened == before) // the owner is told just after the 101
        poll(NULL, 0, 1);
    return client;
}

static void client_flush(struct client *client)
{
    struct bytes output = ws_connection_output(client->ws);
    live_send(client->fd, output.data, output.size);
    ws_connection_output_taken(client->ws, output.size);
}

static void client_say(struct client *client, const char *text)
{
    assert_int_equal(ws_connection_send_text(client->ws, bytes_of_text(text)), 0);
    client_flush(client);
}

/** The next event but pongs; data is valid until the next call. */
static struct ws_event client_next(struct client *client)
{
    struct ws_event event;
    for (;;) {
        if (ws_connection_event(client->ws, &event) && event.kind != WS_EVENT_PONG)
            return event;
        uint8_t byte[1];
        if (live_read(client->fd, byte, 1) == 0)
            ws_connection_stream_ended(client->ws);
        else
            assert_int_equal(
                ws_connection_input(client->ws, live_now_ms() * 1000, bytes_of(byte, 1)), 1);
        client_flush(client);
    }
}

static void client_close(struct client *client)
{
    close(client->fd);
    ws_connection_free(client->ws);
    free(client);
}

static void test_messages_come_back(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(&(struct websocket_endpoint){ 0 });
    struct client *client = client_open(log, "/ws/lounge");
    assert_string_equal(log->room, "lounge");
    client_say(client, "hello");
    assert_true(text_equal(client_next(client).data, "hello"));
    static char large[60000];
    memset(large, 'x', sizeof(large) - 1);
    client_say(client, large);
    struct ws_event event = client_next(client);
    assert_int_equal(event.kind, WS_EVENT_TEXT);
    assert_int_equal(event.data.size, sizeof(large) - 1);
    assert_int_equal(ws_connection_send_binary(client->ws, bytes_of("\0\xff", 2)), 0);
    client_flush(client);
    assert_int_equal(client_next(client).kind, WS_EVENT_BINARY);
    assert_int_equal(live_metric(log->live, WEBSOCKETS), 1);
    client_close(client);
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 0));
    assert_int_equal(log->code, 1006);
    close_live(log);
}

static void test_frames_sent_with_the_handshake_are_read(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(&(struct websocket_endpoint){ 0 });
    int fd = live_connect(&log->live->plain);
    static const char request[] =
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        "\x81\x82\0\0\0\0hi";
    live_send(fd, request, sizeof(request) - 1);
    char answer[1000];
    size_t size = 0;
    while (size < 4 || memcmp(answer + size - 4, "\x81\x02hi", 4) != 0) {
        assert_int_equal(live_read(fd, answer + size, 1), 1);
        size++;
    }
    answer[size] = '\0';
    expect_starts(answer, "HTTP/1.1 101 ");
    expect_has(answer, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    close(fd);
    close_live(log);
}

static void test_either_side_can_close(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(&(struct websocket_endpoint){ 0 });
    struct client *client = client_open(log, "/ws");
    client_say(client, "close");
    struct ws_event event = client_next(client);
    assert_int_equal(event.kind, WS_EVENT_CLOSED);
    assert_int_equal(event.code, 4321);
    assert_true(text_equal(event.data, "as you wish"));
    client_close(client);
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 0));
    assert_int_equal(log->code, 4321);
    client = client_open(log, "/ws");
    ws_connection_close(client->ws, live_now_ms() * 1000, 4000, "bye");
    client_flush(client);
    assert_int_equal(client_next(client).code, 4000);
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 0));
    assert_int_equal(log->code, 4000);
    client_close(client);
    client = client_open(log, "/ws");
    client_say(client, "abort");
    assert_int_equal(client_next(client).code, 1006);
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 0));
    client_close(client);
    close_live(log);
}

static void test_violations_are_counted_and_told(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(&(struct websocket_endpoint){ .message_size_max = 1000 });
    struct client *client = client_open(log, "/ws");
    static char large[2000];
    memset(large, 'x', sizeof(large) - 1);
    client_say(client, large);
    assert_int_equal(client_next(client).code, 1009);
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 0));
    assert_int_equal(live_metric(log->live, WEBSOCKET_FAILED_MESSAGE_TOO_BIG), 1);
    client_close(client);
    client = client_open(log, "/ws");
    live_send(client->fd, "\x81\x01x", 3); // not masked
    assert_int_equal(client_next(client).code, 1002);
    client_close(client);
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 0));
    close_live(log);
}

/**
 * Answers pings for so long. False when the machine held this client up, so that it answered later
 * than half of the timeout: what became of it then says nothing.
 */
static bool client_stay(struct client *client, uint64_t ms, uint64_t timeout_ms)
{
    uint64_t last = live_now_ms(), end = last + ms;
    while (last < end) {
        uint8_t byte[1];
        size_t size = live_read(client->fd, byte, 1);
        uint64_t now = live_now_ms();
        if (now - last > timeout_ms / 2)
            return false;
        last = now;
        assert_int_equal(size, 1);
        assert_int_equal(ws_connection_input(client->ws, 0, bytes_of(byte, 1)), 1);
        client_flush(client);
    }
    return true;
}

static void test_a_silent_peer_is_dropped(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(
        &(struct websocket_endpoint){ .ping_interval_us = 50000, .pong_timeout_us = 500000 });
    struct client *silent = client_open(log, "/ws");
    assert_true(live_wait_metric(log->live, WEBSOCKET_FAILED_PEER_SILENT, 1));
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 0));
    assert_int_equal(log->code, 1006);
    client_close(silent);
    // one that answers pings stays for much longer
    struct client *alive = client_open(log, "/ws");
    while (!client_stay(alive, 1500, 500)) {
        client_close(alive);
        alive = client_open(log, "/ws");
    }
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 1));
    client_close(alive);
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 0));
    close_live(log);
}

static void test_a_peer_can_be_paused(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(
        &(struct websocket_endpoint){ .ping_interval_us = 50000, .pong_timeout_us = 400000 });
    struct client *paused = client_open(log, "/ws"), *other = client_open(log, "/ws");
    // together, so that all of it has arrived when the first is taken
    static const char *const texts[] = { "pause", "one", "two" };
    for (size_t i = 0; i < array_size(texts); i++)
        assert_int_equal(ws_connection_send_text(paused->ws, bytes_of_text(texts[i])), 0);
    client_flush(paused);
    // it is not thought dead, though nothing of it is read
    while (!client_stay(other, 1000, 400)) {
        client_close(other);
        other = client_open(log, "/ws");
    }
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 2));
    assert_int_equal(live_metric(log->live, WEBSOCKET_RECEIVED), 1);
    client_say(other, "resume");
    assert_true(text_equal(client_next(paused).data, "one"));
    assert_true(text_equal(client_next(paused).data, "two"));
    // closing takes the answer, and waits for it no longer than ever
    client_say(paused, "pause");
    assert_true(live_wait_metric(log->live, WEBSOCKET_RECEIVED, 5));
    client_say(other, "close all");
    assert_int_equal(client_next(paused).kind, WS_EVENT_CLOSED);
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 1));
    assert_int_equal(log->code, 4321);
    client_close(paused);
    client_close(other);
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 0));
    close_live(log);
}

static void test_a_slow_peer_is_told_to_the_owner_and_drains(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(
        &(struct websocket_endpoint){ .without_deflate = true, .output_size_max = 500000 });
    int fd = live_connect(&log->live->plain);
    static const char request[] =
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        "\x81\x85\0\0\0\0flood";
    live_send(fd, request, sizeof(request) - 1);
    while (log->refused == 0)
        poll(NULL, 0, 1);
    assert_int_equal(live_metric(log->live, WEBSOCKET_TOO_SLOW), 1);
    // all that was queued arrives, and the owner is told that there is room again
    for (size_t total = 0; total < 49 * 10000 || log->drained == 0;) {
        char piece[10000];
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        if (poll(&wait, 1, 10) > 0)
            total += (size_t)recv(fd, piece, sizeof(piece), 0);
    }
    close(fd);
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 0));
    close_live(log);
}

#define SHAKE                                                                                      \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static const char *shake(struct endpoint_log *log, const char *fields)
{
    char request[600];
    snprintf(request, sizeof(request), "GET /ws HTTP/1.1\r\nHost: roost.example:8080\r\n%s\r\n",
             fields);
    int fd = live_connect(&log->live->plain);
    live_send_text(fd, request);
    size_t size = 0;
    text_out[0] = '\0';
    while (!strstr(text_out, "\r\n\r\n")) {
        assert_int_equal(live_read(fd, text_out + size, 1), 1);
        text_out[++size] = '\0';
    }
    close(fd);
    return text_out;
}

static void test_pages_of_other_origins_are_refused(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(&(struct websocket_endpoint){ 0 });
    expect_starts(shake(log, SHAKE "Origin: https://evil.example\r\n"), "HTTP/1.1 403 ");
    expect_starts(shake(log, SHAKE "Origin: null\r\n"), "HTTP/1.1 403 ");
    expect_starts(shake(log, SHAKE "Origin: http://roost.example\r\n"), "HTTP/1.1 403 ");
    expect_starts(shake(log, SHAKE "Origin: http://roost.example:8080\r\n"), "HTTP/1.1 101 ");
    expect_starts(shake(log, SHAKE), "HTTP/1.1 101 ");
    assert_int_equal(live_metric(log->live, WEBSOCKET_BAD_ORIGIN), 3);
    close_live(log);
}

static enum websocket_verdict welcome_friend(struct http_exchange *exchange, struct bytes origin,
                                             void *owner)
{
    (void)exchange;
    (void)owner;
    return text_equal(origin, "https://friend.example") ? WEBSOCKET_ACCEPT : WEBSOCKET_REFUSE;
}

static void test_the_owner_may_decide_about_origins(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(&(struct websocket_endpoint){ .check = welcome_friend });
    expect_starts(shake(log, SHAKE "Origin: https://friend.example\r\n"), "HTTP/1.1 101 ");
    expect_starts(shake(log, SHAKE "Origin: http://roost.example:8080\r\n"), "HTTP/1.1 403 ");
    close_live(log);
}

static void test_bad_handshakes_are_told_what_is_spoken(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(&(struct websocket_endpoint){ 0 });
    shake(log, "");
    expect_starts(text_out, "HTTP/1.1 426 ");
    expect_has(text_out, "Upgrade: websocket\r\n");
    shake(log, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    expect_starts(text_out, "HTTP/1.1 426 ");
    expect_has(text_out, "Sec-WebSocket-Version: 13\r\n");
    assert_int_equal(log->opened, 0);
    close_live(log);
}

static void test_an_independent_client_agrees(void **state)
{
    (void)state;
    if (system("cd '" ROOST_SOURCE_DIR
               "/tests' && test -d node_modules/ws && node --version >/dev/null") != 0)
        skip(); // before "npm ci" in tests/
    struct endpoint_log *log = open_live(&(struct websocket_endpoint){ 0 });
    for (int i = 0; i < 2; i++) {
        char url[60], command[300];
        uint16_t port = i == 0 ? log->live->plain.port : log->live->secure.port;
        snprintf(url, sizeof(url), i == 0 ? "ws://127.0.0.1:%u/ws" : "wss://127.0.0.1:%u/ws", port);
        snprintf(command, sizeof(command),
                 "timeout 150 node '" ROOST_SOURCE_DIR "/tests/support/ws_echo_client.mjs' %s 2>&1",
                 url);
        FILE *pipe = popen(command, "r");
        assert_non_null(pipe);
        size_t size = fread(text_out, 1, sizeof(text_out) - 1, pipe);
        text_out[size] = '\0';
        int status = pclose(pipe);
        if (strcmp(text_out, "ok\n") != 0)
            fail_msg("the client ended with status %#x and said \"%s\"", (unsigned)status,
                     text_out);
    }
    assert_true(live_wait_metric(log->live, WEBSOCKETS, 0));
    close_live(log);
}

static void test_draining_closes_with_going_away(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(&(struct websocket_endpoint){ 0 });
    struct client *client = client_open(log, "/ws");
    log->live->drain = true;
    struct ws_event event = client_next(client);
    assert_int_equal(event.kind, WS_EVENT_CLOSED);
    assert_int_equal(event.code, 1001);
    client_close(client);
    assert_true(live_wait_metric(log->live, HTTP_CONNECTIONS, 0));
    close_live(log);
}

static void test_freeing_the_server_tells_the_owner(void **state)
{
    (void)state;
    struct endpoint_log *log = open_live(&(struct websocket_endpoint){ 0 });
    struct client *client = client_open(log, "/ws");
    live_free(log->live);
    assert_int_equal(log->closed, 1);
    assert_int_equal(log->code, 1001);
    client_close(client);
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_come_back),
        cmocka_unit_test(test_frames_sent_with_the_handshake_are_read),
        cmocka_unit_test(test_either_side_can_close),
        cmocka_unit_test(test_violations_are_counted_and_told),
        cmocka_unit_test(test_a_silent_peer_is_dropped),
        cmocka_unit_test(test_a_peer_can_be_paused),
        cmocka_unit_test(test_a_slow_peer_is_told_to_the_owner_and_drains),
        cmocka_unit_test(test_pages_of_other_origins_are_refused),
        cmocka_unit_test(test_the_owner_may_decide_about_origins),
        cmocka_unit_test(test_bad_handshakes_are_told_what_is_spoken),
        cmocka_unit_test(test_an_independent_client_agrees),
        cmocka_unit_test(test_draining_closes_with_going_away),
        cmocka_unit_test(test_freeing_the_server_tells_the_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
