/**
 * Hubs of several workers in one thread, with transports that take what a test lets them take:
 * what tests of data messages share.
 */
#pragma once

#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/time.h"
#include "room/data_hub.h"

#define WORKERS_MAX  3
#define SESSIONS_MAX 64
#define QUEUE_MAX    256
#define ROOM         7

/** What a session was given, oldest first. */
struct given {
    struct list node;
    uint16_t stream;
    bool text;
    struct blob *message;
};

struct client {
    struct data_peer *peer; /**< of its hub */
    uint16_t worker;
    char id[DATA_MEMBER_SIZE];
    size_t room_bytes; /**< what its transport takes before it says -EAGAIN */
    struct list given;
    size_t given_count;
    bool woken;
    uint32_t closed_count;
    uint16_t closed_stream; /**< the last that the hub closed */
    int open_error;         /**< what the transport says to a channel of the hub's; 0: it opens */
    uint32_t opened_count;
    uint16_t opened_stream; /**< the last that the hub opened */
    struct rtc_data_channel opened;
    char label[RTC_DATA_LABEL_MAX + 1]; /**< and the texts of that one */
    char protocol[RTC_DATA_LABEL_MAX + 1];
};

/** Streams of channels that the hub opens: this and those behind. */
#define OPENED_FIRST 500

struct queue {
    struct data_message messages[QUEUE_MAX];
    size_t count;
    size_t limit; /**< messages that fit */
};

struct world {
    uint16_t worker_count;
    uint64_t now_us;
    struct data_hub *hubs[WORKERS_MAX];
    struct owner {
        struct world *world;
        uint16_t worker;
    } owners[WORKERS_MAX];
    struct queue queues[WORKERS_MAX];
    struct client clients[SESSIONS_MAX]; /**< by session, from 1 */
};

static inline struct client *client_of(struct world *world, handle session)
{
    assert_true(session > 0 && session < SESSIONS_MAX);
    return &world->clients[session];
}

static inline int world_send(void *owner, unused uint64_t now_us, handle session, uint16_t stream,
                             struct blob *message, bool text)
{
    struct client *client = client_of(((struct owner *)owner)->world, session);
    assert_int_equal(client->worker, ((struct owner *)owner)->worker);
    size_t size = blob_bytes(message).size;
    if (size > RTC_DATA_MESSAGE_MAX)
        return -EMSGSIZE;
    if (size > client->room_bytes)
        return -EAGAIN;
    client->room_bytes -= size;
    struct given *given = memory_new(struct given);
    *given = (struct given){ .stream = stream, .text = text, .message = blob_ref(message) };
    list_append(&client->given, &given->node);
    client->given_count++;
    return 0;
}

static inline int world_open_channel(void *owner, unused uint64_t now_us, handle session,
                                     const struct rtc_data_channel *channel, uint16_t *ret_stream)
{
    struct client *client = client_of(((struct owner *)owner)->world, session);
    assert_int_equal(client->worker, ((struct owner *)owner)->worker);
    if (client->open_error)
        return client->open_error;
    client->opened = *channel;
    snprintf(client->label, sizeof(client->label), "%.*s", (int)channel->label.size,
             (const char *)channel->label.data);
    snprintf(client->protocol, sizeof(client->protocol), "%.*s", (int)channel->protocol.size,
             (const char *)channel->protocol.data);
    *ret_stream =
        channel->negotiated ? channel->stream : (uint16_t)(OPENED_FIRST + client->opened_count);
    client->opened_count++;
    client->opened_stream = *ret_stream;
    return 0;
}

static inline void world_close(void *owner, handle session, uint16_t stream)
{
    struct client *client = client_of(((struct owner *)owner)->world, session);
    client->closed_count++;
    client->closed_stream = stream;
}

static inline void world_wake(void *owner, handle session)
{
    client_of(((struct owner *)owner)->world, session)->woken = true;
}

static inline bool world_to_worker(void *owner, uint16_t worker, const struct data_message *message)
{
    struct world *world = ((struct owner *)owner)->world;
    assert_true(worker < world->worker_count && worker != ((struct owner *)owner)->worker);
    struct queue *queue = &world->queues[worker];
    if (queue->count >= queue->limit)
        return false;
    queue->messages[queue->count++] = *message;
    return true;
}

static const struct data_hub_ops world_ops = {
    .send = world_send,
    .open = world_open_channel,
    .close = world_close,
    .wake = world_wake,
    .to_worker = world_to_worker,
};

static inline void world_init(struct world *world, uint16_t workers)
{
    *world = (struct world){ .worker_count = workers, .now_us = TIME_US_PER_S };
    for (uint16_t i = 0; i < workers; i++) {
        world->owners[i] = (struct owner){ world, i };
        world->queues[i].limit = QUEUE_MAX;
        struct data_hub_config config = {
            .worker = i, .worker_count = workers, .ops = &world_ops, .owner = &world->owners[i]
        };
        world->hubs[i] = data_hub_new(&config);
    }
}

static inline struct data_hub *hub_of(struct world *world, handle session)
{
    return world->hubs[client_of(world, session)->worker];
}

/** Lets the workers hear what they have said to each other, until nobody says anything more. */
static inline void world_run(struct world *world)
{
    for (bool busy = true; busy;) {
        busy = false;
        for (uint16_t i = 0; i < world->worker_count; i++) {
            struct queue taken = world->queues[i];
            world->queues[i].count = 0;
            for (size_t m = 0; m < taken.count; m++)
                data_hub_message_input(world->hubs[i], world->now_us, &taken.messages[m]);
            busy |= taken.count > 0;
        }
    }
}

