#include "rtc/negotiate.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "rtc/negotiate_int.h"

struct rtc_negotiation {
    uint64_t session_id;
    uint64_t version;
    bool answered;
    struct rtc_negotiated result;
    struct sdp *memory; /**< what the result points to */
    uint32_t next_slot[2];
};

/** RFC 8839, 5.4: lengths of ice-ufrag and ice-pwd. */
enum {
    UFRAG_MIN = 4,
    PWD_MIN = 22,
    ICE_TEXT_MAX = RTC_ICE_TEXT_SIZE - 1,
};

/** More candidates than any client has use for are ignored. */
enum { CANDIDATES_MAX = 64 };

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

/** ice-char (RFC 8839, 5.4): letters, digits, '+' and '/'. */
static bool is_ice_text(struct bytes text, size_t size_min)
{
    if (text.size < size_min || text.size > ICE_TEXT_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        // '-', '_' and '=' are not in the grammar, but libraries send them
        if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
            !strchr("+/-_=", c))
            return false;
    }
    return true;
}

/** A copy that lives as long as the result. */
static const char *keep_text(struct negotiation_work *work, struct bytes text)
{
    char *kept = sdp_allocate(work->memory, text.size + 1, 1);
    // lengths were checked
    ensure(text_copy(kept, text.size + 1, text) == 0);
    return kept;
}

static int check_credentials(struct negotiation_work *work, const struct sdp_section *tagged)
{
    if (!is_ice_text(tagged->ice_ufrag, UFRAG_MIN))
        return negotiation_refuse(work, "a=ice-ufrag must have 4 to 256 ICE characters");
    if (!is_ice_text(tagged->ice_pwd, PWD_MIN))
        return negotiation_refuse(work, "a=ice-pwd must have 22 to 256 ICE characters");
    if (work->offer->ice_lite)
        return negotiation_refuse(
            work, "The server is ICE-lite, so that an ICE-lite client cannot connect to it");
    return 0;
}

static int take_ice(struct negotiation_work *work, const struct sdp_section *tagged)
{
    struct rtc_negotiated *result = &work->result;
    const struct rtc_negotiated *before = work->before;
    int checked = check_credentials(work, tagged);
    if (checked < 0)
        return checked;
    bool restart = before && (!text_equal(tagged->ice_ufrag, before->remote_ufrag) ||
                              !text_equal(tagged->ice_pwd, before->remote_pwd));
    result->ice_generation = before ? before->ice_generation + restart : 0;
    if (before && !restart) {
        result->local_ufrag = keep_text(work, bytes_of_text(before->local_ufrag));
        result->local_pwd = keep_text(work, bytes_of_text(before->local_pwd));
    } else {
        result->local_ufrag = keep_text(work, work->local->ice_ufrag);
        result->local_pwd = keep_text(work, work->local->ice_pwd);
    }
    result->remote_ufrag = keep_text(work, tagged->ice_ufrag);
    result->remote_pwd = keep_text(work, tagged->ice_pwd);
    result->playout_delay = work->local->playout_delay;
    result->remote_ice_lite = work->offer->ice_lite;
    result->remote_trickle = sdp_words_have(tagged->ice_options, bytes_of_text("trickle"));

    size_t count = min_of(tagged->candidates.count, (size_t)CANDIDATES_MAX);
    result->candidates = sdp_allocate(work->memory, count, sizeof(*result->candidates));
    for (size_t i = 0; i < count; i++) {
        struct bytes candidate = tagged->candidates.items[i];
        result->candidates[result->candidate_count++] =
            sdp_text(work->memory, "%.*s", (int)candidate.size, (const char *)candidate.data);
    }
    return 0;
}

