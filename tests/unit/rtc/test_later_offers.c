// What a later offer may change, and what it has to leave.
#include "unit/rtc/offers.h"

static void test_later_offer_adds_slots_and_keeps_the_others(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *text = slots_offer(2, "abcd", SIZE_MAX);
    offer_taken(&fixture, text);
    free(text);
    uint32_t ssrc = fixture.result->sections[1].ssrc;
    uint64_t id = fixture.answer->session_id;
    uint64_t version = fixture.answer->session_version;
    char ufrag[RTC_ICE_TEXT_SIZE];
    strcpy(ufrag, fixture.result->local_ufrag);

    text = slots_offer(5, "abcd", SIZE_MAX);
    offer_taken(&fixture, text);
    check_answer(&fixture, text);
    free(text);
    assert_int_equal(fixture.result->section_count, 5);
    assert_int_equal(fixture.result->sections[1].ssrc, ssrc);
    assert_int_equal(fixture.result->sections[4].slot_index, 4);
    assert_true(fixture.answer->session_id == id);
    assert_true(fixture.answer->session_version == version + 1);
    // no restart: the credentials of before, not the fresh ones
    assert_int_equal(fixture.result->ice_generation, 0);
    assert_string_equal(fixture.result->local_ufrag, ufrag);
    teardown(&fixture);
}

static void test_ice_restart_gets_fresh_credentials(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *first = slots_offer(1, "abcd", SIZE_MAX);
    char *second = slots_offer(1, "efgh", SIZE_MAX);
    offer_taken(&fixture, first);
    assert_string_equal(fixture.result->local_ufrag, "ufrag0");
    offer_taken(&fixture, second);
    assert_int_equal(fixture.result->ice_generation, 1);
    assert_string_equal(fixture.result->local_ufrag, "ufrag1");
    assert_string_equal(fixture.result->local_pwd, "passwordpasswordpassword1");
    assert_string_equal(fixture.result->remote_ufrag, "efgh");
    offer_taken(&fixture, second);
    assert_int_equal(fixture.result->ice_generation, 1);
    assert_string_equal(fixture.result->local_ufrag, "ufrag1");
    free(first);
    free(second);
    teardown(&fixture);
}

static void test_stopped_section_may_be_used_again(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *all = slots_offer(3, "abcd", SIZE_MAX);
    offer_taken(&fixture, all);
    uint32_t ssrc = fixture.result->sections[1].ssrc;
    char *stopped = slots_offer(3, "abcd", 1);
    offer_taken(&fixture, stopped);
    assert_true(fixture.result->sections[1].rejected);
    assert_int_equal(fixture.result->sections[1].role, RTC_ROLE_INACTIVE);
    assert_int_equal(fixture.answer->sections.items[1].port, 0);

    // another mid takes the place, and is another slot
    char *again = replaced(slots_offer(3, "abcd", SIZE_MAX), "m1", "n1", true);
    offer_taken(&fixture, again);
    const struct rtc_section *section = &fixture.result->sections[1];
    assert_int_equal(section->role, RTC_ROLE_SLOT);
    assert_string_equal(section->mid, "n1");
    assert_int_not_equal(section->ssrc, ssrc);
    assert_int_equal(section->slot_index, 3);
    // but a place in use does not change hands
    char *swapped = replaced(slots_offer(3, "abcd", SIZE_MAX), "m0", "q0", true);
    assert_int_equal(offer(&fixture, swapped), -EINVAL);
    free(all);
    free(stopped);
    free(again);
    free(swapped);
    teardown(&fixture);
}

static void test_stopping_everything_ends_the_connection(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *live = slots_offer(1, "abcd", SIZE_MAX);
    offer_taken(&fixture, live);
    char *stopped = replaced(slots_offer(1, "abcd", 0), "a=group:BUNDLE\r\n", "", false);
    offer_taken(&fixture, stopped);
    assert_true(fixture.result->sections[0].rejected);
    assert_int_equal(offer(&fixture, live), -EINVAL);
    assert_string_equal(fixture.problem,
                        "The connection ended when all its sections were stopped: open a new one");
    free(live);
    free(stopped);
    teardown(&fixture);
}

static void test_inactive_section_keeps_its_slot(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture);
    char *text = slots_offer(2, "abcd", SIZE_MAX);
    offer_taken(&fixture, text);
    uint32_t ssrc = fixture.result->sections[0].ssrc;
    char *paused = replaced(strdup(text), "a=recvonly", "a=inactive", false);
    offer_taken(&fixture, paused);
    assert_int_equal(fixture.result->sections[0].role, RTC_ROLE_INACTIVE);
    assert_false(fixture.result->sections[0].rejected);
    assert_int_equal(fixture.answer->sections.items[0].direction, SDP_DIRECTION_INACTIVE);
    offer_taken(&fixture, text);
    assert_int_equal(fixture.result->sections[0].role, RTC_ROLE_SLOT);
    assert_int_equal(fixture.result->sections[0].ssrc, ssrc);
    free(text);
    free(paused);
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_later_offer_adds_slots_and_keeps_the_others),
        cmocka_unit_test(test_ice_restart_gets_fresh_credentials),
        cmocka_unit_test(test_stopped_section_may_be_used_again),
        cmocka_unit_test(test_stopping_everything_ends_the_connection),
        cmocka_unit_test(test_inactive_section_keeps_its_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
