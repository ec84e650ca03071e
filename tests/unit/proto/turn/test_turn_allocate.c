// Allocate (RFC 8656 section 7.2) and what a server can get wrong about it.
#include "support/check.h"
#include "support/turn_client.h"

static struct turn_world world;

static void start(const struct turn_world_options *options)
{
    turn_world_init(&world, options);
}

static int teardown(void **state)
{
    (void)state;
    turn_world_done(&world);
    return 0;
}

static struct turn_client alice(void)
{
    return turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
}

static void allocate_answers_relayed_and_mapped_address_and_lifetime(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(client.relayed[0].family, NET_IPV4);
    struct net_address told = turn_world_address(TURN_WORLD_IPV4);
    assert_true(net_address_same_ip(&client.relayed[0], &told));
    assert_in_range(client.relayed[0].port, TURN_WORLD_PORT_MIN, TURN_WORLD_PORT_MAX);
    assert_true(net_address_equal(&client.mapped, &client.source.path.remote));
    assert_int_equal(client.lifetime_s, 600);
    assert_int_equal(world.began, 1);
    assert_int_equal(turn_server_allocation_count(world.server), 1);
}

static void relays_open_with_their_first_peer(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(world.opened, 0);
}

static void relays_that_open_at_once_take_another_port_where_one_is_in_use(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .relays_at_once = true });
    world.open_error = -EADDRINUSE;
    world.open_errors = 3;
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(world.opened, 1);
    assert_true(net_address_equal(&client.relayed[0], &world.relay->told));
    assert_int_equal(world.relay->bind.port, world.relay->told.port);
    assert_ptr_equal(turn_server_find_relay(world.server, &client.relayed[0]), world.relay);
    assert_int_equal(turn_ports_taken(world.ports), 1);
}

static void a_relay_that_cannot_open_at_once_waits_for_its_first_peer(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .relays_at_once = true });
    world.open_error = -EMFILE;
    world.open_errors = 1;
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(world.opened, 0);
    assert_int_equal(turn_client_permit(&client, "8.8.8.8:53"), 0);
    assert_int_equal(world.opened, 1);
}

static void allocate_works_with_sha256_credentials(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    client.sha256 = true;
    client.fingerprint = true;
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_not_equal(client.answer.sha256, 0);
    assert_int_equal(client.answer.integrity, 0);
}

static void allocate_without_credentials_is_401_with_realm_nonce_and_algorithms(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    turn_client_challenge(&client); // checks them
    assert_int_equal(turn_server_allocation_count(world.server), 0);
    assert_int_equal(client.answer.integrity, 0);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_AUTH_NONE), 1);
}

static void allocate_with_a_wrong_password_is_401(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    client.password = "looking-glass";
    assert_int_equal(turn_client_allocate(&client), 401);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_AUTH_WRONG), 1);
    assert_int_equal(turn_server_allocation_count(world.server), 0);
}

static void a_stale_nonce_is_438_with_a_new_one_that_works(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    turn_client_challenge(&client);
    turn_world_pass_s(&world, 3700);
    assert_int_equal(turn_client_allocate(&client), 438);
    turn_client_take_challenge(&client);
    assert_int_equal(turn_client_allocate(&client), 0);
}

static void a_second_allocate_on_the_5_tuple_is_437(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(turn_client_allocate(&client), 437);
    assert_int_equal(turn_server_allocation_count(world.server), 1);
}

static void a_5_tuple_differs_by_transport_and_by_our_address(void **state)
{
    (void)state;
    start(NULL);
    for (uint16_t i = 0; i < 100; i++) {
        struct turn_client udp = alice();
        udp.source.path.remote.port = (uint16_t)(5000 + i);
        struct turn_client tcp = udp, other = udp;
        tcp.source.transport = TURN_TCP;
        other.source.path.local.port = 5349;
        assert_int_equal(turn_client_allocate(&udp), 0);
        assert_int_equal(turn_client_allocate(&tcp), 0);
        assert_int_equal(turn_client_allocate(&other), 0);
    }
    assert_int_equal(turn_server_allocation_count(world.server), 300);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_ALLOCATIONS_UDP), 200);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_ALLOCATIONS_TCP), 100);
}

