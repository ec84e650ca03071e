#include "room/subscription.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "media/codec.h"

struct subscription *subscription_new(struct rtc_sender *sender)
{
    struct subscription *subscription = memory_new(struct subscription);
    list_init(&subscription->by_track);
    subscription->sender = sender;
    subscription->layer = SUBSCRIPTION_NO_LAYER;
    subscription->repairs_left = SUBSCRIPTION_REPAIRS;
    subscription->wish = MEDIA_WISH_DEFAULT;
    allocate_state_init(&subscription->allocation);
    follow_init(&subscription->follow);
    struct rtc_numbers numbers;
    rtc_sender_start_numbers(sender, &numbers);
    rewrite_init(&subscription->rewrite, numbers.sequence, numbers.timestamp);
    subscription->rewrite.last_sent_us = numbers.sent_us;
    return subscription;
}

struct subscription *subscription_free(struct subscription *subscription)
{
    if (!subscription)
        return NULL;
    subscription_detach(subscription);
    rewrite_done(&subscription->rewrite);
    free(subscription->resent);
    free(subscription);
    return NULL;
}

void subscription_remap(struct subscription *subscription, const struct rtc_section *publisher,
                        const struct rtc_section *receiver)
{
    memset(subscription->payload_types, RTC_PAYLOAD_TYPE_NONE, sizeof(subscription->payload_types));
    subscription->red_payload_type = 0;
    for (size_t i = 0; publisher->codecs && i < publisher->codecs->count; i++) {
        const struct rtc_codec *sent = &publisher->codecs->codecs[i];
        const struct rtc_codec *received = rtc_section_match(receiver, sent);
        if (!received)
            continue;
        subscription->payload_types[sent->payload_type] = received->payload_type;
        if (received->red_payload_type)
            subscription->red_payload_type = received->red_payload_type;
    }
}

void subscription_attach(struct subscription *subscription, uint64_t now_us, struct track *track,
                         const struct rtc_section *publisher, const struct rtc_section *receiver)
{
    subscription_detach(subscription);
    subscription_remap(subscription, publisher, receiver);
    subscription->track = track;
    allocate_state_init(&subscription->allocation);
    list_append(&track->subscriptions, &subscription->by_track);
    gop_replay_begin(subscription, now_us);
}

void subscription_detach(struct subscription *subscription)
{
    if (!subscription->track)
        return;
    follow_stop(subscription);
    list_remove(&subscription->by_track);
    subscription->track = NULL;
    subscription_forget(subscription);
}

void subscription_forget(struct subscription *subscription)
{
    follow_stop(subscription);
    subscription->layer = SUBSCRIPTION_NO_LAYER;
    rewrite_forget(&subscription->rewrite);
    rtc_sender_set_clock(subscription->sender, &(struct rtc_clock){ .valid = false });
}

void subscription_restart(struct subscription *subscription)
{
    follow_stop(subscription);
    subscription->layer = SUBSCRIPTION_NO_LAYER;
}

uint8_t subscription_best_layer(const struct subscription *subscription, uint64_t now_us)
{
    uint8_t limit = subscription->allocation.layer;
    if (limit == ALLOCATE_NONE)
        return SUBSCRIPTION_NO_LAYER;
    const struct track *track = subscription->track;
    for (int i = limit; i >= 0; i--) {
        if (track_layer_sent(track, now_us, (uint8_t)i))
            return (uint8_t)i;
    }
    // nothing so small is sent: what is, is better than nothing
    for (uint8_t i = (uint8_t)(limit + 1); i < TRACK_LAYERS_MAX; i++) {
        if (track_layer_sent(track, now_us, i))
            return i;
    }
    return 0;
}

void subscription_allocated(struct subscription *subscription, uint64_t now_us)
{
    uint8_t best = subscription_best_layer(subscription, now_us);
    if (best == SUBSCRIPTION_NO_LAYER) {
        if (subscription->layer != SUBSCRIPTION_NO_LAYER || subscription->follow.active)
            subscription_restart(subscription);
        return;
    }
    const struct follow *follow = &subscription->follow;
    uint8_t layer = follow->active ? follow->layer : subscription->layer;
    // up only when the past has been sent
    if (layer == best || (follow->active && follow->past && layer < best) ||
        !rtc_sender_ready(subscription->sender))
        return;
    if (layer == SUBSCRIPTION_NO_LAYER)
        gop_replay_begin(subscription, now_us);
    else
        track_want_key_frame(subscription->track, best);
}

