#include "support/check.h"

#include <errno.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/time.h"
#include "proto/turn/turn_quota.h"

#define NOW_US (100 * TIME_US_PER_S)

static const uint64_t secret[2] = { 11, 12 };

static struct turn_quota *make(struct turn_quota_limits limits)
{
    return turn_quota_new(&limits, secret);
}

static struct turn_user *join(struct turn_quota *quota, const char *name)
{
    struct turn_user *user = NULL;
    assert_int_equal(turn_quota_join(quota, bytes_of_text(name), &user), 0);
    assert_non_null(user);
    return user;
}

static int try_join(struct turn_quota *quota, const char *name)
{
    struct turn_user *user = NULL;
    int result = turn_quota_join(quota, bytes_of_text(name), &user);
    if (result == 0)
        turn_quota_leave(quota, user);
    else
        assert_null(user);
    return result;
}

static struct net_address ip(const char *text)
{
    struct net_address address;
    assert_int_equal(net_address_parse_ip(text, 5, &address), 0);
    return address;
}

static void test_a_user_gets_its_share_of_allocations(void **state)
{
    (void)state;
    struct turn_quota *quota = make((struct turn_quota_limits){ .allocations_per_user = 2 });
    struct turn_user *first = join(quota, "gwen");
    struct turn_user *second = join(quota, "gwen");
    assert_ptr_equal(first, second);
    assert_int_equal(try_join(quota, "gwen"), -EDQUOT);
    assert_int_equal(try_join(quota, "ann"), 0);
    assert_int_equal(turn_quota_allocations(quota), 2);
    turn_quota_leave(quota, first);
    assert_int_equal(try_join(quota, "gwen"), 0);
    turn_quota_leave(quota, second);
    assert_int_equal(turn_quota_allocations(quota), 0);
    assert_null(turn_quota_free(quota));
    assert_null(turn_quota_free(NULL));
}

static void test_the_server_has_a_limit_of_allocations(void **state)
{
    (void)state;
    struct turn_quota *quota =
        make((struct turn_quota_limits){ .allocations = 2, .allocations_per_user = 2 });
    struct turn_user *gwen = join(quota, "gwen");
    struct turn_user *ann = join(quota, "ann");
    assert_int_equal(try_join(quota, "bob"), -EUSERS);
    assert_int_equal(try_join(quota, "gwen"), -EUSERS);
    turn_quota_leave(quota, gwen);
    assert_int_equal(try_join(quota, "bob"), 0);
    turn_quota_leave(quota, ann);
    turn_quota_free(quota);
}

static void test_zero_is_no_limit(void **state)
{
    (void)state;
    struct turn_quota *quota = make((struct turn_quota_limits){ 0 });
    enum { COUNT = 1000 };
    static struct turn_user *users[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        users[i] = join(quota, "gwen");
        assert_true(turn_quota_spend(quota, users[i], NOW_US, 1000000000));
    }
    struct net_address stranger = ip("192.0.2.1");
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(turn_quota_stranger(quota, &stranger, NOW_US));
        turn_quota_leave(quota, users[i]);
    }
    turn_quota_free(quota);
}

static void test_names_are_bytes(void **state)
{
    (void)state;
    struct turn_quota *quota = make((struct turn_quota_limits){ .allocations_per_user = 1 });
    struct turn_user *users[4];
    const struct bytes names[4] = { bytes_of(NULL, 0), bytes_of("a", 1), bytes_of("a\0", 2),
                                    bytes_of("a name that is longer than most names are", 41) };
    for (size_t i = 0; i < array_size(names); i++)
        assert_int_equal(turn_quota_join(quota, names[i], &users[i]), 0);
    for (size_t i = 0; i < array_size(names); i++) {
        struct turn_user *again;
        assert_int_equal(turn_quota_join(quota, names[i], &again), -EDQUOT);
    }
    for (size_t i = 0; i < array_size(names); i++)
        turn_quota_leave(quota, users[i]);
    turn_quota_free(quota);
}

/** Bytes that get through in `seconds` of trying with packets of `size`, every 100 us. */
static uint64_t spend_for(struct turn_quota *quota, struct turn_user *user, uint64_t from_us,
                          unsigned seconds, size_t size)
{
    uint64_t passed = 0;
    for (uint64_t at = 0; at < seconds * TIME_US_PER_S; at += 100)
        passed += turn_quota_spend(quota, user, from_us + at, size) ? size : 0;
    return passed;
}

