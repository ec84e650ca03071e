// What strangers can make the server hold, and how often.
#include "http_live.h"

static void on_opened(struct websocket *socket, struct http_exchange *exchange, void *owner)
{
    (void)socket;
    (void)exchange;
    (void)owner;
}

static void on_message(struct websocket *socket, bool is_text, struct bytes data, void *owner)
{
    (void)is_text;
    (void)data;
    (void)owner;
    static char chunk[10000];
    memset(chunk, 'f', sizeof(chunk));
    while (websocket_send_binary(socket, bytes_of(chunk, sizeof(chunk))) == 0)
        ;
}

static void on_closed(struct websocket *socket, uint16_t code, struct bytes reason, void *owner)
{
    (void)socket;
    (void)code;
    (void)reason;
    (void)owner;
}

static struct live *open_live(uint64_t websocket_memory_max)
{
    struct live *live =
        live_new(&(struct http_server_config){ .websocket_memory_max = websocket_memory_max });
    struct websocket_endpoint endpoint = {
        .pattern = "/ws",
        .ops = { .opened = on_opened, .message = on_message, .closed = on_closed },
        .message_size_max = 1 << 20,
        .output_size_max = 8 << 20
    };
    assert_int_equal(http_server_add_websocket(live->server, &endpoint), 0);
    live_start(live);
    return live;
}

static int open_socket(struct live *live)
{
    int fd = live_connect(&live->plain);
    live_send_text(fd, "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\n\r\n");
    char answer[1000] = "";
    for (size_t size = 0; !strstr(answer, "\r\n\r\n"); size++)
        assert_int_equal(live_read(fd, answer + size, 1), 1);
    return fd;
}

/** Most of a message, whose end never comes. */
static void send_beginning(int fd, size_t size)
{
    static uint8_t frame[1 << 20] = { 0x82, 0xff, 0, 0, 0, 0, 0, 0x0f, 0xff, 0xff };
    for (size_t at = 0; at < 14 + size;) {
        ssize_t sent = send(fd, frame + at, 14 + size - at, MSG_NOSIGNAL);
        if (sent < 0) // cut off
            return;
        at += (size_t)sent;
    }
}

#define SOCKETS 8

static void test_unfinished_messages_share_a_budget(void **state)
{
    (void)state;
    struct live *live = open_live(1000000);
    int sockets[SOCKETS];
    for (size_t i = 0; i < SOCKETS; i++) {
        sockets[i] = open_socket(live);
        send_beginning(sockets[i], 300000);
    }
    // buffers grow by doubling: the second one is too much
    if (!live_wait_metric(live, WEBSOCKETS, 1))
        fail_msg("%d open, %d bytes", (int)live_metric(live, WEBSOCKETS),
                 (int)live_metric(live, WEBSOCKET_MEMORY));
    assert_int_equal(live_metric(live, WEBSOCKET_MEMORY_FULL), SOCKETS - 1);
    assert_in_range(live_metric(live, WEBSOCKET_MEMORY), 1, 1000000);
    // small ones are served all the same
    int fd = open_socket(live);
    live_send(fd, "\x89\x80\0\0\0\0", 6);
    char pong[2];
    assert_int_equal(live_read(fd, pong, 1), 1);
    assert_int_equal(live_read(fd, pong + 1, 1), 1);
    assert_memory_equal(pong, "\x8a\0", 2);
    close(fd);
    for (size_t i = 0; i < SOCKETS; i++)
        close(sockets[i]);
    assert_true(live_wait_metric(live, WEBSOCKETS, 0));
    assert_int_equal(live_metric(live, WEBSOCKET_MEMORY), 0);
    live_free(live);
}

static void test_what_nobody_reads_shares_it_too(void **state)
{
    (void)state;
    struct live *live = open_live(1000000);
    int sockets[SOCKETS];
    for (size_t i = 0; i < SOCKETS; i++) {
        sockets[i] = open_socket(live);
        live_send(sockets[i], "\x81\x80\0\0\0\0", 6);
    }
    assert_true(live_wait_metric(live, WEBSOCKET_TOO_SLOW, SOCKETS));
    // 10 kB each: without the budget 6700 would wait
    assert_in_range(live_metric(live, WEBSOCKET_SENT), SOCKETS, 1000);
    assert_true(live_metric(live, WEBSOCKET_MEMORY_FULL) >= 1);
    for (size_t i = 0; i < SOCKETS; i++)
        close(sockets[i]);
    assert_true(live_wait_metric(live, WEBSOCKETS, 0));
    assert_int_equal(live_metric(live, WEBSOCKET_MEMORY), 0);
    live_free(live);
}

static void test_an_address_may_not_connect_all_the_time(void **state)
{
    (void)state;
    struct live *live = live_new(&(struct http_server_config){
        .connection_per_address_rate = 5, .connection_rate_for_loopback = true });
    live_start(live);
    for (size_t i = 0; i < 60; i++)
        close(live_connect(&live->plain));
    assert_true(live_wait_metric(live, HTTP_CONNECTIONS, 0));
    while (live_metric(live, HTTP_ACCEPTED) + live_metric(live, HTTP_REJECTED_RATE) < 60)
        poll(NULL, 0, 1);
    assert_in_range(live_metric(live, HTTP_ACCEPTED), 20, 40);
    live_free(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unfinished_messages_share_a_budget),
        cmocka_unit_test(test_what_nobody_reads_shares_it_too),
        cmocka_unit_test(test_an_address_may_not_connect_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
