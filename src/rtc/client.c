#include "rtc/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "proto/sdp/sdp.h"

#define HEAD_SIZE    512
#define SECTION_SIZE 2048

static void write_transport(struct text_builder *out, const struct rtc_client_offer *offer)
{
    text_append_format(out,
                       "c=IN IP4 0.0.0.0\r\n"
                       "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=ice-options:trickle\r\n"
                       "a=fingerprint:%s\r\na=setup:%s\r\n",
                       offer->ufrag, offer->pwd, offer->fingerprint,
                       offer->passive   ? "passive"
                       : offer->answers ? "active"
                                        : "actpass");
}

static bool is_audio(const struct rtc_client_section *section)
{
    return section->kind == RTC_KIND_AUDIO;
}

static const struct codec *codec_of(const struct rtc_client_section *section)
{
    if (is_audio(section))
        return codec_get(CODEC_OPUS);
    return codec_get(section->codec ? section->codec : CODEC_VP8);
}

static void write_extensions(struct text_builder *out, const struct rtc_client_offer *offer,
                             const struct rtc_client_section *section)
{
    bool audio = is_audio(section);
    if (!audio && section->descriptor)
        text_append_format(out, "a=extmap:7 %s\r\n",
                           rtp_extension_uri(RTP_EXTENSION_DEPENDENCY_DESCRIPTOR));
    if (!audio)
        text_append(out,
                    "a=extmap:6 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\n");
    if (audio)
        text_append(out, "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n");
    text_append(out, "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"
                     "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
    if (!offer->remb_only)
        text_append(out, "a=extmap:3 http://www.ietf.org/id/"
                         "draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n");
}

static void write_simulcast(struct text_builder *out, const struct rtc_client_section *section)
{
    text_append(out, "a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n");
    for (size_t i = 0; i < section->rid_count; i++)
        text_append_format(out, "a=rid:%s send\r\n", section->rids[i]);
    text_append(out, "a=simulcast:send ");
    for (size_t i = 0; i < section->rid_count; i++)
        text_append_format(out, "%s%s", i ? ";" : "", section->rids[i]);
    text_append(out, "\r\n");
}

static void write_data(struct text_builder *out, const struct rtc_client_offer *offer, size_t index)
{
    text_append_format(out, "m=application %d UDP/DTLS/SCTP webrtc-datachannel\r\n",
                       offer->sections[index].inactive ? 0 : 9);
    write_transport(out, offer);
    text_append_format(out, "a=mid:%zu\r\na=sctp-port:5000\r\na=max-message-size:%d\r\n", index,
                       RTC_DATA_MESSAGE_MAX);
}

static void write_section(struct text_builder *out, const struct rtc_client_offer *offer,
                          size_t index)
{
    const struct rtc_client_section *section = &offer->sections[index];
    if (section->kind == RTC_KIND_DATA) {
        write_data(out, offer, index);
        return;
    }
    bool audio = is_audio(section);
    text_append(out, audio && section->red ? "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\n"
                     : audio               ? "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
                     : section->fec        ? "m=video 9 UDP/TLS/RTP/SAVPF 96 97 118 120\r\n"
                                           : "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n");
    write_transport(out, offer);
    text_append_format(
        out, "a=rtcp:9 IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=mid:%zu\r\n", index);
    write_extensions(out, offer, section);
    text_append(out, section->inactive ? "a=inactive\r\n"
                     : section->both   ? "a=sendrecv\r\n"
                     : section->sends  ? "a=sendonly\r\n"
                                       : "a=recvonly\r\n");
    if (!audio)
        text_append_format(out, "a=rtpmap:96 %s/90000\r\n", codec_of(section)->name);
    if (!audio && section->codec == CODEC_H264)
        text_append(out, "a=fmtp:96 packetization-mode=1;profile-level-id=42e01f\r\n");
    text_append(out, audio ? "a=rtpmap:111 opus/48000/2\r\n"
                             "a=fmtp:111 minptime=10;useinbandfec=1\r\n"
                           : "a=rtcp-fb:96 goog-remb\r\n"
                             "a=rtcp-fb:96 ccm fir\r\n"
                             "a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n"
                             "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n");
    if (!offer->remb_only)
        text_append_format(out, "a=rtcp-fb:%d transport-cc\r\n",
                           audio ? RTC_CLIENT_OPUS : RTC_CLIENT_VP8);
    if (audio && section->red)
        text_append(out, "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n");
    if (!audio && section->fec)
        text_append(out, "a=rtpmap:118 red/90000\r\na=rtpmap:120 ulpfec/90000\r\n");
    if (!section->sends)
        return;
    text_append_format(out, "a=msid:client track%zu\r\n", index);
    if (section->rid_count > 0) {
        write_simulcast(out, section);
        return;
    }
    if (section->rtx_ssrc)
        text_append_format(out, "a=ssrc-group:FID %" PRIu32 " %" PRIu32 "\r\n", section->ssrc,
                           section->rtx_ssrc);
    text_append_format(out, "a=ssrc:%" PRIu32 " cname:client\r\n", section->ssrc);
    if (section->rtx_ssrc)
        text_append_format(out, "a=ssrc:%" PRIu32 " cname:client\r\n", section->rtx_ssrc);
}

char *rtc_client_offer_write(const struct rtc_client_offer *offer)
{
    size_t capacity = HEAD_SIZE + offer->section_count * (SECTION_SIZE + 8);
    char *text = memory_new_array(char, capacity);
    struct text_builder out = text_builder_of(text, capacity);
    text_append_format(&out,
                       "v=0\r\no=- %" PRIu32 " %" PRIu32 " IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
                       "a=group:BUNDLE",
                       offer->generation + 1, offer->generation + 1);
    for (size_t i = 0; i < offer->section_count; i++) {
        // data that has ended has left the group (RFC 9143, 7.5.3)
        if (offer->sections[i].kind != RTC_KIND_DATA || !offer->sections[i].inactive)
            text_append_format(&out, " %zu", i);
    }
    // descriptors are too long for the one-byte form of header extensions (RFC 8285, 4.3)
    text_append(&out, "\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\n");
    for (size_t i = 0; i < offer->section_count; i++)
        write_section(&out, offer, i);
    ensure(!out.truncated);
    return text;
}

static const char *take_fingerprint(const struct sdp_fingerprint *said, struct rtc_fingerprint *out)
{
    struct bytes rest = said->value;
    if (text_copy(out->hash, sizeof(out->hash), said->hash) < 0)
        return "The answer's fingerprint has an unknown hash.";
    while (rest.size > 0 && out->value_size < sizeof(out->value)) {
        struct bytes pair = text_take_until(&rest, ':');
        if (text_hex_parse(pair, out->value + out->value_size, 1) != 1)
            return "The answer's fingerprint is malformed.";
        out->value_size++;
    }
    return NULL;
}

/** Lives as long as the parsed answer. */
static const char *text_of(struct sdp *sdp, struct bytes text)
{
    return (const char *)sdp_text(sdp, "%.*s", (int)text.size, (const char *)text.data).data;
}

static const char *take_transport(const struct rtc_client_offer *offer, struct sdp *sdp,
                                  struct rtc_negotiated *out)
{
    const struct sdp_section *first = &sdp->sections.items[0];
    if (strlen(offer->ufrag) >= RTC_ICE_TEXT_SIZE || strlen(offer->pwd) >= RTC_ICE_TEXT_SIZE ||
        first->ice_ufrag.size >= RTC_ICE_TEXT_SIZE || first->ice_pwd.size >= RTC_ICE_TEXT_SIZE)
        return "The ICE credentials are too long.";
    out->local_ufrag = offer->ufrag;
    out->local_pwd = offer->pwd;
    out->remote_ufrag = text_of(sdp, first->ice_ufrag);
    out->remote_pwd = text_of(sdp, first->ice_pwd);
    out->ice_generation = offer->generation;
    out->remote_ice_lite = sdp->ice_lite;
    // actpass: what is read here is an offer, and who answers may begin
    out->starts_dtls = first->setup != SDP_SETUP_ACTIVE;
    out->candidates = first->candidates.items;
    out->candidate_count = first->candidates.count;
    if (first->fingerprints.count == 0)
        return "The answer has no fingerprint.";
    out->fingerprint_count = 1;
    out->fingerprints = sdp_allocate(sdp, 1, sizeof(*out->fingerprints));
    return take_fingerprint(&first->fingerprints.items[0], &out->fingerprints[0]);
}

static void take_extensions(const struct sdp_section *section, struct rtp_extension_map *map,
                            uint32_t *ret_bits)
{
    for (size_t i = 0; i < section->extmaps.count; i++) {
        const struct sdp_extmap *extmap = &section->extmaps.items[i];
        int kind = rtp_extension_kind_find(extmap->uri);
        if (kind >= 0 && rtp_extension_map_set(map, (enum rtp_extension_kind)kind, extmap->id) == 0)
            *ret_bits |= RTP_EXTENSION_BIT(kind);
    }
}

/** What the server announces to send in a section: the first SSRC and its repair stream. */
static void take_source(struct sdp *sdp, const struct sdp_section *said, struct rtc_section *out)
{
    struct rtc_source source = { 0 };
    for (size_t i = 0; i < said->ssrc_groups.count; i++) {
        struct bytes ssrcs = said->ssrc_groups.items[i].ssrcs;
        if (!text_equal(said->ssrc_groups.items[i].semantics, "FID") ||
            !sdp_ssrc_group_next(&ssrcs, &source.ssrc) ||
            !sdp_ssrc_group_next(&ssrcs, &source.rtx_ssrc))
            source = (struct rtc_source){ 0 };
    }
    if (source.ssrc == 0 && said->ssrcs.count > 0)
        source.ssrc = said->ssrcs.items[0].ssrc;
    if (source.ssrc == 0)
        return;
    out->source_count = 1;
    out->sources = sdp_allocate(sdp, 1, sizeof(*out->sources));
    out->sources[0] = source;
}

static const struct rtc_codec_list *codecs_of(struct sdp *sdp, const struct sdp_section *said,
                                              const struct rtc_client_section *asked)
{
    struct rtc_codec_list *list = sdp_allocate(sdp, 1, sizeof(*list) + sizeof(list->codecs[0]));
    list->count = 1;
    bool audio = is_audio(asked);
    list->codecs[0] = (struct rtc_codec){
        .codec = codec_of(asked),
        .payload_type = audio ? RTC_CLIENT_OPUS : RTC_CLIENT_VP8,
        .rtx_payload_type = audio ? RTC_PAYLOAD_TYPE_NONE : RTC_CLIENT_VP8_RTX,
        .red_payload_type = audio && sdp_rtpmap_find(said, RTC_CLIENT_RED) ? RTC_CLIENT_RED : 0,
        .feedback = audio ? CODEC_FEEDBACK_TRANSPORT
                          : CODEC_FEEDBACK_TRANSPORT | CODEC_FEEDBACK_NACK | CODEC_FEEDBACK_PLI,
    };
    return list;
}

static void take_section(struct sdp *sdp, const struct sdp_section *said,
                         const struct rtc_client_section *asked, size_t index,
                         struct rtp_extension_map *map, struct rtc_section *out)
{
    snprintf(out->mid, sizeof(out->mid), "%u", (unsigned)(index & 0xffff));
    out->kind = asked->kind;
    if (asked->sends) {
        out->ssrc = asked->ssrc;
        out->rtx_ssrc = asked->rtx_ssrc;
    }
    out->rejected = said->port == 0 || said->direction == SDP_DIRECTION_INACTIVE;
    if (out->rejected)
        return;
    if (asked->kind == RTC_KIND_DATA) {
        out->sctp_port = (uint16_t)said->sctp_port;
        out->message_size_max = (uint32_t)min_of(said->max_message_size, (uint64_t)UINT32_MAX);
        return;
    }
    out->role = asked->both ? RTC_ROLE_BOTH : asked->sends ? RTC_ROLE_SLOT : RTC_ROLE_PUBLISH;
    out->rtcp_reduced_size = said->rtcp_rsize;
    out->codecs = codecs_of(sdp, said, asked);
    take_extensions(said, map, &out->extensions);
    if (rtc_section_publishes(out))
        take_source(sdp, said, out);
}

int rtc_client_answer_read(const struct rtc_client_offer *offer, struct bytes answer,
                           struct rtc_params **ret_params, const char **ret_problem)
{
    struct sdp *sdp cleanup(sdp_free_at) = NULL;
    struct sdp_problem problem;
    if (sdp_parse(answer, &sdp, &problem) < 0) {
        *ret_problem = problem.sentence;
        return -EINVAL;
    }
    if (sdp->sections.count != offer->section_count || offer->section_count == 0) {
        *ret_problem = "The answer has not as many sections as the offer.";
        return -EINVAL;
    }
    struct rtc_negotiated negotiated = { .section_count = offer->section_count };
    *ret_problem = take_transport(offer, sdp, &negotiated);
    if (*ret_problem)
        return -EINVAL;
    negotiated.extensions.two_byte_allowed = sdp->extmap_allow_mixed;
    negotiated.sections = sdp_allocate(sdp, offer->section_count, sizeof(*negotiated.sections));
    for (size_t i = 0; i < offer->section_count; i++)
        take_section(sdp, &sdp->sections.items[i], &offer->sections[i], i, &negotiated.extensions,
                     &negotiated.sections[i]);
    *ret_params = rtc_params_new(&negotiated);
    return 0;
}
