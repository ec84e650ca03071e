#include "room/track.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/** More than HISTORY_US of a good video stream. */
#define VIDEO_RING_PACKETS 1024
#define AUDIO_RING_PACKETS 128
/** What one publisher may keep of the pool that all share. */
#define PUBLISHER_PACKETS 4096
#define LAYER_PACKETS_MIN 64
/** A NACK for what is older comes too late for any picture. */
#define HISTORY_US (1000 * TIME_US_PER_MS)
/** A layer without packets for this long is not being sent (a paused simulcast layer). */
#define MEASURE_US      (250 * TIME_US_PER_MS)
#define LAYER_SILENT_US (1000 * TIME_US_PER_MS)

struct track *track_new(const struct track_key *key, bool video)
{
    struct track *track = memory_new(struct track);
    track->key = *key;
    track->video = video;
    list_init(&track->subscriptions);
    track->demand.told = TRACK_LAYERS_MAX;
    for (int i = 0; i < TRACK_LAYERS_MAX; i++)
        packet_ring_init(&track->layers[i].ring, video ? VIDEO_RING_PACKETS : AUDIO_RING_PACKETS);
    return track;
}

struct track *track_free(struct track *track)
{
    if (!track)
        return NULL;
    ensure(list_empty(&track->subscriptions));
    for (int i = 0; i < TRACK_LAYERS_MAX; i++)
        packet_ring_done(&track->layers[i].ring);
    free(track);
    return NULL;
}

bool track_put(struct track *track, uint64_t now_us, struct packet *packet)
{
    const struct media_info *info = media_info_of(packet);
    struct track_layer *layer = &track->layers[info->layer];
    if (!packet_ring_put(&layer->ring, packet))
        return false;
    if (layer->epoch != info->epoch) {
        // another stream with other timestamps: its own report will tell its clock
        layer->epoch = info->epoch;
        layer->clock.valid = false;
    }
    layer->last_packet_us = now_us;
    track->last_packet_us = now_us;
    layer_rates_packet(&layer->rates, now_us, info);
    track->simulcast |= info->layer > 0;
    if (info->width > 0 && info->height > 0) {
        layer->width = info->width;
        layer->height = info->height;
    }
    if (info->layers.has_structure)
        media_targets_read(rtp_extensions_get(&info->extensions,
                                              RTP_EXTENSION_DEPENDENCY_DESCRIPTOR, packet->bytes),
                           &layer->targets);
    if (info->layers.broken)
        track_want_key_frame(track, info->layer);
    if (info->key_frame) {
        keyframe_arrived(&layer->key_frame);
        gop_cache_packet(&layer->gop, packet);
    }
    return true;
}

void track_share(struct track *track, size_t tracks)
{
    size_t packets = PUBLISHER_PACKETS / TRACK_LAYERS_MAX / max_of(tracks, (size_t)1);
    for (int i = 0; i < TRACK_LAYERS_MAX; i++)
        packet_ring_limit(&track->layers[i].ring,
                          (uint32_t)max_of(packets, (size_t)LAYER_PACKETS_MIN));
}

void track_clear(struct track *track)
{
    for (int i = 0; i < TRACK_LAYERS_MAX; i++) {
        struct track_layer *layer = &track->layers[i];
        packet_ring_clear(&layer->ring);
        gop_cache_forget(&layer->gop);
        layer->clock.valid = false;
        layer->last_packet_us = 0;
        layer->targets.count = 0;
    }
    track->simulcast = false;
}

void track_expire(struct track *track, uint64_t now_us, uint64_t gop_age_us)
{
    for (int i = 0; i < TRACK_LAYERS_MAX; i++) {
        struct track_layer *layer = &track->layers[i];
        packet_ring_expire(&layer->ring,
                           gop_cache_keep_since(&layer->gop, now_us, HISTORY_US, gop_age_us));
    }
}

void track_forget_gops(struct track *track)
{
    for (int i = 0; i < TRACK_LAYERS_MAX; i++)
        gop_cache_forget(&track->layers[i].gop);
}

bool track_layer_sent(const struct track *track, uint64_t now_us, uint8_t layer)
{
    uint64_t last_us = track->layers[layer].last_packet_us;
    return last_us > 0 && now_us - last_us < LAYER_SILENT_US;
}

const struct track_layer *track_row(const struct track *track, uint64_t now_us, uint8_t row)
{
    uint8_t layer = track->simulcast ? row : 0;
    bool sent = track_layer_sent(track, now_us, layer) &&
                (track->simulcast || row < layer_rates_rows(&track->layers[0].rates, now_us));
    return sent ? &track->layers[layer] : NULL;
}

