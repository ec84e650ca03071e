// Peers of this worker: their publications and slots as negotiated.
#include "room/exchange_int.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/time.h"

/** A voice whose newest packet is older pauses: most send one in 20 ms. */
#define VOICE_NEWEST_US (40 * TIME_US_PER_MS)

struct exchange_peer *exchange_find_peer(struct exchange *exchange, handle session)
{
    return map_find(&exchange->peers, map_key_u64(&session));
}

static void resize(struct exchange_peer *peer, size_t section_count)
{
    if (section_count <= peer->section_count)
        return;
    peer->tracks = memory_resize(peer->tracks, section_count * sizeof(*peer->tracks));
    peer->subscriptions =
        memory_resize(peer->subscriptions, section_count * sizeof(*peer->subscriptions));
    for (size_t i = peer->section_count; i < section_count; i++) {
        peer->tracks[i] = NULL;
        peer->subscriptions[i] = NULL;
    }
    peer->section_count = section_count;
}

static void drop_subscription(struct exchange *exchange, struct exchange_peer *peer, size_t section)
{
    struct subscription *subscription = peer->subscriptions[section];
    if (!subscription)
        return;
    struct track *track = subscription->track;
    peer->subscriptions[section] = subscription_free(subscription);
    if (track)
        exchange_mirror_release(exchange, track);
}

static void drop_track(struct exchange *exchange, struct exchange_peer *peer, size_t section)
{
    if (!peer->tracks[section])
        return;
    exchange_track_drop(exchange, peer->tracks[section]);
    peer->tracks[section] = NULL;
}

static void sync_section(struct exchange *exchange, struct exchange_peer *peer, size_t index,
                         const struct rtc_section *section)
{
    struct rtc_sender *sender = rtc_peer_sender(peer->rtc, (uint16_t)index);
    // a slot that was given up and taken again has a new sender
    if (peer->subscriptions[index] && peer->subscriptions[index]->sender != sender)
        drop_subscription(exchange, peer, index);
    if (sender && !peer->subscriptions[index]) {
        peer->subscriptions[index] = subscription_new(sender);
        peer->subscriptions[index]->protection.mode = exchange->config.protection;
    }
    bool publishes = rtc_section_publishes(section) &&
                     (section->kind == RTC_KIND_AUDIO || section->kind == RTC_KIND_VIDEO);
    if (!publishes) {
        drop_track(exchange, peer, index);
    } else if (!peer->tracks[index]) {
        struct track_key key = { .session = peer->session, .section = (uint32_t)index };
        peer->tracks[index] = track_new(&key, section->kind == RTC_KIND_VIDEO);
        exchange_track_add(exchange, peer->tracks[index]);
    }
}

/** The more a publisher sends, the less is kept of each: one must not take the pool from all. */
static void share_history(struct exchange_peer *peer)
{
    size_t videos = 0;
    for (size_t i = 0; i < peer->section_count; i++)
        videos += peer->tracks[i] && peer->tracks[i]->video;
    for (size_t i = 0; i < peer->section_count; i++) {
        if (peer->tracks[i] && peer->tracks[i]->video)
            track_share(peer->tracks[i], videos);
    }
}

static void sync_peer(struct exchange *exchange, struct exchange_peer *peer)
{
    const struct rtc_negotiated *negotiated = rtc_peer_negotiated(peer->rtc);
    resize(peer, negotiated->section_count);
    for (size_t i = 0; i < negotiated->section_count; i++)
        sync_section(exchange, peer, i, &negotiated->sections[i]);
    share_history(peer);
}

void exchange_peer_add(struct exchange *exchange, handle session, struct rtc_peer *rtc)
{
    ensure(!exchange_find_peer(exchange, session));
    struct exchange_peer *peer = memory_new(struct exchange_peer);
    peer->session = session;
    peer->number = exchange->came++;
    list_append(&exchange->by_age, &peer->by_age);
    list_init(&peer->probe.by_exchange);
    peer->rtc = rtc;
    map_set(&exchange->peers, map_key_u64(&session), peer);
    metric_add(&exchange->metrics.values[ROOM_METRIC_PEERS], 1);
    sync_peer(exchange, peer);
}

void exchange_peer_update(struct exchange *exchange, handle session)
{
    struct exchange_peer *peer = exchange_find_peer(exchange, session);
    if (peer)
        sync_peer(exchange, peer);
}

/** What the voice said last; NULL while it pauses. */
static struct packet *newest_of_voice(const struct track *track, uint64_t now_us)
{
    const struct packet_ring *ring = &track->layers[0].ring;
    struct packet *packet = packet_ring_find(ring, ring->newest);
    return packet && packet->received_us + VOICE_NEWEST_US > now_us ? packet : NULL;
}

