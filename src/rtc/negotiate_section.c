#include <string.h>

#include "rtc/negotiate_int.h"

/**
 * Header extensions that we use or pass on. Left out on purpose: toffset and video-timing (nobody
 * reads them behind an SFU), csrc-audio-level (we do not mix), and video-layers-allocation (layers
 * are measured). The ids of simulcast streams are agreed on in slots, too, where nobody sends them:
 * Chromium does not offer in a new section what was left out in another before.
 */
enum {
    EXTENSIONS_BOTH = RTP_EXTENSION_BIT(RTP_EXTENSION_MID) |
                      RTP_EXTENSION_BIT(RTP_EXTENSION_ABS_SEND_TIME) |
                      RTP_EXTENSION_BIT(RTP_EXTENSION_TRANSPORT_SEQUENCE) |
                      RTP_EXTENSION_BIT(RTP_EXTENSION_ABS_CAPTURE_TIME),
    EXTENSIONS_AUDIO = EXTENSIONS_BOTH | RTP_EXTENSION_BIT(RTP_EXTENSION_AUDIO_LEVEL),
    EXTENSIONS_VIDEO = EXTENSIONS_BOTH | RTP_EXTENSION_BIT(RTP_EXTENSION_VIDEO_ORIENTATION) |
                       RTP_EXTENSION_BIT(RTP_EXTENSION_PLAYOUT_DELAY) |
                       RTP_EXTENSION_BIT(RTP_EXTENSION_VIDEO_CONTENT_TYPE) |
                       RTP_EXTENSION_BIT(RTP_EXTENSION_COLOR_SPACE) |
                       RTP_EXTENSION_BIT(RTP_EXTENSION_DEPENDENCY_DESCRIPTOR) |
                       RTP_EXTENSION_BIT(RTP_EXTENSION_RID) |
                       RTP_EXTENSION_BIT(RTP_EXTENSION_REPAIRED_RID),
};

static const char bad_mid[] = "A mid must have 1 to 15 letters, digits or signs without spaces";

static enum rtc_kind kind_of(enum sdp_media media)
{
    switch (media) {
    case SDP_MEDIA_AUDIO:
        return RTC_KIND_AUDIO;
    case SDP_MEDIA_VIDEO:
        return RTC_KIND_VIDEO;
    case SDP_MEDIA_APPLICATION:
        return RTC_KIND_DATA;
    default:
        return RTC_KIND_OTHER;
    }
}

/** RFC 8829, 5.1.2: the names under which DTLS-SRTP with feedback may be offered. */
static bool protocol_is_ours(struct bytes protocol)
{
    static const char *const names[] = { "UDP/TLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVPF",
                                         "UDP/TLS/RTP/SAVP", "RTP/SAVPF" };
    for (size_t i = 0; i < array_size(names); i++)
        if (text_equal(protocol, names[i]))
            return true;
    return false;
}

uint32_t negotiation_extensions(enum rtc_kind kind)
{
    return kind == RTC_KIND_AUDIO ? EXTENSIONS_AUDIO : EXTENSIONS_VIDEO;
}

static enum rtc_role role_of(enum sdp_direction direction, bool two_way)
{
    switch (direction) {
    case SDP_DIRECTION_SENDONLY:
        return RTC_ROLE_PUBLISH;
    case SDP_DIRECTION_RECVONLY:
        return RTC_ROLE_SLOT;
    case SDP_DIRECTION_INACTIVE:
        return RTC_ROLE_INACTIVE;
    default:
        // in rooms addTrack offers sendrecv: what the client wants to receive, it asks for with
        // slots
        return two_way ? RTC_ROLE_BOTH : RTC_ROLE_PUBLISH;
    }
}

enum sdp_direction negotiation_direction(enum rtc_role role)
{
    switch (role) {
    case RTC_ROLE_BOTH:
        return SDP_DIRECTION_SENDRECV;
    case RTC_ROLE_PUBLISH:
        return SDP_DIRECTION_RECVONLY;
    case RTC_ROLE_SLOT:
        return SDP_DIRECTION_SENDONLY;
    default:
        return SDP_DIRECTION_INACTIVE;
    }
}

