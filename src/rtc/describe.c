// What the forwarding path has to know of a packet from a publisher.
#include <errno.h>

#include "base/memory.h"
#include "media/payload.h"
#include "proto/rtp/red.h"
#include "rtc/peer_int.h"

/** The primary block of RED, when all blocks are the codec's. Returns 0 or -EBADMSG. */
static int red_primary(const struct rtc_codec *codec, struct bytes *payload)
{
    struct red_payload red;
    if (red_parse(*payload, &red) < 0)
        return -EBADMSG;
    for (size_t i = 0; i < red.count; i++) {
        if (red.blocks[i].payload_type != codec->payload_type)
            return -EBADMSG;
    }
    *payload = red.blocks[red.count - 1].data;
    return 0;
}

/** To which layers a packet belongs. `payload` is NULL when it could not be read. */
static void describe_layers(struct rtc_stream *stream, const struct codec *codec,
                            const struct payload_info *payload, struct packet *packet)
{
    struct media_info *info = media_info_of(packet);
    info->layers = (struct media_layers){
        .points = MEDIA_POINTS_ALL,
        .follows = MEDIA_POINTS_ALL,
    };
    // a probe of padding belongs to no frame
    if (codec->kind != CODEC_VIDEO || info->payload_size == 0)
        return;
    if (!stream->layering)
        stream->layering = memory_new(struct media_layering);
    struct bytes descriptor =
        rtp_extensions_get(&info->extensions, RTP_EXTENSION_DEPENDENCY_DESCRIPTOR, packet->bytes);
    media_layering_read(stream->layering, codec->id, payload, descriptor, info->timestamp,
                        &info->layers);
    info->key_frame |= info->layers.key_frame;
    if (info->layers.has_structure && info->width == 0)
        dependency_structure_size(&stream->layering->structure,
                                  stream->layering->structure.spatial_layers - 1u, &info->width,
                                  &info->height);
}

static void describe_picture(const struct payload_info *payload, struct media_info *info)
{
    if (!payload->has_picture_id)
        return;
    info->picture_id = payload->picture_id;
    info->picture_id_bits = payload->picture_id_bits;
    info->picture_id_at = (uint8_t)payload->picture_id_at;
    info->tl0 = payload->tl0_picture_index;
    info->tl0_at = payload->has_tl0 ? (uint8_t)payload->tl0_at : 0;
}

int peer_describe(struct rtc_peer *peer, uint64_t now_us, struct packet *packet,
                  const struct rtp_packet *rtp, const struct rtp_extensions *extensions,
                  struct rtc_stream *stream, uint64_t index, bool repaired)
{
    const struct rtc_section *section = &peer_negotiated(peer)->sections[stream->section];
    bool is_rtx;
    const struct rtc_codec *codec = rtc_section_codec(section, rtp->payload_type, &is_rtx);
    const struct rtc_codec *red = codec ? NULL : rtc_section_red(section, rtp->payload_type);
    if (red ? false : !codec || is_rtx)
        return peer_drop(peer, RTC_METRIC_DROPPED_CODEC, -ENOENT);
    struct bytes content = rtp_packet_payload(rtp);
    if (red) {
        codec = red;
        if (rtp->payload_size > 0 && red_primary(codec, &content) < 0)
            return peer_drop(peer, RTC_METRIC_DROPPED_RTP, -EBADMSG);
    }
    if (!repaired && !rtp_receive_stats_packet(&stream->stats, now_us, rtp->sequence,
                                               rtp->timestamp, rtp->payload_size, NULL))
        return peer_drop(peer, RTC_METRIC_DROPPED_JUMP, -ESTALE);
    struct payload_info payload = { 0 };
    bool readable =
        content.size > 0 && payload_inspect(codec->codec, content, rtp->marker, &payload) == 0;
    struct media_info *info = media_info_of(packet);
    uint16_t shift = (uint16_t)(rtp->data - packet->bytes);
    *info = (struct media_info){
        .sequence = stream->sequence_offset + index,
        .timestamp = rtp->timestamp,
        .payload_at = (uint16_t)(content.data - packet->bytes),
        .payload_size = (uint16_t)content.size,
        .red_at = red && rtp->payload_size > 0 ? (uint16_t)(shift + rtp->payload_at) : 0,
        .payload_type = codec->payload_type,
        .codec = (uint8_t)codec->codec->id,
        .epoch = stream->epoch,
        .layer = stream->layer,
        .marker = rtp->marker,
        .key_frame = readable && payload.key_frame_start,
        .repaired = repaired,
        .width = payload.width,
        .height = payload.height,
        .extensions = *extensions,
    };
    describe_picture(&payload, info);
    describe_layers(stream, codec->codec, readable ? &payload : NULL, packet);
    if (codec->feedback & CODEC_FEEDBACK_NACK)
        rtp_nack_generator_received(&stream->nack, now_us, rtp->sequence, info->key_frame);
    if (info->sequence > stream->highest) {
        stream->highest = info->sequence;
        stream->highest_timestamp = info->timestamp;
    }
    // one byte of padding, for senders that need one: see rtc_sender_send
    packet->bytes[info->payload_at + info->payload_size] = 1;
    return 0;
}
