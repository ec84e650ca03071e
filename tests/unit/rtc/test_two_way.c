// Calls: sections in which both sides send, answered and offered by the server.
#include <string.h>

#include "unit/rtc/offers.h"

/** The two sides of a call: each negotiates with the server on its own. */
struct pair {
    struct fixture caller;
    struct fixture callee;
    struct fixture browser; /**< stands for the callee's client: answers what it is offered */
    char *offer;            /**< made for the callee */
    struct sdp *offered;
    char *answer; /**< of the callee's client */
};

static void setup_two_way(struct fixture *fixture)
{
    setup(fixture);
    fixture->two_way = true;
}

static void setup_pair(struct pair *pair)
{
    *pair = (struct pair){ 0 };
    setup_two_way(&pair->caller);
    setup_two_way(&pair->callee);
    setup_two_way(&pair->browser);
}

static void teardown_pair(struct pair *pair)
{
    teardown(&pair->caller);
    teardown(&pair->callee);
    teardown(&pair->browser);
    sdp_free(pair->offered);
    free(pair->offer);
    free(pair->answer);
}

/** The server offers the callee the sections of `like`, new ones from `kept` on. */
static void make_offer(struct pair *pair, const struct rtc_negotiated *like, size_t kept)
{
    struct rtc_offer_section sections[8] = { 0 };
    assert_true(like->section_count <= array_size(sections));
    for (size_t i = 0; i < like->section_count; i++) {
        sections[i].role = RTC_ROLE_BOTH;
        if (i >= kept) {
            sections[i].like = &like->sections[i];
            sections[i].extensions = &like->extensions;
        }
    }
    struct rtc_negotiation_local local = local_of(&pair->callee);
    free(pair->offer);
    pair->offer = rtc_negotiation_offer(pair->callee.negotiation, &local, &pair->callee.random,
                                        sections, like->section_count);
    sdp_free(pair->offered);
    pair->offered = NULL;
    struct sdp_problem problem;
    if (sdp_parse(bytes_of_text(pair->offer), &pair->offered, &problem) < 0)
        fail_msg("our offer is malformed in line %u: %s", problem.line, problem.sentence);
    assert_true(rtc_negotiation_offering(pair->callee.negotiation));
}

/** What a client that is no server makes of the offer. */
static void answer_as_client(struct pair *pair)
{
    // a negotiation refuses a peer that is ICE-lite as it is itself
    char *heard = replaced(strdup(pair->offer), "a=ice-lite\r\n", "", false);
    offer_taken(&pair->browser, heard);
    free(heard);
    free(pair->answer);
    pair->answer = replaced(strdup(pair->browser.answer_text), "a=ice-lite\r\n", "", false);
    pair->answer = replaced(pair->answer, "a=setup:passive", "a=setup:active", true);
}

static int accept_answer(struct pair *pair, const char *answer)
{
    struct rtc_negotiation_local local = local_of(&pair->callee);
    pair->callee.problem = NULL;
    int result = rtc_negotiation_accept(pair->callee.negotiation, &local, &pair->callee.random,
                                        bytes_of_text(answer), &pair->callee.problem);
    pair->callee.result = rtc_negotiation_result(pair->callee.negotiation);
    return result;
}

static void test_sendrecv_is_publication_and_slot(void **state)
{
    (void)state;
    struct fixture fixture;
    setup_two_way(&fixture);
    char *text = sample("chromium-addtrack-sendrecv");
    offer_taken(&fixture, text);
    check_answer(&fixture, text);
    for (size_t i = 0; i < 2; i++) {
        const struct rtc_section *section = &fixture.result->sections[i];
        assert_int_equal(section->role, RTC_ROLE_BOTH);
        assert_true(rtc_section_publishes(section) && rtc_section_is_slot(section));
        assert_int_not_equal(section->ssrc, 0);
        assert_int_not_equal(section->source_count, 0);
        const struct sdp_section *answered = &fixture.answer->sections.items[i];
        assert_int_equal(answered->direction, SDP_DIRECTION_SENDRECV);
        assert_int_equal(answered->ssrcs.items[0].ssrc, section->ssrc);
        assert_int_equal(answered->msids.count, 1);
        // what is sent to us in RED with ULPFEC could not be forwarded
        assert_int_equal(section->ulpfec_payload_type, 0);
    }
    free(text);
    teardown(&fixture);
}

