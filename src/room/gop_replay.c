#include "room/gop_replay.h"

#include "base/time.h"
#include "room/subscription.h"

/** A receiver's path is not known yet when it joins: fast, but no burst that fills its queues. */
#define PACE_BYTES_PER_MS 3000
#define CREDIT_MAX        (PACE_BYTES_PER_MS * 20)
/** What the path is known to carry must bring the group over in this time. */
#define CARRY_US (500 * TIME_US_PER_MS)
/** A layer without packets for this long is not being sent. */
#define LAYER_SILENT_US (1000 * TIME_US_PER_MS)
#define GATHER_MAX      32
/**
 * Our side of a handshake is done a moment before the receiver's, and what comes earlier than its
 * keys is lost to it: a stream that has sent nothing yet begins so much later.
 */
#define SETTLE_US (40 * TIME_US_PER_MS)

static void count(const struct track *track, enum room_metric metric, uint64_t amount)
{
    metric_add(&track->gop_policy->metrics->values[metric], amount);
}

static bool carries(const struct subscription *subscription, const struct gop_run *run)
{
    uint64_t bandwidth_bps = rtc_sender_bandwidth_bps(subscription->sender);
    return bandwidth_bps == 0 ||
           (uint64_t)run->bytes * 8 * TIME_US_PER_S / bandwidth_bps <= CARRY_US;
}

/** The best layer that is sent now and has a group for this receiver; false without one. */
static bool find_run(const struct subscription *subscription, uint64_t now_us, uint8_t *ret_layer,
                     struct gop_run *ret_run)
{
    const struct track *track = subscription->track;
    if (!track->gop_policy || track->blocked)
        return false;
    uint8_t best = subscription_best_layer(subscription, now_us);
    if (best == SUBSCRIPTION_NO_LAYER)
        return false;
    for (int i = best; i >= 0; i--) {
        const struct track_layer *layer = &track->layers[i];
        if (layer->last_packet_us + LAYER_SILENT_US < now_us ||
            !gop_cache_run(&layer->gop, &layer->ring, now_us, track->gop_policy, ret_run) ||
            !carries(subscription, ret_run))
            continue;
        *ret_layer = (uint8_t)i;
        return true;
    }
    return false;
}

void gop_replay_begin(struct subscription *subscription, uint64_t now_us)
{
    struct track *track = subscription->track;
    struct gop_replay *replay = &subscription->replay;
    if (!track || !track->video || replay->active || subscription->layer != SUBSCRIPTION_NO_LAYER)
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
    *replay = (struct gop_replay){
        .active = true,
        .layer = layer,
        .last_timestamp = run.last_timestamp,
        .next = run.first,
        .pumped_us = now_us + (numbers.sent_us == 0 ? SETTLE_US : 0),
        .credit = CREDIT_MAX,
    };
    track->replaying++;
    count(track, ROOM_METRIC_GOP_REPLAYS, 1);
}

void gop_replay_stop(struct subscription *subscription)
{
    if (!subscription->replay.active)
        return;
    subscription->replay.active = false;
    subscription->track->replaying--;
}

/** The ring has let go of what the receiver should get next. */
static void abandon(struct subscription *subscription, uint64_t now_us)
{
    count(subscription->track, ROOM_METRIC_GOP_ABANDONED, 1);
    subscription_restart(subscription);
    subscription_want_key_frame(subscription, now_us);
}

/** Takes packets that may go now out of the ring. Ends the replay when it has caught up. */
static uint32_t gather(struct subscription *subscription, struct packet **packets)
{
    struct gop_replay *replay = &subscription->replay;
    struct track *track = subscription->track;
    const struct packet_ring *ring = &track->layers[replay->layer].ring;
    uint32_t gathered = 0;
    while (gathered < GATHER_MAX && replay->next <= ring->newest) {
        struct packet *packet = packet_ring_find(ring, replay->next);
        if (packet && (packet->size > replay->credit || track->gop_policy->budget == 0))
            return gathered;
        replay->next++;
        if (!packet)
            continue;
        replay->credit -= packet->size;
        track->gop_policy->budget--;
        packets[gathered++] = packet;
    }
    return gathered;
}

static uint16_t largest_payload(struct packet *const *packets, uint32_t count)
{
    uint16_t largest = 0;
    for (uint32_t i = 0; i < count; i++)
        largest = max_of(largest, media_info_of(packets[i])->payload_size);
    return largest;
}

uint32_t gop_replay_pump(struct subscription *subscription, uint64_t now_us,
                         struct datagram_batch *batch)
{
    struct gop_replay *replay = &subscription->replay;
    if (!replay->active || now_us < replay->pumped_us)
        return 0;
    struct track *track = subscription->track;
    const struct packet_ring *ring = &track->layers[replay->layer].ring;
    if (!ring->slots || replay->next < ring->oldest) {
        abandon(subscription, now_us);
        return 0;
    }
    uint64_t passed_ms = (now_us - replay->pumped_us) / TIME_US_PER_MS;
    replay->pumped_us += passed_ms * TIME_US_PER_MS;
    replay->credit =
        (uint32_t)min_of(replay->credit + passed_ms * PACE_BYTES_PER_MS, (uint64_t)CREDIT_MAX);
    struct packet *packets[GATHER_MAX];
    uint32_t gathered, sent = 0;
    while (replay->active && (gathered = gather(subscription, packets)) > 0)
        sent += subscription_forward_packets(subscription, now_us, batch, packets, gathered,
                                             largest_payload(packets, gathered));
    if (replay->active && replay->next > ring->newest)
        gop_replay_stop(subscription);
    count(track, ROOM_METRIC_GOP_PACKETS, sent);
    return sent;
}

uint32_t gop_replay_burst(struct subscription *subscription, uint64_t now_us,
                          struct datagram_batch *batch, struct packet *const *packets,
                          uint32_t count)
{
    uint32_t sent = 0;
    const struct gop_replay *replay = &subscription->replay;
    for (uint32_t i = 0; i < count && replay->active; i++) {
        const struct media_info *info = media_info_of(packets[i]);
        if (info->layer == replay->layer && info->sequence < replay->next)
            sent += subscription_forward_packets(subscription, now_us, batch, &packets[i], 1, 0);
    }
    return sent + gop_replay_pump(subscription, now_us, batch);
}
