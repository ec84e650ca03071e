#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/sockaddr.h"
#include "runtime/stream_int.h"
#include "runtime/tcp.h"

/** Bytes read from one connection per turn. */
#define READ_TURN_MAX (64u << 10)
/** Room asked of the input buffer per read. */
#define READ_CHUNK (16u << 10)

struct tcp_stream {
    struct stream base;
    struct loop_watch watch;
    struct net_address remote;
};

static struct tcp_stream *tcp_of(struct stream *stream)
{
    return container_of(stream, struct tcp_stream, base);
}

static const struct tcp_stream *tcp_of_const(const struct stream *stream)
{
    return (const struct tcp_stream *)(const void *)stream; // `base` is the first member
}

static unsigned wanted_events(const struct tcp_stream *tcp)
{
    const struct stream *stream = &tcp->base;
    if (!stream->opened)
        return LOOP_WRITABLE;
    bool pending = buffer_size(&stream->output) > 0 && !stream->corked;
    return (stream_wants_input(stream) ? (unsigned)LOOP_READABLE : 0u) |
           (pending ? (unsigned)LOOP_WRITABLE : 0u);
}

static void tcp_update(struct stream *stream)
{
    struct tcp_stream *tcp = tcp_of(stream);
    unsigned events = stream_alive(stream) ? wanted_events(tcp) : 0;
    if (events == 0 && (!stream_alive(stream) || stream->hung_up)) {
        loop_watch_remove(&tcp->watch);
        return;
    }
    stream->hung_up = false;
    if (tcp->watch.loop) {
        loop_watch_change(&tcp->watch, events);
        return;
    }
    int error = loop_watch_add(stream->loop, &tcp->watch, events);
    if (error < 0)
        stream_die(stream, STREAM_RESET, error);
}

static size_t tcp_take(struct stream *stream, struct bytes bytes)
{
    struct tcp_stream *tcp = tcp_of(stream);
    if (bytes.size == 0)
        return 0;
    ssize_t sent = send(tcp->watch.fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            stream_die(stream, STREAM_RESET, -errno);
        return 0;
    }
    runtime_count(&stream->loop->metrics, RUNTIME_TCP_SENT_BYTES, (uint64_t)sent);
    return (size_t)sent;
}

static void tcp_end_output(struct stream *stream)
{
    (void)shutdown(tcp_of(stream)->watch.fd, SHUT_WR);
    if (stream->peer_ended)
        stream_die(stream, STREAM_ENDED, 0);
}

static size_t tcp_unsent_below(const struct stream *unused_stream unused)
{
    return 0;
}

static void count_open(struct stream *stream, bool open)
{
    metric_value *value = &stream->loop->metrics.values[RUNTIME_TCP_OPEN];
    if (open)
        metric_add(value, 1);
    else
        metric_subtract(value, 1);
}

static void tcp_detach(struct stream *stream)
{
    loop_watch_remove(&tcp_of(stream)->watch);
    count_open(stream, false);
}

static void tcp_release(struct stream *stream)
{
    struct tcp_stream *tcp = tcp_of(stream);
    if (stream->loop)
        tcp_detach(stream);
    close(tcp->watch.fd);
}

static const char *tcp_alpn(const struct stream *unused_stream unused)
{
    return "";
}

static struct net_address tcp_address(const struct stream *stream, bool ours)
{
    const struct tcp_stream *tcp = tcp_of_const(stream);
    if (!ours)
        return tcp->remote;
    struct sockaddr_storage name = { 0 };
    socklen_t size = sizeof(name);
    if (getsockname(tcp->watch.fd, (struct sockaddr *)&name, &size) < 0)
        return (struct net_address){ 0 };
    return sockaddr_read(&name);
}

static struct stream *tcp_below(const struct stream *unused_stream unused)
{
    return NULL;
}

// --- reading ---

/** Reads once. Returns whether more may be there. */
static bool read_some(struct tcp_stream *tcp, size_t *total)
{
    struct stream *stream = &tcp->base;
    size_t size = min_of((size_t)READ_CHUNK, buffer_room(&stream->input));
    uint8_t *at = buffer_reserve(&stream->input, size);
    ssize_t got = recv(tcp->watch.fd, at, size, 0);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            stream_die(stream, STREAM_RESET, -errno);
        got = 0;
    } else if (got == 0) {
        stream->peer_ended = true;
    }
    buffer_commit(&stream->input, (size_t)got);
    if (buffer_size(&stream->input) == 0)
        buffer_done(&stream->input);
    *total += (size_t)got;
    return (size_t)got == size;
}

static void read_input(struct tcp_stream *tcp)
{
    struct stream *stream = &tcp->base;
    size_t total = 0;
    while (total < READ_TURN_MAX && stream_wants_input(stream)) {
        if (stream->finishing)
            buffer_done(&stream->input);
        if (!read_some(tcp, &total))
            break;
    }
    runtime_count(&stream->loop->metrics, RUNTIME_TCP_RECEIVED_BYTES, total);
    stream_tell_input(stream, total > 0);
    if (stream_alive(stream) && stream->peer_ended && stream->output_ended)
        stream_die(stream, STREAM_ENDED, 0);
}

static int socket_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}

/** Remembered: when the connection is gone the system does not know it any more. */
static void read_remote(struct tcp_stream *tcp)
{
    struct sockaddr_storage name = { 0 };
    socklen_t size = sizeof(name);
    if (getpeername(tcp->watch.fd, (struct sockaddr *)&name, &size) == 0)
        tcp->remote = sockaddr_read(&name);
}

