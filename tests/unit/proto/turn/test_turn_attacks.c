// What has been done to TURN servers, tried on this one: open relays into the own network, floods
// of strangers, reflection, leaks, overflows, theft.
#include "support/check.h"
#include "support/turn_client.h"

#define PEER "46.4.0.9:1000"

static struct turn_world world;

static int teardown(void **state)
{
    (void)state;
    turn_world_done(&world);
    return 0;
}

static struct turn_client alice_of(const struct turn_world_options *options,
                                   enum turn_transport transport)
{
    turn_world_init(&world, options);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", transport);
    ensure(turn_client_allocate_dual(&client) == 0);
    return client;
}

static struct turn_client alice(void)
{
    return alice_of(NULL, TURN_UDP);
}

/** No request of any kind leads there, and no socket is opened in the attempt. */
static void check_unreachable(struct turn_client *client, const char *peer)
{
    int code = turn_client_permit(client, peer);
    if (code != 403)
        print_error("CreatePermission %s: %d\n", peer, code);
    assert_int_equal(code, 403);
    assert_int_equal(turn_client_bind(client, 0x4000, peer), 403);
    assert_false(turn_client_channel(client, 0x4000, "x"));
    assert_false(turn_client_send(client, peer, "x"));
    assert_int_equal(world.opened, 0);
}

static void loopback_cannot_be_reached_under_any_name(void **state)
{
    (void)state; // CVE-2020-26262, CVE-2026-27624
    struct turn_client client = alice();
    static const char *const names[] = {
        "127.0.0.1:5766",
        "127.255.255.254:80",
        "0.0.0.0:5766",
        "0.1.2.3:80",
        "[::1]:5766",
        "[::]:5766",
        "[::ffff:127.0.0.1]:5766",
        "[::ffff:0.0.0.0]:5766",
        "[::127.0.0.1]:5766",
        "[64:ff9b::127.0.0.1]:5766",
        "[2002:7f00:1::]:5766",
        "[2002:7f00:1::1]:5766",
    };
    for (size_t i = 0; i < array_size(names); i++)
        check_unreachable(&client, names[i]);
}

static void the_network_behind_cannot_be_reached_under_any_name(void **state)
{
    (void)state; // the reports on Slack's and others' servers, 2020
    struct turn_client client = alice();
    static const char *const names[] = {
        "10.0.0.1:80",
        "172.16.0.1:80",
        "172.31.255.255:80",
        "192.168.1.1:80",
        "100.64.0.1:80",
        "169.254.169.254:80", // cloud metadata
        "[fd00:ec2::254]:80", // the same of one cloud
        "[fe80::1]:80",
        "[fc00::1]:80",
        "[fd12:3456::1]:80",
        "[::ffff:10.0.0.1]:80",
        "[::ffff:169.254.169.254]:80",
        "[::10.0.0.1]:80",
        "[64:ff9b::10.0.0.1]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[2002:a00:1::]:80",
        "[2002:a9fe:a9fe::]:80",
        "[2002:c0a8:101::]:80",
    };
    for (size_t i = 0; i < array_size(names); i++)
        check_unreachable(&client, names[i]);
}

static void nobody_and_everybody_cannot_be_reached(void **state)
{
    (void)state;
    struct turn_client client = alice();
    static const char *const names[] = {
        "224.0.0.1:80",         "239.255.255.250:1900",  "255.255.255.255:9", "240.0.0.1:80",
        "[ff02::1]:80",         "[ff05::2]:80",          "192.0.2.1:80",      "198.51.100.1:80",
        "203.0.113.1:80",       "198.18.0.1:80",         "192.0.0.8:80",      "[2001:db8::1]:80",
        "[64:ff9b::e000:1]:80", "[::ffff:224.0.0.1]:80",
    };
    for (size_t i = 0; i < array_size(names); i++)
        check_unreachable(&client, names[i]);
}

