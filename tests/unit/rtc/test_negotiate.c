// The answer to a first offer: of browsers, of every kind of section, of enemies.
#include "unit/rtc/offers.h"

static void test_every_sample_gets_a_sound_answer(void **state)
{
    (void)state;
    static const char *const names[] = {
        "chromium-addtrack-sendrecv", "chromium-data-channel",
        "chromium-gathered",          "chromium-publish-and-slots",
        "chromium-publish-sendonly",  "chromium-screen",
        "chromium-simulcast",         "chromium-slots",
        "firefox-addtrack-sendrecv",  "firefox-data-channel",
        "firefox-gathered",           "firefox-publish-and-slots",
        "firefox-publish-sendonly",   "firefox-screen",
        "firefox-simulcast",          "firefox-slots",
        "safari-publish-sendonly",    "safari-slots",
    };
    for (size_t i = 0; i < array_size(names); i++) {
        struct fixture fixture;
        setup(&fixture);
        char *text = sample(names[i]);
        offer_taken(&fixture, text);
        check_answer(&fixture, text);
        free(text);
        teardown(&fixture);
    }
}

static void test_chromium_publication_is_understood(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    offer_sample(&fixture, "chromium-publish-sendonly");
    const struct rtc_negotiated *result = fixture.result;
    assert_int_equal(result->fingerprint_count, 1);
    assert_string_equal(result->fingerprints[0].hash, "sha-256");
    assert_int_equal(result->fingerprints[0].value_size, 32);
    assert_true(result->remote_trickle);
    assert_int_equal(strlen(result->remote_pwd), 24);
    assert_int_equal(result->ice_generation, 0);

    const struct rtc_section *audio = &result->sections[0];
    assert_int_equal(audio->kind, RTC_KIND_AUDIO);
    assert_int_equal(audio->role, RTC_ROLE_PUBLISH);
    assert_int_equal(audio->codecs->count, 1); // no G.711, comfort noise or tones
    assert_int_equal(audio->codecs->codecs[0].payload_type, 111);
    assert_int_equal(audio->codecs->codecs[0].red_payload_type, 63);
    assert_false(audio->codecs->codecs[0].red_first);
    assert_ptr_equal(rtc_section_red(audio, 63), &audio->codecs->codecs[0]);
    assert_null(rtc_section_red(audio, 111));
    assert_non_null(strstr(fixture.answer_text, "a=rtpmap:63 red/48000/2\r\n"));
    assert_non_null(strstr(fixture.answer_text, "a=fmtp:63 111/111\r\n"));
    assert_int_equal(audio->codecs->codecs[0].feedback, CODEC_FEEDBACK_TRANSPORT);
    assert_int_equal(audio->codecs->codecs[0].rtx_payload_type, RTC_PAYLOAD_TYPE_NONE);
    assert_int_equal(audio->source_count, 1);
    assert_int_equal(audio->sources[0].rtx_ssrc, 0);
    assert_true(audio->extensions & RTP_EXTENSION_BIT(RTP_EXTENSION_AUDIO_LEVEL));

    const struct rtc_section *video = &result->sections[1];
    assert_int_equal(video->kind, RTC_KIND_VIDEO);
    assert_string_equal(video->mid, "1");
    assert_int_equal(video->source_count, 1);
    assert_int_not_equal(video->sources[0].rtx_ssrc, 0);
    assert_int_equal(video->codecs->codecs[0].codec->id, CODEC_VP8);
    assert_int_equal(video->codecs->codecs[0].rtx_payload_type, 97);
    assert_int_equal(video->codecs->codecs[0].feedback,
                     CODEC_FEEDBACK_NACK | CODEC_FEEDBACK_PLI | CODEC_FEEDBACK_FIR |
                         CODEC_FEEDBACK_TRANSPORT | CODEC_FEEDBACK_REMB);
    assert_int_equal(result->extensions.kind_of_id[4], RTP_EXTENSION_MID + 1);
    assert_int_equal(result->extensions.id_of_kind[RTP_EXTENSION_TRANSPORT_SEQUENCE], 3);
    assert_true(result->extensions.two_byte_allowed);
    // toffset was offered and is not wanted
    assert_int_equal(result->extensions.kind_of_id[14], 0);

    bool is_rtx;
    const struct rtc_codec *codec = rtc_section_codec(video, 97, &is_rtx);
    assert_int_equal(codec->codec->id, CODEC_VP8);
    assert_true(is_rtx);
    assert_ptr_equal(rtc_section_codec(video, 96, &is_rtx), codec);
    assert_false(is_rtx);
    assert_null(rtc_section_codec(video, 120, &is_rtx)); // ulpfec
    assert_ptr_equal(rtc_negotiated_section(result, bytes_of_text("1")), video);
    assert_null(rtc_negotiated_section(result, bytes_of_text("9")));

    assert_int_equal(fixture.answer->sections.items[1].direction, SDP_DIRECTION_RECVONLY);
    assert_int_equal(fixture.answer->sections.items[1].ssrcs.count, 0);
    teardown(&fixture);
}

