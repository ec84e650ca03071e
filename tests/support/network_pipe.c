#include "support/network_pipe.h"

#define BITS_PER_BYTE        8
#define QUEUE_DEFAULT_US     200000ull
#define IPV4_UDP_HEADER_SIZE 28
#define IPV6_UDP_HEADER_SIZE 48

static bool chance(struct random *random, double probability)
{
    return probability > 0 && (double)random_u32(random) < probability * 4294967296.0;
}

static bool lost(struct network_pipe *pipe, struct random *random)
{
    double probability = pipe->config.loss;
    if (pipe->in_burst && pipe->config.loss_burst > 0)
        probability = pipe->config.loss_burst;
    pipe->in_burst = chance(random, probability);
    return pipe->in_burst;
}

/** Queues behind the bottleneck. Returns false when the queue is full. */
static bool pass_bottleneck(struct network_pipe *pipe, uint64_t now_us, size_t wire_size,
                            uint64_t *ret_done_us)
{
    uint64_t bps = pipe->config.bandwidth_bps;
    if (bps == 0) {
        *ret_done_us = now_us;
        return true;
    }
    uint64_t burst_us = (uint64_t)pipe->config.burst_bytes * BITS_PER_BYTE * TIME_US_PER_S / bps;
    // unused time counts, up to a full bucket
    pipe->busy_until_us = max_of(pipe->busy_until_us, now_us - min_of(burst_us, now_us));
    uint64_t waiting_us = pipe->busy_until_us > now_us ? pipe->busy_until_us - now_us : 0;
    uint64_t waiting_bytes = waiting_us * bps / BITS_PER_BYTE / TIME_US_PER_S;
    uint64_t limit = pipe->config.queue_bytes;
    if (limit == 0)
        limit = QUEUE_DEFAULT_US * bps / BITS_PER_BYTE / TIME_US_PER_S;
    // one datagram always fits, however short the queue
    if (waiting_bytes > 0 && waiting_bytes + wire_size > limit)
        return false;
    pipe->busy_until_us += (uint64_t)wire_size * BITS_PER_BYTE * TIME_US_PER_S / bps;
    *ret_done_us = max_of(pipe->busy_until_us, now_us);
    return true;
}

/** When a datagram leaves that passed the bottleneck at `at_us`. */
static uint64_t exit_time(struct network_pipe *pipe, uint64_t at_us, struct random *random)
{
    const struct network_pipe_config *config = &pipe->config;
    uint64_t exit_us = at_us + config->delay_us;
    if (config->jitter_us > 0)
        exit_us += random_below(random, (uint32_t)config->jitter_us + 1);
    if (chance(random, config->reorder))
        return exit_us + config->reorder_us; // others may overtake it
    if (!config->jitter_reorders && exit_us < pipe->last_exit_us)
        exit_us = pipe->last_exit_us;
    pipe->last_exit_us = exit_us;
    return exit_us;
}

int network_pipe_pass(struct network_pipe *pipe, uint64_t now_us, struct random *random,
                      const struct net_path *path, uint8_t *data, size_t size,
                      uint64_t ret_exit_us[2])
{
    struct network_pipe_config *config = &pipe->config;
    pipe->stats.entered++;
    pipe->stats.bytes += size;
    if (pipe->cut) {
        pipe->stats.cut++;
        return 0;
    }
    if (config->filter &&
        config->filter(config->filter_owner, now_us, path, data, size) == NETWORK_DROP) {
        pipe->stats.filtered++;
        return 0;
    }
    if (lost(pipe, random)) {
        pipe->stats.lost++;
        return 0;
    }
    size_t header = path->remote.family == NET_IPV6 ? IPV6_UDP_HEADER_SIZE : IPV4_UDP_HEADER_SIZE;
    uint64_t through_us;
    if (!pass_bottleneck(pipe, now_us, size + header, &through_us)) {
        pipe->stats.overflowed++;
        return 0;
    }
    int copies = 0;
    ret_exit_us[copies++] = exit_time(pipe, through_us, random);
    if (chance(random, config->duplicate)) {
        ret_exit_us[copies++] = exit_time(pipe, through_us, random);
        pipe->stats.duplicated++;
    }
    pipe->stats.delivered += (uint64_t)copies;
    return copies;
}
