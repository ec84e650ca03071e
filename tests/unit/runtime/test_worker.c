// Worker threads, and a model of what a media server does with them: packets that one worker
// received are read by all, datagrams are handed to their owner. Under TSan this shows that
// workers share mailboxes, handoff rings and packets, and nothing else.
#include "unit/runtime/turns.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/handoff.h"
#include "runtime/udp.h"
#include "runtime/worker.h"

enum message_type {
    NUDGE,
    FORWARD,
    FAREWELL,
};

// --- starting and stopping ---

struct lifecycle {
    atomic_uint started, stopped, released, nudges, discarded;
    int fail_at;
};

static int on_start(struct worker *worker, void *owner)
{
    struct lifecycle *life = owner;
    if (life->fail_at == (int)worker->index)
        return -EADDRINUSE;
    // one after the other
    ensure(atomic_fetch_add(&life->started, 1) == worker->index);
    worker->state = memory_new(int);
    return 0;
}

static void on_nudge(struct worker *worker, void *owner,
                     const struct message *unused_message unused)
{
    struct lifecycle *life = owner;
    ++*(int *)worker->state;
    atomic_fetch_add(&life->nudges, 1);
}

static void on_stop(struct worker *worker, void *owner)
{
    struct lifecycle *life = owner;
    atomic_fetch_add(&life->stopped, 1);
    free(worker->state);
}

static void on_release(struct worker *unused_worker unused, void *owner)
{
    struct lifecycle *life = owner;
    ensure(atomic_load(&life->stopped) == atomic_load(&life->started));
    atomic_fetch_add(&life->released, 1);
}

static void on_discard(struct worker *unused_worker unused, void *owner,
                       const struct message *unused_message unused)
{
    struct lifecycle *life = owner;
    atomic_fetch_add(&life->discarded, 1);
}

static const struct worker_ops lifecycle_ops = {
    .start = on_start,
    .received = on_nudge,
    .stop = on_stop,
    .release = on_release,
    .discard = on_discard,
};

static void test_every_message_is_received_or_discarded_when_workers_stop(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct lifecycle life = { .fail_at = -1 };
        struct worker_group_config config = {
            .name = "worker",
            .count = 3,
            .ops = &lifecycle_ops,
            .owner = &life,
            .pin = round % 2 == 0,
            .mailbox_capacity = 16,
        };
        struct worker_group *group = NULL;
        assert_int_equal(worker_group_start(&config, &group), 0);
        assert_int_equal(atomic_load(&life.started), 3);
        assert_string_equal(worker_group_get(group, 2)->name, "worker-2");
        unsigned sent = 0;
        for (int i = 0; i < 100; i++)
            sent += 3 - worker_group_broadcast(group, NUDGE, NULL, 0);
        if (worker_group_send(group, 1, NUDGE, NULL, 0) == 0)
            sent++;
        group = worker_group_stop(group);
        assert_null(group);
        assert_int_equal(atomic_load(&life.stopped), 3);
        assert_int_equal(atomic_load(&life.released), 3);
        assert_int_equal(atomic_load(&life.nudges) + atomic_load(&life.discarded), sent);
    }
}

static void test_a_start_that_fails_stops_the_ones_that_run(void **state)
{
    (void)state;
    struct lifecycle life = { .fail_at = 2 };
    struct worker_group_config config = {
        .name = "worker",
        .count = 4,
        .ops = &lifecycle_ops,
        .owner = &life,
    };
    struct worker_group *group = NULL;
    assert_int_equal(worker_group_start(&config, &group), -EADDRINUSE);
    assert_null(group);
    assert_int_equal(atomic_load(&life.started), 2);
    assert_int_equal(atomic_load(&life.stopped), 2);
    assert_int_equal(atomic_load(&life.released), 2);
}

// --- the model of a media server ---

#define WORKERS 3
#define BURST   8
#define ROUNDS  150

struct burst {
    uint32_t from;
    struct packet *packets[BURST];
};

