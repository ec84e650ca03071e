// Who gets in: TLS or not by the first byte, limits, addresses, clients not ours.
#include "unit/runtime/stream_link.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_one_port_tells_tls_from_plain_by_the_first_byte(void **state)
{
    (void)state;
    for (int secure = 0; secure < 2; secure++) {
        struct link *link = link_new(secure);
        link->sniff = true;
        link_connect(link, &handler);
        turn_until(&link->loop, link->client.opened);
        say(&link->client, "who?");
        turn_until(&link->loop, received(&link->server) == 4);
        assert_int_equal(stream_is_secure(link->server.stream), secure);
        link_free(link);
    }
}

static void test_connections_can_be_made_from_the_address_of_a_listener(void **state)
{
    (void)state;
    struct link *link = link_new(false);
    struct tcp_listener *shared;
    struct tcp_listener_config config = { .bind = net_address_ipv4(127, 0, 0, 1, 0),
                                          .share_port = true };
    assert_int_equal(tcp_listener_open(&config, &link->loop, &listener_ops, link, &shared), 0);
    struct net_address from = net_address_ipv4(127, 0, 0, 1, tcp_listener_port(shared));
    struct net_address to = link_address(link);
    assert_int_equal(tcp_stream_connect_from(&link->loop, &from, &to, NULL, &handler, &link->client,
                                             &link->client.stream),
                     0);
    turn_until(&link->loop, link->client.opened && link->server.stream);
    struct net_address local = stream_local(link->client.stream);
    struct net_address remote = stream_remote(link->server.stream);
    assert_true(net_address_equal(&local, &from));
    assert_true(net_address_equal(&remote, &from));
    tcp_listener_close(shared);
    link_free(link);
}

static void test_tls_server_refuses_what_is_not_tls(void **state)
{
    (void)state;
    struct link *link = link_new(true);
    link_connect_plain(link, &handler);
    turn_until(&link->loop, link->client.opened);
    say(&link->client, "GET / HTTP/1.1\r\n\r\n");
    turn_until(&link->loop, link->server.closed);
    assert_int_equal(link->server.reason, STREAM_TLS_FAILED);
    assert_int_equal(link->server.opened, 0);
    assert_int_equal(metric_get(&link->loop.metrics.values[RUNTIME_TLS_FAILED]), 1);
    link_free(link);
}

static void test_tls_server_notices_a_client_that_leaves_in_the_handshake(void **state)
{
    (void)state;
    struct link *link = link_new(true);
    link_connect_plain(link, &handler);
    turn_until(&link->loop, link->server.stream && link->client.opened);
    stream_finish(link->client.stream, TIME_US_PER_S);
    turn_until(&link->loop, link->server.closed);
    assert_int_equal(link->server.reason, STREAM_TLS_FAILED);
    link_free(link);
}

static void test_connecting_where_nobody_listens_closes_with_the_reason(void **state)
{
    (void)state;
    struct link *link = link_new(false);
    struct net_address address = link_address(link);
    link->listener = tcp_listener_close(link->listener);
    assert_int_equal(tcp_stream_connect(&link->loop, &address, NULL, &handler, &link->client,
                                        &link->client.stream),
                     0);
    turn_until(&link->loop, link->client.closed);
    assert_int_equal(link->client.error, -ECONNREFUSED);
    assert_int_equal(link->client.opened, 0);
    link_free(link);
}

static void test_listener_refuses_beyond_the_limit_of_an_address(void **state)
{
    (void)state;
    struct link *link = link_new(false);
    struct net_address address = link_address(link);
    struct party parties[5] = { 0 };
    for (size_t i = 0; i < array_size(parties); i++) {
        assert_int_equal(tcp_stream_connect(&link->loop, &address, NULL, &handler, &parties[i],
                                            &parties[i].stream),
                         0);
        unsigned before = link->accepted;
        struct stream *accepted = link->server.stream;
        turn_until(&link->loop, link->accepted > before || parties[i].ended || parties[i].closed);
        assert_int_equal(link->accepted, min_of(i + 1, (size_t)3));
        if (link->server.stream != accepted)
            stream_close(accepted);
    }
    assert_int_equal(metric_get(&link->loop.metrics.values[RUNTIME_TCP_REFUSED]), 2);
    address_limit_release(&link->limit, &address);
    assert_true(address_limit_take(&link->limit, &address));
    for (size_t i = 0; i < array_size(parties); i++)
        stream_close(parties[i].stream);
    link_free(link);
}

