// A lite agent whose path falls silent in the middle of a call, and a full peer that has another
// one.
#include "proto/stun/stun.h"
#include "world.h"

#define STEP_US time_from_ms(20)
#define IDLE_US time_from_s(1)

struct two_ways {
    struct network *net;
    struct node client, server;
    struct net_address wifi, mobile, server_address;
    bool wifi_gone, mobile_gone, deaf;
    uint64_t claims;
};

static enum network_verdict gone(void *owner, uint64_t now_us, const struct net_path *path,
                                 uint8_t *data, size_t size)
{
    struct two_ways *world = owner;
    (void)now_us;
    struct stun_message message;
    uint64_t tie_breaker;
    bool from_server = net_address_equal(&path->local, &world->server_address);
    bool claims = from_server && stun_message_parse(bytes_of(data, size), &message) == 0 &&
                  stun_message_find_u64(&message, STUN_ICE_CONTROLLING, &tie_breaker) == 0;
    world->claims += claims;
    const struct net_address *end = from_server ? &path->remote : &path->local;
    bool lost = (world->wifi_gone && net_address_equal(end, &world->wifi)) ||
                (world->mobile_gone && net_address_equal(end, &world->mobile)) ||
                (world->deaf && claims);
    return lost ? NETWORK_DROP : NETWORK_PASS;
}

static void two_ways_start(struct two_ways *world, uint64_t seed)
{
    *world = (struct two_ways){ .net = network_new(seed) };
    world->wifi = net_address_ipv4(192, 0, 2, 1, 40000);
    world->mobile = net_address_ipv4(192, 0, 3, 1, 50000);
    world->server_address = net_address_ipv4(198, 51, 100, 1, 3478);
    lite_start(&world->server, world->net, &world->server_address);
    const struct ice_credentials local = client_credentials(), remote = server_credentials();
    full_start(&world->client, world->net, &local, true, seed + 1000);
    full_add_local(&world->client, &world->wifi);
    full_add_local(&world->client, &world->mobile);
    assert_int_equal(
        ice_agent_set_remote(world->client.full, network_now(world->net), &remote, true), 0);
    full_add_remote(&world->client, &world->server_address);
    // long enough for both ways to be checked before the first answer, short for what follows
    const struct network_pipe_config config = { .delay_us = 30000,
                                                .filter = gone,
                                                .filter_owner = world };
    network_pipe_set(network_uplink(world->client.endpoint), &config);
    network_pipe_set(network_downlink(world->client.endpoint), &config);
    assert_true(run_until_selected(world->net, &world->client, &world->server, 1, time_from_s(5)));
}

static void two_ways_end(struct two_ways *world)
{
    node_end(&world->client);
    node_end(&world->server);
    network_free(world->net);
}

/** The server's path is that of `address`. */
static bool server_uses(const struct two_ways *world, const struct net_address *address)
{
    struct net_path path;
    return node_path(&world->server, &path) && net_address_equal(&path.remote, address);
}

/** The client sends media over the path that it has chosen: what reaches the server is heard there.
 */
static void talk(struct two_ways *world, uint64_t duration_us, uint64_t interval_us)
{
    for (uint64_t passed_us = 0; passed_us < duration_us; passed_us += interval_us) {
        network_run(world->net, interval_us);
        struct net_path path;
        assert_true(node_path(&world->client, &path));
        bool wifi = net_address_equal(&path.local, &world->wifi);
        if ((wifi ? world->wifi_gone : world->mobile_gone) || !server_uses(world, &path.local))
            continue;
        ice_lite_heard(&world->server.lite, network_now(world->net));
    }
}

static void test_another_path_takes_over_within_a_fraction_of_a_second(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct two_ways world;
        two_ways_start(&world, seed);
        talk(&world, time_from_s(10), STEP_US);
        struct net_address first = world.wifi, other = world.mobile;
        if (server_uses(&world, &world.mobile)) {
            first = world.mobile;
            other = world.wifi;
        }
        assert_true(server_uses(&world, &first));
        assert_int_equal(counter(&world.server, ICE_SILENCES), 0);
        (net_address_equal(&first, &world.wifi) ? &world.wifi_gone : &world.mobile_gone)[0] = true;
        talk(&world, time_from_ms(300), STEP_US);
        assert_true(server_uses(&world, &other));
        assert_paths_meet(&world.client, &world.server);
        assert_false(ice_agent_controlling(world.client.full));
        assert_int_equal(counter(&world.server, ICE_FAILOVERS), 1);
        // the role is given back, and all stays as it is
        talk(&world, time_from_s(60), STEP_US);
        assert_true(ice_agent_controlling(world.client.full));
        assert_true(server_uses(&world, &other));
        assert_paths_meet(&world.client, &world.server);
        assert_int_equal(counter(&world.server, ICE_FAILOVERS), 1);
        assert_int_equal(count_events(&world.server, ICE_EVENT_CONSENT_EXPIRED), 0);
        two_ways_end(&world);
    }
}

