/** One negotiation and the offers that it gets: what tests of answers share. */
#pragma once

#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/sdp/sdp.h"
#include "rtc/negotiate.h"

#define FINGERPRINT                                                                                \
    "sha-256 85:41:41:0B:35:AA:C5:65:1F:E6:49:08:6C:E3:0C:7F:93:9C:49:E3:6E:D3:E8:B8:31:B9:22:54:" \
    "34:D6:9D:36"
#define CANDIDATE "1 1 udp 2130706431 192.0.2.1 3478 typ host"

struct fixture {
    struct random random;
    struct rtc_negotiation *negotiation;
    bool two_way;
    const struct rtc_section_limit *limits;
    size_t limit_count;
    unsigned credentials; /**< sets handed out, so that fresh ones can be told */
    char ufrag[32];
    char pwd[64];
    char *answer_text;
    struct sdp *answer;
    const struct rtc_negotiated *result;
    const char *problem;
};

static inline void setup(struct fixture *fixture)
{
    *fixture = (struct fixture){ 0 };
    random_seeded_init(&fixture->random, 3);
    fixture->negotiation = rtc_negotiation_new(&fixture->random);
    assert_null(rtc_negotiation_result(fixture->negotiation));
}

static inline void teardown(struct fixture *fixture)
{
    free(fixture->answer_text);
    sdp_free(fixture->answer);
    assert_null(rtc_negotiation_free(fixture->negotiation));
    assert_null(rtc_negotiation_free(NULL));
}

/** What we say of ourselves, with fresh credentials each time. Its texts are of the fixture. */
static inline struct rtc_negotiation_local local_of(struct fixture *fixture)
{
    static const struct bytes candidate = { (const uint8_t *)CANDIDATE, sizeof(CANDIDATE) - 1 };
    unsigned set = fixture->credentials++;
    snprintf(fixture->ufrag, sizeof(fixture->ufrag), "ufrag%u", set);
    snprintf(fixture->pwd, sizeof(fixture->pwd), "passwordpasswordpassword%u", set);
    return (struct rtc_negotiation_local){
        .ice_ufrag = bytes_of_text(fixture->ufrag),
        .ice_pwd = bytes_of_text(fixture->pwd),
        .candidates = &candidate,
        .candidate_count = 1,
        .fingerprint = bytes_of_text(FINGERPRINT),
        .cname = bytes_of_text("roost-1"),
        .two_way = fixture->two_way,
        .limits = fixture->limits,
        .limit_count = fixture->limit_count,
    };
}

static inline int offer(struct fixture *fixture, const char *text)
{
    struct rtc_negotiation_local local = local_of(fixture);
    char *answer = NULL;
    fixture->problem = NULL;
    int result = rtc_negotiation_answer(fixture->negotiation, &local, &fixture->random,
                                        bytes_of_text(text), &answer, &fixture->problem);
    fixture->result = rtc_negotiation_result(fixture->negotiation);
    if (result < 0) {
        assert_null(answer);
        assert_non_null(fixture->problem);
        return result;
    }
    free(fixture->answer_text);
    sdp_free(fixture->answer);
    fixture->answer = NULL;
    fixture->answer_text = answer;
    struct sdp_problem problem;
    if (sdp_parse(bytes_of_text(answer), &fixture->answer, &problem) < 0)
        fail_msg("our answer is malformed in line %u: %s", problem.line, problem.sentence);
    return 0;
}

static inline void offer_taken(struct fixture *fixture, const char *text)
{
    if (offer(fixture, text) < 0)
        fail_msg("refused: %s", fixture->problem);
}

/** A sample's text; the caller frees. */
static inline char *sample(const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/tests/unit/proto/sdp/samples/%s.sdp", ROOST_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, SDP_SIZE_MAX);
    assert_non_null(text);
    assert_true(fread(text, 1, SDP_SIZE_MAX - 1, file) > 0);
    fclose(file);
    return text;
}

/** Takes the text; returns it with the first (or every) `from` replaced. */
static inline char *replaced(char *text, const char *from, const char *to, bool every)
{
    char *made = calloc(1, 2 * SDP_SIZE_MAX);
    assert_non_null(made);
    char *rest = text;
    char *found = strstr(rest, from);
    assert_non_null(found);
    while (found) {
        strncat(made, rest, (size_t)(found - rest));
        strcat(made, to);
        rest = found + strlen(from);
        found = every ? strstr(rest, from) : NULL;
    }
    strcat(made, rest);
    free(text);
    return made;
}

