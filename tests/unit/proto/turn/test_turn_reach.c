// Permissions and channels: CreatePermission (RFC 8656 section 10), ChannelBind (section 12).
#include "support/check.h"
#include "support/turn_client.h"

#define PEER       "46.4.0.9:1000"
#define PEER_AGAIN "46.4.0.9:2000"
#define OTHER      "46.4.0.10:1000"
#define PEER6      "[2a02:8108::9]:1000"

static struct turn_world world;

static int teardown(void **state)
{
    (void)state;
    turn_world_done(&world);
    return 0;
}

/** With an allocation. */
static struct turn_client alice(const struct turn_world_options *options)
{
    turn_world_init(&world, options);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    ensure(turn_client_allocate(&client) == 0);
    return client;
}

static void a_permission_is_for_an_ip_and_any_port(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_false(turn_client_reaches(&client, PEER));
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    assert_true(turn_client_reaches(&client, PEER));
    assert_true(turn_client_reaches(&client, PEER_AGAIN));
    assert_false(turn_client_reaches(&client, OTHER));
}

static void a_permission_lasts_five_minutes_and_is_refreshed(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    turn_world_pass_s(&world, 200);
    assert_int_equal(turn_client_permit(&client, PEER_AGAIN), 0);
    turn_world_pass_s(&world, 299);
    assert_true(turn_client_reaches(&client, PEER));
    turn_world_pass_s(&world, 1);
    assert_false(turn_client_reaches(&client, PEER));
}

static void data_does_not_refresh_a_permission(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    for (int i = 0; i < 30; i++) {
        turn_world_pass_s(&world, 9);
        assert_true(turn_client_reaches(&client, PEER));
    }
    turn_world_pass_s(&world, 30);
    assert_false(turn_client_reaches(&client, PEER));
}

static void permissions_are_of_one_allocation(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    struct turn_client other = turn_client_of(&world, "203.1.2.3:5001", TURN_UDP);
    assert_int_equal(turn_client_allocate(&other), 0);
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    assert_false(turn_client_reaches(&other, PEER));
}

static void one_request_permits_several_peers(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    turn_client_start(&client, STUN_CREATE_PERMISSION);
    turn_client_peer(&client, PEER);
    turn_client_peer(&client, OTHER);
    turn_client_peer(&client, "46.4.0.11:0");
    assert_int_equal(turn_client_ask(&client), 0);
    assert_true(turn_client_reaches(&client, PEER));
    assert_true(turn_client_reaches(&client, OTHER));
    assert_true(turn_client_reaches(&client, "46.4.0.11:9"));
}

static void one_bad_peer_and_none_is_permitted(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    turn_client_start(&client, STUN_CREATE_PERMISSION);
    turn_client_peer(&client, PEER);
    turn_client_peer(&client, "10.0.0.1:1");
    assert_int_equal(turn_client_ask(&client), 403);
    assert_false(turn_client_reaches(&client, PEER));
    assert_int_equal(world.opened, 0);
    turn_client_start(&client, STUN_CREATE_PERMISSION);
    turn_client_peer(&client, PEER);
    turn_client_peer(&client, PEER6);
    assert_int_equal(turn_client_ask(&client), 443);
    assert_false(turn_client_reaches(&client, PEER));
}

static void create_permission_without_or_with_a_malformed_peer_is_400(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    turn_client_start(&client, STUN_CREATE_PERMISSION);
    assert_int_equal(turn_client_ask(&client), 400);
    turn_client_start(&client, STUN_CREATE_PERMISSION);
    turn_client_peer(&client, PEER);
    stun_write_bytes(&client.writer, STUN_XOR_PEER_ADDRESS, bytes_of("\0\1\0\1\0\0", 6));
    assert_int_equal(turn_client_ask(&client), 400);
    turn_client_start(&client, STUN_CREATE_PERMISSION);
    stun_write_bytes(&client.writer, STUN_XOR_PEER_ADDRESS, bytes_of("\0\3\0\1\0\0\0\0", 8));
    assert_int_equal(turn_client_ask(&client), 400);
    assert_false(turn_client_reaches(&client, PEER));
}

