/**
 * Counters and gauges. A set belongs to one thread, which alone changes it; any thread may read.
 * Each folder describes its own in a .def file, one line per metric:
 *
 *     METRIC(UDP_RECEIVED, COUNTER, "udp_received_total", "", "Datagrams received.")
 *
 * Drop reasons are metrics as well, named "..._dropped_total{reason=\"...\"}" by their label.
 */
#pragma once

#include <stdatomic.h>

#include "base/text.h"

enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
};

struct metric_description {
    const char *name;   /**< without the "roost_" prefix; lines of one name stand together */
    const char *labels; /**< `reason="replayed"` or "" */
    const char *help;
    enum metric_kind kind;
};

/** One row of a description table: `#define METRIC METRIC_DESCRIPTION`, then include the .def. */
#define METRIC_DESCRIPTION(id, kind, name, labels, help)                                           \
    [id] = { name, labels, help, METRIC_##kind },

typedef _Atomic uint64_t metric_value;

static inline void metric_add(metric_value *value, uint64_t amount)
{
    // one writer: no read-modify-write instruction is needed
    uint64_t old = atomic_load_explicit(value, memory_order_relaxed);
    atomic_store_explicit(value, old + amount, memory_order_relaxed);
}

static inline void metric_subtract(metric_value *value, uint64_t amount)
{
    uint64_t old = atomic_load_explicit(value, memory_order_relaxed);
    atomic_store_explicit(value, old - amount, memory_order_relaxed);
}

static inline void metric_set(metric_value *value, uint64_t amount)
{
    atomic_store_explicit(value, amount, memory_order_relaxed);
}

static inline uint64_t metric_get(const metric_value *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/** One thread's values for one description table. */
struct metric_set {
    const struct metric_description *descriptions;
    const metric_value *values;
    size_t count;
    const char *labels; /**< `worker="0"` or "": added to every line of this set */
};

/**
 * Writes all sets in the Prometheus text exposition format 0.0.4, HELP and TYPE once per name.
 * Sets that share a description table should be neighbours.
 */
void metric_write(const struct metric_set *sets, size_t set_count, struct text_builder *out);
