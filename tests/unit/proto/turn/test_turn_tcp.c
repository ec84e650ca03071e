// TCP allocations (RFC 6062).
#include "support/check.h"
#include "support/turn_client.h"

#define PEER  "46.4.0.9:1000"
#define OTHER "46.4.0.10:1000"

static struct turn_world world;
static const struct turn_world_options tcp_on = { .settings = { .tcp_relay = true,
                                                                .tcp_connections_max = 3 } };

static int teardown(void **state)
{
    (void)state;
    turn_world_done(&world);
    return 0;
}

static int allocate_tcp(struct turn_client *client)
{
    turn_client_start(client, STUN_ALLOCATE);
    turn_client_transport(client, 6);
    return turn_client_ask_allocate(client);
}

/** With a TCP allocation. */
static struct turn_client alice(void)
{
    turn_world_init(&world, &tcp_on);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_TCP);
    ensure(allocate_tcp(&client) == 0);
    return client;
}

/** Connect: -ENOENT while the connection is being made. */
static int connect_to(struct turn_client *client, const char *peer)
{
    turn_client_start(client, STUN_CONNECT);
    turn_client_peer(client, peer);
    return turn_client_ask(client);
}

/** The caller's socket is connected, or not; the code that the client is told. */
static int connected(struct turn_client *client, uint32_t connection, int error)
{
    size_t before = world.sent_count;
    turn_server_tcp_connected(world.server, world.now_us, connection, error);
    return turn_client_answer(client, before);
}

static int bind_connection(struct turn_client *client, uint32_t connection)
{
    turn_client_start(client, STUN_CONNECTION_BIND);
    stun_write_u32(&client->writer, STUN_CONNECTION_ID, connection);
    return turn_client_ask(client);
}

static void a_tcp_allocation_needs_tcp_or_tls(void **state)
{
    (void)state;
    turn_world_init(&world, &tcp_on);
    struct turn_client udp = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    struct turn_client dtls = turn_client_of(&world, "203.1.2.3:5000", TURN_DTLS);
    struct turn_client tls = turn_client_of(&world, "203.1.2.3:5000", TURN_TLS);
    assert_int_equal(allocate_tcp(&udp), 400);
    assert_int_equal(allocate_tcp(&dtls), 400);
    assert_int_equal(allocate_tcp(&tls), 0);
    struct turn_allocation_info info;
    uint32_t cursor = 0;
    assert_true(turn_server_next(world.server, &cursor, &info));
    assert_true(info.tcp_relay);
}

static void a_tcp_allocation_with_udp_attributes_is_400(void **state)
{
    (void)state;
    turn_world_init(&world, &tcp_on);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_TCP);
    const uint8_t even = 0;
    for (int i = 0; i < 3; i++) {
        turn_client_start(&client, STUN_ALLOCATE);
        turn_client_transport(&client, 6);
        if (i == 0)
            stun_write_flag(&client.writer, STUN_DONT_FRAGMENT);
        else if (i == 1)
            stun_write_bytes(&client.writer, STUN_EVEN_PORT, bytes_of(&even, 1));
        else
            stun_write_u64(&client.writer, STUN_RESERVATION_TOKEN, 1);
        assert_int_equal(turn_client_ask(&client), 400);
    }
}

static void connect_is_answered_when_the_connection_is_there(void **state)
{
    (void)state;
    struct turn_client client = alice();
    uint32_t told;
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
    assert_int_equal(world.connects, 1);
    assert_int_equal(world.opened, 1);
    assert_true(world.opened_tcp);
    uint32_t connection = world.connection;
    assert_int_equal(connected(&client, connection, 0), 0);
    assert_int_equal(stun_message_find_u32(&client.answer, STUN_CONNECTION_ID, &told), 0);
    assert_int_equal(told, connection);
}

static void the_answer_to_connect_is_protected_as_the_request_was(void **state)
{
    (void)state;
    turn_world_init(&world, &tcp_on);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_TCP);
    client.sha256 = true;
    client.fingerprint = true;
    assert_int_equal(allocate_tcp(&client), 0);
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
    assert_int_equal(connected(&client, world.connection, 0), 0);
    assert_int_not_equal(client.answer.sha256, 0);
}

static void connect_without_a_tcp_allocation_is_437(void **state)
{
    (void)state;
    turn_world_init(&world, &tcp_on);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_TCP);
    assert_int_equal(connect_to(&client, PEER), 437);
    assert_int_equal(turn_client_allocate(&client), 0); // for UDP
    assert_int_equal(connect_to(&client, PEER), 437);
}

