// Offers of the server: what was agreed on, and new sections made like another client's.
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "rtc/negotiate_int.h"

/** Payload types that we may choose: dynamic ones, also outside of the range of RFC 3551. */
enum {
    CHOSEN_FIRST = 96,
    CHOSEN_LAST = 127,
    CHOSEN_MORE_FIRST = 35, /**< where browsers go on when those are used up */
    CHOSEN_MORE_LAST = 63,
    EXTENSION_ID_LAST = 14, /**< of the one-byte form (RFC 8285, 4.2) */
};

struct offer_work {
    struct negotiation_work base;
    bool used[RTP_PAYLOAD_TYPE_MAX + 1]; /**< payload types that stand for something */
};

static void note_used(struct offer_work *work, const struct rtc_codec *codec)
{
    work->used[codec->payload_type] = true;
    if (codec->rtx_payload_type != RTC_PAYLOAD_TYPE_NONE)
        work->used[codec->rtx_payload_type] = true;
    if (codec->red_payload_type)
        work->used[codec->red_payload_type] = true;
}

/** The first free one of a range, or RTC_PAYLOAD_TYPE_NONE. */
static uint8_t find_free(const struct offer_work *work, uint8_t first, uint8_t last)
{
    for (uint8_t i = first; i <= last; i++)
        if (!work->used[i])
            return i;
    return RTC_PAYLOAD_TYPE_NONE;
}

/** `wanted` if it is free, else another one; RTC_PAYLOAD_TYPE_NONE when there is none left. */
static uint8_t choose_payload_type(struct offer_work *work, uint8_t wanted)
{
    uint8_t chosen = find_free(work, wanted, wanted);
    if (chosen == RTC_PAYLOAD_TYPE_NONE)
        chosen = find_free(work, CHOSEN_FIRST, CHOSEN_LAST);
    if (chosen == RTC_PAYLOAD_TYPE_NONE)
        chosen = find_free(work, CHOSEN_MORE_FIRST, CHOSEN_MORE_LAST);
    if (chosen != RTC_PAYLOAD_TYPE_NONE)
        work->used[chosen] = true;
    return chosen;
}

/** A codec that the client has in another section: one payload type may stand in several. */
static const struct rtc_codec *find_known(const struct offer_work *work,
                                          const struct rtc_codec *codec)
{
    const struct rtc_negotiated *result = &work->base.result;
    for (size_t i = 0; i < result->section_count; i++) {
        const struct rtc_codec_list *list = result->sections[i].codecs;
        for (size_t c = 0; list && c < list->count; c++)
            if (list->codecs[c].codec == codec->codec &&
                bytes_equal(list->codecs[c].fmtp, codec->fmtp))
                return &list->codecs[c];
    }
    return NULL;
}

/** The codec as it is offered; false when there are no payload types left. */
static bool take_over_codec(struct offer_work *work, const struct rtc_codec *like,
                            struct rtc_codec *ret_codec)
{
    const struct rtc_codec *known = find_known(work, like);
    if (known) {
        *ret_codec = *known;
        return true;
    }
    *ret_codec = *like;
    ret_codec->fmtp =
        sdp_text(work->base.memory, "%.*s", (int)like->fmtp.size, (const char *)like->fmtp.data);
    ret_codec->payload_type = choose_payload_type(work, like->payload_type);
    if (ret_codec->payload_type == RTC_PAYLOAD_TYPE_NONE)
        return false;
    if (like->rtx_payload_type != RTC_PAYLOAD_TYPE_NONE)
        ret_codec->rtx_payload_type = choose_payload_type(work, like->rtx_payload_type);
    if (like->red_payload_type) {
        uint8_t red = choose_payload_type(work, like->red_payload_type);
        ret_codec->red_payload_type = red == RTC_PAYLOAD_TYPE_NONE ? 0 : red;
    }
    return true;
}

static const struct rtc_codec_list *take_over_codecs(struct offer_work *work,
                                                     const struct rtc_codec_list *like)
{
    struct rtc_codec_list *list =
        sdp_allocate(work->base.memory, 1, sizeof(*list) + like->count * sizeof(list->codecs[0]));
    for (size_t i = 0; i < like->count; i++)
        list->count += take_over_codec(work, &like->codecs[i], &list->codecs[list->count]);
    return list;
}

static bool extension_set(struct rtp_extension_map *map, enum rtp_extension_kind kind, uint8_t id)
{
    return id != 0 && rtp_extension_map_set(map, kind, id) == 0;
}

/** Gives a new section the header extensions that the other client has, by ids that are free. */
static void take_over_extensions(struct offer_work *work, const struct rtc_offer_section *asked,
                                 struct rtc_section *section)
{
    struct rtp_extension_map *map = &work->base.result.extensions;
    map->two_byte_allowed |= asked->extensions->two_byte_allowed;
    uint32_t wanted = asked->like->extensions & negotiation_extensions(section->kind);
    for (int i = 0; i < RTP_EXTENSION_COUNT; i++) {
        enum rtp_extension_kind kind = (enum rtp_extension_kind)i;
        if (!(wanted & RTP_EXTENSION_BIT(kind)))
            continue;
        bool set = extension_set(map, kind, map->id_of_kind[kind]) ||
                   extension_set(map, kind, asked->extensions->id_of_kind[kind]);
        for (uint8_t id = 1; !set && id <= EXTENSION_ID_LAST; id++)
            set = extension_set(map, kind, id);
        if (set)
            section->extensions |= RTP_EXTENSION_BIT(kind);
    }
}

