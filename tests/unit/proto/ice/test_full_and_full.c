#include "world.h"

#include <errno.h>

#include "proto/stun/stun.h"

/** Two full agents that were told of each other. */
struct full_world {
    struct network *net;
    struct node a, b;
    struct net_address a_address, b_address;
};

static void exchange(struct node *from, struct node *to, const struct ice_credentials *of_from)
{
    assert_int_equal(ice_agent_set_remote(to->full, network_now(to->net), of_from, false), 0);
    const struct ice_candidate *candidate;
    for (size_t i = 0; (candidate = ice_agent_local(from->full, i)); i++) {
        // as it would be signaled
        char line[ICE_CANDIDATE_TEXT_MAX];
        struct text_builder text = text_builder_of(line, sizeof(line));
        ice_candidate_write(candidate, &text);
        struct ice_candidate parsed;
        assert_int_equal(ice_candidate_parse(bytes_of_text(line), &parsed), 0);
        assert_int_equal(ice_agent_add_remote(to->full, network_now(to->net), &parsed), 0);
    }
}

static void full_world_start(struct full_world *world, uint64_t seed, bool a_controls,
                             bool b_controls)
{
    world->net = network_new(seed);
    const struct ice_credentials a = client_credentials(), b = server_credentials();
    full_start(&world->a, world->net, &a, a_controls, seed + 100);
    full_start(&world->b, world->net, &b, b_controls, seed + 200);
    world->a_address = net_address_ipv4(192, 0, 2, 1, 40000);
    world->b_address = net_address_ipv4(192, 0, 2, 2, 40000);
    full_add_local(&world->a, &world->a_address);
    full_add_local(&world->b, &world->b_address);
}

static void exchange_both(struct full_world *world)
{
    const struct ice_credentials a = client_credentials(), b = server_credentials();
    exchange(&world->a, &world->b, &a);
    exchange(&world->b, &world->a, &b);
}

static void full_world_end(struct full_world *world)
{
    node_end(&world->a);
    node_end(&world->b);
    network_free(world->net);
}

static void connect(struct full_world *world)
{
    assert_true(run_until_selected(world->net, &world->a, &world->b, 1, time_from_s(40)));
    assert_paths_meet(&world->a, &world->b);
    assert_true(ice_agent_controlling(world->a.full) != ice_agent_controlling(world->b.full));
}

static void test_two_full_agents_connect(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 1, true, false);
    exchange_both(&world);
    connect(&world);
    network_run(world.net, time_from_s(100));
    assert_int_equal(world.a.event_count, 1);
    assert_int_equal(world.b.event_count, 1);
    full_world_end(&world);
}

static void test_role_conflicts_are_resolved_with_every_seed(void **state)
{
    (void)state;
    const struct network_pipe_config bad = { .loss = 0.1, .delay_us = 30000, .jitter_us = 30000 };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        for (int controlling = 0; controlling < 2; controlling++) {
            struct full_world world;
            full_world_start(&world, seed, controlling, controlling);
            network_pipe_set(network_uplink(world.a.endpoint), &bad);
            network_pipe_set(network_uplink(world.b.endpoint), &bad);
            exchange_both(&world);
            connect(&world);
            assert_true(
                counter(&world.a, ICE_ROLE_CONFLICTS) + counter(&world.b, ICE_ROLE_CONFLICTS) > 0);
            network_run(world.net, time_from_s(60));
            assert_paths_meet(&world.a, &world.b);
            assert_int_equal(count_events(&world.a, ICE_EVENT_CONSENT_EXPIRED), 0);
            full_world_end(&world);
        }
    }
}