static void connect_without_peer_is_400(void **state)
{
    (void)state;
    struct turn_client client = alice();
    turn_client_start(&client, STUN_CONNECT);
    assert_int_equal(turn_client_ask(&client), 400);
    assert_int_equal(connect_to(&client, "46.4.0.9:0"), 400);
}

static void connect_to_a_refused_peer_is_403(void **state)
{
    (void)state;
    struct turn_client client = alice();
    assert_int_equal(connect_to(&client, "127.0.0.1:80"), 403);
    assert_int_equal(connect_to(&client, "51.15.0.1:3478"), 403); // ourselves
    assert_int_equal(connect_to(&client, "[2a02:8108::9]:80"), 443);
    assert_int_equal(world.connects, 0);
    assert_int_equal(world.refused, 2);
}

static void a_second_connect_to_the_same_peer_is_446(void **state)
{
    (void)state;
    struct turn_client client = alice();
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
    uint32_t connection = world.connection;
    assert_int_equal(connect_to(&client, PEER), 446); // being made
    turn_server_tcp_connected(world.server, world.now_us, connection, 0);
    assert_int_equal(connect_to(&client, PEER), 446);                // there
    assert_int_equal(connect_to(&client, "46.4.0.9:1001"), -ENOENT); // another port
    turn_server_tcp_ended(world.server, world.now_us, connection);
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
}

static void a_connection_that_fails_is_447(void **state)
{
    (void)state;
    struct turn_client client = alice();
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
    assert_int_equal(connected(&client, world.connection, -ECONNREFUSED), 447);
    world.connect_error = -ENETUNREACH;
    assert_int_equal(connect_to(&client, PEER), 447); // at once
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_CONNECTIONS), 0);
}

static void a_connection_not_made_in_thirty_seconds_is_447(void **state)
{
    (void)state;
    struct turn_client client = alice();
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
    size_t before = world.sent_count;
    turn_world_pass_s(&world, 29);
    assert_int_equal(world.sent_count, before);
    turn_world_pass_s(&world, 1);
    assert_int_equal(turn_client_answer(&client, before), 447);
    assert_int_equal(world.closes, 1);
    assert_int_equal(world.closed_connection, world.connection);
    // what comes too late changes nothing
    turn_server_tcp_connected(world.server, world.now_us, world.connection, 0);
    assert_int_equal(world.sent_count, before + 1);
}

static void connections_beyond_the_limit_are_508(void **state)
{
    (void)state;
    struct turn_client client = alice();
    assert_int_equal(connect_to(&client, "46.4.0.9:1"), -ENOENT);
    assert_int_equal(connect_to(&client, "46.4.0.9:2"), -ENOENT);
    assert_int_equal(connect_to(&client, "46.4.0.9:3"), -ENOENT);
    assert_int_equal(connect_to(&client, "46.4.0.9:4"), 508);
}

static void connection_bind_makes_a_stream_the_data(void **state)
{
    (void)state;
    struct turn_client client = alice();
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
    uint32_t connection = world.connection;
    assert_int_equal(connected(&client, connection, 0), 0);
    struct turn_client data = turn_client_of(&world, "203.1.2.3:5001", TURN_TCP);
    assert_int_equal(bind_connection(&data, connection), 0);
    assert_int_equal(world.binds, 1);
    assert_int_equal(world.connection, connection);
    assert_int_equal(world.sent_before_bind, world.sent_count); // the answer went first
    // it waits for nothing any more
    turn_world_pass_s(&world, 60);
    assert_int_equal(world.closes, 0);
    // and is bound once
    struct turn_client again = turn_client_of(&world, "203.1.2.3:5002", TURN_TCP);
    assert_int_equal(bind_connection(&again, connection), 400);
}

static void connection_bind_refuses_what_it_must(void **state)
{
    (void)state;
    struct turn_client client = alice();
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
    uint32_t connection = world.connection;
    struct turn_client data = turn_client_of(&world, "203.1.2.3:5001", TURN_TCP);
    struct turn_client udp = turn_client_of(&world, "203.1.2.3:5001", TURN_UDP);
    assert_int_equal(bind_connection(&data, connection), 400); // not there yet
    assert_int_equal(connected(&client, connection, 0), 0);
    assert_int_equal(bind_connection(&data, connection ^ 1), 400);
    assert_int_equal(bind_connection(&udp, connection), 400);
    assert_int_equal(bind_connection(&client, connection), 400); // the control connection itself
    turn_client_start(&data, STUN_CONNECTION_BIND);
    assert_int_equal(turn_client_ask(&data), 400);
    struct turn_client bob = turn_client_of(&world, "203.1.2.3:5003", TURN_TCP);
    bob.username = "bob";
    bob.password = "builder";
    assert_int_equal(bind_connection(&bob, connection), 441);
    assert_int_equal(bind_connection(&data, connection), 0);
}

