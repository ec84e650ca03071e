// The section of data channels in offers: when it is taken, and what the answer says.
#include "unit/rtc/offers.h"

#define DATA_SECTION                                                                               \
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:d\r\n"

/** An offer of data channels alone; `lines` are more attributes of its section. */
static char *data_offer(const char *section, const char *lines)
{
    char *text = calloc(1, SDP_SIZE_MAX);
    assert_non_null(text);
    struct text_builder builder = text_builder_of(text, SDP_SIZE_MAX);
    text_append_format(&builder,
                       "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE d\r\n"
                       "a=fingerprint:" FINGERPRINT "\r\na=setup:actpass\r\na=ice-ufrag:abcd\r\n"
                       "a=ice-pwd:0123456789012345678901\r\n%s%s",
                       section, lines);
    return text;
}

static void data_offer_taken(struct fixture *fixture, const char *section, const char *lines)
{
    char *text = data_offer(section, lines);
    offer_taken(fixture, text);
    free(text);
}

static int data_offer_result(struct fixture *fixture, const char *section, const char *lines)
{
    char *text = data_offer(section, lines);
    int result = offer(fixture, text);
    free(text);
    return result;
}

static void test_data_channels_of_browsers_join_the_bundle(void **state)
{
    (void)state;
    static const char *const names[] = { "chromium-data-channel", "firefox-data-channel" };
    static const uint32_t sizes[] = { 262144, 1073741823 };
    for (size_t i = 0; i < array_size(names); i++) {
        struct fixture fixture;
        setup(&fixture);
        char *text = sample(names[i]);
        offer_taken(&fixture, text);
        check_answer(&fixture, text);
        const struct rtc_section *data = rtc_negotiated_data(fixture.result);
        assert_non_null(data);
        assert_int_equal(data->kind, RTC_KIND_DATA);
        assert_int_equal(data->role, RTC_ROLE_INACTIVE);
        assert_false(data->rejected);
        assert_int_equal(data->sctp_port, 5000);
        assert_int_equal(data->message_size_max, sizes[i]);
        const struct sdp_section *answered =
            &fixture.answer->sections.items[data - fixture.result->sections];
        assert_int_equal(answered->port, 9);
        assert_int_equal(answered->formats.count, 1);
        assert_true(text_equal(answered->formats.items[0], "webrtc-datachannel"));
        assert_int_equal(answered->sctp_port, 5000);
        assert_int_equal(answered->max_message_size, RTC_DATA_MESSAGE_MAX);
        assert_int_equal(answered->direction, SDP_DIRECTION_NONE);
        free(text);
        teardown(&fixture);
    }
}

static void test_data_alone_carries_the_transport(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    data_offer_taken(&fixture, DATA_SECTION, "a=sctp-port:5001\r\na=max-message-size:0\r\n");
    const struct rtc_section *data = rtc_negotiated_data(fixture.result);
    assert_non_null(data);
    assert_int_equal(data->sctp_port, 5001);
    assert_int_equal(data->message_size_max, UINT32_MAX); // 0 stands for any size
    assert_int_equal(fixture.answer->sections.items[0].candidates.count, 1);
    assert_true(text_equal(fixture.answer->bundles.items[0], "d"));
    assert_true(text_equal(fixture.answer->sections.items[0].ice_ufrag, "ufrag0"));
    teardown(&fixture);
}

/** RFC 8841: port 5000 and 64 KB hold when nothing is said. */
static void test_what_is_not_said_has_the_usual_values(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    data_offer_taken(&fixture, DATA_SECTION, "");
    assert_int_equal(rtc_negotiated_data(fixture.result)->sctp_port, 5000);
    assert_int_equal(rtc_negotiated_data(fixture.result)->message_size_max, 65536);
    teardown(&fixture);
}