/** RFC 8445, section 7.3.1.1, case by case: no tie-breaker is below 0 or above the largest. */
static void test_the_larger_tie_breaker_controls(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        bool controlling = i & 1, larger = i & 2; // ours
        struct full_world world;
        full_world_start(&world, 20 + i, controlling, false);
        uint8_t out[256];
        struct stun_writer writer;
        stun_writer_start(&writer, out, sizeof(out), STUN_REQUEST, STUN_BINDING,
                          (const uint8_t *)"123456789012");
        stun_write_bytes(&writer, STUN_USERNAME, bytes_of_text("cli1:srv1srv1"));
        stun_write_u32(&writer, STUN_PRIORITY, 1);
        stun_write_u64(&writer, controlling ? STUN_ICE_CONTROLLING : STUN_ICE_CONTROLLED,
                       larger ? 0 : UINT64_MAX);
        stun_write_integrity(&writer, client_credentials().pwd);
        stun_write_fingerprint(&writer);
        struct net_path path = { world.a_address, world.b_address };
        assert_int_equal(
            ice_agent_input(world.a.full, 1, &path, bytes_of(out, stun_writer_finish(&writer))), 0);
        assert_int_equal(ice_agent_controlling(world.a.full), larger);
        struct datagram_batch batch;
        datagram_batch_init(&batch, 4096, 4);
        ice_agent_output(world.a.full, 1, &batch);
        struct stun_message answer;
        assert_int_equal(stun_message_parse(bytes_of(batch.bytes, batch.used), &answer), 0);
        // refused when our role stays
        assert_int_equal(answer.class, controlling == larger ? STUN_ERROR : STUN_SUCCESS);
        datagram_batch_done(&batch);
        full_world_end(&world);
    }
}

static void test_many_addresses_end_on_the_pair_of_highest_priority(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 2, true, false);
    for (uint8_t i = 0; i < 5; i++) {
        struct net_address a = net_address_ipv4(192, 0, 2, (uint8_t)(10 + i), 40000);
        struct net_address b = net_address_ipv4(192, 0, 2, (uint8_t)(20 + i), 40000);
        full_add_local(&world.a, &a);
        full_add_local(&world.b, &b);
    }
    exchange_both(&world);
    connect(&world);
    struct net_path path;
    assert_true(node_path(&world.a, &path));
    assert_true(net_address_equal(&path.local, &world.a_address));
    assert_true(net_address_equal(&path.remote, &world.b_address));
    full_world_end(&world);
}

static enum network_verdict refuse_link_local(void *owner, uint64_t now_us,
                                              const struct net_path *path, uint8_t *data,
                                              size_t size)
{
    (void)owner, (void)now_us, (void)data, (void)size;
    assert_true(net_address_is_link_local(&path->local) ==
                net_address_is_link_local(&path->remote));
    return NETWORK_PASS;
}

static void test_ipv6_is_paired_with_ipv6_only(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 3, true, false);
    struct net_address a, b, link_local;
    assert_int_equal(net_address_parse_ip("2001:db8::1", 41000, &a), 0);
    assert_int_equal(net_address_parse_ip("2001:db8::2", 41000, &b), 0);
    assert_int_equal(net_address_parse_ip("fe80::2", 41000, &link_local), 0);
    full_add_local(&world.a, &a);
    full_add_local(&world.b, &b);
    full_add_local(&world.b, &link_local);
    network_pipe_set(network_uplink(world.a.endpoint),
                     &(struct network_pipe_config){ .filter = refuse_link_local });
    // IPv4 is broken
    network_unbind(world.b.endpoint, &world.b_address);
    exchange_both(&world);
    connect(&world);
    struct net_path path;
    assert_true(node_path(&world.a, &path));
    assert_true(net_address_equal(&path.remote, &b));
    full_world_end(&world);
}

/** Candidates of B's only come from its checks, and its early ones come before A knows B at all. */
static void test_early_checks_and_peer_reflexive_candidates_suffice(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 4, true, false);
    struct net_address outside = net_address_ipv4(203, 0, 113, 5, 55555);
    network_translate(world.b.endpoint, &world.b_address, &outside);
    const struct ice_credentials a = client_credentials(), b = server_credentials();
    exchange(&world.a, &world.b, &a);
    network_run(world.net, time_from_s(1));
    assert_int_equal(world.a.event_count, 0);
    assert_int_equal(ice_agent_set_remote(world.a.full, network_now(world.net), &b, false), 0);
    assert_true(run_until_selected(world.net, &world.a, &world.b, 1, time_from_s(10)));
    struct net_path path;
    assert_true(node_path(&world.a, &path));
    assert_true(net_address_equal(&path.remote, &outside));
    full_world_end(&world);
}