static void a_connection_not_bound_in_thirty_seconds_is_closed(void **state)
{
    (void)state;
    struct turn_client client = alice();
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
    uint32_t connection = world.connection;
    turn_world_pass_s(&world, 20);
    assert_int_equal(connected(&client, connection, 0), 0);
    turn_world_pass_s(&world, 29);
    assert_int_equal(world.closes, 0);
    turn_world_pass_s(&world, 1);
    assert_int_equal(world.closes, 1);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_CONNECTIONS), 0);
}

static int accept_from(struct turn_client *client, const char *peer, uint32_t *connection)
{
    struct net_address from = turn_world_address(peer);
    return turn_server_tcp_accepted(world.server, world.now_us, turn_client_relay(client, 0), &from,
                                    connection);
}

static void a_permitted_peers_connection_is_told_as_an_attempt(void **state)
{
    (void)state;
    struct turn_client client = alice();
    struct stun_message message;
    struct net_address from, expected = turn_world_address(PEER);
    uint32_t connection, told;
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    assert_true(world.opened_tcp); // and listens
    assert_int_equal(accept_from(&client, PEER, &connection), 0);
    const struct turn_sent *sent = turn_world_sent(&world, 0);
    assert_int_equal(stun_message_parse(bytes_of(sent->data, sent->size), &message), 0);
    assert_int_equal(message.class, STUN_INDICATION);
    assert_int_equal(message.method, STUN_CONNECTION_ATTEMPT);
    assert_int_equal(stun_message_find_u32(&message, STUN_CONNECTION_ID, &told), 0);
    assert_int_equal(told, connection);
    assert_int_equal(stun_message_find_address(&message, STUN_XOR_PEER_ADDRESS, &from), 0);
    assert_true(net_address_equal(&from, &expected));
    struct turn_client data = turn_client_of(&world, "203.1.2.3:5001", TURN_TLS);
    assert_int_equal(bind_connection(&data, connection), 0);
}

static void a_peer_without_permission_is_not_accepted(void **state)
{
    (void)state;
    struct turn_client client = alice();
    uint32_t connection;
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    size_t before = world.sent_count;
    assert_int_equal(accept_from(&client, OTHER, &connection), -EACCES);
    turn_world_pass_s(&world, 300);
    assert_int_equal(accept_from(&client, PEER, &connection), -EACCES);
    assert_int_equal(world.sent_count, before);
}

static void a_peer_denied_since_its_permission_is_not_accepted(void **state)
{
    (void)state;
    struct turn_client client = alice();
    struct turn_network denied;
    uint32_t connection;
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    assert_int_equal(turn_network_parse("46.4.0.0/16", &denied), 0);
    world.options.settings.peers.denied = &denied;
    world.options.settings.peers.denied_count = 1;
    turn_world_reload(&world);
    assert_int_equal(accept_from(&client, PEER, &connection), -EACCES);
}

static void accepted_connections_have_the_limit_and_the_time_too(void **state)
{
    (void)state;
    struct turn_client client = alice();
    uint32_t connection;
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    assert_int_equal(accept_from(&client, "46.4.0.9:1", &connection), 0);
    assert_int_equal(accept_from(&client, "46.4.0.9:2", &connection), 0);
    assert_int_equal(accept_from(&client, "46.4.0.9:3", &connection), 0);
    assert_int_equal(accept_from(&client, "46.4.0.9:4", &connection), -EMFILE);
    turn_world_pass_s(&world, 30);
    assert_int_equal(world.closes, 3);
    assert_int_equal(accept_from(&client, "46.4.0.9:4", &connection), 0);
}

static void a_tcp_allocation_has_no_channels_and_no_indications(void **state)
{
    (void)state;
    struct turn_client client = alice();
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 400);
    assert_false(turn_client_send(&client, PEER, "x"));
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_TCP_ALLOCATION), 1);
}

