// What was sent again a moment ago is not sent once more.
#include "room/resent.h"

#include "base/time.h"
#include "support/check.h"

static void test_a_copy_under_way_is_not_sent_once_more(void **state)
{
    (void)state;
    struct resent resent = { 0 };
    uint64_t now_us = time_from_s(1), round_trip_us = time_from_ms(200);
    assert_false(resent_lately(&resent, now_us, 7, round_trip_us));
    resent_note(&resent, now_us, 7);
    assert_true(resent_lately(&resent, now_us + round_trip_us - 1, 7, round_trip_us));
    assert_false(resent_lately(&resent, now_us + round_trip_us, 7, round_trip_us));
    // others are, those of the same place too
    assert_false(resent_lately(&resent, now_us, 8, round_trip_us));
    assert_false(resent_lately(&resent, now_us, 7 + RESENT_PLACES, round_trip_us));
    // and number 0 is one like any
    assert_false(resent_lately(&resent, now_us, 0, round_trip_us));
}

static void test_the_latest_of_a_place_is_remembered(void **state)
{
    (void)state;
    struct resent resent = { 0 };
    resent_note(&resent, 1000, 7);
    resent_note(&resent, 2000, 7 + RESENT_PLACES);
    assert_false(resent_lately(&resent, 2000, 7, 10000));
    assert_true(resent_lately(&resent, 2000, 7 + RESENT_PLACES, 10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_under_way_is_not_sent_once_more),
        cmocka_unit_test(test_the_latest_of_a_place_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