static void test_other_application_sections_are_rejected(void **state)
{
    (void)state;
    static const char *const sections[] = {
        "m=application 9 DTLS/SCTP 5000\r\na=mid:d\r\n",
        "m=application 9 UDP/DTLS/SCTP something-else\r\na=mid:d\r\n",
        "m=application 9 UDP/BFCP webrtc-datachannel\r\na=mid:d\r\n",
        DATA_SECTION "a=sctp-port:0\r\n",
    };
    for (size_t i = 0; i < array_size(sections); i++) {
        struct fixture fixture;
        setup(&fixture);
        assert_int_equal(data_offer_result(&fixture, sections[i], ""), -EINVAL);
        assert_non_null(strstr(fixture.problem, "no section that the server takes"));
        teardown(&fixture);
    }
}

static void test_malformed_values_refuse_the_offer(void **state)
{
    (void)state;
    static const char *const lines[] = { "a=sctp-port:65536\r\n", "a=sctp-port:\r\n",
                                         "a=sctp-port:50OO\r\n", "a=max-message-size:-1\r\n",
                                         "a=max-message-size:many\r\n" };
    for (size_t i = 0; i < array_size(lines); i++) {
        struct fixture fixture;
        setup(&fixture);
        assert_int_equal(data_offer_result(&fixture, DATA_SECTION, lines[i]), -EINVAL);
        assert_non_null(fixture.problem);
        teardown(&fixture);
    }
}

static void test_a_connection_has_one_section_of_data(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *text = data_offer(DATA_SECTION, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
                                          "a=mid:e\r\na=sctp-port:5002\r\n");
    text = replaced(text, "BUNDLE d", "BUNDLE d e", false);
    offer_taken(&fixture, text);
    assert_ptr_equal(rtc_negotiated_data(fixture.result), &fixture.result->sections[0]);
    assert_true(fixture.result->sections[1].rejected);
    assert_int_equal(fixture.answer->sections.items[1].port, 0);
    free(text);
    teardown(&fixture);
}

static void test_a_later_offer_adds_data_and_ends_it(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *media = slots_offer(1, "abcd", SIZE_MAX);
    offer_taken(&fixture, media);
    assert_null(rtc_negotiated_data(fixture.result));
    char *both = calloc(1, SDP_SIZE_MAX);
    assert_non_null(both);
    strcpy(both, media);
    both = replaced(strcat(both, DATA_SECTION "a=sctp-port:5000\r\n"), "BUNDLE m0", "BUNDLE m0 d",
                    false);
    offer_taken(&fixture, both);
    assert_non_null(rtc_negotiated_data(fixture.result));
    assert_int_equal(fixture.result->ice_generation, 0);

    char *moved = replaced(strdup(both), "sctp-port:5000", "sctp-port:5001", false);
    assert_int_equal(offer(&fixture, moved), -EINVAL);
    assert_non_null(strstr(fixture.problem, "sctp-port"));
    assert_int_equal(rtc_negotiated_data(fixture.result)->sctp_port, 5000);

    char *ended = replaced(strdup(both), "m=application 9", "m=application 0", false);
    ended = replaced(ended, "BUNDLE m0 d", "BUNDLE m0", false);
    offer_taken(&fixture, ended);
    assert_null(rtc_negotiated_data(fixture.result));
    assert_int_equal(fixture.answer->sections.items[1].port, 0);
    assert_false(fixture.result->sections[0].rejected);
    // and may come back, then on another port if it likes
    offer_taken(&fixture, moved);
    assert_int_equal(rtc_negotiated_data(fixture.result)->sctp_port, 5001);
    free(media);
    free(both);
    free(moved);
    free(ended);
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_channels_of_browsers_join_the_bundle),
        cmocka_unit_test(test_data_alone_carries_the_transport),
        cmocka_unit_test(test_what_is_not_said_has_the_usual_values),
        cmocka_unit_test(test_other_application_sections_are_rejected),
        cmocka_unit_test(test_malformed_values_refuse_the_offer),
        cmocka_unit_test(test_a_connection_has_one_section_of_data),
        cmocka_unit_test(test_a_later_offer_adds_data_and_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
