#include "proto/bwe/rate_control.h"

#include "base/time.h"

/** Down to this share of what arrived: the queue drains. */
#define DECREASE 0.85
/** Up by this share each second while the capacity is not known. */
#define INCREASE_PER_S         0.08
#define INCREASE_MIN_BPS_PER_S 4000.0
/** Never above this times what arrived, and a bit: more would be a guess. */
#define BEYOND     1.5
#define BEYOND_BPS 10000.0
/** Weight of a new sample of the capacity. */
#define CAPACITY_WEIGHT 0.05
/** What lies so many standard deviations away from the capacity is another capacity. */
#define CAPACITY_DEVIATIONS 3.0
/** Bounds of the variance, as a share of the capacity. */
#define VARIANCE_MIN_BPS 400.0
#define VARIANCE_MAX_BPS 2500.0
/** Near the capacity: one packet of this size more per response time, each second. */
#define PACKET_BITS (1200 * 8.0)
#define RESPONSE_US (100 * TIME_US_PER_MS)
/** A queue shorter by this than it was is draining. */
#define DRAINING_US (10 * (int64_t)TIME_US_PER_MS)
/** After a decrease the queue gets this long, or a round trip, before the next. */
#define DRAIN_MIN_US (10 * TIME_US_PER_MS)
#define DRAIN_MAX_US (200 * TIME_US_PER_MS)

void bwe_rate_control_init(struct bwe_rate_control *control, double rate_bps)
{
    *control = (struct bwe_rate_control){ .rate_bps = rate_bps };
}

static void learn_capacity(struct bwe_rate_control *control, double sample_bps)
{
    if (control->capacity_bps == 0) {
        control->capacity_bps = sample_bps;
        control->variance_bps = VARIANCE_MIN_BPS;
        return;
    }
    double error = sample_bps - control->capacity_bps;
    control->capacity_bps += CAPACITY_WEIGHT * error;
    double variance_bps = error * error / max_of(control->capacity_bps, 1000.0);
    control->variance_bps += CAPACITY_WEIGHT * (variance_bps - control->variance_bps);
    control->variance_bps = control->variance_bps < VARIANCE_MIN_BPS
                                ? VARIANCE_MIN_BPS
                                : min_of(control->variance_bps, VARIANCE_MAX_BPS);
}

/** Forgets a capacity that `acknowledged_bps` shows to be outdated. */
static void doubt_capacity(struct bwe_rate_control *control, double acknowledged_bps, bool over)
{
    double error = acknowledged_bps - control->capacity_bps;
    if (control->capacity_bps == 0 || (error < 0 && !over))
        return;
    double deviation_squared = control->variance_bps * control->capacity_bps;
    if (error * error > CAPACITY_DEVIATIONS * CAPACITY_DEVIATIONS * deviation_squared)
        control->capacity_bps = 0;
}

static bool may_lower(const struct bwe_rate_control *control, uint64_t now_us,
                      const struct bwe_rate_input *input)
{
    // the slope is that of the last groups: it looks back at a queue that already drains
    if (control->holds && input->queue_us < control->queue_us - DRAINING_US)
        return false;
    uint64_t drain_us = min_of(input->round_trip_us, (uint64_t)DRAIN_MAX_US);
    drain_us = max_of(drain_us, (uint64_t)DRAIN_MIN_US);
    return control->lowered_us == 0 || now_us - control->lowered_us >= drain_us ||
           input->acknowledged_bps < control->rate_bps / 2;
}

static bool lower(struct bwe_rate_control *control, uint64_t now_us,
                  const struct bwe_rate_input *input)
{
    bool may = input->acknowledged_bps > 0 && may_lower(control, now_us, input);
    control->queue_us =
        control->holds ? max_of(control->queue_us, input->queue_us) : input->queue_us;
    control->holds = true;
    if (!may)
        return false;
    double rate_bps = DECREASE * input->acknowledged_bps;
    doubt_capacity(control, input->acknowledged_bps, true);
    if (rate_bps > control->rate_bps && control->capacity_bps > 0)
        rate_bps = DECREASE * control->capacity_bps;
    // what arrived while little is sent says nothing about the capacity
    if (!input->limited)
        learn_capacity(control, input->acknowledged_bps);
    control->lowered_us = now_us;
    if (rate_bps >= control->rate_bps)
        return false;
    control->rate_bps = rate_bps;
    return true;
}

static double step(const struct bwe_rate_control *control, const struct bwe_rate_input *input,
                   double passed_s)
{
    double per_s = control->rate_bps * INCREASE_PER_S;
    if (control->capacity_bps > 0)
        per_s = PACKET_BITS * (double)TIME_US_PER_S / (double)(input->round_trip_us + RESPONSE_US);
    return max_of(per_s, INCREASE_MIN_BPS_PER_S) * passed_s;
}

static void raise(struct bwe_rate_control *control, uint64_t now_us,
                  const struct bwe_rate_input *input)
{
    double passed_s = (double)(now_us - control->changed_us) / (double)TIME_US_PER_S;
    doubt_capacity(control, input->acknowledged_bps, false);
    double limit_bps = BEYOND * input->acknowledged_bps + BEYOND_BPS;
    double rate_bps = control->rate_bps;
    // a path that is half empty says nothing of more: probes do
    if (!input->limited)
        rate_bps += step(control, input, min_of(passed_s, 1.0));
    rate_bps = min_of(rate_bps, limit_bps);
    // what came through without a queue is carried; near a known capacity it may be the old queue
    if (control->capacity_bps == 0)
        rate_bps = max_of(rate_bps, input->acknowledged_bps);
    control->rate_bps = max_of(control->rate_bps, rate_bps);
}

bool bwe_rate_control_update(struct bwe_rate_control *control, uint64_t now_us,
                             const struct bwe_rate_input *input)
{
    bool lowered = false;
    if (input->usage == BWE_USAGE_OVER)
        lowered = lower(control, now_us, input);
    else if (input->usage == BWE_USAGE_NORMAL && control->holds)
        control->holds = false;
    else if (input->usage == BWE_USAGE_NORMAL && control->changed_us > 0)
        raise(control, now_us, input);
    control->changed_us = now_us;
    return lowered;
}

void bwe_rate_control_set(struct bwe_rate_control *control, uint64_t now_us, double rate_bps)
{
    control->rate_bps = rate_bps;
    control->changed_us = now_us;
}