static void a_repeated_allocate_gets_the_same_answer_and_no_second_allocation(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    turn_client_start_allocate(&client);
    const uint8_t reserve = 0x80;
    stun_write_bytes(&client.writer, STUN_EVEN_PORT, bytes_of(&reserve, 1));
    assert_int_equal(turn_client_ask_allocate(&client), 0);
    struct net_address relayed = client.relayed[0];
    uint64_t token, again;
    assert_int_equal(stun_message_find_u64(&client.answer, STUN_RESERVATION_TOKEN, &token), 0);
    turn_world_pass_s(&world, 2);
    assert_int_equal(turn_client_repeat(&client), 0);
    turn_client_take_allocation(&client);
    assert_true(net_address_equal(&client.relayed[0], &relayed));
    assert_int_equal(stun_message_find_u64(&client.answer, STUN_RESERVATION_TOKEN, &again), 0);
    assert_true(token == again);
    assert_int_equal(client.lifetime_s, 598);
    assert_int_equal(turn_server_allocation_count(world.server), 1);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_RETRANSMISSIONS), 1);
}

static void a_repeated_transaction_of_another_user_is_437(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate(&client), 0);
    client.username = "bob";
    client.password = "builder";
    client.transaction--;
    assert_int_equal(turn_client_allocate(&client), 437);
}

static void without_requested_transport_it_is_400(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    turn_client_start(&client, STUN_ALLOCATE);
    assert_int_equal(turn_client_ask(&client), 400);
    turn_client_start(&client, STUN_ALLOCATE);
    stun_write_bytes(&client.writer, STUN_REQUESTED_TRANSPORT, bytes_of("\x11", 1));
    assert_int_equal(turn_client_ask(&client), 400);
}

static void an_unknown_transport_is_442(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    turn_client_start(&client, STUN_ALLOCATE);
    turn_client_transport(&client, 33);
    assert_int_equal(turn_client_ask(&client), 442);
    turn_client_start(&client, STUN_ALLOCATE);
    turn_client_transport(&client, 6); // RFC 6062 is off
    assert_int_equal(turn_client_ask(&client), 442);
}

static void dont_fragment_is_understood(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    turn_client_start_allocate(&client);
    stun_write_flag(&client.writer, STUN_DONT_FRAGMENT);
    assert_int_equal(turn_client_ask_allocate(&client), 0);
}

static void an_unknown_required_attribute_is_420_and_named(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    turn_client_start_allocate(&client);
    stun_write_flag(&client.writer, 0x7f01);
    assert_int_equal(turn_client_ask(&client), 420);
    struct bytes types;
    assert_true(stun_message_find(&client.answer, STUN_UNKNOWN_ATTRIBUTES, &types));
    assert_int_equal(types.size, 2);
    assert_int_equal(load_u16(types.data), 0x7f01);
    assert_int_not_equal(client.answer.integrity, 0); // after authentication, so protected
}

static void an_unknown_attribute_of_a_stranger_is_401_first(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    client.anonymous = true;
    turn_client_start_allocate(&client);
    stun_write_flag(&client.writer, 0x7f01);
    assert_int_equal(turn_client_ask(&client), 401);
}

static void an_unknown_optional_attribute_is_ignored(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    turn_client_start_allocate(&client);
    stun_write_flag(&client.writer, 0xff01);
    assert_int_equal(turn_client_ask_allocate(&client), 0);
}

static int with_even_port(struct turn_client *client, uint8_t value)
{
    turn_client_start_allocate(client);
    stun_write_bytes(&client->writer, STUN_EVEN_PORT, bytes_of(&value, 1));
    return turn_client_ask_allocate(client);
}

static void even_port_gives_an_even_port(void **state)
{
    (void)state;
    start(NULL);
    for (int i = 0; i < 20; i++) {
        struct turn_client client = alice();
        client.source.path.remote.port = (uint16_t)(6000 + i);
        assert_int_equal(with_even_port(&client, 0), 0);
        assert_int_equal(client.relayed[0].port & 1, 0);
        uint64_t token;
        assert_int_equal(stun_message_find_u64(&client.answer, STUN_RESERVATION_TOKEN, &token),
                         -ENOENT);
    }
}

static int with_token(struct turn_client *client, uint64_t token)
{
    turn_client_start_allocate(client);
    stun_write_u64(&client->writer, STUN_RESERVATION_TOKEN, token);
    return turn_client_ask_allocate(client);
}