static void test_a_user_gets_its_rate_and_a_second_of_burst(void **state)
{
    (void)state;
    struct turn_quota *quota = make((struct turn_quota_limits){ .bytes_per_s_per_user = 1000000 });
    struct turn_user *gwen = join(quota, "gwen");
    struct turn_user *ann = join(quota, "ann");
    uint64_t burst = 0;
    while (turn_quota_spend(quota, gwen, NOW_US, 1000))
        burst += 1000;
    assert_in_range(burst, 999000, 1001000);
    // one second of burst was spent: 10 s bring 10 s worth
    assert_in_range(spend_for(quota, gwen, NOW_US, 10, 1200), 9900000, 10100000);
    // others are not concerned
    assert_in_range(spend_for(quota, ann, NOW_US, 10, 1200), 10900000, 11100000);
    turn_quota_leave(quota, gwen);
    turn_quota_leave(quota, ann);
    turn_quota_free(quota);
}

static void test_high_rates_are_kept_exactly(void **state)
{
    (void)state;
    // 10 Gbit/s in small packets: less than a microsecond each
    struct turn_quota *quota = make((struct turn_quota_limits){ .bytes_per_s = 1250000000 });
    struct turn_user *gwen = join(quota, "gwen");
    uint64_t passed = 0;
    while (turn_quota_spend(quota, gwen, NOW_US, 200))
        passed += 200;
    assert_in_range(passed, 1240000000, 1270000000);
    turn_quota_leave(quota, gwen);
    turn_quota_free(quota);
}

static void test_the_server_has_a_rate_that_users_share(void **state)
{
    (void)state;
    struct turn_quota *quota = make(
        (struct turn_quota_limits){ .bytes_per_s = 1000000, .bytes_per_s_per_user = 10000000 });
    struct turn_user *gwen = join(quota, "gwen");
    struct turn_user *ann = join(quota, "ann");
    uint64_t passed = 0;
    for (uint64_t at = 0; at < 10 * TIME_US_PER_S; at += 200) {
        passed += turn_quota_spend(quota, gwen, NOW_US + at, 1000) ? 1000 : 0;
        passed += turn_quota_spend(quota, ann, NOW_US + at, 1000) ? 1000 : 0;
    }
    assert_in_range(passed, 10900000, 11100000);
    turn_quota_leave(quota, gwen);
    turn_quota_leave(quota, ann);
    turn_quota_free(quota);
}

static void test_what_the_server_refuses_is_not_the_users_spending(void **state)
{
    (void)state;
    struct turn_quota *quota =
        make((struct turn_quota_limits){ .bytes_per_s = 1000, .bytes_per_s_per_user = 10000 });
    struct turn_user *gwen = join(quota, "gwen");
    unsigned refused = 0;
    for (int i = 0; i < 100; i++)
        refused += !turn_quota_spend(quota, gwen, NOW_US, 500);
    assert_int_equal(refused, 98);
    turn_quota_set_limits(quota, &(struct turn_quota_limits){ .bytes_per_s_per_user = 10000 });
    uint64_t passed = 0;
    while (turn_quota_spend(quota, gwen, NOW_US, 500))
        passed += 500;
    assert_in_range(passed, 8500, 9500);
    turn_quota_leave(quota, gwen);
    turn_quota_free(quota);
}

static void test_a_packet_larger_than_a_second_of_rate_is_no_dead_end(void **state)
{
    (void)state;
    struct turn_quota *quota = make((struct turn_quota_limits){ .bytes_per_s_per_user = 100 });
    struct turn_user *gwen = join(quota, "gwen");
    assert_true(turn_quota_spend(quota, gwen, NOW_US, 1200));
    assert_false(turn_quota_spend(quota, gwen, NOW_US, 1));
    assert_false(turn_quota_spend(quota, gwen, NOW_US + 10 * TIME_US_PER_S, 1200));
    assert_true(turn_quota_spend(quota, gwen, NOW_US + 12 * TIME_US_PER_S, 1200));
    turn_quota_leave(quota, gwen);
    turn_quota_free(quota);
}

