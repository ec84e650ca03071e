// The two sides of a call: what is offered to one because of the other, and how both fit together.
#include "room/pairing.h"

#include <string.h>

#include "unit/rtc/offers.h"

enum { CALLER, CALLEE };

/** The server's pairing, and two clients that answer as browsers do. */
struct call {
    struct fixture sides[2]; /**< the server's negotiations */
    struct fixture clients[2];
    struct pairing pairing;
    const char *problem;
    char *said; /**< what the server said last */
};

static void call_setup(struct call *call)
{
    *call = (struct call){ 0 };
    for (int i = 0; i < 2; i++) {
        setup(&call->sides[i]);
        setup(&call->clients[i]);
        call->sides[i].two_way = call->clients[i].two_way = true;
    }
    pairing_init(&call->pairing, call->sides[CALLER].negotiation, call->sides[CALLEE].negotiation);
}

static void call_teardown(struct call *call)
{
    for (int i = 0; i < 2; i++) {
        teardown(&call->sides[i]);
        teardown(&call->clients[i]);
    }
    free(call->said);
}

static struct rtc_negotiation_local server(struct call *call, int side)
{
    return local_of(&call->sides[side]);
}

static void say(struct call *call, char *text)
{
    assert_non_null(text);
    free(call->said);
    call->said = text;
}

static int begin(struct call *call, const char *offer)
{
    struct rtc_negotiation_local local = server(call, CALLEE);
    char *text = NULL;
    int result = pairing_begin(&call->pairing, &local, &call->sides[0].random, bytes_of_text(offer),
                               &text, &call->problem);
    if (result == 0)
        say(call, text);
    return result;
}

/** What the side's client answers to what the server said last; heap. */
static char *client_answer(struct call *call, int side)
{
    char *heard = replaced(strdup(call->said), "a=ice-lite\r\n", "", false);
    offer_taken(&call->clients[side], heard);
    free(heard);
    char *answer = replaced(strdup(call->clients[side].answer_text), "a=ice-lite\r\n", "", false);
    return replaced(answer, "a=setup:passive", "a=setup:active", true);
}

/** Takes over the text. */
static int accept_answer(struct call *call, int side, char *answer)
{
    struct rtc_negotiation_local local = server(call, side);
    int result = pairing_accept(&call->pairing, side, &local, &call->sides[side].random,
                                bytes_of_text(answer), &call->problem);
    free(answer);
    return result;
}

static int offer_of(struct call *call, int side, const char *offer)
{
    struct rtc_negotiation_local local = server(call, side);
    char *text = NULL;
    int result = pairing_answer(&call->pairing, side, &local, &call->sides[side].random,
                                bytes_of_text(offer), &text, &call->problem);
    if (result == 0)
        say(call, text);
    return result;
}

/** The sections that a side's client knows of. */
static const char *client_heard(const struct call *call, int side)
{
    return call->clients[side].answer_text;
}

static void offer_again(struct call *call, int side)
{
    assert_true(pairing_wants_offer(&call->pairing, side));
    struct rtc_negotiation_local local = server(call, side);
    say(call, pairing_offer(&call->pairing, side, &local, &call->sides[side].random));
    assert_false(pairing_wants_offer(&call->pairing, side));
}

static const struct rtc_section *section_of(const struct call *call, int side, size_t index)
{
    const struct rtc_negotiated *result = rtc_negotiation_result(call->sides[side].negotiation);
    assert_non_null(result);
    assert_true(index < result->section_count);
    return &result->sections[index];
}

static void check_settled(const struct call *call)
{
    assert_false(pairing_wants_offer(&call->pairing, CALLER));
    assert_false(pairing_wants_offer(&call->pairing, CALLEE));
}

/** Both agree on what the sample offers. */
static void establish(struct call *call, const char *offer)
{
    assert_int_equal(begin(call, offer), 0);
    assert_int_equal(accept_answer(call, CALLEE, client_answer(call, CALLEE)), 0);
    assert_int_equal(offer_of(call, CALLER, offer), 0);
    check_settled(call);
}

static char *audio_alone(void)
{
    char *audio = sample("chromium-addtrack-sendrecv");
    *strstr(audio, "m=video") = '\0';
    return replaced(audio, "a=group:BUNDLE 0 1", "a=group:BUNDLE 0", false);
}

