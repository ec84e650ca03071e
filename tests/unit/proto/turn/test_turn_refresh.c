// Refresh (RFC 8656 section 8.2), and how allocations live and end.
#include "support/check.h"
#include "support/turn_client.h"

static struct turn_world world;

static int teardown(void **state)
{
    (void)state;
    turn_world_done(&world);
    return 0;
}

static struct turn_client alice(const struct turn_world_options *options)
{
    turn_world_init(&world, options);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    return client;
}

static void refresh_sets_the_time_to_expiry(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate(&client), 0);
    turn_world_pass_s(&world, 500);
    assert_int_equal(turn_client_refresh(&client, 1200), 0);
    assert_int_equal(client.lifetime_s, 1200);
    turn_world_pass_s(&world, 1199);
    assert_int_equal(turn_server_allocation_count(world.server), 1);
    turn_world_pass_s(&world, 1);
    assert_int_equal(turn_server_allocation_count(world.server), 0);
    assert_int_equal(world.ended[TURN_END_EXPIRED], 1);
    client.cache = NULL;
}

static void refresh_without_lifetime_takes_the_default(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate(&client), 0);
    turn_client_start(&client, STUN_REFRESH);
    assert_int_equal(turn_client_ask(&client), 0);
    turn_client_take_allocation(&client);
    assert_int_equal(client.lifetime_s, 600);
}

static void refresh_lifetime_is_between_default_and_maximum(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(turn_client_refresh(&client, 5), 0);
    assert_int_equal(client.lifetime_s, 600);
    assert_int_equal(turn_client_refresh(&client, UINT32_MAX), 0);
    assert_int_equal(client.lifetime_s, 3600);
}

static void refresh_with_lifetime_zero_deletes_and_says_so(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(turn_client_refresh(&client, 0), 0);
    assert_int_equal(client.lifetime_s, 0);
    assert_int_equal(world.ended[TURN_END_RELEASED], 1);
    assert_int_equal(turn_ports_taken(world.ports), 0);
}

static void a_repeated_delete_is_437_which_clients_take_for_success(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(turn_client_refresh(&client, 0), 0);
    assert_int_equal(turn_client_repeat(&client), 437);
}

static void requests_without_allocation_are_437(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_refresh(&client, 600), 437);
    assert_int_equal(turn_client_permit(&client, "46.4.0.9:1"), 437);
    assert_int_equal(turn_client_bind(&client, 0x4000, "46.4.0.9:1"), 437);
}

static void another_user_on_the_5_tuple_is_441(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate(&client), 0);
    client.username = "bob";
    client.password = "builder";
    assert_int_equal(turn_client_refresh(&client, 0), 441);
    assert_int_equal(turn_client_permit(&client, "46.4.0.9:1"), 441);
    assert_int_equal(turn_client_bind(&client, 0x4000, "46.4.0.9:1"), 441);
    assert_int_equal(turn_client_allocate(&client), 437);
    assert_int_equal(turn_server_allocation_count(world.server), 1);
}

static void a_malformed_lifetime_is_400(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate(&client), 0);
    turn_client_start(&client, STUN_REFRESH);
    stun_write_flag(&client.writer, STUN_LIFETIME);
    assert_int_equal(turn_client_ask(&client), 400);
}

static int refresh_family(struct turn_client *client, uint32_t family, uint32_t lifetime_s)
{
    turn_client_start(client, STUN_REFRESH);
    stun_write_u32(&client->writer, STUN_LIFETIME, lifetime_s);
    stun_write_u32(&client->writer, STUN_REQUESTED_ADDRESS_FAMILY, family << 24);
    return turn_client_ask(client);
}

static void a_family_that_the_allocation_has_not_is_443(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(refresh_family(&client, 2, 600), 443);
    assert_int_equal(refresh_family(&client, 9, 600), 443);
    assert_int_equal(refresh_family(&client, 1, 600), 0);
}

