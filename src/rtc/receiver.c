// RTP from a publisher: authenticate, find the stream, mend retransmissions, describe the packet.
#include "rtc/peer_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "media/payload.h"
#include "proto/rtp/red.h"
#include "proto/rtp/rtx.h"

/** Between the last packet of a stream and the first of the one that follows it in a layer. */
#define STREAM_GAP 4096

struct rtc_stream *peer_find_stream(struct rtc_peer *peer, uint32_t ssrc)
{
    if (peer->stream_last < peer->stream_count && peer->streams[peer->stream_last].ssrc == ssrc)
        return &peer->streams[peer->stream_last];
    for (uint32_t i = 0; i < peer->stream_count; i++) {
        if (peer->streams[i].ssrc == ssrc) {
            peer->stream_last = i;
            return &peer->streams[i];
        }
    }
    return NULL;
}

static struct rtc_ended *find_ended(struct rtc_peer *peer, uint32_t ssrc)
{
    for (uint32_t i = 0; i < peer->ended_count; i++) {
        if (peer->ended[i].ssrc == ssrc)
            return &peer->ended[i];
    }
    return NULL;
}

/**
 * An SSRC that is no stream, now or any more. Its replay window is kept for as long as we remember
 * it: a section that rests goes on with the rollover counter of before, and what an attacker has
 * recorded must not be played again.
 */
static void note_ended(struct rtc_peer *peer, const struct rtc_ended *ended)
{
    struct rtc_ended *known = find_ended(peer, ended->ssrc);
    if (known) {
        bool replaced = known->replaced || ended->replaced;
        if (ended->resting)
            *known = *ended;
        known->replaced = replaced;
        return;
    }
    if (peer->ended_count < RTC_ENDED_MAX) {
        peer->ended[peer->ended_count++] = *ended;
        return;
    }
    struct rtc_ended *oldest = &peer->ended[peer->ended_at];
    if (peer->receiving && !peer_find_stream(peer, oldest->ssrc))
        secure_rtp_forget(peer->receiving, oldest->ssrc);
    *oldest = *ended;
    peer->ended_at = (peer->ended_at + 1) % RTC_ENDED_MAX;
}

static void remove_stream(struct rtc_peer *peer, uint32_t index, bool replaced)
{
    struct rtc_stream *stream = &peer->streams[index];
    struct rtc_ended ended = { .ssrc = stream->ssrc,
                               .replaced = replaced,
                               .resting = !replaced,
                               .section = stream->section,
                               .layer = stream->layer,
                               .repair = stream->repair };
    note_ended(peer, &ended);
    rtp_nack_generator_done(&stream->nack);
    free(stream->layering);
    peer->streams[index] = peer->streams[--peer->stream_count];
}

void peer_sync_streams(struct rtc_peer *peer)
{
    const struct rtc_negotiated *negotiated = peer_negotiated(peer);
    for (uint32_t i = peer->stream_count; i > 0; i--) {
        uint16_t section = peer->streams[i - 1].section;
        if (section >= negotiated->section_count ||
            !rtc_section_publishes(&negotiated->sections[section]))
            remove_stream(peer, i - 1, false);
    }
    // a stopped section does not come back; another may take its place
    for (uint32_t i = 0; i < peer->ended_count; i++) {
        uint16_t section = peer->ended[i].section;
        if (section >= negotiated->section_count || negotiated->sections[section].rejected)
            peer->ended[i].resting = false;
    }
}

void peer_drop_streams(struct rtc_peer *peer)
{
    for (uint32_t i = 0; i < peer->stream_count; i++) {
        rtp_nack_generator_done(&peer->streams[i].nack);
        free(peer->streams[i].layering);
    }
    free(peer->streams);
    peer->streams = NULL;
    peer->stream_count = 0;
}

/** Where a stream belongs: what an SSRC is for. */
struct placement {
    uint16_t section;
    uint8_t layer;
    bool repair;
    uint32_t repaired;
};

/** By a=ssrc and a=ssrc-group:FID of the offer. */
static bool place_by_announcement(const struct rtc_negotiated *negotiated, uint32_t ssrc,
                                  struct placement *ret_placement)
{
    for (size_t i = 0; i < negotiated->section_count; i++) {
        const struct rtc_section *section = &negotiated->sections[i];
        for (size_t j = 0; rtc_section_publishes(section) && j < section->source_count; j++) {
            const struct rtc_source *source = &section->sources[j];
            if (source->ssrc != ssrc && (source->rtx_ssrc != ssrc || ssrc == 0))
                continue;
            *ret_placement = (struct placement){
                .section = (uint16_t)i,
                .layer = (uint8_t)min_of(j, (size_t)RTC_LAYERS_MAX - 1),
                .repair = source->ssrc != ssrc,
                .repaired = source->ssrc != ssrc ? source->ssrc : 0,
            };
            return true;
        }
    }
    return false;
}

