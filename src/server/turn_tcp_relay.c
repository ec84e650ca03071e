#include "server/turn_tcp_relay.h"

#include <errno.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"
#include "runtime/tcp.h"
#include "server/turn_stream_int.h"

/** Connections of peers that wait to be accepted, of one allocation. */
#define BACKLOG 16

/** What is forwarded at once, and asked of the quota for bandwidth. */
#define PIECE_BYTES (8u << 10)
/** How soon a connection whose user has used up its bandwidth goes on. */
#define BANDWIDTH_WAIT_US (20 * TIME_US_PER_MS)

/** At each side of a pipe: what is read and not forwarded, and what is written and not sent. */
static const struct stream_limits pipe_limits = {
    .input_bytes = 64u << 10,
    .output_bytes = 256u << 10,
    .high_water_bytes = 64u << 10,
};

/** The listener of one relayed address: turn_relay.socket. */
struct turn_tcp_relay {
    struct turn_tcp_relays *relays;
    struct turn_relay *relay;
    struct tcp_listener *listener;
    struct list node;
    struct list connections;
};

/** One side of a connection. */
struct end {
    struct stream *stream;
    bool ended;        /**< it sends no more */
    bool output_ended; /**< and gets no more */
    bool closed;       /**< both, and the stream is dead; its input may still hold bytes */
};

struct turn_tcp_connection {
    struct turn_tcp_relays *relays;
    struct loop_timer timer; /**< goes on when there is bandwidth again */
    struct list node;        /**< of its relay */
    uint32_t id;
    bool outgoing;
    struct end peer;
    struct end data;            /**< the client's; stream NULL until bytes flow */
    struct turn_stream *client; /**< NULL until it is bound */
};

struct turn_tcp_relays {
    struct turn_worker *turn;
    struct turn_streams *streams;
    struct map connections; /**< by id */
    struct list all;
};

static void may_go_on(struct loop_timer *timer, uint64_t now_us);

static uint64_t now_of(const struct turn_tcp_relays *relays)
{
    return loop_now_us(turn_worker_loop(relays->turn));
}

// --- life of a connection ---

static struct bytes key_of(const uint32_t *id)
{
    return bytes_of(id, sizeof(*id));
}

static struct turn_tcp_connection *connection_find(const struct turn_tcp_relays *relays,
                                                   uint32_t id)
{
    return map_find(&relays->connections, key_of(&id));
}

static struct turn_tcp_connection *connection_new(struct turn_tcp_relay *relay, uint32_t id)
{
    struct turn_tcp_relays *relays = relay->relays;
    struct turn_tcp_connection *connection = memory_new(struct turn_tcp_connection);
    connection->relays = relays;
    connection->id = id;
    loop_timer_init(&connection->timer, turn_worker_loop(relays->turn), may_go_on);
    list_init(&connection->node);
    list_append(&relay->connections, &connection->node);
    map_set(&relays->connections, key_of(&id), connection);
    metric_add(&relays->streams->metrics[TURN_STREAM_RELAY_OPEN], 1);
    return connection;
}

/** The client's stream is a turn_stream's again. */
static struct turn_stream *give_back_client(struct turn_tcp_connection *connection)
{
    struct turn_stream *client = connection->client;
    connection->client = NULL;
    if (client) {
        client->pipe = NULL;
        stream_set_handler(client->stream, &turn_stream_handler, client);
    }
    return client;
}

static void end_client(struct turn_tcp_connection *connection)
{
    struct turn_stream *client = give_back_client(connection);
    if (!client)
        return;
    if (connection->data.closed)
        turn_stream_end_dead(client, TURN_STREAM_CLOSED_RELAYED);
    else
        turn_stream_end(client, TURN_STREAM_CLOSED_RELAYED, true);
}

static void connection_free(struct turn_tcp_connection *connection)
{
    struct turn_tcp_relays *relays = connection->relays;
    end_client(connection);
    stream_close(connection->peer.stream);
    loop_timer_cancel(&connection->timer);
    map_remove(&relays->connections, key_of(&connection->id));
    list_remove(&connection->node);
    metric_subtract(&relays->streams->metrics[TURN_STREAM_RELAY_OPEN], 1);
    free(connection);
}

/** The end as the engine does not know it yet. */
static void connection_end(struct turn_tcp_connection *connection)
{
    struct turn_tcp_relays *relays = connection->relays;
    uint32_t id = connection->id;
    connection_free(connection);
    turn_server_tcp_ended(turn_worker_server(relays->turn), now_of(relays), id);
}

void turn_tcp_connection_client_gone(struct turn_tcp_connection *connection)
{
    give_back_client(connection);
    connection_end(connection);
}

// --- bytes ---

/** Whether `size` bytes may go on now; if not, the timer is set. */
static bool has_bandwidth(struct turn_tcp_connection *connection, bool to_peer, size_t size)
{
    struct turn_tcp_relays *relays = connection->relays;
    if (turn_server_tcp_data(turn_worker_server(relays->turn), now_of(relays), connection->id,
                             to_peer, size))
        return true;
    loop_timer_set_after(&connection->timer, BANDWIDTH_WAIT_US);
    return false;
}

