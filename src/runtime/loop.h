/**
 * The event loop of one thread: descriptors, timers, deferred calls. Everything here may be called
 * on the loop's own thread only; other threads reach it through mailbox.h.
 *
 * One turn: wait, read the clock once, descriptor events, timers that are due, deferred tasks, and
 * then the end-of-turn hooks (which flush outgoing batches). Each step's work is bounded, so that
 * none starves the others.
 *
 * Watches, timers, tasks and hooks are embedded in their owners; the loop allocates nothing for
 * them but the timer heap. Any of them may be removed inside any handler, its own included: a
 * removed one is never called again.
 */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "base/time.h"
#include "runtime/metrics.h"

struct loop;

enum loop_event {
    LOOP_READABLE = 1,
    LOOP_WRITABLE = 2,
    LOOP_HANGUP = 4, /**< error or hang-up; reported even when not asked for */
};

struct loop_watch {
    /** `events`: a set of enum loop_event. */
    void (*ready)(struct loop_watch *watch, unsigned events);
    struct loop *loop; /**< NULL while not watched */
    int fd;
    unsigned events;
};

/** `deadline_us` of a timer that is not armed. */
struct loop_timer {
    void (*expired)(struct loop_timer *timer, uint64_t now_us);
    struct loop *loop;
    uint64_t deadline_us; /**< TIME_NEVER while not armed */
    uint32_t place;       /**< in the heap, from 1; 0 while not armed */
    uint32_t slack_us;    /**< see loop_timer_set_lazy */
};

struct loop_task {
    void (*run)(struct loop_task *task);
    struct list node;
};

struct loop_hook {
    void (*run)(struct loop_hook *hook);
    struct list node;
};

/** Descriptor events taken from the kernel in one turn. */
#define LOOP_EVENTS_MAX 128

struct loop_ready {
    struct loop_watch *watch;
    unsigned events;
};

struct loop {
    int epoll_fd;
    bool stopping;
    bool no_epoll_pwait2; /**< the kernel is older than 5.11: ppoll on the epoll descriptor */
    uint64_t now_us;
    uint64_t ended_us;        /**< the last turn */
    uint64_t waited_us;       /**< in all turns: see loop_waited_us */
    struct loop_timer **heap; /**< 4-ary, earliest first; heap[0] is place 1 */
    uint32_t timer_count;
    uint32_t timer_capacity;
    struct list tasks;
    struct list hooks;
    struct loop_ready ready[LOOP_EVENTS_MAX];
    uint32_t ready_count;
    uint32_t ready_at;         /**< the one whose handler runs */
    struct log_rate *log_rate; /**< its clock is set every turn; NULL: none */
    struct runtime_metrics metrics;
};

/** Returns 0 or a negative errno of epoll_create1. */
must_check int loop_init(struct loop *loop);
/** Watches and timers that are left are forgotten, not called. Accepts a zeroed loop. */
void loop_done(struct loop *loop);

/** Turns until loop_stop. */
void loop_run(struct loop *loop);
/** One turn that waits at most `wait_us` (0: not at all): tests, and loops inside other loops. */
void loop_turn(struct loop *loop, uint64_t wait_us);
/** Ends loop_run after this turn. */
void loop_stop(struct loop *loop);
/** The clock as read at this turn's start. */
static inline uint64_t loop_now_us(const struct loop *loop)
{
    return loop->now_us;
}
/** Time that was spent waiting, since the start and until this turn's start. */
static inline uint64_t loop_waited_us(const struct loop *loop)
{
    return loop->waited_us;
}
/** Reads the clock again: after a call that took long. */
uint64_t loop_update_now(struct loop *loop);

/** Prepares a watch; nothing is watched yet. */
void loop_watch_init(struct loop_watch *watch, int fd,
                     void (*ready)(struct loop_watch *watch, unsigned events));
/** Starts watching for `events` (level-triggered). Returns 0 or a negative errno. */
must_check int loop_watch_add(struct loop *loop, struct loop_watch *watch, unsigned events);
/** Changes what is watched for; 0 leaves only hang-ups. Costs nothing when nothing changes. */
void loop_watch_change(struct loop_watch *watch, unsigned events);
/** Call it before the descriptor is closed. Harmless when not watched. */
void loop_watch_remove(struct loop_watch *watch);

/** Prepares a timer; it is not armed. */
void loop_timer_init(struct loop_timer *timer, struct loop *loop,
                     void (*expired)(struct loop_timer *timer, uint64_t now_us));
/**
 * Arms, or moves an armed timer. A time that has passed means this turn's or the next turn's
 * timers; TIME_NEVER disarms. Timers expire in the order of their deadlines, each once.
 */
void loop_timer_set(struct loop_timer *timer, uint64_t deadline_us);
/**
 * loop_timer_set for what need not be on time: it expires when the loop is awake anyway in the last
 * `slack_us` before `latest_us`, and wakes it up at `latest_us` only. So many such timers cost few
 * wake-ups.
 */
void loop_timer_set_lazy(struct loop_timer *timer, uint64_t latest_us, uint32_t slack_us);
/** loop_timer_set(now + delay). */
void loop_timer_set_after(struct loop_timer *timer, uint64_t delay_us);
/** Harmless when not armed. */
void loop_timer_cancel(struct loop_timer *timer);
static inline bool loop_timer_armed(const struct loop_timer *timer)
{
    return timer->place != 0;
}

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task));
/** Runs the task once, near the end of this turn (of the next one when called by a task). */
void loop_task_defer(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop_task *task);

void loop_hook_init(struct loop_hook *hook, void (*run)(struct loop_hook *hook));
/** Runs at the end of every turn, in the order of adding. */
void loop_hook_add(struct loop *loop, struct loop_hook *hook);
void loop_hook_remove(struct loop_hook *hook);