/** From the end of the path in use until each end uses the other one. */
struct moves {
    uint64_t server_us, client_us;
};

/** `gap_us`: a pause that comes once a second before the path ends. */
static struct moves leave(struct two_ways *world, uint64_t gap_us)
{
    for (int i = 0; i < 10; i++) {
        network_run(world->net, gap_us);
        talk(world, time_from_s(1), STEP_US);
    }
    bool wifi = server_uses(world, &world->wifi);
    const struct net_address *other = wifi ? &world->mobile : &world->wifi;
    (wifi ? &world->wifi_gone : &world->mobile_gone)[0] = true;
    struct moves moves = { 0 };
    const uint64_t step_us = time_from_ms(1);
    for (uint64_t passed_us = step_us; passed_us < time_from_s(1); passed_us += step_us) {
        talk(world, step_us, step_us);
        struct net_path path;
        assert_true(node_path(&world->client, &path));
        if (moves.server_us == 0 && server_uses(world, other))
            moves.server_us = passed_us;
        if (moves.client_us == 0 && net_address_equal(&path.local, other))
            moves.client_us = passed_us;
    }
    return moves;
}

static void test_gaps_stay_under_200_ms_with_a_round_trip_of_60(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct two_ways world;
        two_ways_start(&world, seed);
        struct moves moves = leave(&world, 0);
        // ours are on their way for 30 ms, and so were the last ones on the old path
        assert_in_range(moves.server_us, 1, time_from_ms(170));
        assert_in_range(moves.client_us, 1, time_from_ms(200));
        assert_int_equal(counter(&world.server, ICE_FAILOVERS), 1);
        two_ways_end(&world);
    }
}

static void test_packets_that_come_unevenly_delay_little(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct two_ways world;
        two_ways_start(&world, seed);
        struct moves moves = leave(&world, time_from_ms(130));
        assert_in_range(moves.server_us, 1, time_from_ms(180));
        assert_in_range(moves.client_us, 1, time_from_ms(210));
        assert_int_equal(counter(&world.server, ICE_FAILOVERS), 1);
        two_ways_end(&world);
    }
}

static void test_questions_in_vain_are_rare(void **state)
{
    (void)state;
    struct ice_failover failover;
    uint64_t now_us = time_from_s(1), asked = 0;
    ice_failover_start(&failover, now_us);
    // pauses of 60 and 240 ms in turn: silence of 100 ms is usual
    const uint64_t end_us = now_us + time_from_s(60);
    for (bool long_one = false; now_us < end_us; long_one = !long_one) {
        now_us += time_from_ms(long_one ? 240 : 60);
        if (ice_failover_due_us(&failover) < now_us) {
            ice_failover_asked(&failover, ice_failover_due_us(&failover));
            asked++;
        }
        ice_failover_heard(&failover, now_us);
    }
    assert_in_range(asked, 60, 2 * 60);
}

static void test_a_path_has_the_time_that_answers_take_there(void **state)
{
    (void)state;
    struct ice_failover failover;
    uint64_t now_us = time_from_s(1);
    ice_failover_start(&failover, now_us);
    ice_failover_asked(&failover, now_us);
    assert_int_equal(ice_failover_decide_us(&failover, 0), TIME_NEVER);
    ice_failover_answered(&failover, now_us + time_from_ms(10), 1);
    assert_int_equal(ice_failover_decide_us(&failover, 0), now_us + ICE_FAILOVER_DECIDE_US);
    assert_int_equal(ice_failover_decide_us(&failover, 300000),
                     now_us + 300000 + ICE_FAILOVER_GRACE_US);
    ice_failover_heard(&failover, now_us + time_from_ms(300));
    assert_int_equal(ice_failover_decide_us(&failover, 300000), TIME_NEVER);
}