static void the_inside_of_a_cloud_nat_cannot_be_reached(void **state)
{
    (void)state;
    struct turn_client client = alice();
    check_unreachable(&client, "10.9.9.9:22"); // where our relays bind
}

static void our_own_services_cannot_be_reached(void **state)
{
    (void)state;
    struct turn_client client = alice();
    static const char *const names[] = {
        "51.15.0.1:22",    "51.15.0.1:3478",   "51.15.0.1:443",
        "51.15.0.1:50999", "[2a01:4f8::1]:22", "[2a01:4f8::1]:3478"
    };
    for (size_t i = 0; i < array_size(names); i++) {
        // an IP of ours may be permitted: other allocations live there
        assert_int_equal(turn_client_permit(&client, names[i]), 0);
        assert_false(turn_client_send(&client, names[i], "x"));
        assert_int_equal(turn_client_bind(&client, 0x4000, names[i]), 403);
    }
    assert_int_equal(world.opened, 0);
}

static void tcp_allocations_reach_nothing_inside(void **state)
{
    (void)state;
    turn_world_init(&world, &(struct turn_world_options){ .settings = { .tcp_relay = true } });
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_TLS);
    turn_client_start(&client, STUN_ALLOCATE);
    turn_client_transport(&client, 6);
    assert_int_equal(turn_client_ask_allocate(&client), 0);
    static const char *const names[] = { "127.0.0.1:5432", "0.0.0.0:80", "10.0.0.1:80",
                                         "169.254.169.254:80", "51.15.0.1:22" };
    uint32_t connection;
    for (size_t i = 0; i < array_size(names); i++) {
        struct net_address peer = turn_world_address(names[i]);
        turn_client_start(&client, STUN_CONNECT);
        turn_client_peer(&client, names[i]);
        assert_int_equal(turn_client_ask(&client), 403);
        assert_int_equal(turn_client_permit(&client, names[i]), 403);
        assert_int_equal(turn_server_tcp_accepted(world.server, world.now_us,
                                                  turn_client_relay(&client, 0), &peer,
                                                  &connection),
                         -EACCES);
    }
    assert_int_equal(world.connects, 0);
    assert_int_equal(world.opened, 0);
}

static void strangers_leave_nothing_behind(void **state)
{
    (void)state; // 20,000 sources held 300 MB of another server
    turn_world_init(&world, NULL);
    for (uint32_t i = 0; i < 20000; i++) {
        struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
        store_u32(client.source.path.remote.ip, 0x0b000000 + i * 256);
        turn_client_challenge(&client);
    }
    assert_int_equal(turn_server_allocation_count(world.server), 0);
    assert_int_equal(turn_quota_allocations(world.quota), 0);
    assert_int_equal(turn_ports_taken(world.ports), 0);
    assert_true(turn_server_deadline(world.server) == TIME_NEVER);
}

static void strangers_of_one_network_are_answered_at_a_rate(void **state)
{
    (void)state;
    turn_world_init(&world,
                    &(struct turn_world_options){
                        .limits = { .unauthenticated_per_s = 10, .unauthenticated_burst = 20 } });
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    client.anonymous = true;
    int answered = 0;
    for (int i = 0; i < 1000; i++) {
        client.source.path.remote.ip[3] = (uint8_t)i; // all over its /24
        turn_client_start_allocate(&client);
        answered += turn_client_ask(&client) == 401;
        turn_client_start(&client, STUN_BINDING);
        answered += turn_client_ask(&client) == 0;
        world.now_us += 100;
    }
    assert_in_range(answered, 20, 22);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_RATE_LIMIT), 2000 - answered);
    // others are not hurt
    struct turn_client other = turn_client_of(&world, "198.99.1.1:7000", TURN_UDP);
    assert_int_equal(turn_client_allocate(&other), 0);
}

