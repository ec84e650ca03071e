#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/sockaddr.h"
#include "runtime/tcp.h"

#define BACKLOG_DEFAULT 1024
#define ACCEPT_TURN_MAX 64
/** How long to leave the backlog alone when the process has no descriptors left. */
#define REST_US (100 * TIME_US_PER_MS)

struct tcp_listener {
    struct loop_watch watch;
    struct loop_timer rest;
    struct loop *loop;
    const struct tcp_listener_ops *ops;
    void *owner;
    int fd;
    int spare_fd; /**< given up for a moment to close a connection when descriptors run out */
    uint16_t port;
    bool resting;
    bool accepting; /**< inside on_ready: closing is put off */
    bool closed;
};

static void update(struct tcp_listener *listener)
{
    loop_watch_change(&listener->watch, listener->resting ? 0 : (unsigned)LOOP_READABLE);
}

static void on_rested(struct loop_timer *timer, uint64_t unused_now unused)
{
    struct tcp_listener *listener = container_of(timer, struct tcp_listener, rest);
    listener->resting = false;
    update(listener);
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/**
 * No descriptor for the next connection: it would wait unanswered. The spare one lets it be
 * accepted and closed, so that the client knows.
 */
static void shed_one(struct tcp_listener *listener)
{
    if (listener->spare_fd >= 0) {
        close(listener->spare_fd);
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        listener->spare_fd = open_spare();
    }
    runtime_count(&listener->loop->metrics, RUNTIME_TCP_NO_DESCRIPTORS, 1);
    listener->resting = true;
    update(listener);
    loop_timer_set_after(&listener->rest, REST_US);
}

/** Returns whether to go on. */
static bool accept_one(struct tcp_listener *listener)
{
    struct sockaddr_storage name = { 0 };
    socklen_t size = sizeof(name);
    int fd = accept4(listener->fd, (struct sockaddr *)&name, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        int error = errno;
        if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
            shed_one(listener);
        // errors of this one connection leave the others
        return error == ECONNABORTED || error == EINTR || error == EPROTO;
    }
    struct net_address remote = sockaddr_read(&name);
    if (listener->ops->admit && !listener->ops->admit(listener->owner, &remote)) {
        runtime_count(&listener->loop->metrics, RUNTIME_TCP_REFUSED, 1);
        close(fd);
        return true;
    }
    runtime_count(&listener->loop->metrics, RUNTIME_TCP_ACCEPTED, 1);
    listener->ops->accepted(listener->owner, fd, &remote);
    return true;
}

static void on_ready(struct loop_watch *watch, unsigned unused_events unused)
{
    struct tcp_listener *listener = container_of(watch, struct tcp_listener, watch);
    listener->accepting = true;
    for (int left = ACCEPT_TURN_MAX; left > 0 && !listener->closed; left--) {
        if (!accept_one(listener))
            break;
    }
    listener->accepting = false;
    if (listener->closed)
        free(listener);
}

static int open_and_listen(struct tcp_listener *listener, const struct tcp_listener_config *config)
{
    struct net_address address = config->bind;
    int family;
    listener->fd = sockaddr_open_socket(SOCK_STREAM, config->ipv4_only, &address, &family);
    if (listener->fd < 0)
        return listener->fd;
    sockaddr_wish(listener->fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (config->share_port)
        sockaddr_wish(listener->fd, SOL_SOCKET, SO_REUSEPORT, 1);
    struct sockaddr_storage name;
    socklen_t size = sockaddr_write(&address, family, &name);
    if (bind(listener->fd, (struct sockaddr *)&name, size) < 0 ||
        listen(listener->fd, config->backlog ? config->backlog : BACKLOG_DEFAULT) < 0)
        return -errno;
    listener->port = sockaddr_bound_port(listener->fd);
    loop_watch_init(&listener->watch, listener->fd, on_ready);
    return loop_watch_add(listener->loop, &listener->watch, LOOP_READABLE);
}

int tcp_listener_open(const struct tcp_listener_config *config, struct loop *loop,
                      const struct tcp_listener_ops *ops, void *owner,
                      struct tcp_listener **ret_listener)
{
    struct tcp_listener *listener = memory_new(struct tcp_listener);
    listener->loop = loop;
    listener->ops = ops;
    listener->owner = owner;
    listener->spare_fd = open_spare();
    loop_timer_init(&listener->rest, loop, on_rested);
    int error = open_and_listen(listener, config);
    if (error < 0) {
        tcp_listener_close(listener);
        return error;
    }
    *ret_listener = listener;
    return 0;
}

struct tcp_listener *tcp_listener_close(struct tcp_listener *listener)
{
    if (!listener)
        return NULL;
    loop_watch_remove(&listener->watch);
    loop_timer_cancel(&listener->rest);
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->spare_fd >= 0)
        close(listener->spare_fd);
    listener->closed = true;
    if (!listener->accepting)
        free(listener);
    return NULL;
}

uint16_t tcp_listener_port(const struct tcp_listener *listener)
{
    return listener->port;
}

void tcp_connection_close(int fd)
{
    close(fd);
}
