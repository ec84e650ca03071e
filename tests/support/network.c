#include "support/network.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"
#include "support/network_pipe.h"

#define START_US           1000000ull
#define ROUTE_PIPES_MAX    3
#define BATCH_SIZE         (1u << 18)
#define BATCH_RUNS         1024
#define STEPS_WITHOUT_TIME 100000 // then an engine spins

/** A datagram between two pipes, or waiting for its receiver. */
struct packet_in_flight {
    uint64_t at_us;
    uint64_t order; /**< breaks ties: what was sent first arrives first */
    struct network_pipe *route[ROUTE_PIPES_MAX];
    unsigned route_length;
    unsigned passed;
    struct net_path path; /**< the sender's, translated */
    size_t size;
    uint8_t data[];
};

struct binding {
    struct list node;
    struct network_endpoint *endpoint;
    struct net_address inside;
    struct net_address outside; /**< what others see; equal to `inside` without translation */
};

struct pair_pipe {
    struct list node;
    struct network_endpoint *to;
    struct network_pipe pipe;
};

struct network_endpoint {
    struct list node;
    struct network *net;
    const struct network_ops *ops;
    void *owner;
    struct list bindings;
    struct list pairs;
    struct network_pipe uplink;
    struct network_pipe downlink;
    bool stirred; /**< had input or a tick: has output and deadline to be asked for */
    uint64_t deadline_us;
};

struct network {
    struct random random;
    uint64_t now_us;
    uint64_t order;
    uint64_t unroutable;
    struct list endpoints;
    struct map by_inside;
    struct map by_outside;
    struct packet_in_flight **heap; /**< earliest first */
    size_t heap_count;
    size_t heap_capacity;
    struct datagram_batch batch;
    struct network_endpoint *sender; /**< whose output is in `batch` */
};

// ---- the heap of datagrams under way ------------------------------------------------------------

