/** Signals as events of a loop (signalfd). */
#pragma once

#include <signal.h>

#include "runtime/loop.h"

struct signals {
    struct loop_watch watch;
    sigset_t set;
    void (*received)(void *owner, int signal);
    void *owner;
};

/**
 * Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR1 in this thread (and so in threads it starts later:
 * call it before) and delivers them on `loop`; ignores SIGPIPE. Returns 0 or a negative errno.
 */
must_check int signals_init(struct signals *signals, struct loop *loop,
                            void (*received)(void *owner, int signal), void *owner);
/** Unblocks what init blocked. Accepts a zeroed one. */
void signals_done(struct signals *signals);
/** SIGPIPE alone: for programs without a loop. */
void signals_ignore_pipe(void);
