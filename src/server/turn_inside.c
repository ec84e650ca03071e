// Where data of clients and peers goes: through a relay's socket, or, when the peer is our own
// media server or another allocation of this server, through the process.
#include "server/turn_worker_int.h"

/** Payloads view buffers of the carriers that received them: constant to the engine alone. */
static uint8_t *bytes_of_carrier(struct bytes payload)
{
    return (uint8_t *)(uintptr_t)payload.data;
}

void turn_worker_deliver(struct turn_worker *turn, struct turn_relay *relay,
                         const struct net_address *peer, struct bytes payload)
{
    struct turn_deliver deliver;
    if (turn_server_peer_input(turn->server, turn_now_us(turn), relay, peer, payload.size,
                               &deliver) != TURN_FORWARD)
        return;
    struct turn_carrier *carrier = deliver.client->carrier;
    carrier->ops->deliver(carrier, &deliver, payload);
}

static void to_outside(struct turn_worker *turn, const struct turn_forward *forward)
{
    struct turn_relay *relay = forward->relay;
    struct net_path path = { .local = relay->bind, .remote = forward->peer };
    unsigned flags = forward->dont_fragment ? UDP_GATHER_DONT_FRAGMENT : 0;
    udp_gather_add(turn->gather, turn_relay_socket_of(relay), &path, NULL, 0, forward->payload, 0,
                   flags, &relay->run);
}

static void to_media(struct turn_worker *turn, const struct turn_forward *forward)
{
    if (!turn->media) {
        turn_worker_count(turn, TURN_WORKER_DROPPED_NO_MEDIA);
        return;
    }
    if (turn->waiting_count == TURN_MEDIA_MAX)
        turn_worker_flush_media(turn);
    turn->waiting[turn->waiting_count++] = (struct udp_datagram){
        .path = { .local = forward->peer, .remote = forward->relay->told },
        .data = bytes_of_carrier(forward->payload),
        .size = forward->payload.size,
    };
    turn_worker_count(turn, TURN_WORKER_INSIDE_MEDIA);
}

void turn_worker_flush_media(struct turn_worker *turn)
{
    size_t count = turn->waiting_count;
    turn->waiting_count = 0;
    if (count > 0)
        turn->media(turn->media_owner, turn->waiting, count);
}

/** Data for a relayed address of this server, whichever worker has it. */
static void to_relay(struct turn_worker *turn, uint32_t owner, const struct udp_datagram *datagram)
{
    if (owner == turn->worker->index) {
        struct turn_relay *relay = turn_server_find_relay(turn->server, &datagram->path.local);
        if (relay)
            turn_worker_deliver(turn, relay, &datagram->path.remote,
                                bytes_of(datagram->data, datagram->size));
        else
            turn_worker_count(turn, TURN_WORKER_DROPPED_NO_RELAY);
        return;
    }
    struct turn_worker *other =
        owner < turn->shared->count ? atomic_load(&turn->shared->workers[owner]) : NULL;
    bool given = other && handoff_give(&other->relays, datagram);
    turn_worker_count(turn, given ? TURN_WORKER_HANDED_OVER : TURN_WORKER_DROPPED_HANDOVER);
}

void turn_worker_forward(struct turn_worker *turn, const struct turn_forward *forward)
{
    switch (forward->place) {
    case TURN_PLACE_OUTSIDE:
        to_outside(turn, forward);
        break;
    case TURN_PLACE_MEDIA:
        to_media(turn, forward);
        break;
    case TURN_PLACE_RELAY:
        turn_worker_count(turn, TURN_WORKER_INSIDE_RELAY);
        to_relay(turn, forward->worker,
                 &(struct udp_datagram){
                     .path = { .local = forward->peer, .remote = forward->relay->told },
                     .data = bytes_of_carrier(forward->payload),
                     .size = forward->payload.size,
                 });
        break;
    }
}

void turn_inside_received(void *owner, const struct udp_datagram *datagrams, size_t count)
{
    struct turn_worker *turn = owner;
    for (size_t i = 0; i < count; i++)
        to_relay(turn, turn->worker->index, &datagrams[i]);
    turn_worker_flush(turn);
}

/** The worker that has the relayed address, or TURN_PORT_FREE. */
static uint32_t relay_owner(const struct turn_worker *turn, const struct net_address *remote)
{
    int index = turn_ports_find_address(turn->shared->ports, remote);
    return index < 0 ? TURN_PORT_FREE
                     : turn_ports_owner(turn->shared->ports, (size_t)index, remote->port);
}

void turn_worker_take_batch(struct turn_worker *turn, struct datagram_batch *batch)
{
    if (turn_ports_taken(turn->shared->ports) == 0)
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < batch->run_count; i++) {
        struct datagram_run *run = &batch->runs[i];
        uint32_t owner = relay_owner(turn, &run->path.remote);
        if (owner == TURN_PORT_FREE) {
            batch->runs[kept++] = *run;
            continue;
        }
        for (uint32_t at = 0; at < run->size; at += run->segment_size) {
            struct udp_datagram datagram = {
                .path = { .local = run->path.remote, .remote = run->path.local },
                .data = batch->bytes + run->offset + at,
                .size = min_of((uint32_t)run->segment_size, run->size - at),
            };
            turn_worker_count(turn, TURN_WORKER_INSIDE_MEDIA);
            to_relay(turn, owner, &datagram);
        }
    }
    if (kept == batch->run_count)
        return;
    batch->run_count = kept;
    // The bytes are the batch's. What waits for our own media server stays: it may be in the middle
    // of the run that has filled this batch.
    udp_gather_flush(turn->gather);
}