static void test_hold_takes_a_direction_away_and_gives_it_back(void **state)
{
    (void)state;
    struct fixture fixture;
    setup_two_way(&fixture);
    char *text = sample("chromium-addtrack-sendrecv");
    offer_taken(&fixture, text);
    uint32_t ssrc = fixture.result->sections[0].ssrc;
    char *held = replaced(strdup(text), "a=sendrecv", "a=sendonly", true);
    offer_taken(&fixture, held);
    assert_int_equal(fixture.result->sections[0].role, RTC_ROLE_PUBLISH);
    assert_int_equal(fixture.answer->sections.items[0].direction, SDP_DIRECTION_RECVONLY);
    held = replaced(held, "a=sendonly", "a=inactive", true);
    offer_taken(&fixture, held);
    assert_int_equal(fixture.result->sections[0].role, RTC_ROLE_INACTIVE);
    offer_taken(&fixture, text);
    assert_int_equal(fixture.result->sections[0].role, RTC_ROLE_BOTH);
    assert_int_equal(fixture.result->sections[0].ssrc, ssrc);
    free(held);
    free(text);
    teardown(&fixture);
}

static void test_limits_of_the_other_side_narrow_the_answer(void **state)
{
    (void)state;
    struct fixture fixture;
    setup_two_way(&fixture);
    char *text = sample("chromium-addtrack-sendrecv");
    offer_taken(&fixture, text);
    const struct rtc_codec_list *all = fixture.result->sections[1].codecs;
    assert_true(all->count > 1);
    struct rtc_codec_list *one = calloc(1, sizeof(*one) + sizeof(one->codecs[0]));
    one->count = 1;
    one->codecs[0] = all->codecs[all->count - 1];
    char fmtp[256];
    assert_int_equal(text_copy(fmtp, sizeof(fmtp), one->codecs[0].fmtp), 0);
    one->codecs[0].fmtp = bytes_of_text(fmtp);
    uint8_t only = one->codecs[0].payload_type;
    struct rtc_section_limit limits[] = { { .rejected = true },
                                          { .role = RTC_ROLE_PUBLISH, .codecs = one } };
    struct fixture limited;
    setup_two_way(&limited);
    limited.limits = limits;
    limited.limit_count = array_size(limits);
    offer_taken(&limited, text);
    check_answer(&limited, text);
    assert_true(limited.result->sections[0].rejected);
    const struct rtc_section *video = &limited.result->sections[1];
    assert_int_equal(video->role, RTC_ROLE_PUBLISH);
    assert_int_equal(video->asked, RTC_ROLE_BOTH);
    assert_int_equal(video->codecs->count, 1);
    assert_int_equal(video->codecs->codecs[0].payload_type, only);
    free(one);
    free(text);
    teardown(&limited);
    teardown(&fixture);
}

static void test_what_one_client_offers_is_offered_to_the_other(void **state)
{
    (void)state;
    static const char *const names[] = { "chromium-addtrack-sendrecv",
                                         "firefox-addtrack-sendrecv" };
    for (size_t n = 0; n < array_size(names); n++) {
        struct pair pair;
        setup_pair(&pair);
        offer_sample(&pair.caller, names[n]);
        const struct rtc_negotiated *like = pair.caller.result;
        make_offer(&pair, like, 0);
        assert_true(pair.offered->ice_lite);
        assert_int_equal(pair.offered->sections.count, like->section_count);
        assert_null(rtc_negotiation_result(pair.callee.negotiation));
        for (size_t i = 0; i < like->section_count; i++) {
            const struct sdp_section *said = &pair.offered->sections.items[i];
            assert_true(text_equal(said->mid, like->sections[i].mid));
            assert_int_equal(said->direction, SDP_DIRECTION_SENDRECV);
            assert_int_equal(said->setup, SDP_SETUP_ACTPASS);
            assert_true(text_equal(said->ice_ufrag, "ufrag0"));
            assert_int_equal(said->candidates.count, i == 0);
            assert_int_equal(said->end_of_candidates, i == 0);
            assert_true(sdp_words_have(pair.offered->bundles.items[0], said->mid));
        }
        answer_as_client(&pair);
        assert_int_equal(accept_answer(&pair, pair.answer), 0);
        assert_false(rtc_negotiation_offering(pair.callee.negotiation));
        const struct rtc_negotiated *result = pair.callee.result;
        assert_string_equal(result->local_ufrag, "ufrag0");
        assert_int_equal(result->ice_generation, 0);
        assert_false(result->starts_dtls);
        for (size_t i = 0; i < like->section_count; i++) {
            const struct rtc_section *section = &result->sections[i];
            const struct sdp_section *said = &pair.offered->sections.items[i];
            assert_int_equal(section->role, RTC_ROLE_BOTH);
            // the stream that was announced is the one that is sent
            assert_int_equal(said->ssrcs.items[0].ssrc, section->ssrc);
            assert_int_equal(section->codecs->count, like->sections[i].codecs->count);
            assert_int_equal(section->extensions, like->sections[i].extensions);
            for (size_t c = 0; c < section->codecs->count; c++)
                assert_non_null(rtc_section_match(&like->sections[i], &section->codecs->codecs[c]));
        }
        teardown_pair(&pair);
    }
}

