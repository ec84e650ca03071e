#include "room/follow.h"

#include "base/time.h"
#include "room/subscription.h"

/** A live picture that is later than this is better skipped. */
#define BEHIND_MAX_US (1000 * TIME_US_PER_MS)
/** Thousands who join at once wait for each other. */
#define PAST_MAX_US (4 * TIME_US_PER_S)
#define GATHER_MAX  32

void follow_queue_init(struct follow_queue *queue, struct room_metrics *metrics)
{
    *queue = (struct follow_queue){ .budget = FOLLOW_TICK_PACKETS, .metrics = metrics };
    list_init(&queue->waiting);
}

static void add_metric(const struct track *track, enum room_metric metric, uint64_t amount)
{
    metric_add(&track->behind->metrics->values[metric], amount);
}

uint32_t follow_queue_tick(struct follow_queue *queue, uint64_t now_us,
                           struct datagram_batch *batch)
{
    uint32_t sent = 0;
    struct list *last = queue->waiting.previous;
    while (!list_empty(&queue->waiting)) {
        struct list *node = queue->waiting.next;
        struct subscription *subscription =
            container_of(node, struct subscription, follow.by_queue);
        // who comes first has the path's room: another one the next time
        list_remove(node);
        list_append(&queue->waiting, node);
        sent += follow_pump(subscription, now_us, batch);
        if (node == last)
            break;
    }
    return sent;
}

void follow_init(struct follow *follow)
{
    *follow = (struct follow){ .active = false };
    list_init(&follow->by_queue);
}

void follow_begin(struct subscription *subscription, uint64_t now_us, const struct follow *begin)
{
    struct follow *follow = &subscription->follow;
    follow_stop(subscription);
    *follow = *begin;
    follow->active = true;
    follow->expire_us =
        max_of(now_us, follow->begin_us) + (follow->past ? PAST_MAX_US : BEHIND_MAX_US);
    if (subscription->layer != follow->layer)
        subscription->layer = SUBSCRIPTION_NO_LAYER;
    list_append(&subscription->track->behind->waiting, &follow->by_queue);
}

void follow_stop(struct subscription *subscription)
{
    list_remove(&subscription->follow.by_queue);
    subscription->follow.active = false;
}

static const struct packet_ring *ring_of(const struct subscription *subscription)
{
    return &subscription->track->layers[subscription->follow.layer].ring;
}

/**
 * Too far behind, or the ring has let go of what would come next: goes on at a key frame, from the
 * past if there is one that the path has room for, else at the next.
 */
static void skip(struct subscription *subscription, uint64_t now_us)
{
    add_metric(subscription->track,
               subscription->follow.past ? ROOM_METRIC_GOP_ABANDONED : ROOM_METRIC_PACED_SKIPPED,
               1);
    subscription_restart(subscription);
    gop_replay_begin(subscription, now_us);
}

/** What a packet takes of the path's room: nothing, if it is left out. */
static uint32_t cost_of(const struct subscription *subscription, struct packet *packet)
{
    const struct media_info *info = media_info_of(packet);
    bool left_out = info->layer == subscription->layer && !subscription_gets(subscription, info);
    return left_out ? 0 : packet->size;
}

/** Takes packets that may go now out of the ring; `*room` shrinks by them. */
static uint32_t gather(struct subscription *subscription, uint32_t *room, struct packet **packets)
{
    struct follow *follow = &subscription->follow;
    struct follow_queue *queue = subscription->track->behind;
    const struct packet_ring *ring = ring_of(subscription);
    uint32_t gathered = 0;
    while (gathered < GATHER_MAX && follow->next <= ring->newest) {
        struct packet *packet = packet_ring_find(ring, follow->next);
        if (packet && (cost_of(subscription, packet) > *room || queue->budget == 0))
            return gathered;
        follow->next++;
        if (!packet)
            continue;
        *room -= cost_of(subscription, packet);
        queue->budget--;
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

uint32_t follow_pump(struct subscription *subscription, uint64_t now_us,
                     struct datagram_batch *batch)
{
    struct follow *follow = &subscription->follow;
    if (!follow->active ||
        (now_us < follow->begin_us && !rtc_sender_keys_shown(subscription->sender)))
        return 0;
    const struct packet_ring *ring = ring_of(subscription);
    if (!ring->slots || follow->next < ring->oldest || now_us >= follow->expire_us) {
        skip(subscription, now_us);
        return 0;
    }
    const struct track *track = subscription->track;
    uint32_t room = rtc_sender_room(subscription->sender, now_us,
                                    follow->past ? RTC_URGENCY_PAST : RTC_URGENCY_LIVE);
    bool past = follow->past;
    struct packet *packets[GATHER_MAX];
    uint32_t gathered, sent = 0;
    while (follow->active && (gathered = gather(subscription, &room, packets)) > 0)
        sent += subscription_forward_packets(subscription, now_us, batch, packets, gathered,
                                             largest_payload(packets, gathered));
    if (follow->active && follow->next > ring->newest)
        follow_stop(subscription);
    add_metric(track, past ? ROOM_METRIC_GOP_PACKETS : ROOM_METRIC_PACED_PACKETS, sent);
    return sent;
}

uint32_t follow_burst(struct subscription *subscription, uint64_t now_us,
                      struct datagram_batch *batch, struct packet *const *packets, uint32_t count)
{
    struct follow *follow = &subscription->follow;
    uint32_t sent = 0;
    for (uint32_t i = 0; i < count && follow->active; i++) {
        const struct media_info *info = media_info_of(packets[i]);
        if (info->layer != follow->layer) {
            if (subscription_may_switch(subscription, now_us, follow->layer, info))
                follow_begin(subscription, now_us,
                             &(struct follow){ .layer = info->layer, .next = info->sequence });
        } else if (info->sequence < follow->next) {
            sent += subscription_forward_packets(subscription, now_us, batch, &packets[i], 1, 0);
        }
    }
    return sent + follow_pump(subscription, now_us, batch);
}

/** Whether this packet is one that the receiver gets next, not one of another layer or a late one.
 */
static bool comes_next(const struct subscription *subscription, uint64_t now_us,
                       const struct media_info *info)
{
    if (info->layer == subscription->layer && info->epoch == subscription->epoch)
        return rewrite_ahead(&subscription->rewrite, info->sequence) > 0;
    return subscription_may_switch(subscription, now_us, subscription->layer, info);
}

uint32_t follow_overflow(struct subscription *subscription, uint64_t now_us,
                         struct datagram_batch *batch, struct packet *const *packets,
                         uint32_t count, uint16_t pad_to)
{
    uint32_t room = rtc_sender_room(subscription->sender, now_us, RTC_URGENCY_LIVE);
    uint32_t sent = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct media_info *info = media_info_of(packets[i]);
        if (comes_next(subscription, now_us, info)) {
            uint32_t cost = cost_of(subscription, packets[i]);
            if (cost > room) {
                add_metric(subscription->track, ROOM_METRIC_PACED, 1);
                follow_begin(subscription, now_us,
                             &(struct follow){ .layer = info->layer, .next = info->sequence });
                return sent +
                       follow_burst(subscription, now_us, batch, packets + i + 1, count - i - 1);
            }
            room -= cost;
        }
        sent += subscription_forward_packets(subscription, now_us, batch, &packets[i], 1, pad_to);
    }
    return sent;
}
