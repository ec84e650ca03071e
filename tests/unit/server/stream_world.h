/** Streams of a fake TURN server, and one client that connects for real. */
#pragma once

#include "unit/server/turn_fake.h"

#include <errno.h>

struct world {
    struct turn_worker turn; // first
    struct link contexts;
    struct tcp_listener *listener;
    struct party client;
    bool secure;
    bool proxy;
    bool limited;
};

static inline void world_accepted(void *owner, int fd, const struct net_address *remote)
{
    struct world *world = owner;
    struct turn_message_connection message = {
        .fd = fd,
        .origin = { .remote = *remote, .limited = world->limited, .proxy = world->proxy },
    };
    turn_streams_connection(world->turn.streams, &message);
}

static inline struct world *world_new(void **state)
{
    static const struct tcp_listener_ops ops = { .accepted = world_accepted };
    struct world *world = memory_new(struct world);
    struct turn_worker *turn = &world->turn;
    world->secure = *state != NULL;
    world->limited = true;
    assert_int_equal(loop_init(&turn->loop), 0);
    assert_int_equal(mailbox_init(&turn->control, &turn->loop, 4, &fake_control_ops, turn), 0);
    turn->shared.control = &turn->control;
    turn->foreign = -ENOENT;
    make_contexts(&world->contexts);
    turn->tls = world->contexts.server_context;
    buffer_init(&turn->log_of_messages, 16 << 20);
    buffer_init(&world->client.received, 64 << 20);
    turn->streams = turn_streams_new(turn, &(struct turn_stream_options){ 0 });
    struct tcp_listener_config config = { .bind = net_address_ipv4(127, 0, 0, 1, 0) };
    assert_int_equal(tcp_listener_open(&config, &turn->loop, &ops, world, &world->listener), 0);
    return world;
}

static inline void world_free(struct world *world)
{
    stream_close(world->client.stream);
    tcp_listener_close(world->listener);
    turn_streams_free(world->turn.streams);
    mailbox_done(&world->turn.control);
    buffer_done(&world->turn.log_of_messages);
    buffer_done(&world->client.received);
    tls_server_context_unref(world->contexts.server_context);
    tls_client_context_unref(world->contexts.client_context);
    assert_int_equal(metric_get(&world->turn.loop.metrics.values[RUNTIME_TCP_OPEN]), 0);
    loop_done(&world->turn.loop);
    free(world);
}

static inline void dial(struct world *world)
{
    struct party *client = &world->client;
    struct loop *loop = &world->turn.loop;
    struct net_address address = net_address_ipv4(127, 0, 0, 1, tcp_listener_port(world->listener));
    assert_int_equal(tcp_stream_connect(loop, &address, NULL, &handler, client, &client->stream),
                     0);
}

static inline void begin_client_tls(struct world *world)
{
    struct party *client = &world->client;
    client->stream = secure_stream_new_client(client->stream, world->contexts.client_context,
                                              "localhost", NULL, &handler, client);
}

static inline void connect_client(struct world *world)
{
    dial(world);
    if (world->secure)
        begin_client_tls(world);
    turn_until(&world->turn.loop, world->client.opened && turn_streams_count(world->turn.streams));
}

static inline void client_sends(struct world *world, struct bytes bytes)
{
    assert_int_equal(stream_write(world->client.stream, bytes), 0);
}

static inline void client_sends_message(struct world *world, uint16_t type, size_t size)
{
    static uint8_t message[70000];
    client_sends(world, fake_message(message, type, size));
}

static inline void allocates(struct turn_worker *turn unused, const struct turn_source *source,
                             struct bytes message)
{
    if (load_u16(message.data) == STUN_ALLOCATE)
        fake_answer(source, 0x0103, 80);
}

/** A client with an allocation. */
static inline struct world *world_with_client(void **state)
{
    struct world *world = world_new(state);
    world->turn.input = allocates;
    connect_client(world);
    client_sends_message(world, STUN_ALLOCATE, 40);
    turn_until(&world->turn.loop, received(&world->client) == 80);
    buffer_consume(&world->client.received, 80);
    return world;
}

#define turns(world, condition) turn_until(&(world)->turn.loop, condition)
