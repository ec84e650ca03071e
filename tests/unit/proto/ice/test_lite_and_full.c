#include "world.h"

#define CONNECT_TIMEOUT_US time_from_s(40)

static void set_both_pipes(struct pair_world *world, const struct network_pipe_config *config)
{
    network_pipe_set(network_uplink(world->client.endpoint), config);
    network_pipe_set(network_downlink(world->client.endpoint), config);
}

static void cut_both_pipes(struct pair_world *world, bool cut)
{
    network_pipe_cut(network_uplink(world->client.endpoint), cut);
    network_pipe_cut(network_downlink(world->client.endpoint), cut);
}

static void connect(struct pair_world *world)
{
    assert_true(
        run_until_selected(world->net, &world->client, &world->server, 1, CONNECT_TIMEOUT_US));
    assert_paths_meet(&world->client, &world->server);
}

static void test_a_good_network_connects_in_two_round_trips_and_one_pace(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 1);
    set_both_pipes(&world, &(struct network_pipe_config){ .delay_us = 10000 });
    uint64_t begin_us = network_now(world.net);
    connect(&world);
    uint64_t took_us = network_now(world.net) - begin_us;
    assert_true(took_us <= 50000 + 2 * 20000);
    assert_true(net_address_equal(&world.server.events[0].path.remote, &world.client_address));
    network_run(world.net, time_from_s(1));
    assert_in_range(ice_agent_rtt_us(world.client.full), 20000, 20100);
    assert_in_range(ice_lite_rtt_us(&world.server.lite), 20000, 20100);
    world_end(&world);
}

static void test_bad_networks_connect_with_every_seed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct pair_world world;
        world_start(&world, seed);
        set_both_pipes(&world, &(struct network_pipe_config){
                                   .loss = 0.15,
                                   .duplicate = 0.2,
                                   .reorder = 0.2,
                                   .reorder_us = 80000,
                                   .delay_us = 60000,
                                   .jitter_us = 40000,
                                   .jitter_reorders = true,
                               });
        connect(&world);
        network_run(world.net, time_from_s(120));
        assert_int_equal(count_events(&world.client, ICE_EVENT_SELECTED), 1);
        assert_int_equal(count_events(&world.server, ICE_EVENT_SELECTED), 1);
        assert_int_equal(count_events(&world.client, ICE_EVENT_CONSENT_EXPIRED), 0);
        assert_int_equal(count_events(&world.server, ICE_EVENT_CONSENT_EXPIRED), 0);
        world_end(&world);
    }
}

static void test_a_run_is_the_same_with_the_same_seed(void **state)
{
    (void)state;
    uint64_t took_us[2];
    for (int i = 0; i < 2; i++) {
        struct pair_world world;
        world_start(&world, 5);
        set_both_pipes(&world, &(struct network_pipe_config){ .loss = 0.4, .jitter_us = 90000 });
        connect(&world);
        took_us[i] = network_now(world.net);
        world_end(&world);
    }
    assert_true(took_us[0] == took_us[1]);
}

static void test_consent_is_checked_about_every_five_seconds(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 2);
    connect(&world);
    network_run(world.net, time_from_s(600));
    // 600 s by 4 to 6 s
    assert_in_range(counter(&world.server, ICE_CONSENT_SENT), 100, 151);
    assert_in_range(counter(&world.client, ICE_CONSENT_SENT), 100, 151);
    assert_true(counter(&world.server, ICE_CONSENT_SENT) -
                    counter(&world.server, ICE_CONSENT_ANSWERED) <=
                1);
    assert_int_equal(world.server.event_count, 1);
    assert_int_equal(world.client.event_count, 1);
    world_end(&world);
}