static void the_families_of_a_dual_allocation_live_on_their_own(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate_dual(&client), 0);
    turn_world_pass_s(&world, 300);
    assert_int_equal(refresh_family(&client, 2, 1000), 0);
    turn_world_pass_s(&world, 300); // the time of IPv4 is over
    assert_int_equal(turn_server_allocation_count(world.server), 1);
    assert_null(turn_client_relay(&client, 0));
    assert_non_null(turn_client_relay(&client, 1));
    assert_int_equal(turn_ports_taken(world.ports), 1);
    assert_int_equal(turn_client_permit(&client, "46.4.0.9:1"), 443);
    assert_int_equal(turn_client_permit(&client, "[2a02:8108::9]:1"), 0);
    turn_world_pass_s(&world, 700);
    assert_int_equal(turn_server_allocation_count(world.server), 0);
}

static void deleting_one_family_leaves_permissions_and_channels_of_the_other(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate_dual(&client), 0);
    assert_int_equal(turn_client_permit(&client, "46.4.0.9:1"), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, "46.4.0.9:1000"), 0);
    assert_int_equal(turn_client_bind(&client, 0x4001, "[2a02:8108::9]:1000"), 0);
    assert_int_equal(turn_client_bind(&client, 0x4002, "46.4.0.10:1000"), 0);
    assert_int_equal(refresh_family(&client, 1, 0), 0);
    assert_int_equal(turn_server_allocation_count(world.server), 1);
    assert_false(turn_client_channel(&client, 0x4000, "gone"));
    assert_false(turn_client_channel(&client, 0x4002, "gone"));
    assert_true(turn_client_channel(&client, 0x4001, "here"));
    assert_true(turn_client_reaches(&client, "[2a02:8108::9]:1000"));
    struct turn_allocation_info info;
    uint32_t cursor = 0;
    assert_true(turn_server_next(world.server, &cursor, &info));
    assert_int_equal(info.permissions, 1);
    assert_int_equal(info.channels, 1);
    // the channel rests on its own permission, not on one that came to be where that was
    struct turn_deliver deliver;
    turn_world_pass_s(&world, 200);
    assert_int_equal(turn_client_permit(&client, "[2a02:8108::10]:1"), 0);
    turn_world_pass_s(&world, 150);
    assert_false(turn_peer_send(&client, "[2a02:8108::9]:1000", 4, &deliver));
    assert_true(turn_peer_send(&client, "[2a02:8108::10]:1000", 4, &deliver));
    assert_int_equal(refresh_family(&client, 1, 0), 443);
    assert_int_equal(refresh_family(&client, 2, 0), 0);
    assert_int_equal(turn_server_allocation_count(world.server), 0);
    client.cache = NULL;
}

static void without_a_family_all_are_refreshed(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate_dual(&client), 0);
    assert_int_equal(turn_client_refresh(&client, 1000), 0);
    turn_world_pass_s(&world, 999);
    assert_non_null(turn_client_relay(&client, 0));
    assert_non_null(turn_client_relay(&client, 1));
}

static void draining_cuts_lifetimes_to_the_deadline(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate(&client), 0);
    world.options.settings.draining = true;
    world.options.settings.drain_deadline_us = world.now_us + time_from_s(120);
    turn_world_reload(&world);
    assert_int_equal(turn_client_refresh(&client, 600), 0);
    assert_int_equal(client.lifetime_s, 120);
    turn_world_pass_s(&world, 121);
    assert_int_equal(turn_server_allocation_count(world.server), 0);
    assert_true(turn_server_deadline(world.server) == TIME_NEVER);
}

static void draining_ends_those_who_ask_for_nothing_at_the_deadline_too(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate(&client), 0);
    world.options.settings.draining = true;
    world.options.settings.drain_deadline_us = world.now_us + time_from_s(120);
    turn_world_reload(&world);
    turn_world_pass_s(&world, 119);
    assert_int_equal(turn_server_allocation_count(world.server), 1);
    turn_world_pass_s(&world, 2);
    assert_int_equal(turn_server_allocation_count(world.server), 0);
    assert_int_equal(world.ended[TURN_END_EXPIRED], 1);
}

/** "expiry:user" and its password; static because clients point to them. */
static char rest_name[64], rest_password[TURN_REST_PASSWORD_SIZE];
static struct bytes rest_secret = { .data = (const uint8_t *)"s3cret", .size = 6 };

