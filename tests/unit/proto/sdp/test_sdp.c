#include "support/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/sdp/sdp.h"

#define SAMPLES ROOST_SOURCE_DIR "/tests/unit/proto/sdp/samples"

static struct bytes sample(const char *name)
{
    static char text[SDP_SIZE_MAX];
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", SAMPLES, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof(text), file);
    fclose(file);
    return bytes_of(text, size);
}

static struct sdp *parse(struct bytes text)
{
    struct sdp *sdp = NULL;
    struct sdp_problem problem = { 0 };
    if (sdp_parse(text, &sdp, &problem) < 0)
        fail_msg("line %u: %s", problem.line, problem.sentence);
    return sdp;
}

static void test_chromium_offer_is_read_by_field(void **state)
{
    (void)state;
    struct sdp *sdp = parse(sample("chromium-publish-sendonly.sdp"));
    assert_int_equal(sdp->sections.count, 2);
    assert_int_equal(sdp->bundles.count, 1);
    assert_true(text_equal(sdp->bundles.items[0], "0 1"));
    assert_true(sdp->extmap_allow_mixed);
    assert_int_equal(sdp->session_version, 2);
    const struct sdp_section *audio = &sdp->sections.items[0];
    assert_int_equal(audio->media, SDP_MEDIA_AUDIO);
    assert_int_equal(audio->port, 9);
    assert_true(text_equal(audio->protocol, "UDP/TLS/RTP/SAVPF"));
    assert_true(text_equal(audio->formats.items[0], "111"));
    assert_int_equal(audio->direction, SDP_DIRECTION_SENDONLY);
    assert_int_equal(audio->setup, SDP_SETUP_ACTPASS);
    assert_true(audio->rtcp_mux && audio->rtcp_rsize && audio->extmap_allow_mixed);
    assert_int_equal(audio->ice_pwd.size, 24);
    assert_int_equal(audio->fingerprints.count, 1);
    assert_true(text_equal(audio->fingerprints.items[0].hash, "sha-256"));
    const struct sdp_rtpmap *opus = sdp_rtpmap_find(audio, 111);
    assert_true(text_equal(opus->name, "opus"));
    assert_int_equal(opus->clock_rate_hz, 48000);
    assert_int_equal(opus->channels, 2);
    assert_true(text_equal(sdp_fmtp_find(audio, 111), "minptime=10;useinbandfec=1"));
    const struct sdp_section *video = &sdp->sections.items[1];
    assert_true(text_equal(video->mid, "1"));
    assert_ptr_equal(sdp_section_find(sdp, bytes_of_text("1")), video);
    assert_int_equal(video->ssrc_groups.count, 1);
    struct bytes rest = video->ssrc_groups.items[0].ssrcs;
    uint32_t ssrc = 0;
    assert_true(sdp_ssrc_group_next(&rest, &ssrc));
    assert_int_equal(ssrc, video->ssrcs.items[0].ssrc);
    assert_true(text_equal(video->ssrcs.items[0].name, "cname"));
    assert_int_equal(video->msids.count, 1);
    struct bytes value;
    assert_true(sdp_attribute_find(video, "rtcp-xr", &value));
    assert_true(text_equal(value, "rcvr-rtt=all"));
    sdp_free(sdp);
}

static void test_session_values_are_inherited_by_sections(void **state)
{
    (void)state;
    // Firefox writes its fingerprint and ICE options once, for the session
    struct sdp *sdp = parse(sample("firefox-publish-and-slots.sdp"));
    for (size_t i = 0; i < sdp->sections.count; i++) {
        assert_int_equal(sdp->sections.items[i].fingerprints.count, 1);
        assert_true(text_equal(sdp->sections.items[i].ice_options, "trickle"));
    }
    // and later sections as bundle-only with port 0
    const struct sdp_section *last = &sdp->sections.items[sdp->sections.count - 1];
    assert_int_equal(last->port, 0);
    assert_true(last->bundle_only);
    sdp_free(sdp);
}