static void test_a_cut_is_warned_of_and_mended_in_time(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 3);
    connect(&world);
    network_run(world.net, time_from_s(60));
    cut_both_pipes(&world, true);
    uint64_t cut_us = network_now(world.net);
    network_run(world.net, time_from_s(15));
    assert_int_equal(count_events(&world.server, ICE_EVENT_DISCONNECTED), 1);
    assert_in_range(last_event_time(&world.server, ICE_EVENT_DISCONNECTED) - cut_us,
                    ICE_DISCONNECT_US, time_from_s(12));
    assert_int_equal(count_events(&world.client, ICE_EVENT_DISCONNECTED), 1);
    struct net_path path;
    assert_true(node_path(&world.server, &path)); // a warning only
    cut_both_pipes(&world, false);
    uint64_t mended_us = network_now(world.net);
    network_run(world.net, time_from_s(5));
    assert_int_equal(count_events(&world.server, ICE_EVENT_RECONNECTED), 1);
    assert_true(last_event_time(&world.server, ICE_EVENT_RECONNECTED) - mended_us <= 1100000);
    assert_int_equal(count_events(&world.client, ICE_EVENT_RECONNECTED), 1);
    world_end(&world);
}

static void test_consent_expires_thirty_seconds_after_the_last_answer(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 4);
    connect(&world);
    network_run(world.net, time_from_s(60));
    cut_both_pipes(&world, true);
    uint64_t cut_us = network_now(world.net);
    network_run(world.net, time_from_s(60));
    for (int i = 0; i < 2; i++) {
        const struct node *node = i ? &world.server : &world.client;
        assert_int_equal(count_events(node, ICE_EVENT_CONSENT_EXPIRED), 1);
        assert_in_range(last_event_time(node, ICE_EVENT_CONSENT_EXPIRED) - cut_us, time_from_s(24),
                        time_from_s(30));
        struct net_path path;
        assert_false(node_path(node, &path)); // sending must stop
    }
    uint64_t sent = network_pipe_stats(network_uplink(world.server.endpoint))->entered;
    network_run(world.net, time_from_s(600));
    assert_true(network_pipe_stats(network_uplink(world.server.endpoint))->entered == sent);
    world_end(&world);
}

/** As a client's user sees it: the network is away for a minute, then an ICE restart. */
static void test_a_restart_revives_an_expired_connection(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 5);
    connect(&world);
    cut_both_pipes(&world, true);
    network_run(world.net, time_from_s(60));
    cut_both_pipes(&world, false);
    struct ice_credentials client = credentials("cli2", "client2client2client2cli");
    struct ice_credentials server = credentials("srv2srv2", "server2server2server2ser");
    assert_int_equal(ice_agent_restart(world.client.full, &client), 0);
    assert_int_equal(ice_lite_restart(&world.server.lite, &server, &client), 0);
    assert_int_equal(ice_agent_set_remote(world.client.full, network_now(world.net), &server, true),
                     0);
    full_add_remote(&world.client, &world.server_address);
    network_run(world.net, time_from_s(5));
    for (int i = 0; i < 2; i++) {
        const struct node *node = i ? &world.server : &world.client;
        assert_int_equal(count_events(node, ICE_EVENT_RESTARTED), 1);
        assert_int_equal(count_events(node, ICE_EVENT_RECONNECTED) +
                             count_events(node, ICE_EVENT_SELECTED),
                         i ? 2 : 3);
    }
    assert_paths_meet(&world.client, &world.server);
    world_end(&world);
}

static void test_old_credentials_hold_until_the_new_ones_are_used(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 6);
    connect(&world);
    network_run(world.net, time_from_s(10));
    // the server was told of a restart; the client takes 100 s to begin it
    struct ice_credentials client = credentials("cli2", "client2client2client2cli");
    struct ice_credentials server = credentials("srv2srv2", "server2server2server2ser");
    assert_int_equal(ice_lite_restart(&world.server.lite, &server, &client), 0);
    network_run(world.net, time_from_s(100));
    assert_int_equal(world.client.event_count, 1);
    assert_int_equal(world.server.event_count, 1);
    struct bytes current, next;
    ice_lite_ufrags(&world.server.lite, &current, &next);
    assert_true(text_equal(current, "srv1srv1"));
    assert_true(text_equal(next, "srv2srv2"));

    assert_int_equal(ice_agent_restart(world.client.full, &client), 0);
    // the old path serves while the new session has none yet
    struct net_path path;
    assert_true(node_path(&world.client, &path));
    assert_int_equal(ice_agent_set_remote(world.client.full, network_now(world.net), &server, true),
                     0);
    full_add_remote(&world.client, &world.server_address);
    network_run(world.net, time_from_s(60));
    ice_lite_ufrags(&world.server.lite, &current, &next);
    assert_true(text_equal(current, "srv2srv2"));
    assert_int_equal(next.size, 0);
    assert_int_equal(count_events(&world.server, ICE_EVENT_RESTARTED), 1);
    assert_int_equal(count_events(&world.client, ICE_EVENT_RESTARTED), 1);
    assert_int_equal(count_events(&world.server, ICE_EVENT_DISCONNECTED), 0);
    assert_int_equal(count_events(&world.client, ICE_EVENT_DISCONNECTED), 0);
    assert_paths_meet(&world.client, &world.server);
    world_end(&world);
}

