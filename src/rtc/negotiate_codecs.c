#include <string.h>

#include "rtc/negotiate_int.h"

/** RFC 5761, 4: with RTCP on the same port these payload types look like RTCP. */
enum {
    RTCP_LIKE_MIN = 64,
    RTCP_LIKE_MAX = 95,
};

#define VIDEO_CLOCK_HZ 90000

/** The retransmission payload type whose apt is `payload_type` (RFC 4588, 8.6), or NONE. */
static uint8_t rtx_find(const struct sdp_section *offered, uint8_t payload_type)
{
    for (size_t i = 0; i < offered->rtpmaps.count; i++) {
        const struct sdp_rtpmap *map = &offered->rtpmaps.items[i];
        struct bytes apt;
        uint64_t number;
        if (text_equal_ignore_case(map->name, "rtx") &&
            codec_fmtp_get(sdp_fmtp_find(offered, map->payload_type), "apt", &apt) &&
            text_parse_u64(apt, RTP_PAYLOAD_TYPE_MAX, &number) == 0 && number == payload_type &&
            (map->payload_type < RTCP_LIKE_MIN || map->payload_type > RTCP_LIKE_MAX))
            return map->payload_type;
    }
    return RTC_PAYLOAD_TYPE_NONE;
}

/** Whether a format is RED whose blocks are `payload_type`: "a=fmtp:63 111/111" (RFC 2198, 5). */
static bool is_red_of(const struct sdp_section *offered, uint8_t format, uint8_t payload_type)
{
    const struct sdp_rtpmap *map = sdp_rtpmap_find(offered, format);
    if (!map || !text_equal_ignore_case(map->name, "red") || format == 0 ||
        (format >= RTCP_LIKE_MIN && format <= RTCP_LIKE_MAX))
        return false;
    struct bytes rest = sdp_fmtp_find(offered, format);
    uint64_t block;
    return text_parse_u64(text_take_until(&rest, '/'), RTP_PAYLOAD_TYPE_MAX, &block) == 0 &&
           block == payload_type;
}

/** The RED of an audio codec, and whether the client prefers it. */
static void red_find(const struct sdp_section *offered, struct rtc_codec *codec)
{
    bool codec_seen = false;
    for (size_t i = 0; i < offered->formats.count && codec->red_payload_type == 0; i++) {
        uint64_t format;
        if (text_parse_u64(offered->formats.items[i], RTP_PAYLOAD_TYPE_MAX, &format) < 0)
            continue;
        codec_seen |= format == codec->payload_type;
        if (!is_red_of(offered, (uint8_t)format, codec->payload_type))
            continue;
        codec->red_payload_type = (uint8_t)format;
        codec->red_first = !codec_seen;
    }
}

static uint32_t feedback_find(const struct sdp_section *offered, const struct codec *codec,
                              uint8_t payload_type)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < offered->rtcp_fbs.count; i++) {
        const struct sdp_rtcp_fb *feedback = &offered->rtcp_fbs.items[i];
        if (feedback->payload_type < 0 || feedback->payload_type == payload_type)
            bits |= codec_feedback_find(feedback->value);
    }
    return bits & codec->feedback;
}

/** Takes one payload type of the offer; false when we do not know or want it. */
static bool codec_take(struct negotiation_work *work, const struct sdp_section *offered,
                       enum codec_kind kind, const struct sdp_rtpmap *map,
                       struct rtc_codec *ret_codec)
{
    const struct codec *codec = codec_find(kind, map->name, map->clock_rate_hz, map->channels);
    struct bytes fmtp = sdp_fmtp_find(offered, map->payload_type);
    if (!codec || !codec_accepts(codec, fmtp) ||
        (map->payload_type >= RTCP_LIKE_MIN && map->payload_type <= RTCP_LIKE_MAX))
        return false;
    // what a codec answers is at most what was offered and a few words
    size_t capacity = fmtp.size + 128;
    char *text = sdp_allocate(work->memory, capacity, 1);
    struct text_builder builder = text_builder_of(text, capacity);
    codec_answer(codec, fmtp, &builder);
    *ret_codec = (struct rtc_codec){
        .codec = codec,
        .payload_type = map->payload_type,
        .rtx_payload_type =
            kind == CODEC_VIDEO ? rtx_find(offered, map->payload_type) : RTC_PAYLOAD_TYPE_NONE,
        .feedback = feedback_find(offered, codec, map->payload_type),
        .fmtp = bytes_of(text, builder.length),
    };
    if (kind == CODEC_AUDIO)
        red_find(offered, ret_codec);
    return true;
}