static void test_h264_is_taken_in_mode_1_with_its_profile(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    offer_sample(&fixture, "safari-publish-sendonly");
    const struct rtc_section *video = &fixture.result->sections[1];
    assert_int_equal(video->codecs->count, 4); // two H.264 of mode 1, VP8, VP9; no H.265
    assert_int_equal(video->codecs->codecs[0].payload_type, 96);
    assert_true(text_equal(video->codecs->codecs[0].fmtp,
                           "level-asymmetry-allowed=1;packetization-mode=1;"
                           "profile-level-id=640c1f"));
    assert_int_equal(video->codecs->codecs[2].codec->id, CODEC_VP8);
    assert_int_equal(video->codecs->codecs[2].rtx_payload_type, 122);
    assert_true(text_equal(sdp_fmtp_find(&fixture.answer->sections.items[1], 98),
                           "level-asymmetry-allowed=1;packetization-mode=1;"
                           "profile-level-id=42e01f"));
    assert_true(text_equal(sdp_fmtp_find(&fixture.answer->sections.items[1], 99), "apt=98"));
    teardown(&fixture);
}

static void test_sendrecv_is_a_publication_only(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    offer_sample(&fixture, "firefox-addtrack-sendrecv");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fixture.result->sections[i].role, RTC_ROLE_PUBLISH);
        assert_int_equal(fixture.answer->sections.items[i].direction, SDP_DIRECTION_RECVONLY);
        assert_int_equal(fixture.answer->sections.items[i].msids.count, 0);
    }
    // its limits of VP8 are about what it receives, not about us
    assert_int_equal(sdp_fmtp_find(&fixture.answer->sections.items[1], 120).size, 0);
    // Firefox names no VP9 parameters: profile 0
    assert_int_equal(fixture.result->sections[1].codecs->codecs[1].codec->id, CODEC_VP9);
    teardown(&fixture);
}

static void test_simulcast_is_taken_with_all_its_rids(void **state)
{
    (void)state;
    static const char *const names[] = { "chromium-simulcast", "firefox-simulcast" };
    for (size_t i = 0; i < array_size(names); i++) {
        struct fixture fixture;
        setup(&fixture);
        offer_sample(&fixture, names[i]);
        const struct rtc_section *video = &fixture.result->sections[1];
        assert_int_equal(video->rid_count, 3);
        assert_string_equal(video->rids[0], "q");
        assert_string_equal(video->rids[2], "f");
        assert_true(video->extensions & RTP_EXTENSION_BIT(RTP_EXTENSION_RID));
        assert_true(video->extensions & RTP_EXTENSION_BIT(RTP_EXTENSION_REPAIRED_RID));
        const struct sdp_section *answered = &fixture.answer->sections.items[1];
        assert_true(text_equal(answered->simulcast_receive, "q;h;f"));
        assert_int_equal(answered->rids.count, 3);
        assert_true(answered->rids.items[0].receive);
        // Firefox announces the SSRCs as well
        assert_int_equal(video->source_count, i == 0 ? 0 : 3);
        if (i == 1)
            assert_int_equal(video->sources[2].rtx_ssrc, 3119705191);
        teardown(&fixture);
    }
}