static void a_reservation_token_gives_the_next_higher_port_once(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client first = alice();
    struct turn_client second = turn_client_of(&world, "198.99.1.1:7000", TURN_TLS);
    struct turn_client third = turn_client_of(&world, "198.99.1.1:7001", TURN_UDP);
    uint64_t token;
    assert_int_equal(with_even_port(&first, 0x80), 0);
    assert_int_equal(stun_message_find_u64(&first.answer, STUN_RESERVATION_TOKEN, &token), 0);
    assert_int_equal(with_token(&second, token), 0);
    assert_int_equal(second.relayed[0].port, first.relayed[0].port + 1);
    assert_true(net_address_same_ip(&second.relayed[0], &first.relayed[0]));
    assert_int_equal(with_token(&third, token), 508);
}

static void a_reservation_lasts_thirty_seconds(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client first = alice(), second = alice();
    second.source.path.remote.port = 5001;
    uint64_t token;
    assert_int_equal(with_even_port(&first, 0x80), 0);
    assert_int_equal(stun_message_find_u64(&first.answer, STUN_RESERVATION_TOKEN, &token), 0);
    assert_int_equal(turn_ports_taken(world.ports), 2);
    turn_world_pass_s(&world, 29);
    assert_int_equal(turn_ports_taken(world.ports), 2);
    turn_world_pass_s(&world, 1);
    assert_int_equal(turn_ports_taken(world.ports), 1);
    assert_int_equal(with_token(&second, token), 508);
}

static void a_bad_reservation_token_is_400_or_508(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    assert_int_equal(with_token(&client, 0x1234567890abcdef), 508);
    turn_client_start_allocate(&client);
    stun_write_u32(&client.writer, STUN_RESERVATION_TOKEN, 1);
    assert_int_equal(turn_client_ask(&client), 400);
}

static void a_token_with_even_port_or_a_family_is_400(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    const uint8_t even = 0;
    turn_client_start_allocate(&client);
    stun_write_u64(&client.writer, STUN_RESERVATION_TOKEN, 1);
    stun_write_bytes(&client.writer, STUN_EVEN_PORT, bytes_of(&even, 1));
    assert_int_equal(turn_client_ask(&client), 400);
    static const uint16_t families[] = { STUN_REQUESTED_ADDRESS_FAMILY,
                                         STUN_ADDITIONAL_ADDRESS_FAMILY };
    for (size_t i = 0; i < 2; i++) {
        turn_client_start_allocate(&client);
        stun_write_u64(&client.writer, STUN_RESERVATION_TOKEN, 1);
        stun_write_u32(&client.writer, families[i], 2u << 24);
        assert_int_equal(turn_client_ask(&client), 400);
    }
}

static int with_family(struct turn_client *client, uint16_t attribute, uint32_t family)
{
    turn_client_start_allocate(client);
    stun_write_u32(&client->writer, attribute, family << 24);
    return turn_client_ask_allocate(client);
}

static void requested_family_gives_that_family(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client four = alice(), six = alice();
    six.source.path.remote.port = 5001;
    assert_int_equal(with_family(&four, STUN_REQUESTED_ADDRESS_FAMILY, 1), 0);
    assert_int_equal(four.relayed[0].family, NET_IPV4);
    assert_int_equal(with_family(&six, STUN_REQUESTED_ADDRESS_FAMILY, 2), 0);
    assert_int_equal(six.relayed[0].family, NET_IPV6);
    assert_int_equal(six.relayed[1].family, NET_NONE);
}

static void without_a_family_an_ipv6_client_gets_ipv4(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = turn_client_of(&world, "[2a02:1::5]:4000", TURN_UDP);
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(client.relayed[0].family, NET_IPV4);
    assert_int_equal(client.mapped.family, NET_IPV6);
}

static void a_family_that_the_server_has_not_is_440(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .ipv4_only = true });
    struct turn_client client = alice();
    assert_int_equal(with_family(&client, STUN_REQUESTED_ADDRESS_FAMILY, 2), 440);
    assert_int_equal(with_family(&client, STUN_REQUESTED_ADDRESS_FAMILY, 7), 440);
    assert_int_equal(turn_quota_allocations(world.quota), 0);
}

static void without_a_family_a_server_without_ipv4_answers_440(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .ipv6_only = true });
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate(&client), 440);
}

