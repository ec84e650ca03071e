#include "runtime/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/clock.h"
#include "runtime/loop_int.h"

#define SLOW_TURN_US 50000

int loop_init(struct loop *loop)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return -errno;
    *loop = (struct loop){ .epoll_fd = fd, .now_us = clock_now_us() };
    loop->ended_us = loop->now_us;
    list_init(&loop->tasks);
    list_init(&loop->hooks);
    return 0;
}

void loop_done(struct loop *loop)
{
    if (!loop->now_us)
        return;
    while (loop->timer_count > 0)
        loop_timer_cancel(loop->heap[0]);
    free(loop->heap);
    close(loop->epoll_fd);
    *loop = (struct loop){ .epoll_fd = -1 };
}

uint64_t loop_update_now(struct loop *loop)
{
    loop->now_us = clock_now_us();
    if (loop->log_rate)
        loop->log_rate->now_us = loop->now_us;
    return loop->now_us;
}

// --- descriptors ---

static uint32_t to_epoll(unsigned events)
{
    return ((events & LOOP_READABLE) ? (uint32_t)(EPOLLIN | EPOLLRDHUP) : 0) |
           ((events & LOOP_WRITABLE) ? (uint32_t)EPOLLOUT : 0);
}

static unsigned from_epoll(uint32_t events)
{
    return ((events & (EPOLLIN | EPOLLRDHUP)) ? LOOP_READABLE : 0u) |
           ((events & EPOLLOUT) ? LOOP_WRITABLE : 0u) |
           ((events & (EPOLLHUP | EPOLLERR)) ? LOOP_HANGUP : 0u);
}

void loop_watch_init(struct loop_watch *watch, int fd,
                     void (*ready)(struct loop_watch *watch, unsigned events))
{
    *watch = (struct loop_watch){ .ready = ready, .fd = fd };
}

static int control(struct loop *loop, int operation, struct loop_watch *watch, unsigned events)
{
    struct epoll_event event = { .events = to_epoll(events), .data.ptr = watch };
    return epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) < 0 ? -errno : 0;
}

int loop_watch_add(struct loop *loop, struct loop_watch *watch, unsigned events)
{
    ensure(!watch->loop);
    int error = control(loop, EPOLL_CTL_ADD, watch, events);
    if (error < 0)
        return error;
    watch->loop = loop;
    watch->events = events;
    return 0;
}

void loop_watch_change(struct loop_watch *watch, unsigned events)
{
    if (!watch->loop || watch->events == events)
        return;
    // fails only for a descriptor that was closed behind our back
    ensure(control(watch->loop, EPOLL_CTL_MOD, watch, events) == 0);
    watch->events = events;
}

void loop_watch_remove(struct loop_watch *watch)
{
    struct loop *loop = watch->loop;
    if (!loop)
        return;
    (void)control(loop, EPOLL_CTL_DEL, watch, 0);
    // its event may have been taken from the kernel already
    for (uint32_t i = loop->ready_at; i < loop->ready_count; i++) {
        if (loop->ready[i].watch == watch)
            loop->ready[i].watch = NULL;
    }
    watch->loop = NULL;
    watch->events = 0;
}

/** ppoll has nanoseconds on every kernel, and an epoll descriptor can be polled. */
static int wait_by_ppoll(struct loop *loop, struct epoll_event *events,
                         const struct timespec *timeout)
{
    struct pollfd poll_fd = { .fd = loop->epoll_fd, .events = POLLIN };
    if (ppoll(&poll_fd, 1, timeout, NULL) <= 0)
        return 0;
    return epoll_wait(loop->epoll_fd, events, LOOP_EVENTS_MAX, 0);
}