static void finish_connecting(struct tcp_stream *tcp)
{
    int error = socket_error(tcp->watch.fd);
    if (error < 0) {
        stream_die(&tcp->base, STREAM_RESET, error);
        return;
    }
    read_remote(tcp);
    stream_tell_opened(&tcp->base);
}

/** A hang-up while nobody reads: an error ends the stream, else it waits for the reader. */
static void hang_up(struct tcp_stream *tcp)
{
    int error = socket_error(tcp->watch.fd);
    if (error < 0)
        stream_die(&tcp->base, STREAM_RESET, error);
    tcp->base.hung_up = true;
}

static void handle_events(struct tcp_stream *tcp, unsigned events)
{
    struct stream *stream = &tcp->base;
    if (!stream->opened)
        finish_connecting(tcp);
    if (stream_wants_input(stream) && stream->opened)
        read_input(tcp);
    else if ((events & LOOP_HANGUP) && stream_alive(stream))
        hang_up(tcp);
    if (!stream_alive(stream))
        return;
    stream_flush(stream);
    stream_tell_writable(stream);
}

static void on_ready(struct loop_watch *watch, unsigned events)
{
    struct tcp_stream *tcp = container_of(watch, struct tcp_stream, watch);
    stream_enter(&tcp->base);
    handle_events(tcp, events);
    stream_leave(&tcp->base);
}

static int tcp_attach(struct stream *stream)
{
    count_open(stream, true);
    tcp_update(stream);
    return 0;
}

static const struct stream_kind tcp_kind = {
    .size = sizeof(struct tcp_stream),
    .take = tcp_take,
    .update = tcp_update,
    .end_output = tcp_end_output,
    .unsent_below = tcp_unsent_below,
    .release = tcp_release,
    .detach = tcp_detach,
    .attach = tcp_attach,
    .alpn = tcp_alpn,
    .address = tcp_address,
    .below = tcp_below,
};

// --- making ---

/** Small writes go out at once: whoever wants them together corks. */
static void set_options(int fd)
{
    sockaddr_wish(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    // how long data may stay unacknowledged before a dead peer is noticed, in milliseconds
    sockaddr_wish(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
}

static struct tcp_stream *make(struct loop *loop, int fd, const struct stream_limits *limits,
                               const struct stream_handler *handler, void *owner)
{
    struct tcp_stream *tcp = memory_new(struct tcp_stream);
    stream_init(&tcp->base, &tcp_kind, loop, limits, handler, owner);
    loop_watch_init(&tcp->watch, fd, on_ready);
    set_options(fd);
    return tcp;
}

/** Into the loop, or everything freed. */
static int begin(struct tcp_stream *tcp, struct stream **ret_stream)
{
    (void)tcp_attach(&tcp->base);
    if (!tcp->base.dead) {
        *ret_stream = &tcp->base;
        return 0;
    }
    int error = tcp->base.error;
    stream_close(&tcp->base);
    return error;
}

int tcp_stream_new(struct loop *loop, int fd, const struct stream_limits *limits,
                   const struct stream_handler *handler, void *owner, struct stream **ret_stream)
{
    struct tcp_stream *tcp = make(loop, fd, limits, handler, owner);
    tcp->base.opened = true;
    read_remote(tcp);
    return begin(tcp, ret_stream);
}

static int bind_shared(int fd, int family, const struct net_address *local)
{
    sockaddr_wish(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    sockaddr_wish(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    struct sockaddr_storage name;
    socklen_t size = sockaddr_write(local, family, &name);
    if (size == 0)
        return -EAFNOSUPPORT;
    return bind(fd, (struct sockaddr *)&name, size) < 0 ? -errno : 0;
}

int tcp_stream_connect(struct loop *loop, const struct net_address *remote,
                       const struct stream_limits *limits, const struct stream_handler *handler,
                       void *owner, struct stream **ret_stream)
{
    return tcp_stream_connect_from(loop, NULL, remote, limits, handler, owner, ret_stream);
}

int tcp_stream_connect_from(struct loop *loop, const struct net_address *local,
                            const struct net_address *remote, const struct stream_limits *limits,
                            const struct stream_handler *handler, void *owner,
                            struct stream **ret_stream)
{
    int family = remote->family == NET_IPV6 ? AF_INET6 : AF_INET;
    struct sockaddr_storage name;
    socklen_t size = sockaddr_write(remote, family, &name);
    if (size == 0)
        return -EAFNOSUPPORT;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = local ? bind_shared(fd, family, local) : 0;
    if (!error && connect(fd, (struct sockaddr *)&name, size) < 0 && errno != EINPROGRESS)
        error = -errno;
    if (error) {
        close(fd);
        return error;
    }
    struct tcp_stream *tcp = make(loop, fd, limits, handler, owner);
    tcp->remote = *remote;
    return begin(tcp, ret_stream);
}

// --- tuning ---

/** The descriptor under a stream of any kind. */
static int descriptor_of(struct stream *stream)
{
    for (struct stream *below; (below = stream->kind->below(stream));)
        stream = below;
    return tcp_of(stream)->watch.fd;
}

void tcp_stream_set_unsent_limit(struct stream *stream, uint32_t bytes)
{
    sockaddr_wish(descriptor_of(stream), IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)bytes);
}

void tcp_stream_set_keepalive(struct stream *stream, uint32_t idle_s, uint32_t interval_s)
{
    int fd = descriptor_of(stream);
    sockaddr_wish(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    sockaddr_wish(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)idle_s);
    sockaddr_wish(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)interval_s);
}
