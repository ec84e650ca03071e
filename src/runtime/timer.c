// The timers of a loop: a 4-ary heap, whose four children share a cache line of pointers. Arming,
// moving and cancelling are O(log n); a timer knows its place, counted from 1.
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/loop_int.h"

#define HEAP_ARITY 4

void loop_timer_init(struct loop_timer *timer, struct loop *loop,
                     void (*expired)(struct loop_timer *timer, uint64_t now_us))
{
    *timer = (struct loop_timer){ .expired = expired, .loop = loop, .deadline_us = TIME_NEVER };
}

static void put(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
    loop->heap[index] = timer;
    timer->place = index + 1;
}

/** Moves `timer` from the hole at `index` towards the root as far as it belongs. */
static void sift_up(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / HEAP_ARITY;
        if (loop->heap[parent]->deadline_us <= timer->deadline_us)
            break;
        put(loop, index, loop->heap[parent]);
        index = parent;
    }
    put(loop, index, timer);
}

static uint32_t earliest_child(const struct loop *loop, uint32_t index)
{
    uint32_t first = index * HEAP_ARITY + 1;
    uint32_t end = min_of(first + HEAP_ARITY, loop->timer_count);
    uint32_t earliest = first;
    for (uint32_t i = first + 1; i < end; i++) {
        if (loop->heap[i]->deadline_us < loop->heap[earliest]->deadline_us)
            earliest = i;
    }
    return earliest;
}

static void sift_down(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
    while (index * HEAP_ARITY + 1 < loop->timer_count) {
        uint32_t child = earliest_child(loop, index);
        if (timer->deadline_us <= loop->heap[child]->deadline_us)
            break;
        put(loop, index, loop->heap[child]);
        index = child;
    }
    put(loop, index, timer);
}

static void insert(struct loop *loop, struct loop_timer *timer)
{
    if (loop->timer_count == loop->timer_capacity) {
        loop->timer_capacity = max_of(loop->timer_capacity * 2, 64u);
        loop->heap = memory_resize(loop->heap, loop->timer_capacity * sizeof(struct loop_timer *));
    }
    sift_up(loop, loop->timer_count++, timer);
}

/** Puts `timer`, whose deadline changed, from its place to where it belongs. */
static void move(struct loop *loop, struct loop_timer *timer, uint64_t old_deadline_us)
{
    if (timer->deadline_us < old_deadline_us)
        sift_up(loop, timer->place - 1, timer);
    else
        sift_down(loop, timer->place - 1, timer);
}

void loop_timer_cancel(struct loop_timer *timer)
{
    if (!loop_timer_armed(timer))
        return;
    struct loop *loop = timer->loop;
    uint32_t index = timer->place - 1;
    uint64_t old_deadline_us = timer->deadline_us;
    timer->place = 0;
    timer->deadline_us = TIME_NEVER;
    struct loop_timer *last = loop->heap[--loop->timer_count];
    if (last == timer)
        return;
    put(loop, index, last);
    move(loop, last, old_deadline_us);
}

static void set(struct loop_timer *timer, uint64_t deadline_us)
{
    if (deadline_us == TIME_NEVER) {
        loop_timer_cancel(timer);
        return;
    }
    uint64_t old_deadline_us = timer->deadline_us;
    timer->deadline_us = deadline_us;
    if (!loop_timer_armed(timer))
        insert(timer->loop, timer);
    else if (deadline_us != old_deadline_us)
        move(timer->loop, timer, old_deadline_us);
}

void loop_timer_set(struct loop_timer *timer, uint64_t deadline_us)
{
    timer->slack_us = 0;
    set(timer, deadline_us);
}

void loop_timer_set_lazy(struct loop_timer *timer, uint64_t latest_us, uint32_t slack_us)
{
    timer->slack_us = slack_us;
    set(timer, latest_us);
}

/** Whether the earliest timer may expire. */
static bool is_due(const struct loop *loop)
{
    const struct loop_timer *timer = loop->heap[0];
    return timer->deadline_us <= loop->now_us ||
           timer->deadline_us - loop->now_us <= timer->slack_us;
}

void loop_timer_set_after(struct loop_timer *timer, uint64_t delay_us)
{
    loop_timer_set(timer, delay_us >= TIME_NEVER - timer->loop->now_us
                              ? TIME_NEVER
                              : timer->loop->now_us + delay_us);
}

void loop_timers_run(struct loop *loop)
{
    // no more than there are now: one that arms itself for a time that has passed waits a turn
    uint32_t left = loop->timer_count;
    while (left-- > 0 && loop->timer_count > 0 && is_due(loop)) {
        struct loop_timer *timer = loop->heap[0];
        loop_timer_cancel(timer);
        timer->expired(timer, loop->now_us);
    }
}