/** Whether an extension of this direction (as the offerer sees it) works in the section's role. */
static bool extension_usable(enum sdp_direction direction, enum rtc_role role)
{
    switch (direction) {
    case SDP_DIRECTION_SENDONLY:
        return (role & RTC_ROLE_PUBLISH) != 0;
    case SDP_DIRECTION_RECVONLY:
        return (role & RTC_ROLE_SLOT) != 0;
    case SDP_DIRECTION_INACTIVE:
        return false;
    default:
        return true;
    }
}

static int negotiate_extensions(struct negotiation_work *work, size_t index,
                                const struct sdp_section *offered, struct rtc_section *section,
                                struct sdp_section *answered)
{
    uint32_t wanted = negotiation_extensions(section->kind);
    if (work->offered)
        wanted &= work->offered->sections[index].extensions;
    for (size_t i = 0; i < offered->extmaps.count; i++) {
        const struct sdp_extmap *map = &offered->extmaps.items[i];
        int kind = rtp_extension_kind_find(map->uri);
        if (kind < 0 || !(wanted & RTP_EXTENSION_BIT(kind)) ||
            (section->extensions & RTP_EXTENSION_BIT(kind)) ||
            !extension_usable(map->direction, section->role))
            continue;
        // RFC 8285, 5: ids above 14 exist in the two-byte form only, as do long values
        if (map->id > 14 && !offered->extmap_allow_mixed)
            continue;
        if (kind == RTP_EXTENSION_DEPENDENCY_DESCRIPTOR && !work->offer->extmap_allow_mixed)
            continue;
        if (rtp_extension_map_set(&work->result.extensions, (enum rtp_extension_kind)kind,
                                  map->id) < 0)
            return negotiation_refuse(
                work, "An a=extmap id is out of range or stands for two header extensions");
        section->extensions |= RTP_EXTENSION_BIT(kind);
        *sdp_list_add(work->answer, &answered->extmaps) = (struct sdp_extmap){
            .id = map->id,
            .direction = sdp_direction_reverse(map->direction),
            .uri = bytes_of_text(rtp_extension_uri((enum rtp_extension_kind)kind)),
        };
    }
    answered->extmap_allow_mixed = offered->extmap_allow_mixed;
    return 0;
}

/** Bounds of what is read of a=ssrc and a=ssrc-group: browsers write a tenth of it. */
enum {
    SSRC_LINES_MAX = 128,
    SSRC_GROUPS_MAX = 64,
    SSRC_GROUP_MEMBERS_MAX = 8,
};

static struct rtc_source *source_find(const struct rtc_section *section, uint32_t ssrc)
{
    for (size_t i = 0; i < section->source_count; i++)
        if (section->sources[i].ssrc == ssrc || section->sources[i].rtx_ssrc == ssrc)
            return &section->sources[i];
    return NULL;
}

/** Whether an ssrc-group other than SIM makes `ssrc` the helper of another one. */
static bool is_helper(const struct sdp_section *offered, uint32_t ssrc)
{
    size_t groups = min_of(offered->ssrc_groups.count, (size_t)SSRC_GROUPS_MAX);
    for (size_t i = 0; i < groups; i++) {
        const struct sdp_ssrc_group *group = &offered->ssrc_groups.items[i];
        struct bytes rest = group->ssrcs;
        uint32_t member;
        if (text_equal(group->semantics, "SIM") || !sdp_ssrc_group_next(&rest, &member))
            continue;
        for (int m = 1; m < SSRC_GROUP_MEMBERS_MAX && sdp_ssrc_group_next(&rest, &member); m++)
            if (member == ssrc)
                return true;
    }
    return false;
}

