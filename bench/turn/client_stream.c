// first: base/compiler.h has a macro "unused"
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "client_stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/memory.h"

#define STREAM_MESSAGE_MAX 2048
/** A TLS record at most. */
#define STREAM_READ_SIZE 16384

struct client_stream {
    uint32_t index;
    int fd;
    SSL *tls; /**< NULL: plain TCP */
    size_t kept;
    uint8_t rest[STREAM_MESSAGE_MAX]; /**< the begin of a message */
};

static void give_up(const char *what)
{
    fprintf(stderr, "bench_turn: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

void *client_stream_tls_new(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!tls)
        give_up("SSL_CTX_new");
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    return tls;
}

void client_stream_tls_free(void *tls)
{
    SSL_CTX_free(tls);
}

static struct sockaddr_in socket_name(uint32_t ip, uint16_t number)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(ip),
        .sin_port = htons(number),
    };
}

struct client_stream *client_stream_open(struct load *load, uint32_t index)
{
    struct client_stream *stream = memory_new(struct client_stream);
    struct sockaddr_in from = socket_name(load->options.client_ip + index, 0);
    struct sockaddr_in to = socket_name(load->options.server.ip, load->options.server.number);
    int yes = 1;
    stream->index = index;
    stream->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (stream->fd < 0 || bind(stream->fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
        connect(stream->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        give_up("connect");
    (void)setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    if (load->tls) {
        stream->tls = SSL_new(load->tls);
        if (!stream->tls || SSL_set_fd(stream->tls, stream->fd) != 1 ||
            SSL_connect(stream->tls) != 1)
            give_up("TLS handshake");
    }
    (void)!ioctl(stream->fd, FIONBIO, &yes);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = stream };
    if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, stream->fd, &event) < 0)
        give_up("epoll_ctl");
    return stream;
}

struct client_stream *client_stream_close(struct client_stream *stream)
{
    if (stream) {
        SSL_free(stream->tls);
        close(stream->fd);
        free(stream);
    }
    return NULL;
}

/** Bytes taken, or 0 when there is no room. */
static size_t write_some(struct client_stream *stream, struct bytes bytes)
{
    if (stream->tls) {
        size_t taken = 0;
        if (SSL_write_ex(stream->tls, bytes.data, bytes.size, &taken) == 1)
            return taken;
        if (SSL_get_error(stream->tls, 0) == SSL_ERROR_WANT_WRITE)
            return 0;
        give_up("SSL_write");
    }
    ssize_t taken = send(stream->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    if (taken < 0 && errno != EAGAIN)
        give_up("send");
    return taken < 0 ? 0 : (size_t)taken;
}

void client_stream_send(struct client_stream *stream, struct bytes bytes)
{
    while (bytes.size > 0) {
        size_t taken = write_some(stream, bytes);
        bytes = bytes_of(bytes.data + taken, bytes.size - taken);
        if (taken == 0) {
            struct pollfd full = { .fd = stream->fd, .events = POLLOUT };
            if (poll(&full, 1, 5000) <= 0)
                give_up("a stream that takes nothing");
        }
    }
}

/** Bytes read, 0 when there are none. */
static size_t read_some(struct client_stream *stream, uint8_t *out, size_t capacity)
{
    if (stream->tls) {
        size_t size = 0;
        if (SSL_read_ex(stream->tls, out, capacity, &size) == 1)
            return size;
        if (SSL_get_error(stream->tls, 0) == SSL_ERROR_WANT_READ)
            return 0;
        give_up("SSL_read");
    }
    ssize_t size = recv(stream->fd, out, capacity, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        give_up("recv");
    return size < 0 ? 0 : (size_t)size;
}

/** Size of the message at `data` and, behind it, of its padding; 0: more bytes are needed. */
static size_t message_size(const uint8_t *data, size_t size, size_t *ret_padding)
{
    if (size < 4)
        return 0;
    bool channel = (data[0] & 0xc0) == 0x40;
    size_t whole = load_u16(data + 2) + (channel ? 4u : 20u);
    *ret_padding = -whole & 3;
    return whole + *ret_padding <= size ? whole : 0;
}

void client_stream_receive(struct load *load, struct client_stream *stream)
{
    uint8_t bytes[STREAM_MESSAGE_MAX + STREAM_READ_SIZE];
    for (;;) {
        memcpy(bytes, stream->rest, stream->kept);
        size_t size = read_some(stream, bytes + stream->kept, STREAM_READ_SIZE);
        if (size == 0)
            return;
        size += stream->kept;
        size_t at = 0, padding = 0;
        for (size_t whole; (whole = message_size(bytes + at, size - at, &padding));
             at += whole + padding)
            load_take_message(load, stream->index, bytes_of(bytes + at, whole));
        stream->kept = size - at;
        ensure(stream->kept <= STREAM_MESSAGE_MAX);
        memcpy(stream->rest, bytes + at, stream->kept);
    }
}