void subscription_want_key_frame(struct subscription *subscription, uint64_t now_us)
{
    struct track *track = subscription->track;
    if (!track)
        return;
    uint8_t layer = subscription->layer != SUBSCRIPTION_NO_LAYER
                        ? subscription->layer
                        : subscription_best_layer(subscription, now_us);
    if (layer == SUBSCRIPTION_NO_LAYER)
        return;
    track_want_key_frame(track, layer);
}

void subscription_update_clock(struct subscription *subscription)
{
    const struct rewrite_span *span = rewrite_current(&subscription->rewrite);
    if (!subscription->track || !span || subscription->layer == SUBSCRIPTION_NO_LAYER)
        return;
    struct rtc_clock clock = subscription->track->layers[subscription->layer].clock;
    clock.timestamp += span->timestamp_offset;
    rtc_sender_set_clock(subscription->sender, &clock);
}

bool subscription_may_switch(const struct subscription *subscription, uint64_t now_us, uint8_t from,
                             const struct media_info *info)
{
    if (!subscription->track->video)
        return true;
    if (!info->key_frame)
        return false;
    uint8_t best = subscription_best_layer(subscription, now_us);
    if (best == SUBSCRIPTION_NO_LAYER)
        return false;
    if (info->layer == best)
        return true;
    // on the way up any step is one
    return info->layer < best &&
           (from == SUBSCRIPTION_NO_LAYER || from < info->layer || from > best);
}

static void switch_to(struct subscription *subscription, uint64_t now_us,
                      const struct media_info *info)
{
    subscription->clock_rate_hz = codec_get((enum codec_id)info->codec)->clock_rate_hz;
    rewrite_switch(&subscription->rewrite, now_us, info->layer, info->sequence, info->timestamp,
                   subscription->clock_rate_hz, &(struct rewrite_ids){ 0 });
    if (subscription->follow.active && subscription->follow.past)
        rewrite_squeeze(&subscription->rewrite, info->timestamp,
                        subscription->follow.last_timestamp);
    subscription->layer = info->layer;
    subscription->epoch = info->epoch;
    subscription_update_clock(subscription);
}

uint32_t subscription_forward(struct subscription *subscription, uint64_t now_us,
                              struct datagram_batch *batch, const struct subscription_burst *burst)
{
    if (subscription->follow.active)
        return follow_burst(subscription, now_us, batch, burst->packets, burst->count);
    if (subscription->track->video &&
        burst->bytes > rtc_sender_room(subscription->sender, now_us, RTC_URGENCY_LIVE))
        return follow_overflow(subscription, now_us, batch, burst->packets, burst->count,
                               burst->pad_to);
    return subscription_forward_packets(subscription, now_us, batch, burst->packets, burst->count,
                                        burst->pad_to);
}

/** Audio in RED for a receiver that takes it: `buffer` holds REDUNDANCY_SIZE_MAX. */
static void add_redundancy(struct subscription *subscription, uint64_t now_us,
                           struct packet *packet, uint8_t *buffer, struct rtc_outgoing *outgoing)
{
    struct rtc_reported reported;
    rtc_sender_reported(subscription->sender, &reported);
    uint8_t depth = redundancy_depth(&subscription->redundancy, now_us, &reported);
    const struct media_info *info = media_info_of(packet);
    if (depth == 0 && info->red_at == 0)
        return;
    size_t size = redundancy_write(&subscription->track->layers[info->layer].ring, packet, depth,
                                   outgoing->payload_type, buffer);
    if (size == 0)
        return;
    outgoing->payload = bytes_of(buffer, size);
    outgoing->payload_type = subscription->red_payload_type;
}

/** Packets for each FEC packet towards this receiver now; 0: none. */
static uint8_t protection_group(struct subscription *subscription, uint64_t now_us)
{
    if (!subscription->track->video || !rtc_sender_can_protect(subscription->sender))
        return 0;
    struct rtc_reported reported;
    rtc_sender_reported(subscription->sender, &reported);
    return protection_update(&subscription->protection, now_us, &reported);
}

/**
 * Receivers take lost numbers of FEC packets for lost pictures, unless the codec numbers its
 * pictures itself.
 */