/** The streams of a=ssrc, and their retransmissions by a=ssrc-group:FID (RFC 5576, 4.2). */
static void take_sources(struct negotiation_work *work, const struct sdp_section *offered,
                         struct rtc_section *section)
{
    section->sources =
        sdp_allocate(work->memory, min_of(offered->ssrcs.count, (size_t)RTC_SOURCES_MAX),
                     sizeof(*section->sources));
    size_t lines = min_of(offered->ssrcs.count, (size_t)SSRC_LINES_MAX);
    for (size_t i = 0; i < lines; i++) {
        uint32_t ssrc = offered->ssrcs.items[i].ssrc;
        if (section->source_count == RTC_SOURCES_MAX)
            break;
        if (ssrc != 0 && !source_find(section, ssrc) && !is_helper(offered, ssrc))
            section->sources[section->source_count++] = (struct rtc_source){ .ssrc = ssrc };
    }
    size_t groups = min_of(offered->ssrc_groups.count, (size_t)SSRC_GROUPS_MAX);
    for (size_t i = 0; i < groups; i++) {
        const struct sdp_ssrc_group *group = &offered->ssrc_groups.items[i];
        struct bytes rest = group->ssrcs;
        uint32_t ssrc;
        uint32_t rtx_ssrc;
        if (!text_equal(group->semantics, "FID") || !sdp_ssrc_group_next(&rest, &ssrc) ||
            !sdp_ssrc_group_next(&rest, &rtx_ssrc))
            continue;
        struct rtc_source *source = source_find(section, ssrc);
        if (source && source->rtx_ssrc == 0 && !source_find(section, rtx_ssrc))
            source->rtx_ssrc = rtx_ssrc;
    }
}

/** RFC 8851, 10: letters, digits, '-' and '_'; ours end after 16. */
static bool rid_is_valid(struct bytes rid)
{
    if (rid.size == 0 || rid.size >= RTC_RID_SIZE)
        return false;
    for (size_t i = 0; i < rid.size; i++) {
        uint8_t c = rid.data[i];
        if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '-' &&
            c != '_')
            return false;
    }
    return true;
}

static bool rid_is_declared(const struct sdp_section *offered, struct bytes rid)
{
    for (size_t i = 0; i < offered->rids.count; i++)
        if (!offered->rids.items[i].receive && bytes_equal(offered->rids.items[i].id, rid))
            return true;
    return false;
}

static bool rid_is_taken(const struct rtc_section *section, struct bytes rid)
{
    for (size_t i = 0; i < section->rid_count; i++)
        if (text_equal(rid, section->rids[i]))
            return true;
    return false;
}

/** RFC 8853, 5.1: streams by ';', alternatives by ',' of which we take the first, '~' paused. */
static void take_simulcast(struct negotiation_work *work, const struct sdp_section *offered,
                           struct rtc_section *section, struct sdp_section *answered)
{
    struct bytes rest = offered->simulcast_send;
    if (rest.size == 0)
        return;
    section->rids = sdp_allocate(work->memory, RTC_RIDS_MAX, sizeof(*section->rids));
    char list[RTC_RIDS_MAX * RTC_RID_SIZE];
    struct text_builder builder = text_builder_of(list, sizeof(list));
    while (rest.size > 0 && section->rid_count < RTC_RIDS_MAX) {
        struct bytes stream = text_take_until(&rest, ';');
        struct bytes rid = text_take_until(&stream, ',');
        if (text_starts_with(rid, "~"))
            rid = bytes_of(rid.data + 1, rid.size - 1);
        if (!rid_is_valid(rid) || !rid_is_declared(offered, rid) || rid_is_taken(section, rid))
            continue;
        memcpy(section->rids[section->rid_count++], rid.data, rid.size);
        *sdp_list_add(work->answer, &answered->rids) =
            (struct sdp_rid){ .id = rid, .receive = true };
        text_append(&builder, builder.length ? ";" : "");
        text_append_bytes(&builder, rid);
    }
    answered->simulcast_receive = sdp_text(work->answer, "%s", list);
}

static bool ssrc_is_used(const struct negotiation_work *work, uint32_t ssrc)
{
    for (size_t i = 0; i < work->result.section_count; i++) {
        const struct rtc_section *section = &work->result.sections[i];
        if (section->ssrc == ssrc || section->rtx_ssrc == ssrc)
            return true;
    }
    for (size_t i = 0; work->before && i < work->before->section_count; i++) {
        const struct rtc_section *section = &work->before->sections[i];
        if (section->ssrc == ssrc || section->rtx_ssrc == ssrc)
            return true;
    }
    return false;
}