static void test_a_call_is_offered_accepted_and_answered(void **state)
{
    (void)state;
    static const char *const names[] = { "chromium-addtrack-sendrecv",
                                         "firefox-addtrack-sendrecv" };
    for (size_t n = 0; n < array_size(names); n++) {
        struct call call;
        call_setup(&call);
        char *offer = sample(names[n]);
        establish(&call, offer);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(pairing_partner(&call.pairing, CALLER, i), (int)i);
            assert_int_equal(pairing_partner(&call.pairing, CALLEE, i), (int)i);
            for (int side = 0; side < 2; side++)
                assert_int_equal(section_of(&call, side, i)->role, RTC_ROLE_BOTH);
        }
        assert_int_equal(pairing_partner(&call.pairing, CALLER, 2), -ENOENT);
        assert_false(pairing_holds(&call.pairing, CALLER));
        assert_false(pairing_holds(&call.pairing, CALLEE));
        free(offer);
        call_teardown(&call);
    }
}

static void test_data_channels_are_offered_to_the_other_side(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *offer = sample("chromium-data-channel");
    establish(&call, offer);
    for (int side = 0; side < 2; side++) {
        const struct rtc_negotiated *agreed = rtc_negotiation_result(call.sides[side].negotiation);
        assert_non_null(rtc_negotiated_data(agreed));
    }
    assert_non_null(strstr(client_heard(&call, CALLEE), "m=application 9"));
    free(offer);
    call_teardown(&call);
}

static void test_who_takes_no_data_channels_leaves_the_others_as_they_are(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *offer = sample("chromium-data-channel");
    assert_int_equal(begin(&call, offer), 0);
    char *answer = client_answer(&call, CALLEE);
    answer = replaced(answer, "m=application 9", "m=application 0", false);
    assert_int_equal(accept_answer(&call, CALLEE, answer), 0);
    assert_int_equal(offer_of(&call, CALLER, offer), 0);
    assert_non_null(rtc_negotiated_data(rtc_negotiation_result(call.sides[CALLER].negotiation)));
    check_settled(&call);
    free(offer);
    call_teardown(&call);
}

static void test_a_call_may_be_of_data_channels_alone(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *offer = sample("chromium-data-channel");
    char *media = strstr(offer, "m=audio"), *data = strstr(offer, "m=application");
    memmove(media, data, strlen(data) + 1);
    offer = replaced(offer, "a=group:BUNDLE 0 1 2", "a=group:BUNDLE 2", false);
    establish(&call, offer);
    assert_int_equal(pairing_partner(&call.pairing, CALLEE, 0), 0);
    assert_false(pairing_holds(&call.pairing, CALLER));
    free(offer);
    call_teardown(&call);
}

static void test_the_caller_is_answered_with_what_the_callee_takes(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *offer = sample("chromium-addtrack-sendrecv");
    assert_int_equal(begin(&call, offer), 0);
    // a callee without camera, that knows VP8 alone
    struct rtc_section_limit limits[] = { { .role = RTC_ROLE_BOTH }, { .role = RTC_ROLE_SLOT } };
    call.clients[CALLEE].limits = limits;
    call.clients[CALLEE].limit_count = 2;
    char *answer = client_answer(&call, CALLEE);
    char *direction = strstr(strstr(answer, "m=video"), "a=sendonly");
    assert_non_null(direction);
    memcpy(direction, "a=recvonly", 10);
    assert_int_equal(accept_answer(&call, CALLEE, answer), 0);
    assert_int_equal(section_of(&call, CALLEE, 1)->role, RTC_ROLE_SLOT);
    assert_int_equal(offer_of(&call, CALLER, offer), 0);
    assert_int_equal(section_of(&call, CALLER, 1)->role, RTC_ROLE_PUBLISH);
    assert_int_equal(section_of(&call, CALLER, 1)->asked, RTC_ROLE_BOTH);
    check_settled(&call);

    // with its camera on, the caller hears of it by an offer of the server
    call.clients[CALLEE].limit_count = 0;
    char *later = replaced(strdup(offer), "a=ice-ufrag:ga0W", "a=ice-ufrag:ufrag0", true);
    later = replaced(later, "a=ice-pwd:UgKkx1dHxlGclCqZMxc2Fi7V",
                     "a=ice-pwd:passwordpasswordpassword0", true);
    char *fingerprint = strstr(later, "a=fingerprint:");
    char old[128] = { 0 };
    memcpy(old, fingerprint, strcspn(fingerprint, "\r\n"));
    later = replaced(later, old, "a=fingerprint:" FINGERPRINT, true);
    assert_int_equal(offer_of(&call, CALLEE, later), 0);
    assert_int_equal(section_of(&call, CALLEE, 1)->role, RTC_ROLE_BOTH);
    free(later);
    assert_false(pairing_wants_offer(&call.pairing, CALLEE));
    offer_again(&call, CALLER);
    assert_non_null(strstr(strstr(call.said, "m=video"), "a=sendrecv"));
    free(offer);
    call_teardown(&call);
}

