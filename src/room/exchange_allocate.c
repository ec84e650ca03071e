// What each peer gets of each picture: the bandwidth of its path divided over its slots.
#include <stdio.h>

#include "room/exchange_int.h"

/** How often a peer's bandwidth is divided anew when nothing presses. */
#define DIVIDE_US (250 * TIME_US_PER_MS)
/**
 * Of a voice, even while it is silent: Opus on the wire, as browsers send it. Half of it are
 * headers, which packets that are repeated in others do without.
 */
#define AUDIO_BPS 60000
/** What is not given away: retransmissions, reports, and what the estimate is wrong by. */
#define RESERVE_SHARE 20

_Static_assert(RTC_SECTIONS_MAX <= ALLOCATE_ITEMS_MAX, "all slots of a peer are divided at once");

static void describe(struct subscription *subscription, uint64_t now_us, enum shed_level shed,
                     struct allocate_item *item)
{
    item->state = &subscription->allocation;
    item->priority = subscription->wish.priority;
    item->paused = subscription->wish.paused || shed == SHED_VIDEO;
    ladder_describe(subscription->track, now_us, &subscription->wish, item);
    ladder_shed(item, shed);
}

/** What a sound takes of the path. */
static uint64_t audio_bps_of(const struct subscription *subscription)
{
    if (subscription->track->unheard)
        return 0;
    const struct layer_rates *rates = &subscription->track->layers[0].rates;
    uint64_t bps = max_of(rates->bitrate_bps[MEDIA_POINT_BEST], (uint64_t)AUDIO_BPS);
    const struct redundancy *redundancy = &subscription->redundancy;
    return bps + bps / 2 * redundancy_allowed(redundancy);
}

static enum media_pause pause_of(const struct subscription *subscription, enum shed_level shed)
{
    if (subscription->wish.paused)
        return MEDIA_PAUSE_NONE; // it is not wanted
    if (shed == SHED_VIDEO)
        return MEDIA_PAUSE_SERVER;
    return subscription->allocation.step == ALLOCATE_NONE ? MEDIA_PAUSE_PATH : MEDIA_PAUSE_NONE;
}

/** Tells the receiver that a video stops that it wants to see, or goes on. */
static void tell_pause(struct exchange *exchange, const struct exchange_peer *peer, size_t section,
                       enum media_pause pause)
{
    struct subscription *subscription = peer->subscriptions[section];
    if (pause == subscription->paused || exchange->pauses_left == 0)
        return;
    exchange->pauses_left--;
    subscription->paused = pause;
    struct media_event event = {
        .kind = MEDIA_EVENT_PAUSED,
        .session = peer->session,
        .pause = pause,
    };
    snprintf(event.mid, sizeof(event.mid), "%s",
             rtc_peer_negotiated(peer->rtc)->sections[section].mid);
    exchange->config.ops->to_control(exchange->config.owner, &event);
}

/** Tells a subscription, and where it matters the receiver, what was chosen for it. */
static void settle(struct exchange *exchange, const struct exchange_peer *peer, size_t section,
                   uint64_t now_us)
{
    struct subscription *subscription = peer->subscriptions[section];
    uint8_t step = subscription->allocation.step;
    struct ladder_place place = { .layer = SUBSCRIPTION_NO_LAYER };
    if (step != ALLOCATE_NONE)
        place = ladder_place(subscription->track, now_us, &subscription->wish, step);
    subscription_allocated(subscription, now_us, &place);
    tell_pause(exchange, peer, section,
               pause_of(subscription, exchange_shed_level(exchange, peer, subscription)));
}

/** Sound is repeated for those who lose packets, but not so that no picture has room beside it. */
static void limit_redundancy(struct exchange_peer *peer, uint64_t left_bps)
{
    for (size_t i = 0; i < peer->section_count; i++) {
        struct subscription *subscription = peer->subscriptions[i];
        if (subscription && subscription->track && !subscription->track->video)
            redundancy_crowd(&subscription->redundancy, left_bps);
    }
}

static void divide(struct exchange *exchange, struct exchange_peer *peer, uint64_t now_us,
                   uint64_t bandwidth_bps)
{
    struct allocate_item *items = exchange->allocate_items;
    uint16_t *sections = exchange->allocate_sections;
    size_t count = 0;
    uint64_t audio_bps = 0;
    uint32_t shed = 0;
    for (size_t i = 0; i < peer->section_count; i++) {
        struct subscription *subscription = peer->subscriptions[i];
        if (!subscription || !subscription->track)
            continue;
        if (!subscription->track->video) {
            audio_bps += audio_bps_of(subscription);
            continue;
        }
        enum shed_level level = exchange_shed_level(exchange, peer, subscription);
        shed += level == SHED_VIDEO && !subscription->wish.paused;
        sections[count] = (uint16_t)i;
        describe(subscription, now_us, level, &items[count++]);
    }
    metric_value *shed_now = &exchange->metrics.values[ROOM_METRIC_SHED_VIDEOS];
    metric_set(shed_now, metric_get(shed_now) + shed - peer->shed);
    peer->shed = shed;
    uint64_t usable_bps = bandwidth_bps - bandwidth_bps / RESERVE_SHARE;
    uint64_t left_bps = usable_bps > audio_bps ? usable_bps - audio_bps : 0;
    struct allocate_sums sums;
    allocate_divide(now_us, left_bps, bandwidth_bps > 0 && left_bps == 0,
                    rtc_peer_explores(peer->rtc), items, count, &sums);
    for (size_t i = 0; i < count; i++)
        settle(exchange, peer, sections[i], now_us);
    limit_redundancy(peer, bandwidth_bps > 0 && sums.wanted_bps > left_bps ? left_bps : UINT64_MAX);
    peer->allocated_bps = sums.allocated_bps + audio_bps;
    rtc_peer_set_demand(peer->rtc, now_us, sums.allocated_bps + audio_bps,
                        sums.wanted_bps + audio_bps);
}

void exchange_allocate_tick(struct exchange *exchange, uint64_t now_us)
{
    size_t cursor = 0;
    void *value;
    while (map_next(&exchange->peers, &cursor, NULL, &value)) {
        struct exchange_peer *peer = value;
        if (shed_cut_is_none(&exchange->cut))
            exchange_probe_check(exchange, peer);
        uint64_t bandwidth_bps = rtc_peer_bandwidth_bps(peer->rtc);
        bool narrow = bandwidth_bps > 0 && bandwidth_bps < peer->allocated_bps &&
                      bandwidth_bps < peer->divided_bps;
        if (!narrow && peer->allocated_us > 0 && now_us - peer->allocated_us < DIVIDE_US)
            continue;
        peer->allocated_us = now_us;
        peer->divided_bps = bandwidth_bps;
        divide(exchange, peer, now_us, bandwidth_bps);
    }
}

void exchange_slot_wish(struct exchange *exchange, handle session, uint32_t section,
                        const struct media_wish *wish)
{
    struct exchange_peer *peer = exchange_find_peer(exchange, session);
    if (!peer || section >= peer->section_count || !peer->subscriptions[section])
        return;
    peer->subscriptions[section]->wish = *wish;
    peer->allocated_us = 0;
}
