// What workers do for each other: mirrors of tracks, bursts by reference.
#include "room/exchange_int.h"

static bool tell(struct exchange *exchange, uint16_t worker, const struct exchange_message *message)
{
    return exchange->config.ops->to_worker(exchange->config.owner, worker, message);
}

void exchange_mirror_ask(struct exchange *exchange, const struct track *track)
{
    tell(exchange, track->source_worker,
         &(struct exchange_message){
             .kind = EXCHANGE_MIRROR, .worker = exchange->config.worker, .key = track->key });
}

struct track *exchange_mirror_get(struct exchange *exchange, const struct track_key *key,
                                  uint16_t worker, bool video)
{
    struct track *track = exchange_find_track(exchange, key);
    if (track)
        return track;
    track = track_new(key, video);
    track->mirror = true;
    track->source_worker = worker;
    exchange_track_add(exchange, track);
    exchange_mirror_ask(exchange, track);
    return track;
}

void exchange_mirror_release(struct exchange *exchange, struct track *track)
{
    if (!track->mirror || !list_empty(&track->subscriptions))
        return;
    tell(exchange, track->source_worker,
         &(struct exchange_message){
             .kind = EXCHANGE_MIRROR_STOP, .worker = exchange->config.worker, .key = track->key });
    exchange_track_drop(exchange, track);
}

void exchange_mirror_tell(struct exchange *exchange, struct track *track,
                          const struct exchange_message *message)
{
    uint32_t cursor = 0;
    uint16_t worker;
    while (track_mirror_next(track, &cursor, &worker))
        tell(exchange, worker, message);
}

/** Sends at most EXCHANGE_BURST_MAX packets to one worker, with a reference for each. */
static void send_burst(struct exchange *exchange, struct track *track, uint16_t worker,
                       struct packet *const *packets, uint32_t count)
{
    struct exchange_message message = {
        .kind = EXCHANGE_BURST,
        .worker = exchange->config.worker,
        .count = (uint8_t)count,
        .key = track->key,
    };
    for (uint32_t i = 0; i < count; i++)
        message.packets[i] = packet_ref(packets[i]);
    if (!tell(exchange, worker, &message)) {
        exchange_message_discard(&message);
        exchange_count(exchange, ROOM_METRIC_DROPPED_QUEUE, count);
    }
}

void exchange_mirror_send(struct exchange *exchange, struct track *track,
                          struct packet *const *packets, uint32_t count)
{
    uint32_t cursor = 0;
    uint16_t worker;
    while (track_mirror_next(track, &cursor, &worker)) {
        for (uint32_t at = 0; at < count; at += EXCHANGE_BURST_MAX)
            send_burst(exchange, track, worker, packets + at,
                       min_of(count - at, (uint32_t)EXCHANGE_BURST_MAX));
    }
}

void exchange_message_discard(const struct exchange_message *message)
{
    if (message->kind != EXCHANGE_BURST && message->kind != EXCHANGE_GOP)
        return;
    for (uint32_t i = 0; i < message->count; i++)
        packet_unref(message->packets[i]);
}

static void take_burst(struct exchange *exchange, uint64_t now_us, struct track *track,
                       const struct exchange_message *message, struct datagram_batch *batch)
{
    // our EXCHANGE_MIRROR_STOP met a full mailbox, or is still on its way
    if (!track)
        tell(exchange, message->worker,
             &(struct exchange_message){ .kind = EXCHANGE_MIRROR_STOP,
                                         .worker = exchange->config.worker,
                                         .key = message->key });
    struct packet *packets[EXCHANGE_BURST_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; track && track->mirror && i < message->count; i++) {
        if (track_put(track, now_us, message->packets[i]))
            packets[count++] = message->packets[i];
    }
    if (track) {
        track->gone = false;
        track->answered = true;
    }
    exchange_count(exchange, ROOM_METRIC_PACKETS_MIRRORED, message->count);
    if (track)
        count = exchange_loudest_filter(exchange, now_us, track, packets, count);
    if (count > 0)
        exchange_count(exchange, ROOM_METRIC_PACKETS_FORWARDED,
                       forward_burst(track, now_us, batch, packets, count));
    exchange_message_discard(message);
}

