#include "runtime/wakeup.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_ready(struct loop_watch *watch, unsigned unused_events unused)
{
    struct wakeup *wakeup = container_of(watch, struct wakeup, watch);
    eventfd_t count;
    (void)eventfd_read(wakeup->fd, &count);
    // Before looking at the queue: a producer whose exchange comes later finds false and rings
    // again; one that came earlier is read from here, so what it published is seen.
    atomic_exchange_explicit(&wakeup->pending, false, memory_order_acq_rel);
    wakeup->rung(wakeup);
}

int wakeup_init(struct wakeup *wakeup, struct loop *loop, void (*rung)(struct wakeup *wakeup))
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    wakeup->rung = rung;
    wakeup->fd = fd;
    atomic_init(&wakeup->pending, false);
    loop_watch_init(&wakeup->watch, fd, on_ready);
    int error = loop_watch_add(loop, &wakeup->watch, LOOP_READABLE);
    if (error < 0) {
        close(fd);
        wakeup->rung = NULL;
    }
    return error;
}

void wakeup_done(struct wakeup *wakeup)
{
    if (!wakeup->rung)
        return;
    loop_watch_remove(&wakeup->watch);
    close(wakeup->fd);
    wakeup->rung = NULL;
}

void wakeup_ring(struct wakeup *wakeup)
{
    if (!atomic_exchange_explicit(&wakeup->pending, true, memory_order_acq_rel))
        (void)eventfd_write(wakeup->fd, 1);
}
