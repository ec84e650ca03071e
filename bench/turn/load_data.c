#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "client_stream.h"
#include "proto/stun/stun.h"
#include "runtime/clock.h"

#define STREAM_EVENTS 256
/** How long to look for data without sleeping: a wake-up would be in the server's time. */
#define SPIN_US 200
/** Nothing for this long: what is under way is lost. A busy machine keeps servers waiting too. */
#define SILENCE_MS 3000

/*
 * A packet's payload. "body" is cut out of the pattern at an offset that its number gives.
 *
 *     0        4        5                 12
 *     | client | lane   | number (56 bits) | body ...
 */
#define TAG_SIZE 12
/** STUN header, XOR-PEER-ADDRESS for IPv4, header of DATA. */
#define INDICATION_SIZE 36

static uint64_t under_way(const struct load *load, enum load_direction direction, uint32_t index)
{
    const struct load_lane *lane = &load->clients[index].lanes[direction];
    return lane->sent - lane->expected;
}

static struct bytes body_of(const struct load *load, uint64_t number)
{
    return bytes_of(load->pattern + number % LOAD_PATTERN_SHIFT, load->options.size - TAG_SIZE);
}

static void take_payload(struct load *load, uint32_t index, enum load_direction direction,
                         struct bytes payload)
{
    struct load_counts *counts = &load->counts;
    if (payload.size != load->options.size || index >= load->options.clients ||
        load_u32(payload.data) != index || payload.data[4] != direction) {
        counts->corrupt++;
        return;
    }
    struct load_lane *lane = &load->clients[index].lanes[direction];
    uint64_t number = load_u64(payload.data + 4) & 0xffffffffffffffu;
    struct bytes body = body_of(load, number);
    if (memcmp(payload.data + TAG_SIZE, body.data, body.size) != 0 || number >= lane->sent) {
        counts->corrupt++;
        return;
    }
    counts->received[direction]++;
    if (number < lane->expected) {
        // it had been counted as lost, unless it came twice
        counts->disordered++;
        counts->lost -= counts->lost > 0;
        return;
    }
    counts->lost += number - lane->expected;
    lane->expected = number + 1;
}

/** Returns whether the message was data. */
static bool take_indication(struct load *load, uint32_t index, struct bytes datagram)
{
    struct stun_message message;
    struct net_address peer;
    struct bytes payload;
    if (datagram.size < 2 || load_u16(datagram.data) != (STUN_DATA | 0x10))
        return false;
    if (stun_message_parse(datagram, &message) != 0 ||
        stun_message_find_address(&message, STUN_XOR_PEER_ADDRESS, &peer) != 0 ||
        peer.port != load->peer_port->number ||
        !stun_message_find(&message, STUN_DATA_ATTRIBUTE, &payload))
        load->counts.corrupt++;
    else
        take_payload(load, index, LOAD_DOWN, payload);
    return true;
}

void load_take_message(struct load *load, uint32_t index, struct bytes message)
{
    if (message.size >= 4 && load_u16(message.data) == LOAD_CHANNEL &&
        load_u16(message.data + 2) <= message.size - 4)
        take_payload(load, index, LOAD_DOWN,
                     bytes_of(message.data + 4, load_u16(message.data + 2)));
    else if (!take_indication(load, index, message))
        load_take_response(load, index, message);
}

static void client_received(void *owner, struct port_address from unused, uint32_t to_ip,
                            struct bytes datagram)
{
    struct load *load = owner;
    if (to_ip - load->options.client_ip < load->options.clients)
        load_take_message(load, to_ip - load->options.client_ip, datagram);
}

static void peer_received(void *owner, struct port_address from, uint32_t to_ip unused,
                          struct bytes datagram)
{
    struct load *load = owner;
    take_payload(load, load->by_relay[from.number] - 1, LOAD_UP, datagram);
}

static bool receive(struct load *load)
{
    size_t count = port_receive(load->client_port, client_received, load) +
                   port_receive(load->peer_port, peer_received, load);
    if (load->options.transport != LOAD_UDP) {
        struct epoll_event events[STREAM_EVENTS];
        int ready = epoll_wait(load->epoll_fd, events, STREAM_EVENTS, 0);
        for (int i = 0; i < ready; i++, count++)
            client_stream_receive(load, events[i].data.ptr);
    }
    return count > 0;
}

bool load_turn(struct load *load, int wait_ms)
{
    uint64_t start_us = clock_now_us();
    do {
        if (receive(load))
            return true;
    } while (clock_now_us() - start_us < load->options.spin_us);
    struct pollfd sources[] = {
        { .fd = load->client_port->fd, .events = POLLIN },
        { .fd = load->peer_port->fd, .events = POLLIN },
        { .fd = load->epoll_fd, .events = POLLIN },
    };
    return poll(sources, array_size(sources), wait_ms) > 0 && receive(load);
}