static void test_listener_without_descriptors_closes_connections_and_recovers(void **state)
{
    (void)state;
    struct link *link = link_new(false);
    link_connect_plain(link, &handler);
    struct rlimit saved, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &saved), 0);
    int lowest = dup(0);
    close(lowest);
    none = saved;
    none.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    uint64_t shed = 0;
    for (int i = 0; i < 100 && shed == 0; i++) {
        loop_turn(&link->loop, 10000);
        shed = metric_get(&link->loop.metrics.values[RUNTIME_TCP_NO_DESCRIPTORS]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
    assert_int_equal(shed, 1);
    turn_until(&link->loop, link->client.ended || link->client.closed);
    link->client.stream = stream_close(link->client.stream);
    // after its rest it accepts again
    link->client = (struct party){ .received = link->client.received };
    link_connect(link, &handler);
    turn_until(&link->loop, link->server.stream);
    link_free(link);
}

static void test_ipv6_and_ipv4_reach_the_same_listener(void **state)
{
    (void)state;
    struct link *link = link_new(false);
    struct net_address address;
    assert_int_equal(net_address_parse_ip("::1", tcp_listener_port(link->listener), &address), 0);
    if (tcp_stream_connect(&link->loop, &address, NULL, &handler, &link->client,
                           &link->client.stream) < 0) {
        link_free(link);
        skip();
    }
    turn_until(&link->loop, link->server.stream || link->client.closed);
    if (link->client.closed) { // no IPv6 here
        link_free(link);
        skip();
    }
    assert_int_equal(stream_remote(link->server.stream).family, NET_IPV6);
    struct stream *first = link->server.stream;
    link->server.stream = NULL;
    struct party second = { 0 };
    address = link_address(link);
    assert_int_equal(
        tcp_stream_connect(&link->loop, &address, NULL, &handler, &second, &second.stream), 0);
    turn_until(&link->loop, link->server.stream);
    assert_int_equal(stream_remote(link->server.stream).family, NET_IPV4);
    stream_close(first);
    stream_close(second.stream);
    link_free(link);
}

/** Runs a command with its standard input and output connected to us. */
static pid_t spawn(const char *command, int *ret_in, int *ret_out)
{
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *ret_in = in[1];
    *ret_out = out[0];
    return pid;
}

static void test_openssl_s_client_talks_to_a_secure_stream(void **state)
{
    (void)state;
    if (system("command -v openssl >/dev/null") != 0)
        skip();
    static const char *const versions[] = { "-tls1_2", "-tls1_3" };
    for (size_t i = 0; i < array_size(versions); i++) {
        struct link *link = link_new(true);
        char command[200];
        snprintf(command, sizeof(command),
                 "exec openssl s_client -connect 127.0.0.1:%u -quiet -alpn http/1.1 "
                 "-servername localhost %s 2>/dev/null",
                 tcp_listener_port(link->listener), versions[i]);
        int in, out;
        pid_t pid = spawn(command, &in, &out);
        assert_int_equal(write(in, "to the server", 13), 13);
        turn_until(&link->loop, received(&link->server) == 13);
        assert_string_equal(stream_alpn(link->server.stream), "http/1.1");
        const struct tls_stream *tls = secure_stream_tls(link->server.stream);
        assert_string_equal(tls_stream_version(tls), i ? "TLSv1.3" : "TLSv1.2");
        say(&link->server, "to the client");
        stream_finish(link->server.stream, 5 * TIME_US_PER_S);
        char answer[64] = "";
        turn_until(&link->loop, link->server.closed);
        assert_int_equal(read(out, answer, sizeof(answer) - 1), 13);
        assert_string_equal(answer, "to the client");
        close(in);
        close(out);
        waitpid(pid, NULL, 0);
        link_free(link);
    }
}

/** Reads until `text` was in it. */
static void read_until(int fd, const char *text)
{
    char got[16384];
    size_t size = 0;
    do {
        ssize_t more = read(fd, got + size, sizeof(got) - 1 - size);
        assert_true(more > 0);
        size += (size_t)more;
        got[size] = '\0';
    } while (!strstr(got, text));
}

static void test_openssl_s_client_changes_its_keys(void **state)
{
    (void)state;
    if (system("command -v openssl >/dev/null") != 0)
        skip();
    // the last of them is left to OpenSSL's own object
    static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                          "TLS_CHACHA20_POLY1305_SHA256" };
    for (size_t i = 0; i < array_size(suites); i++) {
        struct link *link = link_new(true);
        char command[200];
        snprintf(command, sizeof(command),
                 "exec openssl s_client -connect 127.0.0.1:%u -tls1_3 -ciphersuites %s 2>&1",
                 tcp_listener_port(link->listener), suites[i]);
        int in, out;
        pid_t pid = spawn(command, &in, &out);
        turn_until(&link->loop, link->server.opened);
        say(&link->server, "before");
        read_until(out, "before");
        // with the next data: new keys of the client, and the wish for new ones of the server
        assert_int_equal(write(in, "K\n", 2), 2);
        read_until(out, "KEYUPDATE");
        assert_int_equal(write(in, "to the server", 13), 13);
        turn_until(&link->loop, received(&link->server) == 13);
        say(&link->server, "to the client");
        read_until(out, "to the client");
        stream_finish(link->server.stream, 5 * TIME_US_PER_S);
        close(in);
        turn_until(&link->loop, link->server.closed);
        close(out);
        waitpid(pid, NULL, 0);
        link_free(link);
    }
}