static void a_peer_of_another_family_is_443(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_permit(&client, PEER6), 443);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER6), 443);
}

static void a_refused_peer_is_403_and_told_with_rule_and_remedy(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_permit(&client, "192.168.1.1:80"), 403);
    assert_int_equal(world.refused, 1);
    assert_int_equal(world.decision.verdict, TURN_PEER_DENIED);
    assert_int_equal(turn_client_bind(&client, 0x4000, "192.168.1.1:80"), 403);
    assert_int_equal(world.refused, 2);
    assert_int_equal(world.opened, 0);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_REFUSED_PEERS), 2);
}

static void the_limit_of_permissions_is_508_and_expired_ones_make_room(void **state)
{
    (void)state;
    struct turn_client client =
        alice(&(struct turn_world_options){ .settings = { .permissions_max = 3 } });
    assert_int_equal(turn_client_permit(&client, "46.4.1.1:1"), 0);
    assert_int_equal(turn_client_permit(&client, "46.4.1.2:1"), 0);
    assert_int_equal(turn_client_permit(&client, "46.4.1.3:1"), 0);
    assert_int_equal(turn_client_permit(&client, "46.4.1.4:1"), 508);
    assert_int_equal(turn_client_permit(&client, "46.4.1.3:1"), 0); // known: a refresh
    turn_world_pass_s(&world, 200);
    assert_int_equal(turn_client_permit(&client, "46.4.1.3:1"), 0);
    turn_world_pass_s(&world, 100);
    assert_int_equal(turn_client_permit(&client, "46.4.1.4:1"), 0);
    assert_true(turn_client_reaches(&client, "46.4.1.3:1"));
    assert_true(turn_client_reaches(&client, "46.4.1.4:1"));
    assert_false(turn_client_reaches(&client, "46.4.1.1:1"));
}

static void a_socket_is_opened_with_the_first_permission_and_once(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    assert_int_equal(world.opened, 1);
    assert_false(world.opened_tcp);
    assert_true(net_address_equal(&world.relay->told, &client.relayed[0]));
    struct net_address bind = turn_world_address("10.9.9.9:0");
    assert_true(net_address_same_ip(&world.relay->bind, &bind));
    assert_int_equal(world.relay->bind.port, client.relayed[0].port);
    assert_int_equal(turn_client_permit(&client, OTHER), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, OTHER), 0);
    assert_int_equal(world.opened, 1);
}

static void no_socket_is_508(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    world.open_error = -EMFILE;
    assert_int_equal(turn_client_permit(&client, PEER), 508);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 508);
    assert_false(turn_client_reaches(&client, PEER));
    world.open_error = 0;
    assert_int_equal(turn_client_permit(&client, PEER), 0);
}

static void a_channel_carries_data_both_ways(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    struct turn_deliver deliver;
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    assert_true(turn_client_channel(&client, 0x4000, "hello"));
    struct net_address peer = turn_world_address(PEER);
    assert_true(net_address_equal(&client.forward.peer, &peer));
    assert_true(text_equal(client.forward.payload, "hello"));
    assert_ptr_equal(client.forward.relay, turn_client_relay(&client, 0));
    assert_int_equal(client.forward.place, TURN_PLACE_OUTSIDE);
    assert_true(turn_peer_send(&client, PEER, 5, &deliver));
    assert_int_equal(deliver.header_size, 4);
    assert_int_equal(load_u16(deliver.header), 0x4000);
    assert_int_equal(load_u16(deliver.header + 2), 5);
    assert_int_equal(deliver.padding, 0);
    assert_true(net_path_equal(&deliver.client->path, &client.source.path));
}

