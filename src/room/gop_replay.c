#include "room/gop_replay.h"

#include "base/time.h"
#include "room/subscription.h"

/** What the path is known to carry beside the stream must bring the group over in this time. */
#define CARRY_US (500 * TIME_US_PER_MS)
/**
 * What comes before the receiver has its keys is lost to it: with a stream that has sent nothing
 * yet we wait until it shows them, but no longer than this. Members do at once, by their data
 * channels; viewers without any show nothing before their first report.
 */
#define KEYS_WAIT_US (40 * TIME_US_PER_MS)

static bool carries(const struct subscription *subscription, const struct track_layer *layer,
                    const struct gop_run *run)
{
    uint64_t bandwidth_bps = rtc_sender_bandwidth_bps(subscription->sender);
    return bandwidth_bps == 0 ||
           (bandwidth_bps > layer->rates.bitrate_bps[MEDIA_POINT_BEST] &&
            (uint64_t)run->bytes * 8 * TIME_US_PER_S /
                    (bandwidth_bps - layer->rates.bitrate_bps[MEDIA_POINT_BEST]) <=
                CARRY_US);
}

/** The best layer that is sent now and has a group for this receiver; false without one. */
static bool find_run(const struct subscription *subscription, uint64_t now_us, uint8_t *ret_layer,
                     struct gop_run *ret_run)
{
    const struct track *track = subscription->track;
    if (track->blocked)
        return false;
    uint8_t best = subscription_best_layer(subscription, now_us);
    if (best == SUBSCRIPTION_NO_LAYER)
        return false;
    for (int i = best; i >= 0; i--) {
        const struct track_layer *layer = &track->layers[i];
        if (!track_layer_sent(track, now_us, (uint8_t)i) ||
            !gop_cache_run(&layer->gop, &layer->ring, now_us, track->gop_policy, ret_run) ||
            !carries(subscription, layer, ret_run))
            continue;
        *ret_layer = (uint8_t)i;
        return true;
    }
    return false;
}

void gop_replay_begin(struct subscription *subscription, uint64_t now_us)
{
    struct track *track = subscription->track;
    if (!track || !track->video || subscription->follow.active ||
        subscription->layer != SUBSCRIPTION_NO_LAYER)
        return;
    struct gop_run run;
    uint8_t layer;
    if (!find_run(subscription, now_us, &layer, &run)) {
        subscription_want_key_frame(subscription, now_us);
        return;
    }
    if (!rtc_sender_ready(subscription->sender))
        return;
    struct rtc_numbers numbers;
    rtc_sender_start_numbers(subscription->sender, &numbers);
    bool waits = numbers.sent_us == 0 && !rtc_sender_keys_shown(subscription->sender);
    follow_begin(subscription, now_us,
                 &(struct follow){
                     .past = true,
                     .layer = layer,
                     .last_timestamp = run.last_timestamp,
                     .next = run.first,
                     .begin_us = waits ? now_us + KEYS_WAIT_US : 0,
                 });
    metric_add(&track->behind->metrics->values[ROOM_METRIC_GOP_REPLAYS], 1);
}