static int find_rid(const struct rtc_section *section, struct bytes rid)
{
    for (size_t i = 0; i < section->rid_count; i++) {
        if (text_equal(rid, section->rids[i]))
            return (int)i;
    }
    return -1;
}

static struct rtc_stream *stream_of_layer(struct rtc_peer *peer, uint16_t section, uint8_t layer,
                                          bool repair)
{
    for (uint32_t i = 0; i < peer->stream_count; i++) {
        struct rtc_stream *stream = &peer->streams[i];
        if (stream->section == section && stream->layer == layer && stream->repair == repair)
            return stream;
    }
    return NULL;
}

/** By the mid and rid header extensions (RFC 9143 9.2, RFC 8852). */
static bool place_by_extensions(struct rtc_peer *peer, const struct rtp_extensions *extensions,
                                const uint8_t *data, uint8_t payload_type,
                                struct placement *ret_placement)
{
    const struct rtc_negotiated *negotiated = peer_negotiated(peer);
    struct bytes mid = rtp_extensions_get(extensions, RTP_EXTENSION_MID, data);
    for (size_t i = 0; mid.size > 0 && i < negotiated->section_count; i++) {
        const struct rtc_section *section = &negotiated->sections[i];
        if (!rtc_section_publishes(section) || !text_equal(mid, section->mid))
            continue;
        struct placement placement = { .section = (uint16_t)i };
        rtc_section_codec(section, payload_type, &placement.repair);
        struct bytes rid = rtp_extensions_get(
            extensions, placement.repair ? RTP_EXTENSION_REPAIRED_RID : RTP_EXTENSION_RID, data);
        int layer = rid.size > 0 ? find_rid(section, rid) : 0;
        // a simulcast packet without rid cannot be placed until one with it came
        if (layer < 0 || (section->rid_count > 0 && rid.size == 0))
            return false;
        placement.layer = (uint8_t)min_of(layer, RTC_LAYERS_MAX - 1);
        struct rtc_stream *repaired =
            placement.repair ? stream_of_layer(peer, placement.section, placement.layer, false)
                             : NULL;
        placement.repaired = repaired ? repaired->ssrc : 0;
        *ret_placement = placement;
        return true;
    }
    return false;
}

/** Where it was before its section rested. */
static bool place_as_before(const struct rtc_negotiated *negotiated, const struct rtc_ended *ended,
                            struct placement *ret_placement)
{
    if (!ended || !ended->resting)
        return false;
    const struct rtc_section *section = &negotiated->sections[ended->section];
    if (!rtc_section_publishes(section) || ended->layer >= max_of(section->rid_count, (size_t)1))
        return false;
    *ret_placement = (struct placement){ .section = ended->section,
                                         .layer = ended->layer,
                                         .repair = ended->repair };
    return true;
}

static void watch_losses(struct rtc_stream *stream, const struct rtc_section *section)
{
    struct rtp_nack_config config = rtp_nack_config_default();
    rtp_nack_generator_init(&stream->nack, &config);
    uint32_t clock_rate_hz =
        codec_get(section->kind == RTC_KIND_AUDIO ? CODEC_OPUS : CODEC_VP8)->clock_rate_hz;
    rtp_receive_stats_init(&stream->stats, stream->ssrc, clock_rate_hz);
}

/** Those that rested in a place which another SSRC has now: their late packets come to nothing. */
static void replace_resting(struct rtc_peer *peer, const struct rtc_stream *stream)
{
    for (uint32_t i = 0; i < peer->ended_count; i++) {
        struct rtc_ended *ended = &peer->ended[i];
        if (!ended->resting || ended->ssrc == stream->ssrc || ended->section != stream->section ||
            ended->layer != stream->layer || ended->repair != stream->repair)
            continue;
        ended->resting = false;
        ended->replaced = true;
    }
}

static struct rtc_stream *add_stream(struct rtc_peer *peer, uint32_t ssrc,
                                     const struct placement *placement)
{
    struct rtc_stream made = {
        .ssrc = ssrc,
        .section = placement->section,
        .layer = placement->layer,
        .repair = placement->repair,
        .repaired = placement->repaired,
        .sequence_offset = 1ull << 16,
    };
    struct rtc_stream *before =
        stream_of_layer(peer, placement->section, placement->layer, placement->repair);
    if (before) {
        // the publisher began anew with another SSRC: the new numbers go on behind the old ones
        made.epoch = (uint8_t)(before->epoch + 1);
        made.sequence_offset = (before->highest + STREAM_GAP + 0xffff) & ~0xffffull;
        remove_stream(peer, (uint32_t)(before - peer->streams), true);
    }
    if (peer->stream_count == RTC_STREAMS_MAX)
        return NULL;
    peer->streams = memory_resize(peer->streams, (peer->stream_count + 1) * sizeof(*peer->streams));
    struct rtc_stream *stream = &peer->streams[peer->stream_count++];
    *stream = made;
    replace_resting(peer, stream);
    watch_losses(stream, &peer_negotiated(peer)->sections[placement->section]);
    return stream;
}