struct media {
    struct worker_group *group;
    uint16_t port; /**< chosen by worker 0 before the others start */
    struct handoff *handoffs[WORKERS];
    atomic_uint finished;
    atomic_ulong forwarded, handed, lost;
    atomic_uint failures; /**< what a worker saw and should not have */
};

struct media_worker {
    struct worker *worker;
    struct media *media;
    struct udp_socket *socket;
    struct handoff handoff;
    struct datagram_batch batch;
    struct loop_hook flush;
    struct loop_timer timer;
    unsigned rounds;
    uint64_t sum;
};

static bool bytes_ok(const uint8_t *data, size_t size)
{
    for (size_t i = 1; i < size; i++) {
        if (data[i] != data[0])
            return false;
    }
    return size > 0;
}

static void on_handed(void *owner, const struct udp_datagram *datagrams, size_t count)
{
    struct media_worker *self = owner;
    for (size_t i = 0; i < count; i++) {
        if (!bytes_ok(datagrams[i].data, datagrams[i].size) ||
            datagrams[i].data[0] % WORKERS != self->worker->index)
            atomic_fetch_add(&self->media->failures, 1);
    }
    atomic_fetch_add(&self->media->handed, count);
}

/** The first byte names the owner: whoever else got it hands it over. */
static void on_datagrams(void *owner, struct udp_socket *unused_socket unused,
                         const struct udp_datagram *datagrams, size_t count)
{
    struct media_worker *self = owner;
    for (size_t i = 0; i < count; i++) {
        uint32_t target = datagrams[i].data[0] % WORKERS;
        if (target == self->worker->index)
            on_handed(self, &datagrams[i], 1);
        else if (!handoff_give(self->media->handoffs[target], &datagrams[i]))
            atomic_fetch_add(&self->media->lost, 1);
    }
}

static const struct udp_ops udp_ops = { .received = on_datagrams };

static void share_burst(struct media_worker *self)
{
    struct burst burst = { .from = self->worker->index };
    size_t count = 0;
    while (count < BURST &&
           (burst.packets[count] = packet_pool_take(&self->worker->packets, PACKET_BYTES_MAX))) {
        struct packet *packet = burst.packets[count++];
        packet->size = 200;
        memset(packet->bytes, (int)self->rounds & 0xff, packet->size);
        *packet_metadata(packet, uint64_t) = self->rounds;
        packet_ref_many(packet, WORKERS); // one per worker beside our own
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (worker_group_send(self->media->group, i, FORWARD, &burst, sizeof(burst)) == 0)
            continue;
        for (size_t p = 0; p < count; p++)
            packet_unref(burst.packets[p]);
    }
    for (size_t p = 0; p < count; p++)
        packet_unref(burst.packets[p]);
}

static void on_round(struct loop_timer *timer, uint64_t now_us)
{
    struct media_worker *self = container_of(timer, struct media_worker, timer);
    share_burst(self);
    uint8_t bytes[100];
    for (uint32_t i = 0; i < 12; i++) {
        random_fill(&self->worker->entropy.random, bytes, 1);
        memset(bytes, bytes[0], sizeof(bytes));
        struct net_path path = { .remote = net_address_ipv4(127, 0, 0, 1, self->media->port) };
        datagram_batch_add(&self->batch, &path, bytes, sizeof(bytes));
    }
    if (++self->rounds < ROUNDS)
        loop_timer_set(timer, now_us + 300);
    else
        atomic_fetch_add(&self->media->finished, 1);
}

static void on_flush(struct loop_hook *hook)
{
    struct media_worker *self = container_of(hook, struct media_worker, flush);
    if (!datagram_batch_empty(&self->batch))
        udp_socket_send(self->socket, &self->batch);
}