static void test_a_peer_that_only_stops_sending_stays(void **state)
{
    (void)state;
    struct two_ways world;
    two_ways_start(&world, 3);
    struct net_path before, after;
    assert_true(node_path(&world.server, &before));
    for (int i = 0; i < 5; i++) {
        talk(&world, time_from_s(8), STEP_US);
        network_run(world.net, time_from_s(20));
    }
    assert_true(node_path(&world.server, &after));
    assert_true(net_path_equal(&before, &after));
    assert_int_equal(counter(&world.server, ICE_FAILOVERS), 0);
    // asked when it became silent and little more: then its pauses are known to be long
    assert_in_range(counter(&world.server, ICE_SILENCES), 2, 5 * 4);
    assert_int_equal(world.claims, 0);
    two_ways_end(&world);
}

static void test_an_outage_of_all_paths_moves_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct two_ways world;
        two_ways_start(&world, seed);
        struct net_path before, after;
        assert_true(node_path(&world.server, &before));
        talk(&world, time_from_s(10), STEP_US);
        world.wifi_gone = world.mobile_gone = true;
        talk(&world, time_from_ms(300 + 97 * seed), STEP_US);
        assert_int_equal(counter(&world.server, ICE_SILENCES), 1);
        world.wifi_gone = world.mobile_gone = false;
        talk(&world, time_from_s(10), STEP_US);
        assert_true(node_path(&world.server, &after));
        assert_true(net_path_equal(&before, &after));
        assert_int_equal(counter(&world.server, ICE_FAILOVERS), 0);
        two_ways_end(&world);
    }
}

static void test_a_path_with_long_pauses_is_not_watched(void **state)
{
    (void)state;
    struct two_ways world;
    two_ways_start(&world, 5);
    talk(&world, time_from_s(60), time_from_ms(400));
    assert_int_equal(counter(&world.server, ICE_SILENCES), 0);
    world.wifi_gone = true;
    network_run(world.net, time_from_s(2));
    assert_int_equal(counter(&world.server, ICE_SILENCES), 0);
    two_ways_end(&world);
}

static void test_a_peer_that_does_not_follow_is_told_a_few_times(void **state)
{
    (void)state;
    struct two_ways world;
    two_ways_start(&world, 7);
    talk(&world, time_from_s(10), STEP_US);
    world.deaf = true;
    world.wifi_gone = server_uses(&world, &world.wifi);
    world.mobile_gone = !world.wifi_gone;
    talk(&world, time_from_s(3), STEP_US);
    assert_int_equal(counter(&world.server, ICE_FAILOVERS), 1);
    // ten, and the consent checks of this time
    assert_in_range(world.claims, 10, 14);
    two_ways_end(&world);
}

static void test_a_restart_ends_what_was_claimed(void **state)
{
    (void)state;
    struct two_ways world;
    two_ways_start(&world, 9);
    talk(&world, time_from_s(10), STEP_US);
    world.wifi_gone = server_uses(&world, &world.wifi);
    world.mobile_gone = !world.wifi_gone;
    talk(&world, IDLE_US, STEP_US);
    assert_int_equal(counter(&world.server, ICE_FAILOVERS), 1);
    const struct ice_credentials local = credentials("cli2", "againagainagainagainagain");
    const struct ice_credentials remote = credentials("srv2srv2", "twiceoverandovertwiceover");
    uint64_t now_us = network_now(world.net);
    assert_int_equal(ice_lite_restart(&world.server.lite, &remote, &local), 0);
    assert_int_equal(ice_agent_restart(world.client.full, &local), 0);
    assert_int_equal(ice_agent_set_remote(world.client.full, now_us, &remote, true), 0);
    full_add_remote(&world.client, &world.server_address);
    network_run(world.net, time_from_s(3));
    assert_int_equal(counter(&world.server, ICE_RESTARTS), 1);
    assert_true(ice_agent_controlling(world.client.full));
    assert_paths_meet(&world.client, &world.server);
    two_ways_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_path_takes_over_within_a_fraction_of_a_second),
        cmocka_unit_test(test_gaps_stay_under_200_ms_with_a_round_trip_of_60),
        cmocka_unit_test(test_packets_that_come_unevenly_delay_little),
        cmocka_unit_test(test_questions_in_vain_are_rare),
        cmocka_unit_test(test_a_path_has_the_time_that_answers_take_there),
        cmocka_unit_test(test_a_peer_that_only_stops_sending_stays),
        cmocka_unit_test(test_an_outage_of_all_paths_moves_nothing),
        cmocka_unit_test(test_a_path_with_long_pauses_is_not_watched),
        cmocka_unit_test(test_a_peer_that_does_not_follow_is_told_a_few_times),
        cmocka_unit_test(test_a_restart_ends_what_was_claimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
