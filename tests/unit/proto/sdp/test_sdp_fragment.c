#include "support/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "proto/sdp/sdp_fragment.h"

#define PWD "abcdefghijklmnopqrstuv"

static int parse(const char *text, struct sdp_fragment *fragment)
{
    return sdp_fragment_parse(bytes_of_text(text), false, fragment);
}

static void test_a_trickle_fragment_is_counted(void **state unused)
{
    struct sdp_fragment fragment;
    assert_int_equal(parse("a=ice-ufrag:EsAw\r\na=ice-pwd:" PWD "\r\n"
                           "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
                           "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
                           "a=candidate:2 1 udp 1686052607 198.51.100.1 61764 typ srflx\r\n"
                           "a=end-of-candidates\r\n",
                           &fragment),
                     0);
    assert_true(text_equal(fragment.ice_ufrag, "EsAw"));
    assert_true(text_equal(fragment.ice_pwd, PWD));
    assert_int_equal(fragment.candidate_count, 2);
    assert_true(fragment.end_of_candidates);
}

static void test_a_fragment_without_credentials_is_one(void **state unused)
{
    struct sdp_fragment fragment;
    assert_int_equal(parse("m=audio 9 RTP/AVP 0\na=mid:0\na=end-of-candidates\n", &fragment), 0);
    assert_null(fragment.ice_ufrag.data);
    assert_int_equal(parse("", &fragment), 0);
}

static void test_half_or_bad_credentials_are_refused(void **state unused)
{
    struct sdp_fragment fragment;
    assert_int_equal(parse("a=ice-ufrag:EsAw\r\n", &fragment), -EINVAL);
    assert_int_equal(parse("a=ice-pwd:" PWD "\r\n", &fragment), -EINVAL);
    assert_int_equal(parse("a=ice-ufrag:abc\r\na=ice-pwd:" PWD "\r\n", &fragment), -EINVAL);
    assert_int_equal(parse("a=ice-ufrag:a\tbc\r\na=ice-pwd:" PWD "\r\n", &fragment), -EINVAL);
    assert_int_equal(parse("a=ice-ufrag:abcd\r\na=ice-pwd:short\r\n", &fragment), -EINVAL);
}

static void test_what_is_no_description_is_refused(void **state unused)
{
    struct sdp_fragment fragment;
    assert_int_equal(parse("{\"candidate\":1}", &fragment), -EINVAL);
    assert_int_equal(parse("A=mid:0\r\n", &fragment), -EINVAL);
    char *large = malloc(SDP_FRAGMENT_SIZE_MAX + 2);
    memset(large, '\n', SDP_FRAGMENT_SIZE_MAX + 1);
    assert_int_equal(
        sdp_fragment_parse(bytes_of(large, SDP_FRAGMENT_SIZE_MAX + 1), false, &fragment), -E2BIG);
    free(large);
}

static void test_a_restart_changes_credentials_and_drops_candidates(void **state unused)
{
    struct sdp_fragment fragment;
    assert_int_equal(parse("a=ice-ufrag:longerthanbefore\r\na=ice-pwd:" PWD "\r\n", &fragment), 0);
    char *offer = sdp_fragment_restart_offer(
        bytes_of_text("v=0\nm=audio 9 X 0\na=ice-ufrag:old1\na=ice-pwd:old\n"
                      "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\na=mid:0\n"
                      "m=video 9 X 0\na=ice-ufrag:old1\na=ice-pwd:old\na=mid:1"),
        &fragment);
    assert_string_equal(offer, "v=0\r\nm=audio 9 X 0\r\na=ice-ufrag:longerthanbefore\r\n"
                               "a=ice-pwd:" PWD "\r\na=mid:0\r\nm=video 9 X 0\r\n"
                               "a=ice-ufrag:longerthanbefore\r\na=ice-pwd:" PWD "\r\na=mid:1\r\n");
    free(offer);
}

static void test_our_fragment_has_the_transport_of_the_answer_only(void **state unused)
{
    char *text = sdp_fragment_of_answer(bytes_of_text(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\na=ice-lite\r\na=group:BUNDLE 0 1\r\n"
        "m=audio 3478 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"
        "a=ice-ufrag:abcd\r\na=ice-pwd:" PWD "\r\na=candidate:1 1 udp 1 ::1 1 typ host\r\n"
        "a=end-of-candidates\r\nm=video 9 X 0\r\na=mid:1\r\na=ice-ufrag:abcd\r\n"));
    assert_string_equal(text, "a=ice-lite\r\na=group:BUNDLE 0 1\r\n"
                              "m=audio 3478 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
                              "a=ice-ufrag:abcd\r\na=ice-pwd:" PWD "\r\n"
                              "a=candidate:1 1 udp 1 ::1 1 typ host\r\na=end-of-candidates\r\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_trickle_fragment_is_counted),
        cmocka_unit_test(test_a_fragment_without_credentials_is_one),
        cmocka_unit_test(test_half_or_bad_credentials_are_refused),
        cmocka_unit_test(test_what_is_no_description_is_refused),
        cmocka_unit_test(test_a_restart_changes_credentials_and_drops_candidates),
        cmocka_unit_test(test_our_fragment_has_the_transport_of_the_answer_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
