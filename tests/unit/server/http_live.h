/** A real HTTP server on a thread of its own, and blocking sockets to talk to it. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/check.h"

#include "crypto/tls.h"
#include "runtime/entropy.h"
#include "runtime/loop.h"
#include "server/http_metrics.h"
#include "server/websocket.h"

struct live {
    struct loop loop;
    struct entropy entropy;
    struct http_server *server;
    struct metric_set metrics;
    struct tls_server_context *tls;
    struct net_address plain;
    struct net_address secure;
    pthread_t thread;
    _Atomic bool stop;
    _Atomic bool drain;
};

static inline struct tls_server_context *live_tls_context(struct random *random, const char *name)
{
    struct certificate_request request = { .common_name = name,
                                           .names = &name,
                                           .name_count = 1,
                                           .not_before_unix_s = time(NULL) - 3600,
                                           .not_after_unix_s = time(NULL) + 3600 };
    struct certificate *certificate;
    assert_int_equal(certificate_make(&request, random, &certificate), 0);
    static const char *const alpn[] = { "http/1.1" };
    struct tls_server_config config = { .certificate = certificate, .alpn = alpn, .alpn_count = 1 };
    struct tls_server_context *context;
    assert_int_equal(tls_server_context_new(&config, NULL, &context), 0);
    certificate_unref(certificate);
    return context;
}

/** Everything but the thread: add routes, then live_start. */
static inline struct live *live_new(const struct http_server_config *config)
{
    struct live *live = calloc(1, sizeof(*live));
    assert_int_equal(loop_init(&live->loop), 0);
    entropy_init(&live->entropy);
    struct http_server_config own = *config;
    own.loop = &live->loop;
    own.random = &live->entropy.random;
    live->server = http_server_new(&own);
    live->metrics = http_server_metrics(live->server);
    struct net_address loopback = net_address_ipv4(127, 0, 0, 1, 0);
    assert_int_equal(http_server_listen(live->server, HTTP_LISTENER_PLAIN, &loopback, &live->plain),
                     0);
    assert_int_equal(http_server_listen(live->server, HTTP_LISTENER_TLS, &loopback, &live->secure),
                     0);
    live->tls = live_tls_context(&live->entropy.random, "localhost");
    http_server_set_tls(live->server, live->tls);
    return live;
}

static void *live_run(void *argument)
{
    struct live *live = argument;
    while (!live->stop) {
        loop_turn(&live->loop, 5000);
        if (atomic_exchange(&live->drain, false))
            http_server_drain(live->server);
    }
    return NULL;
}

static inline void live_start(struct live *live)
{
    assert_int_equal(pthread_create(&live->thread, NULL, live_run, live), 0);
}

static inline void live_free(struct live *live)
{
    live->stop = true;
    pthread_join(live->thread, NULL);
    http_server_free(live->server);
    tls_server_context_unref(live->tls);
    loop_done(&live->loop);
    entropy_done(&live->entropy);
    free(live);
}

static inline uint64_t live_metric(const struct live *live, enum http_metric metric)
{
    return metric_get(&live->metrics.values[metric]);
}

static inline uint64_t live_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/** Waits for a counter of the server's thread; false after a minute: machines that run tests are
 * shared. */
static inline bool live_wait_metric(const struct live *live, enum http_metric metric,
                                    uint64_t value)
{
    uint64_t end = live_now_ms() + 60000;
    while (live_metric(live, metric) != value) {
        if (live_now_ms() > end)
            return false;
        poll(NULL, 0, 1);
    }
    return true;
}

static inline int live_connect(const struct net_address *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(address->port) };
    memcpy(&name.sin_addr, address->ip, 4);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    return fd;
}

static inline void live_send(int fd, const void *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0)
            return; // the server has closed: what it said is still to be read
        data = (const uint8_t *)data + sent;
        size -= (size_t)sent;
    }
}

static inline void live_send_text(int fd, const char *text)
{
    live_send(fd, text, strlen(text));
}

/** Reads until `size` bytes, the end, or a minute of silence. Returns the count. */
static inline size_t live_read(int fd, void *out, size_t size)
{
    size_t at = 0;
    while (at < size) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        if (poll(&wait, 1, 60000) <= 0)
            fail_msg("nothing came for a minute behind: %.*s", (int)at, (char *)out);
        ssize_t count = recv(fd, (uint8_t *)out + at, size - at, 0);
        if (count <= 0)
            break;
        at += (size_t)count;
    }
    return at;
}

/** Reads to the end of the connection as text; returns `out`. */
static inline char *live_read_all(int fd, char *out, size_t capacity)
{
    size_t size = live_read(fd, out, capacity - 1);
    out[size] = '\0';
    return out;
}

/** Sends a request, reads to the end, closes. */
static inline char *live_talk(const struct net_address *address, const char *request, char *out,
                              size_t capacity)
{
    int fd = live_connect(address);
    live_send_text(fd, request);
    live_read_all(fd, out, capacity);
    close(fd);
    return out;
}

static inline void expect_starts(const char *text, const char *prefix)
{
    if (strncmp(text, prefix, strlen(prefix)) != 0)
        fail_msg("expected \"%s\", got: %s", prefix, text);
}

static inline void expect_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected \"%s\" in: %s", part, text);
}

static inline size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}

/** Runs curl with `arguments`; its standard output goes to `out`. Returns its exit status. */
static inline int live_curl(const char *arguments, char *out, size_t capacity)
{
    char command[2000];
    snprintf(command, sizeof(command), "curl -sk --max-time 10 %s", arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t size = fread(out, 1, capacity - 1, pipe);
    out[size] = '\0';
    return WEXITSTATUS(pclose(pipe));
}