/** Size of a hash function's value; 0 for those that are unknown or too weak (RFC 8122, 5). */
static size_t hash_size(const char *hash)
{
    static const struct {
        const char *name;
        size_t size;
    } hashes[] = { { "sha-224", 28 }, { "sha-256", 32 }, { "sha-384", 48 }, { "sha-512", 64 } };
    for (size_t i = 0; i < array_size(hashes); i++)
        if (strcmp(hash, hashes[i].name) == 0)
            return hashes[i].size;
    return 0;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** "AB:CD:..." (RFC 8122, 5) of exactly `size` bytes. */
static bool fingerprint_value_parse(struct bytes text, uint8_t *out, size_t size)
{
    if (size == 0 || text.size != 3 * size - 1)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text.data[3 * i]);
        int low = hex_digit(text.data[3 * i + 1]);
        if (high < 0 || low < 0 || (i + 1 < size && text.data[3 * i + 2] != ':'))
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool fingerprint_parse(const struct sdp_fingerprint *text,
                              struct rtc_fingerprint *ret_fingerprint)
{
    struct rtc_fingerprint made = { 0 };
    if (text_copy(made.hash, sizeof(made.hash), text->hash) < 0)
        return false;
    for (char *c = made.hash; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    made.value_size = hash_size(made.hash);
    if (!fingerprint_value_parse(text->value, made.value, made.value_size))
        return false;
    *ret_fingerprint = made;
    return true;
}

static bool fingerprints_equal(const struct rtc_negotiated *a, const struct rtc_negotiated *b)
{
    if (a->fingerprint_count != b->fingerprint_count)
        return false;
    for (size_t i = 0; i < a->fingerprint_count; i++)
        if (strcmp(a->fingerprints[i].hash, b->fingerprints[i].hash) != 0 ||
            memcmp(a->fingerprints[i].value, b->fingerprints[i].value,
                   a->fingerprints[i].value_size) != 0)
            return false;
    return true;
}

static int take_dtls(struct negotiation_work *work, const struct sdp_section *tagged)
{
    struct rtc_negotiated *result = &work->result;
    if (tagged->setup == SDP_SETUP_NONE || tagged->setup == SDP_SETUP_HOLDCONN)
        return negotiation_refuse(work, "a=setup must be actpass, active or passive");
    // RFC 8842, 5.5: who began stays the one who begins
    result->starts_dtls =
        work->before ? work->before->starts_dtls : tagged->setup == SDP_SETUP_PASSIVE;
    if (tagged->setup == (result->starts_dtls ? SDP_SETUP_ACTIVE : SDP_SETUP_PASSIVE))
        return negotiation_refuse(work,
                                  "The side that begins DTLS cannot change: open a new connection");
    size_t said = min_of(tagged->fingerprints.count, (size_t)RTC_FINGERPRINTS_MAX);
    result->fingerprints = sdp_allocate(work->memory, said, sizeof(*result->fingerprints));
    for (size_t i = 0; i < tagged->fingerprints.count; i++)
        if (result->fingerprint_count < said &&
            fingerprint_parse(&tagged->fingerprints.items[i],
                              &result->fingerprints[result->fingerprint_count]))
            result->fingerprint_count++;
    if (result->fingerprint_count == 0)
        return negotiation_refuse(work, "The offer needs an a=fingerprint with sha-256 or better");
    if (work->before && !fingerprints_equal(result, work->before))
        return negotiation_refuse(
            work, "The certificate of a connection cannot change: open a new connection");
    return 0;
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

/** Our side of the transport: credentials in each section taken, candidates in the tagged one. */
static void answer_transport(struct negotiation_work *work, const struct sdp_section *tagged)
{
    struct sdp *answer = work->answer;
    struct bytes fingerprint = work->local->fingerprint;
    struct sdp_fingerprint ours = { .hash = text_take_until(&fingerprint, ' ') };
    ours.value = fingerprint;
    for (size_t i = 0; i < answer->sections.count; i++) {
        struct sdp_section *section = &answer->sections.items[i];
        if (section->port == 0)
            continue;
        section->ice_ufrag = bytes_of_text(work->result.local_ufrag);
        section->ice_pwd = bytes_of_text(work->result.local_pwd);
        section->ice_options = bytes_of_text("trickle");
        section->setup = work->result.starts_dtls ? SDP_SETUP_ACTIVE : SDP_SETUP_PASSIVE;
        *sdp_list_add(answer, &section->fingerprints) = ours;
        if (!bytes_equal(section->mid, tagged->mid))
            continue;
        for (size_t c = 0; c < work->local->candidate_count; c++)
            *sdp_list_add(answer, &section->candidates) = work->local->candidates[c];
        section->end_of_candidates = true;
    }
}

static void keep_transport(struct negotiation_work *work, const struct rtc_negotiated *before)
{
    struct rtc_negotiated *result = &work->result;
    struct rtc_negotiated made = *before;
    made.local_ufrag = keep_text(work, bytes_of_text(before->local_ufrag));
    made.local_pwd = keep_text(work, bytes_of_text(before->local_pwd));
    made.remote_ufrag = keep_text(work, bytes_of_text(before->remote_ufrag));
    made.remote_pwd = keep_text(work, bytes_of_text(before->remote_pwd));
    made.fingerprints =
        sdp_allocate(work->memory, before->fingerprint_count, sizeof(*made.fingerprints));
    memcpy(made.fingerprints, before->fingerprints,
           before->fingerprint_count * sizeof(*made.fingerprints));
    made.candidates = NULL;
    made.candidate_count = 0;
    made.extensions = result->extensions;
    made.sections = result->sections;
    made.section_count = result->section_count;
    *result = made;
}

static int negotiate(struct negotiation_work *work)
{
    const struct sdp *offer = work->offer;
    struct rtc_negotiated *result = &work->result;
    struct bytes mids;
    int checked = bundle_of(work, &mids);
    if (checked < 0)
        return checked;
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
    if (!tagged && !work->before)
        return negotiation_refuse(
            work, "The offer has no section that the server takes: audio or video with a codec "
                  "that it knows, or data channels");
    if (!tagged) {
        // everything was stopped, and with it the client's transport
        keep_transport(work, work->before);
        return 0;
    }
    if (work->before && taken_count(work->before) == 0)
        return negotiation_refuse(
            work, "The connection ended when all its sections were stopped: open a new one");
    checked = take_ice(work, tagged);
    if (checked == 0)
        checked = take_dtls(work, tagged);
    if (checked == 0)
        answer_transport(work, tagged);
    return checked;
}

int rtc_negotiation_answer(struct rtc_negotiation *negotiation,
                           const struct rtc_negotiation_local *local, struct random *random,
                           struct bytes offer_text, char **ret_answer, const char **ret_problem)
{
    ensure(is_ice_text(local->ice_ufrag, UFRAG_MIN) && is_ice_text(local->ice_pwd, PWD_MIN));
    struct sdp_problem problem;
    struct sdp *offer cleanup(sdp_free_at) = NULL;
    if (sdp_parse(offer_text, &offer, &problem) < 0) {
        *ret_problem = problem.sentence;
        return -EINVAL;
    }
    struct sdp *answer cleanup(sdp_free_at) = sdp_new();
    struct negotiation_work work = {
        .offer = offer,
        .answer = answer,
        .memory = sdp_new(),
        .local = local,
        .random = random,
        .before = rtc_negotiation_result(negotiation),
        .next_slot = { negotiation->next_slot[0], negotiation->next_slot[1] },
    };
    if (negotiate(&work) < 0) {
        sdp_free(work.memory);
        *ret_problem = work.problem;
        return -EINVAL;
    }
    answer->session_id = negotiation->session_id;
    answer->session_version = ++negotiation->version;
    answer->ice_lite = true;
    answer->extmap_allow_mixed = offer->extmap_allow_mixed;
    answer->msid_semantic = bytes_of_text("WMS *");
    *ret_answer = sdp_write(answer);

    sdp_free(negotiation->memory);
    negotiation->memory = work.memory;
    negotiation->result = work.result;
    negotiation->answered = true;
    memcpy(negotiation->next_slot, work.next_slot, sizeof(work.next_slot));
    return 0;
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
