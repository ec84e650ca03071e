#include "rtc/negotiate.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "rtc/negotiate_int.h"

struct rtc_negotiation *rtc_negotiation_new(struct random *random)
{
    struct rtc_negotiation *negotiation = memory_new(struct rtc_negotiation);
    // RFC 8829, 5.2.1: 63 bits at most, as some read it as a signed number
    negotiation->session_id = random_u64(random) >> 1;
    return negotiation;
}

struct rtc_negotiation *rtc_negotiation_free(struct rtc_negotiation *negotiation)
{
    if (!negotiation)
        return NULL;
    sdp_free(negotiation->memory);
    sdp_free(negotiation->offered_memory);
    memory_wipe(negotiation, sizeof(*negotiation)); // ICE passwords
    free(negotiation);
    return NULL;
}

const struct rtc_negotiated *rtc_negotiation_result(const struct rtc_negotiation *negotiation)
{
    return negotiation->answered ? &negotiation->result : NULL;
}

void rtc_negotiation_set_playout_delay(struct rtc_negotiation *negotiation,
                                       const struct rtc_playout_delay *delay)
{
    negotiation->result.playout_delay = *delay;
}

static bool all_stopped(const struct sdp *offer)
{
    for (size_t i = 0; i < offer->sections.count; i++)
        if (offer->sections.items[i].port != 0 || offer->sections.items[i].bundle_only)
            return false;
    return true;
}

/** The mids that share the transport: the BUNDLE group, or the only section without one. */
static int bundle_of(struct negotiation_work *work, struct bytes *ret_mids)
{
    const struct sdp *offer = work->offer;
    if (offer->sections.count == 0)
        return negotiation_refuse(work, "The offer has no m= section");
    if (offer->bundles.count > 1)
        return negotiation_refuse(work, "The offer has more than one BUNDLE group");
    if (offer->bundles.count == 1)
        *ret_mids = offer->bundles.items[0];
    else if (offer->sections.count == 1)
        *ret_mids = offer->sections.items[0].mid;
    else if (work->before && all_stopped(offer))
        *ret_mids = bytes_of(NULL, 0);
    else
        return negotiation_refuse(
            work, "The offer must put all its sections in one BUNDLE group (a=group:BUNDLE)");
    return 0;
}

/**
 * Goes through the mids of the group: collects those that we take for the answer's group, and finds
 * the section whose transport is used (RFC 9143, 7.3.1: the first one that was not rejected).
 */
static const struct sdp_section *bundle_answer(struct negotiation_work *work, struct bytes mids)
{
    const struct sdp_section *tagged = NULL;
    struct sdp *answer = work->answer;
    char *list = sdp_allocate(answer, mids.size + 1, 1);
    struct text_builder builder = text_builder_of(list, mids.size + 1);
    struct bytes mid;
    while (sdp_words_next(&mids, &mid)) {
        const struct sdp_section *answered = sdp_section_find(answer, mid);
        if (!answered || answered->port == 0 || sdp_words_have(bytes_of(list, builder.length), mid))
            continue;
        if (!tagged)
            tagged = sdp_section_find(work->offer, mid);
        text_append(&builder, builder.length ? " " : "");
        text_append_bytes(&builder, mid);
    }
    // a group may only be answered, not proposed (RFC 9143, 7.3)
    if (tagged && work->offer->bundles.count > 0)
        *sdp_list_add(answer, &answer->bundles) = bytes_of(list, builder.length);
    return tagged;
}

static bool all_bundled(const struct rtc_negotiated *result, struct bytes mids)
{
    for (size_t i = 0; i < result->section_count; i++)
        if (!result->sections[i].rejected &&
            !sdp_words_have(mids, bytes_of_text(result->sections[i].mid)))
            return false;
    return true;
}

static size_t taken_count(const struct rtc_negotiated *result)
{
    size_t count = 0;
    for (size_t i = 0; i < result->section_count; i++)
        count += !result->sections[i].rejected;
    return count;
}

static int negotiate(struct negotiation_work *work)
{
    const struct sdp *offer = work->offer;
    struct rtc_negotiated *result = &work->result;
    struct bytes mids;
    int checked = bundle_of(work, &mids);
    if (checked < 0)
        return checked;
    if (work->local->section_max && offer->sections.count > work->local->section_max)
        return negotiation_refuse(work, work->local->too_many_sections);
    if (work->offered && offer->sections.count != work->offered->section_count)
        return negotiation_refuse(work, "The answer must have as many sections as the offer");
    if (work->before && offer->sections.count < work->before->section_count)
        return negotiation_refuse(work, "A later offer must keep all sections of the one before");

    result->sections = sdp_allocate(work->memory, offer->sections.count, sizeof(*result->sections));
    result->extensions.two_byte_allowed = offer->extmap_allow_mixed;
    for (size_t i = 0; i < offer->sections.count; i++) {
        checked = negotiation_section(work, i);
        if (checked < 0)
            return checked;
        result->section_count++;
    }

    const struct sdp_section *tagged = bundle_answer(work, mids);
    if (!all_bundled(result, mids))
        return negotiation_refuse(work, "Every section of the offer must be in the BUNDLE group");
    if (!tagged && work->offered && !work->before)
        return negotiation_refuse(work, "The answer takes none of what was offered");
    if (!tagged && !work->before)
        return negotiation_refuse(
            work, "The offer has no section that the server takes: audio or video with a codec "
                  "that it knows, or data channels");
    if (!tagged) {
        // everything was stopped, and with it the client's transport
        negotiation_keep_transport(work, work->before);
        return 0;
    }
    if (work->before && taken_count(work->before) == 0)
        return negotiation_refuse(
            work, "The connection ended when all its sections were stopped: open a new one");
    checked = negotiation_take_ice(work, tagged);
    if (checked == 0)
        checked = negotiation_take_dtls(work, tagged);
    if (checked == 0)
        negotiation_write_transport(
            work, tagged->mid, work->result.starts_dtls ? SDP_SETUP_ACTIVE : SDP_SETUP_PASSIVE);
    return checked;
}