static inline void world_tick(struct world *world, uint64_t later_us)
{
    world->now_us += later_us;
    for (uint16_t i = 0; i < world->worker_count; i++)
        data_hub_tick(world->hubs[i], world->now_us);
    world_run(world);
}

static inline void world_add(struct world *world, handle session, uint16_t worker, uint64_t room,
                             handle other)
{
    struct client *client = client_of(world, session);
    *client = (struct client){ .worker = worker, .room_bytes = SIZE_MAX / 2 };
    list_init(&client->given);
    snprintf(client->id, sizeof(client->id), "m%u", (unsigned)session);
    struct data_member member = { .room = room, .call = other, .may_send = true };
    memcpy(member.id, client->id, sizeof(member.id));
    client->peer = data_hub_peer_add(world->hubs[worker], session, &member);
}

/** A member "m<session>" of a room, whose transport takes all there is. */
static inline void world_join(struct world *world, handle session, uint16_t worker, uint64_t room)
{
    world_add(world, session, worker, room, 0);
}

/** A side of a call. */
static inline void world_call(struct world *world, handle session, uint16_t worker, handle other)
{
    world_add(world, session, worker, 0, other);
}

static inline void world_open(struct world *world, handle session, uint16_t stream,
                              const char *label, const char *protocol, bool reliable)
{
    struct rtc_data_channel channel = {
        .ordered = true,
        .reliability = reliable ? RTC_DATA_RELIABLE : RTC_DATA_MAX_RETRANSMITS,
        .label = bytes_of_text(label),
        .protocol = bytes_of_text(protocol),
    };
    data_hub_opened(hub_of(world, session), world->now_us, session, stream, &channel);
    world_run(world);
}

static inline void world_input(struct world *world, handle session, uint16_t stream, bool text,
                               struct bytes message)
{
    data_hub_input(hub_of(world, session), world->now_us, session, stream, text, blob_new(message));
    world_run(world);
}

static inline void world_say(struct world *world, handle session, uint16_t stream, const char *text)
{
    world_input(world, session, stream, true, bytes_of_text(text));
}

/** `size` bytes that are `fill`. */
static inline void world_fill(struct world *world, handle session, uint16_t stream, size_t size,
                              uint8_t fill)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, fill, size);
    world_input(world, session, stream, false, bytes_of(bytes, size));
    free(bytes);
}

/** Sends until the hub does not read the session any more; returns how many messages went. */
static inline size_t world_flood(struct world *world, handle session, uint16_t stream, size_t size,
                                 size_t count_max)
{
    size_t count = 0;
    while (count < count_max && data_hub_reads(client_of(world, session)->peer)) {
        world_fill(world, session, stream, size, (uint8_t)count);
        count++;
    }
    return count;
}

static inline void world_leave(struct world *world, handle session)
{
    data_hub_peer_remove(hub_of(world, session), world->now_us, session);
    world_run(world);
}

/** The next message that a session was given; the caller drops the reference. */
static inline struct given take_given(struct world *world, handle session)
{
    struct client *client = client_of(world, session);
    assert_true(client->given_count > 0);
    struct given *first = container_of(client->given.next, struct given, node);
    struct given taken = *first;
    list_remove(&first->node);
    client->given_count--;
    free(first);
    return taken;
}

static inline void expect_text(struct world *world, handle session, uint16_t stream,
                               const char *text)
{
    struct given given = take_given(world, session);
    assert_int_equal(given.stream, stream);
    assert_true(given.text);
    assert_true(bytes_equal(blob_bytes(given.message), bytes_of_text(text)));
    blob_unref(given.message);
}

static inline void expect_nothing(struct world *world, handle session)
{
    assert_int_equal(client_of(world, session)->given_count, 0);
}

/** Throws away what the session was given. */
static inline void forget_given(struct world *world, handle session)
{
    while (client_of(world, session)->given_count > 0)
        blob_unref(take_given(world, session).message);
}

/** A session's transport takes `size` bytes more, and what waits for it goes on. */
static inline void world_take(struct world *world, handle session, size_t size)
{
    client_of(world, session)->room_bytes += size;
    data_hub_serve(hub_of(world, session), world->now_us, client_of(world, session)->peer);
    world_run(world);
}

static inline uint64_t world_metric(const struct world *world, enum data_metric metric)
{
    uint64_t sum = 0;
    for (uint16_t i = 0; i < world->worker_count; i++)
        sum += metric_get(&data_hub_metrics(world->hubs[i], "").values[metric]);
    return sum;
}

/** All leave; nothing may be left over in the hubs. */
static inline void world_done(struct world *world)
{
    for (handle session = 1; session < SESSIONS_MAX; session++) {
        struct client *client = client_of(world, session);
        if (!client->id[0])
            continue;
        world_leave(world, session);
        forget_given(world, session);
    }
    world_tick(world, 0);
    assert_int_equal(world_metric(world, DATA_METRIC_CHANNELS), 0);
    assert_int_equal(world_metric(world, DATA_METRIC_BACKLOG), 0);
    for (uint16_t i = 0; i < world->worker_count; i++) {
        assert_int_equal(world->queues[i].count, 0);
        world->hubs[i] = data_hub_free(world->hubs[i]);
    }
}
