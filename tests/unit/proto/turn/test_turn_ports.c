#include "support/check.h"

#include <errno.h>

#include "base/memory.h"
#include "proto/turn/turn_ports.h"

static struct random random_state;

static int set_up(void **state)
{
    (void)state;
    random_seeded_init(&random_state, 7);
    return 0;
}

static struct turn_relay_address relay(const char *bind, const char *told)
{
    struct turn_relay_address address;
    assert_int_equal(net_address_parse_ip(bind, 0, &address.bind), 0);
    assert_int_equal(net_address_parse_ip(told, 0, &address.told), 0);
    return address;
}

/** Two addresses, the first behind a NAT. */
static struct turn_ports *make(uint16_t port_min, uint16_t port_max)
{
    struct turn_relay_address addresses[2] = { relay("10.0.0.5", "203.0.113.5"),
                                               relay("2001:db8::5", "2001:db8::5") };
    struct turn_ports_config config = {
        .addresses = addresses, .address_count = 2, .port_min = port_min, .port_max = port_max
    };
    return turn_ports_new(&config);
}

static uint16_t take(struct turn_ports *ports, size_t index, uint32_t worker)
{
    uint16_t port = 0;
    assert_int_equal(
        turn_ports_take(ports, index, TURN_PORT_ANY, worker, &random_state, &port, NULL), 0);
    return port;
}

static void test_every_port_of_the_range_is_given_once(void **state)
{
    (void)state;
    struct turn_ports *ports = make(50000, 50999);
    bool seen[1000] = { false };
    for (int i = 0; i < 1000; i++) {
        uint16_t port = take(ports, 0, 3);
        assert_in_range(port, 50000, 50999);
        assert_false(seen[port - 50000]);
        seen[port - 50000] = true;
    }
    uint16_t port = 1;
    assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_ANY, 3, &random_state, &port, NULL),
                     -EADDRNOTAVAIL);
    assert_int_equal(port, 1); // results stay untouched
    assert_int_equal(turn_ports_taken(ports), 1000);
    // the other address has its own ports
    take(ports, 1, 3);
    // and the last one that comes back is found again
    turn_ports_give_back(ports, 0, 50123);
    assert_int_equal(take(ports, 0, 4), 50123);
    assert_int_equal(turn_ports_owner(ports, 0, 50123), 4);
    turn_ports_free(ports);
}

static void test_the_whole_range_up_to_65535_can_be_used(void **state)
{
    (void)state;
    struct turn_ports *ports = make(1024, 65535);
    for (uint32_t i = 1024; i <= 65535; i++)
        take(ports, 1, 0);
    assert_int_equal(turn_ports_taken(ports), 65535 - 1024 + 1);
    assert_int_equal(turn_ports_owner(ports, 1, 65535), 0);
    turn_ports_free(ports);
}

static void test_a_range_of_one_port(void **state)
{
    (void)state;
    struct turn_ports *ports = make(49152, 49152);
    assert_int_equal(take(ports, 0, 0), 49152);
    turn_ports_give_back(ports, 0, 49152);
    uint16_t port;
    uint64_t token;
    assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_EVEN, 0, &random_state, &port, &token),
                     -EADDRNOTAVAIL);
    assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_EVEN, 0, &random_state, &port, NULL), 0);
    turn_ports_free(ports);
}

static void test_ports_cannot_be_predicted(void **state)
{
    (void)state;
    // attack: guess the next relay port from the last one (CVE-2025-69217)
    struct turn_ports *ports = make(49152, 65535);
    unsigned near = 0, below = 0;
    uint16_t last = take(ports, 0, 0);
    for (int i = 0; i < 2000; i++) {
        uint16_t port = take(ports, 0, 0);
        int distance = port - last;
        near += distance >= -8 && distance <= 8;
        below += distance < 0;
        last = port;
    }
    assert_in_range(near, 0, 12); // 2 expected
    assert_in_range(below, 800, 1200);
    turn_ports_free(ports);
}

static void test_a_nearly_full_range_does_not_favour_neighbours(void **state)
{
    (void)state;
    struct turn_ports *ports = make(50000, 50999);
    for (int i = 0; i < 1000; i++)
        take(ports, 0, 0);
    // two free ports, one of them behind a long run of taken ones
    unsigned first = 0;
    for (int i = 0; i < 400; i++) {
        turn_ports_give_back(ports, 0, 50500);
        turn_ports_give_back(ports, 0, 50501);
        first += take(ports, 0, 0) == 50500;
        take(ports, 0, 0);
    }
    assert_in_range(first, 120, 280);
    turn_ports_free(ports);
}