static int media_start(struct worker *worker, void *owner)
{
    struct media *media = owner;
    struct media_worker *self = memory_new(struct media_worker);
    self->worker = worker;
    self->media = media;
    worker->state = self;
    struct udp_config config = {
        .bind.port = media->port,
        .first_of_port = worker->index == 0,
    };
    int error = udp_socket_open(&config, &worker->loop, &udp_ops, self, &self->socket);
    if (error < 0)
        return error;
    media->port = udp_socket_port(self->socket);
    error = handoff_init(&self->handoff, &worker->loop, 512, on_handed, self);
    if (error < 0)
        return error;
    media->handoffs[worker->index] = &self->handoff;
    datagram_batch_init(&self->batch, 65536, 64);
    loop_hook_init(&self->flush, on_flush);
    loop_hook_add(&worker->loop, &self->flush);
    loop_timer_init(&self->timer, &worker->loop, on_round);
    return 0;
}

static void take_burst(struct media_worker *self, const struct burst *burst, bool read)
{
    for (size_t i = 0; i < BURST && burst->packets[i]; i++) {
        struct packet *packet = burst->packets[i];
        if (read) {
            self->sum += *packet_metadata(packet, uint64_t);
            if (!bytes_ok(packet->bytes, packet->size))
                atomic_fetch_add(&self->media->failures, 1);
            atomic_fetch_add(&self->media->forwarded, 1);
        }
        packet_unref(packet);
    }
}

static void media_received(struct worker *worker, void *unused_owner unused,
                           const struct message *message)
{
    struct media_worker *self = worker->state;
    if (message->type == FORWARD)
        take_burst(self, message_body(message, struct burst), true);
    else if (message->type == NUDGE)
        loop_timer_set(&self->timer, loop_now_us(&worker->loop));
}

static void media_stop(struct worker *worker, void *unused_owner unused)
{
    struct media_worker *self = worker->state;
    udp_socket_close(self->socket);
    datagram_batch_done(&self->batch);
}

static void media_release(struct worker *worker, void *unused_owner unused)
{
    struct media_worker *self = worker->state;
    handoff_done(&self->handoff);
}

static void media_discard(struct worker *worker, void *unused_owner unused,
                          const struct message *message)
{
    if (message->type == FORWARD)
        take_burst(worker->state, message_body(message, struct burst), false);
}

static const struct worker_ops media_ops = {
    .start = media_start,
    .received = media_received,
    .stop = media_stop,
    .release = media_release,
    .discard = media_discard,
};

static uint64_t counted(struct worker_group *group, enum runtime_metric metric)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < WORKERS; i++)
        total += metric_get(&worker_group_get(group, i)->loop.metrics.values[metric]);
    return total;
}

static void test_workers_share_packets_and_hand_over_datagrams_and_nothing_else(void **state)
{
    (void)state;
    struct media media = { 0 };
    struct worker_group_config config = {
        .name = "media",
        .count = WORKERS,
        .packet_limit = 2000,
        .ops = &media_ops,
        .owner = &media,
    };
    assert_int_equal(worker_group_start(&config, &media.group), 0);
    struct media_worker *states[WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++)
        states[i] = worker_group_get(media.group, i)->state;
    assert_int_equal(worker_group_broadcast(media.group, NUDGE, NULL, 0), 0);
    uint64_t give_up_us = clock_now_us() + 60 * TIME_US_PER_S;
    while (atomic_load(&media.finished) < WORKERS ||
           atomic_load(&media.handed) + atomic_load(&media.lost) < 12ul * ROUNDS * WORKERS) {
        assert_true(clock_now_us() < give_up_us);
        sched_yield();
    }
    // metrics may be read by anyone while workers run
    assert_int_equal(counted(media.group, RUNTIME_UDP_SENT), 12 * ROUNDS * WORKERS);
    assert_true(counted(media.group, RUNTIME_HANDOFF_RECEIVED) > 0);
    assert_in_range(counted(media.group, RUNTIME_PACKET_POOL_BYTES), 1, 2400 * 2000 * WORKERS);
    media.group = worker_group_stop(media.group);
    assert_int_equal(atomic_load(&media.failures), 0);
    assert_true(atomic_load(&media.forwarded) > 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        free(states[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_is_received_or_discarded_when_workers_stop),
        cmocka_unit_test(test_a_start_that_fails_stops_the_ones_that_run),
        cmocka_unit_test(test_workers_share_packets_and_hand_over_datagrams_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
