#include "proto/bwe/bwe_int.h"

/** Of the acknowledged rate. Shorter follows a drop sooner, longer evens out pictures. */
#define ACKNOWLEDGED_US (400 * TIME_US_PER_MS)
/** The sent rate is taken this often. */
#define SENT_US (200 * TIME_US_PER_MS)
/** Less than this share of the estimate is sent: the application is the limit. */
#define LIMITED_SHARE 0.8
/** No feedback at all for this long after the first packet: the receiver gives none. */
#define DEAF_US (1500 * TIME_US_PER_MS)
/** Packets are under way and feedback stays out for this and two round trips: silence. */
#define SILENCE_US (600 * TIME_US_PER_MS)
/** What silence leaves, each time. */
#define SILENCE_SHARE 0.5
/** Nothing was sent for this long: whatever queue there was is empty. */
#define DRAINED_US (1 * TIME_US_PER_S)
/** Nothing was sent for this long: the history is made small, the past forgotten. */
#define REST_US (10 * TIME_US_PER_S)
/** While feedback is waited for, it is looked at this often. */
#define LOOK_US (250 * TIME_US_PER_MS)
/** The limit is told for this long after a decrease. */
#define LIMIT_US (2 * TIME_US_PER_S)

void bwe_init(struct bwe *bwe, uint64_t now_us)
{
    *bwe = (struct bwe){ .started_us = now_us,
                         .estimate_bps = BWE_START_BPS,
                         .sent_us = now_us,
                         .tells_left = BWE_TELLS_MAX };
    bwe_history_init(&bwe->history);
    bwe_trend_init(&bwe->trend);
    bwe_rate_control_init(&bwe->rate_control, BWE_START_BPS);
}

void bwe_done(struct bwe *bwe)
{
    bwe_history_done(&bwe->history);
}

static double bounded(double bps)
{
    return bps < BWE_MIN_BPS ? BWE_MIN_BPS : min_of(bps, (double)BWE_MAX_BPS);
}

static void renew_estimate(struct bwe *bwe)
{
    bwe->rate_control.rate_bps = bounded(bwe->rate_control.rate_bps);
    double bps = bwe->rate_control.rate_bps;
    if (bwe->loss.limit_bps > 0)
        bps = min_of(bps, bounded(bwe->loss.limit_bps));
    bwe->estimate_bps = (uint64_t)bps;
}

static void measure_sent(struct bwe *bwe, uint64_t now_us)
{
    uint64_t passed_us = now_us - bwe->sent_us;
    if (passed_us < SENT_US)
        return;
    uint64_t bytes = bwe->history.sent_bytes - bwe->sent_before;
    uint64_t bps = bytes * 8 * TIME_US_PER_S / passed_us;
    bwe->sent_bps =
        bwe->sent_bps == 0 || passed_us > TIME_US_PER_S ? bps : (bwe->sent_bps + bps) / 2;
    bwe->sent_us = now_us;
    bwe->sent_before = bwe->history.sent_bytes;
}

static bool follow_delay(struct bwe *bwe, uint64_t now_us)
{
    bool limited = (double)bwe->sent_bps < LIMITED_SHARE * (double)bwe->estimate_bps;
    struct bwe_rate_input input = {
        .usage = bwe->trend.usage,
        .acknowledged_bps = (double)bwe->acknowledged_bps,
        .round_trip_us = bwe->round_trip_us,
        .queue_us = bwe->queue_us,
        .limited = limited,
    };
    // a few packets that come late do not make a queue
    if (limited && input.usage == BWE_USAGE_OVER && bwe->queue_us < BWE_QUEUE_US)
        input.usage = BWE_USAGE_UNDER;
    bool known = bwe->rate_control.capacity_bps > 0;
    bool lowered = bwe_rate_control_update(&bwe->rate_control, now_us, &input);
    // more came through than the path was thought to carry: how much more is worth a look
    if (known && bwe->rate_control.capacity_bps == 0 && input.usage == BWE_USAGE_NORMAL)
        bwe->probe.hurry = true;
    return lowered;
}

static bool follow_losses(struct bwe *bwe, uint64_t now_us)
{
    struct bwe_loss_input input = {
        .rate_bps = bwe->rate_control.rate_bps,
        .sent_bps = (double)bwe->sent_bps,
        .acknowledged_bps = (double)bwe->acknowledged_bps,
        .round_trip_us = bwe->round_trip_us,
    };
    return bwe_loss_update(&bwe->loss, now_us, &input);
}

