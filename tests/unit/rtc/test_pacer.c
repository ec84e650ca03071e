// How much may be sent ahead of a path's pace.
#include "rtc/pacer.h"

#include "base/time.h"
#include "support/check.h"

#define PACE_BPS 2500000 // 312.5 bytes each millisecond
#define BURST_US 40000

static uint32_t room_at(struct rtc_pacer *pacer, uint64_t ms)
{
    return rtc_pacer_room(pacer, time_from_ms(ms), PACE_BPS, BURST_US);
}

static void test_a_burst_may_go_and_then_the_pace_rules(void **state)
{
    (void)state;
    struct rtc_pacer pacer = { 0 };
    assert_int_equal(room_at(&pacer, 1000), 12500);
    pacer.sent_bytes += 12500;
    assert_int_equal(room_at(&pacer, 1000), 0);
    assert_int_equal(room_at(&pacer, 1010), 3125);
    // looking costs nothing, however often
    for (uint64_t us = 1010000; us < 1020000; us += 7)
        rtc_pacer_room(&pacer, us, PACE_BPS, BURST_US);
    assert_int_equal(room_at(&pacer, 1020), 6250);
    // and time that is not used is not saved up
    assert_int_equal(room_at(&pacer, 9000), 12500);
}

static void test_what_did_not_ask_counts_too(void **state)
{
    (void)state;
    struct rtc_pacer pacer = { 0 };
    room_at(&pacer, 1000);
    pacer.sent_bytes += 20000;
    assert_int_equal(room_at(&pacer, 1000), 0);
    assert_int_equal(room_at(&pacer, 1024), 0);
    assert_int_equal(room_at(&pacer, 1028), 1250);
    // who has twice the burst has room earlier
    assert_int_equal(rtc_pacer_room(&pacer, time_from_ms(1028), PACE_BPS, 2 * BURST_US), 13750);
}

static void test_slow_paths_take_whole_packets(void **state)
{
    (void)state;
    struct rtc_pacer pacer = { 0 };
    assert_int_equal(rtc_pacer_room(&pacer, time_from_s(1), 1000, BURST_US), RTC_PACER_AHEAD_MIN);
}

static void test_an_old_debt_is_forgiven(void **state)
{
    (void)state;
    struct rtc_pacer pacer = { 0 };
    room_at(&pacer, 1000);
    pacer.sent_bytes += 1000000000000;
    assert_int_equal(room_at(&pacer, 1000), 0);
    assert_int_equal(room_at(&pacer, 1000 + RTC_PACER_DEBT_MAX_US / 1000), 12500);
}

static void test_no_pace_is_too_fast_to_count(void **state)
{
    (void)state;
    struct rtc_pacer pacer = { 0 };
    assert_true(rtc_pacer_room(&pacer, time_from_s(1), UINT64_MAX, BURST_US) > 1u << 31);
    pacer.sent_bytes += 1u << 30;
    assert_true(rtc_pacer_room(&pacer, time_from_s(1), UINT64_MAX, BURST_US) > 1u << 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_may_go_and_then_the_pace_rules),
        cmocka_unit_test(test_what_did_not_ask_counts_too),
        cmocka_unit_test(test_slow_paths_take_whole_packets),
        cmocka_unit_test(test_an_old_debt_is_forgiven),
        cmocka_unit_test(test_no_pace_is_too_fast_to_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