static void test_simulcast_and_rids_are_read(void **state)
{
    (void)state;
    struct sdp *sdp = parse(sample("chromium-simulcast.sdp"));
    const struct sdp_section *video = &sdp->sections.items[1];
    assert_true(text_equal(video->simulcast_send, "q;h;f"));
    assert_int_equal(video->rids.count, 3);
    assert_true(text_equal(video->rids.items[2].id, "f"));
    assert_false(video->rids.items[2].receive);
    assert_int_equal(video->ssrcs.count, 0);
    sdp_free(sdp);
    sdp = parse(sample("firefox-simulcast.sdp"));
    const struct sdp_extmap *map = &sdp->sections.items[1].extmaps.items[6];
    assert_int_equal(map->id, 9);
    assert_int_equal(map->direction, SDP_DIRECTION_SENDONLY);
    sdp_free(sdp);
}

static void test_data_channel_and_candidates_are_read(void **state)
{
    (void)state;
    struct sdp *sdp = parse(sample("firefox-data-channel.sdp"));
    const struct sdp_section *data = &sdp->sections.items[sdp->sections.count - 1];
    assert_int_equal(data->media, SDP_MEDIA_APPLICATION);
    assert_int_equal(data->sctp_port, 5000);
    assert_true(data->max_message_size == 1073741823);
    sdp_free(sdp);
    sdp = parse(sample("chromium-gathered.sdp"));
    assert_int_equal(sdp->sections.items[0].candidates.count, 4);
    assert_true(text_starts_with(sdp->sections.items[0].candidates.items[0], "2732735446 1 udp"));
    sdp_free(sdp);
}

/** Everything that WebRTC reads must survive writing and parsing again. */
static void assert_same(const struct sdp *a, const struct sdp *b)
{
    assert_true(a->session_id == b->session_id);
    assert_int_equal(a->sections.count, b->sections.count);
    assert_int_equal(a->bundles.count, b->bundles.count);
    assert_int_equal(a->attributes.count, b->attributes.count);
    for (size_t i = 0; i < a->sections.count; i++) {
        const struct sdp_section *x = &a->sections.items[i];
        const struct sdp_section *y = &b->sections.items[i];
        assert_int_equal(x->formats.count, y->formats.count);
        assert_int_equal(x->port, y->port);
        assert_int_equal(x->direction, y->direction);
        assert_int_equal(x->setup, y->setup);
        assert_true(bytes_equal(x->mid, y->mid));
        assert_true(bytes_equal(x->ice_pwd, y->ice_pwd));
        assert_true(bytes_equal(x->connection, y->connection));
        assert_true(bytes_equal(x->simulcast_send, y->simulcast_send));
        assert_int_equal(x->rtcp_mux, y->rtcp_mux);
        assert_int_equal(x->rtcp_rsize, y->rtcp_rsize);
        assert_int_equal(x->bundle_only, y->bundle_only);
        assert_int_equal(x->fingerprints.count, y->fingerprints.count);
        assert_int_equal(x->candidates.count, y->candidates.count);
        assert_int_equal(x->extmaps.count, y->extmaps.count);
        assert_int_equal(x->ssrc_groups.count, y->ssrc_groups.count);
        assert_int_equal(x->msids.count, y->msids.count);
        assert_int_equal(x->rids.count, y->rids.count);
        assert_int_equal(x->rtpmaps.count, y->rtpmaps.count);
        assert_int_equal(x->fmtps.count, y->fmtps.count);
        assert_int_equal(x->attributes.count, y->attributes.count);
        assert_int_equal(x->ssrcs.count, y->ssrcs.count);
        for (size_t s = 0; s < x->ssrcs.count; s++) {
            assert_int_equal(x->ssrcs.items[s].ssrc, y->ssrcs.items[s].ssrc);
            assert_true(bytes_equal(x->ssrcs.items[s].value, y->ssrcs.items[s].value));
        }
        assert_int_equal(x->rtcp_fbs.count, y->rtcp_fbs.count);
        for (size_t f = 0; f < x->rtcp_fbs.count; f++) {
            assert_int_equal(x->rtcp_fbs.items[f].payload_type, y->rtcp_fbs.items[f].payload_type);
            assert_true(bytes_equal(x->rtcp_fbs.items[f].value, y->rtcp_fbs.items[f].value));
        }
    }
}

static void test_every_sample_survives_writing(void **state)
{
    (void)state;
    DIR *folder = opendir(SAMPLES);
    assert_non_null(folder);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        struct sdp *first = parse(sample(entry->d_name));
        char *text = sdp_write(first);
        struct sdp *second = parse(bytes_of_text(text));
        assert_same(first, second);
        // and writing is stable
        char *again = sdp_write(second);
        assert_string_equal(text, again);
        free(text);
        free(again);
        sdp_free(first);
        sdp_free(second);
        count++;
    }
    closedir(folder);
    assert_true(count >= 18);
}

