// H.264 over RTP (RFC 6184), non-interleaved mode.
#include <errno.h>

#include "media/codec_int.h"

/** NAL unit types (H.264, table 7-1, and RFC 6184, 5.2). */
enum {
    NAL_SLICE = 1,
    NAL_SLICE_IDR = 5,
    NAL_SEI = 6,
    NAL_SPS = 7,
    NAL_PPS = 8,
    NAL_DELIMITER = 9,
    NAL_SINGLE_MAX = 23,
    NAL_STAP_A = 24,
    NAL_FU_A = 28,
};

enum {
    TYPE_MASK = 0x1f,
    FU_START = 0x80,
};

/** Takes one NAL unit, or the beginning of one, into account. `rest` is behind its header. */
static void unit_note(struct payload_info *info, uint8_t type, struct bytes rest)
{
    bool slice = type == NAL_SLICE || type == NAL_SLICE_IDR || type == 2;
    // first_mb_in_slice is the first Exp-Golomb number: a set first bit means macroblock 0
    bool first_slice = slice && rest.size > 0 && (rest.data[0] & 0x80);
    if (first_slice || (type >= NAL_SEI && type <= NAL_DELIMITER))
        info->frame_start = true;
    if (type == NAL_SPS || (type == NAL_SLICE_IDR && first_slice))
        info->key_frame_start = true;
}

/** Section 5.7.1: |STAP-A header| size 16 | NAL | size 16 | NAL ... */
static int stap_a(struct reader *reader, struct payload_info *info)
{
    if (reader_left(reader) == 0)
        return -EBADMSG;
    while (reader_left(reader) > 0) {
        struct bytes unit = reader_bytes(reader, reader_u16(reader));
        if (reader->failed || unit.size == 0)
            return -EBADMSG;
        unit_note(info, unit.data[0] & TYPE_MASK, bytes_of(unit.data + 1, unit.size - 1));
    }
    return 0;
}

int payload_h264_inspect(struct bytes payload, bool marker, struct payload_info *ret_info)
{
    struct reader reader = reader_of(payload.data, payload.size);
    uint8_t indicator = reader_u8(&reader);
    uint8_t type = indicator & TYPE_MASK;
    ret_info->layer_end = marker;
    if (type == NAL_STAP_A)
        return stap_a(&reader, ret_info);
    if (type == NAL_FU_A) {
        // section 5.8: |FU indicator|S|E|R| type | fragment ...
        uint8_t header = reader_u8(&reader);
        if (reader_left(&reader) == 0)
            return -EBADMSG;
        struct bytes rest = reader_bytes(&reader, reader_left(&reader));
        if (header & FU_START)
            unit_note(ret_info, header & TYPE_MASK, rest);
    } else if (type >= 1 && type <= NAL_SINGLE_MAX) {
        unit_note(ret_info, type, reader_bytes(&reader, reader_left(&reader)));
    } else {
        // interleaved forms, which were not negotiated, and reserved types
        return -EBADMSG;
    }
    return 0;
}

/** Profiles in the order of what decodes what: each decodes those before it. */
enum profile {
    PROFILE_UNKNOWN,
    PROFILE_CONSTRAINED_BASELINE,
    PROFILE_BASELINE,
    PROFILE_MAIN,
    PROFILE_CONSTRAINED_HIGH,
    PROFILE_HIGH,
};

/** RFC 6184, 8.1: profile_idc, profile-iop, level_idc; without the parameter Baseline level 1. */
static enum profile profile_of(struct bytes fmtp)
{
    struct bytes text;
    uint8_t id[3] = { 0x42, 0x00, 0x0a };
    if (codec_fmtp_get(fmtp, "profile-level-id", &text) &&
        text_hex_parse(text, id, sizeof(id)) != 3)
        return PROFILE_UNKNOWN;
    bool constraint_0 = id[1] & 0x80;
    bool constraint_1 = id[1] & 0x40;
    switch (id[0]) {
    case 0x42:
        return constraint_1 ? PROFILE_CONSTRAINED_BASELINE : PROFILE_BASELINE;
    case 0x4d:
        return constraint_0 ? PROFILE_CONSTRAINED_BASELINE : PROFILE_MAIN;
    case 0x64:
        return (id[1] & 0x0c) == 0x0c ? PROFILE_CONSTRAINED_HIGH : PROFILE_HIGH;
    default:
        return PROFILE_UNKNOWN;
    }
}

/** Only mode 1, which every browser offers beside mode 0: a mode for every stream in a room. */
bool codec_h264_accepts(struct bytes fmtp)
{
    return codec_fmtp_number(fmtp, "packetization-mode", 0) == 1 &&
           profile_of(fmtp) != PROFILE_UNKNOWN;
}

/**
 * The receiver's profile must contain the sender's. Baseline as offered by browsers stands for
 * Constrained Baseline: nobody sends its other tools (FMO, ASO, redundant slices), so that every
 * profile decodes it. Levels differ with asymmetry allowed and decoders take more than they say.
 */
bool codec_h264_compatible(struct bytes sent, struct bytes received)
{
    enum profile sender = profile_of(sent);
    enum profile receiver = profile_of(received);
    if (sender == PROFILE_UNKNOWN || receiver == PROFILE_UNKNOWN)
        return false;
    return sender <= PROFILE_BASELINE || sender <= receiver;
}

/**
 * RFC 6184, 8.2.2: profile and packetization mode are symmetric; the offered level is repeated,
 * which is right with and without level asymmetry. What the client told of its parameter sets and
 * limits is about its own side and not repeated.
 */
void codec_h264_answer(struct bytes fmtp, struct text_builder *out)
{
    struct bytes value;
    if (codec_fmtp_number(fmtp, "level-asymmetry-allowed", 0) == 1)
        text_append(out, "level-asymmetry-allowed=1;");
    text_append(out, "packetization-mode=1");
    if (codec_fmtp_get(fmtp, "profile-level-id", &value)) {
        text_append(out, ";profile-level-id=");
        text_append_bytes(out, value);
    }
}