static void test_a_restart_from_another_network_moves_the_path(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 7);
    connect(&world);
    network_run(world.net, time_from_s(10));
    network_unbind(world.client.endpoint, &world.client_address); // Wi-Fi is gone
    struct net_address mobile = net_address_ipv4(203, 0, 113, 9, 41000);
    full_add_local(&world.client, &mobile);
    struct ice_credentials client = credentials("cli2", "client2client2client2cli");
    struct ice_credentials server = credentials("srv2srv2", "server2server2server2ser");
    assert_int_equal(ice_agent_restart(world.client.full, &client), 0);
    assert_int_equal(ice_lite_restart(&world.server.lite, &server, &client), 0);
    assert_int_equal(ice_agent_set_remote(world.client.full, network_now(world.net), &server, true),
                     0);
    full_add_remote(&world.client, &world.server_address);
    assert_true(run_until_selected(world.net, &world.client, &world.server, 2, time_from_s(3)));
    struct net_path path;
    assert_true(node_path(&world.server, &path));
    assert_true(net_address_equal(&path.remote, &mobile));
    assert_paths_meet(&world.client, &world.server);
    world_end(&world);
}

static void test_a_nat_that_moves_the_client_moves_the_path(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 8);
    struct net_address outside = net_address_ipv4(203, 0, 113, 1, 50000);
    network_translate(world.client.endpoint, &world.client_address, &outside);
    assert_true(run_until_selected(world.net, &world.client, &world.server, 1, time_from_s(5)));
    struct net_path path;
    assert_true(node_path(&world.server, &path));
    assert_true(net_address_equal(&path.remote, &outside));
    network_run(world.net, time_from_s(20));
    outside.port = 50077;
    network_translate(world.client.endpoint, &world.client_address, &outside);
    network_run(world.net, time_from_s(10));
    assert_true(node_path(&world.server, &path));
    assert_true(net_address_equal(&path.remote, &outside));
    assert_int_equal(count_events(&world.server, ICE_EVENT_SELECTED), 2);
    assert_int_equal(count_events(&world.client, ICE_EVENT_DISCONNECTED), 0);
    world_end(&world);
}

static void test_the_client_takes_the_best_of_its_addresses(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 9);
    // a second address of the client, less preferred but quicker
    struct net_address second = net_address_ipv4(192, 0, 2, 2, 40001);
    full_add_local(&world.client, &second);
    struct net_address other = net_address_ipv4(198, 51, 100, 2, 3478);
    network_bind(world.server.endpoint, &other);
    full_add_remote(&world.client, &other);
    connect(&world);
    struct net_path path;
    assert_true(node_path(&world.client, &path));
    assert_true(net_address_equal(&path.local, &world.client_address));
    network_run(world.net, time_from_s(30));
    assert_int_equal(count_events(&world.server, ICE_EVENT_SELECTED), 1);
    world_end(&world);
}

static void test_the_best_pair_wins_though_another_is_quicker(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct pair_world world;
        world_start(&world, seed);
        set_both_pipes(&world, &(struct network_pipe_config){ .delay_us = 10000,
                                                              .jitter_us = 60000,
                                                              .jitter_reorders = true });
        for (uint8_t i = 2; i < 5; i++) {
            struct net_address address = net_address_ipv4(192, 0, 2, i, 40000);
            full_add_local(&world.client, &address);
        }
        connect(&world);
        struct net_path path;
        assert_true(node_path(&world.client, &path));
        assert_true(net_address_equal(&path.local, &world.client_address));
        world_end(&world);
    }
}