#define HEAD  "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
#define AUDIO HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"

static void test_problems_come_with_line_and_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t line;
        const char *sentence;
    } rows[] = {
        { "", 0, "The lines o=, s= and t= are required" },
        { "hello", 1, "The line does not begin with a known letter and =" },
        { "v=1\r\n", 1, "A session description begins with v=0" },
        { "o=- 1 1 IN IP4 0\r\n", 1, "A session description begins with v=0" },
        { "v=0\r\no=- x 2 IN IP4 0.0.0.0\r\n", 2,
          "o= must have a user name, a session id and a version" },
        { "v=0\r\ns=-\r\n", 2, "o= must come before s=" },
        { "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\nm=audio 9 X 0\r\n", 3,
          "o=, s= and t= must come before m=" },
        { HEAD "m=audio 99999 X 0\r\n", 5, "The port of m= must be a number from 0 to 65535" },
        { HEAD "m=audio 9 X\r\n", 5, "m= lists no format" },
        { AUDIO "a=rtpmap:128 x/1\r\n", 6,
          "a=rtpmap must have a payload type from 0 to 127 and an encoding" },
        { AUDIO "a=rtpmap:1 x/0\r\n", 6, "a=rtpmap must have an encoding name and a clock rate" },
        { AUDIO "a=rtpmap:1 x/1\na=rtpmap:1 y/1\n", 7, "a payload type has two a=rtpmap lines" },
        { AUDIO "a=mid:0\na=mid:1\n", 7, "a=mid is empty or given twice" },
        { AUDIO "a=ssrc:4294967296 cname:x\r\n", 6, "a=ssrc must begin with a number below 2^32" },
        { AUDIO "a=setup:maybe\r\n", 6, "a=setup must be actpass, active, passive or holdconn" },
        { AUDIO "a=simulcast:send 1 send 2\r\n", 6,
          "a=simulcast must be send or recv with a list, each once" },
        { AUDIO "a=extmap:1/up urn:x\r\n", 6, "the direction of a=extmap is not known" },
        { AUDIO "a=x\x01y\r\n", 6, "The line has control characters" },
        { AUDIO "\r\na=x\r\n", 6, "The line does not begin with a known letter and =" },
        { AUDIO "o=- 1 2 IN IP4 0.0.0.0\r\n", 6, "This line may not stand in a media section" },
        { AUDIO "a=mid:0\r\nm=audio 9 X 0\r\na=mid:0\r\n", 7, "Two sections have the same mid" },
        { AUDIO "a=x:\xff\r\n", 0, "The session description is not UTF-8" },
    };
    for (size_t i = 0; i < array_size(rows); i++) {
        struct sdp *sdp = NULL;
        struct sdp_problem problem = { 0 };
        assert_int_equal(sdp_parse(bytes_of_text(rows[i].text), &sdp, &problem), -EBADMSG);
        assert_null(sdp);
        assert_string_equal(problem.sentence, rows[i].sentence);
        assert_int_equal(problem.line, rows[i].line);
    }
}

static char *repeated(const char *head, const char *line, size_t count)
{
    size_t size = strlen(head) + strlen(line) * count + 1;
    char *text = malloc(size);
    assert_non_null(text);
    struct text_builder builder = text_builder_of(text, size);
    text_append(&builder, head);
    for (size_t i = 0; i < count; i++)
        text_append(&builder, line);
    return text;
}

static void assert_refused(char *text, int result, const char *sentence)
{
    struct sdp *sdp;
    struct sdp_problem problem;
    assert_int_equal(sdp_parse(bytes_of_text(text), &sdp, &problem), result);
    assert_string_equal(problem.sentence, sentence);
    free(text);
}

