/**
 * Wakes a loop from another thread: an eventfd that is written once per burst, however many
 * threads ring. What was written to memory before the ring is seen by the handler.
 */
#pragma once

#include <stdatomic.h>

#include "runtime/loop.h"

struct wakeup {
    void (*rung)(struct wakeup *wakeup);
    struct loop_watch watch;
    int fd;
    uint8_t apart[64]; /**< keeps ringing threads off the owner's cache line */
    atomic_bool pending;
};

/** `rung` is called on the loop's thread. Returns 0 or a negative errno. */
must_check int wakeup_init(struct wakeup *wakeup, struct loop *loop,
                           void (*rung)(struct wakeup *wakeup));
/** On the loop's thread, when nobody rings any more. Accepts a zeroed one. */
void wakeup_done(struct wakeup *wakeup);
/** Any thread; lock-free; a system call only for the first ring since the handler last ran. */
void wakeup_ring(struct wakeup *wakeup);
