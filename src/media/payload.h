/**
 * What an RTP payload shows of its frame, without decoding: VP8 (RFC 7741), VP9 (RFC 9628), H.264
 * (RFC 6184), AV1 (its RTP specification), Opus (RFC 7587).
 */
#pragma once

#include "media/codec.h"

#define PAYLOAD_NONE 0xffff /**< an offset of something that is not there */

struct payload_info {
    /**
     * The packet begins a frame. H.264 and AV1 cannot always tell from one packet: there it says
     * that the packet may begin one, and a new timestamp decides.
     */
    bool frame_start;
    bool layer_end;       /**< last packet of a spatial layer's frame */
    bool key_frame_start; /**< a decoder may begin with this packet */
    bool layer_sync;      /**< one may go up to higher temporal layers here (VP8 Y, VP9 U) */
    bool has_layers;      /**< the ids below were in the packet */
    uint8_t spatial_id;
    uint8_t temporal_id;
    bool inter_picture;     /**< VP9 P: needs earlier pictures */
    bool not_for_upper;     /**< VP9 Z: upper spatial layers do not need it */
    uint8_t spatial_layers; /**< of the stream, where a VP9 key frame tells; else 0 */
    bool has_picture_id;
    uint8_t picture_id_bits; /**< 7 or 15 */
    uint16_t picture_id;
    uint16_t picture_id_at; /**< offset in the payload for rewriting, or PAYLOAD_NONE */
    bool has_tl0;
    uint8_t tl0_picture_index;
    uint16_t tl0_at; /**< offset in the payload, or PAYLOAD_NONE */
    uint16_t width;  /**< of a key frame that tells, else 0 */
    uint16_t height;
};

/**
 * Looks into one RTP payload. `marker` is the RTP marker bit. Returns 0 or -EBADMSG when the
 * payload does not follow its format; `ret_info` is then untouched. An empty payload is -ENODATA.
 */
must_check int payload_inspect(const struct codec *codec, struct bytes payload, bool marker,
                               struct payload_info *ret_info);
