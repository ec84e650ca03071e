#include "room/exchange_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/** Between looks at all tracks. */
#define SWEEP_US (20 * TIME_US_PER_MS)
/** Pauses of videos told in one sweep: the others are, when their peers are divided again. */
#define SWEEP_PAUSES 256
/** A mirror that gets nothing asks again: its wish may have met a full mailbox. */
#define MIRROR_ASK_US (2 * TIME_US_PER_S)
/** A publication without packets for this long is reported as silent. */
#define TRACK_SILENT_US (5 * TIME_US_PER_S)

struct exchange *exchange_new(const struct exchange_config *config)
{
    ensure(config->worker < TRACK_WORKERS_MAX);
    struct exchange *exchange = memory_new(struct exchange);
    exchange->config = *config;
    exchange->gop_policy = (struct gop_policy){
        .age_us = config->gop_age_us,
        .bytes = GOP_BYTES_MAX,
    };
    list_init(&exchange->probing);
    list_init(&exchange->by_age);
    exchange->cut = SHED_CUT_NONE;
    follow_queue_init(&exchange->behind, &exchange->metrics);
    // keys are handles of our own making
    map_init(&exchange->peers, (uint64_t[2]){ 0 });
    map_init(&exchange->tracks, (uint64_t[2]){ 0 });
    map_init(&exchange->groups, (uint64_t[2]){ 0 });
    return exchange;
}

struct exchange *exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return NULL;
    ensure(exchange->peers.count == 0 && exchange->tracks.count == 0);
    map_done(&exchange->peers);
    map_done(&exchange->tracks);
    map_done(&exchange->groups);
    free(exchange);
    return NULL;
}

void exchange_drop_all(struct exchange *exchange)
{
    size_t cursor = 0;
    void *track;
    while (map_next(&exchange->tracks, &cursor, NULL, &track))
        exchange_track_drop(exchange, track);
}

const struct room_metrics *exchange_metrics(const struct exchange *exchange)
{
    return &exchange->metrics;
}

struct track *exchange_find_track(struct exchange *exchange, const struct track_key *key)
{
    return map_find(&exchange->tracks, track_key_bytes(key));
}

static metric_value *track_gauge(struct exchange *exchange, const struct track *track)
{
    return &exchange->metrics.values[track->mirror ? ROOM_METRIC_MIRRORS : ROOM_METRIC_TRACKS];
}

void exchange_track_add(struct exchange *exchange, struct track *track)
{
    track->gop_policy = &exchange->gop_policy;
    track->behind = &exchange->behind;
    map_set(&exchange->tracks, track_key_bytes(&track->key), track);
    metric_add(track_gauge(exchange, track), 1);
}

void exchange_track_drop(struct exchange *exchange, struct track *track)
{
    struct subscription *subscription;
    list_each(subscription, &track->subscriptions, by_track) subscription_detach(subscription);
    exchange_mirror_tell(exchange, track,
                         &(struct exchange_message){ .kind = EXCHANGE_GONE, .key = track->key });
    exchange_group_leave(exchange, track);
    map_remove(&exchange->tracks, track_key_bytes(&track->key));
    metric_subtract(track_gauge(exchange, track), 1);
    track_free(track);
}

void exchange_report(struct exchange *exchange, const struct track *track,
                     enum media_event_kind kind)
{
    struct exchange_peer *peer = exchange_find_peer(exchange, track->key.session);
    if (!peer)
        return;
    struct media_event event = {
        .kind = kind,
        .session = track->key.session,
        .speaking = track->speech.speaking,
        .level_dbov = speech_level(&track->speech),
        .demand = track->demand.told,
    };
    if (kind == MEDIA_EVENT_LAYERS)
        memcpy(event.layers, track->told, sizeof(event.layers));
    const struct rtc_section *section =
        &rtc_peer_negotiated(peer->rtc)->sections[track->key.section];
    snprintf(event.mid, sizeof(event.mid), "%s", section->mid);
    exchange->config.ops->to_control(exchange->config.owner, &event);
}

static void take_audio_level(struct exchange *exchange, uint64_t now_us, struct track *track,
                             struct packet *packet)
{
    uint8_t level;
    bool voice;
    if (!rtp_extensions_audio_level(&media_info_of(packet)->extensions, packet->bytes, &level,
                                    &voice))
        return;
    if (speech_input(&track->speech, now_us, level))
        exchange_report(exchange, track, MEDIA_EVENT_SPEAKING);
}

