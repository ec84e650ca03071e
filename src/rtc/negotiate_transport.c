// The transport that all sections share: ICE credentials, candidates, DTLS (RFC 8839, RFC 8842).
#include <string.h>

#include "base/memory.h"
#include "rtc/negotiate_int.h"

/** RFC 8839, 5.4: lengths of ice-ufrag and ice-pwd. */
enum {
    UFRAG_MIN = 4,
    PWD_MIN = 22,
    ICE_TEXT_MAX = RTC_ICE_TEXT_SIZE - 1,
};

/** More candidates than any client has use for are ignored. */
enum { CANDIDATES_MAX = 64 };

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

const char *negotiation_keep_text(struct negotiation_work *work, struct bytes text)
{
    char *kept = sdp_allocate(work->memory, text.size + 1, 1);
    // lengths were checked
    ensure(text_copy(kept, text.size + 1, text) == 0);
    return kept;
}

bool negotiation_credentials_valid(struct bytes ufrag, struct bytes pwd)
{
    return is_ice_text(ufrag, UFRAG_MIN) && is_ice_text(pwd, PWD_MIN);
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

static void keep_local(struct negotiation_work *work, const struct rtc_negotiated *from)
{
    work->result.local_ufrag = negotiation_keep_text(work, bytes_of_text(from->local_ufrag));
    work->result.local_pwd = negotiation_keep_text(work, bytes_of_text(from->local_pwd));
}

int negotiation_take_ice(struct negotiation_work *work, const struct sdp_section *tagged)
{
    struct rtc_negotiated *result = &work->result;
    const struct rtc_negotiated *before = work->before;
    int checked = check_credentials(work, tagged);
    if (checked < 0)
        return checked;
    bool restart = before && (!text_equal(tagged->ice_ufrag, before->remote_ufrag) ||
                              !text_equal(tagged->ice_pwd, before->remote_pwd));
    if (restart && work->offered)
        return negotiation_refuse(work, "An answer cannot restart ICE, as the offer did not");
    result->ice_generation = before ? before->ice_generation + restart : 0;
    if (work->offered) {
        keep_local(work, work->offered);
    } else if (before && !restart) {
        keep_local(work, before);
    } else {
        result->local_ufrag = negotiation_keep_text(work, work->local->ice_ufrag);
        result->local_pwd = negotiation_keep_text(work, work->local->ice_pwd);
    }
    result->remote_ufrag = negotiation_keep_text(work, tagged->ice_ufrag);
    result->remote_pwd = negotiation_keep_text(work, tagged->ice_pwd);
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

int negotiation_take_dtls(struct negotiation_work *work, const struct sdp_section *tagged)
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

void negotiation_write_transport(struct negotiation_work *work, struct bytes tagged,
                                 enum sdp_setup setup)
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
        section->setup = setup;
        *sdp_list_add(answer, &section->fingerprints) = ours;
        if (!bytes_equal(section->mid, tagged))
            continue;
        for (size_t c = 0; c < work->local->candidate_count; c++)
            *sdp_list_add(answer, &section->candidates) = work->local->candidates[c];
        section->end_of_candidates = true;
    }
}

void negotiation_keep_transport(struct negotiation_work *work, const struct rtc_negotiated *before)
{
    struct rtc_negotiated *result = &work->result;
    struct rtc_negotiated made = *before;
    made.local_ufrag = negotiation_keep_text(work, bytes_of_text(before->local_ufrag));
    made.local_pwd = negotiation_keep_text(work, bytes_of_text(before->local_pwd));
    made.remote_ufrag = negotiation_keep_text(work, bytes_of_text(before->remote_ufrag));
    made.remote_pwd = negotiation_keep_text(work, bytes_of_text(before->remote_pwd));
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