static void both_family_attributes_are_400(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    turn_client_start_allocate(&client);
    stun_write_u32(&client.writer, STUN_REQUESTED_ADDRESS_FAMILY, 1u << 24);
    stun_write_u32(&client.writer, STUN_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
    assert_int_equal(turn_client_ask(&client), 400);
}

static void additional_family_ipv4_is_400(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    assert_int_equal(with_family(&client, STUN_ADDITIONAL_ADDRESS_FAMILY, 1), 400);
}

static void a_reserved_pair_and_an_additional_family_are_400(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    const uint8_t reserve = 0x80;
    turn_client_start_allocate(&client);
    stun_write_bytes(&client.writer, STUN_EVEN_PORT, bytes_of(&reserve, 1));
    stun_write_u32(&client.writer, STUN_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
    assert_int_equal(turn_client_ask(&client), 400);
}

static void additional_family_gives_one_address_of_each(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate_dual(&client), 0);
    assert_int_equal(client.relayed[0].family, NET_IPV4);
    assert_int_equal(client.relayed[1].family, NET_IPV6);
    assert_int_equal(turn_ports_taken(world.ports), 2);
    struct bytes error;
    assert_false(stun_message_find(&client.answer, STUN_ADDRESS_ERROR_CODE, &error));
}

static void half_of_a_dual_allocation_is_a_success_with_address_error_code(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .ipv4_only = true });
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate_dual(&client), 0);
    assert_int_equal(client.relayed[0].family, NET_IPV4);
    assert_int_equal(client.relayed[1].family, NET_NONE);
    struct bytes error;
    assert_true(stun_message_find(&client.answer, STUN_ADDRESS_ERROR_CODE, &error));
    assert_int_equal(error.data[0], 2); // IPv6
    assert_int_equal(error.data[1], 0);
    assert_int_equal(error.data[2], 4);
    assert_int_equal(error.data[3], 40);
}

static void address_error_code_names_the_family_that_failed(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .ipv6_only = true });
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate_dual(&client), 0);
    assert_int_equal(client.relayed[0].family, NET_IPV6);
    struct bytes error;
    assert_true(stun_message_find(&client.answer, STUN_ADDRESS_ERROR_CODE, &error));
    assert_int_equal(error.data[0], 1); // IPv4
}

static int with_lifetime(struct turn_client *client, uint32_t lifetime_s)
{
    client->source.path.remote.port++;
    client->cache = NULL;
    turn_client_start_allocate(client);
    stun_write_u32(&client->writer, STUN_LIFETIME, lifetime_s);
    return turn_client_ask_allocate(client);
}

static void lifetime_is_between_default_and_maximum(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    assert_int_equal(with_lifetime(&client, 1), 0);
    assert_int_equal(client.lifetime_s, 600);
    assert_int_equal(with_lifetime(&client, 0), 0);
    assert_int_equal(client.lifetime_s, 600);
    assert_int_equal(with_lifetime(&client, 1800), 0);
    assert_int_equal(client.lifetime_s, 1800);
    assert_int_equal(with_lifetime(&client, 1000000), 0);
    assert_int_equal(client.lifetime_s, 3600);
}

static void a_malformed_lifetime_is_400(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    turn_client_start_allocate(&client);
    stun_write_bytes(&client.writer, STUN_LIFETIME, bytes_of("abc", 3));
    assert_int_equal(turn_client_ask(&client), 400);
}

static void no_port_left_is_508(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .ipv4_only = true, .port_max = TURN_WORLD_PORT_MIN + 1 });
    struct turn_client clients[3];
    for (size_t i = 0; i < 3; i++) {
        clients[i] = alice();
        clients[i].source.path.remote.port = (uint16_t)(6000 + i);
        assert_int_equal(turn_client_allocate(&clients[i]), i < 2 ? 0 : 508);
    }
    assert_int_equal(turn_quota_allocations(world.quota), 2);
    // one that ends makes room
    assert_int_equal(turn_client_refresh(&clients[0], 0), 0);
    assert_int_equal(turn_client_allocate(&clients[2]), 0);
}

static void a_users_quota_is_486_and_another_user_has_its_own(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .limits = { .allocations_per_user = 2 } });
    struct turn_client clients[3];
    for (size_t i = 0; i < 3; i++) {
        clients[i] = alice();
        clients[i].source.path.remote.port = (uint16_t)(6000 + i);
        assert_int_equal(turn_client_allocate(&clients[i]), i < 2 ? 0 : 486);
    }
    clients[2].username = "bob";
    clients[2].password = "builder";
    assert_int_equal(turn_client_allocate(&clients[2]), 0);
}

static void the_servers_quota_and_the_workers_limit_are_508(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .limits = { .allocations = 1 } });
    struct turn_client first = alice(), second = alice();
    second.source.path.remote.port = 5001;
    assert_int_equal(turn_client_allocate(&first), 0);
    assert_int_equal(turn_client_allocate(&second), 508);
    turn_world_done(&world);
    start(&(struct turn_world_options){ .allocations_max = 1 });
    struct turn_client third = alice(), fourth = alice();
    fourth.source.path.remote.port = 5001;
    assert_int_equal(turn_client_allocate(&third), 0);
    assert_int_equal(turn_client_allocate(&fourth), 508);
}

