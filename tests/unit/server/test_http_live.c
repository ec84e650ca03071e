// The HTTP server as clients meet it: raw sockets that behave and misbehave, and curl.
#include "http_live.h"
#include "support/freed.h"

#include <ifaddrs.h>
#include <sys/wait.h>

#define CLOSE     "Connection: close\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n"

static char answer[1 << 20];

/** What the handlers of one test share. */
struct shop {
    struct live *live;
    _Atomic int calls;
    _Atomic handle later;
    _Atomic size_t produced;
    _Atomic int sources_done;
    _Atomic bool found_stale;
};

static void handle_echo(struct http_exchange *exchange, void *owner)
{
    struct shop *shop = owner;
    shop->calls++;
    char text[4096];
    struct text_builder out = text_builder_of(text, sizeof(text));
    text_append_format(&out, "%s name=%s", http_method_name(http_exchange_method(exchange)),
                       http_exchange_parameter(exchange, "name"));
    char query[50];
    if (http_exchange_query(exchange, "q", query, sizeof(query)) >= 0)
        text_append_format(&out, " q=%s", query);
    text_append(&out, " body=");
    text_append_bytes(&out, http_exchange_body(exchange));
    http_exchange_add_field(exchange, "X-Extra", "1");
    http_exchange_respond_text(exchange, 200, text);
}

static void handle_later(struct http_exchange *exchange, void *owner)
{
    struct shop *shop = owner;
    shop->later = http_exchange_handle(exchange);
}

/** Answers the exchange that waits. */
static void handle_release(struct http_exchange *exchange, void *owner)
{
    struct shop *shop = owner;
    struct http_exchange *waiting = http_server_find_exchange(shop->live->server, shop->later);
    shop->found_stale = !waiting;
    if (waiting)
        http_exchange_respond_text(waiting, 200, "released");
    http_exchange_respond_text(exchange, 200, "done");
}

static void handle_forgets(struct http_exchange *exchange, void *owner)
{
    (void)exchange;
    (void)owner;
}

struct endless {
    struct shop *shop;
    size_t left;
};

static long endless_read(void *source, uint8_t *out, size_t capacity)
{
    struct endless *endless = source;
    size_t size = min_of(capacity, endless->left);
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)('a' + (endless->shop->produced + i) % 26);
    endless->left -= size;
    endless->shop->produced += size;
    return (long)size;
}

static void endless_done(void *source)
{
    struct endless *endless = source;
    endless->shop->sources_done++;
    free(endless);
}

/** /stream?n=BYTES[&known=1] */
static void handle_stream(struct http_exchange *exchange, void *owner)
{
    static const struct http_source_ops ops = { endless_read, endless_done };
    struct endless *endless = calloc(1, sizeof(*endless));
    char text[20];
    endless->shop = owner;
    assert_true(http_exchange_query(exchange, "n", text, sizeof(text)) > 0);
    endless->left = strtoul(text, NULL, 10);
    bool known = http_exchange_query(exchange, "known", text, sizeof(text)) > 0;
    http_exchange_stream(exchange, 200, "text/plain", known ? endless->left : HTTP_LENGTH_UNKNOWN,
                         &ops, endless);
}

static struct shop *shop_open(const struct http_server_config *config)
{
    struct shop *shop = calloc(1, sizeof(*shop));
    shop->live = live_new(config);
    const struct http_route routes[] = {
        { .methods = HTTP_METHOD_GET | HTTP_METHOD_POST,
          .pattern = "/echo[/{name}]",
          .handle = handle_echo },
        { .methods = HTTP_METHOD_PUT,
          .pattern = "/small",
          .handle = handle_echo,
          .body_size_max = 4 },
        { .methods = HTTP_METHOD_GET, .pattern = "/later", .handle = handle_later },
        { .methods = HTTP_METHOD_GET, .pattern = "/release", .handle = handle_release },
        { .methods = HTTP_METHOD_GET, .pattern = "/forgets", .handle = handle_forgets },
        { .methods = HTTP_METHOD_GET, .pattern = "/stream", .handle = handle_stream },
        { .methods = HTTP_METHOD_POST,
          .pattern = "/open",
          .handle = handle_echo,
          .flags = HTTP_ROUTE_CORS },
        { .methods = HTTP_METHOD_GET,
          .pattern = "/acme",
          .handle = handle_echo,
          .flags = HTTP_ROUTE_PLAIN_TOO },
    };
    for (size_t i = 0; i < array_size(routes); i++) {
        struct http_route route = routes[i];
        route.owner = shop;
        assert_int_equal(http_server_add_route(shop->live->server, &route), 0);
    }
    live_start(shop->live);
    return shop;
}