/** Everything before the body of packet `number` as the client sends it. */
static size_t write_up_head(const struct load *load, uint32_t index, uint64_t number, uint8_t *out)
{
    uint32_t size = load->options.size;
    if (!load->options.indications) {
        store_u16(out, LOAD_CHANNEL);
        store_u16(out + 2, (uint16_t)size);
        return 4;
    }
    store_u16(out, STUN_SEND | 0x10);
    store_u16(out + 2, (uint16_t)(INDICATION_SIZE - STUN_HEADER_SIZE + size));
    store_u32(out + 4, STUN_MAGIC_COOKIE);
    store_u32(out + 8, index);
    store_u64(out + 12, number);
    store_u16(out + 20, STUN_XOR_PEER_ADDRESS);
    store_u16(out + 22, 8);
    store_u16(out + 24, 1);
    store_u16(out + 26, load->peer_port->number ^ (STUN_MAGIC_COOKIE >> 16));
    store_u32(out + 28, load->peer_port->ip ^ STUN_MAGIC_COOKIE);
    store_u16(out + 32, STUN_DATA_ATTRIBUTE);
    store_u16(out + 34, (uint16_t)size);
    return INDICATION_SIZE;
}

static size_t write_tag(uint32_t index, enum load_direction direction, uint64_t number,
                        uint8_t *out)
{
    store_u32(out, index);
    store_u64(out + 4, (uint64_t)direction << 56 | number);
    return TAG_SIZE;
}

static void send_stream_burst(struct load *load, uint32_t index, uint32_t count)
{
    struct load_client *client = &load->clients[index];
    uint8_t bytes[64 * (INDICATION_SIZE + LOAD_PAYLOAD_MAX)];
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = client->lanes[LOAD_UP].sent++;
        struct bytes body = body_of(load, number);
        size += write_up_head(load, index, number, bytes + size);
        size += write_tag(index, LOAD_UP, number, bytes + size);
        memcpy(bytes + size, body.data, body.size);
        size += body.size;
    }
    client_stream_send(client->stream, bytes_of(bytes, size));
}

void load_send_burst(struct load *load, uint32_t index, enum load_direction direction,
                     uint32_t count)
{
    struct load_client *client = &load->clients[index];
    bool up = direction == LOAD_UP;
    if (up && client->stream) {
        send_stream_burst(load, index, count);
        return;
    }
    struct datagram_port *port = up ? load->client_port : load->peer_port;
    struct port_address to = up ? load->options.server : client->relay;
    uint8_t head[PORT_HEAD_MAX];
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = client->lanes[direction].sent++;
        size_t size = up ? write_up_head(load, index, number, head) : 0;
        size += write_tag(index, direction, number, head + size);
        port_add(port, to, up ? load->options.client_ip + index : 0, bytes_of(head, size),
                 body_of(load, number), load->options.gso && i > 0);
    }
}

void load_data_flush(struct load *load)
{
    port_flush(load->client_port);
    port_flush(load->peer_port);
}

static uint64_t all_under_way(const struct load *load)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < load->options.clients; i++)
        sum += under_way(load, LOAD_UP, i) + under_way(load, LOAD_DOWN, i);
    return sum;
}

static void give_up_waiting(struct load *load)
{
    load->counts.lost += all_under_way(load);
    for (uint32_t i = 0; i < load->options.clients; i++) {
        for (int direction = 0; direction < LOAD_DIRECTIONS; direction++)
            load->clients[i].lanes[direction].expected = load->clients[i].lanes[direction].sent;
    }
}

void load_settle(struct load *load, int silence_ms)
{
    while (all_under_way(load) > 0 && load_turn(load, silence_ms))
        ;
    give_up_waiting(load);
}

/** What the closed loop knows of one direction. */
struct flow_control {
    uint64_t sent;
    uint32_t next; /**< client */
};

/** Fills the window again when half of it is free, so that the server finds batches. */
static void refill(struct load *load, struct flow_control *flow, enum load_direction direction,
                   uint64_t settled)
{
    const struct load_options *options = &load->options;
    if (flow->sent - settled > options->window / 2)
        return;
    for (; flow->sent - settled + options->burst <= options->window; flow->sent += options->burst) {
        load_send_burst(load, flow->next, direction, options->burst);
        flow->next = (flow->next + 1) % options->clients;
    }
    load_data_flush(load);
}

void load_run(struct load *load, uint64_t duration_us)
{
    struct flow_control flows[LOAD_DIRECTIONS] = { 0 };
    uint64_t start_us = clock_now_us(), received[LOAD_DIRECTIONS], lost = load->counts.lost;
    memcpy(received, load->counts.received, sizeof(received));
    while (clock_now_us() - start_us < duration_us) {
        for (enum load_direction i = 0; i < LOAD_DIRECTIONS; i++) {
            // a hole is seen with the next packet; which direction it was in does not matter then
            uint64_t gone = load->options.directions[!i] ? 0 : load->counts.lost - lost;
            if (load->options.directions[i])
                refill(load, &flows[i], i, load->counts.received[i] - received[i] + gone);
        }
        if (!load_turn(load, SILENCE_MS)) {
            give_up_waiting(load);
            memset(flows, 0, sizeof(flows));
            memcpy(received, load->counts.received, sizeof(received));
            lost = load->counts.lost;
        }
    }
    load_settle(load, SILENCE_MS);
}