static void test_simulcast_is_kept_while_its_section_rests(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *text = sample("chromium-simulcast");
    text = replaced(text, "a=sendonly", "a=inactive", true);
    offer_taken(&fixture, text);
    assert_int_equal(fixture.result->sections[1].role, RTC_ROLE_INACTIVE);
    const struct sdp_section *answered = &fixture.answer->sections.items[1];
    assert_int_equal(answered->direction, SDP_DIRECTION_INACTIVE);
    assert_true(text_equal(answered->simulcast_receive, "q;h;f"));
    assert_int_equal(answered->rids.count, 3);
    free(text);
    teardown(&fixture);
}

static void test_extension_directions_are_turned_around(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    offer_sample(&fixture, "firefox-publish-and-slots");
    uint32_t playout = RTP_EXTENSION_BIT(RTP_EXTENSION_PLAYOUT_DELAY);
    // "6/recvonly" is of no use where the client only sends
    assert_false(fixture.result->sections[1].extensions & playout);
    assert_true(fixture.result->sections[3].extensions & playout);
    const struct sdp_section *slot = &fixture.answer->sections.items[3];
    bool found = false;
    for (size_t i = 0; i < slot->extmaps.count; i++)
        if (slot->extmaps.items[i].id == 6)
            found = slot->extmaps.items[i].direction == SDP_DIRECTION_SENDONLY;
    assert_true(found);
    teardown(&fixture);
}

static void test_slots_have_ssrcs_and_pair_up_for_lip_sync(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    offer_sample(&fixture, "chromium-publish-and-slots");
    uint32_t seen[8];
    size_t seen_count = 0;
    for (size_t i = 2; i < 6; i++) {
        const struct rtc_section *slot = &fixture.result->sections[i];
        const struct sdp_section *answered = &fixture.answer->sections.items[i];
        assert_int_equal(slot->role, RTC_ROLE_SLOT);
        assert_int_equal(answered->direction, SDP_DIRECTION_SENDONLY);
        assert_int_equal(slot->slot_index, (i - 2) / 2);
        assert_int_equal(answered->msids.count, 1);
        assert_true(text_equal(answered->msids.items[0].stream, i < 4 ? "pair-0" : "pair-1"));
        char track[16];
        snprintf(track, sizeof(track), "slot-%zu", i);
        assert_true(text_equal(answered->msids.items[0].track, track));
        assert_int_equal(answered->ssrcs.items[0].ssrc, slot->ssrc);
        assert_true(text_equal(answered->ssrcs.items[0].value, "roost-1"));
        assert_int_equal(answered->ssrcs.count, slot->kind == RTC_KIND_VIDEO ? 2 : 1);
        assert_int_equal(answered->ssrc_groups.count, slot->kind == RTC_KIND_VIDEO ? 1 : 0);
        seen[seen_count++] = slot->ssrc;
        if (slot->rtx_ssrc)
            seen[seen_count++] = slot->rtx_ssrc;
    }
    assert_int_equal(seen_count, 6);
    for (size_t a = 0; a < seen_count; a++)
        for (size_t b = 0; b < a; b++)
            assert_int_not_equal(seen[a], seen[b]);
    // slots of equal codecs share one list
    assert_ptr_equal(fixture.result->sections[3].codecs, fixture.result->sections[5].codecs);
    teardown(&fixture);
}