static void test_limits_hold(void **state)
{
    (void)state;
    char *fits = repeated(HEAD, "m=audio 9 X 0\r\n", SDP_SECTIONS_MAX);
    sdp_free(parse(bytes_of_text(fits)));
    free(fits);
    assert_refused(repeated(HEAD, "m=audio 9 X 0\r\n", SDP_SECTIONS_MAX + 1), -EBADMSG,
                   "There are too many m= sections");
    assert_refused(repeated(AUDIO, "a=x\r\n", SDP_ATTRIBUTES_MAX + 1), -EBADMSG,
                   "The section has too many lines");
    assert_refused(repeated(HEAD "m=audio 9 X", " 1", SDP_FORMATS_MAX + 1), -EBADMSG,
                   "m= lists too many formats");
    assert_refused(repeated(AUDIO "a=", "xxxxxxxx", SDP_LINE_MAX / 8 + 1), -EBADMSG,
                   "The line is too long");
    assert_refused(repeated(HEAD, "a=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", SDP_SIZE_MAX / 36 + 1),
                   -E2BIG, "The session description is too long");
}

static void test_line_ends_may_be_lf_alone_and_the_last_one_missing(void **state)
{
    (void)state;
    struct sdp *sdp = parse(bytes_of_text("v=0\no=- 1 2 IN IP4 127.0.0.1\ns= \nt=0 0\n"
                                          "m=video 0 RTP/SAVPF 96\na=mid:v"));
    assert_int_equal(sdp->sections.count, 1);
    assert_true(text_equal(sdp->sections.items[0].mid, "v"));
    sdp_free(sdp);
}

static void test_description_is_built_and_written(void **state)
{
    (void)state;
    struct sdp *sdp = sdp_new();
    sdp->session_id = 7;
    sdp->ice_lite = true;
    *sdp_list_add(sdp, &sdp->bundles) = bytes_of_text("a");
    struct sdp_section *section = sdp_list_add(sdp, &sdp->sections);
    section->media_text = bytes_of_text("audio");
    section->port = 9;
    section->protocol = bytes_of_text("UDP/TLS/RTP/SAVPF");
    section->mid = bytes_of_text("a");
    section->direction = SDP_DIRECTION_RECVONLY;
    for (unsigned i = 0; i < 20; i++)
        *sdp_list_add(sdp, &section->formats) = sdp_text(sdp, "%u", 100 + i);
    *sdp_list_add(sdp, &section->rtpmaps) =
        (struct sdp_rtpmap){ 100, bytes_of_text("opus"), 48000, 2 };
    *sdp_list_add(sdp, &section->rtcp_fbs) = (struct sdp_rtcp_fb){ -1, bytes_of_text("nack") };
    char *text = sdp_write(sdp);
    assert_string_equal(text, "v=0\r\no=- 7 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n"
                              "a=group:BUNDLE a\r\n"
                              "m=audio 9 UDP/TLS/RTP/SAVPF 100 101 102 103 104 105 106 107 108 109"
                              " 110 111 112 113 114 115 116 117 118 119\r\n"
                              "a=mid:a\r\na=recvonly\r\na=rtpmap:100 opus/48000/2\r\n"
                              "a=rtcp-fb:* nack\r\n");
    free(text);
    sdp_free(sdp);
    sdp_free(NULL);
}

static void test_words_and_directions(void **state)
{
    (void)state;
    assert_true(sdp_words_have(bytes_of_text("ice2 trickle"), bytes_of_text("trickle")));
    assert_false(sdp_words_have(bytes_of_text("nottrickle trickl"), bytes_of_text("trickle")));
    assert_int_equal(sdp_direction_reverse(SDP_DIRECTION_SENDONLY), SDP_DIRECTION_RECVONLY);
    assert_int_equal(sdp_direction_reverse(SDP_DIRECTION_RECVONLY), SDP_DIRECTION_SENDONLY);
    assert_int_equal(sdp_direction_reverse(SDP_DIRECTION_INACTIVE), SDP_DIRECTION_INACTIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chromium_offer_is_read_by_field),
        cmocka_unit_test(test_session_values_are_inherited_by_sections),
        cmocka_unit_test(test_simulcast_and_rids_are_read),
        cmocka_unit_test(test_data_channel_and_candidates_are_read),
        cmocka_unit_test(test_every_sample_survives_writing),
        cmocka_unit_test(test_problems_come_with_line_and_sentence),
        cmocka_unit_test(test_limits_hold),
        cmocka_unit_test(test_line_ends_may_be_lf_alone_and_the_last_one_missing),
        cmocka_unit_test(test_description_is_built_and_written),
        cmocka_unit_test(test_words_and_directions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
