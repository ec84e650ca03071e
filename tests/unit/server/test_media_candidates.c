#include "support/check.h"

#include "proto/ice/ice_candidate.h"
#include "server/media_candidates.h"

static bool has(const struct media_candidates *candidates, const struct net_address *address)
{
    for (size_t i = 0; i < candidates->count; i++) {
        if (net_address_same_ip(&candidates->addresses[i], address))
            return true;
    }
    return false;
}

static void test_an_address_bound_to_is_the_only_one_told(void **state)
{
    (void)state;
    struct net_address bound = net_address_ipv4(127, 0, 0, 1, 3478);
    struct media_candidates candidates;
    struct media_candidate_config config = { .bound = bound, .ipv6 = true };
    assert_int_equal(media_candidates_collect(&config, &candidates), 0);
    assert_int_equal(candidates.count, 1);
    assert_true(has(&candidates, &bound));
    config.bound = net_address_ipv4(0, 0, 0, 0, 3478);
    assert_int_equal(media_candidates_collect(&config, &candidates), 0);
    assert_true(candidates.count >= 1);
    assert_false(has(&candidates, &config.bound));
}

static void test_the_external_address_comes_first_and_chosen_ones_replace_the_found(void **state)
{
    (void)state;
    struct net_address chosen = net_address_ipv4(192, 0, 2, 7, 0);
    struct media_candidate_config config = {
        .addresses = &chosen,
        .address_count = 1,
        .external = net_address_ipv4(203, 0, 113, 9, 0),
    };
    struct media_candidates candidates;
    assert_int_equal(media_candidates_collect(&config, &candidates), 0);
    assert_int_equal(candidates.count, 2);
    assert_true(net_address_same_ip(&candidates.addresses[0], &config.external));
    assert_true(net_address_same_ip(&candidates.addresses[1], &chosen));
}

static void test_loopback_is_told_to_this_machine_only(void **state)
{
    (void)state;
    struct media_candidates candidates = {
        .addresses = { net_address_ipv4(192, 0, 2, 7, 0), net_address_ipv4(127, 0, 0, 1, 0) },
        .loopback = { false, true },
        .count = 2,
    };
    char text[MEDIA_CANDIDATES_MAX * ICE_CANDIDATE_TEXT_MAX];
    struct bytes lines[MEDIA_CANDIDATES_MAX];
    assert_int_equal(media_candidates_write(&candidates, 3478, false, text, sizeof(text), lines),
                     1);
    assert_int_equal(media_candidates_write(&candidates, 3478, true, text, sizeof(text), lines), 2);
    // with nothing else, loopback is better than nothing
    candidates.addresses[0] = candidates.addresses[1];
    candidates.loopback[0] = true;
    candidates.count = 1;
    assert_int_equal(media_candidates_write(&candidates, 3478, false, text, sizeof(text), lines),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_bound_to_is_the_only_one_told),
        cmocka_unit_test(test_the_external_address_comes_first_and_chosen_ones_replace_the_found),
        cmocka_unit_test(test_loopback_is_told_to_this_machine_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
