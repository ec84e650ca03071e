// The UDP sockets that TURN clients speak to: the port shared with media, and a second one.
#include <string.h>

#include "proto/stun/stun.h"
#include "server/turn_dtls.h"
#include "server/turn_nat_discovery.h"
#include "server/turn_worker_int.h"

static struct turn_udp *udp_of(struct turn_carrier *carrier)
{
    return container_of(carrier, struct turn_udp, carrier);
}

static void udp_send(struct turn_carrier *carrier, const struct turn_source *to,
                     struct bytes message)
{
    struct turn_udp *udp = udp_of(carrier);
    // the message is the engine's and goes with this call, so it travels as a header and at once
    uint32_t run = UDP_GATHER_NO_RUN;
    udp_gather_add(udp->turn->gather, udp->socket, &to->path, NULL, 0, message, 0, 0, &run);
    udp_gather_flush(udp->turn->gather);
}

static void udp_deliver(struct turn_carrier *carrier, const struct turn_deliver *deliver,
                        struct bytes payload)
{
    struct turn_udp *udp = udp_of(carrier);
    // the slot starts as NULL: a stale hint is harmless
    uint32_t *run = (uint32_t *)(void *)turn_allocation_slot(deliver->allocation);
    udp_gather_add(udp->turn->gather, udp->socket, &deliver->client->path, deliver->header,
                   deliver->header_size, payload, deliver->padding, 0, run);
}

static void udp_ended(struct turn_carrier *carrier unused, const struct turn_source *of unused,
                      enum turn_end why unused)
{
}

static const struct turn_carrier_ops udp_carrier_ops = {
    .send = udp_send,
    .deliver = udp_deliver,
    .ended = udp_ended,
};

void turn_udp_init(struct turn_udp *udp, struct turn_worker *turn, struct udp_socket *socket)
{
    udp->carrier.ops = &udp_carrier_ops;
    udp->turn = turn;
    udp->socket = socket;
    udp->port = udp_socket_port(socket);
}

/** The bits of a message type that hold the class (RFC 8489, section 5). */
#define STUN_TYPE_CLASS 0x0110

bool turn_worker_wants(const uint8_t *data, size_t size)
{
    if (size < 4)
        return false;
    if ((data[0] & 0xc0) == 0x40)
        return true;
    if (data[0] > 3 || !stun_message_is(data, size))
        return false;
    uint16_t type = load_u16(data);
    if ((type & ~STUN_TYPE_CLASS) != STUN_BINDING)
        return true;
    if (type != STUN_BINDING) // an indication or an answer: ICE's
        return false;
    struct stun_message message;
    struct bytes username;
    return stun_message_parse(bytes_of(data, size), &message) == 0 &&
           !stun_message_find(&message, STUN_USERNAME, &username);
}

/** A client that moved to a 5-tuple which the kernel gives to us, not to its worker. */
static bool hand_to_owner(struct turn_worker *turn, const struct udp_datagram *datagram,
                          uint32_t owner)
{
    if (owner == turn->worker->index || owner >= turn->shared->count)
        return false;
    struct turn_worker *other = atomic_load(&turn->shared->workers[owner]);
    bool given = other && handoff_give(&other->clients, datagram);
    turn_worker_count(turn, given ? TURN_WORKER_HANDED_OVER : TURN_WORKER_DROPPED_HANDOVER);
    return true;
}

/** A client that moved, or whose DTLS association did. */
static bool follows_route(struct turn_worker *turn, const struct udp_datagram *datagram)
{
    uint32_t worker;
    return turn_route_find(turn, &datagram->path.remote, &worker) &&
           hand_to_owner(turn, datagram, worker);
}

static bool goes_elsewhere(struct turn_worker *turn, const struct udp_datagram *datagram)
{
    if (turn->shared->count == 1)
        return false;
    if (follows_route(turn, datagram))
        return true;
    if ((datagram->data[0] & 0xc0) == 0x40)
        return false;
    int named = turn_message_worker(turn->server, bytes_of(datagram->data, datagram->size));
    return named >= 0 && hand_to_owner(turn, datagram, (uint32_t)named);
}