static void channel_numbers_are_0x4000_to_0x7ffe(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_bind(&client, 0x3fff, PEER), 400);
    assert_int_equal(turn_client_bind(&client, 0x7fff, PEER), 400);
    assert_int_equal(turn_client_bind(&client, 0xffff, PEER), 400);
    assert_int_equal(turn_client_bind(&client, 0, PEER), 400);
    assert_int_equal(turn_client_bind(&client, 0x7ffe, PEER), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, OTHER), 0);
    assert_true(turn_client_channel(&client, 0x7ffe, "x"));
    assert_true(turn_client_channel(&client, 0x4000, "x"));
}

static void channel_bind_needs_number_and_peer(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    turn_client_start(&client, STUN_CHANNEL_BIND);
    turn_client_peer(&client, PEER);
    assert_int_equal(turn_client_ask(&client), 400);
    turn_client_start(&client, STUN_CHANNEL_BIND);
    stun_write_u32(&client.writer, STUN_CHANNEL_NUMBER, 0x4000u << 16);
    assert_int_equal(turn_client_ask(&client), 400);
    turn_client_start(&client, STUN_CHANNEL_BIND);
    stun_write_bytes(&client.writer, STUN_CHANNEL_NUMBER, bytes_of("\x40\0", 2));
    turn_client_peer(&client, PEER);
    assert_int_equal(turn_client_ask(&client), 400);
    assert_int_equal(turn_client_bind(&client, 0x4000, "46.4.0.9:0"), 400);
}

static void a_bound_number_refuses_another_peer(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, OTHER), 400);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER_AGAIN), 400); // another port
}

static void a_bound_peer_refuses_another_number(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    assert_int_equal(turn_client_bind(&client, 0x4001, PEER), 400);
    assert_int_equal(turn_client_bind(&client, 0x4001, PEER_AGAIN), 0);
}

static void a_refused_channel_bind_leaves_no_permission(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, OTHER), 400);
    assert_false(turn_client_reaches(&client, OTHER));
}

static void a_channel_lasts_ten_minutes_and_is_refreshed(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_refresh(&client, 3600), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    turn_world_pass_s(&world, 400);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    turn_world_pass_s(&world, 599);
    assert_true(turn_client_channel(&client, 0x4000, "x"));
    turn_world_pass_s(&world, 1);
    assert_false(turn_client_channel(&client, 0x4000, "x"));
}

static void an_expired_binding_blocks_others_for_five_minutes_more(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_refresh(&client, 3600), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    turn_world_pass_s(&world, 899);
    assert_int_equal(turn_client_bind(&client, 0x4000, OTHER), 400);
    assert_int_equal(turn_client_bind(&client, 0x4001, PEER), 400);
    turn_world_pass_s(&world, 1);
    assert_int_equal(turn_client_bind(&client, 0x4000, OTHER), 0);
    assert_int_equal(turn_client_bind(&client, 0x4001, PEER), 0);
    assert_true(turn_client_channel(&client, 0x4000, "x"));
    struct net_address peer = turn_world_address(OTHER);
    assert_true(net_address_equal(&client.forward.peer, &peer));
}

static void an_expired_binding_may_be_bound_again_as_it_was(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_refresh(&client, 3600), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    turn_world_pass_s(&world, 700);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    assert_true(turn_client_channel(&client, 0x4000, "x"));
}

static void a_channel_bind_installs_and_refreshes_the_permission(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    assert_true(turn_client_reaches(&client, PEER_AGAIN));
    turn_world_pass_s(&world, 299);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    turn_world_pass_s(&world, 299);
    assert_true(turn_client_reaches(&client, PEER));
}

static void a_channels_permission_ends_before_the_channel(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    struct turn_deliver deliver;
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    turn_world_pass_s(&world, 301);
    assert_false(turn_peer_send(&client, PEER, 5, &deliver));
    // a permission brings the channel back
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    assert_true(turn_peer_send(&client, PEER, 5, &deliver));
    assert_int_equal(deliver.header_size, 4);
}

