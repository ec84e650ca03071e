#include "runtime/worker.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/cpu.h"

#define MAILBOX_CAPACITY 4096
#define PACKET_LIMIT     32768
#define LOG_BURST        20
#define LOG_PER_SECOND   5

struct worker_thread {
    struct worker worker;
    pthread_t thread;
    sem_t started; /**< posted when `start` has returned and `error` is set */
    int error;
    bool running; /**< the starter's: there is a thread to join */
    struct wakeup stop;
    struct loop_hook turn_end;
};

struct worker_group {
    struct worker_group_config config;
    struct worker_thread *threads;
};

static void on_message(void *owner, const struct message *message)
{
    struct worker *worker = owner;
    const struct worker_group_config *config = &worker->group->config;
    config->ops->received(worker, config->owner, message);
}

static void on_discard(void *owner, const struct message *message)
{
    struct worker *worker = owner;
    const struct worker_group_config *config = &worker->group->config;
    if (config->ops->discard)
        config->ops->discard(worker, config->owner, message);
}

static const struct mailbox_ops mailbox_ops = { .received = on_message, .discard = on_discard };

static void on_stop(struct wakeup *wakeup)
{
    struct worker_thread *thread = container_of(wakeup, struct worker_thread, stop);
    loop_stop(&thread->worker.loop);
}

static void on_turn_end(struct loop_hook *hook)
{
    struct worker_thread *thread = container_of(hook, struct worker_thread, turn_end);
    metric_value *values = thread->worker.loop.metrics.values;
    metric_set(&values[RUNTIME_PACKET_POOL_BYTES], packet_pool_bytes(&thread->worker.packets));
    metric_set(&values[RUNTIME_PACKETS_REFUSED], thread->worker.packets.exhausted);
}

static void *worker_main(void *argument)
{
    struct worker_thread *thread = argument;
    struct worker *worker = &thread->worker;
    const struct worker_group_config *config = &worker->group->config;
    pthread_setname_np(pthread_self(), worker->name);
    // a core that went offline since it was counted is no reason not to serve
    worker->pinned = config->pin && cpu_pin(worker->index) == 0;
    loop_update_now(&worker->loop);
    int error = config->ops->start(worker, config->owner);
    thread->error = error;
    sem_post(&thread->started);
    if (error < 0)
        return NULL;
    loop_run(&worker->loop);
    config->ops->stop(worker, config->owner);
    return NULL;
}

/** Everything of a worker but its thread; undone by thread_done, also when half built. */
static int thread_init(struct worker_group *group, uint32_t index)
{
    struct worker_thread *thread = &group->threads[index];
    struct worker *worker = &thread->worker;
    const struct worker_group_config *config = &group->config;
    worker->group = group;
    worker->index = index;
    snprintf(worker->name, sizeof(worker->name), "%.10s-%u", config->name, index % 10000);
    int error = loop_init(&worker->loop);
    if (error < 0)
        return error;
    log_rate_init(&worker->log_rate, LOG_BURST, LOG_PER_SECOND);
    worker->loop.log_rate = &worker->log_rate;
    entropy_init(&worker->entropy);
    packet_pool_init(&worker->packets, config->packet_limit ? config->packet_limit : PACKET_LIMIT);
    size_t capacity = config->mailbox_capacity ? config->mailbox_capacity : MAILBOX_CAPACITY;
    error = mailbox_init(&worker->mailbox, &worker->loop, capacity, &mailbox_ops, worker);
    if (error < 0)
        return error;
    loop_hook_init(&thread->turn_end, on_turn_end);
    loop_hook_add(&worker->loop, &thread->turn_end);
    return wakeup_init(&thread->stop, &worker->loop, on_stop);
}

static int thread_start(struct worker_thread *thread)
{
    sem_init(&thread->started, 0, 0);
    int error = -pthread_create(&thread->thread, NULL, worker_main, thread);
    if (error < 0)
        return error;
    thread->running = true;
    while (sem_wait(&thread->started) < 0)
        ensure(errno == EINTR);
    return thread->error;
}

int worker_group_start(const struct worker_group_config *config, struct worker_group **ret_group)
{
    ensure(config->count > 0 && config->ops && config->name);
    struct worker_group *group = memory_new(struct worker_group);
    group->config = *config;
    group->threads = memory_new_array(struct worker_thread, config->count);
    int error = 0;
    // all mailboxes before any thread: a worker may send to a later one at once
    for (uint32_t i = 0; i < config->count && error == 0; i++)
        error = thread_init(group, i);
    for (uint32_t i = 0; i < config->count && error == 0; i++)
        error = thread_start(&group->threads[i]);
    if (error < 0) {
        worker_group_stop(group);
        return error;
    }
    *ret_group = group;
    return 0;
}

struct worker_group *worker_group_stop(struct worker_group *group)
{
    if (!group)
        return NULL;
    uint32_t count = group->config.count;
    for (uint32_t i = 0; i < count; i++) {
        if (group->threads[i].running)
            wakeup_ring(&group->threads[i].stop);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (group->threads[i].running)
            pthread_join(group->threads[i].thread, NULL);
    }
    const struct worker_ops *ops = group->config.ops;
    for (uint32_t i = 0; i < count; i++) {
        if (ops->release && group->threads[i].running && group->threads[i].error == 0)
            ops->release(&group->threads[i].worker, group->config.owner);
    }
    // nobody runs: what is left in mailboxes may hold packets of any worker's pool
    for (uint32_t i = 0; i < count; i++)
        mailbox_done(&group->threads[i].worker.mailbox);
    uint32_t packets_in_use = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct worker_thread *thread = &group->threads[i];
        packets_in_use += packet_pool_done(&thread->worker.packets);
        if (thread->running)
            sem_destroy(&thread->started);
        wakeup_done(&thread->stop);
        entropy_done(&thread->worker.entropy);
        loop_done(&thread->worker.loop);
    }
    // someone forgot a packet: a leak, which is better than a pool that is gone when it comes home
    if (packets_in_use == 0)
        free(group->threads);
    free(group);
    return NULL;
}

uint32_t worker_group_count(const struct worker_group *group)
{
    return group->config.count;
}

struct worker *worker_group_get(struct worker_group *group, uint32_t index)
{
    ensure(index < group->config.count);
    return &group->threads[index].worker;
}

int worker_group_send(struct worker_group *group, uint32_t index, uint32_t type, const void *body,
                      size_t size)
{
    return mailbox_send(&worker_group_get(group, index)->mailbox, type, body, size);
}

uint32_t worker_group_broadcast(struct worker_group *group, uint32_t type, const void *body,
                                size_t size)
{
    uint32_t full = 0;
    for (uint32_t i = 0; i < group->config.count; i++) {
        if (worker_group_send(group, i, type, body, size) < 0)
            full++;
    }
    return full;
}