static uint32_t ssrc_allocate(struct negotiation_work *work)
{
    for (;;) {
        uint32_t ssrc = random_u32(work->random);
        if (ssrc != 0 && !ssrc_is_used(work, ssrc))
            return ssrc;
    }
}

/** A slot keeps its numbers for the whole session, also while it is inactive. */
void negotiation_identify_slot(struct negotiation_work *work, struct rtc_section *section)
{
    if (section->ssrc != 0)
        return;
    section->slot_index = work->next_slot[section->kind]++;
    section->ssrc = ssrc_allocate(work);
    if (section->kind == RTC_KIND_VIDEO)
        section->rtx_ssrc = ssrc_allocate(work);
}

static bool has_rtx(const struct rtc_section *section)
{
    for (size_t i = 0; i < section->codecs->count; i++)
        if (section->codecs->codecs[i].rtx_payload_type != RTC_PAYLOAD_TYPE_NONE)
            return true;
    return false;
}

/** What we send: audio and video of one index share a stream, so that browsers keep lips in step.
 */
void negotiation_write_slot(struct negotiation_work *work, const struct rtc_section *section,
                            struct sdp_section *answered)
{
    struct sdp *answer = work->answer;
    *sdp_list_add(answer, &answered->msids) = (struct sdp_msid){
        .stream = sdp_text(answer, "pair-%u", section->slot_index),
        .track = sdp_text(answer, "slot-%s", section->mid),
    };
    struct sdp_ssrc source = {
        .ssrc = section->ssrc,
        .name = bytes_of_text("cname"),
        .value = work->local->cname,
    };
    *sdp_list_add(answer, &answered->ssrcs) = source;
    if (section->rtx_ssrc == 0 || !has_rtx(section))
        return;
    *sdp_list_add(answer, &answered->ssrc_groups) = (struct sdp_ssrc_group){
        .semantics = bytes_of_text("FID"),
        .ssrcs = sdp_text(answer, "%u %u", section->ssrc, section->rtx_ssrc),
    };
    source.ssrc = section->rtx_ssrc;
    *sdp_list_add(answer, &answered->ssrcs) = source;
}

/** What the client would be in the section, and what it may be. */
static void take_role(struct negotiation_work *work, size_t index,
                      const struct sdp_section *offered, struct rtc_section *section)
{
    enum rtc_role said = role_of(offered->direction, work->local->two_way);
    enum rtc_role allowed = RTC_ROLE_BOTH;
    section->asked = said;
    if (work->offered) {
        // an answer says nothing of what was not offered
        const struct rtc_section *before = &work->offered->sections[index];
        allowed = before->role;
        section->asked = (before->asked & ~allowed) | (said & allowed);
    }
    const struct rtc_section_limit *limit = negotiation_limit(work, index);
    if (limit)
        allowed &= limit->role;
    section->role = said & allowed;
}

static int negotiate_media(struct negotiation_work *work, size_t index,
                           const struct sdp_section *offered, struct rtc_section *section,
                           struct sdp_section *answered)
{
    if (!offered->rtcp_mux)
        return negotiation_refuse(work, "The offer must have a=rtcp-mux in every section");
    take_role(work, index, offered, section);
    int result = negotiation_codecs(work, index, offered, section, answered);
    if (result < 0 || !section->codecs)
        return result;
    result = negotiate_extensions(work, index, offered, section, answered);
    if (result < 0)
        return result;
    section->rejected = false;
    section->rtcp_reduced_size = offered->rtcp_rsize;
    answered->port = 9;
    answered->direction = negotiation_direction(section->role);
    answered->rtcp_mux = true;
    answered->rtcp_rsize = offered->rtcp_rsize;
    // agreed on while the section rests, too: a browser whose streams are refused once never sends
    // them again
    bool unasked_simulcast = work->offered && work->offered->sections[index].rid_count == 0;
    if (section->role != RTC_ROLE_SLOT && !unasked_simulcast)
        take_simulcast(work, offered, section, answered);
    if (rtc_section_publishes(section))
        take_sources(work, offered, section);
    if (rtc_section_is_slot(section)) {
        negotiation_identify_slot(work, section);
        negotiation_write_slot(work, section, answered);
    }
    return 0;
}