static struct turn_client rest_client(int64_t expires_in_s)
{
    struct turn_client client = alice(
        &(struct turn_world_options){ .settings = { .secrets = &rest_secret, .secret_count = 1 } });
    snprintf(rest_name, sizeof(rest_name), "%lld:carol",
             (long long)(TURN_WORLD_UNIX_S + expires_in_s));
    turn_rest_password(rest_secret, bytes_of_text(rest_name), rest_password);
    client.username = rest_name;
    client.password = rest_password;
    return client;
}

static void an_expired_credential_starts_nothing(void **state)
{
    (void)state;
    struct turn_client client = rest_client(60);
    turn_client_challenge(&client);
    turn_world_pass_s(&world, 61);
    assert_int_equal(turn_client_allocate(&client), 401);
}

static void an_allocation_outlives_its_credential_by_one_longest_lifetime(void **state)
{
    (void)state;
    struct turn_client client = rest_client(60);
    assert_int_equal(turn_client_allocate(&client), 0);
    turn_world_pass_s(&world, 100);
    assert_int_equal(turn_client_permit(&client, "46.4.0.9:1"), 0);
    assert_int_equal(turn_client_refresh(&client, 3600), 0);
    assert_in_range(client.lifetime_s, 3559, 3560); // cut to the end of all
    turn_world_pass_s(&world, 3500);
    turn_client_challenge(&client);
    assert_int_equal(turn_client_refresh(&client, 3600), 0);
    assert_in_range(client.lifetime_s, 59, 60);
    turn_world_pass_s(&world, 61);
    assert_int_equal(turn_server_allocation_count(world.server), 0);
    client.cache = NULL;
    assert_int_equal(turn_client_allocate(&client), 401);
}

static void refreshing_all_the_time_does_not_prolong_it(void **state)
{
    (void)state;
    struct turn_client client = rest_client(60);
    assert_int_equal(turn_client_allocate(&client), 0);
    turn_world_pass_s(&world, 100);
    assert_int_equal(turn_client_refresh(&client, 3600), 0);
    turn_world_pass_s(&world, 3500);
    turn_client_challenge(&client);
    turn_world_pass(&world, 59500000);
    assert_int_equal(turn_client_refresh(&client, 3600), 0);
    assert_int_equal(client.lifetime_s, 1);
    turn_world_pass(&world, 600000);
    assert_int_equal(turn_client_refresh(&client, 3600), 401);
}

static void allocations_end_each_in_its_time(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    turn_world_init(&world, NULL);
    uint64_t ends_us[COUNT];
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    for (size_t i = 0; i < COUNT; i++) {
        client.source.path.remote.port = (uint16_t)(5000 + i);
        client.cache = NULL;
        assert_int_equal(turn_client_allocate(&client), 0);
        uint32_t lifetime_s = 600 + random_below(&world.random, 2000);
        assert_int_equal(turn_client_refresh(&client, lifetime_s), 0);
        ends_us[i] = world.now_us + time_from_s(lifetime_s);
    }
    for (int step = 0; step < 300; step++) {
        // one of them goes on, or goes
        size_t i = random_below(&world.random, COUNT);
        client.source.path.remote.port = (uint16_t)(5000 + i);
        client.cache = NULL;
        uint32_t lifetime_s = step % 3 ? 600 + random_below(&world.random, 900) : 0;
        if (turn_client_refresh(&client, lifetime_s) == 0)
            ends_us[i] = world.now_us + time_from_s(lifetime_s);
        turn_world_pass_s(&world, 7);
        size_t living = 0;
        for (i = 0; i < COUNT; i++)
            living += ends_us[i] > world.now_us;
        assert_int_equal(turn_server_allocation_count(world.server), living);
    }
}

static void a_wrong_password_is_401_after_the_credentials_end_too(void **state)
{
    (void)state;
    struct turn_client client = rest_client(60);
    assert_int_equal(turn_client_allocate(&client), 0);
    turn_world_pass_s(&world, 100);
    client.password = "guess";
    assert_int_equal(turn_client_refresh(&client, 0), 401);
    assert_int_equal(turn_server_allocation_count(world.server), 1);
}