/** Packets of one track that came together. Keeps them, and sends them on. */
static void publish(struct exchange *exchange, uint64_t now_us, struct track *track,
                    struct packet **packets, uint32_t count, struct datagram_batch *batch)
{
    if (track->blocked) {
        exchange_count(exchange, ROOM_METRIC_DROPPED_BLOCKED, count);
        return;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!track_put(track, now_us, packets[i]))
            continue;
        if (!track->video)
            take_audio_level(exchange, now_us, track, packets[i]);
        packets[kept++] = packets[i];
    }
    exchange_count(exchange, ROOM_METRIC_DROPPED_DUPLICATE, count - kept);
    exchange_count(exchange, ROOM_METRIC_PACKETS_PUBLISHED, kept);
    if (kept == 0)
        return;
    if (!track->live) {
        track->live = true;
        exchange_report(exchange, track, MEDIA_EVENT_TRACK_LIVE);
    }
    // other cores first: they work while we do our own fan-out
    exchange_mirror_send(exchange, track, packets, kept);
    kept = exchange_loudest_filter(exchange, now_us, track, packets, kept);
    exchange_count(exchange, ROOM_METRIC_PACKETS_FORWARDED,
                   forward_burst(track, now_us, batch, packets, kept));
}

static struct track *track_of(struct exchange_peer *peer, uint32_t section)
{
    return peer && section < peer->section_count ? peer->tracks[section] : NULL;
}

void exchange_media(struct exchange *exchange, uint64_t now_us, handle session,
                    struct rtc_media *media, struct datagram_batch *batch)
{
    struct exchange_peer *peer = exchange_find_peer(exchange, session);
    for (uint32_t at = 0; at < media->count;) {
        // gather this section's packets from the whole burst, so that they form one run
        uint16_t section = media->sections[at];
        struct packet *burst[RTC_MEDIA_MAX];
        uint32_t count = 0, left = at;
        for (uint32_t i = at; i < media->count; i++) {
            if (media->sections[i] == section) {
                burst[count++] = media->packets[i];
            } else {
                media->packets[left] = media->packets[i];
                media->sections[left++] = media->sections[i];
            }
        }
        struct packet *owned[RTC_MEDIA_MAX];
        for (uint32_t i = 0; i < count; i++)
            owned[i] = burst[i];
        media->count = left;
        struct track *track = track_of(peer, section);
        if (track)
            publish(exchange, now_us, track, burst, count, batch);
        else
            exchange_count(exchange, ROOM_METRIC_DROPPED_UNKNOWN, count);
        for (uint32_t i = 0; i < count; i++)
            packet_unref(owned[i]);
    }
    media->count = 0;
}

static void take_clock(struct exchange *exchange, struct track *track,
                       const struct rtc_event *event)
{
    struct exchange_message message = {
        .kind = EXCHANGE_CLOCK,
        .layer = event->layer,
        .key = track->key,
        .clock = event->clock,
    };
    exchange_mirror_tell(exchange, track, &message);
    exchange_message_input(exchange, 0, &message, NULL);
}

static void take_nack(struct exchange *exchange, uint64_t now_us, struct subscription *subscription,
                      const struct rtc_event *event, struct datagram_batch *batch)
{
    exchange_count(exchange, ROOM_METRIC_NACKS, event->lost_count);
    if (!subscription)
        return;
    uint32_t refused;
    uint32_t repaired =
        subscription_repair(subscription, now_us, batch, event->lost, event->lost_count, &refused);
    exchange_count(exchange, ROOM_METRIC_PACKETS_REPAIRED, repaired);
    exchange_count(exchange, ROOM_METRIC_REPAIRS_REFUSED, refused);
}

void exchange_peer_event(struct exchange *exchange, uint64_t now_us, handle session,
                         const struct rtc_event *event, struct datagram_batch *batch)
{
    struct exchange_peer *peer = exchange_find_peer(exchange, session);
    if (peer && event->kind == RTC_EVENT_KEYS_SHOWN)
        exchange_peer_goes_on(exchange, now_us, peer, batch);
    if (!peer || event->section >= peer->section_count)
        return;
    struct subscription *subscription = peer->subscriptions[event->section];
    struct track *track = peer->tracks[event->section];
    switch (event->kind) {
    case RTC_EVENT_NACK:
        take_nack(exchange, now_us, subscription, event, batch);
        break;
    case RTC_EVENT_KEY_FRAME_WANTED:
        exchange_count(exchange, ROOM_METRIC_KEY_FRAMES_WANTED, 1);
        if (subscription && keyframe_allow(&subscription->key_frames, now_us))
            subscription_want_key_frame(subscription, now_us);
        else if (subscription)
            exchange_count(exchange, ROOM_METRIC_KEY_FRAMES_REFUSED, 1);
        break;
    case RTC_EVENT_KEY_FRAME_NEEDED:
        if (track)
            track_want_key_frame(track, event->layer);
        break;
    case RTC_EVENT_CLOCK:
        if (track)
            take_clock(exchange, track, event);
        break;
    default:
        break;
    }
}

