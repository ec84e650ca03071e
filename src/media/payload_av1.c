// AV1 over RTP (the Alliance for Open Media's "RTP Payload Format For AV1", version 1.0).
#include <errno.h>

#include "media/codec_int.h"

/** AV1 specification, 6.2.2. */
enum {
    OBU_SEQUENCE_HEADER = 1,
    OBU_TEMPORAL_DELIMITER = 2,
    OBU_FRAME_HEADER = 3,
    OBU_METADATA = 5,
    OBU_FRAME = 6,
};

enum { LEB128_BYTES_MAX = 8 };

/** AV1 specification, 4.10.5: little-endian groups of 7 bits. */
static uint64_t leb128_read(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < LEB128_BYTES_MAX; i++) {
        uint8_t byte = reader_u8(reader);
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80))
            return value;
    }
    reader->failed = true;
    return 0;
}

/** |F| type |X|S|-|  and, with X,  | TID |SID|---| */
static void unit_note(struct bytes unit, struct payload_info *info)
{
    uint8_t type = unit.data[0] >> 3 & 0x0f;
    if (type == OBU_SEQUENCE_HEADER || type == OBU_FRAME_HEADER || type == OBU_FRAME ||
        type == OBU_METADATA || type == OBU_TEMPORAL_DELIMITER)
        info->frame_start = true;
    if ((unit.data[0] & 0x04) && unit.size >= 2 && !info->has_layers) {
        info->has_layers = true;
        info->temporal_id = unit.data[1] >> 5;
        info->spatial_id = unit.data[1] >> 3 & 3;
    }
}

/**
 * Section 4.4, the aggregation header: |Z|Y| W |N|-|-|-|
 * Z: begins with the rest of an OBU, Y: ends inside one, W: number of elements (0: each has its
 * length), N: first packet of a coded video sequence.
 */
int payload_av1_inspect(struct bytes payload, bool marker, struct payload_info *ret_info)
{
    struct reader reader = reader_of(payload.data, payload.size);
    uint8_t head = reader_u8(&reader);
    bool continued = head & 0x80;
    unsigned elements = head >> 4 & 3;
    bool sequence_start = head & 0x08;
    // section 4.4: a new sequence cannot begin in the middle of an OBU
    if (reader_left(&reader) == 0 || (sequence_start && continued))
        return -EBADMSG;
    for (unsigned i = 0; reader_left(&reader) > 0; i++) {
        bool last = elements != 0 && i + 1 == elements;
        uint64_t size = last ? reader_left(&reader) : leb128_read(&reader);
        struct bytes unit = reader_bytes(&reader, size);
        if (reader.failed)
            return -EBADMSG;
        if (unit.size > 0 && !(i == 0 && continued))
            unit_note(unit, ret_info);
        if (last)
            break;
    }
    ret_info->key_frame_start = sequence_start;
    ret_info->layer_end = marker;
    return 0;
}

/** Profile 0 (Main) is what every AV1 decoder takes and every browser sends. */
bool codec_av1_accepts(struct bytes fmtp)
{
    return codec_fmtp_number(fmtp, "profile", 0) == 0;
}
