// Mobility (RFC 8016).
#include "support/check.h"
#include "support/turn_client.h"

#define PEER "46.4.0.9:1000"

static struct turn_world world;
static const struct turn_world_options mobile = { .settings = { .mobility = true } };

static int teardown(void **state)
{
    (void)state;
    turn_world_done(&world);
    return 0;
}

static int allocate_mobile(struct turn_client *client)
{
    turn_client_start_allocate(client);
    stun_write_flag(&client->writer, STUN_MOBILITY_TICKET);
    return turn_client_ask_allocate(client);
}

/** With a mobile allocation and a channel. */
static struct turn_client alice(const struct turn_world_options *options)
{
    turn_world_init(&world, options);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    ensure(allocate_mobile(&client) == 0);
    ensure(turn_client_bind(&client, 0x4000, PEER) == 0);
    return client;
}

/** The same client on another network: it knows its ticket and its relayed address. */
static struct turn_client elsewhere(const struct turn_client *client, const char *address)
{
    struct turn_client moved = turn_client_of(&world, address, TURN_UDP);
    memcpy(moved.ticket, client->ticket, sizeof(moved.ticket));
    moved.ticket_size = client->ticket_size;
    memcpy(moved.relayed, client->relayed, sizeof(moved.relayed));
    return moved;
}

static int refresh_with(struct turn_client *client, const void *ticket, size_t size,
                        uint32_t lifetime_s)
{
    turn_client_start(client, STUN_REFRESH);
    stun_write_u32(&client->writer, STUN_LIFETIME, lifetime_s);
    stun_write_bytes(&client->writer, STUN_MOBILITY_TICKET, bytes_of(ticket, size));
    int code = turn_client_ask(client);
    if (code == 0)
        turn_client_take_allocation(client);
    return code;
}

static int move(struct turn_client *client)
{
    uint8_t ticket[64];
    memcpy(ticket, client->ticket, client->ticket_size);
    return refresh_with(client, ticket, client->ticket_size, 600);
}

static void an_allocation_that_asks_for_it_gets_a_ticket(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    assert_int_equal(client.ticket_size, 32);
    for (size_t i = 0; i < client.ticket_size; i++) // clients keep it as text
        assert_int_not_equal(client.ticket[i], 0);
    struct turn_client other = turn_client_of(&world, "203.1.2.3:5001", TURN_UDP);
    assert_int_equal(turn_client_allocate(&other), 0);
    assert_int_equal(other.ticket_size, 0);
}

static void without_the_option_tickets_are_unknown(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(client.ticket_size, 0);
    assert_int_equal(refresh_with(&client, "whatever", 8, 600), 0);
}

static void a_ticket_in_an_allocate_is_400(void **state)
{
    (void)state;
    turn_world_init(&world, &mobile);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    turn_client_start_allocate(&client);
    stun_write_bytes(&client.writer, STUN_MOBILITY_TICKET, bytes_of_text("ticket"));
    assert_int_equal(turn_client_ask(&client), 400);
}

static void a_ticket_moves_the_allocation_with_all_it_has(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    struct turn_client moved = elsewhere(&client, "198.99.1.1:7000");
    struct turn_deliver deliver;
    assert_int_equal(move(&moved), 0);
    assert_int_equal(turn_server_allocation_count(world.server), 1);
    assert_int_equal(world.moved, 1);
    assert_true(net_path_equal(&world.moved_from.path, &client.source.path));
    assert_true(turn_client_channel(&moved, 0x4000, "here"));
    assert_true(turn_peer_send(&moved, PEER, 5, &deliver));
    assert_true(net_path_equal(&deliver.client->path, &moved.source.path));
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_MOVED), 1);
    // the old 5-tuple is nobody's
    client.cache = NULL; // cleared by the caller in `moved`
    assert_false(turn_client_channel(&client, 0x4000, "there"));
    assert_int_equal(turn_client_refresh(&client, 600), 437);
    // and the new one refreshes without a ticket
    assert_int_equal(turn_client_refresh(&moved, 1200), 0);
}

static void a_move_to_another_transport_is_counted(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    struct turn_client moved = elsewhere(&client, "198.99.1.1:7000");
    moved.source.transport = TURN_TLS;
    assert_int_equal(move(&moved), 0);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_ALLOCATIONS_UDP), 0);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_ALLOCATIONS_TLS), 1);
    struct turn_deliver deliver;
    assert_true(turn_peer_send(&moved, PEER, 5, &deliver));
    assert_int_equal(deliver.padding, 3);
    // the end of the old carrier ends nothing
    turn_server_disconnected(world.server, world.now_us, &client.source);
    assert_int_equal(turn_server_allocation_count(world.server), 1);
}