static void test_slot_takes_any_codec_that_its_client_decodes(void **state)
{
    (void)state;
    struct fixture publisher;
    struct fixture subscriber;
    setup(&publisher);
    setup(&subscriber);
    offer_sample(&publisher, "safari-publish-sendonly");
    offer_sample(&subscriber, "chromium-slots");
    const struct rtc_section *sent = &publisher.result->sections[1];
    const struct rtc_section *slot = &subscriber.result->sections[1];
    // Constrained High in Safari: Chromium offers no High profile, VP8 it has under another number
    assert_null(rtc_section_match(slot, &sent->codecs->codecs[0]));
    const struct rtc_codec *match = rtc_section_match(slot, &sent->codecs->codecs[1]);
    assert_int_equal(match->payload_type, 108); // the same profile-level-id, not the first H.264
    assert_int_equal(rtc_section_match(slot, &sent->codecs->codecs[2])->payload_type, 96);
    const struct rtc_section *audio = &publisher.result->sections[0];
    assert_null(rtc_section_match(slot, &audio->codecs->codecs[0]));
    teardown(&publisher);
    // VP9 profile 2 does not go into profile 0
    struct fixture chromium;
    setup(&chromium);
    offer_sample(&chromium, "chromium-publish-sendonly");
    struct fixture safari;
    setup(&safari);
    offer_sample(&safari, "safari-slots");
    const struct rtc_section *video = &chromium.result->sections[1];
    for (size_t i = 0; i < video->codecs->count; i++) {
        const struct rtc_codec *codec = &video->codecs->codecs[i];
        if (codec->codec->id != CODEC_VP9)
            continue;
        bool profile_2 = text_equal(codec->fmtp, "profile-id=2");
        assert_int_equal(!rtc_section_match(&safari.result->sections[1], codec), profile_2);
    }
    teardown(&chromium);
    teardown(&safari);
    teardown(&subscriber);
}

static void test_first_section_rejected_moves_the_transport_to_the_next(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *text = sample("chromium-publish-sendonly");
    text = replaced(text, "opus/48000/2", "speex/48000/2", false);
    offer_taken(&fixture, text);
    assert_true(fixture.result->sections[0].rejected);
    assert_true(text_equal(fixture.answer->bundles.items[0], "1"));
    assert_int_equal(fixture.answer->sections.items[0].candidates.count, 0);
    assert_int_equal(fixture.answer->sections.items[1].candidates.count, 1);
    free(text);
    teardown(&fixture);
}