static void test_the_answer_may_leave_out_codecs_and_directions(void **state)
{
    (void)state;
    struct pair pair;
    setup_pair(&pair);
    offer_sample(&pair.caller, "chromium-addtrack-sendrecv");
    const struct rtc_codec *first = &pair.caller.result->sections[1].codecs->codecs[0];
    make_offer(&pair, pair.caller.result, 0);
    struct rtc_codec_list *one = calloc(1, sizeof(*one) + sizeof(one->codecs[0]));
    one->count = 1;
    one->codecs[0] = *first;
    struct rtc_section_limit limits[] = { { .role = RTC_ROLE_BOTH },
                                          { .role = RTC_ROLE_SLOT, .codecs = one } };
    pair.browser.limits = limits;
    pair.browser.limit_count = array_size(limits);
    answer_as_client(&pair);
    // the limits are the browser's, which answers as we would: a slot of ours is sendonly there
    assert_int_equal(accept_answer(&pair, pair.answer), 0);
    const struct rtc_section *video = &pair.callee.result->sections[1];
    assert_int_equal(video->role, RTC_ROLE_PUBLISH);
    assert_int_equal(video->asked, RTC_ROLE_PUBLISH);
    assert_int_equal(video->codecs->count, 1);
    assert_int_equal(pair.callee.result->sections[0].role, RTC_ROLE_BOTH);
    free(one);
    teardown_pair(&pair);
}

static void test_answers_that_do_not_fit_are_refused_and_change_nothing(void **state)
{
    (void)state;
    struct pair pair;
    setup_pair(&pair);
    assert_int_equal(accept_answer(&pair, "v=0\r\n"), -EPROTO);
    offer_sample(&pair.caller, "chromium-addtrack-sendrecv");
    make_offer(&pair, pair.caller.result, 0);
    answer_as_client(&pair);
    const struct {
        const char *from;
        const char *to;
        const char *problem;
    } cases[] = {
        { "v=0\r\n", "v=1\r\n", NULL },
        { "a=mid:1\r\n", "a=mid:7\r\n",
          "The answer must keep the order, mid and kind of the offer's sections" },
        { "s=-\r\n", "s=-\r\na=ice-lite\r\n",
          "The server is ICE-lite, so that an ICE-lite client cannot connect to it" },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        char *changed = replaced(strdup(pair.answer), cases[i].from, cases[i].to, true);
        assert_int_equal(accept_answer(&pair, changed), -EINVAL);
        assert_non_null(pair.callee.problem);
        if (cases[i].problem)
            assert_string_equal(pair.callee.problem, cases[i].problem);
        free(changed);
    }
    char *cut = strdup(pair.answer);
    *strstr(cut, "m=video") = '\0';
    assert_int_equal(accept_answer(&pair, cut), -EINVAL);
    assert_string_equal(pair.callee.problem, "The answer must have as many sections as the offer");
    free(cut);
    // the offer still waits
    assert_int_equal(accept_answer(&pair, pair.answer), 0);
    assert_int_equal(accept_answer(&pair, pair.answer), -EPROTO);
    teardown_pair(&pair);
}

static void test_a_codec_by_another_payload_type_is_not_taken(void **state)
{
    (void)state;
    struct pair pair;
    setup_pair(&pair);
    offer_sample(&pair.caller, "chromium-addtrack-sendrecv");
    make_offer(&pair, pair.caller.result, 0);
    answer_as_client(&pair);
    char *other = replaced(strdup(pair.answer), "a=rtpmap:111 ", "a=rtpmap:112 ", true);
    other = replaced(other, "SAVPF 111", "SAVPF 112", true);
    assert_int_equal(accept_answer(&pair, other), 0);
    assert_true(pair.callee.result->sections[0].rejected);
    assert_int_equal(pair.callee.result->sections[1].role, RTC_ROLE_BOTH);
    free(other);
    teardown_pair(&pair);
}

