/** What a server's process uses, as the operating system tells it. */
#pragma once

#include <stdint.h>

struct server_usage {
    uint64_t cpu_ns;     /**< all threads, from /proc/PID/task/TID/schedstat */
    uint64_t waited_ns;  /**< the same: ready to run while its core ran others */
    uint64_t softirq_ns; /**< of its core's ksoftirqd: packets that were put off to it */
    uint64_t memory;     /**< resident bytes */
    uint64_t slab;       /**< kernel memory of the whole system for objects: sockets above all */
    uint64_t wakeups;    /**< voluntary context switches of all threads */
};

/** Zeros for what cannot be read. `core`: where the server is pinned. */
struct server_usage server_usage_read(long pid, int core);
struct server_usage server_usage_since(const struct server_usage *before,
                                       const struct server_usage *now);
