#include "room/frame_ids.h"

#include <string.h>

#include "media/codec.h"

static struct bytes descriptor_of(struct packet *packet)
{
    return rtp_extensions_get(&media_info_of(packet)->extensions,
                              RTP_EXTENSION_DEPENDENCY_DESCRIPTOR, packet->bytes);
}

struct rewrite_ids frame_ids_begin(const struct frame_ids *ids, struct packet *packet)
{
    const struct media_info *info = media_info_of(packet);
    struct rewrite_ids added = { 0 };
    uint16_t frame;
    if (ids->has_picture && info->picture_id_bits > 0) {
        added.picture = (uint16_t)(ids->picture + 1 - info->picture_id);
        added.tl0 = (uint8_t)(ids->tl0 + 1 - info->tl0);
    }
    if (ids->has_frame && dependency_frame_number(descriptor_of(packet), &frame))
        added.frame = (uint16_t)(ids->frame + 1 - frame);
    return added;
}

void frame_ids_sent(struct frame_ids *ids, const struct rewrite_ids *added, struct packet *packet)
{
    const struct media_info *info = media_info_of(packet);
    uint16_t frame;
    if (info->picture_id_bits > 0) {
        ids->has_picture = true;
        ids->left_out = false;
        ids->picture = (uint16_t)(info->picture_id + added->picture);
        ids->tl0 = (uint8_t)(info->tl0 + added->tl0);
    }
    if (dependency_frame_number(descriptor_of(packet), &frame)) {
        ids->has_frame = true;
        ids->frame = (uint16_t)(frame + added->frame);
    }
}

bool frame_ids_leave_out(struct frame_ids *ids, struct packet *packet)
{
    const struct media_info *info = media_info_of(packet);
    if (info->codec != CODEC_VP8 || info->picture_id_bits == 0 ||
        (ids->left_out && ids->left_out_picture == info->picture_id))
        return false;
    ids->left_out = true;
    ids->left_out_picture = info->picture_id;
    return true;
}

struct bytes frame_ids_head(const struct rewrite_ids *added, struct packet *packet, uint8_t *buffer)
{
    const struct media_info *info = media_info_of(packet);
    if (info->picture_id_bits == 0 || (added->picture == 0 && added->tl0 == 0))
        return bytes_of(NULL, 0);
    size_t size = max_of(info->picture_id_at + (info->picture_id_bits + 1u) / 8, info->tl0_at + 1u);
    memcpy(buffer, packet->bytes + info->payload_at, size);
    uint16_t picture = (uint16_t)(info->picture_id + added->picture);
    if (info->picture_id_bits == 15)
        store_u16(buffer + info->picture_id_at, 0x8000 | picture);
    else
        buffer[info->picture_id_at] = picture & 0x7f;
    if (info->tl0_at > 0)
        buffer[info->tl0_at] = (uint8_t)(info->tl0 + added->tl0);
    return bytes_of(buffer, size);
}

struct bytes frame_ids_descriptor(const struct rewrite_ids *added, uint32_t active,
                                  struct packet *packet, uint8_t *buffer)
{
    const struct media_info *info = media_info_of(packet);
    struct bytes value = descriptor_of(packet);
    uint16_t frame;
    if ((added->frame == 0 && active == 0) || !dependency_frame_number(value, &frame))
        return bytes_of(NULL, 0);
    bool mask = active != 0 && info->layers.described;
    return bytes_of(buffer,
                    dependency_descriptor_write(value, (uint16_t)(frame + added->frame),
                                                mask ? &info->layers.mask : NULL, active, buffer));
}
