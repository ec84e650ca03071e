#include "room/subscription.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "media/codec.h"

/** Until the first division, all that comes may be sent. */
static void lift_limit(struct subscription *subscription)
{
    allocate_state_init(&subscription->allocation);
    subscription->limit =
        (struct ladder_place){ .layer = TRACK_LAYERS_MAX - 1, .point = MEDIA_POINT_BEST };
}

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
    subscription->described =
        receiver->extensions & RTP_EXTENSION_BIT(RTP_EXTENSION_DEPENDENCY_DESCRIPTOR);
}

void subscription_attach(struct subscription *subscription, uint64_t now_us, struct track *track,
                         const struct rtc_section *publisher, const struct rtc_section *receiver)
{
    subscription_detach(subscription);
    subscription_remap(subscription, publisher, receiver);
    subscription->track = track;
    subscription->paused = MEDIA_PAUSE_NONE; // so does who fills a slot anew begin
    lift_limit(subscription);
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
    uint8_t limit = subscription->limit.layer;
    if (limit == SUBSCRIPTION_NO_LAYER)
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

/** The point that is aimed at: of what may be sent, what the receiver can take. */
static uint8_t wanted_point(const struct subscription *subscription)
{
    uint8_t point = subscription->limit.point;
    return subscription->one_size ? media_point(0, media_point_temporal(point)) : point;
}

/**
 * Whether the receiver waits for a key frame to get another spatial layer of its stream. Down goes
 * without one where it can, at the next picture: so that is asked for only when it did not.
 */
static bool waits_for_row(const struct subscription *subscription, uint8_t layer, uint64_t now_us,
                          bool again)
{
    uint8_t top = layer_rates_rows(&subscription->track->layers[layer].rates, now_us) - 1;
    uint8_t has = min_of(media_point_spatial(subscription->moves.point), top);
    uint8_t wanted = min_of(media_point_spatial(wanted_point(subscription)), top);
    return wanted > has || (wanted < has && again);
}

void subscription_allocated(struct subscription *subscription, uint64_t now_us,
                            const struct ladder_place *limit)
{
    bool again = limit->point == subscription->limit.point;
    subscription->limit = *limit;
    uint8_t best = subscription_best_layer(subscription, now_us);
    if (best == SUBSCRIPTION_NO_LAYER) {
        if (subscription->layer != SUBSCRIPTION_NO_LAYER || subscription->follow.active)
            subscription_restart(subscription);
        return;
    }
    const struct follow *follow = &subscription->follow;
    uint8_t layer = follow->active ? follow->layer : subscription->layer;
    // up only when the past has been sent
    if ((follow->active && follow->past && layer <= best) ||
        !rtc_sender_ready(subscription->sender))
        return;
    bool crowded = subscription->paused == MEDIA_PAUSE_SERVER;
    // who was left out for lack of time gets no seconds of the past at once, or it will be again
    if (layer == SUBSCRIPTION_NO_LAYER && crowded)
        track_want_key_frame(subscription->track, best);
    else if (layer == SUBSCRIPTION_NO_LAYER)
        gop_replay_begin(subscription, now_us);
    else if (layer != best || waits_for_row(subscription, layer, now_us, again))
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

static void switch_to(struct subscription *subscription, uint64_t now_us, struct packet *packet)
{
    const struct media_info *info = media_info_of(packet);
    struct rewrite_ids ids = frame_ids_begin(&subscription->ids, packet);
    subscription->one_size = info->codec == CODEC_AV1 && !subscription->described;
    uint8_t point = layer_select_first(wanted_point(subscription), &info->layers);
    layer_moves_begin(&subscription->moves, info->sequence, point);
    rewrite_switch(&subscription->rewrite, now_us, info->layer, info->sequence, info->timestamp,
                   codec_get((enum codec_id)info->codec)->clock_rate_hz, &ids);
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

bool subscription_gets(const struct subscription *subscription, const struct media_info *info)
{
    uint8_t point = layer_moves_at(&subscription->moves, info->sequence);
    return info->layers.points >> point & 1;
}

/** At the first packet of a picture or frame: towards the point that is wanted, as far as can be.
 */
static void move_point(struct subscription *subscription, const struct media_info *info)
{
    uint8_t now = subscription->moves.point, wanted = wanted_point(subscription);
    uint8_t point = info->layers.picture_start ? layer_select(now, wanted, &info->layers)
                                               : layer_select_rate(now, wanted, &info->layers);
    if (point != now)
        layer_moves_to(&subscription->moves, info->sequence, point);
}

/**
 * The packet is of a layer that the receiver does not get. Those behind it close up; only where the
 * receiver has seen a gap already, an empty packet fills it.
 */
static void leave_out(struct subscription *subscription, uint64_t now_us,
                      struct datagram_batch *batch, struct packet *packet, bool newest,
                      uint8_t payload_type)
{
    const struct media_info *info = media_info_of(packet);
    struct rewrite_place place;
    bool picture = newest && frame_ids_leave_out(&subscription->ids, packet);
    uint32_t frame = info->timestamp * MEDIA_SPATIAL_LAYERS + info->layers.spatial;
    if (rewrite_leave_out(&subscription->rewrite, info->sequence, frame, picture) ||
        !rewrite_map(&subscription->rewrite, now_us, info->sequence, info->timestamp, &place))
        return;
    struct rtc_outgoing outgoing = {
        .sequence = place.output,
        .timestamp = rewrite_timestamp(place.span, info->timestamp),
        .payload_type = payload_type,
        .empty = true,
    };
    rtc_sender_send(subscription->sender, now_us, batch, packet, &outgoing);
}

/** Bytes of a packet that are this receiver's own. */
struct own_bytes {
    uint8_t head[FRAME_IDS_HEAD_MAX];
    uint8_t descriptor[DEPENDENCY_DESCRIPTOR_MAX];
};

/** The decode targets that the receiver shall take for active; 0: as its packets say. */
static uint32_t active_targets(const struct subscription *subscription,
                               const struct media_info *info, uint8_t point)
{
    const struct media_targets *targets = &subscription->track->layers[info->layer].targets;
    // what a packet itself says holds for receivers of everything, and is too much for others
    bool says = info->layers.has_structure || info->layers.mask.written;
    bool differs = says ? point != MEDIA_POINT_BEST : info->sequence == subscription->moves.since;
    return targets->count > 0 && differs ? targets->active[point] & info->layers.active_targets : 0;
}

/** What differs in the packet for this receiver: numbers inside of it, where a picture ends. */
static void renumber(const struct subscription *subscription, const struct rewrite_place *place,
                     struct packet *packet, struct own_bytes *bytes, struct rtc_outgoing *outgoing)
{
    const struct media_info *info = media_info_of(packet);
    uint8_t point = layer_moves_at(&subscription->moves, info->sequence);
    outgoing->sequence = place->output;
    outgoing->timestamp = rewrite_timestamp(place->span, info->timestamp);
    outgoing->ends_picture =
        info->layers.layer_end && info->layers.spatial == media_point_spatial(point);
    outgoing->head = frame_ids_head(&place->span->ids, packet, bytes->head);
    if (info->layers.described)
        outgoing->descriptor =
            frame_ids_descriptor(&place->span->ids, active_targets(subscription, info, point),
                                 packet, bytes->descriptor);
}

uint32_t subscription_forward_packets(struct subscription *subscription, uint64_t now_us,
                                      struct datagram_batch *batch, struct packet *const *packets,
                                      uint32_t count, uint16_t pad_to)
{
    if (subscription->limit.layer == SUBSCRIPTION_NO_LAYER ||
        !rtc_sender_ready(subscription->sender))
        return 0;
    uint8_t fec_group = protection_group(subscription, now_us);
    uint32_t sent = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct media_info *info = media_info_of(packets[i]);
        uint64_t ahead = rewrite_ahead(&subscription->rewrite, info->sequence);
        if (ahead > SUBSCRIPTION_GAP_MAX && info->layer == subscription->layer)
            subscription_restart(subscription);
        if (info->layer != subscription->layer || info->epoch != subscription->epoch) {
            if (!subscription_may_switch(subscription, now_us, subscription->layer, info))
                continue;
            switch_to(subscription, now_us, packets[i]);
            ahead = 1;
        } else if ((info->layers.picture_start || info->layers.frame_start) &&
                   subscription->moves.point != wanted_point(subscription) && ahead > 0) {
            move_point(subscription, info);
        }
        struct rtc_outgoing outgoing = {
            .payload_type = subscription->payload_types[info->payload_type],
            .pad_to = pad_to,
        };
        struct rewrite_place place;
        struct own_bytes bytes;
        if (outgoing.payload_type == RTC_PAYLOAD_TYPE_NONE)
            continue;
        if (!subscription_gets(subscription, info)) {
            leave_out(subscription, now_us, batch, packets[i], ahead > 0, outgoing.payload_type);
            continue;
        }
        if (!rewrite_map(&subscription->rewrite, now_us, info->sequence, info->timestamp, &place))
            continue;
        renumber(subscription, &place, packets[i], &bytes, &outgoing);
        if (ahead > 0)
            frame_ids_sent(&subscription->ids, &place.span->ids, packets[i]);
        uint8_t redundant[REDUNDANCY_SIZE_MAX];
        if (subscription->red_payload_type)
            add_redundancy(subscription, now_us, packets[i], redundant, &outgoing);
        outgoing.protect = fec_group > 0 && can_skip_numbers(info) && info->payload_size > 0;
        sent += rtc_sender_send(subscription->sender, now_us, batch, packets[i], &outgoing);
        if (outgoing.protect && (info->marker || outgoing.ends_picture))
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
        struct own_bytes bytes;
        renumber(subscription, &place, packet, &bytes, &outgoing);
        outgoing.empty = place.span->source == subscription->layer &&
                         place.input >= subscription->moves.began &&
                         !subscription_gets(subscription, info);
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
