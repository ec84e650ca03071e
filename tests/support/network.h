/**
 * A virtual network in virtual time: endpoints (engines wrapped in four functions), datagrams that
 * travel over pipes, and a loop that jumps from event to event. Everything random comes from one
 * seed, so each run can be repeated.
 *
 * A datagram from A to B passes A's uplink pipe, the pipe of the pair if one is set, and B's
 * downlink pipe. Each pipe applies, in this order: cut, filter, loss, queue with bandwidth,
 * delay with jitter, reordering, duplication. A zeroed configuration is a perfect wire.
 *
 *     struct network *net = network_new(1);
 *     struct network_endpoint *a = network_add(net, &ops, engine_a);
 *     network_bind(a, &address_a);
 *     network_pipe_set(network_uplink(a), &(struct network_pipe_config){ .loss = 0.1,
 *                                                                        .delay_us = 20000 });
 *     network_run(net, time_from_s(10));
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"
#include "base/datagram.h"
#include "base/random.h"
#include "base/time.h"

struct network;
struct network_endpoint;
struct network_pipe;

/** How the network drives an engine. Any may be NULL. `owner` is what network_add was given. */
struct network_ops {
    void (*input)(void *owner, uint64_t now_us, const struct net_path *path, struct bytes datagram);
    void (*tick)(void *owner, uint64_t now_us);
    /** When the engine wants tick or output; at or before now: at once. */
    uint64_t (*deadline)(void *owner);
    void (*output)(void *owner, uint64_t now_us, struct datagram_batch *batch);
};

enum network_verdict {
    NETWORK_PASS,
    NETWORK_DROP,
};

/**
 * Sees every datagram that enters a pipe and may change its bytes in place (not its size). `path`
 * is the sender's: local is the source.
 */
typedef enum network_verdict network_filter(void *owner, uint64_t now_us,
                                            const struct net_path *path, uint8_t *data,
                                            size_t size);

struct network_pipe_config {
    double loss;       /**< chance of each datagram, 0 to 1 */
    double loss_burst; /**< chance that a loss is followed by another; 0: independent losses */
    double duplicate;  /**< chance of a second copy, delayed like a datagram of its own */
    double reorder;    /**< chance of being held back by `reorder_us` */
    uint64_t reorder_us;
    uint64_t delay_us;
    uint64_t
        jitter_us; /**< added, uniform in [0, jitter_us]; order is kept unless `jitter_reorders` */
    bool jitter_reorders;
    uint64_t bandwidth_bps; /**< 0: unlimited. Of IP packets: 28 or 48 bytes are added to each */
    uint32_t queue_bytes;   /**< that may wait for the bottleneck; 0: 200 ms worth */
    uint32_t burst_bytes;   /**< pass at once after a rest, as token buckets let them */
    network_filter *filter;
    void *filter_owner;
};

struct network_pipe_stats {
    uint64_t entered;
    uint64_t delivered;  /**< left the pipe, copies too */
    uint64_t lost;       /**< by chance */
    uint64_t overflowed; /**< no room in the queue */
    uint64_t cut;
    uint64_t filtered;
    uint64_t duplicated;
    uint64_t bytes; /**< of payload that entered */
};

/** Never NULL. Time starts at 1 s: 0 is no time of a real clock. */
struct network *network_new(uint64_t seed);
/** Accepts NULL. Endpoints go with it, their owners do not. */
void network_free(struct network *net);

/** `ops` must outlive the network. Never NULL. */
struct network_endpoint *network_add(struct network *net, const struct network_ops *ops,
                                     void *owner);
/** Gives an address to an endpoint; an endpoint may have many. */
void network_bind(struct network_endpoint *endpoint, const struct net_address *address);
/** Takes an address away: what is sent from or to it is lost, and counted as unroutable. */
void network_unbind(struct network_endpoint *endpoint, const struct net_address *address);
/**
 * One-to-one address translation as of a NAT: datagrams from the bound address `inside` appear to
 * come from `outside`, those to `outside` arrive at `inside`. Calling it again rebinds.
 */
void network_translate(struct network_endpoint *endpoint, const struct net_address *inside,
                       const struct net_address *outside);

/** The pipes. That of a pair is made at the first call, is for one direction only. */
struct network_pipe *network_uplink(struct network_endpoint *endpoint);
struct network_pipe *network_downlink(struct network_endpoint *endpoint);
struct network_pipe *network_between(struct network_endpoint *from, struct network_endpoint *to);
/** Changes a pipe; datagrams under way are not touched. */
void network_pipe_set(struct network_pipe *pipe, const struct network_pipe_config *config);
/** A cut pipe loses everything. */
void network_pipe_cut(struct network_pipe *pipe, bool cut);
const struct network_pipe_stats *network_pipe_stats(const struct network_pipe *pipe);

uint64_t network_now(const struct network *net);
/** The network's own generator, for tests that want randomness that belongs to the run. */
struct random *network_random(struct network *net);
/** Datagrams that no endpoint had the address for. */
uint64_t network_unroutable(const struct network *net);
/** Sends a datagram that no engine made, as an attacker would; the source need not be bound. */
void network_inject(struct network *net, const struct net_path *path, const void *data,
                    size_t size);

/** Runs for `duration_us` of virtual time. */
void network_run(struct network *net, uint64_t duration_us);
/**
 * Runs until `done(owner)` is true or `timeout_us` has passed; looks after every step. Returns
 * whether it became true.
 */
bool network_run_until(struct network *net, uint64_t timeout_us, bool (*done)(void *owner),
                       void *owner);