static void an_allocation_with_a_ticket_outlives_its_connection(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    struct turn_deliver deliver;
    turn_server_disconnected(world.server, world.now_us, &client.source);
    client.cache = NULL;
    assert_int_equal(turn_server_allocation_count(world.server), 1);
    assert_int_equal(world.ended[TURN_END_DISCONNECTED], 0);
    // what comes for it has nowhere to go
    assert_false(turn_peer_send(&client, PEER, 5, &deliver));
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_CLIENT_AWAY), 1);
    // its 5-tuple is free: whoever gets it next has no part in it
    assert_int_equal(turn_client_refresh(&client, 600), 437);
    client.cache = NULL;
    struct turn_client other = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    assert_int_equal(turn_client_allocate(&other), 0);
    struct turn_client moved = elsewhere(&client, "198.99.1.1:7000");
    assert_int_equal(move(&moved), 0);
    assert_null(world.moved_from.carrier);
    assert_true(turn_client_channel(&moved, 0x4000, "here"));
    assert_true(turn_peer_send(&moved, PEER, 5, &deliver));
    assert_true(net_path_equal(&deliver.client->path, &moved.source.path));
    assert_int_equal(turn_client_refresh(&other, 600), 0);
}

static void an_allocation_whose_client_stays_away_expires(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    turn_server_disconnected(world.server, world.now_us, &client.source);
    client.cache = NULL;
    turn_world_pass(&world, 601 * TIME_US_PER_S);
    assert_int_equal(turn_server_allocation_count(world.server), 0);
    assert_int_equal(world.ended[TURN_END_EXPIRED], 1);
}

static void a_repeated_move_gets_the_same_new_ticket(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    struct turn_client moved = elsewhere(&client, "198.99.1.1:7000");
    uint8_t first[64];
    assert_int_equal(move(&moved), 0);
    memcpy(first, moved.ticket, sizeof(first));
    assert_memory_not_equal(first, client.ticket, 32);
    assert_int_equal(turn_client_repeat(&moved), 0);
    turn_client_take_allocation(&moved);
    assert_memory_equal(first, moved.ticket, 32);
    assert_int_equal(world.moved, 1);
}

static void a_lost_answer_does_not_strand_a_client_that_moves_on(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    struct turn_client first = elsewhere(&client, "198.99.1.1:7000");
    assert_int_equal(move(&first), 0); // the answer is lost
    struct turn_client second = elsewhere(&client, "198.99.1.2:7000");
    assert_int_equal(move(&second), 0); // with the ticket that it has
    assert_int_equal(world.moved, 2);
    assert_true(turn_client_channel(&second, 0x4000, "x"));
}

static void a_ticket_is_worth_nothing_after_the_next_was_used(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    struct turn_client first = elsewhere(&client, "198.99.1.1:7000");
    assert_int_equal(move(&first), 0);
    struct turn_client second = elsewhere(&first, "198.99.1.2:7000");
    assert_int_equal(move(&second), 0);
    struct turn_client thief = elsewhere(&client, "198.99.1.3:7000");
    assert_int_equal(move(&thief), 437);
    assert_int_equal(world.moved, 2);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_TICKETS_REFUSED), 1);
    assert_true(turn_client_channel(&second, 0x4000, "x"));
}

static void another_users_credentials_are_441(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    struct turn_client thief = elsewhere(&client, "198.99.1.1:7000");
    thief.username = "bob";
    thief.password = "builder";
    assert_int_equal(move(&thief), 441);
    thief = elsewhere(&client, "198.99.1.1:7000");
    thief.password = "guess";
    assert_int_equal(move(&thief), 401);
    assert_int_equal(world.moved, 0);
    assert_true(turn_client_channel(&client, 0x4000, "x"));
}

static void a_forged_ticket_is_refused(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    struct turn_client thief = elsewhere(&client, "198.99.1.1:7000");
    for (size_t i = 0; i < 32; i++) {
        uint8_t ticket[32];
        memcpy(ticket, client.ticket, sizeof(ticket));
        ticket[i] = ticket[i] == 'A' ? 'B' : 'A';
        assert_int_equal(refresh_with(&thief, ticket, sizeof(ticket), 600), 437);
    }
    assert_int_equal(refresh_with(&thief, "", 0, 600), 437);
    assert_int_equal(refresh_with(&thief, client.ticket, 31, 600), 437);
    assert_int_equal(refresh_with(&client, "", 0, 600), 400); // on its own 5-tuple
    assert_int_equal(world.moved, 0);
}

static void a_5_tuple_with_an_allocation_takes_no_other(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    struct turn_client other = elsewhere(&client, "198.99.1.1:7000");
    assert_int_equal(allocate_mobile(&other), 0);
    assert_int_equal(refresh_with(&other, client.ticket, client.ticket_size, 600), 437);
    assert_int_equal(world.moved, 0);
}

static void a_ticket_of_an_ended_allocation_is_437(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    struct turn_client moved = elsewhere(&client, "198.99.1.1:7000");
    assert_int_equal(turn_client_refresh(&client, 0), 0);
    assert_int_equal(move(&moved), 437);
}

