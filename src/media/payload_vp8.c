// VP8 over RTP (RFC 7741).
#include <errno.h>

#include "media/codec_int.h"

enum {
    START_CODE = 0x9d012a, // RFC 6386, 9.1
    DIMENSION_MASK = 0x3fff,
};

/**
 * Section 4.2; each optional byte is there when its bit is set.
 *
 *      0 1 2 3 4 5 6 7
 *     |X|R|N|S|R| PID |   S: start of partition PID
 *  X: |I|L|T|K| RSV   |
 *  I: |M| PictureID   |   M: two bytes, 15 bits
 *  M: |   PictureID   |
 *  L: |   TL0PICIDX   |
 * T/K:|TID|Y| KEYIDX  |   Y: layer sync
 */
static void descriptor_read(struct reader *reader, struct payload_info *info)
{
    uint8_t first = reader_u8(reader);
    info->frame_start = (first & 0x10) && (first & 0x07) == 0;
    if (!(first & 0x80))
        return;
    uint8_t extended = reader_u8(reader);
    if (extended & 0x80) {
        info->has_picture_id = true;
        info->picture_id_at = (uint16_t)reader->at;
        uint8_t high = reader_u8(reader);
        info->picture_id_bits = high & 0x80 ? 15 : 7;
        info->picture_id = high & 0x7f;
        if (high & 0x80)
            info->picture_id = (uint16_t)(info->picture_id << 8 | reader_u8(reader));
    }
    if (extended & 0x40) {
        info->has_tl0 = true;
        info->tl0_at = (uint16_t)reader->at;
        info->tl0_picture_index = reader_u8(reader);
    }
    if (extended & 0x30) {
        uint8_t layers = reader_u8(reader);
        info->has_layers = extended & 0x20;
        info->temporal_id = info->has_layers ? layers >> 6 : 0;
        info->layer_sync = info->has_layers && (layers & 0x20);
    }
}

/** RFC 6386, 9.1: 3 bytes of frame tag, and for key frames the start code and dimensions. */
static void frame_header_read(struct reader *reader, struct payload_info *info)
{
    bool key_frame = !(reader_u8(reader) & 0x01);
    if (reader->failed || !key_frame)
        return;
    info->key_frame_start = true;
    reader_skip(reader, 2);
    if (reader_u24(reader) != START_CODE)
        return;
    uint16_t width = reader_u16(reader);
    uint16_t height = reader_u16(reader);
    // little-endian on the wire
    info->width = (uint16_t)(width << 8 | width >> 8) & DIMENSION_MASK;
    info->height = (uint16_t)(height << 8 | height >> 8) & DIMENSION_MASK;
}

int payload_vp8_inspect(struct bytes payload, bool marker, struct payload_info *ret_info)
{
    struct reader reader = reader_of(payload.data, payload.size);
    descriptor_read(&reader, ret_info);
    // a descriptor without anything behind it is no VP8 payload
    if (reader_left(&reader) == 0)
        return -EBADMSG;
    ret_info->layer_end = marker;
    if (ret_info->frame_start)
        frame_header_read(&reader, ret_info);
    return 0;
}

/** max-fr and max-fs (RFC 7741, 6.1) bound what a receiver can take: we take everything. */
void codec_vp8_answer(unused struct bytes fmtp, unused struct text_builder *out)
{
}