/** The stream of an authentic packet, made when it is its first. NULL: nobody announced it. */
static struct rtc_stream *stream_of_packet(struct rtc_peer *peer, const struct rtp_packet *rtp,
                                           const struct rtp_extensions *extensions)
{
    struct rtc_stream *stream = peer_find_stream(peer, rtp->ssrc);
    if (stream)
        return stream;
    const struct rtc_ended *ended = find_ended(peer, rtp->ssrc);
    if (ended && ended->replaced)
        return NULL;
    struct placement placement;
    const struct rtc_negotiated *negotiated = peer_negotiated(peer);
    if (!place_by_announcement(negotiated, rtp->ssrc, &placement) &&
        !place_by_extensions(peer, extensions, rtp->data, rtp->payload_type, &placement) &&
        !place_as_before(negotiated, ended, &placement)) {
        note_ended(peer, &(struct rtc_ended){ .ssrc = rtp->ssrc });
        return NULL;
    }
    return add_stream(peer, rtp->ssrc, &placement);
}

/**
 * Turns an RTX packet into the one it repeats, in place. `*rtp`, `*stream` and the index become
 * those of the original. Returns 0 or a counted error.
 */
static int restore_repaired(struct rtc_peer *peer, struct packet *packet, struct rtp_packet *rtp,
                            struct rtc_stream **stream, uint64_t *index)
{
    struct rtc_stream *repair = *stream;
    // not known yet, or the publisher has begun anew with another SSRC
    if (repair->repaired == 0 || !peer_find_stream(peer, repair->repaired)) {
        struct rtc_stream *found = stream_of_layer(peer, repair->section, repair->layer, false);
        repair->repaired = found ? found->ssrc : 0;
    }
    struct rtc_stream *original = peer_find_stream(peer, repair->repaired);
    if (!original || original->repair || original->highest == 0)
        return peer_drop(peer, RTC_METRIC_DROPPED_STREAM, -ENOENT);
    const struct rtc_section *section = &peer_negotiated(peer)->sections[original->section];
    bool is_rtx = false;
    const struct rtc_codec *codec = rtc_section_codec(section, rtp->payload_type, &is_rtx);
    if (!codec || !is_rtx)
        return peer_drop(peer, RTC_METRIC_DROPPED_CODEC, -ENOENT);
    uint8_t *data;
    size_t size;
    int error =
        rtx_restore(packet->bytes, packet->size, original->ssrc, codec->payload_type, &data, &size);
    if (error)
        return peer_drop(
            peer, error == -ENODATA ? RTC_METRIC_DROPPED_PADDING : RTC_METRIC_DROPPED_RTP, error);
    if (rtp_packet_parse(data, size, rtp) < 0)
        return peer_drop(peer, RTC_METRIC_DROPPED_RTP, -EBADMSG);
    *index = rtp_sequence_unwrap_near(original->highest - original->sequence_offset + (1ull << 16),
                                      rtp->sequence) -
             (1ull << 16);
    *stream = original;
    peer_count(peer, RTC_METRIC_RTP_RECOVERED, 1);
    return 0;
}

/** Places of extensions that were parsed at `shift` bytes into the packet's bytes. */
static void shift_extensions(struct rtp_extensions *extensions, uint16_t shift)
{
    for (int kind = 0; shift > 0 && kind < RTP_EXTENSION_COUNT; kind++)
        extensions->places[kind].at = (uint16_t)(extensions->places[kind].at + shift);
}

/**
 * Packets that were lost between `newest`, the last one of the stream, and one that came in RED:
 * its older blocks are theirs. Which packet a block is, RFC 2198 does not say; it is taken as the
 * one that many places before only where the timestamps agree.
 */