void bwe_update(struct bwe *bwe, uint64_t now_us, const struct bwe_told *told)
{
    uint64_t before_bps = bwe->estimate_bps;
    bwe->feedback_us = now_us;
    bwe->deaf = false;
    bwe->waiting_us = 0;
    bwe->acknowledged_bps = bwe_acknowledged_bps(&bwe->acknowledged, ACKNOWLEDGED_US);
    measure_sent(bwe, now_us);
    bwe_loss_count(&bwe->loss, now_us, told->received, told->lost, told->recovered);
    bool lowered = follow_delay(bwe, now_us);
    bwe_standing_update(&bwe->standing, now_us, bwe->queue_us, lowered);
    bwe->trend.steep = bwe->standing.found;
    lowered |= follow_losses(bwe, now_us);
    renew_estimate(bwe);
    if (lowered && bwe->estimate_bps < before_bps)
        bwe_note_drop(bwe, now_us, before_bps);
    bwe_take_probe(bwe, now_us, told);
    renew_estimate(bwe);
    bwe_consider_probe(bwe, now_us);
}

void bwe_set_wanted(struct bwe *bwe, uint64_t now_us, uint64_t wanted_bps)
{
    bwe->wanted_bps = wanted_bps;
    bwe_consider_probe(bwe, now_us);
}

void bwe_path_changed(struct bwe *bwe, uint64_t now_us)
{
    // what flows goes on to flow, so that nothing stops for a path that may be as good
    uint64_t most_bps =
        max_of(bwe->acknowledged_bps + bwe->acknowledged_bps / 4, (uint64_t)BWE_START_BPS);
    struct bwe fresh = {
        .history = bwe->history,
        .started_us = now_us,
        .wanted_bps = bwe->wanted_bps,
        .sent_us = now_us,
        .sent_before = bwe->history.sent_bytes,
        .tells_left = bwe->tells_left,
        .tells_next = bwe->tells_next,
        .estimate_bps = min_of(bwe->estimate_bps, most_bps),
        .probe.id = bwe->probe.id,
    };
    *bwe = fresh;
    bwe_trend_init(&bwe->trend);
    bwe_rate_control_init(&bwe->rate_control, (double)bwe->estimate_bps);
    bwe_consider_probe(bwe, now_us);
}

/** Packets leave and no word comes back: each time, half of the rate is risked no more. */
static void mind_silence(struct bwe *bwe, uint64_t now_us)
{
    if (bwe->history.last_sent_us <= bwe->feedback_us) {
        bwe->waiting_us = 0;
        return;
    }
    if (bwe->waiting_us == 0)
        bwe->waiting_us = now_us;
    if (now_us - bwe->waiting_us < SILENCE_US + 2 * bwe->round_trip_us)
        return;
    uint64_t before_bps = bwe->estimate_bps;
    bwe_rate_control_set(&bwe->rate_control, now_us, (double)before_bps * SILENCE_SHARE);
    renew_estimate(bwe);
    bwe_note_drop(bwe, now_us, before_bps);
    bwe->waiting_us = now_us;
    bwe->silence_us = now_us;
}

void bwe_tick(struct bwe *bwe, uint64_t now_us)
{
    bwe->tick_us = now_us;
    bwe_probe_tick(&bwe->probe, now_us);
    if (!bwe_heard(bwe)) {
        bwe->deaf |= bwe->history.last_sent_us >= bwe->started_us + DEAF_US;
        return;
    }
    mind_silence(bwe, now_us);
    if (now_us - bwe->history.last_sent_us > DRAINED_US) {
        bwe->trend.usage = BWE_USAGE_NORMAL;
        bwe->rate_control.holds = false;
        bwe->queue_us = 0;
    }
    if (now_us - bwe->history.last_sent_us > REST_US)
        bwe_history_shrink(&bwe->history);
    bwe_consider_probe(bwe, now_us);
}

uint64_t bwe_deadline(const struct bwe *bwe)
{
    bool waits = bwe->history.last_sent_us > bwe->feedback_us || bwe_wants_more(bwe);
    uint64_t look_us = waits && !bwe->deaf ? bwe->tick_us + LOOK_US : TIME_NEVER;
    return time_earlier(look_us, bwe_probe_deadline(&bwe->probe));
}

enum bwe_limit bwe_limit(const struct bwe *bwe, uint64_t now_us)
{
    if (bwe->silence_us > bwe->feedback_us)
        return BWE_LIMIT_SILENCE;
    if (bwe->loss.limit_bps > 0 && bwe->loss.limit_bps < bwe->rate_control.rate_bps)
        return BWE_LIMIT_LOSS;
    uint64_t lowered_us = bwe->rate_control.lowered_us;
    if (lowered_us > 0 && now_us - lowered_us < LIMIT_US)
        return BWE_LIMIT_DELAY;
    return BWE_LIMIT_NONE;
}