static void test_even_ports_are_even(void **state)
{
    (void)state;
    struct turn_ports *ports = make(50001, 50010);
    for (int i = 0; i < 5; i++) {
        uint16_t port;
        assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_EVEN, 0, &random_state, &port, NULL),
                         0);
        assert_int_equal(port % 2, 0);
    }
    uint16_t port;
    assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_EVEN, 0, &random_state, &port, NULL),
                     -EADDRNOTAVAIL);
    assert_int_equal(take(ports, 0, 0) % 2, 1);
    turn_ports_free(ports);
}

static void test_a_reservation_keeps_the_next_higher_port(void **state)
{
    (void)state;
    struct turn_ports *ports = make(50000, 50003);
    uint16_t port, claimed;
    uint64_t token;
    size_t index = 99;
    assert_int_equal(turn_ports_take(ports, 1, TURN_PORT_EVEN, 2, &random_state, &port, &token), 0);
    assert_int_equal(port % 2, 0);
    assert_int_equal(turn_ports_owner(ports, 1, port), 2);
    assert_int_equal(turn_ports_owner(ports, 1, port + 1), TURN_PORT_FREE);
    assert_int_equal(turn_ports_taken(ports), 2);
    // nobody else gets it
    take(ports, 1, 2);
    take(ports, 1, 2);
    assert_int_equal(turn_ports_take(ports, 1, TURN_PORT_ANY, 2, &random_state, &claimed, NULL),
                     -EADDRNOTAVAIL);
    assert_int_equal(turn_ports_claim(ports, token, 7, &index, &claimed), 0);
    assert_int_equal(index, 1);
    assert_int_equal(claimed, port + 1);
    assert_int_equal(turn_ports_owner(ports, 1, claimed), 7);
    turn_ports_free(ports);
}

static void test_pairs_fit_into_the_range(void **state)
{
    (void)state;
    // odd ends at both sides: 50001 and 50006 belong to no pair
    struct turn_ports *ports = make(50001, 50006);
    uint64_t token;
    uint16_t port;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_EVEN, 0, &random_state, &port, &token),
                         0);
        assert_true(port == 50002 || port == 50004);
    }
    assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_EVEN, 0, &random_state, &port, &token),
                     -EADDRNOTAVAIL);
    assert_int_equal(turn_ports_taken(ports), 4);
    turn_ports_free(ports);
}

static void test_a_pair_needs_both_ports_and_leaves_no_half(void **state)
{
    (void)state;
    struct turn_ports *ports = make(50000, 50001);
    while (take(ports, 0, 0) != 50001)
        turn_ports_give_back(ports, 0, 50000);
    uint64_t token;
    uint16_t port;
    assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_EVEN, 0, &random_state, &port, &token),
                     -EADDRNOTAVAIL);
    assert_int_equal(turn_ports_owner(ports, 0, 50000), TURN_PORT_FREE);
    assert_int_equal(turn_ports_taken(ports), 1);
    turn_ports_free(ports);
}

static void test_a_token_works_once(void **state)
{
    (void)state;
    struct turn_ports *ports = make(50000, 50100);
    uint16_t port, claimed;
    uint64_t token;
    size_t index;
    assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_EVEN, 0, &random_state, &port, &token), 0);
    assert_int_equal(turn_ports_claim(ports, token, 0, &index, &claimed), 0);
    assert_int_equal(turn_ports_claim(ports, token, 0, &index, &claimed), -ENOENT);
    turn_ports_expire(ports, token); // too late: it is an allocation's
    assert_int_equal(turn_ports_owner(ports, 0, claimed), 0);
    turn_ports_give_back(ports, 0, claimed);
    assert_int_equal(turn_ports_claim(ports, token, 0, &index, &claimed), -ENOENT);
    turn_ports_free(ports);
}

static void test_an_expired_token_is_worth_nothing(void **state)
{
    (void)state;
    struct turn_ports *ports = make(50000, 50001);
    uint16_t port, claimed;
    uint64_t token, second;
    size_t index;
    assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_EVEN, 0, &random_state, &port, &token), 0);
    turn_ports_expire(ports, token);
    assert_int_equal(turn_ports_taken(ports), 1);
    turn_ports_expire(ports, token);
    assert_int_equal(turn_ports_taken(ports), 1);
    turn_ports_give_back(ports, 0, port);
    // the same port reserved again: the old token neither takes nor frees it
    assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_EVEN, 0, &random_state, &port, &second),
                     0);
    assert_int_equal(turn_ports_claim(ports, token, 0, &index, &claimed), -ENOENT);
    turn_ports_expire(ports, token);
    assert_int_equal(turn_ports_claim(ports, second, 0, &index, &claimed), 0);
    turn_ports_free(ports);
}