static void whoever_has_an_allocation_is_answered_in_a_flood_of_its_neighbours(void **state)
{
    (void)state;
    struct turn_client client =
        alice_of(&(struct turn_world_options){ .limits = { .unauthenticated_per_s = 1,
                                                           .unauthenticated_burst = 1 } },
                 TURN_UDP);
    struct turn_client noise = turn_client_of(&world, "203.1.2.9:5000", TURN_UDP);
    noise.anonymous = true;
    for (int i = 0; i < 100; i++) {
        turn_client_start_allocate(&noise);
        (void)turn_client_ask(&noise);
    }
    turn_client_start(&client, STUN_BINDING);
    client.anonymous = true;
    assert_int_equal(turn_client_ask(&client), 0);
    client.anonymous = false;
    memset(client.nonce, 'a', client.nonce_size); // stale
    assert_int_equal(turn_client_refresh(&client, 600), 438);
}

static void answers_to_strangers_are_short(void **state)
{
    (void)state;
    turn_world_init(&world, &(struct turn_world_options){ .settings = { .software = "roost" } });
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    struct bytes value;
    client.anonymous = true;
    turn_client_start(&client, STUN_BINDING);
    assert_int_equal(turn_client_ask(&client), 0);
    assert_int_equal(turn_world_sent(&world, 0)->size, 32); // to 20 bytes: 1.6 times
    turn_client_start_allocate(&client);
    assert_int_equal(turn_client_ask(&client), 401);
    assert_in_range(turn_world_sent(&world, 0)->size, 1, 100); // REALM, NONCE, algorithms
    assert_true(stun_message_find(&client.answer, STUN_ERROR_CODE, &value));
    assert_int_equal(value.size, 4); // no phrase
}

static void what_is_no_request_is_never_answered(void **state)
{
    (void)state;
    struct turn_client client = alice();
    size_t before = world.sent_count;
    static const uint16_t methods[] = { STUN_BINDING, STUN_ALLOCATE, STUN_REFRESH, STUN_SEND,
                                        STUN_DATA,    STUN_CONNECT,  0x0fff };
    for (size_t i = 0; i < array_size(methods); i++) {
        static const enum stun_class classes[] = { STUN_INDICATION, STUN_SUCCESS, STUN_ERROR };
        for (size_t c = 0; c < array_size(classes); c++) {
            turn_client_start_class(&client, classes[c], methods[i]);
            assert_int_equal(turn_client_give(&client, turn_client_finish(&client)), TURN_DONE);
        }
    }
    turn_client_start(&client, 0x0fff); // a request of a method that nobody knows
    assert_int_equal(turn_client_give(&client, turn_client_finish(&client)), TURN_DONE);
    turn_client_start(&client, STUN_SEND);
    assert_int_equal(turn_client_give(&client, turn_client_finish(&client)), TURN_DONE);
    assert_int_equal(world.sent_count, before);
}

static void a_wrong_fingerprint_is_dropped_in_silence(void **state)
{
    (void)state;
    struct turn_client client = alice();
    size_t before = world.sent_count;
    turn_client_start(&client, STUN_BINDING);
    stun_write_fingerprint(&client.writer);
    client.buffer[stun_writer_finish(&client.writer) - 1] ^= 1;
    assert_int_equal(turn_client_give(&client, turn_client_finish(&client)), TURN_DONE);
    assert_int_equal(world.sent_count, before);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_FINGERPRINT), 1);
}

static void unknown_users_cannot_be_told_from_wrong_passwords(void **state)
{
    (void)state;
    turn_world_init(&world, NULL);
    struct turn_client wrong = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    struct turn_client unknown = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    wrong.password = "guess";
    unknown.username = "nobod";
    assert_int_equal(turn_client_allocate(&wrong), 401);
    struct turn_sent first = *turn_world_sent(&world, 0);
    unknown.transaction = wrong.transaction - 2; // the same transaction as well
    assert_int_equal(turn_client_allocate(&unknown), 401);
    const struct turn_sent *second = turn_world_sent(&world, 0);
    assert_int_equal(first.size, second->size);
    assert_memory_equal(first.data, second->data, first.size);
}