static bool mid_is_taken(const struct offer_work *work, const char *mid)
{
    const struct rtc_negotiated *before = work->base.before;
    for (size_t i = 0; i < work->base.result.section_count; i++)
        if (strcmp(work->base.result.sections[i].mid, mid) == 0)
            return true;
    return before && rtc_negotiated_section(before, bytes_of_text(mid));
}

/** The other client's mid if the client does not use it, else the first free number. */
static void choose_mid(const struct offer_work *work, const char *wanted,
                       struct rtc_section *section)
{
    snprintf(section->mid, sizeof(section->mid), "%s", wanted);
    for (unsigned number = 0; section->mid[0] == '\0' || mid_is_taken(work, section->mid); number++)
        snprintf(section->mid, sizeof(section->mid), "%u", number);
}

static void make_section(struct offer_work *work, const struct rtc_offer_section *asked,
                         struct rtc_section *section)
{
    const struct rtc_section *like = asked->like;
    enum rtc_role role = like->kind == RTC_KIND_DATA ? RTC_ROLE_INACTIVE : asked->role;
    *section = (struct rtc_section){ .kind = like->kind,
                                     .role = role,
                                     .asked = role,
                                     .rtcp_reduced_size = like->rtcp_reduced_size };
    choose_mid(work, like->mid, section);
    if (like->kind == RTC_KIND_DATA)
        return;
    section->codecs = take_over_codecs(work, like->codecs);
    if (section->codecs->count == 0) { // no payload types left
        section->rejected = true;
        section->role = section->asked = RTC_ROLE_INACTIVE;
        return;
    }
    take_over_extensions(work, asked, section);
}

/** A section of before, whose texts are copied: the offer may live longer than what it is from. */
static void keep_section(struct offer_work *work, const struct rtc_section *before,
                         enum rtc_role role, struct rtc_section *section)
{
    struct sdp *memory = work->base.memory;
    *section = *before;
    bool rests = before->rejected || before->kind == RTC_KIND_DATA;
    section->role = rests ? RTC_ROLE_INACTIVE : role;
    section->sources = NULL;
    section->source_count = 0;
    section->rids = sdp_allocate(memory, before->rid_count, sizeof(*section->rids));
    if (before->rid_count > 0)
        memcpy(section->rids, before->rids, before->rid_count * sizeof(*section->rids));
    if (!before->codecs)
        return;
    size_t size = before->codecs->count * sizeof(before->codecs->codecs[0]);
    struct rtc_codec_list *list = sdp_allocate(memory, 1, sizeof(*list) + size);
    list->count = before->codecs->count;
    for (size_t i = 0; i < list->count; i++) {
        list->codecs[i] = before->codecs->codecs[i];
        struct bytes fmtp = list->codecs[i].fmtp;
        list->codecs[i].fmtp = sdp_text(memory, "%.*s", (int)fmtp.size, (const char *)fmtp.data);
        note_used(work, &list->codecs[i]);
    }
    section->codecs = list;
}

static void write_extensions(struct offer_work *work, const struct rtc_section *section,
                             struct sdp_section *out)
{
    const struct rtp_extension_map *map = &work->base.result.extensions;
    for (int kind = 0; kind < RTP_EXTENSION_COUNT; kind++) {
        if (!(section->extensions & RTP_EXTENSION_BIT(kind)))
            continue;
        *sdp_list_add(work->base.answer, &out->extmaps) = (struct sdp_extmap){
            .id = map->id_of_kind[kind],
            .uri = bytes_of_text(rtp_extension_uri((enum rtp_extension_kind)kind)),
        };
    }
    out->extmap_allow_mixed = map->two_byte_allowed;
}

/** The simulcast that was agreed on goes on (RFC 8853, 5.3.3). */
static void write_simulcast(struct sdp *offer, const struct rtc_section *section,
                            struct sdp_section *out)
{
    char list[RTC_RIDS_MAX * RTC_RID_SIZE];
    struct text_builder builder = text_builder_of(list, sizeof(list));
    for (size_t i = 0; i < section->rid_count; i++) {
        *sdp_list_add(offer, &out->rids) =
            (struct sdp_rid){ .id = bytes_of_text(section->rids[i]), .receive = true };
        text_append_format(&builder, "%s%s", i ? ";" : "", section->rids[i]);
    }
    if (section->rid_count > 0)
        out->simulcast_receive = sdp_text(offer, "%s", list);
}

