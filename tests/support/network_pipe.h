/** One impaired wire of the virtual network. Private to network.c and its tests. */
#pragma once

#include "support/network.h"

struct network_pipe {
    struct network_pipe_config config;
    struct network_pipe_stats stats;
    uint64_t busy_until_us; /**< the bottleneck has sent all it holds */
    uint64_t last_exit_us;  /**< of the datagram that left last, to keep order */
    bool cut;
    bool in_burst;
};

/**
 * Sends a datagram into the pipe at `now_us`. Returns how many copies leave, 0 to 2, and when.
 * The filter may change `data`.
 */
int network_pipe_pass(struct network_pipe *pipe, uint64_t now_us, struct random *random,
                      const struct net_path *path, uint8_t *data, size_t size,
                      uint64_t ret_exit_us[2]);