static void test_a_later_offer_of_ours_adds_a_section(void **state)
{
    (void)state;
    struct pair pair;
    setup_pair(&pair);
    // the caller's first offer has sound alone
    char *audio = sample("chromium-addtrack-sendrecv");
    *strstr(audio, "m=video") = '\0';
    audio = replaced(audio, "a=group:BUNDLE 0 1", "a=group:BUNDLE 0", false);
    offer_taken(&pair.caller, audio);
    make_offer(&pair, pair.caller.result, 0);
    answer_as_client(&pair);
    assert_int_equal(accept_answer(&pair, pair.answer), 0);
    uint32_t ssrc = pair.callee.result->sections[0].ssrc;
    uint64_t version = pair.offered->session_version;

    // then it adds a picture, from another client's mind: its payload types are in use here
    struct fixture other;
    setup_two_way(&other);
    char *text = sample("firefox-addtrack-sendrecv");
    const struct rtc_codec *opus = &pair.callee.result->sections[0].codecs->codecs[0];
    assert_int_equal(opus->payload_type, 111);
    text = replaced(text, "a=rtpmap:120 VP8", "a=rtpmap:111 VP8", true);
    text = replaced(text, " 120 ", " 111 ", true);
    // in a Firefox of its own the sound is out of the way
    text = replaced(text, "a=rtpmap:109 opus", "a=rtpmap:110 opus", true);
    text = replaced(text, " 109 ", " 110 ", true);
    offer_taken(&other, text);
    free(text);
    make_offer(&pair, other.result, 1);
    assert_int_equal(pair.offered->sections.count, 2);
    assert_true(pair.offered->session_version == version + 1);
    assert_int_equal(pair.offered->sections.items[0].ssrcs.items[0].ssrc, ssrc);
    assert_true(text_equal(pair.offered->sections.items[0].ice_ufrag, "ufrag0"));
    const struct sdp_section *video = &pair.offered->sections.items[1];
    for (size_t i = 0; i < video->rtpmaps.count; i++)
        assert_int_not_equal(video->rtpmaps.items[i].payload_type, 111);
    for (size_t i = 0; i < video->extmaps.count; i++) {
        const struct sdp_section *sound = &pair.offered->sections.items[0];
        for (size_t x = 0; x < sound->extmaps.count; x++)
            assert_int_equal(video->extmaps.items[i].id == sound->extmaps.items[x].id,
                             bytes_equal(video->extmaps.items[i].uri, sound->extmaps.items[x].uri));
    }
    answer_as_client(&pair);
    assert_int_equal(accept_answer(&pair, pair.answer), 0);
    const struct rtc_section *taken = &pair.callee.result->sections[1];
    assert_int_equal(taken->role, RTC_ROLE_BOTH);
    assert_int_equal(taken->slot_index, 0);
    assert_int_equal(pair.callee.result->sections[0].ssrc, ssrc);
    assert_int_equal(pair.callee.result->ice_generation, 0);
    free(audio);
    teardown(&other);
    teardown_pair(&pair);
}

static void test_an_offer_of_the_client_takes_the_place_of_ours(void **state)
{
    (void)state;
    struct pair pair;
    setup_pair(&pair);
    offer_sample(&pair.caller, "chromium-addtrack-sendrecv");
    make_offer(&pair, pair.caller.result, 0);
    answer_as_client(&pair);
    offer_sample(&pair.callee, "chromium-addtrack-sendrecv");
    assert_false(rtc_negotiation_offering(pair.callee.negotiation));
    assert_int_equal(accept_answer(&pair, pair.answer), -EPROTO);
    teardown_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sendrecv_is_publication_and_slot),
        cmocka_unit_test(test_hold_takes_a_direction_away_and_gives_it_back),
        cmocka_unit_test(test_limits_of_the_other_side_narrow_the_answer),
        cmocka_unit_test(test_what_one_client_offers_is_offered_to_the_other),
        cmocka_unit_test(test_the_answer_may_leave_out_codecs_and_directions),
        cmocka_unit_test(test_answers_that_do_not_fit_are_refused_and_change_nothing),
        cmocka_unit_test(test_a_codec_by_another_payload_type_is_not_taken),
        cmocka_unit_test(test_a_later_offer_of_ours_adds_a_section),
        cmocka_unit_test(test_an_offer_of_the_client_takes_the_place_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