static void test_a_callee_that_shares_no_codec_ends_the_call(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *offer = audio_alone();
    assert_int_equal(begin(&call, offer), 0);
    char *answer = client_answer(&call, CALLEE);
    answer = replaced(answer, "opus/48000/2", "EXTRA/48000/2", true);
    assert_int_equal(accept_answer(&call, CALLEE, answer), -EINVAL);
    assert_string_equal(call.problem, "The answer takes none of what was offered");
    free(offer);
    call_teardown(&call);
}

static void test_hold_is_seen_and_forgotten(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *offer = sample("chromium-addtrack-sendrecv");
    establish(&call, offer);
    char *held = replaced(strdup(offer), "a=sendrecv", "a=sendonly", true);
    assert_int_equal(offer_of(&call, CALLER, held), 0);
    assert_true(pairing_holds(&call.pairing, CALLER));
    assert_false(pairing_holds(&call.pairing, CALLEE));
    assert_false(rtc_section_is_slot(section_of(&call, CALLER, 0)));
    // the callee need not hear of it in an offer: it is not sent to, or does not send, that is all
    check_settled(&call);
    assert_int_equal(offer_of(&call, CALLER, offer), 0);
    assert_false(pairing_holds(&call.pairing, CALLER));
    assert_int_equal(section_of(&call, CALLER, 0)->role, RTC_ROLE_BOTH);
    check_settled(&call);
    free(held);
    free(offer);
    call_teardown(&call);
}

static void test_a_picture_that_one_side_adds_is_offered_to_the_other(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *audio = audio_alone();
    establish(&call, audio);
    char *both = sample("chromium-addtrack-sendrecv");
    assert_int_equal(offer_of(&call, CALLER, both), 0);
    assert_int_equal(section_of(&call, CALLER, 1)->role, RTC_ROLE_BOTH);
    assert_int_equal(pairing_partner(&call.pairing, CALLER, 1), -ENOENT);
    assert_false(pairing_wants_offer(&call.pairing, CALLER));
    offer_again(&call, CALLEE);
    assert_int_equal(accept_answer(&call, CALLEE, client_answer(&call, CALLEE)), 0);
    assert_int_equal(pairing_partner(&call.pairing, CALLER, 1), 1);
    assert_int_equal(pairing_partner(&call.pairing, CALLEE, 1), 1);
    assert_int_equal(section_of(&call, CALLEE, 1)->role, RTC_ROLE_BOTH);
    check_settled(&call);
    free(both);
    free(audio);
    call_teardown(&call);
}

static void test_a_picture_that_the_other_side_refuses_is_not_offered_twice(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *audio = audio_alone();
    establish(&call, audio);
    char *both = sample("chromium-addtrack-sendrecv");
    assert_int_equal(offer_of(&call, CALLER, both), 0);
    offer_again(&call, CALLEE);
    struct rtc_section_limit limits[] = { { .role = RTC_ROLE_BOTH }, { .rejected = true } };
    call.clients[CALLEE].limits = limits;
    call.clients[CALLEE].limit_count = 2;
    assert_int_equal(accept_answer(&call, CALLEE, client_answer(&call, CALLEE)), 0);
    assert_true(section_of(&call, CALLEE, 1)->rejected);
    check_settled(&call);
    free(both);
    free(audio);
    call_teardown(&call);
}

