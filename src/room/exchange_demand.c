// Layers that nobody watches need not be encoded: what each worker's subscribers wish for goes to
// the publisher's worker, and from there to the publisher. More at once, less only after a while.
#include "room/exchange_int.h"

#define CHECK_US (250 * TIME_US_PER_MS)
/** Windows are resized and tabs changed: a layer rests when it was of no use for this long. */
#define LAYER_REST_US (5 * TIME_US_PER_S)
/** And all of a video: who comes next would have to wait for a key frame. */
#define VIDEO_REST_US (20 * TIME_US_PER_S)
/** A mirror's word may have met a full mailbox. */
#define REPEAT_US (2 * TIME_US_PER_S)

static uint8_t watched_here(const struct track *track, uint64_t now_us)
{
    uint8_t most = 0;
    const struct subscription *subscription;
    list_each(subscription, &track->subscriptions, by_track)
    {
        most = max_of(most, ladder_wanted_rows(track, now_us, &subscription->wish));
        if (most == TRACK_LAYERS_MAX)
            break;
    }
    return most;
}

static uint8_t watched_anywhere(const struct track *track, uint64_t now_us)
{
    uint8_t most = watched_here(track, now_us);
    uint32_t cursor = 0;
    uint16_t worker;
    while (most < TRACK_LAYERS_MAX && track_mirror_next(track, &cursor, &worker))
        most = max_of(most, track->demand.workers[worker]);
    return most;
}

static void tell_source(struct exchange *exchange, struct track *track, uint64_t now_us)
{
    struct track_demand *demand = &track->demand;
    uint8_t watched = watched_here(track, now_us);
    if (watched == demand->told && now_us - demand->told_us < REPEAT_US)
        return;
    demand->told = watched;
    demand->told_us = now_us;
    exchange->config.ops->to_worker(exchange->config.owner, track->source_worker,
                                    &(struct exchange_message){ .kind = EXCHANGE_DEMAND,
                                                                .worker = exchange->config.worker,
                                                                .count = watched,
                                                                .key = track->key });
}

static void tell_publisher(struct exchange *exchange, struct track *track, uint64_t now_us)
{
    struct track_demand *demand = &track->demand;
    uint8_t watched = watched_anywhere(track, now_us);
    if (watched >= demand->told)
        demand->less_since_us = 0;
    else if (demand->less_since_us == 0)
        demand->less_since_us = now_us;
    uint64_t rest_us = watched > 0 ? LAYER_REST_US : VIDEO_REST_US;
    if (watched == demand->told ||
        (watched < demand->told && now_us - demand->less_since_us < rest_us))
        return;
    demand->told = watched;
    demand->less_since_us = 0;
    exchange_report(exchange, track, MEDIA_EVENT_DEMAND);
}

void exchange_demand_tick(struct exchange *exchange, struct track *track, uint64_t now_us)
{
    if (now_us - track->demand.checked_us < CHECK_US)
        return;
    track->demand.checked_us = now_us;
    if (track->mirror)
        tell_source(exchange, track, now_us);
    else if (!track->blocked)
        tell_publisher(exchange, track, now_us);
}
