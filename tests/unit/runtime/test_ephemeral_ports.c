#include "support/check.h"

#include "runtime/ephemeral_ports.h"

#define RANGE "32768\t60999\n"

static void test_ranges_overlap_where_they_share_a_port(void **state unused)
{
    assert_true(ephemeral_ports_overlap_in(RANGE, "\n", 49152, 65535));
    assert_true(ephemeral_ports_overlap_in(RANGE, "\n", 60999, 65535));
    assert_true(ephemeral_ports_overlap_in(RANGE, "\n", 1024, 32768));
    assert_false(ephemeral_ports_overlap_in(RANGE, "\n", 61000, 65535));
    assert_false(ephemeral_ports_overlap_in(RANGE, "\n", 1024, 32767));
}

static void test_reserved_ports_are_not_given_away(void **state unused)
{
    assert_false(ephemeral_ports_overlap_in(RANGE, "49152-65535\n", 49152, 65535));
    assert_false(ephemeral_ports_overlap_in(RANGE, "80,49152-50000,50001-60999\n", 49152, 65535));
    assert_true(ephemeral_ports_overlap_in(RANGE, "49152-50000,50002-60999\n", 49152, 65535));
    assert_false(ephemeral_ports_overlap_in(RANGE, "50001\n", 50001, 50001));
    assert_true(ephemeral_ports_overlap_in(RANGE, "50001\n", 50000, 50001));
}

static void test_a_system_that_does_not_tell_may_give_any_port(void **state unused)
{
    assert_true(ephemeral_ports_overlap_in("", NULL, 49152, 65535));
    assert_true(ephemeral_ports_overlap_in(RANGE, NULL, 49152, 65535));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_overlap_where_they_share_a_port),
        cmocka_unit_test(test_reserved_ports_are_not_given_away),
        cmocka_unit_test(test_a_system_that_does_not_tell_may_give_any_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
