// The sockets that peers speak to: one per relayed address, opened when the first peer needs it.
#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/turn_worker_int.h"

/** Hangs at turn_relay.socket. */
struct relay_socket {
    struct turn_worker *turn;
    struct turn_relay *relay; /**< NULL: closed, and freed at the end of the turn */
    struct udp_socket *socket;
    struct list closed;
};

struct udp_socket *turn_relay_socket_of(const struct turn_relay *relay)
{
    return ((const struct relay_socket *)relay->socket)->socket;
}

static void relay_received(void *owner, struct udp_socket *socket unused,
                           const struct udp_datagram *datagrams, size_t count)
{
    const struct relay_socket *relay_socket = owner;
    struct turn_worker *turn = relay_socket->turn;
    // a client's stream may end while it is written to, and its allocation with it
    for (size_t i = 0; i < count && relay_socket->relay; i++)
        turn_worker_deliver(turn, relay_socket->relay, &datagrams[i].path.remote,
                            bytes_of(datagrams[i].data, datagrams[i].size));
    // no flush: udp_memory_keep lets one flush serve many relays
}

static void relay_error(void *owner, struct udp_socket *socket unused,
                        const struct net_address *remote, uint8_t type, uint8_t code, uint32_t data)
{
    const struct relay_socket *relay_socket = owner;
    struct turn_worker *turn = relay_socket->turn;
    if (relay_socket->relay)
        turn_server_peer_icmp(turn->server, turn_now_us(turn), relay_socket->relay, remote, type,
                              code, data);
}

static const struct udp_ops relay_ops = { .received = relay_received, .error = relay_error };

int turn_relay_socket_open(struct turn_worker *turn, struct turn_relay *relay)
{
    struct relay_socket *relay_socket = memory_new(struct relay_socket);
    relay_socket->turn = turn;
    relay_socket->relay = relay;
    list_init(&relay_socket->closed);
    struct udp_config config = {
        .bind = relay->bind,
        .memory = turn->memory,
        .exclusive = true,
        .empty_datagrams = true,
        .report_errors = true,
        .send_buffer_bytes = UDP_BUFFER_SYSTEM,
        .receive_buffer_bytes = turn->shared->options.relay_receive_buffer,
    };
    int error = udp_socket_open(&config, &turn->worker->loop, &relay_ops, relay_socket,
                                &relay_socket->socket);
    if (error) {
        free(relay_socket);
        turn_worker_count(turn, TURN_WORKER_RELAY_SOCKETS_FAILED);
        if (error == -EADDRINUSE && turn->shared->options.relay_sockets_at_once)
            log_debug(&turn->log, "a relay port is in use by another program",
                      log_address("address", &relay->bind));
        else
            log_warning(&turn->log, "a relay socket could not be opened",
                        log_address("address", &relay->bind), log_error_code("error", error));
        return error;
    }
    relay->socket = relay_socket;
    relay->run = UDP_GATHER_NO_RUN;
    turn_worker_count(turn, TURN_WORKER_RELAY_SOCKETS);
    return 0;
}

void turn_relay_socket_close(struct turn_worker *turn, struct turn_relay *relay)
{
    struct relay_socket *relay_socket = relay->socket;
    if (!relay_socket)
        return;
    udp_gather_flush(turn->gather); // last words, with the request that ends it right behind them
    udp_gather_forget(turn->gather, relay_socket->socket);
    relay_socket->relay = NULL;
    relay->socket = NULL;
    // we may be inside this socket's own handler
    list_append(&turn->closed_relays, &relay_socket->closed);
    metric_subtract(&turn->metrics[TURN_WORKER_RELAY_SOCKETS], 1);
}

void turn_relay_sockets_free_closed(struct turn_worker *turn)
{
    struct relay_socket *relay_socket;
    list_each(relay_socket, &turn->closed_relays, closed)
    {
        list_remove(&relay_socket->closed);
        udp_socket_close(relay_socket->socket);
        free(relay_socket);
    }
}