static void test_hostile_offers_are_refused_and_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *problem;
    } rows[] = {
        { "a=mid:m1", "a=mid:m0", "Two sections have the same mid" },
        { "a=mid:m1\r\n", "", "Every section of the offer needs an a=mid" },
        { "a=mid:m1", "a=mid:m23456789abcdefgh",
          "A mid must have 1 to 15 letters, digits or signs without spaces" },
        { "a=mid:m1", "a=mid:m 1",
          "A mid must have 1 to 15 letters, digits or signs without spaces" },
        { "a=rtcp-mux\r\n", "", "The offer must have a=rtcp-mux in every section" },
        { "BUNDLE m0 m1", "BUNDLE m0", "Every section of the offer must be in the BUNDLE group" },
        { "BUNDLE m0 m1", "BUNDLE m0 m0",
          "Every section of the offer must be in the BUNDLE group" },
        { "a=group:BUNDLE m0 m1", "a=group:BUNDLE m0\r\na=group:BUNDLE m1",
          "The offer has more than one BUNDLE group" },
        { "a=group:BUNDLE m0 m1\r\n", "",
          "The offer must put all its sections in one BUNDLE group (a=group:BUNDLE)" },
        { "a=ice-ufrag:abcd", "a=ice-ufrag:abc", "a=ice-ufrag must have 4 to 256 ICE characters" },
        { "a=ice-ufrag:abcd", "a=ice-ufrag:ab\"d",
          "a=ice-ufrag must have 4 to 256 ICE characters" },
        { "a=ice-pwd:0123", "a=ice-pwd:123", "a=ice-pwd must have 22 to 256 ICE characters" },
        { "a=setup:actpass", "a=setup:holdconn", "a=setup must be actpass, active or passive" },
        { "a=setup:actpass", "a=setup:passive",
          "The side that begins DTLS cannot change: open a new connection" },
        { "sha-256", "sha-1", "The offer needs an a=fingerprint with sha-256 or better" },
        { "85:41", "85:4", "The offer needs an a=fingerprint with sha-256 or better" },
        { "85:41", "86:41",
          "The certificate of a connection cannot change: open a new connection" },
        { "t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n",
          "The server is ICE-lite, so that an ICE-lite client cannot connect to it" },
        { "a=recvonly\r\n",
          "a=recvonly\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
          "a=extmap:4 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n",
          "An a=extmap id is out of range or stands for two header extensions" },
        { "a=rtpmap:111 opus/48000/2", "a=rtpmap:111 VP8/90000",
          "One payload type stands for two codecs in the offer" },
        { "m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio 9 UDP/TLS/RTP/SAVPF 111 x",
          "A payload type must be a number from 0 to 127" },
        { "m=audio", "m=video",
          "A later offer must keep the order, mid and kind of the sections before it" },
    };
    struct fixture fixture;
    setup(&fixture);
    char *good = slots_offer(2, "abcd", SIZE_MAX);
    offer_taken(&fixture, good);
    uint32_t ssrc = fixture.result->sections[1].ssrc;
    for (size_t i = 0; i < array_size(rows); i++) {
        char *bad = replaced(strdup(good), rows[i].from, rows[i].to, false);
        assert_int_equal(offer(&fixture, bad), -EINVAL);
        assert_string_equal(fixture.problem, rows[i].problem);
        assert_int_equal(fixture.result->sections[1].ssrc, ssrc);
        free(bad);
    }
    char *fewer = slots_offer(1, "abcd", SIZE_MAX);
    assert_int_equal(offer(&fixture, fewer), -EINVAL);
    assert_string_equal(fixture.problem, "A later offer must keep all sections of the one before");
    assert_int_equal(offer(&fixture, "not SDP"), -EINVAL);
    assert_int_equal(offer(&fixture, "v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\n"), -EINVAL);
    offer_taken(&fixture, good);
    assert_int_equal(fixture.result->sections[1].ssrc, ssrc);
    free(good);
    free(fewer);
    teardown(&fixture);
}

static void test_who_waits_for_dtls_is_asked_and_stays_so(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *good = slots_offer(1, "abcd", SIZE_MAX);
    char *passive = replaced(strdup(good), "a=setup:actpass", "a=setup:passive", false);
    char *active = replaced(strdup(good), "a=setup:actpass", "a=setup:active", false);
    offer_taken(&fixture, passive);
    assert_true(fixture.result->starts_dtls);
    assert_int_equal(fixture.answer->sections.items[0].setup, SDP_SETUP_ACTIVE);
    offer_taken(&fixture, good);
    assert_true(fixture.result->starts_dtls);
    assert_int_equal(fixture.answer->sections.items[0].setup, SDP_SETUP_ACTIVE);
    assert_int_equal(offer(&fixture, active), -EINVAL);
    assert_string_equal(fixture.problem,
                        "The side that begins DTLS cannot change: open a new connection");
    free(good);
    free(passive);
    free(active);
    teardown(&fixture);
}

static void test_offer_with_nothing_to_take_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *text = replaced(slots_offer(1, "abcd", SIZE_MAX), "opus", "speex", false);
    assert_int_equal(offer(&fixture, text), -EINVAL);
    assert_null(fixture.result);
    free(text);
    teardown(&fixture);
}

