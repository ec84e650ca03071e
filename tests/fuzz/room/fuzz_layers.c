// Packets of one video stream, as a publisher sends them, and what is written anew in them for a
// receiver who was switched to it. The input is packets, one after the other:
//
//   choice(1)       codec, marker (0x80), a switch before it (0x40), targets are masked (0x20)
//   step(1)         of the timestamp, signed
//   size(1) payload
//   size(1) dependency descriptor
//
// Whatever is written lies within what was there, and reads back as the same but for its numbers.
#include <string.h>

#include "room/frame_ids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stream {
    struct media_layering layering;
    struct frame_ids ids;
    struct rewrite_ids added;
    uint32_t timestamp;
};

/** As rtc/describe.c does it. */
static void describe(struct stream *stream, const struct codec *codec, struct packet *packet,
                     struct bytes payload, struct bytes descriptor, bool marker,
                     struct payload_info *read)
{
    struct media_info *info = media_info_of(packet);
    *info =
        (struct media_info){ .payload_size = (uint16_t)payload.size, .codec = (uint8_t)codec->id };
    memcpy(packet->bytes, payload.data, payload.size);
    if (descriptor.size > 0) {
        memcpy(packet->bytes + payload.size, descriptor.data, descriptor.size);
        unsigned kind = RTP_EXTENSION_DEPENDENCY_DESCRIPTOR;
        info->extensions.present = RTP_EXTENSION_BIT(kind);
        info->extensions.places[kind].at = (uint16_t)payload.size;
        info->extensions.places[kind].size = (uint8_t)descriptor.size;
    }
    bool readable = payload_inspect(codec, payload, marker, read) == 0;
    if (read->has_picture_id) {
        info->picture_id = read->picture_id;
        info->picture_id_bits = read->picture_id_bits;
        info->picture_id_at = (uint8_t)read->picture_id_at;
        info->tl0 = read->tl0_picture_index;
        info->tl0_at = read->has_tl0 ? (uint8_t)read->tl0_at : 0;
    }
    media_layering_read(&stream->layering, codec->id, readable ? read : NULL, descriptor,
                        stream->timestamp, &info->layers);
    ensure(info->layers.points <= MEDIA_POINTS_ALL && info->layers.follows <= MEDIA_POINTS_ALL);
    ensure(info->layers.spatial < MEDIA_SPATIAL_LAYERS);
    ensure(info->layers.temporal < MEDIA_TEMPORAL_LAYERS);
}

/** The payload with its new head is that of another picture, and else the same. */
static void check_head(const struct stream *stream, const struct codec *codec,
                       struct packet *packet, const struct payload_info *before, bool marker)
{
    uint8_t head_bytes[FRAME_IDS_HEAD_MAX], written[256];
    struct bytes head = frame_ids_head(&stream->added, packet, head_bytes);
    struct bytes payload = media_payload_of(packet);
    if (head.size == 0)
        return;
    ensure(head.size <= FRAME_IDS_HEAD_MAX && head.size < payload.size);
    memcpy(written, payload.data, payload.size);
    memcpy(written, head.data, head.size);
    struct payload_info after = { 0 };
    ensure(payload_inspect(codec, bytes_of(written, payload.size), marker, &after) == 0);
    uint16_t mask = before->picture_id_bits == 15 ? 0x7fff : 0x7f;
    ensure(after.picture_id == ((before->picture_id + stream->added.picture) & mask));
    ensure(after.picture_id_bits == before->picture_id_bits && after.has_tl0 == before->has_tl0);
    ensure(after.frame_start == before->frame_start && after.temporal_id == before->temporal_id);
    ensure(after.spatial_id == before->spatial_id && after.layer_sync == before->layer_sync);
}

static void check_descriptor(const struct stream *stream, struct packet *packet,
                             struct bytes descriptor, bool masked)
{
    uint8_t bytes[DEPENDENCY_DESCRIPTOR_MAX];
    struct bytes written = frame_ids_descriptor(
        &stream->added, masked ? stream->layering.active_targets >> 1 : 0, packet, bytes);
    ensure(written.size <= sizeof(bytes));
    uint16_t before, after;
    if (written.size == 0)
        return;
    ensure(dependency_frame_number(descriptor, &before) &&
           dependency_frame_number(written, &after));
    ensure(after == (uint16_t)(before + stream->added.frame));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum codec_id codecs[] = { CODEC_VP8, CODEC_VP9, CODEC_AV1, CODEC_H264 };
    struct reader reader = reader_of(data, size);
    struct stream stream = { 0 };
    struct packet_pool pool;
    packet_pool_init(&pool, 1);
    while (reader_left(&reader) > 0) {
        uint8_t choice = reader_u8(&reader);
        stream.timestamp += (uint32_t)(int32_t)(int8_t)reader_u8(&reader) * 3000u;
        struct bytes payload = reader_bytes(&reader, reader_u8(&reader));
        struct bytes descriptor = reader_bytes(&reader, reader_u8(&reader));
        if (reader.failed || payload.size == 0)
            break;
        const struct codec *codec = codec_get(codecs[choice % array_size(codecs)]);
        struct packet *packet = packet_pool_take(&pool, payload.size + descriptor.size + 1);
        ensure(packet != NULL);
        struct payload_info read = { 0 };
        describe(&stream, codec, packet, payload, descriptor, choice & 0x80, &read);
        if (choice & 0x40)
            stream.added = frame_ids_begin(&stream.ids, packet);
        check_head(&stream, codec, packet, &read, choice & 0x80);
        check_descriptor(&stream, packet, descriptor, choice & 0x20);
        if (frame_ids_leave_out(&stream.ids, packet))
            stream.added.picture--;
        else
            frame_ids_sent(&stream.ids, &stream.added, packet);
        struct media_targets targets;
        if (media_targets_read(descriptor, &targets))
            ensure(targets.count >= 1 && targets.count <= DEPENDENCY_TARGETS_MAX);
        packet_unref(packet);
    }
    ensure(packet_pool_done(&pool) == 0);
    return 0;
}