static void a_delete_with_a_ticket_from_elsewhere_deletes(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    struct turn_client moved = elsewhere(&client, "198.99.1.1:7000");
    assert_int_equal(refresh_with(&moved, client.ticket, client.ticket_size, 0), 0);
    moved.cache = NULL;
    assert_int_equal(turn_server_allocation_count(world.server), 0);
}

static void a_refresh_in_place_renews_the_ticket(void **state)
{
    (void)state;
    struct turn_client client = alice(&mobile);
    uint8_t first[64];
    memcpy(first, client.ticket, sizeof(first));
    assert_int_equal(refresh_with(&client, first, 32, 600), 0);
    assert_memory_not_equal(first, client.ticket, 32);
    struct turn_client moved = elsewhere(&client, "198.99.1.1:7000");
    assert_int_equal(move(&moved), 0);
}

static void a_client_moves_with_a_credential_that_has_ended(void **state)
{
    (void)state;
    struct turn_world_options options = mobile;
    struct bytes secret = bytes_of_text("s3cret");
    static char name[64], password[TURN_REST_PASSWORD_SIZE];
    options.settings.secrets = &secret;
    options.settings.secret_count = 1;
    turn_world_init(&world, &options);
    snprintf(name, sizeof(name), "%lld:carol", TURN_WORLD_UNIX_S + 60);
    turn_rest_password(secret, bytes_of_text(name), password);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    client.username = name;
    client.password = password;
    assert_int_equal(allocate_mobile(&client), 0);
    turn_world_pass_s(&world, 100);
    struct turn_client moved = elsewhere(&client, "198.99.1.1:7000");
    moved.username = name;
    moved.password = password;
    assert_int_equal(turn_client_refresh(&moved, 600), 401); // nothing to go on with
    assert_int_equal(move(&moved), 0);
    assert_int_equal(world.moved, 1);
}

static void a_ticket_names_its_worker_to_all_workers_of_the_server(void **state)
{
    (void)state;
    struct turn_world_options options = mobile;
    options.worker = 3;
    options.worker_count = 4;
    struct turn_client client = alice(&options);
    static struct turn_world second;
    struct turn_world_options other = { .settings = { .mobility = true },
                                        .worker = 1,
                                        .worker_count = 4,
                                        .ports = world.ports,
                                        .nonce = &world.own_nonce_key };
    turn_world_init(&second, &other);
    turn_client_start(&client, STUN_REFRESH);
    stun_write_bytes(&client.writer, STUN_MOBILITY_TICKET,
                     bytes_of(client.ticket, client.ticket_size));
    turn_client_sign(&client);
    struct bytes message = turn_client_finish(&client);
    assert_int_equal(turn_message_worker(world.server, message), 3);
    assert_int_equal(turn_message_worker(second.server, message), 3);
    // on the wrong worker it is worth nothing, whatever has the same handle there
    struct turn_client native = turn_client_of(&second, "203.1.2.7:5000", TURN_UDP);
    assert_int_equal(allocate_mobile(&native), 0);
    struct turn_client lost = elsewhere(&client, "198.99.1.1:7000");
    lost.world = &second;
    assert_int_equal(move(&lost), 437);
    turn_client_start(&client, STUN_REFRESH);
    client.ticket[0] ^= 1;
    stun_write_bytes(&client.writer, STUN_MOBILITY_TICKET,
                     bytes_of(client.ticket, client.ticket_size));
    assert_int_equal(turn_message_worker(world.server, turn_client_finish(&client)), -ENOENT);
    turn_world_done(&second);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_allocation_that_asks_for_it_gets_a_ticket),
        TEST(without_the_option_tickets_are_unknown),
        TEST(a_ticket_in_an_allocate_is_400),
        TEST(a_ticket_moves_the_allocation_with_all_it_has),
        TEST(a_move_to_another_transport_is_counted),
        TEST(an_allocation_with_a_ticket_outlives_its_connection),
        TEST(an_allocation_whose_client_stays_away_expires),
        TEST(a_repeated_move_gets_the_same_new_ticket),
        TEST(a_lost_answer_does_not_strand_a_client_that_moves_on),
        TEST(a_ticket_is_worth_nothing_after_the_next_was_used),
        TEST(another_users_credentials_are_441),
        TEST(a_forged_ticket_is_refused),
        TEST(a_5_tuple_with_an_allocation_takes_no_other),
        TEST(a_ticket_of_an_ended_allocation_is_437),
        TEST(a_delete_with_a_ticket_from_elsewhere_deletes),
        TEST(a_refresh_in_place_renews_the_ticket),
        TEST(a_client_moves_with_a_credential_that_has_ended),
        TEST(a_ticket_names_its_worker_to_all_workers_of_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