static void test_a_place_that_was_given_up_is_taken_anew(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *both = sample("chromium-addtrack-sendrecv");
    assert_int_equal(begin(&call, both), 0);
    struct rtc_section_limit limits[] = { { .role = RTC_ROLE_BOTH }, { .rejected = true } };
    call.clients[CALLEE].limits = limits;
    call.clients[CALLEE].limit_count = 2;
    assert_int_equal(accept_answer(&call, CALLEE, client_answer(&call, CALLEE)), 0);
    assert_int_equal(offer_of(&call, CALLER, both), 0);
    assert_true(section_of(&call, CALLER, 1)->rejected);
    check_settled(&call);
    // the caller gives the place to another picture, which the callee is offered as a new one
    char *again = replaced(strdup(both), "a=mid:1", "a=mid:again", false);
    again = replaced(again, "a=group:BUNDLE 0 1", "a=group:BUNDLE 0 again", false);
    assert_int_equal(offer_of(&call, CALLER, again), 0);
    assert_false(section_of(&call, CALLER, 1)->rejected);
    offer_again(&call, CALLEE);
    assert_int_equal(accept_answer(&call, CALLEE, client_answer(&call, CALLEE)), 0);
    assert_int_equal(section_of(&call, CALLEE, 2)->role, RTC_ROLE_BOTH);
    assert_int_equal(pairing_partner(&call.pairing, CALLER, 1), 2);
    assert_int_equal(pairing_partner(&call.pairing, CALLEE, 1), -ENOENT);
    check_settled(&call);
    free(again);
    free(both);
    call_teardown(&call);
}

static void test_what_a_side_without_later_offers_cannot_take_is_refused(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    call.pairing.fixed[CALLEE] = true;
    char *audio = audio_alone(), *both = sample("chromium-addtrack-sendrecv");
    char *heard = replaced(strdup(audio), "a=sendrecv", "a=recvonly", true);
    establish(&call, heard);
    // neither another section nor another direction, but all the rest
    assert_int_equal(offer_of(&call, CALLER, both), 0);
    assert_int_equal(section_of(&call, CALLER, 0)->role, RTC_ROLE_SLOT);
    assert_true(section_of(&call, CALLER, 1)->rejected);
    check_settled(&call);
    free(heard);
    free(both);
    free(audio);
    call_teardown(&call);
}

static void test_pictures_that_both_add_at_once_find_each_other(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *audio = audio_alone();
    establish(&call, audio);
    char *both = sample("chromium-addtrack-sendrecv");
    assert_int_equal(offer_of(&call, CALLER, both), 0);
    offer_again(&call, CALLEE);
    // the callee's own offer takes the place of the server's
    char *theirs = replaced(strdup(both), "a=ice-ufrag:ga0W", "a=ice-ufrag:ufrag0", true);
    theirs = replaced(theirs, "a=ice-pwd:UgKkx1dHxlGclCqZMxc2Fi7V",
                      "a=ice-pwd:passwordpasswordpassword0", true);
    char *fingerprint = strstr(theirs, "a=fingerprint:");
    char old[128] = { 0 };
    memcpy(old, fingerprint, strcspn(fingerprint, "\r\n"));
    theirs = replaced(theirs, old, "a=fingerprint:" FINGERPRINT, true);
    assert_int_equal(offer_of(&call, CALLEE, theirs), 0);
    assert_int_equal(pairing_partner(&call.pairing, CALLEE, 1), 1);
    assert_int_equal(pairing_partner(&call.pairing, CALLER, 1), 1);
    check_settled(&call);
    free(theirs);
    free(both);
    free(audio);
    call_teardown(&call);
}

static void test_a_call_has_so_many_sections_at_most(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *many = slots_offer(PAIRING_SECTIONS_MAX + 1, "abcd", SIZE_MAX);
    assert_int_equal(begin(&call, many), -EINVAL);
    assert_string_equal(call.problem, "A call may have at most 32 sections");
    free(many);
    call_teardown(&call);
}

