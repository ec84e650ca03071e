/**
 * A small pool of threads for what blocks: files, DNS. A job is embedded in its owner; `work` runs
 * on a pool thread and touches nothing but the job's own memory, `done` runs later on the thread
 * that submitted. A submitted job is always completed: do not free it before `done`.
 */
#pragma once

#include <stdatomic.h>

#include "runtime/wakeup.h"

struct jobs;
struct job_inbox;

struct job {
    /** On a pool thread. May block. Store the outcome in the owner. */
    void (*work)(struct job *job);
    /** On the submitting loop's thread. May free the job or submit it again. */
    void (*done)(struct job *job);
    struct job *next;
    struct job_inbox *inbox;
};

/** One per loop that submits: where completions arrive. */
struct job_inbox {
    struct wakeup wakeup;
    struct loop *loop;
    struct jobs *jobs;
    uint32_t outstanding; /**< submitted and not done */
    uint8_t apart[64];    /**< keeps pool threads off the owner's cache line */
    _Atomic(struct job *) completed;
    _Atomic uint32_t in_pool; /**< jobs that a pool thread has or will have */
};

/** `threads` of 0: 2. At most `limit` jobs wait (0: 1024). Returns 0 or a negative errno. */
must_check int jobs_start(uint32_t threads, uint32_t limit, struct jobs **ret_jobs);
/** Finishes what waits, then ends the threads; inboxes must be done before. Accepts NULL. */
struct jobs *jobs_stop(struct jobs *jobs);

must_check int job_inbox_init(struct job_inbox *inbox, struct loop *loop, struct jobs *jobs);
/** Waits for outstanding jobs and delivers their `done`. Accepts a zeroed inbox. */
void job_inbox_done(struct job_inbox *inbox);
/** Returns 0, or -EAGAIN when the pool has its limit of waiting jobs (nothing will be called). */
must_check int job_submit(struct job_inbox *inbox, struct job *job);