static void an_allocation_that_ends_closes_its_connections(void **state)
{
    (void)state;
    struct turn_client client = alice();
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
    uint32_t connection = world.connection;
    assert_int_equal(connected(&client, connection, 0), 0);
    struct turn_client data = turn_client_of(&world, "203.1.2.3:5001", TURN_TCP);
    assert_int_equal(bind_connection(&data, connection), 0);
    assert_int_equal(connect_to(&client, OTHER), -ENOENT);
    turn_server_disconnected(world.server, world.now_us, &client.source);
    assert_int_equal(world.closes, 2);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_CONNECTIONS), 0);
    // the caller's news of what is gone are harmless
    turn_server_tcp_ended(world.server, world.now_us, connection);
    turn_server_tcp_connected(world.server, world.now_us, connection, 0);
}

static void the_bytes_of_a_connection_are_counted_and_limited(void **state)
{
    (void)state;
    struct turn_world_options options = tcp_on;
    options.limits.bytes_per_s_per_user = 1000;
    turn_world_init(&world, &options);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_TCP);
    assert_int_equal(allocate_tcp(&client), 0);
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
    assert_int_equal(connected(&client, world.connection, 0), 0);
    assert_true(turn_server_tcp_data(world.server, world.now_us, world.connection, true, 500));
    assert_true(turn_server_tcp_data(world.server, world.now_us, world.connection, false, 400));
    int passed = 0;
    for (int i = 0; i < 10; i++)
        passed += turn_server_tcp_data(world.server, world.now_us, world.connection, false, 400);
    assert_in_range(passed, 0, 1);
    struct turn_allocation_info info;
    uint32_t cursor = 0;
    assert_true(turn_server_next(world.server, &cursor, &info));
    assert_int_equal(info.sent_bytes, 500);
    assert_int_equal(info.received_bytes, 400 * (1 + passed));
    turn_world_pass_s(&world, 2);
    assert_true(turn_server_tcp_data(world.server, world.now_us, world.connection, false, 400));
}

static void a_connection_id_names_its_worker(void **state)
{
    (void)state;
    struct turn_world_options options = tcp_on;
    options.worker = 5;
    options.worker_count = 8;
    turn_world_init(&world, &options);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_TCP);
    assert_int_equal(allocate_tcp(&client), 0);
    assert_int_equal(connect_to(&client, PEER), -ENOENT);
    turn_client_start(&client, STUN_CONNECTION_BIND);
    stun_write_u32(&client.writer, STUN_CONNECTION_ID, world.connection);
    turn_client_sign(&client);
    assert_int_equal(turn_message_worker(world.server, turn_client_finish(&client)), 5);
    turn_client_start(&client, STUN_CONNECTION_BIND);
    stun_write_u32(&client.writer, STUN_CONNECTION_ID, 0xff000001);
    assert_int_equal(turn_message_worker(world.server, turn_client_finish(&client)), -ENOENT);
    turn_client_start(&client, STUN_CONNECTION_BIND);
    assert_int_equal(turn_message_worker(world.server, turn_client_finish(&client)), -ENOENT);
    turn_client_start_allocate(&client);
    assert_int_equal(turn_message_worker(world.server, turn_client_finish(&client)), -ENOENT);
    assert_int_equal(turn_message_worker(world.server, bytes_of("\x40\0\0\0", 4)), -ENOENT);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tcp_allocation_needs_tcp_or_tls),
        TEST(a_tcp_allocation_with_udp_attributes_is_400),
        TEST(connect_is_answered_when_the_connection_is_there),
        TEST(the_answer_to_connect_is_protected_as_the_request_was),
        TEST(connect_without_a_tcp_allocation_is_437),
        TEST(connect_without_peer_is_400),
        TEST(connect_to_a_refused_peer_is_403),
        TEST(a_second_connect_to_the_same_peer_is_446),
        TEST(a_connection_that_fails_is_447),
        TEST(a_connection_not_made_in_thirty_seconds_is_447),
        TEST(connections_beyond_the_limit_are_508),
        TEST(connection_bind_makes_a_stream_the_data),
        TEST(connection_bind_refuses_what_it_must),
        TEST(a_connection_not_bound_in_thirty_seconds_is_closed),
        TEST(a_permitted_peers_connection_is_told_as_an_attempt),
        TEST(a_peer_without_permission_is_not_accepted),
        TEST(a_peer_denied_since_its_permission_is_not_accepted),
        TEST(accepted_connections_have_the_limit_and_the_time_too),
        TEST(a_tcp_allocation_has_no_channels_and_no_indications),
        TEST(an_allocation_that_ends_closes_its_connections),
        TEST(the_bytes_of_a_connection_are_counted_and_limited),
        TEST(a_connection_id_names_its_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
