#include "media/codec.h"

#include "media/codec_int.h"

enum {
    FEEDBACK_AUDIO = CODEC_FEEDBACK_TRANSPORT,
    FEEDBACK_VIDEO = CODEC_FEEDBACK_NACK | CODEC_FEEDBACK_PLI | CODEC_FEEDBACK_FIR |
                     CODEC_FEEDBACK_TRANSPORT | CODEC_FEEDBACK_REMB,
};

static const struct codec codecs[CODEC_COUNT] = {
    [CODEC_OPUS] = {
        .id = CODEC_OPUS,
        .kind = CODEC_AUDIO,
        .name = "opus",
        .clock_rate_hz = 48000,
        .channels = 2, // RFC 7587, 7: always 2, whatever is inside
        .feedback = FEEDBACK_AUDIO,
        .inspect = payload_opus_inspect,
    },
    [CODEC_VP8] = {
        .id = CODEC_VP8,
        .kind = CODEC_VIDEO,
        .name = "VP8",
        .clock_rate_hz = 90000,
        .feedback = FEEDBACK_VIDEO,
        .inspect = payload_vp8_inspect,
        .answer = codec_vp8_answer,
    },
    [CODEC_VP9] = {
        .id = CODEC_VP9,
        .kind = CODEC_VIDEO,
        .name = "VP9",
        .clock_rate_hz = 90000,
        .feedback = FEEDBACK_VIDEO,
        .inspect = payload_vp9_inspect,
        .accepts = codec_vp9_accepts,
        .compatible = codec_vp9_compatible,
        .answer = codec_vp9_answer,
    },
    [CODEC_H264] = {
        .id = CODEC_H264,
        .kind = CODEC_VIDEO,
        .name = "H264",
        .clock_rate_hz = 90000,
        .feedback = FEEDBACK_VIDEO,
        .inspect = payload_h264_inspect,
        .accepts = codec_h264_accepts,
        .compatible = codec_h264_compatible,
        .answer = codec_h264_answer,
    },
    [CODEC_AV1] = {
        .id = CODEC_AV1,
        .kind = CODEC_VIDEO,
        .name = "AV1",
        .clock_rate_hz = 90000,
        .feedback = FEEDBACK_VIDEO,
        .inspect = payload_av1_inspect,
        .accepts = codec_av1_accepts,
    },
};

static const struct {
    enum codec_feedback bit;
    const char *text;
} feedbacks[] = {
    { CODEC_FEEDBACK_NACK, "nack" },      { CODEC_FEEDBACK_PLI, "nack pli" },
    { CODEC_FEEDBACK_FIR, "ccm fir" },    { CODEC_FEEDBACK_TRANSPORT, "transport-cc" },
    { CODEC_FEEDBACK_REMB, "goog-remb" },
};

const struct codec *codec_get(enum codec_id id)
{
    ensure(id < CODEC_COUNT);
    return &codecs[id];
}

const struct codec *codec_find(enum codec_kind kind, struct bytes name, uint32_t clock_rate_hz,
                               uint32_t channels)
{
    for (size_t i = 0; i < array_size(codecs); i++) {
        const struct codec *codec = &codecs[i];
        if (codec->kind == kind && codec->clock_rate_hz == clock_rate_hz &&
            max_of(channels, 1u) == max_of((uint32_t)codec->channels, 1u) &&
            text_equal_ignore_case(name, codec->name))
            return codec;
    }
    return NULL;
}

bool codec_accepts(const struct codec *codec, struct bytes fmtp)
{
    return !codec->accepts || codec->accepts(fmtp);
}

bool codec_compatible(const struct codec *codec, struct bytes sent, struct bytes received)
{
    return !codec->compatible || codec->compatible(sent, received);
}

void codec_answer(const struct codec *codec, struct bytes fmtp, struct text_builder *out)
{
    if (codec->answer)
        codec->answer(fmtp, out);
    else
        text_append_bytes(out, fmtp);
}

bool codec_fmtp_get(struct bytes fmtp, const char *name, struct bytes *ret_value)
{
    while (fmtp.size > 0) {
        struct bytes value = text_trim(text_take_until(&fmtp, ';'));
        struct bytes key = text_trim(text_take_until(&value, '='));
        if (!text_equal_ignore_case(key, name))
            continue;
        *ret_value = text_trim(value);
        return true;
    }
    return false;
}

uint64_t codec_fmtp_number(struct bytes fmtp, const char *name, uint64_t otherwise)
{
    struct bytes value;
    uint64_t number;
    if (!codec_fmtp_get(fmtp, name, &value) || text_parse_u64(value, UINT32_MAX, &number) < 0)
        return otherwise;
    return number;
}

uint32_t codec_feedback_find(struct bytes type_and_parameter)
{
    for (size_t i = 0; i < array_size(feedbacks); i++)
        if (text_equal_ignore_case(text_trim(type_and_parameter), feedbacks[i].text))
            return feedbacks[i].bit;
    return 0;
}

const char *codec_feedback_text(enum codec_feedback bit)
{
    for (size_t i = 0; i < array_size(feedbacks); i++)
        if (feedbacks[i].bit == bit)
            return feedbacks[i].text;
    return NULL;
}