static void a_channel_keeps_its_expired_permission_in_place(void **state)
{
    (void)state;
    struct turn_client client =
        alice(&(struct turn_world_options){ .settings = { .permissions_max = 2 } });
    struct net_address peer = turn_world_address(PEER);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    assert_int_equal(turn_client_permit(&client, PEER), 0); // by a request of its own too
    turn_world_pass_s(&world, 301);
    // what is removed to make room is not what the channel rests on
    assert_int_equal(turn_client_permit(&client, "46.4.1.1:1"), 0);
    assert_int_equal(turn_client_permit(&client, "46.4.1.2:1"), 508);
    assert_true(turn_client_channel(&client, 0x4000, "x"));
    assert_true(net_address_equal(&client.forward.peer, &peer));
    assert_false(turn_client_reaches(&client, PEER));
}

static void the_permission_of_a_forgotten_channel_makes_room(void **state)
{
    (void)state;
    struct turn_client client =
        alice(&(struct turn_world_options){ .settings = { .permissions_max = 2 } });
    assert_int_equal(turn_client_refresh(&client, 3600), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    assert_int_equal(turn_client_bind(&client, 0x4001, OTHER), 0);
    turn_world_pass_s(&world, 901);
    assert_int_equal(turn_client_permit(&client, "46.4.1.1:1"), 0);
    assert_int_equal(turn_client_permit(&client, "46.4.1.2:1"), 0);
    assert_int_equal(turn_client_permit(&client, "46.4.1.3:1"), 508);
}

static void data_comes_as_indication_after_the_channel_has_expired(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    struct turn_deliver deliver;
    assert_int_equal(turn_client_refresh(&client, 3600), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    turn_world_pass_s(&world, 601);
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    assert_true(turn_peer_send(&client, PEER, 5, &deliver));
    assert_int_equal(deliver.header_size, 36);
}

static void the_limit_of_channels_is_508(void **state)
{
    (void)state;
    struct turn_client client =
        alice(&(struct turn_world_options){ .settings = { .channels_max = 2 } });
    assert_int_equal(turn_client_refresh(&client, 3600), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, "46.4.1.1:1"), 0);
    assert_int_equal(turn_client_bind(&client, 0x4001, "46.4.1.2:1"), 0);
    assert_int_equal(turn_client_bind(&client, 0x4002, "46.4.1.3:1"), 508);
    assert_int_equal(turn_client_bind(&client, 0x4001, "46.4.1.2:1"), 0);
    turn_world_pass_s(&world, 901);
    assert_int_equal(turn_client_bind(&client, 0x4002, "46.4.1.3:1"), 0);
}

static void hundreds_of_channels_and_permissions_are_told_apart(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    struct turn_deliver deliver;
    char peer[NET_ADDRESS_TEXT_MAX];
    assert_int_equal(turn_client_refresh(&client, 3600), 0);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 256; i++) {
            snprintf(peer, sizeof(peer), "46.4.%u.%u:%u", i % 16, i / 16 + 1, 1000 + i);
            // numbers far apart and close together
            uint16_t number = (uint16_t)(0x4000 + (i * 16 % 4096) + i / 256 + i / 16 % 16);
            assert_int_equal(turn_client_bind(&client, number, peer), 0);
        }
        for (unsigned i = 0; i < 256; i++) {
            snprintf(peer, sizeof(peer), "46.4.%u.%u:%u", i % 16, i / 16 + 1, 1000 + i);
            uint16_t number = (uint16_t)(0x4000 + (i * 16 % 4096) + i / 256 + i / 16 % 16);
            struct net_address address = turn_world_address(peer);
            assert_true(turn_client_channel(&client, number, "x"));
            assert_true(net_address_equal(&client.forward.peer, &address));
            assert_true(turn_peer_send(&client, peer, 9, &deliver));
            assert_int_equal(load_u16(deliver.header), number);
        }
        assert_int_equal(turn_client_bind(&client, 0x4001, "46.5.1.1:1"), 508);
        turn_world_pass_s(&world, 901);
    }
}