static void a_user_may_delete_with_a_credential_that_has_ended(void **state)
{
    (void)state;
    struct turn_client client = rest_client(60);
    assert_int_equal(turn_client_allocate(&client), 0);
    turn_world_pass_s(&world, 100);
    assert_int_equal(turn_client_refresh(&client, 0), 0);
    assert_int_equal(world.ended[TURN_END_RELEASED], 1);
}

static void a_fresh_credential_is_no_fresh_quota(void **state)
{
    (void)state;
    struct turn_client client = rest_client(60);
    turn_quota_set_limits(world.quota, &(struct turn_quota_limits){ .allocations_per_user = 1 });
    assert_int_equal(turn_client_allocate(&client), 0);
    struct turn_client again = turn_client_of(&world, "203.1.2.3:5001", TURN_UDP);
    static char name[64], password[TURN_REST_PASSWORD_SIZE];
    snprintf(name, sizeof(name), "%lld:carol", (long long)(TURN_WORLD_UNIX_S + 999));
    turn_rest_password(rest_secret, bytes_of_text(name), password);
    again.username = name;
    again.password = password;
    assert_int_equal(turn_client_allocate(&again), 486);
}

static void a_stream_that_ends_takes_its_allocation_along(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    client.source.transport = TURN_TLS;
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_ALLOCATIONS_TLS), 1);
    turn_server_disconnected(world.server, world.now_us, &client.source);
    assert_int_equal(world.ended[TURN_END_DISCONNECTED], 1);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_ALLOCATIONS_TLS), 0);
    turn_server_disconnected(world.server, world.now_us, &client.source);
    assert_int_equal(world.ended[TURN_END_DISCONNECTED], 1);
}

static void an_operator_sees_and_ends_an_allocation(void **state)
{
    (void)state;
    struct turn_client client = rest_client(600);
    assert_int_equal(turn_client_allocate_dual(&client), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, "46.4.0.9:1000"), 0);
    assert_true(turn_client_channel(&client, 0x4000, "12345"));
    assert_false(turn_client_channel(&client, 0x4001, "12345"));
    struct turn_deliver deliver;
    assert_true(turn_peer_send(&client, "46.4.0.9:1000", 70, &deliver));
    struct turn_allocation_info info;
    uint32_t cursor = 0;
    assert_true(turn_server_next(world.server, &cursor, &info));
    assert_true(text_equal(info.username, "carol"));
    assert_true(net_address_equal(&info.client, &client.source.path.remote));
    assert_true(net_address_equal(&info.relayed[0], &client.relayed[0]));
    assert_true(net_address_equal(&info.relayed[1], &client.relayed[1]));
    assert_int_equal(info.sent_packets, 1);
    assert_int_equal(info.sent_bytes, 5);
    assert_int_equal(info.received_packets, 1);
    assert_int_equal(info.received_bytes, 70);
    assert_int_equal(info.dropped_packets, 1);
    assert_int_equal(info.permissions, 1);
    assert_int_equal(info.channels, 1);
    assert_true(info.expires_us == info.created_us + time_from_s(600));
    handle id = info.id;
    assert_false(turn_server_next(world.server, &cursor, &info));
    assert_int_equal(turn_server_kill(world.server, world.now_us, id, TURN_END_KILLED), 0);
    assert_int_equal(world.ended[TURN_END_KILLED], 1);
    assert_true(net_address_equal(&world.ended_info.relayed[0], &client.relayed[0]));
    assert_int_equal(world.ended_info.sent_bytes, 5);
    assert_int_equal(turn_server_kill(world.server, world.now_us, id, TURN_END_KILLED), -ENOENT);
}