char *negotiation_finish(struct rtc_negotiation *negotiation, struct sdp *ours)
{
    ours->session_id = negotiation->session_id;
    ours->session_version = ++negotiation->version;
    ours->ice_lite = true;
    ours->msid_semantic = bytes_of_text("WMS *");
    return sdp_write(ours);
}

void negotiation_forget_offer(struct rtc_negotiation *negotiation)
{
    negotiation->offering = false;
    negotiation->offered = (struct rtc_negotiated){ 0 };
    sdp_free(negotiation->offered_memory);
    negotiation->offered_memory = NULL;
}

static int parse(struct bytes text, struct sdp **ret_said, const char **ret_problem)
{
    struct sdp_problem problem;
    if (sdp_parse(text, ret_said, &problem) == 0)
        return 0;
    *ret_problem = problem.sentence;
    return -EINVAL;
}

/**
 * Agrees on what a description of the client says, with what we say to it in `answer`. Returns 0
 * with the result renewed, or -EINVAL.
 */
static int agree(struct rtc_negotiation *negotiation, struct negotiation_work *work,
                 const struct sdp *said, const char **ret_problem)
{
    const struct rtc_negotiation_local *local = work->local;
    ensure(negotiation_credentials_valid(local->ice_ufrag, local->ice_pwd));
    work->offer = said;
    work->memory = sdp_new();
    work->before = rtc_negotiation_result(negotiation);
    memcpy(work->next_slot, negotiation->next_slot, sizeof(work->next_slot));
    if (negotiate(work) < 0) {
        sdp_free(work->memory);
        *ret_problem = work->problem;
        return -EINVAL;
    }
    work->answer->extmap_allow_mixed = said->extmap_allow_mixed;
    negotiation_forget_offer(negotiation);
    sdp_free(negotiation->memory);
    negotiation->memory = work->memory;
    negotiation->result = work->result;
    negotiation->answered = true;
    memcpy(negotiation->next_slot, work->next_slot, sizeof(work->next_slot));
    return 0;
}

int rtc_negotiation_answer(struct rtc_negotiation *negotiation,
                           const struct rtc_negotiation_local *local, struct random *random,
                           struct bytes offer, char **ret_answer, const char **ret_problem)
{
    struct sdp *said cleanup(sdp_free_at) = NULL;
    struct sdp *answer cleanup(sdp_free_at) = sdp_new();
    struct negotiation_work work = { .answer = answer, .local = local, .random = random };
    if (parse(offer, &said, ret_problem) < 0 || agree(negotiation, &work, said, ret_problem) < 0)
        return -EINVAL;
    *ret_answer = negotiation_finish(negotiation, answer);
    return 0;
}

int rtc_negotiation_accept(struct rtc_negotiation *negotiation,
                           const struct rtc_negotiation_local *local, struct random *random,
                           struct bytes answer, const char **ret_problem)
{
    if (!negotiation->offering) {
        *ret_problem = "There is no offer that this could answer";
        return -EPROTO;
    }
    // an answer is agreed on as an offer would be, within what was offered; what we would say to it
    // is not sent
    struct sdp *said cleanup(sdp_free_at) = NULL;
    struct sdp *unsent cleanup(sdp_free_at) = sdp_new();
    struct negotiation_work work = {
        .answer = unsent, .local = local, .random = random, .offered = &negotiation->offered
    };
    if (parse(answer, &said, ret_problem) < 0)
        return -EINVAL;
    return agree(negotiation, &work, said, ret_problem);
}

bool rtc_negotiation_offering(const struct rtc_negotiation *negotiation)
{
    return negotiation->offering;
}

const struct rtc_section *rtc_negotiated_section(const struct rtc_negotiated *negotiated,
                                                 struct bytes mid)
{
    for (size_t i = 0; i < negotiated->section_count; i++)
        if (text_equal(mid, negotiated->sections[i].mid))
            return &negotiated->sections[i];
    return NULL;
}

const struct rtc_codec *rtc_section_codec(const struct rtc_section *section, uint8_t payload_type,
                                          bool *ret_is_rtx)
{
    if (!section->codecs)
        return NULL;
    for (size_t i = 0; i < section->codecs->count; i++) {
        const struct rtc_codec *codec = &section->codecs->codecs[i];
        if (codec->payload_type != payload_type && codec->rtx_payload_type != payload_type)
            continue;
        *ret_is_rtx = codec->payload_type != payload_type;
        return codec;
    }
    return NULL;
}

const struct rtc_codec *rtc_section_red(const struct rtc_section *section, uint8_t payload_type)
{
    for (size_t i = 0; section->codecs && payload_type && i < section->codecs->count; i++) {
        if (section->codecs->codecs[i].red_payload_type == payload_type)
            return &section->codecs->codecs[i];
    }
    return NULL;
}

const struct rtc_codec *rtc_section_match(const struct rtc_section *receiver,
                                          const struct rtc_codec *sent)
{
    const struct rtc_codec *compatible = NULL;
    if (!receiver->codecs)
        return NULL;
    for (size_t i = 0; i < receiver->codecs->count; i++) {
        const struct rtc_codec *codec = &receiver->codecs->codecs[i];
        if (codec->codec != sent->codec || !codec_compatible(sent->codec, sent->fmtp, codec->fmtp))
            continue;
        // the very same parameters are better than others that do
        if (bytes_equal(codec->fmtp, sent->fmtp))
            return codec;
        if (!compatible)
            compatible = codec;
    }
    return compatible;
}
