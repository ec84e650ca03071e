// What a new mirror begins with: the groups of pictures that the publisher's worker holds.
#include "room/exchange_int.h"

/** Sends one group in pieces. Returns false when the other worker has no room for it. */
static bool send_run(struct exchange *exchange, const struct track *track, uint16_t worker,
                     const struct packet_ring *ring, const struct gop_run *run)
{
    for (uint32_t at = 0; at < run->count;) {
        struct exchange_message message = {
            .kind = EXCHANGE_GOP,
            .worker = exchange->config.worker,
            .key = track->key,
        };
        for (; at < run->count && message.count < EXCHANGE_BURST_MAX; at++)
            message.packets[message.count++] = packet_ref(packet_ring_find(ring, run->first + at));
        message.last = at == run->count;
        if (exchange->config.ops->to_worker(exchange->config.owner, worker, &message))
            continue;
        exchange_message_discard(&message);
        exchange_count(exchange, ROOM_METRIC_DROPPED_QUEUE, message.count);
        return false;
    }
    return true;
}

bool exchange_gop_send(struct exchange *exchange, uint64_t now_us, struct track *track,
                       uint16_t worker)
{
    bool sent = false;
    for (int i = 0; i < TRACK_LAYERS_MAX && track->video && !track->blocked; i++) {
        const struct track_layer *layer = &track->layers[i];
        struct gop_run run;
        if (gop_cache_run(&layer->gop, &layer->ring, now_us, &exchange->gop_policy, &run))
            sent |= send_run(exchange, track, worker, &layer->ring, &run);
    }
    return sent;
}

void exchange_gop_input(struct exchange *exchange, uint64_t now_us,
                        const struct exchange_message *message, struct datagram_batch *batch)
{
    struct track *track = exchange_find_track(exchange, &message->key);
    uint32_t sent = 0;
    if (track && track->mirror) {
        for (uint32_t i = 0; i < message->count; i++)
            track_put(track, now_us, message->packets[i]);
        exchange_count(exchange, ROOM_METRIC_PACKETS_MIRRORED, message->count);
        if (message->last) {
            track->gone = false;
            track->answered = true;
            struct subscription *subscription;
            list_each(subscription, &track->subscriptions, by_track)
            {
                gop_replay_begin(subscription, now_us);
                sent += follow_pump(subscription, now_us, batch);
            }
        }
    }
    exchange_count(exchange, ROOM_METRIC_PACKETS_FORWARDED, sent);
    exchange_message_discard(message);
}