static void recover_from_red(struct rtc_peer *peer, const struct rtc_stream *stream,
                             struct packet *packet, uint64_t newest, uint32_t newest_timestamp,
                             struct rtc_media *media)
{
    const struct media_info *info = media_info_of(packet);
    struct red_payload red;
    if (info->red_at == 0 || newest == 0 || info->sequence <= newest + 1 ||
        red_parse(bytes_of(packet->bytes + info->red_at,
                           (size_t)info->payload_at + info->payload_size - info->red_at),
                  &red) < 0)
        return;
    uint64_t passed = info->sequence - newest;
    for (size_t i = 0; i + 1 < red.count; i++) {
        const struct red_block *block = &red.blocks[i];
        uint64_t back = red.count - 1 - i;
        if (back >= passed || block->data.size == 0 || media->count + 2 > RTC_MEDIA_MAX ||
            block->timestamp_offset * passed != back * (info->timestamp - newest_timestamp))
            continue;
        // and the byte for padding
        size_t size = info->red_at + block->data.size;
        struct packet *made = packet_pool_take(peer->thread->pool, size + 1);
        if (!made)
            return;
        // the header of the one that came: the level of the sound will be much the same
        memcpy(made->bytes, packet->bytes, info->red_at);
        memcpy(made->bytes + info->red_at, block->data.data, block->data.size);
        made->bytes[size] = 1;
        made->size = (uint32_t)size;
        made->received_us = packet->received_us;
        struct media_info *description = media_info_of(made);
        *description = *info;
        description->sequence = info->sequence - back;
        description->timestamp = info->timestamp - block->timestamp_offset;
        description->payload_at = info->red_at;
        description->payload_size = (uint16_t)block->data.size;
        description->red_at = 0;
        description->marker = false;
        description->repaired = true;
        media->packets[media->count] = made;
        media->sections[media->count++] = stream->section;
        peer_count(peer, RTC_METRIC_RTP_RECOVERED, 1);
    }
}

static int take_packet(struct rtc_peer *peer, uint64_t now_us, struct packet *packet,
                       uint64_t index, struct rtc_media *media)
{
    const struct rtp_extension_map *map = &peer_negotiated(peer)->extensions;
    struct rtp_packet rtp;
    if (rtp_packet_parse(packet->bytes, packet->size, &rtp) < 0)
        return peer_drop(peer, RTC_METRIC_DROPPED_RTP, -EBADMSG);
    struct rtp_extensions extensions;
    rtp_extensions_parse(&rtp, map, &extensions);
    uint16_t transport_sequence;
    if (rtp_extensions_transport_sequence(&extensions, rtp.data, &transport_sequence))
        twcc_receiver_packet(&peer->twcc, now_us, transport_sequence, rtp.ssrc);
    struct rtc_stream *stream = stream_of_packet(peer, &rtp, &extensions);
    if (!stream)
        return peer_drop(peer, RTC_METRIC_DROPPED_STREAM, -ENOENT);
    peer_count(peer, RTC_METRIC_RTP_RECEIVED, 1);
    peer_count(peer, RTC_METRIC_RTP_RECEIVED_BYTES, rtp.payload_size);
    bool repaired = stream->repair;
    if (repaired) {
        int error = restore_repaired(peer, packet, &rtp, &stream, &index);
        if (error)
            return error;
        rtp_extensions_parse(&rtp, map, &extensions);
        shift_extensions(&extensions, (uint16_t)(rtp.data - packet->bytes));
    }
    uint64_t newest = stream->highest;
    uint32_t newest_timestamp = stream->highest_timestamp;
    int error = peer_describe(peer, now_us, packet, &rtp, &extensions, stream, index, repaired);
    if (error)
        return error;
    recover_from_red(peer, stream, packet, newest, newest_timestamp, media);
    if (rtp.payload_size == 0)
        // padding probes hold nothing to forward, but their numbers count: the ring keeps them
        peer_count(peer, RTC_METRIC_DROPPED_PADDING, 1);
    media->packets[media->count] = packet_ref(packet);
    media->sections[media->count++] = stream->section;
    return 0;
}

int peer_receive_rtp(struct rtc_peer *peer, uint64_t now_us, struct bytes datagram,
                     struct rtc_media *media)
{
    ensure(media->count < RTC_MEDIA_MAX);
    if (!peer->receiving)
        return peer_drop(peer, RTC_METRIC_DROPPED_NO_KEYS, -ENOTCONN);
    // the plaintext is shorter; a byte for padding is kept
    size_t room = min_of(datagram.size, (size_t)PACKET_BYTES_MAX - 1);
    struct packet *packet cleanup(packet_unref_at) = packet_pool_take(peer->thread->pool, room + 1);
    if (!packet)
        return peer_drop(peer, RTC_METRIC_DROPPED_NO_PACKET, -ENOBUFS);
    uint64_t index;
    ssize_t size = secure_rtp_unprotect(peer->receiving, datagram, packet->bytes, room, &index);
    if (size < 0)
        return peer_drop(peer, RTC_METRIC_DROPPED_SRTP, (int)size);
    packet->size = (uint32_t)size;
    packet->received_us = now_us;
    return take_packet(peer, now_us, packet, index, media);
}
