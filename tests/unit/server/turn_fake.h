/**
 * A worker's TURN server for tests of its streams: it notes what it is given, and answers as the
 * test says. The streams' own thread is the test's.
 */
#pragma once

#include "unit/runtime/stream_link.h"

#include "proto/stun/stun.h"
#include "server/turn_host.h"
#include "server/turn_stream.h"

struct turn_worker {
    struct loop loop;
    struct log log;
    struct turn_shared shared;
    struct mailbox control;
    struct tls_server_context *tls;
    struct turn_streams *streams;
    uint32_t index;

    struct turn_source source; /**< of the last message */
    struct bytes messages[64]; /**< since the last flush: they must stay until then */
    size_t message_count;
    struct buffer log_of_messages; /**< all of them, one behind the other */
    unsigned inputs, flushes, disconnected;
    int foreign; /**< what turn_message_worker says; -ENOENT: nobody */
    void *owner; /**< the test's */
    void (*input)(struct turn_worker *turn, const struct turn_source *source, struct bytes message);
    uint64_t now_us_of_first;

    // RFC 6062
    unsigned tcp_connected, tcp_accepted, tcp_ended;
    int tcp_error;         /**< of the last tcp_connected */
    int tcp_accept_result; /**< 0: as connection 7 */
    struct net_address tcp_peer;
    size_t tcp_quota, tcp_spendable; /**< bytes between refusals; 0: no limit */
    unsigned tcp_refusals;

    unsigned closed; /**< TURN_MESSAGE_CLOSED */
    struct net_address closed_remote;
    struct turn_message_stream moved;
    unsigned moves;
};

struct loop *turn_worker_loop(struct turn_worker *turn)
{
    return &turn->loop;
}

int turn_worker_give_media_stream(struct turn_worker *turn unused,
                                  const struct media_message_stream *message unused)
{
    return -ENOTSUP;
}

struct turn_server *turn_worker_server(struct turn_worker *turn)
{
    return (struct turn_server *)(void *)turn; // what the engine's fakes below get
}

uint32_t turn_worker_index(const struct turn_worker *turn)
{
    return turn->index;
}

const struct turn_shared *turn_worker_shared(const struct turn_worker *turn)
{
    return &turn->shared;
}

struct tls_server_context *turn_worker_tls(struct turn_worker *turn)
{
    return turn->tls;
}

void turn_worker_client_input(struct turn_worker *turn, const struct turn_source *source,
                              struct turn_allocation **unused_cache unused, struct bytes message)
{
    turn->inputs++;
    turn->source = *source;
    assert_true(turn->message_count < array_size(turn->messages));
    turn->messages[turn->message_count++] = message;
    if (turn->input)
        turn->input(turn, source, message);
}

void turn_worker_flush(struct turn_worker *turn)
{
    turn->flushes++;
    for (size_t i = 0; i < turn->message_count; i++)
        assert_int_equal(buffer_append(&turn->log_of_messages, turn->messages[i]), 0);
    turn->message_count = 0;
}

int turn_message_worker(const struct turn_server *server, struct bytes unused_message unused)
{
    return ((const struct turn_worker *)(const void *)server)->foreign;
}

void turn_server_disconnected(struct turn_server *server, uint64_t unused_now unused,
                              const struct turn_source *unused_source unused)
{
    ((struct turn_worker *)(void *)server)->disconnected++;
}

void turn_server_tcp_connected(struct turn_server *server, uint64_t unused_now unused,
                               uint32_t unused_connection unused, int error)
{
    struct turn_worker *turn = (struct turn_worker *)(void *)server;
    turn->tcp_connected++;
    turn->tcp_error = error;
}

int turn_server_tcp_accepted(struct turn_server *server, uint64_t unused_now unused,
                             struct turn_relay *unused_relay unused, const struct net_address *peer,
                             uint32_t *ret_connection)
{
    struct turn_worker *turn = (struct turn_worker *)(void *)server;
    turn->tcp_accepted++;
    turn->tcp_peer = *peer;
    *ret_connection = 7;
    return turn->tcp_accept_result;
}

bool turn_server_tcp_data(struct turn_server *server, uint64_t unused_now unused,
                          uint32_t unused_connection unused, bool unused_to_peer unused,
                          size_t size)
{
    struct turn_worker *turn = (struct turn_worker *)(void *)server;
    if (turn->tcp_quota > 0 && size > turn->tcp_spendable) {
        turn->tcp_refusals++;
        turn->tcp_spendable = turn->tcp_quota; // for the next try
        return false;
    }
    turn->tcp_spendable -= min_of(size, turn->tcp_spendable);
    return true;
}

void turn_server_tcp_ended(struct turn_server *server, uint64_t unused_now unused,
                           uint32_t unused_connection unused)
{
    ((struct turn_worker *)(void *)server)->tcp_ended++;
}

static inline void fake_control(void *owner, const struct message *message)
{
    struct turn_worker *turn = owner;
    if (message->type == TURN_MESSAGE_CLOSED) {
        turn->closed++;
        turn->closed_remote = message_body(message, struct turn_message_closed)->remote;
    } else if (message->type == TURN_MESSAGE_STREAM) {
        turn->moves++;
        turn->moved = *message_body(message, struct turn_message_stream);
    }
}

static const struct mailbox_ops fake_control_ops = { .received = fake_control };

static inline uint64_t fake_metric(const struct turn_worker *turn, enum turn_stream_metric metric)
{
    return metric_get(&turn_streams_metrics(turn->streams, "").values[metric]);
}

/** A message of TURN's with an attribute that fills it to `size` bytes. */
static inline struct bytes fake_message(uint8_t *out, uint16_t type, size_t size)
{
    memset(out, 0, size);
    store_u16(out, type);
    store_u16(out + 2, (uint16_t)(size - 20));
    store_u32(out + 4, STUN_MAGIC_COOKIE);
    if (size > 20) {
        store_u16(out + 20, STUN_SOFTWARE);
        store_u16(out + 22, (uint16_t)(size - 24));
    }
    return bytes_of(out, size);
}

static inline void fake_answer(const struct turn_source *source, uint16_t type, size_t size)
{
    static uint8_t answer[70000];
    struct turn_carrier *carrier = source->carrier;
    carrier->ops->send(carrier, source, fake_message(answer, type, size));
}

/** ChannelData with `size` bytes of `fill`. */
static inline void fake_deliver(const struct turn_source *source, size_t size, uint64_t fill)
{
    static uint8_t payload[70000];
    struct turn_carrier *carrier = source->carrier;
    struct turn_deliver deliver = { .header_size = 4, .padding = (uint8_t)((4 - size % 4) % 4) };
    store_u16(deliver.header, 0x4001);
    store_u16(deliver.header + 2, (uint16_t)size);
    memset(payload, 0, size);
    store_u64(payload, fill);
    carrier->ops->deliver(carrier, &deliver, bytes_of(payload, size));
}
