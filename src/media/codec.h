/**
 * The codecs that pass through: one constant table row each. A codec is never decoded here; what we
 * know of it is what SDP says and what its payload format shows (payload.h).
 */
#pragma once

#include "base/text.h"

enum codec_kind {
    CODEC_AUDIO,
    CODEC_VIDEO,
};

enum codec_id {
    CODEC_OPUS,
    CODEC_VP8,
    CODEC_VP9,
    CODEC_H264,
    CODEC_AV1,
    CODEC_COUNT,
};

/** RTCP feedback that both sides may use (RFC 4585, 4.2). */
enum codec_feedback {
    CODEC_FEEDBACK_NACK = 1 << 0,
    CODEC_FEEDBACK_PLI = 1 << 1,
    CODEC_FEEDBACK_FIR = 1 << 2,
    CODEC_FEEDBACK_TRANSPORT = 1 << 3, /**< transport-cc */
    CODEC_FEEDBACK_REMB = 1 << 4,
};

struct payload_info;

struct codec {
    enum codec_id id;
    enum codec_kind kind;
    const char *name; /**< encoding name in rtpmap; compared without regard to case */
    uint32_t clock_rate_hz;
    uint8_t channels;  /**< 0: not written in rtpmap */
    uint32_t feedback; /**< codec_feedback bits that we support */
    /** Payload format; see payload_inspect. */
    int (*inspect)(struct bytes payload, bool marker, struct payload_info *ret_info);
    /** Whether we forward a stream of these parameters (a=fmtp). NULL: always. */
    bool (*accepts)(struct bytes fmtp);
    /**
     * Whether a stream sent under `sent` can be received under `received`, both fmtp of this codec
     * (profile, packetization mode). NULL: always.
     */
    bool (*compatible)(struct bytes sent, struct bytes received);
    /** Appends the parameters of the answer to an offer of `fmtp`. NULL: the same text again. */
    void (*answer)(struct bytes fmtp, struct text_builder *out);
};

const struct codec *codec_get(enum codec_id id);
/** The codec of an rtpmap, or NULL. `channels` 0 means 1, as in SDP. */
const struct codec *codec_find(enum codec_kind kind, struct bytes name, uint32_t clock_rate_hz,
                               uint32_t channels);
bool codec_accepts(const struct codec *codec, struct bytes fmtp);
bool codec_compatible(const struct codec *codec, struct bytes sent, struct bytes received);
void codec_answer(const struct codec *codec, struct bytes fmtp, struct text_builder *out);

/** The value of `name` in "name=value;name=value" (RFC 8866, 6.15); false when absent. */
bool codec_fmtp_get(struct bytes fmtp, const char *name, struct bytes *ret_value);
/** "nack pli" and so on as in a=rtcp-fb; 0 when we do not support it. */
uint32_t codec_feedback_find(struct bytes type_and_parameter);
/** The text of one feedback bit. */
const char *codec_feedback_text(enum codec_feedback bit);
