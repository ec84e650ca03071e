// When a receiver's video is protected by FEC.
#include "room/protection.h"

#include "base/time.h"
#include "support/check.h"

static uint8_t report(struct protection *protection, uint64_t at_us, uint8_t lost, uint64_t rtt_us)
{
    struct rtc_reported reported = { at_us, lost, rtt_us };
    return protection_update(protection, at_us, &reported);
}

static void test_losses_alone_or_a_long_way_alone_cost_nothing(void **state)
{
    (void)state;
    struct protection protection = { 0 };
    assert_int_equal(report(&protection, time_from_s(1), 50, time_from_ms(20)), 0);
    assert_int_equal(report(&protection, time_from_s(2), 1, time_from_ms(300)), 0);
}

static void test_both_are_answered_by_more_the_more_is_lost(void **state)
{
    (void)state;
    struct protection protection = { 0 };
    assert_int_equal(report(&protection, time_from_s(1), 6, time_from_ms(200)), 8);
    assert_int_equal(report(&protection, time_from_s(2), 25, time_from_ms(200)), 5);
    assert_int_equal(report(&protection, time_from_s(3), 100, time_from_ms(200)), 4);
    // one report without losses is no end of them, ten seconds are
    assert_int_equal(report(&protection, time_from_s(4), 0, time_from_ms(200)), 4);
    assert_int_equal(report(&protection, time_from_s(13), 0, time_from_ms(200)), 4);
    assert_int_equal(report(&protection, time_from_s(14), 0, time_from_ms(200)), 0);
}

static void test_operators_may_decide(void **state)
{
    (void)state;
    struct protection always = { .mode = PROTECTION_ALWAYS }, never = { .mode = PROTECTION_NEVER };
    assert_int_equal(report(&always, time_from_s(1), 0, 0), 8);
    assert_int_equal(report(&never, time_from_s(1), 100, time_from_s(1)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_alone_or_a_long_way_alone_cost_nothing),
        cmocka_unit_test(test_both_are_answered_by_more_the_more_is_lost),
        cmocka_unit_test(test_operators_may_decide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
