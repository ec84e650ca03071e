#include "runtime/jobs.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"

#define THREADS_DEFAULT 2
#define LIMIT_DEFAULT   1024

struct jobs {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *first; /**< waiting, oldest first */
    struct job **last;
    uint32_t waiting;
    uint32_t limit;
    bool stopping;
    uint32_t thread_count;
    pthread_t threads[];
};

/** The next job, or NULL when there is none left and the pool stops. */
static struct job *next_job(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    while (!jobs->first && !jobs->stopping)
        pthread_cond_wait(&jobs->changed, &jobs->lock);
    struct job *job = jobs->first;
    if (job) {
        jobs->first = job->next;
        if (!jobs->first)
            jobs->last = &jobs->first;
        jobs->waiting--;
    }
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

static void complete(struct job *job)
{
    struct job_inbox *inbox = job->inbox;
    struct job *top = atomic_load_explicit(&inbox->completed, memory_order_relaxed);
    do {
        job->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&inbox->completed, &top, job,
                                                    memory_order_release, memory_order_relaxed));
    // Once the job is in the inbox its owner may end the inbox; the count below keeps it alive.
    wakeup_ring(&inbox->wakeup);
    atomic_fetch_sub_explicit(&inbox->in_pool, 1, memory_order_release);
}

static void *pool_main(void *argument)
{
    struct jobs *jobs = argument;
    pthread_setname_np(pthread_self(), "jobs");
    struct job *job;
    while ((job = next_job(jobs))) {
        job->work(job);
        complete(job);
    }
    return NULL;
}

int jobs_start(uint32_t threads, uint32_t limit, struct jobs **ret_jobs)
{
    if (threads == 0)
        threads = THREADS_DEFAULT;
    struct jobs *jobs = memory_allocate(1, sizeof(*jobs) + threads * sizeof(pthread_t));
    jobs->limit = limit ? limit : LIMIT_DEFAULT;
    jobs->last = &jobs->first;
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->changed, NULL);
    for (; jobs->thread_count < threads; jobs->thread_count++) {
        int error = pthread_create(&jobs->threads[jobs->thread_count], NULL, pool_main, jobs);
        if (error) {
            jobs_stop(jobs);
            return -error;
        }
    }
    *ret_jobs = jobs;
    return 0;
}

struct jobs *jobs_stop(struct jobs *jobs)
{
    if (!jobs)
        return NULL;
    pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
    for (uint32_t i = 0; i < jobs->thread_count; i++)
        pthread_join(jobs->threads[i], NULL);
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
    return NULL;
}

/** Takes all completions and turns the stack round: oldest first. */
static struct job *take_completed(struct job_inbox *inbox)
{
    struct job *job = atomic_exchange_explicit(&inbox->completed, NULL, memory_order_acquire);
    struct job *oldest = NULL;
    while (job) {
        struct job *next = job->next;
        job->next = oldest;
        oldest = job;
        job = next;
    }
    return oldest;
}

static void on_rung(struct wakeup *wakeup)
{
    struct job_inbox *inbox = container_of(wakeup, struct job_inbox, wakeup);
    struct job *job = take_completed(inbox);
    while (job) {
        struct job *next = job->next;
        inbox->outstanding--;
        runtime_count(&inbox->loop->metrics, RUNTIME_JOBS_DONE, 1);
        job->done(job);
        job = next;
    }
}

int job_inbox_init(struct job_inbox *inbox, struct loop *loop, struct jobs *jobs)
{
    *inbox = (struct job_inbox){ .loop = loop, .jobs = jobs };
    int error = wakeup_init(&inbox->wakeup, loop, on_rung);
    if (error < 0)
        inbox->loop = NULL;
    return error;
}

void job_inbox_done(struct job_inbox *inbox)
{
    if (!inbox->loop)
        return;
    while (inbox->outstanding > 0) {
        struct pollfd poll_fd = { .fd = inbox->wakeup.fd, .events = POLLIN };
        (void)poll(&poll_fd, 1, -1);
        inbox->wakeup.watch.ready(&inbox->wakeup.watch, LOOP_READABLE);
    }
    // a pool thread may still be between its push and its last touch of the inbox
    while (atomic_load_explicit(&inbox->in_pool, memory_order_acquire) > 0)
        sched_yield();
    wakeup_done(&inbox->wakeup);
    inbox->loop = NULL;
}

int job_submit(struct job_inbox *inbox, struct job *job)
{
    struct jobs *jobs = inbox->jobs;
    int error = 0;
    job->inbox = inbox;
    job->next = NULL;
    pthread_mutex_lock(&jobs->lock);
    if (jobs->waiting == jobs->limit) {
        error = -EAGAIN;
    } else {
        *jobs->last = job;
        jobs->last = &job->next;
        jobs->waiting++;
        inbox->outstanding++;
        atomic_fetch_add_explicit(&inbox->in_pool, 1, memory_order_relaxed);
        pthread_cond_signal(&jobs->changed);
    }
    pthread_mutex_unlock(&jobs->lock);
    return error;
}