uint8_t track_row_point(const struct track *track, uint64_t now_us, uint8_t row)
{
    bool top = track->simulcast || row + 1 >= layer_rates_rows(&track->layers[0].rates, now_us);
    return media_point(top ? MEDIA_SPATIAL_LAYERS - 1 : row, MEDIA_TEMPORAL_LAYERS - 1);
}

void track_row_size(const struct track *track, uint64_t now_us, uint8_t row, uint16_t *ret_width,
                    uint16_t *ret_height)
{
    const struct track_layer *layer = track_row(track, now_us, row);
    uint8_t spatial = media_point_spatial(track_row_point(track, now_us, row));
    *ret_width = layer->width;
    *ret_height = layer->height;
    if (spatial + 1 == MEDIA_SPATIAL_LAYERS)
        return;
    *ret_width = layer->targets.width[row];
    *ret_height = layer->targets.height[row];
    if (*ret_width == 0) {
        // as encoders do it: each has half the sides of the next
        unsigned halvings = layer_rates_rows(&layer->rates, now_us) - 1u - row;
        *ret_width = (uint16_t)(layer->width >> halvings);
        *ret_height = (uint16_t)(layer->height >> halvings);
    }
}

void track_measure(struct track *track, uint64_t now_us)
{
    uint64_t passed_us = now_us - track->measured_us;
    if (passed_us < MEASURE_US)
        return;
    bool first = track->measured_us == 0;
    track->measured_us = now_us;
    for (int i = 0; i < TRACK_LAYERS_MAX; i++)
        layer_rates_measure(&track->layers[i].rates, passed_us, first);
}

/** A rate that is worth telling again. */
static bool rate_differs(uint64_t told_bps, uint64_t now_bps)
{
    return now_bps > told_bps + told_bps / 2 || now_bps < told_bps / 2;
}

bool track_layers_changed(struct track *track, uint64_t now_us)
{
    struct media_layer now[TRACK_LAYERS_MAX] = { 0 };
    bool changed = false;
    for (uint8_t i = 0; i < TRACK_LAYERS_MAX; i++) {
        const struct track_layer *layer = track_row(track, now_us, i);
        uint64_t bitrate_bps =
            layer ? layer->rates.bitrate_bps[track_row_point(track, now_us, i)] : 0;
        if (bitrate_bps > 0) {
            now[i] = (struct media_layer){ .sent = true, .bitrate_bps = bitrate_bps };
            track_row_size(track, now_us, i, &now[i].width, &now[i].height);
        }
        const struct media_layer *told = &track->told[i];
        changed = changed || now[i].sent != told->sent || now[i].width != told->width ||
                  now[i].height != told->height ||
                  rate_differs(told->bitrate_bps, now[i].bitrate_bps);
    }
    if (changed)
        memcpy(track->told, now, sizeof(now));
    return changed;
}

uint8_t track_best_layer(const struct track *track, uint64_t now_us)
{
    for (uint8_t i = TRACK_LAYERS_MAX; i > 0; i--) {
        if (track_layer_sent(track, now_us, (uint8_t)(i - 1)))
            return (uint8_t)(i - 1);
    }
    return 0;
}

void track_want_key_frame(struct track *track, uint8_t layer)
{
    if (track->video)
        keyframe_want(&track->layers[layer].key_frame);
}

bool track_mirror_add(struct track *track, uint16_t worker)
{
    ensure(worker < TRACK_WORKERS_MAX);
    uint64_t bit = 1ull << (worker % 64);
    bool added = !(track->mirrors[worker / 64] & bit);
    track->mirrors[worker / 64] |= bit;
    return added;
}

void track_mirror_remove(struct track *track, uint16_t worker)
{
    ensure(worker < TRACK_WORKERS_MAX);
    track->mirrors[worker / 64] &= ~(1ull << (worker % 64));
}

bool track_mirror_next(const struct track *track, uint32_t *cursor, uint16_t *ret_worker)
{
    while (*cursor < TRACK_WORKERS_MAX) {
        uint32_t word = *cursor / 64;
        uint64_t left = track->mirrors[word] >> (*cursor % 64);
        if (left == 0) {
            *cursor = (word + 1) * 64;
            continue;
        }
        *cursor += (uint32_t)__builtin_ctzll(left);
        *ret_worker = (uint16_t)(*cursor)++;
        return true;
    }
    return false;
}
