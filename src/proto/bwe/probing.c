// When to probe, how fast, and what to make of the result.
#include "proto/bwe/bwe_int.h"

/** The first train is this much faster than the start value; each one after it twice the estimate.
 */
#define FIRST_FACTOR 3.0
#define FACTOR       2.0
/** The estimate has to be above what is wanted by this to give it all: probes aim there. */
#define WANTED_FACTOR 1.35
/** A train that is hardly faster than the estimate finds nothing. */
#define WORTH_FACTOR 1.1
/** Back to this share of what was there before a drop, so long after it, and no longer. */
#define RECOVERY_SHARE   0.85
#define RECOVERY_WAIT_US (500 * TIME_US_PER_MS)
#define RECOVERY_MAX_US  (15 * TIME_US_PER_S)
/** Down again this soon after a probe raised the estimate: the probe deceived. */
#define DECEIVED_US (4 * TIME_US_PER_S)
/** And by so much that it was not there in the first place. */
#define DECEIVED_SHARE 0.7
/** Probes wait while the queue is longer or losses are above the path's own by more. */
#define QUEUE_MAX_US (2 * BWE_QUEUE_US)
#define LOSS_MAX     0.05
/** When that share of the estimate is sent it grows by itself: probes are for jumps, and rare. */
#define FULL_SHARE    0.8
#define FULL_PAUSE_US (5 * TIME_US_PER_S)
/** The first train may also lower the estimate, when it found less than this share of it. */
#define LOWER_SHARE 0.5

static bool path_is_calm(const struct bwe *bwe)
{
    return bwe->trend.usage != BWE_USAGE_OVER && !bwe->rate_control.holds &&
           bwe->queue_us < QUEUE_MAX_US && bwe->loss.fraction - bwe->loss.own < LOSS_MAX &&
           bwe->waiting_us == 0;
}

bool bwe_wants_more(const struct bwe *bwe)
{
    return WANTED_FACTOR * (double)bwe->wanted_bps > WORTH_FACTOR * (double)bwe->estimate_bps;
}

/** Whether the application sends about what it may. */
static bool is_full(const struct bwe *bwe)
{
    return (double)bwe->sent_bps > FULL_SHARE * (double)bwe->estimate_bps;
}

/** What a probe should find; 0: none is of use. */
static double rate_to_probe(struct bwe *bwe, uint64_t now_us)
{
    double estimate_bps = (double)bwe->estimate_bps;
    double aim_bps = WANTED_FACTOR * (double)bwe->wanted_bps;
    if (!bwe_wants_more(bwe))
        return 0;
    if (!bwe->probe.found_first)
        return min_of(FIRST_FACTOR * estimate_bps, aim_bps);
    if (!bwe_heard(bwe) || !path_is_calm(bwe))
        return 0;
    uint64_t since_us = now_us - bwe->dropped_us;
    if (bwe->dropped_from_bps > 0 && since_us > RECOVERY_MAX_US)
        bwe->dropped_from_bps = 0;
    if (bwe->dropped_from_bps > 0 && since_us >= RECOVERY_WAIT_US + bwe->round_trip_us) {
        double back_bps = min_of(RECOVERY_SHARE * (double)bwe->dropped_from_bps, aim_bps);
        bwe->dropped_from_bps = 0;
        if (back_bps > WORTH_FACTOR * estimate_bps)
            return back_bps;
    }
    uint64_t next_us = bwe->probe.next_us + (is_full(bwe) ? FULL_PAUSE_US : 0);
    return now_us < next_us && !bwe->probe.hurry ? 0 : min_of(FACTOR * estimate_bps, aim_bps);
}

void bwe_consider_probe(struct bwe *bwe, uint64_t now_us)
{
    if (bwe->probe.state != BWE_PROBE_NONE || bwe->deaf)
        return;
    double rate_bps = rate_to_probe(bwe, now_us);
    if (rate_bps > 0) {
        bwe_probe_want(&bwe->probe, now_us, rate_bps);
        bwe->probe.full = is_full(bwe);
    }
}

void bwe_take_probe(struct bwe *bwe, uint64_t now_us, const struct bwe_told *told)
{
    bool first = !bwe->probe.found_first;
    double found_bps;
    if (!bwe_probe_judge(&bwe->probe, now_us, told->last_sequence, &found_bps))
        return;
    bool queues = bwe->trend.usage == BWE_USAGE_OVER;
    double estimate_bps = (double)bwe->estimate_bps;
    if (found_bps > estimate_bps && !queues) {
        // what the one before raised has stood
        if (bwe->probe.raised_us > 0 && now_us - bwe->probe.raised_us > DECEIVED_US)
            bwe->probe.deceived = 0;
        bwe_rate_control_set(&bwe->rate_control, now_us, found_bps);
        if (found_bps > bwe->rate_control.capacity_bps)
            bwe->rate_control.capacity_bps = 0;
        bwe_loss_lift(&bwe->loss, found_bps);
        bwe_probe_succeeded(&bwe->probe, now_us, found_bps);
        // what arrived before this was not what the path carries
        bwe_acknowledged_clear(&bwe->acknowledged);
        return;
    }
    // a guess is no better than what was found
    if (first && found_bps > 0 && found_bps < LOWER_SHARE * estimate_bps &&
        bwe->estimate_bps <= BWE_START_BPS)
        bwe_rate_control_set(&bwe->rate_control, now_us, found_bps);
    bwe_probe_failed(&bwe->probe, now_us);
}

void bwe_note_drop(struct bwe *bwe, uint64_t now_us, uint64_t from_bps)
{
    uint64_t raised_us = bwe->probe.raised_us;
    if (raised_us > 0 && now_us - raised_us < DECEIVED_US) {
        bwe->probe.raised_us = 0;
        if (!bwe->probe.full && (double)bwe->estimate_bps < DECEIVED_SHARE * bwe->probe.raised_bps)
            bwe->probe.deceived = (uint8_t)min_of(bwe->probe.deceived + 1, UINT8_MAX);
        bwe->dropped_from_bps = 0;
        if (bwe->probe.state == BWE_PROBE_NONE)
            bwe_probe_failed(&bwe->probe, now_us);
        return;
    }
    // several steps down are one drop
    bool same = bwe->dropped_from_bps > 0 && now_us - bwe->dropped_us < RECOVERY_WAIT_US;
    bwe->dropped_from_bps = same ? max_of(bwe->dropped_from_bps, from_bps) : from_bps;
    bwe->dropped_us = now_us;
}