static void a_captured_request_is_worth_nothing_from_another_address(void **state)
{
    (void)state;
    turn_world_init(&world, NULL);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    struct turn_client thief = turn_client_of(&world, "198.99.1.1:7000", TURN_UDP);
    turn_client_challenge(&client);
    turn_client_start_allocate(&client);
    turn_client_sign(&client);
    struct bytes captured = turn_client_finish(&client);
    memcpy(thief.buffer, captured.data, captured.size);
    thief.writer = client.writer;
    thief.writer.out.data = thief.buffer;
    assert_int_equal(turn_client_repeat(&thief), 438);
    assert_int_equal(turn_server_allocation_count(world.server), 0);
}

static void nonces_of_two_servers_differ(void **state)
{
    (void)state; // CVE-2025-69217
    turn_world_init(&world, NULL);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    char first[128];
    turn_client_challenge(&client);
    memcpy(first, client.nonce, sizeof(first));
    turn_world_done(&world);
    turn_world_init(&world, NULL);
    struct random other;
    random_seeded_init(&other, 99);
    turn_nonce_key_init(&world.own_nonce_key, &other);
    client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    turn_client_challenge(&client);
    assert_memory_not_equal(first, client.nonce, client.nonce_size);
    memcpy(client.nonce, first, client.nonce_size);
    assert_int_equal(turn_client_allocate(&client), 438);
}

/** All bytes between attributes. */
static void check_padding(const uint8_t *data, size_t size)
{
    size_t at = STUN_HEADER_SIZE;
    while (at < size) {
        uint16_t length = load_u16(data + at + 2);
        for (size_t i = at + 4 + length; i < at + 4 + ((length + 3u) & ~3u); i++)
            assert_int_equal(data[i], 0);
        at += 4 + ((length + 3u) & ~3u);
    }
}

static void padding_carries_nothing_of_others(void **state)
{
    (void)state; // CVE-2020-4067
    turn_world_init(&world, &(struct turn_world_options){ .settings = { .software = "roost" } });
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(turn_client_permit(&client, PEER), 0);
    assert_int_equal(turn_client_permit(&client, "127.0.0.1:1"), 403);
    assert_int_equal(turn_client_refresh(&client, 600), 0);
    for (size_t i = 0; i < world.sent_count; i++)
        check_padding(turn_world_sent(&world, i)->data, turn_world_sent(&world, i)->size);
}

static void a_token_of_wrong_lengths_is_401(void **state)
{
    (void)state; // CVE-2026-43994: the length of a token's nonce was believed
    static const struct turn_token_key key = { .kid = "kid",
                                               .algorithm = TURN_TOKEN_A256GCM,
                                               .key_size = 32 };
    turn_world_init(&world, &(struct turn_world_options){
                                .settings = { .token_keys = &key, .token_key_count = 1 } });
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    static uint8_t token[2000];
    static const uint16_t lengths[] = { 0, 1, 11, 12, 13, 256, 735, 1000, 0x7fff, 0xffff };
    client.username = "kid";
    turn_client_challenge(&client);
    for (size_t size = 0; size < sizeof(token); size += 97) {
        for (size_t i = 0; i < array_size(lengths); i++) {
            store_u16(token, lengths[i]);
            turn_client_start_allocate(&client);
            stun_write_bytes(&client.writer, STUN_ACCESS_TOKEN, bytes_of(token, size));
            assert_int_equal(turn_client_ask(&client), 401);
        }
    }
}

static void names_of_any_length_are_refused_or_answered(void **state)
{
    (void)state;
    turn_world_init(&world, NULL);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    static char name[1024];
    client.username = name;
    turn_client_challenge(&client);
    for (size_t size = 0; size < 800; size += 13) {
        memset(name, 'a', size);
        int code = turn_client_allocate(&client);
        assert_int_equal(code, size <= TURN_USERNAME_MAX ? 401 : 400);
    }
}