static bool can_skip_numbers(const struct media_info *info)
{
    return info->codec == CODEC_VP8 || info->codec == CODEC_VP9;
}

/** At the end of a picture, when enough was sent: FEC packets, in numbers of their own. */
static void send_fec(struct subscription *subscription, uint64_t now_us,
                     struct datagram_batch *batch, uint8_t group)
{
    uint32_t count = rtc_sender_fec_due(subscription->sender, now_us, group);
    if (count > 0)
        rtc_sender_send_fec(subscription->sender, now_us, batch,
                            rewrite_skip(&subscription->rewrite, count));
}

uint32_t subscription_forward_packets(struct subscription *subscription, uint64_t now_us,
                                      struct datagram_batch *batch, struct packet *const *packets,
                                      uint32_t count, uint16_t pad_to)
{
    if (subscription->allocation.layer == ALLOCATE_NONE || !rtc_sender_ready(subscription->sender))
        return 0;
    uint8_t fec_group = protection_group(subscription, now_us);
    uint32_t sent = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct media_info *info = media_info_of(packets[i]);
        if (rewrite_ahead(&subscription->rewrite, info->sequence) > SUBSCRIPTION_GAP_MAX &&
            info->layer == subscription->layer)
            subscription_restart(subscription);
        if (info->layer != subscription->layer || info->epoch != subscription->epoch) {
            if (!subscription_may_switch(subscription, now_us, subscription->layer, info))
                continue;
            switch_to(subscription, now_us, info);
        }
        struct rtc_outgoing outgoing = {
            .payload_type = subscription->payload_types[info->payload_type],
            .pad_to = pad_to,
        };
        struct rewrite_place place;
        if (outgoing.payload_type == RTC_PAYLOAD_TYPE_NONE ||
            !rewrite_map(&subscription->rewrite, now_us, info->sequence, info->timestamp, &place))
            continue;
        outgoing.sequence = place.output;
        outgoing.timestamp = rewrite_timestamp(place.span, info->timestamp);
        uint8_t redundant[REDUNDANCY_SIZE_MAX];
        if (subscription->red_payload_type)
            add_redundancy(subscription, now_us, packets[i], redundant, &outgoing);
        outgoing.protect = fec_group > 0 && can_skip_numbers(info) && info->payload_size > 0;
        sent += rtc_sender_send(subscription->sender, now_us, batch, packets[i], &outgoing);
        if (outgoing.protect && info->marker)
            send_fec(subscription, now_us, batch, fec_group);
    }
    subscription->repairs_left =
        min_of(subscription->repairs_left + sent, (uint32_t)SUBSCRIPTION_REPAIRS);
    return sent;
}

uint32_t subscription_repair(struct subscription *subscription, uint64_t now_us,
                             struct datagram_batch *batch, const uint16_t *lost, uint32_t count,
                             uint32_t *ret_refused)
{
    *ret_refused = 0;
    if (!subscription->track)
        return 0;
    uint32_t sent = 0;
    uint32_t room = rtc_sender_room(subscription->sender, now_us, RTC_URGENCY_REPAIR);
    struct rtc_reported reported;
    rtc_sender_reported(subscription->sender, &reported);
    if (!subscription->resent)
        subscription->resent = memory_new(struct resent);
    for (uint32_t i = 0; i < count; i++) {
        struct rtc_outgoing outgoing = { 0 };
        struct rewrite_place place;
        if (!rewrite_find(&subscription->rewrite, lost[i], &place))
            continue;
        struct packet *packet =
            packet_ring_find(&subscription->track->layers[place.span->source].ring, place.input);
        if (!packet)
            continue;
        if (sent >= subscription->repairs_left || packet->size > room ||
            resent_lately(subscription->resent, now_us, lost[i], reported.round_trip_us)) {
            *ret_refused += 1;
            continue;
        }
        const struct media_info *info = media_info_of(packet);
        outgoing.sequence = place.output;
        outgoing.timestamp = rewrite_timestamp(place.span, info->timestamp);
        outgoing.payload_type = subscription->payload_types[info->payload_type];
        if (outgoing.payload_type == RTC_PAYLOAD_TYPE_NONE ||
            !rtc_sender_resend(subscription->sender, now_us, batch, packet, &outgoing))
            continue;
        resent_note(subscription->resent, now_us, lost[i]);
        sent++;
        room -= packet->size;
    }
    subscription->repairs_left -= sent;
    return sent;
}