static bool codec_equal(const struct rtc_codec *a, const struct rtc_codec *b)
{
    return a->codec == b->codec && a->payload_type == b->payload_type &&
           a->rtx_payload_type == b->rtx_payload_type &&
           a->red_payload_type == b->red_payload_type && a->red_first == b->red_first &&
           a->feedback == b->feedback && bytes_equal(a->fmtp, b->fmtp);
}

/** An equal list of an earlier section, or NULL. */
static const struct rtc_codec_list *list_find(const struct negotiation_work *work,
                                              const struct rtc_codec *codecs, size_t count)
{
    const struct rtc_codec_list *last = NULL;
    for (size_t i = 0; i < work->result.section_count; i++) {
        const struct rtc_codec_list *list = work->result.sections[i].codecs;
        if (!list || list == last || list->count != count)
            continue;
        last = list;
        size_t equal = 0;
        while (equal < count && codec_equal(&list->codecs[equal], &codecs[equal]))
            equal++;
        if (equal == count)
            return list;
    }
    return NULL;
}

static const struct rtc_codec_list *list_of(struct negotiation_work *work,
                                            const struct rtc_codec *codecs, size_t count)
{
    const struct rtc_codec_list *found = list_find(work, codecs, count);
    if (found)
        return found;
    size_t size = count * sizeof(*codecs);
    struct rtc_codec_list *list = sdp_allocate(work->memory, 1, sizeof(*list) + size);
    list->count = count;
    memcpy(list->codecs, codecs, size);
    return list;
}

static void answer_payload_type(struct sdp *answer, struct sdp_section *answered,
                                uint8_t payload_type, const struct codec *codec, const char *name)
{
    *sdp_list_add(answer, &answered->formats) = sdp_text(answer, "%u", payload_type);
    *sdp_list_add(answer, &answered->rtpmaps) = (struct sdp_rtpmap){
        .payload_type = payload_type,
        .name = bytes_of_text(name),
        .clock_rate_hz = codec->clock_rate_hz,
        .channels = codec->channels,
    };
}

static void answer_red(struct sdp *answer, struct sdp_section *answered,
                       const struct rtc_codec *codec)
{
    answer_payload_type(answer, answered, codec->red_payload_type, codec->codec, "red");
    *sdp_list_add(answer, &answered->fmtps) = (struct sdp_fmtp){
        .payload_type = codec->red_payload_type,
        .parameters = sdp_text(answer, "%u/%u", codec->payload_type, codec->payload_type),
    };
}

void negotiation_write_codec(struct sdp *answer, struct sdp_section *answered,
                             const struct rtc_codec *codec)
{
    if (codec->red_payload_type && codec->red_first)
        answer_red(answer, answered, codec);
    answer_payload_type(answer, answered, codec->payload_type, codec->codec, codec->codec->name);
    if (codec->fmtp.size > 0)
        *sdp_list_add(answer, &answered->fmtps) =
            (struct sdp_fmtp){ .payload_type = codec->payload_type, .parameters = codec->fmtp };
    for (uint32_t left = codec->feedback; left; left &= left - 1)
        *sdp_list_add(answer, &answered->rtcp_fbs) = (struct sdp_rtcp_fb){
            .payload_type = codec->payload_type,
            .value = bytes_of_text(codec_feedback_text(left & -left)),
        };
    if (codec->red_payload_type && !codec->red_first)
        answer_red(answer, answered, codec);
    if (codec->rtx_payload_type == RTC_PAYLOAD_TYPE_NONE)
        return;
    answer_payload_type(answer, answered, codec->rtx_payload_type, codec->codec, "rtx");
    *sdp_list_add(answer, &answered->fmtps) = (struct sdp_fmtp){
        .payload_type = codec->rtx_payload_type,
        .parameters = sdp_text(answer, "apt=%u", codec->payload_type),
    };
}

/** Refuses a payload type that another section of the same transport uses otherwise. */
static int payload_type_check(struct negotiation_work *work, const struct sdp_rtpmap *map)
{
    struct negotiation_payload_type *known = &work->payload_types[map->payload_type];
    if (known->clock_rate_hz == 0) {
        known->name = map->name;
        known->clock_rate_hz = map->clock_rate_hz;
    } else if (known->clock_rate_hz != map->clock_rate_hz || !bytes_equal(known->name, map->name)) {
        return negotiation_refuse(work, "One payload type stands for two codecs in the offer");
    }
    return 0;
}

static bool is_taken(const struct rtc_codec *codecs, size_t count, uint64_t payload_type)
{
    for (size_t i = 0; i < count; i++)
        if (codecs[i].payload_type == payload_type)
            return true;
    return false;
}