static void ask_for_key_frames(struct exchange *exchange, struct track *track, uint64_t now_us)
{
    struct exchange_peer *peer = exchange_find_peer(exchange, track->key.session);
    for (uint8_t i = 0; i < TRACK_LAYERS_MAX; i++) {
        // nothing of a blocked track would get through: its publisher is left in peace. A new
        // mirror may be sent a key frame without asking
        if (track->blocked || (track->mirror && !track->answered))
            continue;
        if (!keyframe_due(&track->layers[i].key_frame, now_us)) {
            exchange_count(exchange, ROOM_METRIC_KEY_FRAMES_DEFERRED,
                           keyframe_deferred(&track->layers[i].key_frame, now_us));
            continue;
        }
        exchange_count(exchange, ROOM_METRIC_KEY_FRAMES_ASKED, 1);
        if (peer && !track->mirror) {
            rtc_peer_request_key_frame(peer->rtc, (uint16_t)track->key.section, i);
            exchange->config.ops->wake(exchange->config.owner, peer->session);
        } else if (track->mirror) {
            exchange->config.ops->to_worker(
                exchange->config.owner, track->source_worker,
                &(struct exchange_message){ .kind = EXCHANGE_WANT_KEY_FRAME,
                                            .worker = exchange->config.worker,
                                            .layer = i,
                                            .key = track->key });
        }
    }
}

static void tick_liveness(struct exchange *exchange, struct track *track, uint64_t now_us)
{
    if (!track->video && speech_tick(&track->speech, now_us))
        exchange_report(exchange, track, MEDIA_EVENT_SPEAKING);
    if (track->video && track_layers_changed(track, now_us))
        exchange_report(exchange, track, MEDIA_EVENT_LAYERS);
    // who was told that nobody watches has not gone away
    if (track->live && track->demand.told > 0 && now_us - track->last_packet_us > TRACK_SILENT_US) {
        track->live = false;
        exchange_report(exchange, track, MEDIA_EVENT_TRACK_SILENT);
    }
}

static void tick_mirror(struct exchange *exchange, struct track *track, uint64_t now_us)
{
    if (now_us - max_of(track->last_packet_us, track->asked_us) < MIRROR_ASK_US)
        return;
    track->asked_us = now_us;
    track->answered = true; // it was not, for long enough
    exchange_mirror_ask(exchange, track);
}

/** How old a kept group may be: live media comes first when half of the pool is used. */
static uint64_t gop_age(const struct exchange *exchange)
{
    struct packet_pool *pool = exchange->config.pool;
    return pool && packet_pool_half_used(pool) ? 0 : exchange->config.gop_age_us;
}

/** Looks after all tracks. */
static void sweep(struct exchange *exchange, uint64_t now_us)
{
    uint64_t gop_age_us = gop_age(exchange);
    exchange_allocate_tick(exchange, now_us);
    size_t cursor = 0;
    void *value;
    while (map_next(&exchange->tracks, &cursor, NULL, &value)) {
        struct track *track = value;
        track_expire(track, now_us, gop_age_us);
        track_measure(track, now_us);
        if (track->video) {
            ask_for_key_frames(exchange, track, now_us);
            exchange_demand_tick(exchange, track, now_us);
        }
        if (track->mirror)
            tick_mirror(exchange, track, now_us);
        else
            tick_liveness(exchange, track, now_us);
    }
}

uint64_t exchange_tick(struct exchange *exchange, uint64_t now_us, struct datagram_batch *batch)
{
    if (now_us - exchange->swept_us >= SWEEP_US) {
        exchange->swept_us = now_us;
        exchange->behind.budget = FOLLOW_TICK_PACKETS;
        exchange->pauses_left = SWEEP_PAUSES;
        sweep(exchange, now_us);
    }
    exchange_count(exchange, ROOM_METRIC_PACKETS_FORWARDED,
                   follow_queue_tick(&exchange->behind, now_us, batch));
    exchange_probe_tick(exchange, now_us, batch);
    bool busy = !list_empty(&exchange->behind.waiting) || !list_empty(&exchange->probing);
    return busy ? now_us + FOLLOW_TICK_US : exchange->swept_us + SWEEP_US;
}
