#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "proto/sdp/sdp_gathered.h"

#define SESSION "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
#define AUDIO   "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:AAAA\r\na=mid:a\r\n"
#define VIDEO   "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:AAAA\r\na=mid:v\r\n"
#define ONE     "candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host"
#define TWO     "candidate:2 1 udp 1686052607 198.51.100.1 50000 typ srflx"
#define END     "a=end-of-candidates\r\n"

static struct sdp_gathered at_mid(const char *candidate, const char *mid)
{
    return (struct sdp_gathered){ .candidate = bytes_of_text(candidate),
                                  .mid = bytes_of_text(mid),
                                  .section = -1 };
}

static struct sdp_gathered at_section(const char *candidate, int32_t section)
{
    return (struct sdp_gathered){ .candidate = bytes_of_text(candidate), .section = section };
}

static void check_merged(const char *sdp, const struct sdp_gathered *candidates, size_t count,
                         const char *expected)
{
    char *merged = sdp_gathered_into(bytes_of_text(sdp), candidates, count);
    assert_string_equal(merged, expected);
    free(merged);
}

static void test_candidates_go_to_their_sections(void **state unused)
{
    struct sdp_gathered by_mid[] = { at_mid(ONE, "v"), at_mid(TWO, "a") };
    check_merged(SESSION AUDIO VIDEO, by_mid, 2,
                 SESSION AUDIO "a=" TWO "\r\n" END VIDEO "a=" ONE "\r\n" END);
    struct sdp_gathered by_number[] = { at_section(ONE, 1), at_section(TWO, 1) };
    check_merged(SESSION AUDIO VIDEO, by_number, 2,
                 SESSION AUDIO VIDEO "a=" ONE "\r\na=" TWO "\r\n" END);
    // in a bundle they need not say where
    struct sdp_gathered anywhere[] = { at_section(ONE, -1) };
    check_merged(SESSION AUDIO VIDEO, anywhere, 1, SESSION AUDIO "a=" ONE "\r\n" END VIDEO);
    check_merged(AUDIO, anywhere, 1, AUDIO "a=" ONE "\r\n" END);
}

static void test_a_description_without_candidates_stays_as_it_is(void **state unused)
{
    check_merged(SESSION AUDIO VIDEO, NULL, 0, SESSION AUDIO VIDEO);
    check_merged("", NULL, 0, "");
    check_merged("no description", NULL, 0, "no description");
    struct sdp_gathered nowhere[] = { at_mid(ONE, "x"), at_section(TWO, 7) };
    check_merged(SESSION AUDIO, nowhere, 2, SESSION AUDIO);
    check_merged(SESSION, nowhere, 2, SESSION);
}

static void test_what_is_there_is_not_repeated(void **state unused)
{
    struct sdp_gathered twice[] = { at_section(ONE, 0), at_section(TWO, 0), at_section(TWO, 0) };
    check_merged(SESSION AUDIO "a=" ONE "\r\n", twice, 3,
                 SESSION AUDIO "a=" ONE "\r\na=" TWO "\r\n" END);
    check_merged(SESSION AUDIO "a=" ONE "\r\n" END, twice, 1, SESSION AUDIO "a=" ONE "\r\n" END);
    check_merged(SESSION AUDIO "a=" ONE "\r\n", NULL, 0, SESSION AUDIO "a=" ONE "\r\n" END);
}

static void test_candidates_of_another_generation_are_left_out(void **state unused)
{
    struct sdp_gathered old = at_section(ONE, 0), current = at_section(TWO, 0);
    old.ice_ufrag = bytes_of_text("OLD1");
    current.ice_ufrag = bytes_of_text("AAAA");
    struct sdp_gathered both[] = { old, current };
    check_merged(SESSION AUDIO, both, 2, SESSION AUDIO "a=" TWO "\r\n" END);
    // the session's ufrag holds for sections without one
    check_merged(SESSION "a=ice-ufrag:AAAA\r\nm=audio 9 RTP/AVP 0\r\n", both, 2,
                 SESSION "a=ice-ufrag:AAAA\r\nm=audio 9 RTP/AVP 0\r\na=" TWO "\r\n" END);
    assert_true(text_equal(sdp_gathered_ufrag(bytes_of_text(SESSION AUDIO)), "AAAA"));
    assert_null(sdp_gathered_ufrag(bytes_of_text(SESSION)).data);
}

static void test_nothing_but_candidates_gets_in(void **state unused)
{
    struct sdp_gathered bad[] = {
        at_section("candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=fingerprint:sha-256 AA", 0),
        at_section("fingerprint:sha-256 AA", 0),
        at_section("", 0),
        at_section("candidate:1\x01", 0),
    };
    check_merged(SESSION AUDIO, bad, 4, SESSION AUDIO);
}

static void test_sections_of_one_name_share_no_candidate(void **state unused)
{
    struct sdp_gathered one[] = { at_mid(ONE, "a") };
    check_merged(AUDIO AUDIO AUDIO, one, 1, AUDIO "a=" ONE "\r\n" END AUDIO AUDIO);
}

static void test_a_section_without_mid_is_found_by_number(void **state unused)
{
    struct sdp_gathered one[] = { at_mid(ONE, "0") };
    one[0].section = 1;
    check_merged("v=0\r\nm=audio 9 RTP/AVP 0\r\nm=video 9 RTP/AVP 1\r\n", one, 1,
                 "v=0\r\nm=audio 9 RTP/AVP 0\r\nm=video 9 RTP/AVP 1\r\na=" ONE "\r\n" END);
}

static void test_line_ends_are_mended_where_something_follows(void **state unused)
{
    struct sdp_gathered one[] = { at_section(ONE, 0) };
    check_merged("v=0\nm=audio 9 RTP/AVP 0", one, 1,
                 "v=0\nm=audio 9 RTP/AVP 0\r\na=" ONE "\r\n" END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_candidates_go_to_their_sections),
        cmocka_unit_test(test_a_description_without_candidates_stays_as_it_is),
        cmocka_unit_test(test_what_is_there_is_not_repeated),
        cmocka_unit_test(test_candidates_of_another_generation_are_left_out),
        cmocka_unit_test(test_nothing_but_candidates_gets_in),
        cmocka_unit_test(test_sections_of_one_name_share_no_candidate),
        cmocka_unit_test(test_a_section_without_mid_is_found_by_number),
        cmocka_unit_test(test_line_ends_are_mended_where_something_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