static void test_made_up_tokens_are_refused(void **state)
{
    (void)state;
    // attack: a token is 64 bits of the client's choice
    struct turn_ports *ports = make(50000, 50001);
    uint16_t port, claimed;
    uint64_t token;
    size_t index;
    assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_EVEN, 0, &random_state, &port, &token), 0);
    const uint64_t made_up[] = { 0,          UINT64_MAX,          token ^ 1,
                                 token + 1,  token ^ 1ull << 63,  token ^ 1ull << 44,
                                 token << 8, token & ~0xfffffull, token ^ 1ull << 60 };
    for (size_t i = 0; i < array_size(made_up); i++) {
        assert_int_equal(turn_ports_claim(ports, made_up[i], 0, &index, &claimed), -ENOENT);
        turn_ports_expire(ports, made_up[i]);
    }
    // neither does a token made of a taken port's own word take it
    assert_int_equal(turn_ports_claim(ports, (uint64_t)port << 44, 0, &index, &claimed), -ENOENT);
    assert_int_equal(turn_ports_claim(ports, token, 0, &index, &claimed), 0);
    turn_ports_free(ports);
}

static void test_owner_knows_no_port_outside_of_the_range(void **state)
{
    (void)state;
    struct turn_ports *ports = make(50000, 50001);
    assert_int_equal(turn_ports_owner(ports, 0, 49999), TURN_PORT_FREE);
    assert_int_equal(turn_ports_owner(ports, 0, 50002), TURN_PORT_FREE);
    assert_int_equal(turn_ports_owner(ports, 2, 50000), TURN_PORT_FREE);
    assert_int_equal(turn_ports_owner(ports, 0, 0), TURN_PORT_FREE);
    turn_ports_free(ports);
}

static int find(const struct turn_ports *ports, const char *ip)
{
    struct net_address address;
    assert_int_equal(net_address_parse_ip(ip, 4711, &address), 0);
    return turn_ports_find_address(ports, &address);
}

static void test_a_relay_address_is_found_by_both_of_its_names(void **state)
{
    (void)state;
    struct turn_ports *ports = make(50000, 50001);
    assert_int_equal(turn_ports_address_count(ports), 2);
    assert_int_equal(find(ports, "10.0.0.5"), 0);
    assert_int_equal(find(ports, "203.0.113.5"), 0);
    assert_int_equal(find(ports, "::ffff:203.0.113.5"), 0);
    assert_int_equal(find(ports, "2001:db8::5"), 1);
    assert_int_equal(find(ports, "203.0.113.6"), -ENOENT);
    assert_int_equal(find(ports, "::"), -ENOENT);
    turn_ports_free(ports);
    struct turn_relay_address any = relay("0.0.0.0", "203.0.113.5");
    struct turn_ports_config config = {
        .addresses = &any, .address_count = 1, .port_min = 50000, .port_max = 50001
    };
    ports = turn_ports_new(&config);
    assert_int_equal(find(ports, "0.0.0.0"), -ENOENT);
    assert_int_equal(find(ports, "203.0.113.5"), 0);
    assert_null(turn_ports_free(ports));
    assert_null(turn_ports_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_port_of_the_range_is_given_once, set_up),
        cmocka_unit_test_setup(test_the_whole_range_up_to_65535_can_be_used, set_up),
        cmocka_unit_test_setup(test_a_range_of_one_port, set_up),
        cmocka_unit_test_setup(test_ports_cannot_be_predicted, set_up),
        cmocka_unit_test_setup(test_a_nearly_full_range_does_not_favour_neighbours, set_up),
        cmocka_unit_test_setup(test_even_ports_are_even, set_up),
        cmocka_unit_test_setup(test_a_reservation_keeps_the_next_higher_port, set_up),
        cmocka_unit_test_setup(test_pairs_fit_into_the_range, set_up),
        cmocka_unit_test_setup(test_a_pair_needs_both_ports_and_leaves_no_half, set_up),
        cmocka_unit_test_setup(test_a_token_works_once, set_up),
        cmocka_unit_test_setup(test_an_expired_token_is_worth_nothing, set_up),
        cmocka_unit_test_setup(test_made_up_tokens_are_refused, set_up),
        cmocka_unit_test_setup(test_owner_knows_no_port_outside_of_the_range, set_up),
        cmocka_unit_test_setup(test_a_relay_address_is_found_by_both_of_its_names, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