static void shop_close(struct shop *shop)
{
    live_free(shop->live);
    free(shop);
}

static const struct http_server_config defaults = { 0 };

static const char *talk(struct shop *shop, const char *request)
{
    return live_talk(&shop->live->plain, request, answer, sizeof(answer));
}

static void test_requests_are_answered(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    talk(shop, GET("/echo/J%C3%BCrgen%2F1?q=a+b") CLOSE);
    expect_starts(answer, "HTTP/1.1 200 OK\r\nDate: ");
    expect_has(answer, "\r\n\r\nGET name=J\xc3\xbcrgen/1 q=a b body=");
    expect_has(answer, "X-Extra: 1\r\n");
    expect_has(answer, "Connection: close\r\n");
    expect_has(answer, "X-Content-Type-Options: nosniff\r\n");
    talk(shop, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
               "Connection: close\r\n\r\n"
               "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    expect_has(answer, "POST name= body=abcde");
    talk(shop, "HEAD /echo HTTP/1.1\r\nHost: x\r\n" CLOSE);
    expect_has(answer, "Content-Length: 16\r\n");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    talk(shop, "GET /echo HTTP/1.0\r\n\r\n");
    expect_has(answer, "Connection: close\r\n");
    talk(shop, GET("/forgets") CLOSE);
    expect_starts(answer, "HTTP/1.1 500 ");
    shop_close(shop);
}

static void test_unknown_paths_and_methods_are_explained(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    talk(shop, GET("/nowhere") CLOSE);
    expect_starts(answer, "HTTP/1.1 404 ");
    expect_has(answer, "text/html");
    expect_has(answer, "There is nothing at this address.");
    talk(shop, GET("/api/v1/nothing") CLOSE);
    expect_has(answer, "{\"error\":{\"status\":404,");
    talk(shop, "DELETE /echo HTTP/1.1\r\nHost: x\r\n" CLOSE);
    expect_starts(answer, "HTTP/1.1 405 ");
    expect_has(answer, "Allow: GET, HEAD, POST, OPTIONS\r\n");
    talk(shop, "OPTIONS /echo HTTP/1.1\r\nHost: x\r\n" CLOSE);
    expect_starts(answer, "HTTP/1.1 204 ");
    expect_has(answer, "Allow: GET, HEAD, POST, OPTIONS\r\n");
    assert_null(strstr(answer, "Access-Control"));
    talk(shop, "OPTIONS /open HTTP/1.1\r\nHost: x\r\nOrigin: https://b\r\n"
               "Access-Control-Request-Method: POST\r\n" CLOSE);
    expect_has(answer, "Access-Control-Allow-Methods: POST, OPTIONS\r\n");
    expect_has(answer, "Access-Control-Allow-Origin: *\r\n");
    talk(shop, "OPTIONS * HTTP/1.1\r\nHost: x\r\n" CLOSE);
    expect_starts(answer, "HTTP/1.1 204 ");
    shop_close(shop);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    int first = live_connect(&shop->live->plain);
    live_send_text(
        first,
        GET("/later") "\r\n" GET(
            "/echo/second") "\r\n"
                            "POST /echo/third HTTP/1.1\r\nHost: x\r\nContent-Length: "
                            "2\r\n\r\nhi" GET("/stream?n=100000") "\r\n" GET("/echo/last") CLOSE);
    while (shop->later == 0)
        poll(NULL, 0, 1);
    assert_int_equal(shop->calls, 0);
    live_talk(&shop->live->plain, GET("/release") CLOSE, answer, sizeof(answer));
    live_read_all(first, answer, sizeof(answer));
    close(first);
    const char *at = answer;
    static const char *const parts[] = { "released", "name=second", "name=third body=hi",
                                         "Transfer-Encoding", "name=last" };
    for (size_t i = 0; i < array_size(parts); i++) {
        at = strstr(at, parts[i]);
        if (!at)
            fail_msg("%s is missing", parts[i]);
    }
    assert_int_equal(count_of(answer, "HTTP/1.1 200 OK"), 5);
    shop_close(shop);
}

static void test_a_thousand_pipelined_requests_are_answered(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    size_t size = 0;
    static char request[80000];
    for (int i = 0; i < 999; i++)
        size +=
            (size_t)snprintf(request + size, sizeof(request) - size, GET("/echo/%03d") "\r\n", i);
    snprintf(request + size, sizeof(request) - size, GET("/echo/end") CLOSE);
    talk(shop, request);
    assert_int_equal(count_of(answer, "HTTP/1.1 200 OK"), 1000);
    expect_has(answer, "name=998 ");
    expect_has(answer, "name=end ");
    shop_close(shop);
}

static void test_smuggled_requests_are_not_seen(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    static const char *const attacks[] = {
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n" GET("/echo/smuggled") "\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n" GET(
            "/echo/smuggled") "\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" GET(
            "/echo/smuggled") "\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n" GET(
            "/echo/smuggled") "\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nX: y\r\n Content-Length: 40\r\n\r\n" GET(
            "/echo/smuggled") "\r\n",
        "GET /echo HTTP/1.1\nHost: x\n\n" GET("/echo/smuggled") "\r\n",
    };
    for (size_t i = 0; i < array_size(attacks); i++) {
        talk(shop, attacks[i]);
        if (strncmp(answer, "HTTP/1.1 400 ", 13) != 0 && strncmp(answer, "HTTP/1.1 501 ", 13) != 0)
            fail_msg("%zu: %s", i, answer);
        expect_has(answer, "Connection: close\r\n");
        assert_int_equal(count_of(answer, "HTTP/1.1 "), 1);
    }
    assert_int_equal(shop->calls, 0);
    assert_int_equal(live_metric(shop->live, HTTP_REFUSED_LENGTH_AND_ENCODING), 1);
    assert_int_equal(live_metric(shop->live, HTTP_REFUSED_REPEATED_LENGTH), 1);
    assert_int_equal(live_metric(shop->live, HTTP_REFUSED_BARE_LINE_FEED), 1);
    shop_close(shop);
}