static void client_input(struct turn_worker *turn, struct turn_udp *udp,
                         const struct udp_datagram *datagram)
{
    struct turn_source *last = &turn->last;
    if (last->carrier != &udp->carrier || !net_path_equal(&last->path, &datagram->path)) {
        *last = (struct turn_source){
            .path = datagram->path,
            .transport = TURN_UDP,
            .carrier = &udp->carrier,
        };
        turn->last_allocation = NULL;
    }
    turn_worker_client_input(turn, last, &turn->last_allocation,
                             bytes_of(datagram->data, datagram->size));
}

static void udp_input(struct turn_worker *turn, struct turn_udp *udp,
                      const struct udp_datagram *datagram)
{
    if (!turn->shared->options.udp && datagram->size >= 2 &&
        (datagram->data[0] != 0 || datagram->data[1] != 1))
        turn_worker_count(turn, TURN_WORKER_DROPPED_UDP_OFF);
    else if (!goes_elsewhere(turn, datagram))
        client_input(turn, udp, datagram);
}

void turn_worker_udp_input(struct turn_worker *turn, const struct udp_datagram *datagram)
{
    if (turn->discovery && datagram->data[0] == 0 && datagram->data[1] == STUN_BINDING &&
        turn_nat_discovery_input(turn->discovery, datagram))
        return;
    udp_input(turn, &turn->main, datagram);
}

static bool is_dtls(const struct udp_datagram *datagram)
{
    return datagram->size > 0 && datagram->data[0] >= 20 && datagram->data[0] <= 63;
}

/** The socket of ours that has the port which a client speaks to. */
static struct turn_udp *udp_of_port(struct turn_worker *turn, uint16_t port)
{
    return turn->second.socket && port == turn->second.port ? &turn->second : &turn->main;
}

void turn_clients_received(void *owner, const struct udp_datagram *datagrams, size_t count)
{
    struct turn_worker *turn = owner;
    for (size_t i = 0; i < count; i++) {
        struct turn_udp *udp = udp_of_port(turn, datagrams[i].path.local.port);
        if (!is_dtls(&datagrams[i]))
            client_input(turn, udp, &datagrams[i]);
        else if (turn->dtls)
            turn_dtls_input(turn->dtls, udp->socket, &datagrams[i]);
    }
    turn_worker_flush(turn);
}

void turn_worker_take_association(struct turn_worker *turn, struct turn_dtls_parcel *parcel)
{
    if (!turn->dtls) {
        turn_dtls_parcel_free(parcel);
        return;
    }
    uint16_t port = turn_dtls_parcel_port(parcel);
    turn_dtls_adopt(turn->dtls, udp_of_port(turn, port)->socket, parcel);
}

static void take_dtls(struct turn_worker *turn, struct turn_udp *udp,
                      const struct udp_datagram *datagram)
{
    if (turn->dtls && !follows_route(turn, datagram))
        turn_dtls_input(turn->dtls, udp->socket, datagram);
}

void turn_worker_dtls_input(struct turn_worker *turn, const struct udp_datagram *datagram)
{
    take_dtls(turn, &turn->main, datagram);
}

// The second port: TURN alone, so nothing of media has to be told apart.

static void second_received(void *owner, struct udp_socket *socket unused,
                            const struct udp_datagram *datagrams, size_t count)
{
    struct turn_worker *turn = owner;
    for (size_t i = 0; i < count; i++) {
        const struct udp_datagram *datagram = &datagrams[i];
        if (turn_worker_wants(datagram->data, datagram->size))
            udp_input(turn, &turn->second, datagram);
        else if (is_dtls(datagram))
            take_dtls(turn, &turn->second, datagram);
    }
    turn_worker_flush(turn);
}

static const struct udp_ops second_ops = { .received = second_received };

int turn_udp_open_second(struct turn_worker *turn)
{
    struct turn_shared *shared = turn->shared;
    bool first = turn->worker->index == 0;
    struct udp_config config = {
        .bind = shared->options.bind,
        .first_of_port = first,
    };
    config.bind.port = first ? shared->options.tls_udp_port : shared->tls_udp_port;
    struct udp_socket *socket;
    int error = udp_socket_open(&config, &turn->worker->loop, &second_ops, turn, &socket);
    if (error)
        return error;
    turn_udp_init(&turn->second, turn, socket);
    if (first)
        shared->tls_udp_port = turn->second.port;
    return 0;
}