static void test_both_behind_translation_find_each_other(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 5, true, false);
    struct net_address a_outside = net_address_ipv4(203, 0, 113, 1, 50001);
    struct net_address b_outside = net_address_ipv4(203, 0, 113, 2, 50002);
    network_translate(world.a.endpoint, &world.a_address, &a_outside);
    network_translate(world.b.endpoint, &world.b_address, &b_outside);
    exchange_both(&world); // host candidates, of no use behind a NAT
    full_add_remote(&world.a, &b_outside);
    full_add_remote(&world.b, &a_outside);
    assert_true(run_until_selected(world.net, &world.a, &world.b, 1, time_from_s(10)));
    struct net_path path;
    assert_true(node_path(&world.a, &path));
    assert_true(net_address_equal(&path.remote, &b_outside));
    assert_true(node_path(&world.b, &path));
    assert_true(net_address_equal(&path.remote, &a_outside));
    network_run(world.net, time_from_s(60));
    assert_int_equal(count_events(&world.a, ICE_EVENT_DISCONNECTED), 0);
    full_world_end(&world);
}

static void test_candidates_may_trickle_for_long(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 6, true, false);
    const struct ice_credentials a = client_credentials(), b = server_credentials();
    assert_int_equal(ice_agent_set_remote(world.a.full, network_now(world.net), &b, false), 0);
    assert_int_equal(ice_agent_set_remote(world.b.full, network_now(world.net), &a, false), 0);
    struct net_address nowhere = net_address_ipv4(192, 0, 2, 99, 9);
    full_add_remote(&world.a, &nowhere);
    network_run(world.net, time_from_s(120)); // its check has failed by now
    assert_int_equal(world.a.event_count, 0);
    full_add_remote(&world.a, &world.b_address);
    ice_agent_end_of_candidates(world.a.full);
    connect(&world);
    full_world_end(&world);
}

static void test_a_check_of_the_peer_revives_a_failed_pair(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 12, true, false);
    const struct ice_credentials a = client_credentials(), b = server_credentials();
    exchange(&world.b, &world.a, &b);
    network_pipe_cut(network_uplink(world.a.endpoint), true);
    network_run(world.net, time_from_s(60));
    assert_int_equal(counter(&world.a, ICE_CHECKS_SENT), 7);
    network_pipe_cut(network_uplink(world.a.endpoint), false);
    network_run(world.net, time_from_s(60));
    assert_int_equal(counter(&world.a, ICE_CHECKS_SENT), 7);
    exchange(&world.a, &world.b, &a); // only now may B begin
    assert_true(run_until_selected(world.net, &world.a, &world.b, 1, time_from_s(1)));
    full_world_end(&world);
}

static void test_useless_candidates_are_taken_without_error(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 7, true, false);
    const char *lines[] = {
        "candidate:1 1 udp 2122260223 6ba3d0a1-9a3f-4c0e-9f9c-0d7d5a5b5b5b.local 5000 typ host",
        "candidate:1 1 tcp 1518280447 192.0.2.9 9 typ host tcptype active",
        "candidate:1 2 udp 2122260222 192.0.2.9 5001 typ host",
        "candidate:1 1 udp 2122260222 192.0.2.9 0 typ host",
    };
    for (size_t i = 0; i < array_size(lines); i++) {
        struct ice_candidate candidate;
        assert_int_equal(ice_candidate_parse(bytes_of_text(lines[i]), &candidate), 0);
        assert_int_equal(ice_agent_add_remote(world.a.full, network_now(world.net), &candidate), 0);
    }
    exchange_both(&world);
    connect(&world);
    assert_int_equal(network_unroutable(world.net), 0);
    full_world_end(&world);
}

static void test_lists_are_bounded(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 8, true, false);
    assert_int_equal(ice_agent_add_local(world.a.full, &world.a_address), -EEXIST);
    for (int i = 1; i < ICE_AGENT_LOCAL_MAX; i++) {
        struct net_address address = net_address_ipv4(192, 0, 3, (uint8_t)i, 40000);
        full_add_local(&world.a, &address);
    }
    struct net_address more = net_address_ipv4(192, 0, 2, 1, 50000);
    assert_int_equal(ice_agent_add_local(world.a.full, &more), -ENOSPC);
    for (int i = 0; i < ICE_AGENT_REMOTE_MAX + 10; i++) {
        struct net_address address = net_address_ipv4(192, 0, 4, (uint8_t)i, 1000);
        const struct ice_candidate candidate = ice_candidate_host(&address, (uint16_t)i);
        assert_int_equal(ice_agent_add_remote(world.a.full, network_now(world.net), &candidate),
                         i < ICE_AGENT_REMOTE_MAX ? 0 : -ENOSPC);
    }
    const struct ice_credentials b = server_credentials();
    assert_int_equal(ice_agent_set_remote(world.a.full, network_now(world.net), &b, false), 0);
    network_run(world.net, time_from_s(1200));
    // 128 pairs, each sent 7 times
    assert_int_equal(counter(&world.a, ICE_CHECKS_SENT), ICE_AGENT_PAIRS_MAX * 7);
    full_world_end(&world);
}