/** Forwards what `to` has room for, then the end. Who is full makes the other one wait. */
static void forward(struct turn_tcp_connection *connection, struct end *from, struct end *to)
{
    bool to_peer = to == &connection->peer;
    metric_value *counter =
        &connection->relays->streams
             ->metrics[to_peer ? TURN_STREAM_RELAY_BYTES_OUT : TURN_STREAM_RELAY_BYTES_IN];
    struct bytes input = stream_input(from->stream);
    size_t used = 0;
    if (!to->output_ended)
        stream_cork(to->stream);
    while (used < input.size && !stream_congested(to->stream)) {
        struct bytes piece = bytes_of(input.data + used, min_of(input.size - used, PIECE_BYTES));
        if (!has_bandwidth(connection, to_peer, piece.size))
            break;
        used += piece.size;
        // a dead receiver tells so by `closed`
        if (stream_write(to->stream, piece) == 0)
            metric_add(counter, piece.size);
    }
    if (!to->output_ended)
        stream_uncork(to->stream);
    stream_consume(from->stream, used);
    if (from->ended && used == input.size && !to->output_ended) {
        to->output_ended = true;
        stream_end_output(to->stream);
    }
}

/** Both ways. The connection may be gone afterwards. */
static void pump(struct turn_tcp_connection *connection)
{
    struct end *peer = &connection->peer, *data = &connection->data;
    if (!data->stream)
        return; // not bound yet: the peer's bytes wait in its stream, which reads no more than fit
    forward(connection, data, peer);
    forward(connection, peer, data);
    if (peer->closed && data->closed)
        connection_end(connection);
}

static void may_go_on(struct loop_timer *timer, uint64_t unused_now unused)
{
    pump(container_of(timer, struct turn_tcp_connection, timer));
}

static void on_bytes(void *owner, struct stream *unused_stream unused)
{
    pump(owner);
}

/** A side is dead. In order: what it sent is still forwarded. Else nobody waits for anything. */
static void side_closed(struct turn_tcp_connection *connection, struct end *end,
                        enum stream_close_reason reason)
{
    end->closed = true;
    end->ended = true;
    end->output_ended = true;
    if (reason == STREAM_ENDED && connection->data.stream)
        pump(connection);
    else
        connection_end(connection);
}

// --- the client's side ---

static void on_data_ended(void *owner, struct stream *unused_stream unused)
{
    struct turn_tcp_connection *connection = owner;
    connection->data.ended = true;
    pump(connection);
}

static void on_data_closed(void *owner, struct stream *unused_stream unused,
                           enum stream_close_reason reason, int unused_error unused)
{
    struct turn_tcp_connection *connection = owner;
    side_closed(connection, &connection->data, reason);
}

void turn_tcp_connection_start(struct turn_tcp_connection *connection)
{
    static const struct stream_handler handler = {
        .readable = on_bytes,
        .ended = on_data_ended,
        .writable = on_bytes,
        .closed = on_data_closed,
    };
    struct turn_stream *client = connection->client;
    connection->data.stream = client->stream;
    connection->data.ended = client->peer_ended;
    stream_set_handler(client->stream, &handler, connection);
    stream_set_limits(client->stream, &pipe_limits);
    stream_set_record_per_write(client->stream, false);
    tcp_stream_set_unsent_limit(client->stream, 0); // every byte counts: throughput is what is left
    pump(connection);
}

int turn_tcp_relay_bind(struct turn_tcp_relays *relays, uint32_t id,
                        const struct turn_source *source)
{
    struct turn_tcp_connection *connection = connection_find(relays, id);
    struct turn_stream *client = turn_stream_of(source);
    if (!connection)
        return -ENOENT;
    if (!client || client->phase != TURN_STREAM_MESSAGES)
        return -EPROTONOSUPPORT;
    if (connection->client || client->allocated || client->closing)
        return -EBUSY;
    connection->client = client;
    client->pipe = connection;
    client->phase = TURN_STREAM_PIPE;
    loop_timer_cancel(&client->timer);
    turn_stream_touch(client); // it starts when the answer is out
    return 0;
}

// --- the peer's side ---

static void on_peer_opened(void *owner, struct stream *unused_stream unused)
{
    struct turn_tcp_connection *connection = owner;
    struct turn_tcp_relays *relays = connection->relays;
    tcp_stream_set_keepalive(connection->peer.stream, TURN_STREAM_KEEPALIVE_IDLE_S,
                             TURN_STREAM_KEEPALIVE_INTERVAL_S);
    turn_stream_count(relays->streams, TURN_STREAM_RELAY_CONNECTED);
    connection->outgoing = false;
    turn_server_tcp_connected(turn_worker_server(relays->turn), now_of(relays), connection->id, 0);
}

static void on_peer_ended(void *owner, struct stream *unused_stream unused)
{
    struct turn_tcp_connection *connection = owner;
    connection->peer.ended = true;
    pump(connection);
}