static void a_reload_that_denies_a_peer_stops_it_at_once(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    struct turn_deliver deliver;
    struct turn_network denied;
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    assert_true(turn_client_channel(&client, 0x4000, "x"));
    assert_int_equal(turn_network_parse("46.4.0.0/16", &denied), 0);
    world.options.settings.peers.denied = &denied;
    world.options.settings.peers.denied_count = 1;
    turn_world_reload(&world);
    assert_false(turn_client_channel(&client, 0x4000, "x"));
    assert_false(turn_client_send(&client, PEER, "x"));
    assert_false(turn_peer_send(&client, PEER, 5, &deliver));
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_PEER_DENIED), 3);
    assert_int_equal(turn_server_allocation_count(world.server), 1);
}

static void a_reload_that_allows_an_own_address_opens_the_socket_it_needs(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    struct turn_network allowed;
    assert_int_equal(turn_client_permit(&client, "51.15.0.77:53"), 0);
    assert_false(turn_client_send(&client, "51.15.0.77:53", "x"));
    assert_int_equal(world.opened, 0);
    assert_int_equal(turn_network_parse("51.15.0.77", &allowed), 0);
    world.options.settings.peers.allowed = &allowed;
    world.options.settings.peers.allowed_count = 1;
    turn_world_reload(&world);
    world.open_error = -EMFILE;
    assert_false(turn_client_send(&client, "51.15.0.77:53", "x"));
    world.open_error = 0;
    assert_true(turn_client_send(&client, "51.15.0.77:53", "x"));
    assert_int_equal(client.forward.place, TURN_PLACE_OUTSIDE);
    assert_int_equal(world.opened, 1);
}

static void an_allow_rule_opens_a_private_network(void **state)
{
    (void)state;
    struct turn_network allowed;
    assert_int_equal(turn_network_parse("10.1.0.0/16", &allowed), 0);
    struct turn_client client = alice(&(struct turn_world_options){
        .settings = { .peers = { .allowed = &allowed, .allowed_count = 1 } } });
    assert_int_equal(turn_client_permit(&client, "10.1.2.3:1"), 0);
    assert_int_equal(turn_client_permit(&client, "10.2.2.3:1"), 403);
    assert_true(turn_client_reaches(&client, "10.1.2.3:1"));
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_permission_is_for_an_ip_and_any_port),
        TEST(a_permission_lasts_five_minutes_and_is_refreshed),
        TEST(data_does_not_refresh_a_permission),
        TEST(permissions_are_of_one_allocation),
        TEST(one_request_permits_several_peers),
        TEST(one_bad_peer_and_none_is_permitted),
        TEST(create_permission_without_or_with_a_malformed_peer_is_400),
        TEST(a_peer_of_another_family_is_443),
        TEST(a_refused_peer_is_403_and_told_with_rule_and_remedy),
        TEST(the_limit_of_permissions_is_508_and_expired_ones_make_room),
        TEST(a_socket_is_opened_with_the_first_permission_and_once),
        TEST(no_socket_is_508),
        TEST(a_channel_carries_data_both_ways),
        TEST(channel_numbers_are_0x4000_to_0x7ffe),
        TEST(channel_bind_needs_number_and_peer),
        TEST(a_bound_number_refuses_another_peer),
        TEST(a_bound_peer_refuses_another_number),
        TEST(a_refused_channel_bind_leaves_no_permission),
        TEST(a_channel_lasts_ten_minutes_and_is_refreshed),
        TEST(an_expired_binding_blocks_others_for_five_minutes_more),
        TEST(an_expired_binding_may_be_bound_again_as_it_was),
        TEST(a_channel_bind_installs_and_refreshes_the_permission),
        TEST(a_channels_permission_ends_before_the_channel),
        TEST(a_channel_keeps_its_expired_permission_in_place),
        TEST(the_permission_of_a_forgotten_channel_makes_room),
        TEST(data_comes_as_indication_after_the_channel_has_expired),
        TEST(the_limit_of_channels_is_508),
        TEST(hundreds_of_channels_and_permissions_are_told_apart),
        TEST(a_reload_that_denies_a_peer_stops_it_at_once),
        TEST(a_reload_that_allows_an_own_address_opens_the_socket_it_needs),
        TEST(an_allow_rule_opens_a_private_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