static void test_checks_are_paced(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 9, true, false);
    for (uint8_t i = 0; i < 50; i++) {
        struct net_address address = net_address_ipv4(192, 0, 4, i, 1000);
        full_add_remote(&world.a, &address);
    }
    const struct ice_credentials b = server_credentials();
    assert_int_equal(ice_agent_set_remote(world.a.full, network_now(world.net), &b, false), 0);
    network_run(world.net, time_from_ms(1000));
    // one at the start and one every 50 ms; the RTO of so many is beyond a second
    assert_int_equal(counter(&world.a, ICE_CHECKS_SENT), 21);
    full_world_end(&world);
}

static void test_both_sides_restart_while_media_goes_on(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 10, true, false);
    exchange_both(&world);
    connect(&world);
    network_run(world.net, time_from_s(10));
    struct ice_credentials a = credentials("anew", "anewanewanewanewanewanew");
    struct ice_credentials b = credentials("bnew", "bnewbnewbnewbnewbnewbnew");
    assert_int_equal(ice_agent_restart(world.a.full, &a), 0);
    network_run(world.net, time_from_s(3)); // the offer travels
    struct net_path path;
    assert_true(node_path(&world.a, &path));
    assert_int_equal(ice_agent_restart(world.b.full, &b), 0);
    exchange(&world.a, &world.b, &a);
    network_run(world.net, time_from_s(3)); // the answer travels
    assert_true(node_path(&world.b, &path));
    exchange(&world.b, &world.a, &b);
    assert_true(run_until_selected(world.net, &world.a, &world.b, 2, time_from_s(10)));
    assert_paths_meet(&world.a, &world.b);
    network_run(world.net, time_from_s(60));
    assert_int_equal(count_events(&world.a, ICE_EVENT_RESTARTED), 1);
    assert_int_equal(count_events(&world.b, ICE_EVENT_RESTARTED), 1);
    assert_int_equal(count_events(&world.a, ICE_EVENT_DISCONNECTED), 0);
    assert_int_equal(count_events(&world.b, ICE_EVENT_DISCONNECTED), 0);
    full_world_end(&world);
}

static void test_the_same_credentials_again_are_no_restart(void **state)
{
    (void)state;
    struct full_world world;
    full_world_start(&world, 11, true, false);
    exchange_both(&world);
    connect(&world);
    exchange_both(&world); // another offer and answer of the same session
    network_run(world.net, time_from_s(30));
    assert_int_equal(world.a.event_count, 1);
    assert_int_equal(world.b.event_count, 1);
    assert_paths_meet(&world.a, &world.b);
    full_world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_full_agents_connect),
        cmocka_unit_test(test_role_conflicts_are_resolved_with_every_seed),
        cmocka_unit_test(test_the_larger_tie_breaker_controls),
        cmocka_unit_test(test_many_addresses_end_on_the_pair_of_highest_priority),
        cmocka_unit_test(test_ipv6_is_paired_with_ipv6_only),
        cmocka_unit_test(test_early_checks_and_peer_reflexive_candidates_suffice),
        cmocka_unit_test(test_both_behind_translation_find_each_other),
        cmocka_unit_test(test_candidates_may_trickle_for_long),
        cmocka_unit_test(test_a_check_of_the_peer_revives_a_failed_pair),
        cmocka_unit_test(test_useless_candidates_are_taken_without_error),
        cmocka_unit_test(test_lists_are_bounded),
        cmocka_unit_test(test_checks_are_paced),
        cmocka_unit_test(test_both_sides_restart_while_media_goes_on),
        cmocka_unit_test(test_the_same_credentials_again_are_no_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