static void on_peer_closed(void *owner, struct stream *unused_stream unused,
                           enum stream_close_reason reason, int error)
{
    struct turn_tcp_connection *connection = owner;
    struct turn_tcp_relays *relays = connection->relays;
    if (!connection->outgoing) {
        side_closed(connection, &connection->peer, reason);
        return;
    }
    uint32_t id = connection->id;
    turn_stream_count(relays->streams, TURN_STREAM_RELAY_FAILED);
    connection_free(connection);
    turn_server_tcp_connected(turn_worker_server(relays->turn), now_of(relays), id,
                              error < 0 ? error : -ECONNRESET);
}

static const struct stream_handler peer_handler = {
    .opened = on_peer_opened,
    .readable = on_bytes,
    .ended = on_peer_ended,
    .writable = on_bytes,
    .closed = on_peer_closed,
};

int turn_tcp_relay_connect(struct turn_tcp_relays *relays, struct turn_relay *relay, uint32_t id,
                           const struct net_address *peer)
{
    struct turn_tcp_connection *connection = connection_new(relay->socket, id);
    connection->outgoing = true;
    int error =
        tcp_stream_connect_from(turn_worker_loop(relays->turn), &relay->bind, peer, &pipe_limits,
                                &peer_handler, connection, &connection->peer.stream);
    if (error < 0) {
        turn_stream_count(relays->streams, TURN_STREAM_RELAY_FAILED);
        connection_free(connection);
    }
    return error;
}

void turn_tcp_relay_end(struct turn_tcp_relays *relays, uint32_t id)
{
    struct turn_tcp_connection *connection = relays ? connection_find(relays, id) : NULL;
    if (connection)
        connection_free(connection);
}

/** A peer connects to the relayed address: the engine knows whether it may. */
static void peer_accepted(void *owner, int fd, const struct net_address *remote)
{
    struct turn_tcp_relay *relay = owner;
    struct turn_tcp_relays *relays = relay->relays;
    struct turn_server *server = turn_worker_server(relays->turn);
    uint32_t id;
    if (turn_server_tcp_accepted(server, now_of(relays), relay->relay, remote, &id) < 0) {
        turn_stream_count(relays->streams, TURN_STREAM_RELAY_FAILED);
        tcp_connection_close(fd);
        return;
    }
    struct turn_tcp_connection *connection = connection_new(relay, id);
    if (tcp_stream_new(turn_worker_loop(relays->turn), fd, &pipe_limits, &peer_handler, connection,
                       &connection->peer.stream) < 0) {
        connection_end(connection);
        return;
    }
    tcp_stream_set_keepalive(connection->peer.stream, TURN_STREAM_KEEPALIVE_IDLE_S,
                             TURN_STREAM_KEEPALIVE_INTERVAL_S);
    turn_stream_count(relays->streams, TURN_STREAM_RELAY_ACCEPTED);
}

// --- relays ---

int turn_tcp_relay_open(struct turn_tcp_relays *relays, struct turn_relay *relay)
{
    static const struct tcp_listener_ops ops = { .accepted = peer_accepted };
    struct turn_tcp_relay *own = memory_new(struct turn_tcp_relay);
    struct tcp_listener_config config = {
        .bind = relay->bind,
        .backlog = BACKLOG,
        .share_port = true,
    };
    int error =
        tcp_listener_open(&config, turn_worker_loop(relays->turn), &ops, own, &own->listener);
    if (error) {
        free(own);
        return error;
    }
    own->relays = relays;
    own->relay = relay;
    list_init(&own->connections);
    list_init(&own->node);
    list_append(&relays->all, &own->node);
    relay->socket = own;
    return 0;
}

static void relay_free(struct turn_tcp_relay *relay)
{
    struct turn_tcp_connection *connection;
    list_each(connection, &relay->connections, node) connection_free(connection);
    tcp_listener_close(relay->listener);
    list_remove(&relay->node);
    relay->relay->socket = NULL;
    free(relay);
}

void turn_tcp_relay_close(struct turn_tcp_relays *relays unused, struct turn_relay *relay)
{
    if (relay->socket)
        relay_free(relay->socket);
}

struct turn_tcp_relays *turn_tcp_relays_new(struct turn_worker *turn, struct turn_streams *streams)
{
    struct turn_tcp_relays *relays = memory_new(struct turn_tcp_relays);
    relays->turn = turn;
    relays->streams = streams;
    map_init(&relays->connections, (uint64_t[2]){ 0 }); // ids are our own random numbers
    list_init(&relays->all);
    return relays;
}

struct turn_tcp_relays *turn_tcp_relays_free(struct turn_tcp_relays *relays)
{
    if (!relays)
        return NULL;
    struct turn_tcp_relay *relay;
    struct turn_tcp_connection *connection;
    list_each(relay, &relays->all, node)
    {
        list_each(connection, &relay->connections, node) connection_end(connection);
        relay_free(relay);
    }
    map_done(&relays->connections);
    free(relays);
    return NULL;
}