static void restart_all(struct track *track)
{
    track_forget_gops(track);
    struct subscription *subscription;
    list_each(subscription, &track->subscriptions, by_track) subscription_restart(subscription);
}

/**
 * The publication ended. Or an earlier one of the same section did, and this message was overtaken
 * by the control thread's, which has filled slots with the next: so it is asked for once more, and
 * the second answer counts.
 */
static void take_gone(struct exchange *exchange, struct track *track)
{
    if (!track->mirror)
        return;
    if (track->gone || list_empty(&track->subscriptions)) {
        exchange_track_drop(exchange, track);
        return;
    }
    track->gone = true;
    track->answered = false;
    track_clear(track);
    struct subscription *subscription;
    list_each(subscription, &track->subscriptions, by_track) subscription_forget(subscription);
    exchange_mirror_ask(exchange, track);
}

static void take_clock(struct track *track, const struct exchange_message *message)
{
    track->layers[message->layer].clock = message->clock;
    struct subscription *subscription;
    list_each(subscription, &track->subscriptions, by_track)
        subscription_update_clock(subscription);
}

/** Another worker has its first subscriber, or has got nothing for a while. */
static void take_mirror(struct exchange *exchange, uint64_t now_us, struct track *track,
                        uint16_t worker)
{
    bool added = track_mirror_add(track, worker);
    if (added)
        track->demand.workers[worker] = TRACK_LAYERS_MAX; // until it says otherwise
    for (uint8_t i = 0; i < TRACK_LAYERS_MAX; i++) {
        if (track->layers[i].clock.valid)
            tell(exchange, worker,
                 &(struct exchange_message){ .kind = EXCHANGE_CLOCK,
                                             .layer = i,
                                             .key = track->key,
                                             .clock = track->layers[i].clock });
    }
    if (!added || !exchange_gop_send(exchange, now_us, track, worker))
        track_want_key_frame(track, track_best_layer(track, now_us));
}

void exchange_message_input(struct exchange *exchange, uint64_t now_us,
                            const struct exchange_message *message, struct datagram_batch *batch)
{
    struct track *track = exchange_find_track(exchange, &message->key);
    if (message->kind == EXCHANGE_BURST) {
        take_burst(exchange, now_us, track, message, batch);
        return;
    }
    if (message->kind == EXCHANGE_GOP) {
        exchange_gop_input(exchange, now_us, message, batch);
        return;
    }
    ensure(message->layer < TRACK_LAYERS_MAX);
    if (!track) {
        // the publication ended before the wish came: say so, the mirror must not wait for ever
        if (message->kind == EXCHANGE_MIRROR)
            tell(exchange, message->worker,
                 &(struct exchange_message){ .kind = EXCHANGE_GONE, .key = message->key });
        return;
    }
    switch (message->kind) {
    case EXCHANGE_MIRROR:
        take_mirror(exchange, now_us, track, message->worker);
        break;
    case EXCHANGE_MIRROR_STOP:
        track_mirror_remove(track, message->worker);
        break;
    case EXCHANGE_CLOCK:
        take_clock(track, message);
        break;
    case EXCHANGE_DEMAND:
        track->demand.workers[message->worker] = message->count;
        break;
    case EXCHANGE_WANT_KEY_FRAME:
        track_want_key_frame(track, message->layer);
        break;
    case EXCHANGE_RESTART:
        restart_all(track);
        break;
    case EXCHANGE_GONE:
        take_gone(exchange, track);
        break;
    case EXCHANGE_BURST:
    case EXCHANGE_GOP:
        break;
    }
}