static const struct turn_alternate_server alternates[2] = {
    { .address = { .ip = { 5, 5, 5, 5 }, .port = 3478, .family = NET_IPV4 },
      .domain = "turn2.example.org" },
    { .address = { .ip = { 0x2a, 1 }, .port = 3478, .family = NET_IPV6 } },
};

static void a_busy_server_redirects_with_300_to_the_clients_family(void **state)
{
    (void)state;
    start(&(struct turn_world_options){
        .settings = { .alternates = alternates, .alternate_count = 2, .redirect_above = 1 } });
    struct turn_client first = alice();
    struct turn_client second = turn_client_of(&world, "198.99.1.1:7000", TURN_UDP);
    struct turn_client third = turn_client_of(&world, "[2a02:1::5]:4000", TURN_UDP);
    assert_int_equal(turn_client_allocate(&first), 0);
    assert_int_equal(turn_client_allocate(&second), 300);
    struct net_address where;
    struct bytes domain;
    assert_int_equal(stun_message_find_address(&second.answer, STUN_ALTERNATE_SERVER, &where), 0);
    assert_true(net_address_equal(&where, &alternates[0].address));
    assert_true(stun_message_find(&second.answer, STUN_ALTERNATE_DOMAIN, &domain));
    assert_true(text_equal(domain, "turn2.example.org"));
    assert_int_equal(turn_client_allocate(&third), 300);
    assert_int_equal(stun_message_find_address(&third.answer, STUN_ALTERNATE_SERVER, &where), 0);
    assert_true(net_address_equal(&where, &alternates[1].address));
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_ERRORS_300), 2);
}

static void a_busy_server_without_an_alternate_of_the_family_serves(void **state)
{
    (void)state;
    start(&(struct turn_world_options){
        .settings = { .alternates = alternates + 1, .alternate_count = 1, .redirect_above = 1 } });
    struct turn_client first = alice(), second = alice();
    second.source.path.remote.port = 5001;
    assert_int_equal(turn_client_allocate(&first), 0);
    assert_int_equal(turn_client_allocate(&second), 0);
}

static void a_draining_server_redirects_or_answers_508(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .settings = { .draining = true } });
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate(&client), 508);
    world.options.settings.alternates = alternates;
    world.options.settings.alternate_count = 2;
    turn_world_reload(&world);
    assert_int_equal(turn_client_allocate(&client), 300);
}

static void relay_ports_are_not_in_sequence(void **state)
{
    (void)state;
    start(NULL);
    int steps = 0;
    uint16_t last = 0;
    for (int i = 0; i < 50; i++) {
        struct turn_client client = alice();
        client.source.path.remote.port = (uint16_t)(6000 + i);
        assert_int_equal(turn_client_allocate(&client), 0);
        steps += client.relayed[0].port == last + 1 || client.relayed[0].port == last + 2;
        last = client.relayed[0].port;
    }
    assert_in_range(steps, 0, 5);
}

static void the_address_that_the_client_came_to_relays_if_it_can(void **state)
{
    (void)state;
    const struct turn_relay_address addresses[2] = {
        { .bind = turn_world_address("51.15.0.1:0"), .told = turn_world_address("51.15.0.1:0") },
        { .bind = turn_world_address("51.15.0.2:0"), .told = turn_world_address("51.15.0.2:0") },
    };
    struct turn_ports *ports = turn_ports_new(&(struct turn_ports_config){
        .addresses = addresses, .address_count = 2, .port_min = 50000, .port_max = 50099 });
    start(&(struct turn_world_options){ .ports = ports });
    int first = 0, second = 0;
    for (uint16_t i = 0; i < 20; i++) {
        struct turn_client client = alice();
        client.source.path.remote.port = (uint16_t)(6000 + i);
        client.source.path.local = turn_world_address(i % 2 ? "51.15.0.2:3478" : "51.15.0.9:3478");
        assert_int_equal(turn_client_allocate(&client), 0);
        bool is_second = net_address_same_ip(&client.relayed[0], &addresses[1].told);
        if (i % 2)
            assert_true(is_second);
        else
            *(is_second ? &second : &first) += 1;
    }
    assert_int_equal(first + second, 10); // the others take turns
    assert_in_range(first, 2, 8);
    world.server = turn_server_free(world.server);
    turn_ports_free(ports);
}