static bool earlier(const struct packet_in_flight *a, const struct packet_in_flight *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void heap_swap(struct network *net, size_t a, size_t b)
{
    struct packet_in_flight *packet = net->heap[a];
    net->heap[a] = net->heap[b];
    net->heap[b] = packet;
}

static void heap_push(struct network *net, struct packet_in_flight *packet)
{
    if (net->heap_count == net->heap_capacity) {
        net->heap_capacity = max_of((size_t)64, net->heap_capacity * 2);
        net->heap =
            memory_resize(net->heap, net->heap_capacity * sizeof(struct packet_in_flight *));
    }
    size_t at = net->heap_count++;
    net->heap[at] = packet;
    while (at > 0 && earlier(net->heap[at], net->heap[(at - 1) / 2])) {
        heap_swap(net, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static struct packet_in_flight *heap_pop(struct network *net)
{
    struct packet_in_flight *first = net->heap[0];
    net->heap[0] = net->heap[--net->heap_count];
    for (size_t at = 0;;) {
        size_t child = 2 * at + 1;
        if (child >= net->heap_count)
            return first;
        if (child + 1 < net->heap_count && earlier(net->heap[child + 1], net->heap[child]))
            child++;
        if (!earlier(net->heap[child], net->heap[at]))
            return first;
        heap_swap(net, at, child);
        at = child;
    }
}

// ---- addresses and routes -----------------------------------------------------------------------

static struct bytes address_key(const struct net_address *address)
{
    return bytes_of(address, sizeof(*address));
}

static struct binding *find_outside(struct network *net, const struct net_address *address)
{
    return map_find(&net->by_outside, address_key(address));
}

/** The binding that an endpoint sends from; a path without local address takes the first fitting.
 */
static struct binding *find_source(struct network_endpoint *from, const struct net_path *path)
{
    if (path->local.family != NET_NONE && path->local.port != 0) {
        struct binding *binding = map_find(&from->net->by_inside, address_key(&path->local));
        return binding && binding->endpoint == from ? binding : NULL;
    }
    struct binding *binding;
    list_each(binding, &from->bindings, node)
    {
        if (binding->inside.family == path->remote.family)
            return binding;
    }
    return NULL;
}

static struct pair_pipe *find_pair(struct network_endpoint *from, struct network_endpoint *to)
{
    struct pair_pipe *pair;
    list_each(pair, &from->pairs, node)
    {
        if (pair->to == to)
            return pair;
    }
    return NULL;
}

/** Puts a packet into its next pipe, or into the heap of those that arrive. */
static void packet_advance(struct network *net, struct packet_in_flight *packet)
{
    while (packet->passed < packet->route_length) {
        struct network_pipe *pipe = packet->route[packet->passed++];
        uint64_t exit_us[2];
        int copies = network_pipe_pass(pipe, net->now_us, &net->random, &packet->path, packet->data,
                                       packet->size, exit_us);
        if (copies == 0) {
            free(packet);
            return;
        }
        if (copies == 2) {
            struct packet_in_flight *copy = memory_copy(packet, sizeof(*packet) + packet->size);
            copy->at_us = exit_us[1];
            copy->order = net->order++;
            heap_push(net, copy);
        }
        packet->at_us = exit_us[0];
        if (packet->at_us > net->now_us)
            break;
    }
    packet->order = net->order++;
    heap_push(net, packet);
}

/** `from` is NULL for datagrams of an attacker: they pass the receiver's downlink only. */
static void packet_send(struct network *net, struct network_endpoint *from,
                        const struct net_path *path, const void *data, size_t size)
{
    struct binding *to = find_outside(net, &path->remote);
    if (!to) {
        net->unroutable++;
        return;
    }
    struct packet_in_flight *packet = memory_allocate(1, sizeof(*packet) + size);
    packet->at_us = net->now_us;
    packet->path = *path;
    packet->size = size;
    memcpy(packet->data, data, size);
    if (from) {
        struct pair_pipe *pair = find_pair(from, to->endpoint);
        packet->route[packet->route_length++] = &from->uplink;
        if (pair)
            packet->route[packet->route_length++] = &pair->pipe;
    }
    packet->route[packet->route_length++] = &to->endpoint->downlink;
    packet_advance(net, packet);
}

static void packet_deliver(struct network *net, struct packet_in_flight *packet)
{
    struct binding *to = find_outside(net, &packet->path.remote);
    if (!to) {
        net->unroutable++; // unbound while it was under way
        return;
    }
    struct net_path path = { .local = to->inside, .remote = packet->path.local };
    struct network_endpoint *endpoint = to->endpoint;
    endpoint->stirred = true;
    if (endpoint->ops->input)
        endpoint->ops->input(endpoint->owner, net->now_us, &path,
                             bytes_of(packet->data, packet->size));
}

// ---- the loop -----------------------------------------------------------------------------------

/** Sends what an endpoint wrote into the batch: at the end of its output, or when it is full. */
static void send_batch(struct datagram_batch *batch, void *owner)
{
    struct network *net = owner;
    struct datagram_cursor cursor = { 0 };
    struct net_path path;
    const uint8_t *data;
    size_t size;
    while (datagram_batch_next(batch, &cursor, &path, &data, &size)) {
        struct binding *source = find_source(net->sender, &path);
        if (!source) {
            net->unroutable++;
            continue;
        }
        path.local = source->outside;
        packet_send(net, net->sender, &path, data, size);
    }
    datagram_batch_clear(batch);
}

/** Asks the engines that something happened to for their output and next deadline. */
static void collect(struct network *net)
{
    struct network_endpoint *endpoint;
    list_each(endpoint, &net->endpoints, node)
    {
        if (!endpoint->stirred)
            continue;
        endpoint->stirred = false;
        net->sender = endpoint;
        if (endpoint->ops->output)
            endpoint->ops->output(endpoint->owner, net->now_us, &net->batch);
        send_batch(&net->batch, net);
        endpoint->deadline_us =
            endpoint->ops->deadline ? endpoint->ops->deadline(endpoint->owner) : TIME_NEVER;
    }
}

static uint64_t next_event(const struct network *net)
{
    uint64_t next_us = net->heap_count > 0 ? net->heap[0]->at_us : TIME_NEVER;
    struct network_endpoint *endpoint;
    list_each(endpoint, &net->endpoints, node) next_us =
        time_earlier(next_us, endpoint->deadline_us);
    return next_us;
}

/** All that is due now: one datagram moves on, and engines whose time has come tick. */
static void step(struct network *net)
{
    if (net->heap_count > 0 && net->heap[0]->at_us <= net->now_us) {
        struct packet_in_flight *packet = heap_pop(net);
        if (packet->passed < packet->route_length) {
            packet_advance(net, packet);
        } else {
            packet_deliver(net, packet);
            free(packet);
        }
    }
    struct network_endpoint *endpoint;
    list_each(endpoint, &net->endpoints, node)
    {
        if (endpoint->deadline_us > net->now_us)
            continue;
        endpoint->stirred = true;
        if (endpoint->ops->tick)
            endpoint->ops->tick(endpoint->owner, net->now_us);
    }
}

bool network_run_until(struct network *net, uint64_t timeout_us, bool (*done)(void *owner),
                       void *owner)
{
    uint64_t end_us = net->now_us + timeout_us;
    unsigned steps_without_time = 0;
    struct network_endpoint *endpoint;
    // the test may have called engines directly
    list_each(endpoint, &net->endpoints, node) endpoint->stirred = true;
    for (;;) {
        collect(net);
        if (done && done(owner))
            return true;
        uint64_t next_us = next_event(net);
        if (next_us > end_us) {
            net->now_us = end_us;
            return false;
        }
        steps_without_time = next_us > net->now_us ? 0 : steps_without_time + 1;
        ensure(steps_without_time < STEPS_WITHOUT_TIME);
        net->now_us = max_of(net->now_us, next_us);
        step(net);
    }
}

void network_run(struct network *net, uint64_t duration_us)
{
    network_run_until(net, duration_us, NULL, NULL);
}

// ---- construction -------------------------------------------------------------------------------

struct network *network_new(uint64_t seed)
{
    struct network *net = memory_new(struct network);
    random_seeded_init(&net->random, seed);
    net->now_us = START_US;
    list_init(&net->endpoints);
    map_init(&net->by_inside, (uint64_t[2]){ 0 });
    map_init(&net->by_outside, (uint64_t[2]){ 0 });
    datagram_batch_init(&net->batch, BATCH_SIZE, BATCH_RUNS);
    net->batch.flush = send_batch;
    net->batch.owner = net;
    return net;
}

void network_free(struct network *net)
{
    if (!net)
        return;
    struct network_endpoint *endpoint;
    list_each(endpoint, &net->endpoints, node)
    {
        struct binding *binding;
        list_each(binding, &endpoint->bindings, node) free(binding);
        struct pair_pipe *pair;
        list_each(pair, &endpoint->pairs, node) free(pair);
        free(endpoint);
    }
    for (size_t i = 0; i < net->heap_count; i++)
        free(net->heap[i]);
    free(net->heap);
    map_done(&net->by_inside);
    map_done(&net->by_outside);
    datagram_batch_done(&net->batch);
    free(net);
}

struct network_endpoint *network_add(struct network *net, const struct network_ops *ops,
                                     void *owner)
{
    struct network_endpoint *endpoint = memory_new(struct network_endpoint);
    endpoint->net = net;
    endpoint->ops = ops;
    endpoint->owner = owner;
    endpoint->deadline_us = TIME_NEVER;
    list_init(&endpoint->bindings);
    list_init(&endpoint->pairs);
    list_append(&net->endpoints, &endpoint->node);
    return endpoint;
}

void network_bind(struct network_endpoint *endpoint, const struct net_address *address)
{
    struct network *net = endpoint->net;
    struct binding *binding = memory_new(struct binding);
    binding->endpoint = endpoint;
    binding->inside = *address;
    binding->outside = *address;
    list_append(&endpoint->bindings, &binding->node);
    ensure(!map_set(&net->by_inside, address_key(&binding->inside), binding));
    ensure(!map_set(&net->by_outside, address_key(&binding->outside), binding));
}

void network_unbind(struct network_endpoint *endpoint, const struct net_address *address)
{
    struct network *net = endpoint->net;
    struct binding *binding = map_remove(&net->by_inside, address_key(address));
    ensure(binding && binding->endpoint == endpoint);
    map_remove(&net->by_outside, address_key(&binding->outside));
    list_remove(&binding->node);
    free(binding);
}

void network_translate(struct network_endpoint *endpoint, const struct net_address *inside,
                       const struct net_address *outside)
{
    struct network *net = endpoint->net;
    struct binding *binding = map_find(&net->by_inside, address_key(inside));
    ensure(binding && binding->endpoint == endpoint);
    map_remove(&net->by_outside, address_key(&binding->outside));
    binding->outside = *outside;
    ensure(!map_set(&net->by_outside, address_key(&binding->outside), binding));
}

struct network_pipe *network_uplink(struct network_endpoint *endpoint)
{
    return &endpoint->uplink;
}

struct network_pipe *network_downlink(struct network_endpoint *endpoint)
{
    return &endpoint->downlink;
}

struct network_pipe *network_between(struct network_endpoint *from, struct network_endpoint *to)
{
    struct pair_pipe *pair = find_pair(from, to);
    if (!pair) {
        pair = memory_new(struct pair_pipe);
        pair->to = to;
        list_append(&from->pairs, &pair->node);
    }
    return &pair->pipe;
}

void network_pipe_set(struct network_pipe *pipe, const struct network_pipe_config *config)
{
    pipe->config = *config;
}

void network_pipe_cut(struct network_pipe *pipe, bool cut)
{
    pipe->cut = cut;
}

const struct network_pipe_stats *network_pipe_stats(const struct network_pipe *pipe)
{
    return &pipe->stats;
}

uint64_t network_now(const struct network *net)
{
    return net->now_us;
}

struct random *network_random(struct network *net)
{
    return &net->random;
}

uint64_t network_unroutable(const struct network *net)
{
    return net->unroutable;
}

void network_inject(struct network *net, const struct net_path *path, const void *data, size_t size)
{
    packet_send(net, NULL, path, data, size);
}