static void test_openssl_s_client_gets_short_records_when_it_asks(void **state)
{
    (void)state;
    if (system("command -v openssl >/dev/null") != 0)
        skip();
    struct link *link = link_new(true);
    char command[200];
    snprintf(command, sizeof(command),
             "exec openssl s_client -connect 127.0.0.1:%u -tls1_3 -quiet -maxfraglen 512 2>&1",
             tcp_listener_port(link->listener));
    int in, out;
    pid_t pid = spawn(command, &in, &out);
    turn_until(&link->loop, link->server.opened);
    char text[4001];
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text + sizeof(text) - 5, "end", 4);
    say(&link->server, text);
    stream_finish(link->server.stream, 5 * TIME_US_PER_S);
    turn_until(&link->loop, link->server.closed);
    read_until(out, "end"); // it ends a connection with a record that is too long
    close(in);
    close(out);
    waitpid(pid, NULL, 0);
    link_free(link);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_port_tells_tls_from_plain_by_the_first_byte),
        cmocka_unit_test(test_connections_can_be_made_from_the_address_of_a_listener),
        cmocka_unit_test(test_tls_server_refuses_what_is_not_tls),
        cmocka_unit_test(test_tls_server_notices_a_client_that_leaves_in_the_handshake),
        cmocka_unit_test(test_connecting_where_nobody_listens_closes_with_the_reason),
        cmocka_unit_test(test_listener_refuses_beyond_the_limit_of_an_address),
        cmocka_unit_test(test_listener_without_descriptors_closes_connections_and_recovers),
        cmocka_unit_test(test_ipv6_and_ipv4_reach_the_same_listener),
        cmocka_unit_test(test_openssl_s_client_talks_to_a_secure_stream),
        cmocka_unit_test(test_openssl_s_client_changes_its_keys),
        cmocka_unit_test(test_openssl_s_client_gets_short_records_when_it_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