static void test_a_later_offer_with_more_sections_changes_nothing(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *one = slots_offer(1, "abcd", SIZE_MAX);
    establish(&call, one);
    char *more = slots_offer(PAIRING_SECTIONS_MAX + 8, "abcd", SIZE_MAX);
    assert_int_equal(offer_of(&call, CALLER, more), -EINVAL);
    assert_string_equal(call.problem, "A call may have at most 32 sections");
    assert_int_equal(rtc_negotiation_result(call.sides[CALLER].negotiation)->section_count, 1);
    check_settled(&call);

    // as many as may be are taken, and offered to the other side
    char *most = slots_offer(PAIRING_SECTIONS_MAX, "abcd", SIZE_MAX);
    assert_int_equal(offer_of(&call, CALLER, most), 0);
    offer_again(&call, CALLEE);
    // what is refused meanwhile leaves that offer as it is
    char *said = strdup(call.said);
    assert_int_equal(offer_of(&call, CALLER, more), -EINVAL);
    assert_int_equal(offer_of(&call, CALLEE, more), -EINVAL);
    say(&call, said);
    assert_int_equal(accept_answer(&call, CALLEE, client_answer(&call, CALLEE)), 0);
    assert_int_equal(pairing_partner(&call.pairing, CALLER, PAIRING_SECTIONS_MAX - 1),
                     PAIRING_SECTIONS_MAX - 1);
    check_settled(&call);
    free(most);
    free(more);
    free(one);
    call_teardown(&call);
}

static void test_a_side_may_stop_everything_in_an_answer(void **state)
{
    (void)state;
    struct call call;
    call_setup(&call);
    char *audio = audio_alone();
    establish(&call, audio);
    char *both = sample("chromium-addtrack-sendrecv");
    assert_int_equal(offer_of(&call, CALLER, both), 0);
    offer_again(&call, CALLEE);
    char *answer = client_answer(&call, CALLEE);
    answer = replaced(answer, "m=audio 9", "m=audio 0", true);
    answer = replaced(answer, "m=video 9", "m=video 0", true);
    assert_int_equal(accept_answer(&call, CALLEE, answer), 0);
    assert_true(section_of(&call, CALLEE, 0)->rejected);
    assert_true(section_of(&call, CALLEE, 1)->rejected);
    assert_false(rtc_negotiation_offering(call.sides[CALLEE].negotiation));
    check_settled(&call);

    // the caller hears it in its next answer; what it adds is not offered where nothing is taken
    char *third = strdup(strstr(both, "m=video"));
    third = replaced(third, "a=mid:1", "a=mid:2", true);
    char *more = replaced(strdup(both), "a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 2", false);
    more = realloc(more, strlen(more) + strlen(third) + 1);
    assert_non_null(more);
    strcat(more, third);
    assert_int_equal(offer_of(&call, CALLER, more), 0);
    assert_true(section_of(&call, CALLER, 0)->rejected);
    assert_false(section_of(&call, CALLER, 2)->rejected);
    check_settled(&call);
    free(more);
    free(third);
    free(both);
    free(audio);
    call_teardown(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_is_offered_accepted_and_answered),
        cmocka_unit_test(test_data_channels_are_offered_to_the_other_side),
        cmocka_unit_test(test_who_takes_no_data_channels_leaves_the_others_as_they_are),
        cmocka_unit_test(test_a_call_may_be_of_data_channels_alone),
        cmocka_unit_test(test_the_caller_is_answered_with_what_the_callee_takes),
        cmocka_unit_test(test_a_callee_that_shares_no_codec_ends_the_call),
        cmocka_unit_test(test_hold_is_seen_and_forgotten),
        cmocka_unit_test(test_a_picture_that_one_side_adds_is_offered_to_the_other),
        cmocka_unit_test(test_a_picture_that_the_other_side_refuses_is_not_offered_twice),
        cmocka_unit_test(test_a_place_that_was_given_up_is_taken_anew),
        cmocka_unit_test(test_what_a_side_without_later_offers_cannot_take_is_refused),
        cmocka_unit_test(test_pictures_that_both_add_at_once_find_each_other),
        cmocka_unit_test(test_a_call_has_so_many_sections_at_most),
        cmocka_unit_test(test_a_later_offer_with_more_sections_changes_nothing),
        cmocka_unit_test(test_a_side_may_stop_everything_in_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