static int take_mid(struct negotiation_work *work, struct bytes mid, struct rtc_section *section)
{
    if (mid.size == 0)
        return negotiation_refuse(work, "Every section of the offer needs an a=mid");
    for (size_t i = 0; i < mid.size; i++)
        if (mid.data[i] <= ' ' || mid.data[i] >= 0x7f)
            return negotiation_refuse(work, bad_mid);
    if (text_copy(section->mid, sizeof(section->mid), mid) < 0)
        return negotiation_refuse(work, bad_mid);
    return 0;
}

/** RFC 8829, 5.2.2: sections keep place, mid and kind; only rejected ones may be used again. */
static int keep_before(struct negotiation_work *work, size_t index, struct rtc_section *section)
{
    const struct rtc_section *before = negotiation_section_before(work, index);
    if (!before)
        return 0;
    bool same = strcmp(before->mid, section->mid) == 0 && before->kind == section->kind;
    if (!same && work->offered)
        return negotiation_refuse(
            work, "The answer must keep the order, mid and kind of the offer's sections");
    if (!same && !before->rejected)
        return negotiation_refuse(
            work, "A later offer must keep the order, mid and kind of the sections before it");
    if (same) {
        section->slot_index = before->slot_index;
        section->ssrc = before->ssrc;
        section->rtx_ssrc = before->rtx_ssrc;
    }
    return 0;
}

/** The answer to a section that is not taken, now or any more (RFC 8829, 5.3.1). */
static void answer_rejected(struct negotiation_work *work, const struct sdp_section *offered,
                            struct sdp_section *answered)
{
    *answered = (struct sdp_section){
        .media = offered->media,
        .media_text = offered->media_text,
        .protocol = offered->protocol,
        .connection = bytes_of_text("IN IP4 0.0.0.0"),
        .mid = offered->mid,
    };
    *sdp_list_add(work->answer, &answered->formats) = offered->formats.items[0];
    // directions belong to RTP sections
    if (offered->media == SDP_MEDIA_AUDIO || offered->media == SDP_MEDIA_VIDEO)
        answered->direction = SDP_DIRECTION_INACTIVE;
}

int negotiation_section(struct negotiation_work *work, size_t index)
{
    const struct sdp_section *offered = &work->offer->sections.items[index];
    struct rtc_section *section = &work->result.sections[index];
    struct sdp_section *answered = sdp_list_add(work->answer, &work->answer->sections);
    *section = (struct rtc_section){ .kind = kind_of(offered->media), .rejected = true };
    *answered = (struct sdp_section){
        .media = offered->media,
        .media_text = offered->media_text,
        .protocol = offered->protocol,
        .connection = bytes_of_text("IN IP4 0.0.0.0"),
        .mid = offered->mid,
    };
    int result = take_mid(work, offered->mid, section);
    if (result == 0)
        result = keep_before(work, index, section);
    if (result < 0)
        return result;
    const struct rtc_section_limit *limit = negotiation_limit(work, index);
    bool stopped = (offered->port == 0 && !offered->bundle_only) || (limit && limit->rejected) ||
                   (work->offered && work->offered->sections[index].rejected);
    bool media = section->kind == RTC_KIND_AUDIO || section->kind == RTC_KIND_VIDEO;
    if (!stopped && media && protocol_is_ours(offered->protocol))
        result = negotiate_media(work, index, offered, section, answered);
    else if (!stopped && section->kind == RTC_KIND_DATA)
        result = negotiation_data(work, index, offered, answered);
    if (result < 0)
        return result;
    if (section->rejected) {
        section->role = section->asked = RTC_ROLE_INACTIVE;
        answer_rejected(work, offered, answered);
    }
    return 0;
}