static void test_odd_simulcast_and_sources_are_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *text = sample("chromium-simulcast");
    // alternatives, a paused one, one twice, one undeclared, one that is no rid, an empty one
    text =
        replaced(text, "a=simulcast:send q;h;f", "a=simulcast:send q,f;~h;q;x;\xc3\xa4;;f", false);
    text = replaced(text, "a=rid:q send", "a=rid:q send\r\na=rid:\xc3\xa4 send", false);
    offer_taken(&fixture, text);
    assert_int_equal(fixture.result->sections[1].rid_count, 3);
    assert_string_equal(fixture.result->sections[1].rids[1], "h");
    assert_true(text_equal(fixture.answer->sections.items[1].simulcast_receive, "q;h;f"));
    free(text);
    teardown(&fixture);

    setup(&fixture);
    text = sample("chromium-publish-sendonly");
    char lines[2048];
    struct text_builder builder = text_builder_of(lines, sizeof(lines));
    for (unsigned i = 0; i < 40; i++)
        text_append_format(&builder, "a=ssrc:%u cname:x\r\n", 100 + i);
    text_append(&builder, "a=ssrc-group:FID 100 101\r\na=ssrc-group:FEC-FR 102 103\r\n"
                          "a=ssrc-group:FID 100\r\na=ssrc-group:FID 104 104\r\n");
    text_append(&builder, "a=rtcp-mux\r\n");
    text = replaced(text, "a=rtcp-mux\r\n", lines, false);
    offer_taken(&fixture, text);
    const struct rtc_section *audio = &fixture.result->sections[0];
    assert_int_equal(audio->source_count, RTC_SOURCES_MAX);
    assert_int_equal(audio->sources[0].ssrc, 100);
    assert_int_equal(audio->sources[0].rtx_ssrc, 101);
    assert_int_equal(audio->sources[1].ssrc, 102);
    free(text);
    teardown(&fixture);
}

static void test_fec_is_agreed_on_for_what_we_send_alone(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    offer_sample(&fixture, "chromium-slots");
    size_t videos = 0;
    for (size_t i = 0; i < fixture.result->section_count; i++) {
        const struct rtc_section *section = &fixture.result->sections[i];
        bool video = section->kind == RTC_KIND_VIDEO;
        videos += video;
        assert_int_equal(section->red_payload_type, video ? 118 : 0);
        assert_int_equal(section->ulpfec_payload_type, video ? 120 : 0);
    }
    assert_true(videos > 0);
    assert_non_null(strstr(fixture.answer_text, "a=rtpmap:120 ulpfec/90000\r\n"));
    teardown(&fixture);
    setup(&fixture);
    offer_sample(&fixture, "chromium-publish-sendonly");
    assert_null(strstr(fixture.answer_text, "ulpfec"));
    assert_int_equal(fixture.result->sections[1].red_payload_type, 0);
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_sample_gets_a_sound_answer),
        cmocka_unit_test(test_chromium_publication_is_understood),
        cmocka_unit_test(test_h264_is_taken_in_mode_1_with_its_profile),
        cmocka_unit_test(test_sendrecv_is_a_publication_only),
        cmocka_unit_test(test_simulcast_is_taken_with_all_its_rids),
        cmocka_unit_test(test_simulcast_is_kept_while_its_section_rests),
        cmocka_unit_test(test_extension_directions_are_turned_around),
        cmocka_unit_test(test_slots_have_ssrcs_and_pair_up_for_lip_sync),
        cmocka_unit_test(test_slot_takes_any_codec_that_its_client_decodes),
        cmocka_unit_test(test_first_section_rejected_moves_the_transport_to_the_next),
        cmocka_unit_test(test_hostile_offers_are_refused_and_change_nothing),
        cmocka_unit_test(test_offer_with_nothing_to_take_is_refused),
        cmocka_unit_test(test_who_waits_for_dtls_is_asked_and_stays_so),
        cmocka_unit_test(test_odd_simulcast_and_sources_are_bounded),
        cmocka_unit_test(test_fec_is_agreed_on_for_what_we_send_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
