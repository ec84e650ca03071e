// VP9 over RTP (RFC 9628).
#include <errno.h>

#include "media/codec_int.h"

enum { REFERENCES_MAX = 3 };

/** Section 4.2.1: scalability structure; we only want the size of the highest layer. */
static void structure_read(struct reader *reader, struct payload_info *info)
{
    uint8_t head = reader_u8(reader);
    unsigned layers = (head >> 5) + 1u;
    info->spatial_layers = (uint8_t)layers;
    if (head & 0x10) {
        for (unsigned i = 0; i < layers; i++) {
            info->width = reader_u16(reader);
            info->height = reader_u16(reader);
        }
    }
    if (head & 0x08) {
        unsigned pictures = reader_u8(reader);
        for (unsigned i = 0; i < pictures; i++)
            reader_skip(reader, reader_u8(reader) >> 2 & 3);
    }
}

/**
 * Section 4.2:
 *
 *      0 1 2 3 4 5 6 7
 *     |I|P|L|F|B|E|V|Z|   P: inter-picture predicted, B/E: begin and end of a layer frame,
 *  I: |M| PICTURE ID  |   Z: not a reference for upper spatial layers
 *  M: | EXTENDED PID  |
 *  L: | TID |U| SID |D|   U: switching up point
 *     |   TL0PICIDX   |   when not F (flexible mode)
 * P,F:| P_DIFF      |N|   up to 3
 *  V: | SS ...        |
 */
int payload_vp9_inspect(struct bytes payload, unused bool marker, struct payload_info *ret_info)
{
    struct payload_info *info = ret_info;
    struct reader reader = reader_of(payload.data, payload.size);
    uint8_t first = reader_u8(&reader);
    bool flexible = first & 0x10;
    info->inter_picture = first & 0x40;
    info->layer_end = first & 0x04;
    info->not_for_upper = first & 0x01;
    if (first & 0x80) {
        info->has_picture_id = true;
        info->picture_id_at = (uint16_t)reader.at;
        uint8_t high = reader_u8(&reader);
        info->picture_id_bits = high & 0x80 ? 15 : 7;
        info->picture_id = high & 0x7f;
        if (high & 0x80)
            info->picture_id = (uint16_t)(info->picture_id << 8 | reader_u8(&reader));
    }
    if (first & 0x20) {
        uint8_t layers = reader_u8(&reader);
        info->has_layers = true;
        info->temporal_id = layers >> 5;
        info->layer_sync = layers & 0x10;
        info->spatial_id = layers >> 1 & 7;
        if (!flexible) {
            info->has_tl0 = true;
            info->tl0_at = (uint16_t)reader.at;
            info->tl0_picture_index = reader_u8(&reader);
        }
    }
    if (flexible && info->inter_picture) {
        uint8_t difference = 1;
        for (int i = 0; difference & 1; i++) {
            if (i == REFERENCES_MAX)
                return -EBADMSG;
            difference = reader_u8(&reader);
        }
    }
    if (first & 0x02)
        structure_read(&reader, info);
    if (reader_left(&reader) == 0)
        return -EBADMSG;

    info->frame_start = (first & 0x08) && info->spatial_id == 0;
    info->key_frame_start = info->frame_start && !info->inter_picture;
    return 0;
}

static uint64_t profile_of(struct bytes fmtp)
{
    return codec_fmtp_number(fmtp, "profile-id", 0);
}

/** Profiles 0 and 2 (4:2:0 with 8 and 10 or 12 bits) are what browsers send. */
bool codec_vp9_accepts(struct bytes fmtp)
{
    uint64_t profile = profile_of(fmtp);
    return profile == 0 || profile == 2;
}

bool codec_vp9_compatible(struct bytes sent, struct bytes received)
{
    return profile_of(sent) == profile_of(received);
}

/** Without max-fs and max-fr, which bound what a receiver can take: we take everything. */
void codec_vp9_answer(struct bytes fmtp, struct text_builder *out)
{
    struct bytes profile;
    if (codec_fmtp_get(fmtp, "profile-id", &profile))
        text_append_format(out, "profile-id=%u", (unsigned)profile_of(fmtp));
}