/** A payload type of video that is no codec, such as "red"; 0: not offered. */
static uint8_t helper_find(const struct sdp_section *offered, const char *name)
{
    for (size_t i = 0; i < offered->rtpmaps.count; i++) {
        const struct sdp_rtpmap *map = &offered->rtpmaps.items[i];
        if (text_equal_ignore_case(map->name, name) && map->clock_rate_hz == VIDEO_CLOCK_HZ &&
            (map->payload_type < RTCP_LIKE_MIN || map->payload_type > RTCP_LIKE_MAX))
            return map->payload_type;
    }
    return 0;
}

static void answer_helper(struct sdp *answer, struct sdp_section *answered, uint8_t payload_type,
                          const char *name)
{
    *sdp_list_add(answer, &answered->formats) = sdp_text(answer, "%u", payload_type);
    *sdp_list_add(answer, &answered->rtpmaps) = (struct sdp_rtpmap){
        .payload_type = payload_type,
        .name = bytes_of_text(name),
        .clock_rate_hz = VIDEO_CLOCK_HZ,
    };
}

/** Forward error correction of what we send: both payload types or none. */
static void negotiate_fec(struct negotiation_work *work, const struct sdp_section *offered,
                          struct rtc_section *section, struct sdp_section *answered)
{
    uint8_t red = helper_find(offered, "red");
    uint8_t ulpfec = helper_find(offered, "ulpfec");
    if (section->kind != RTC_KIND_VIDEO || section->role != RTC_ROLE_SLOT || !red || !ulpfec)
        return;
    section->red_payload_type = red;
    section->ulpfec_payload_type = ulpfec;
    answer_helper(work->answer, answered, red, "red");
    answer_helper(work->answer, answered, ulpfec, "ulpfec");
}

/** Leaves of an answer's codec what we have offered; false when that is nothing. */
static bool codec_was_offered(const struct rtc_section *offered, struct rtc_codec *codec)
{
    bool is_rtx;
    const struct rtc_codec *ours = rtc_section_codec(offered, codec->payload_type, &is_rtx);
    if (!ours || is_rtx || ours->codec != codec->codec ||
        !codec_compatible(ours->codec, ours->fmtp, codec->fmtp))
        return false;
    if (codec->rtx_payload_type != ours->rtx_payload_type)
        codec->rtx_payload_type = RTC_PAYLOAD_TYPE_NONE;
    if (codec->red_payload_type != ours->red_payload_type) {
        codec->red_payload_type = 0;
        codec->red_first = false;
    }
    codec->feedback &= ours->feedback;
    return true;
}

/** Whether a codec may be taken: we have offered it, and the other side of the call knows it. */
static bool codec_is_allowed(const struct negotiation_work *work, size_t index,
                             struct rtc_codec *codec)
{
    if (work->offered && !codec_was_offered(&work->offered->sections[index], codec))
        return false;
    const struct rtc_section_limit *limit = negotiation_limit(work, index);
    if (!limit || !limit->codecs)
        return true;
    return rtc_section_match(&(struct rtc_section){ .codecs = limit->codecs }, codec) != NULL;
}

int negotiation_codecs(struct negotiation_work *work, size_t index,
                       const struct sdp_section *offered, struct rtc_section *section,
                       struct sdp_section *answered)
{
    struct rtc_codec codecs[RTC_CODECS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < offered->rtpmaps.count; i++) {
        int result = payload_type_check(work, &offered->rtpmaps.items[i]);
        if (result < 0)
            return result;
    }
    for (size_t i = 0; i < offered->formats.count && count < RTC_CODECS_MAX; i++) {
        uint64_t payload_type;
        if (text_parse_u64(offered->formats.items[i], RTP_PAYLOAD_TYPE_MAX, &payload_type) < 0)
            return negotiation_refuse(work, "A payload type must be a number from 0 to 127");
        const struct sdp_rtpmap *map = sdp_rtpmap_find(offered, (uint8_t)payload_type);
        if (is_taken(codecs, count, payload_type))
            continue;
        if (map && codec_take(work, offered, (enum codec_kind)section->kind, map, &codecs[count]) &&
            codec_is_allowed(work, index, &codecs[count]))
            count++;
    }
    if (count == 0)
        return 0;
    section->codecs = list_of(work, codecs, count);
    for (size_t i = 0; i < count; i++)
        negotiation_write_codec(work->answer, answered, &section->codecs->codecs[i]);
    negotiate_fec(work, offered, section, answered);
    return 0;
}