static void an_allocation_opens_no_socket(void **state)
{
    (void)state;
    start(NULL);
    struct turn_client client = alice();
    assert_int_equal(turn_client_allocate_dual(&client), 0);
    assert_int_equal(world.opened, 0);
    assert_int_equal(turn_client_refresh(&client, 0), 0);
    assert_int_equal(world.closed, 2); // the caller is told of both
}

static void software_is_told_to_the_authenticated_only(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .settings = { .software = "roost" } });
    struct turn_client client = alice();
    struct bytes software;
    turn_client_challenge(&client);
    assert_false(stun_message_find(&client.answer, STUN_SOFTWARE, &software));
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_true(stun_message_find(&client.answer, STUN_SOFTWARE, &software));
    assert_true(text_equal(software, "roost"));
}

static void an_open_server_counts_by_client_address(void **state)
{
    (void)state;
    start(&(struct turn_world_options){ .settings = { .no_auth = true },
                                        .limits = { .allocations_per_user = 1 } });
    struct turn_client first = alice(), second = alice();
    struct turn_client third = turn_client_of(&world, "198.99.1.1:7000", TURN_UDP);
    second.source.path.remote.port = 5001;
    first.anonymous = second.anonymous = third.anonymous = true;
    assert_int_equal(turn_client_allocate(&first), 0);
    assert_int_equal(turn_client_allocate(&second), 486);
    assert_int_equal(turn_client_allocate(&third), 0);
    assert_int_equal(turn_client_permit(&third, "46.4.0.9:1"), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(allocate_answers_relayed_and_mapped_address_and_lifetime),
        TEST(relays_open_with_their_first_peer),
        TEST(relays_that_open_at_once_take_another_port_where_one_is_in_use),
        TEST(a_relay_that_cannot_open_at_once_waits_for_its_first_peer),
        TEST(allocate_works_with_sha256_credentials),
        TEST(allocate_without_credentials_is_401_with_realm_nonce_and_algorithms),
        TEST(allocate_with_a_wrong_password_is_401),
        TEST(a_stale_nonce_is_438_with_a_new_one_that_works),
        TEST(a_second_allocate_on_the_5_tuple_is_437),
        TEST(a_5_tuple_differs_by_transport_and_by_our_address),
        TEST(a_repeated_allocate_gets_the_same_answer_and_no_second_allocation),
        TEST(a_repeated_transaction_of_another_user_is_437),
        TEST(without_requested_transport_it_is_400),
        TEST(an_unknown_transport_is_442),
        TEST(dont_fragment_is_understood),
        TEST(an_unknown_required_attribute_is_420_and_named),
        TEST(an_unknown_attribute_of_a_stranger_is_401_first),
        TEST(an_unknown_optional_attribute_is_ignored),
        TEST(even_port_gives_an_even_port),
        TEST(a_reservation_token_gives_the_next_higher_port_once),
        TEST(a_reservation_lasts_thirty_seconds),
        TEST(a_bad_reservation_token_is_400_or_508),
        TEST(a_token_with_even_port_or_a_family_is_400),
        TEST(requested_family_gives_that_family),
        TEST(without_a_family_an_ipv6_client_gets_ipv4),
        TEST(a_family_that_the_server_has_not_is_440),
        TEST(without_a_family_a_server_without_ipv4_answers_440),
        TEST(both_family_attributes_are_400),
        TEST(additional_family_ipv4_is_400),
        TEST(a_reserved_pair_and_an_additional_family_are_400),
        TEST(additional_family_gives_one_address_of_each),
        TEST(half_of_a_dual_allocation_is_a_success_with_address_error_code),
        TEST(address_error_code_names_the_family_that_failed),
        TEST(lifetime_is_between_default_and_maximum),
        TEST(a_malformed_lifetime_is_400),
        TEST(no_port_left_is_508),
        TEST(a_users_quota_is_486_and_another_user_has_its_own),
        TEST(the_servers_quota_and_the_workers_limit_are_508),
        TEST(a_busy_server_redirects_with_300_to_the_clients_family),
        TEST(a_busy_server_without_an_alternate_of_the_family_serves),
        TEST(a_draining_server_redirects_or_answers_508),
        TEST(relay_ports_are_not_in_sequence),
        TEST(the_address_that_the_client_came_to_relays_if_it_can),
        TEST(an_allocation_opens_no_socket),
        TEST(software_is_told_to_the_authenticated_only),
        TEST(an_open_server_counts_by_client_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