static int wait_events(struct loop *loop, struct epoll_event *events, uint64_t wait_us)
{
    struct timespec timeout = {
        .tv_sec = (time_t)(wait_us / TIME_US_PER_S),
        .tv_nsec = (long)(wait_us % TIME_US_PER_S * 1000),
    };
    const struct timespec *limit = wait_us == TIME_NEVER ? NULL : &timeout;
    if (!loop->no_epoll_pwait2) {
        int count = epoll_pwait2(loop->epoll_fd, events, LOOP_EVENTS_MAX, limit, NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        loop->no_epoll_pwait2 = true;
    }
    return wait_by_ppoll(loop, events, limit);
}

static void dispatch_ready(struct loop *loop)
{
    for (loop->ready_at = 0; loop->ready_at < loop->ready_count; loop->ready_at++) {
        struct loop_ready ready = loop->ready[loop->ready_at];
        if (ready.watch)
            ready.watch->ready(ready.watch, ready.events);
    }
    loop->ready_count = 0;
    loop->ready_at = 0;
}

// --- tasks and hooks ---

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task))
{
    task->run = run;
    list_init(&task->node);
}

void loop_task_defer(struct loop *loop, struct loop_task *task)
{
    if (list_empty(&task->node))
        list_append(&loop->tasks, &task->node);
}

void loop_task_cancel(struct loop_task *task)
{
    list_remove(&task->node);
}

static void run_tasks(struct loop *loop)
{
    // a marker splits off what tasks defer themselves: that is for the next turn
    struct list marker;
    list_init(&marker);
    list_append(&loop->tasks, &marker);
    while (loop->tasks.next != &marker) {
        struct loop_task *task = container_of(loop->tasks.next, struct loop_task, node);
        list_remove(&task->node);
        task->run(task);
    }
    list_remove(&marker);
}

void loop_hook_init(struct loop_hook *hook, void (*run)(struct loop_hook *hook))
{
    hook->run = run;
    list_init(&hook->node);
}

void loop_hook_add(struct loop *loop, struct loop_hook *hook)
{
    list_append(&loop->hooks, &hook->node);
}

void loop_hook_remove(struct loop_hook *hook)
{
    list_remove(&hook->node);
}

/** A marker walks the list, so that a hook may remove itself or any other. */
static void run_hooks(struct loop *loop)
{
    struct list marker;
    list_init(&marker);
    list_append(&loop->hooks, &marker);
    while (loop->hooks.next != &marker) {
        struct loop_hook *hook = container_of(loop->hooks.next, struct loop_hook, node);
        list_remove(&hook->node);
        list_append(&loop->hooks, &hook->node);
        hook->run(hook);
    }
    list_remove(&marker);
}

// --- turns ---

static uint64_t wait_time(const struct loop *loop, uint64_t wait_us)
{
    if (!list_empty(&loop->tasks))
        return 0;
    if (loop->timer_count == 0)
        return wait_us;
    // the clock may have gone on since this turn's reading, above all when the turn was long
    uint64_t now_us = clock_now_us();
    uint64_t deadline_us = loop->heap[0]->deadline_us;
    return deadline_us <= now_us ? 0 : min_of(wait_us, deadline_us - now_us);
}

void loop_turn(struct loop *loop, uint64_t wait_us)
{
    struct epoll_event events[LOOP_EVENTS_MAX];
    int count = wait_events(loop, events, wait_time(loop, wait_us));
    uint64_t started_us = loop_update_now(loop);
    loop->waited_us += started_us - loop->ended_us;
    loop->ready_count = count > 0 ? (uint32_t)count : 0;
    for (uint32_t i = 0; i < loop->ready_count; i++)
        loop->ready[i] = (struct loop_ready){ events[i].data.ptr, from_epoll(events[i].events) };
    dispatch_ready(loop);
    loop_timers_run(loop);
    run_tasks(loop);
    run_hooks(loop);
    loop->ended_us = clock_now_us();
    uint64_t busy_us = loop->ended_us - started_us;
    runtime_count(&loop->metrics, RUNTIME_LOOP_TURNS, 1);
    runtime_count(&loop->metrics, RUNTIME_LOOP_BUSY_US, busy_us);
    if (busy_us > SLOW_TURN_US)
        runtime_count(&loop->metrics, RUNTIME_LOOP_SLOW_TURNS, 1);
    metric_set(&loop->metrics.values[RUNTIME_LOOP_TIMERS], loop->timer_count);
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping)
        loop_turn(loop, TIME_NEVER);
    loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}