static void a_long_name_of_a_real_user_has_room(void **state)
{
    (void)state;
    static char name[TURN_USERNAME_MAX + 1], password[TURN_REST_PASSWORD_SIZE];
    struct bytes secret = bytes_of_text("s3cret");
    turn_world_init(&world, &(struct turn_world_options){
                                .settings = { .secrets = &secret, .secret_count = 1 } });
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    memset(name, 'a', sizeof(name) - 1);
    memcpy(name, "2000000000:", 11);
    turn_rest_password(secret, bytes_of_text(name), password);
    client.username = name;
    client.password = password;
    assert_int_equal(turn_client_allocate(&client), 0);
    struct turn_allocation_info info;
    uint32_t cursor = 0;
    assert_true(turn_server_next(world.server, &cursor, &info));
    assert_int_equal(info.username.size, TURN_USERNAME_MAX - 11);
}

static void a_permission_for_one_allocation_opens_no_other(void **state)
{
    (void)state;
    struct turn_client client = alice();
    struct turn_client victim = turn_client_of(&world, "198.99.1.1:7000", TURN_UDP);
    struct turn_deliver deliver;
    assert_int_equal(turn_client_allocate(&victim), 0);
    char text[NET_ADDRESS_TEXT_MAX];
    net_address_format(&victim.relayed[0], text);
    assert_int_equal(turn_client_permit(&client, text), 0);
    assert_true(turn_client_send(&client, text, "hello"));
    // it is the victim's permission that counts
    assert_int_equal(turn_server_peer_input(world.server, world.now_us,
                                            turn_client_relay(&victim, 0),
                                            &client.forward.relay->told, 5, &deliver),
                     TURN_DONE);
}

static void thousands_of_attributes_are_one_request(void **state)
{
    (void)state;
    struct turn_client client = alice_of(NULL, TURN_TCP);
    turn_client_start(&client, STUN_CREATE_PERMISSION);
    char peer[NET_ADDRESS_TEXT_MAX];
    for (unsigned i = 0; i < 600; i++) {
        snprintf(peer, sizeof(peer), "46.4.%u.%u:1", i / 250, i % 250 + 1);
        turn_client_peer(&client, peer);
    }
    assert_int_equal(turn_client_ask(&client), 508); // more than 512: none
    assert_false(turn_client_reaches(&client, "46.4.0.1:1"));
    turn_client_start_allocate(&client);
    for (uint16_t type = 0x7000; type < 0x7100; type++)
        stun_write_flag(&client.writer, type);
    assert_int_equal(turn_client_ask(&client), 420);
    assert_in_range(turn_world_sent(&world, 0)->size, 1, 200);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(loopback_cannot_be_reached_under_any_name),
        TEST(the_network_behind_cannot_be_reached_under_any_name),
        TEST(nobody_and_everybody_cannot_be_reached),
        TEST(the_inside_of_a_cloud_nat_cannot_be_reached),
        TEST(our_own_services_cannot_be_reached),
        TEST(tcp_allocations_reach_nothing_inside),
        TEST(strangers_leave_nothing_behind),
        TEST(strangers_of_one_network_are_answered_at_a_rate),
        TEST(whoever_has_an_allocation_is_answered_in_a_flood_of_its_neighbours),
        TEST(answers_to_strangers_are_short),
        TEST(what_is_no_request_is_never_answered),
        TEST(a_wrong_fingerprint_is_dropped_in_silence),
        TEST(unknown_users_cannot_be_told_from_wrong_passwords),
        TEST(a_captured_request_is_worth_nothing_from_another_address),
        TEST(nonces_of_two_servers_differ),
        TEST(padding_carries_nothing_of_others),
        TEST(a_token_of_wrong_lengths_is_401),
        TEST(names_of_any_length_are_refused_or_answered),
        TEST(a_long_name_of_a_real_user_has_room),
        TEST(a_permission_for_one_allocation_opens_no_other),
        TEST(thousands_of_attributes_are_one_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
