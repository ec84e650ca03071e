/**
 * The rate by delay: up until the queue grows, then down to what arrived
 * (draft-ietf-rmcat-gcc-02, 5.5). Increases are multiplicative as long as the path's capacity is
 * not known, additive near it.
 */
#pragma once

#include "proto/bwe/trend.h"

struct bwe_rate_control {
    double rate_bps;
    bool holds;          /**< waits for the queue to drain after a decrease */
    uint64_t changed_us; /**< last update; 0: none */
    uint64_t lowered_us; /**< last decrease; 0: none */
    int64_t queue_us;    /**< the longest queue since then, while it drains */
    double capacity_bps; /**< what arrived when the queue grew, averaged; 0: not known */
    double variance_bps; /**< of that, divided by it */
};

/** What an update goes by. */
struct bwe_rate_input {
    enum bwe_usage usage;
    double acknowledged_bps; /**< 0: not known */
    uint64_t round_trip_us;
    int64_t queue_us;
    bool limited; /**< the application sends much less than it may */
};

void bwe_rate_control_init(struct bwe_rate_control *control, double rate_bps);
/** One feedback's worth. Returns true when the rate went down. */
bool bwe_rate_control_update(struct bwe_rate_control *control, uint64_t now_us,
                             const struct bwe_rate_input *input);
/** Sets the rate by other evidence: a probe, an outage. */
void bwe_rate_control_set(struct bwe_rate_control *control, uint64_t now_us, double rate_bps);