static inline void offer_sample(struct fixture *fixture, const char *name)
{
    char *text = sample(name);
    offer_taken(fixture, text);
    free(text);
}

/** What must hold for the answer to any offer (RFC 8829, 5.3.1). */
static inline void check_answer(const struct fixture *fixture, const char *offer_text)
{
    struct sdp *offered = NULL;
    assert_int_equal(sdp_parse(bytes_of_text(offer_text), &offered, NULL), 0);
    const struct sdp *answer = fixture->answer;
    assert_true(answer->ice_lite);
    assert_int_equal(answer->sections.count, offered->sections.count);
    assert_int_equal(fixture->result->section_count, offered->sections.count);
    size_t candidates = 0;
    for (size_t i = 0; i < answer->sections.count; i++) {
        const struct sdp_section *a = &answer->sections.items[i];
        const struct sdp_section *o = &offered->sections.items[i];
        const struct rtc_section *section = &fixture->result->sections[i];
        assert_true(bytes_equal(a->mid, o->mid));
        assert_true(bytes_equal(a->media_text, o->media_text));
        assert_true(bytes_equal(a->protocol, o->protocol));
        assert_int_equal(section->rejected, a->port == 0);
        assert_int_equal(sdp_words_have(answer->bundles.items[0], a->mid), a->port != 0);
        if (section->rejected)
            continue;
        assert_int_equal(a->setup,
                         fixture->result->starts_dtls ? SDP_SETUP_ACTIVE : SDP_SETUP_PASSIVE);
        assert_true(a->rtcp_mux == (section->kind != RTC_KIND_DATA));
        assert_int_equal(a->fingerprints.count, 1);
        assert_true(text_equal(a->ice_ufrag, fixture->result->local_ufrag));
        assert_true(text_equal(a->ice_pwd, fixture->result->local_pwd));
        candidates += a->candidates.count;
        // nothing that was not offered
        for (size_t f = 0; section->kind != RTC_KIND_DATA && f < a->formats.count; f++) {
            uint64_t payload_type;
            assert_int_equal(text_parse_u64(a->formats.items[f], 127, &payload_type), 0);
            const struct sdp_rtpmap *ours = sdp_rtpmap_find(a, (uint8_t)payload_type);
            const struct sdp_rtpmap *theirs = sdp_rtpmap_find(o, (uint8_t)payload_type);
            assert_non_null(theirs);
            assert_int_equal(ours->clock_rate_hz, theirs->clock_rate_hz);
        }
        for (size_t e = 0; e < a->extmaps.count; e++) {
            bool found = false;
            for (size_t x = 0; x < o->extmaps.count; x++)
                found |= o->extmaps.items[x].id == a->extmaps.items[e].id &&
                         bytes_equal(o->extmaps.items[x].uri, a->extmaps.items[e].uri);
            assert_true(found);
        }
    }
    assert_int_equal(candidates, 1);
    sdp_free(offered);
}

/** An offer of our own with `slots` audio sections, for renegotiation. */
static inline char *slots_offer(size_t slots, const char *ufrag, size_t stopped)
{
    char *text = calloc(1, SDP_SIZE_MAX);
    assert_non_null(text);
    struct text_builder builder = text_builder_of(text, SDP_SIZE_MAX);
    text_append(&builder, "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
    for (size_t i = 0; i < slots; i++)
        if (i != stopped)
            text_append_format(&builder, " m%zu", i);
    text_append_format(&builder,
                       "\r\na=fingerprint:" FINGERPRINT "\r\na=setup:actpass\r\n"
                       "a=ice-ufrag:%s\r\na=ice-pwd:0123456789012345678901\r\n",
                       ufrag);
    for (size_t i = 0; i < slots; i++)
        text_append_format(&builder,
                           "m=audio %d UDP/TLS/RTP/SAVPF 111\r\na=mid:m%zu\r\na=recvonly\r\n"
                           "a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n",
                           i == stopped ? 0 : 9, i);
    return text;
}