static enum network_verdict drop_first_address(void *owner, uint64_t now_us,
                                               const struct net_path *path, uint8_t *data,
                                               size_t size)
{
    (void)now_us, (void)data, (void)size;
    return net_address_equal(&path->local, owner) ? NETWORK_DROP : NETWORK_PASS;
}

static void test_a_dead_better_pair_is_not_waited_for_long(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 12);
    network_pipe_set(network_uplink(world.client.endpoint),
                     &(struct network_pipe_config){ .filter = drop_first_address,
                                                    .filter_owner = &world.client_address });
    struct net_address second = net_address_ipv4(192, 0, 2, 2, 40001);
    full_add_local(&world.client, &second);
    assert_true(run_until_selected(world.net, &world.client, &world.server, 1, time_from_ms(400)));
    struct net_path path;
    assert_true(node_path(&world.client, &path));
    assert_true(net_address_equal(&path.local, &second));
    world_end(&world);
}

static void test_a_client_that_thinks_it_is_controlled_is_put_right(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 10);
    // a client that was not told that the server is lite
    node_end(&world.client);
    const struct ice_credentials local = client_credentials(), remote = server_credentials();
    const struct ice_agent_config config = {
        .local = local,
        .controlling = false,
        .random = &world.client.random,
        .metrics = &world.client.metrics,
    };
    assert_int_equal(ice_agent_new(&config, &world.client.full), 0);
    assert_int_equal(ice_agent_add_local(world.client.full, &world.client_address), 0);
    assert_int_equal(
        ice_agent_set_remote(world.client.full, network_now(world.net), &remote, false), 0);
    full_add_remote(&world.client, &world.server_address);
    connect(&world);
    assert_true(ice_agent_controlling(world.client.full));
    assert_int_equal(counter(&world.server, ICE_ROLE_CONFLICTS), 1);
    world_end(&world);
}

static void test_failure_is_declared_when_nothing_answers(void **state)
{
    (void)state;
    struct pair_world world;
    world_start(&world, 11);
    cut_both_pipes(&world, true);
    ice_agent_end_of_candidates(world.client.full);
    // at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s
    network_run(world.net, time_from_ms(1400));
    assert_int_equal(counter(&world.client, ICE_CHECKS_SENT), 2);
    network_run(world.net, time_from_ms(2000));
    assert_int_equal(counter(&world.client, ICE_CHECKS_SENT), 3);
    network_run(world.net, time_from_ms(35600));
    assert_int_equal(world.client.event_count, 0);
    network_run(world.net, time_from_s(10));
    assert_int_equal(world.client.event_count, 1);
    assert_int_equal(world.client.events[0].kind, ICE_EVENT_FAILED);
    assert_int_equal(counter(&world.client, ICE_CHECKS_SENT), 7); // RFC 8489, section 6.2.1
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_network_connects_in_two_round_trips_and_one_pace),
        cmocka_unit_test(test_bad_networks_connect_with_every_seed),
        cmocka_unit_test(test_a_run_is_the_same_with_the_same_seed),
        cmocka_unit_test(test_consent_is_checked_about_every_five_seconds),
        cmocka_unit_test(test_a_cut_is_warned_of_and_mended_in_time),
        cmocka_unit_test(test_consent_expires_thirty_seconds_after_the_last_answer),
        cmocka_unit_test(test_a_restart_revives_an_expired_connection),
        cmocka_unit_test(test_old_credentials_hold_until_the_new_ones_are_used),
        cmocka_unit_test(test_a_restart_from_another_network_moves_the_path),
        cmocka_unit_test(test_a_nat_that_moves_the_client_moves_the_path),
        cmocka_unit_test(test_the_client_takes_the_best_of_its_addresses),
        cmocka_unit_test(test_the_best_pair_wins_though_another_is_quicker),
        cmocka_unit_test(test_a_dead_better_pair_is_not_waited_for_long),
        cmocka_unit_test(test_a_client_that_thinks_it_is_controlled_is_put_right),
        cmocka_unit_test(test_failure_is_declared_when_nothing_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