/**
 * Video begins as when the slot was filled. A voice begins with its newest packet, rather than with
 * the next one, which is 10 ms later on average.
 */
static uint32_t begin(struct subscription *subscription, uint64_t now_us,
                      struct datagram_batch *batch)
{
    const struct track *track = subscription->track;
    if (track && track->video) {
        gop_replay_begin(subscription, now_us);
        return follow_pump(subscription, now_us, batch);
    }
    if (!track || track->blocked || track->unheard || subscription->layer != SUBSCRIPTION_NO_LAYER)
        return 0;
    struct packet *packet = newest_of_voice(track, now_us);
    return packet ? subscription_forward_packets(subscription, now_us, batch, &packet, 1, 0) : 0;
}

void exchange_peer_ready(struct exchange *exchange, uint64_t now_us, handle session,
                         struct datagram_batch *batch)
{
    struct exchange_peer *peer = exchange_find_peer(exchange, session);
    if (!peer)
        return;
    // the last flight of the handshake goes first: by it the other side gets its keys
    rtc_peer_output(peer->rtc, now_us, batch);
    for (size_t i = 0; i < peer->section_count; i++) {
        if (peer->subscriptions[i])
            exchange_count(exchange, ROOM_METRIC_PACKETS_FORWARDED,
                           begin(peer->subscriptions[i], now_us, batch));
    }
}

void exchange_peer_goes_on(struct exchange *exchange, uint64_t now_us, struct exchange_peer *peer,
                           struct datagram_batch *batch)
{
    for (size_t i = 0; i < peer->section_count; i++) {
        if (peer->subscriptions[i])
            exchange_count(exchange, ROOM_METRIC_PACKETS_FORWARDED,
                           follow_pump(peer->subscriptions[i], now_us, batch));
    }
}

void exchange_peer_remove(struct exchange *exchange, handle session)
{
    struct exchange_peer *peer = map_remove(&exchange->peers, map_key_u64(&session));
    if (!peer)
        return;
    for (size_t i = 0; i < peer->section_count; i++) {
        drop_subscription(exchange, peer, i);
        drop_track(exchange, peer, i);
    }
    list_remove(&peer->by_age);
    list_remove(&peer->probe.by_exchange);
    metric_subtract(&exchange->metrics.values[ROOM_METRIC_SHED_VIDEOS], peer->shed);
    metric_subtract(&exchange->metrics.values[ROOM_METRIC_PEERS], 1);
    free(peer->tracks);
    free(peer->subscriptions);
    free(peer);
}

int exchange_slot_set(struct exchange *exchange, uint64_t now_us, handle session, uint32_t section,
                      const struct track_key *publisher, uint16_t publisher_worker,
                      const struct rtc_section *publisher_section)
{
    struct exchange_peer *peer = exchange_find_peer(exchange, session);
    if (!peer || section >= peer->section_count || !peer->subscriptions[section])
        return -ENOENT;
    struct subscription *subscription = peer->subscriptions[section];
    struct track *old = subscription->track;
    struct track *track = NULL;
    if (publisher) {
        track = publisher_worker == exchange->config.worker
                    ? exchange_find_track(exchange, publisher)
                    : exchange_mirror_get(exchange, publisher, publisher_worker,
                                          publisher_section->kind == RTC_KIND_VIDEO);
        if (!track)
            return -ENOENT;
    }
    if (track == old) {
        if (track)
            subscription_remap(subscription, publisher_section,
                               &rtc_peer_negotiated(peer->rtc)->sections[section]);
        return 0;
    }
    subscription_detach(subscription);
    if (track)
        subscription_attach(subscription, now_us, track, publisher_section,
                            &rtc_peer_negotiated(peer->rtc)->sections[section]);
    // who comes when there is no time gets no beginning of a picture that would stop at once
    if (track && track->video && exchange_shed_level(exchange, peer, subscription) == SHED_VIDEO)
        subscription_allocated(subscription, now_us,
                               &(struct ladder_place){ .layer = SUBSCRIPTION_NO_LAYER });
    if (old)
        exchange_mirror_release(exchange, old);
    return 0;
}

void exchange_publication_block(struct exchange *exchange, handle session, uint32_t section,
                                bool blocked)
{
    struct track_key key = { .session = session, .section = section };
    struct track *track = exchange_find_track(exchange, &key);
    if (!track || track->mirror || track->blocked == blocked)
        return;
    track->blocked = blocked;
    struct exchange_message restart = { .kind = EXCHANGE_RESTART, .key = key };
    exchange_mirror_tell(exchange, track, &restart);
    exchange_message_input(exchange, 0, &restart, NULL);
    if (!blocked)
        track_want_key_frame(track, 0);
}
