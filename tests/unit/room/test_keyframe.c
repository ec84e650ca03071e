// How often a publisher is asked for key frames, and a subscriber may ask.
#include "room/keyframe.h"
#include "support/check.h"

static void test_a_wish_is_sent_at_once_and_repeated_until_it_is_met(void **state)
{
    (void)state;
    struct keyframe_request request = { 0 };
    assert_false(keyframe_due(&request, time_from_s(1)));
    keyframe_want(&request);
    assert_true(keyframe_due(&request, time_from_s(1)));
    assert_false(keyframe_due(&request, time_from_s(1)));
    keyframe_want(&request);
    assert_false(keyframe_due(&request, time_from_ms(1499)));
    assert_true(keyframe_due(&request, time_from_ms(1500)));
    keyframe_arrived(&request);
    assert_false(keyframe_due(&request, time_from_s(9)));
    assert_int_equal(keyframe_deadline(&request), TIME_NEVER);
}

static void test_wishes_without_end_are_met_by_a_budget(void **state)
{
    (void)state;
    struct keyframe_request request = { 0 };
    uint32_t sent = 0, deferred = 0;
    for (uint64_t now_us = time_from_s(1); now_us <= time_from_s(101); now_us += time_from_ms(20)) {
        keyframe_want(&request);
        if (keyframe_due(&request, now_us)) {
            sent++;
            keyframe_arrived(&request);
        }
        deferred += keyframe_deferred(&request, now_us);
    }
    assert_in_range(sent, 58, 61);
    assert_in_range(deferred, 40, 60);
    // and it comes back with rest
    keyframe_want(&request);
    uint64_t now_us = time_from_s(200);
    for (sent = 0; keyframe_due(&request, now_us); now_us += time_from_ms(500))
        sent++;
    assert_in_range(sent, 10, 14);
}

static void test_a_subscriber_may_ask_some_times_in_a_row_and_then_slowly(void **state)
{
    (void)state;
    struct keyframe_allowance allowance = { 0 };
    uint32_t allowed = 0;
    for (uint64_t now_us = time_from_s(1); now_us < time_from_s(41); now_us += time_from_ms(10))
        allowed += keyframe_allow(&allowance, now_us);
    assert_in_range(allowed, 14, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wish_is_sent_at_once_and_repeated_until_it_is_met),
        cmocka_unit_test(test_wishes_without_end_are_met_by_a_budget),
        cmocka_unit_test(test_a_subscriber_may_ask_some_times_in_a_row_and_then_slowly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