static void write_media(struct offer_work *work, const struct rtc_section *section,
                        struct sdp_section *out)
{
    out->port = 9;
    out->direction = negotiation_direction(section->role);
    out->rtcp_mux = true;
    out->rtcp_rsize = section->rtcp_reduced_size;
    for (size_t i = 0; i < section->codecs->count; i++)
        negotiation_write_codec(work->base.answer, out, &section->codecs->codecs[i]);
    write_extensions(work, section, out);
    write_simulcast(work->base.answer, section, out);
    if (rtc_section_is_slot(section))
        negotiation_write_slot(&work->base, section, out);
}

static void write_section(struct offer_work *work, struct rtc_section *section)
{
    static const char *const media[] = { [RTC_KIND_AUDIO] = "audio",
                                         [RTC_KIND_VIDEO] = "video",
                                         [RTC_KIND_DATA] = "application",
                                         [RTC_KIND_OTHER] = "text" };
    struct sdp *offer = work->base.answer;
    bool data = section->kind == RTC_KIND_DATA;
    struct sdp_section *out = sdp_list_add(offer, &offer->sections);
    *out = (struct sdp_section){
        .media_text = bytes_of_text(media[section->kind]),
        .protocol = bytes_of_text(data ? "UDP/DTLS/SCTP" : "UDP/TLS/RTP/SAVPF"),
        .connection = bytes_of_text("IN IP4 0.0.0.0"),
        .mid = bytes_of_text(section->mid),
    };
    if (section->rejected) {
        *sdp_list_add(offer, &out->formats) = bytes_of_text(data ? "webrtc-datachannel" : "0");
    } else if (data) {
        negotiation_write_data(offer, out);
    } else {
        if (rtc_section_is_slot(section))
            negotiation_identify_slot(&work->base, section);
        write_media(work, section, out);
    }
}

/** Puts all sections taken into one group; returns the mid whose transport they use. */
static struct bytes write_bundle(struct offer_work *work)
{
    const struct rtc_negotiated *result = &work->base.result;
    struct sdp *offer = work->base.answer;
    size_t capacity = result->section_count * RTC_MID_SIZE + 1;
    char *list = sdp_allocate(offer, capacity, 1);
    struct text_builder builder = text_builder_of(list, capacity);
    struct bytes tagged = bytes_of(NULL, 0);
    for (size_t i = 0; i < result->section_count; i++) {
        const struct rtc_section *section = &result->sections[i];
        if (section->rejected)
            continue;
        if (tagged.size == 0)
            tagged = bytes_of_text(section->mid);
        text_append_format(&builder, "%s%s", builder.length ? " " : "", section->mid);
    }
    *sdp_list_add(offer, &offer->bundles) = bytes_of(list, builder.length);
    return tagged;
}

static void take_credentials(struct offer_work *work)
{
    const struct rtc_negotiated *before = work->base.before;
    const struct rtc_negotiation_local *local = work->base.local;
    work->base.result.local_ufrag = negotiation_keep_text(
        &work->base, before ? bytes_of_text(before->local_ufrag) : local->ice_ufrag);
    work->base.result.local_pwd = negotiation_keep_text(
        &work->base, before ? bytes_of_text(before->local_pwd) : local->ice_pwd);
}

char *rtc_negotiation_offer(struct rtc_negotiation *negotiation,
                            const struct rtc_negotiation_local *local, struct random *random,
                            const struct rtc_offer_section *sections, size_t section_count)
{
    ensure(negotiation_credentials_valid(local->ice_ufrag, local->ice_pwd));
    const struct rtc_negotiated *before = rtc_negotiation_result(negotiation);
    size_t kept = before ? before->section_count : 0;
    ensure(section_count >= kept && section_count <= RTC_SECTIONS_MAX);
    negotiation_forget_offer(negotiation);
    struct sdp *offer cleanup(sdp_free_at) = sdp_new();
    struct offer_work work = { .base = { .answer = offer,
                                         .memory = sdp_new(),
                                         .local = local,
                                         .random = random,
                                         .before = before } };
    memcpy(work.base.next_slot, negotiation->next_slot, sizeof(work.base.next_slot));
    struct rtc_negotiated *result = &work.base.result;
    if (before)
        result->extensions = before->extensions;
    take_credentials(&work);
    result->sections = sdp_allocate(work.base.memory, section_count, sizeof(*result->sections));
    for (size_t i = 0; i < section_count; i++) {
        struct rtc_section *section = &result->sections[i];
        if (i < kept)
            keep_section(&work, &before->sections[i], sections[i].role, section);
        else
            make_section(&work, &sections[i], section);
        result->section_count++;
    }
    for (size_t i = 0; i < section_count; i++)
        write_section(&work, &result->sections[i]);
    offer->extmap_allow_mixed = result->extensions.two_byte_allowed;
    negotiation_write_transport(&work.base, write_bundle(&work), SDP_SETUP_ACTPASS);
    negotiation->offering = true;
    negotiation->offered = *result;
    negotiation->offered_memory = work.base.memory;
    // slots that were named stay named, whatever becomes of the offer
    memcpy(negotiation->next_slot, work.base.next_slot, sizeof(work.base.next_slot));
    return negotiation_finish(negotiation, offer);
}
