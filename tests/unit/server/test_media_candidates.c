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

static void test_tcp_ports_are_told_behind_udp(void **state)
{
    (void)state;
    struct media_candidates candidates = {
        .addresses = { net_address_ipv4(192, 0, 2, 7, 0), net_address_ipv4(192, 0, 2, 8, 0) },
        .count = 2,
        .tcp = { net_address_ipv4(0, 0, 0, 0, 443), net_address_ipv4(192, 0, 2, 8, 3478) },
        .tcp_count = 2,
    };
    char text[MEDIA_CANDIDATES_MAX * ICE_CANDIDATE_TEXT_MAX];
    struct bytes lines[MEDIA_CANDIDATES_MAX];
    size_t count = media_candidates_write(&candidates, 3478, false, text, sizeof(text), lines);
    assert_int_equal(count, 5); // a port on every address, and one on the second alone
    uint32_t before = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        struct ice_candidate candidate;
        assert_int_equal(ice_candidate_parse(lines[i], &candidate), 0);
        assert_int_equal(candidate.transport, i < 2 ? ICE_UDP : ICE_TCP_PASSIVE);
        assert_true(candidate.priority < before);
        before = candidate.priority;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_bound_to_is_the_only_one_told),
        cmocka_unit_test(test_the_external_address_comes_first_and_chosen_ones_replace_the_found),
        cmocka_unit_test(test_tcp_ports_are_told_behind_udp),
        cmocka_unit_test(test_loopback_is_told_to_this_machine_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