static void a_day_of_thousands_of_allocations_leaves_nothing(void **state)
{
    (void)state;
    static const struct turn_world_options options = {
        .limits = { .allocations_per_user = 4000 },
        .port_max = 60000,
    };
    turn_world_init(&world, &options);
    enum { CLIENTS = 600 };
    struct turn_client *clients = memory_new_array(struct turn_client, CLIENTS);
    size_t most = 0;
    for (uint32_t minute = 0; minute < 24 * 60; minute += 4) {
        for (size_t i = 0; i < CLIENTS; i++) {
            struct turn_client *client = &clients[i];
            if (random_below(&world.random, 5) != 0)
                continue; // most sleep longer than an allocation lives
            char address[NET_ADDRESS_TEXT_MAX];
            snprintf(address, sizeof(address), "203.1.%zu.%zu:5000", i / 250 + 1, i % 250 + 1);
            *client = turn_client_of(&world, address, (enum turn_transport)(i % TURN_TRANSPORTS));
            client->transaction += minute * 16;
            int code = turn_client_allocate(client);
            assert_true(code == 0 || code == 437);
            if (code == 437)
                assert_int_equal(turn_client_refresh(client, 900), 0);
            char peer[NET_ADDRESS_TEXT_MAX];
            snprintf(peer, sizeof(peer), "46.4.%u.%u:1000", minute % 200 + 1, (unsigned)i % 200);
            assert_int_equal(turn_client_permit(client, peer), 0);
            code = turn_client_bind(client, (uint16_t)(0x4000 + minute % 5), peer);
            assert_true(code == 0 || code == 400);
            if (random_below(&world.random, 4) == 0)
                assert_int_equal(turn_client_refresh(client, 0), 0);
        }
        most = max_of(most, turn_server_allocation_count(world.server));
        turn_world_pass_s(&world, 240);
    }
    assert_in_range(most, CLIENTS / 4, CLIENTS);
    turn_world_pass_s(&world, 3601);
    assert_int_equal(turn_server_allocation_count(world.server), 0);
    assert_int_equal(turn_ports_taken(world.ports), 0);
    assert_int_equal(turn_quota_allocations(world.quota), 0);
    assert_true(turn_server_deadline(world.server) == TIME_NEVER);
    assert_true(world.opened > 0);
    assert_int_equal(world.sockets, 0);
    free(clients);
}

static void stopping_ends_everything(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL);
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(turn_client_bind(&client, 0x4000, "46.4.0.9:1000"), 0);
    world.server = turn_server_free(world.server);
    assert_int_equal(world.ended[TURN_END_STOPPED], 1);
    assert_int_equal(world.closed, 1);
    assert_null(world.server);
}

static void ends_have_names(void **state)
{
    (void)state;
    turn_world_init(&world, NULL);
    assert_text_equal(turn_end_name(TURN_END_EXPIRED), "expired");
    assert_text_equal(turn_end_name(TURN_END_STOPPED), "stopped");
    assert_text_equal(turn_end_name(TURN_END_COUNT), "unknown");
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refresh_sets_the_time_to_expiry),
        TEST(refresh_without_lifetime_takes_the_default),
        TEST(refresh_lifetime_is_between_default_and_maximum),
        TEST(refresh_with_lifetime_zero_deletes_and_says_so),
        TEST(a_repeated_delete_is_437_which_clients_take_for_success),
        TEST(requests_without_allocation_are_437),
        TEST(another_user_on_the_5_tuple_is_441),
        TEST(a_malformed_lifetime_is_400),
        TEST(a_family_that_the_allocation_has_not_is_443),
        TEST(the_families_of_a_dual_allocation_live_on_their_own),
        TEST(deleting_one_family_leaves_permissions_and_channels_of_the_other),
        TEST(without_a_family_all_are_refreshed),
        TEST(draining_cuts_lifetimes_to_the_deadline),
        TEST(draining_ends_those_who_ask_for_nothing_at_the_deadline_too),
        TEST(an_expired_credential_starts_nothing),
        TEST(an_allocation_outlives_its_credential_by_one_longest_lifetime),
        TEST(refreshing_all_the_time_does_not_prolong_it),
        TEST(allocations_end_each_in_its_time),
        TEST(a_wrong_password_is_401_after_the_credentials_end_too),
        TEST(a_user_may_delete_with_a_credential_that_has_ended),
        TEST(a_fresh_credential_is_no_fresh_quota),
        TEST(a_stream_that_ends_takes_its_allocation_along),
        TEST(an_operator_sees_and_ends_an_allocation),
        TEST(a_day_of_thousands_of_allocations_leaves_nothing),
        TEST(stopping_ends_everything),
        TEST(ends_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