static void test_limits_can_be_changed_at_any_time(void **state)
{
    (void)state;
    struct turn_quota *quota = make((struct turn_quota_limits){ .allocations = 7 });
    struct turn_quota_limits limits = { .allocations = 1,
                                        .allocations_per_user = 2,
                                        .bytes_per_s = 3,
                                        .bytes_per_s_per_user = 4,
                                        .unauthenticated_per_s = 5,
                                        .unauthenticated_burst = 6 };
    turn_quota_set_limits(quota, &limits);
    struct turn_quota_limits got = turn_quota_limits(quota);
    assert_memory_equal(&got, &limits, sizeof(limits));
    struct turn_user *gwen = join(quota, "gwen");
    assert_int_equal(try_join(quota, "ann"), -EUSERS);
    turn_quota_leave(quota, gwen);
    turn_quota_free(quota);
}

static unsigned answered(struct turn_quota *quota, const char *text, uint64_t now_us,
                         unsigned tries)
{
    struct net_address source = ip(text);
    unsigned count = 0;
    for (unsigned i = 0; i < tries; i++)
        count += turn_quota_stranger(quota, &source, now_us);
    return count;
}

static struct turn_quota *make_strict(void)
{
    return make(
        (struct turn_quota_limits){ .unauthenticated_per_s = 10, .unauthenticated_burst = 20 });
}

static void test_attack_reflection_is_bounded_per_prefix(void **state)
{
    (void)state;
    struct turn_quota *quota = make_strict();
    assert_int_equal(answered(quota, "192.0.2.1", NOW_US, 1000), 20);
    // the neighbours of a victim are the same victim
    assert_int_equal(answered(quota, "192.0.2.200", NOW_US, 1000), 0);
    assert_int_equal(answered(quota, "::ffff:192.0.2.7", NOW_US, 1000), 0);
    assert_int_equal(answered(quota, "192.0.3.1", NOW_US, 1000), 20);
    assert_int_equal(answered(quota, "2001:db8:1::1", NOW_US, 1000), 20);
    assert_int_equal(answered(quota, "2001:db8:1:ffff::1", NOW_US, 1000), 0);
    assert_int_equal(answered(quota, "2001:db8:2::1", NOW_US, 1000), 20);
    // and they recover
    assert_in_range(answered(quota, "192.0.2.1", NOW_US + TIME_US_PER_S, 1000), 9, 11);
    assert_int_equal(answered(quota, "192.0.2.1", NOW_US + 100 * TIME_US_PER_S, 1000), 20);
    turn_quota_free(quota);
}

static void test_a_flood_from_many_prefixes_takes_few_innocent_ones_along(void **state)
{
    (void)state;
    struct turn_quota *quota = make_strict();
    char text[32];
    for (unsigned i = 0; i < 1600; i++) {
        snprintf(text, sizeof(text), "10.%u.%u.1", i / 256, i % 256);
        answered(quota, text, NOW_US, 100);
    }
    // a tenth of the cells is empty: one in a hundred is refused
    unsigned innocent = 0;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "20.%u.%u.1", i / 256, i % 256);
        innocent += answered(quota, text, NOW_US, 1);
    }
    assert_in_range(innocent, 970, 1000);
    turn_quota_free(quota);
}

static void test_a_burst_of_zero_still_answers_the_first(void **state)
{
    (void)state;
    struct turn_quota *quota = make((struct turn_quota_limits){ .unauthenticated_per_s = 1 });
    assert_int_equal(answered(quota, "192.0.2.1", NOW_US, 10), 1);
    turn_quota_free(quota);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_user_gets_its_share_of_allocations),
        cmocka_unit_test(test_the_server_has_a_limit_of_allocations),
        cmocka_unit_test(test_zero_is_no_limit),
        cmocka_unit_test(test_names_are_bytes),
        cmocka_unit_test(test_a_user_gets_its_rate_and_a_second_of_burst),
        cmocka_unit_test(test_high_rates_are_kept_exactly),
        cmocka_unit_test(test_the_server_has_a_rate_that_users_share),
        cmocka_unit_test(test_what_the_server_refuses_is_not_the_users_spending),
        cmocka_unit_test(test_a_packet_larger_than_a_second_of_rate_is_no_dead_end),
        cmocka_unit_test(test_limits_can_be_changed_at_any_time),
        cmocka_unit_test(test_attack_reflection_is_bounded_per_prefix),
        cmocka_unit_test(test_a_flood_from_many_prefixes_takes_few_innocent_ones_along),
        cmocka_unit_test(test_a_burst_of_zero_still_answers_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