static void test_huge_requests_are_refused_and_read_no_further(void **state)
{
    (void)state;
    struct http_server_config config = { .head_size_max = 2000,
                                         .request_line_size_max = 500,
                                         .body_size_max = 1000 };
    struct shop *shop = shop_open(&config);
    static char request[300000];
    memset(request, 'x', sizeof(request) - 1);
    memcpy(request, "GET /", 5);
    talk(shop, request);
    expect_starts(answer, "HTTP/1.1 414 ");
    static const char head[] = GET("/echo") "X: ";
    memcpy(request, head, sizeof(head) - 1);
    talk(shop, request);
    expect_starts(answer, "HTTP/1.1 431 ");
    talk(shop, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
    expect_starts(answer, "HTTP/1.1 413 ");
    talk(shop, "PUT /small HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    expect_starts(answer, "HTTP/1.1 413 ");
    talk(shop, "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    expect_starts(answer, "HTTP/1.1 404 ");
    assert_int_equal(shop->calls, 0);
    shop_close(shop);
}

static void test_expectations_are_met_only_where_the_body_is_wanted(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    int fd = live_connect(&shop->live->plain);
    live_send_text(
        fd,
        "PUT /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n" CLOSE);
    assert_int_equal(live_read(fd, answer, 25), 25);
    assert_memory_equal(answer, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    live_send_text(fd, "four");
    live_read_all(fd, answer, sizeof(answer));
    expect_has(answer, "PUT name= body=four");
    close(fd);
    talk(shop,
         "PUT /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    expect_starts(answer, "HTTP/1.1 413 ");
    talk(shop,
         "PUT /nowhere HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    expect_starts(answer, "HTTP/1.1 404 ");
    shop_close(shop);
}

static void test_slow_clients_are_ended(void **state)
{
    (void)state;
    struct http_server_config config = { .first_byte_timeout_us = 500000,
                                         .head_timeout_us = 200000,
                                         .body_timeout_us = 200000,
                                         .idle_timeout_us = 200000,
                                         .answer_timeout_us = 200000 };
    struct shop *shop = shop_open(&config);
    talk(shop, ""); // says nothing
    assert_string_equal(answer, "");
    assert_int_equal(live_metric(shop->live, HTTP_REJECTED_SILENT), 1);
    talk(shop, "GET /echo HTTP/1.1\r\nHost: x\r\nX-Slow");
    expect_starts(answer, "HTTP/1.1 408 ");
    assert_int_equal(live_metric(shop->live, HTTP_TIMEOUT_HEAD), 1);
    talk(shop, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfive.");
    expect_starts(answer, "HTTP/1.1 408 ");
    assert_int_equal(live_metric(shop->live, HTTP_TIMEOUT_BODY), 1);
    talk(shop, GET("/echo") "\r\n"); // then silence
    expect_starts(answer, "HTTP/1.1 200 ");
    assert_int_equal(live_metric(shop->live, HTTP_TIMEOUT_IDLE), 1);
    talk(shop, GET("/later") CLOSE);
    expect_starts(answer, "HTTP/1.1 504 ");
    shop_close(shop);
}

static void test_a_byte_now_and_then_keeps_nothing_alive(void **state)
{
    (void)state;
    struct http_server_config config = { .head_timeout_us = 300000 };
    struct shop *shop = shop_open(&config);
    int fd = live_connect(&shop->live->plain);
    uint64_t start = live_now_ms();
    live_send_text(fd, GET("/echo") "X: ");
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    while (poll(&wait, 1, 20) == 0) {
        live_send_text(fd, "y");
        assert_true(live_now_ms() - start < 60000);
    }
    live_read_all(fd, answer, sizeof(answer));
    expect_starts(answer, "HTTP/1.1 408 ");
    close(fd);
    shop_close(shop);
}

static void test_one_address_has_its_share_of_connections(void **state)
{
    (void)state;
    struct http_server_config config = { .connection_per_address_count_max = 2 };
    struct shop *shop = shop_open(&config);
    int first = live_connect(&shop->live->plain), second = live_connect(&shop->live->plain);
    assert_true(live_wait_metric(shop->live, HTTP_CONNECTIONS, 2));
    talk(shop, GET("/echo") CLOSE);
    assert_string_equal(answer, "");
    assert_int_equal(live_metric(shop->live, HTTP_REJECTED_LIMIT), 1);
    close(first);
    assert_true(live_wait_metric(shop->live, HTTP_CONNECTIONS, 1));
    talk(shop, GET("/echo") CLOSE);
    expect_starts(answer, "HTTP/1.1 200 ");
    close(second);
    shop_close(shop);
}

static void test_bodies_together_have_a_limit(void **state)
{
    (void)state;
    struct http_server_config config = { .body_memory_max = 100000 };
    struct shop *shop = shop_open(&config);
    static char part[60000];
    memset(part, 'x', sizeof(part));
    int first = live_connect(&shop->live->plain);
    live_send_text(first, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    live_send(first, part, sizeof(part));
    while (live_metric(shop->live, HTTP_BODY_BYTES) < sizeof(part))
        poll(NULL, 0, 1);
    int second = live_connect(&shop->live->plain);
    live_send_text(second, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n");
    live_send(second, part, sizeof(part));
    live_read_all(second, answer, sizeof(answer));
    expect_starts(answer, "HTTP/1.1 503 ");
    close(first);
    close(second);
    assert_true(live_wait_metric(shop->live, HTTP_BODY_BYTES, 0));
    shop_close(shop);
}

static void test_a_body_leaves_nothing_behind(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    static char rest[2000];
    memset(rest, 'x', sizeof(rest));
    if (!freed_watch("correct horse battery"))
        skip();
    // in parts, so that it stands together in the body alone, which moves when it grows
    int client = live_connect(&shop->live->plain);
    live_send_text(client,
                   "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\ncorrect ho");
    uint64_t held;
    while ((held = live_metric(shop->live, HTTP_BODY_BYTES)) == 0)
        poll(NULL, 0, 1);
    live_send_text(client, "rse battery");
    live_send(client, rest, sizeof(rest));
    while (live_metric(shop->live, HTTP_BODY_BYTES) <= held)
        poll(NULL, 0, 1);
    close(client);
    assert_true(live_wait_metric(shop->live, HTTP_BODY_BYTES, 0));
    assert_int_equal(freed_count(), 0);
    shop_close(shop);
}

/** Checks the alphabet of endless_read. */
static void expect_alphabet(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] != (char)('a' + i % 26))
            fail_msg("wrong at %zu", i);
    }
}

static void test_streams_come_whole(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    talk(shop, GET("/stream?n=900000&known=1") CLOSE);
    expect_has(answer, "Content-Length: 900000\r\n");
    const char *body = strstr(answer, "\r\n\r\n") + 4;
    assert_int_equal(strlen(body), 900000);
    expect_alphabet(body, 900000);
    shop->produced = 0;
    talk(shop, "GET /stream?n=900000 HTTP/1.0\r\n\r\n"); // no chunks for old clients
    assert_null(strstr(answer, "chunked"));
    expect_alphabet(strstr(answer, "\r\n\r\n") + 4, 900000);
    shop->produced = 0;
    char arguments[200];
    snprintf(arguments, sizeof(arguments), "'https://localhost:%u/stream?n=900000'",
             shop->live->secure.port);
    assert_int_equal(live_curl(arguments, answer, sizeof(answer)), 0);
    assert_int_equal(strlen(answer), 900000);
    expect_alphabet(answer, 900000);
    while (shop->sources_done < 3) // the last one just after the client had it all
        poll(NULL, 0, 1);
    shop_close(shop);
}

static void test_a_client_that_does_not_read_holds_little_and_is_cut(void **state)
{
    (void)state;
    struct http_server_config config = { .write_timeout_us = 300000 };
    struct shop *shop = shop_open(&config);
    int fd = live_connect(&shop->live->plain);
    live_send_text(fd, GET("/stream?n=1000000000&known=1") "\r\n");
    assert_true(live_wait_metric(shop->live, HTTP_TIMEOUT_WRITE, 1));
    assert_true(live_wait_metric(shop->live, HTTP_CONNECTIONS, 0));
    assert_int_equal(shop->sources_done, 1);
    assert_true(shop->produced < 20u << 20); // the kernel's buffers and a little of ours
    close(fd);
    shop_close(shop);
}

static void test_a_client_that_goes_leaves_a_stale_handle(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    int fd = live_connect(&shop->live->plain);
    live_send_text(fd, GET("/later") "\r\n");
    while (shop->later == 0)
        poll(NULL, 0, 1);
    struct linger reset = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    assert_true(live_wait_metric(shop->live, HTTP_CONNECTIONS, 0));
    talk(shop, GET("/release") CLOSE);
    expect_has(answer, "done");
    assert_true(shop->found_stale);
    shop_close(shop);
}

static void test_half_closed_clients_still_get_their_answer(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    int fd = live_connect(&shop->live->plain);
    live_send_text(fd, GET("/echo/one") "\r\n" GET("/echo/two") "\r\n");
    shutdown(fd, SHUT_WR);
    live_read_all(fd, answer, sizeof(answer));
    expect_has(answer, "name=one");
    expect_has(answer, "name=two");
    close(fd);
    shop_close(shop);
}

static void test_tls_port_speaks_https_and_redirects_plain(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&(struct http_server_config){ .hsts_s = 100 });
    char arguments[200];
    snprintf(arguments, sizeof(arguments), "-i --http1.1 https://localhost:%u/echo/tls",
             shop->live->secure.port);
    assert_int_equal(live_curl(arguments, answer, sizeof(answer)), 0);
    expect_starts(answer, "HTTP/1.1 200 ");
    expect_has(answer, "name=tls");
    expect_has(answer, "Strict-Transport-Security: max-age=100\r\n");
    live_talk(&shop->live->secure, "GET /echo?q=1 HTTP/1.1\r\nHost: roost.example:9\r\n" CLOSE,
              answer, sizeof(answer));
    expect_starts(answer, "HTTP/1.1 308 ");
    char location[100];
    snprintf(location, sizeof(location), "Location: https://roost.example:%u/echo?q=1\r\n",
             shop->live->secure.port);
    expect_has(answer, location);
    assert_null(strstr(answer, "Strict-Transport"));
    shop_close(shop);
}

static void test_other_protocols_are_told_apart_and_counted(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    static const struct {
        char bytes[24];
        size_t size;
        enum http_metric metric;
    } cases[] = {
        { "\x16\x03\x01\x02\x00\x01", 6, HTTP_REJECTED_TLS_ON_PLAIN },
        { "\x00\x01\x00\x00\x21\x12\xa4\x42\x00\x00\x00\x00", 12, HTTP_REJECTED_STUN },
        { "\x00\x14\x00\x01\x00\x00\x21\x12\xa4\x42", 10, HTTP_REJECTED_ICE_TCP },
        { "\x10\x10\x00\x04MQTT\x04\x02\x00\x3c", 12, HTTP_REJECTED_MQTT },
        { "<?xml version='1.0'?>", 21, HTTP_REJECTED_XMPP },
        { "OPTIONS sip:a SIP/2.0\r\n", 23, HTTP_REJECTED_SIP },
        { "\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x90", 11, HTTP_REJECTED_UNKNOWN },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        int fd = live_connect(&shop->live->plain);
        live_send(fd, cases[i].bytes, cases[i].size);
        assert_int_equal(live_read(fd, answer, 1), 0);
        close(fd);
        assert_int_equal(live_metric(shop->live, cases[i].metric), 1);
    }
    shop_close(shop);
}

/** An address of this machine that is not loopback; skips where there is none. */
static struct net_address other_address(void)
{
    struct ifaddrs *list;
    assert_int_equal(getifaddrs(&list), 0);
    struct net_address found = { 0 };
    for (struct ifaddrs *at = list; at; at = at->ifa_next) {
        if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET)
            continue;
        const struct sockaddr_in *name = (const void *)at->ifa_addr;
        const uint8_t *ip = (const void *)&name->sin_addr;
        if (ip[0] != 127)
            found = net_address_ipv4(ip[0], ip[1], ip[2], ip[3], 0);
    }
    freeifaddrs(list);
    if (found.family == NET_NONE)
        skip();
    return found;
}

static void test_plain_http_from_elsewhere_is_redirected(void **state)
{
    (void)state;
    struct net_address address = other_address();
    struct shop *shop = calloc(1, sizeof(*shop));
    shop->live = live_new(&(struct http_server_config){ .redirect_port = 443 });
    const struct http_route routes[] = {
        { .methods = HTTP_METHOD_GET, .pattern = "/echo", .handle = handle_echo, .owner = shop },
        { .methods = HTTP_METHOD_GET,
          .pattern = "/acme",
          .handle = handle_echo,
          .owner = shop,
          .flags = HTTP_ROUTE_PLAIN_TOO },
    };
    for (size_t i = 0; i < array_size(routes); i++)
        assert_int_equal(http_server_add_route(shop->live->server, &routes[i]), 0);
    assert_int_equal(
        http_server_listen(shop->live->server, HTTP_LISTENER_PLAIN, &address, &address), 0);
    live_start(shop->live);
    live_talk(&address, "GET /echo?q=%20 HTTP/1.1\r\nHost: roost.example:8080\r\n" CLOSE, answer,
              sizeof(answer));
    expect_starts(answer, "HTTP/1.1 308 ");
    expect_has(answer, "Location: https://roost.example/echo?q=%20\r\n");
    live_talk(&address, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n", answer,
              sizeof(answer));
    expect_starts(answer, "HTTP/1.1 308 ");
    assert_int_equal(shop->calls, 0);
    live_talk(&address, GET("/acme") CLOSE, answer, sizeof(answer));
    expect_starts(answer, "HTTP/1.1 200 ");
    shop_close(shop);
}

static void test_a_dual_stack_listener_knows_loopback_and_counts_each_address(void **state)
{
    (void)state;
    struct shop *shop = calloc(1, sizeof(*shop));
    shop->live = live_new(&(struct http_server_config){ .connection_per_address_count_max = 1 });
    assert_int_equal(
        http_server_add_route(shop->live->server, &(struct http_route){ .methods = HTTP_METHOD_GET,
                                                                        .pattern = "/echo",
                                                                        .handle = handle_echo,
                                                                        .owner = shop }),
        0);
    struct net_address any = { 0 };
    assert_int_equal(http_server_listen(shop->live->server, HTTP_LISTENER_PLAIN, &any, &any), 0);
    live_start(shop->live);
    struct net_address first = net_address_ipv4(127, 0, 0, 1, any.port);
    int fd = live_connect(&first);
    assert_true(live_wait_metric(shop->live, HTTP_CONNECTIONS, 1));
    // from another address of the loopback network
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };
    assert_int_equal(bind(other, (struct sockaddr *)&name, sizeof(name)), 0);
    name = (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(any.port),
                                 .sin_addr.s_addr = htonl(0x7f000001) };
    assert_int_equal(connect(other, (struct sockaddr *)&name, sizeof(name)), 0);
    live_send_text(other, GET("/echo") CLOSE);
    live_read_all(other, answer, sizeof(answer));
    expect_starts(answer, "HTTP/1.1 200 "); // loopback: served, not redirected
    close(other);
    close(fd);
    shop_close(shop);
}

static void test_a_drained_server_ends_idle_connections_and_finishes_the_others(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    int idle = live_connect(&shop->live->plain), busy = live_connect(&shop->live->plain);
    live_send_text(idle, GET("/echo") "\r\n");
    assert_true(live_read(idle, answer, 20) == 20);
    live_send_text(busy, GET("/stream?n=30000000&known=1") "\r\n");
    while (shop->produced == 0)
        poll(NULL, 0, 1);
    shop->live->drain = true;
    live_read_all(idle, answer, sizeof(answer));
    size_t total = 0, count;
    while ((count = live_read(busy, answer, sizeof(answer))) > 0)
        total += count;
    assert_true(total > 30000000);
    close(idle);
    close(busy);
    assert_true(live_wait_metric(shop->live, HTTP_CONNECTIONS, 0));
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(shop->live->plain.port) };
    memcpy(&name.sin_addr, shop->live->plain.ip, 4);
    assert_int_equal(connect(refused, (struct sockaddr *)&name, sizeof(name)), -1);
    close(refused);
    shop_close(shop);
}

static void test_freeing_a_busy_server_is_clean(void **state)
{
    (void)state;
    struct shop *shop = shop_open(&defaults);
    int first = live_connect(&shop->live->plain), second = live_connect(&shop->live->plain);
    int third = live_connect(&shop->live->secure);
    live_send_text(first, GET("/stream?n=300000000&known=1") "\r\n");
    live_send_text(second, GET("/later") "\r\n");
    while (shop->produced == 0 || shop->later == 0)
        poll(NULL, 0, 1);
    live_free(shop->live);
    assert_int_equal(shop->sources_done, 1);
    free(shop);
    close(first);
    close(second);
    close(third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_answered),
        cmocka_unit_test(test_unknown_paths_and_methods_are_explained),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_a_thousand_pipelined_requests_are_answered),
        cmocka_unit_test(test_smuggled_requests_are_not_seen),
        cmocka_unit_test(test_huge_requests_are_refused_and_read_no_further),
        cmocka_unit_test(test_expectations_are_met_only_where_the_body_is_wanted),
        cmocka_unit_test(test_slow_clients_are_ended),
        cmocka_unit_test(test_a_byte_now_and_then_keeps_nothing_alive),
        cmocka_unit_test(test_one_address_has_its_share_of_connections),
        cmocka_unit_test(test_bodies_together_have_a_limit),
        cmocka_unit_test(test_a_body_leaves_nothing_behind),
        cmocka_unit_test(test_streams_come_whole),
        cmocka_unit_test(test_a_client_that_does_not_read_holds_little_and_is_cut),
        cmocka_unit_test(test_a_client_that_goes_leaves_a_stale_handle),
        cmocka_unit_test(test_half_closed_clients_still_get_their_answer),
        cmocka_unit_test(test_tls_port_speaks_https_and_redirects_plain),
        cmocka_unit_test(test_other_protocols_are_told_apart_and_counted),
        cmocka_unit_test(test_plain_http_from_elsewhere_is_redirected),
        cmocka_unit_test(test_a_dual_stack_listener_knows_loopback_and_counts_each_address),
        cmocka_unit_test(test_a_drained_server_ends_idle_connections_and_finishes_the_others),
        cmocka_unit_test(test_freeing_a_busy_server_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
