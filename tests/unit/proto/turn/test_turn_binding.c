// Binding requests (RFC 8489 section 12) as the engine answers them, and what concerns all requests
// alike: fingerprints, names hidden by USERHASH.
#include "support/check.h"
#include "support/turn_client.h"

static struct turn_world world;

static int teardown(void **state)
{
    (void)state;
    turn_world_done(&world);
    return 0;
}

static void binding_tells_the_clients_address_on_every_transport(void **state)
{
    (void)state;
    turn_world_init(&world, NULL);
    static const char *const addresses[] = { "203.1.2.3:5000", "[2a02:1::5]:4000" };
    for (enum turn_transport transport = 0; transport < TURN_TRANSPORTS; transport++) {
        for (size_t i = 0; i < array_size(addresses); i++) {
            struct turn_client client = turn_client_of(&world, addresses[i], transport);
            struct net_address mapped;
            client.anonymous = true;
            turn_client_start(&client, STUN_BINDING);
            assert_int_equal(turn_client_ask(&client), 0);
            assert_int_equal(
                stun_message_find_address(&client.answer, STUN_XOR_MAPPED_ADDRESS, &mapped), 0);
            assert_true(net_address_equal(&mapped, &client.source.path.remote));
            assert_int_equal(turn_world_sent(&world, 0)->to.transport, transport);
        }
    }
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_REQUESTS_BINDING), 8);
}

static void binding_with_an_unknown_attribute_is_420(void **state)
{
    (void)state;
    turn_world_init(&world, NULL);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    struct bytes types;
    client.anonymous = true;
    turn_client_start(&client, STUN_BINDING);
    stun_write_u32(&client.writer, STUN_CHANGE_REQUEST, 6); // no second address here
    stun_write_flag(&client.writer, 0x7f01);
    assert_int_equal(turn_client_ask(&client), 420);
    assert_true(stun_message_find(&client.answer, STUN_UNKNOWN_ATTRIBUTES, &types));
    assert_int_equal(types.size, 4);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_ERRORS_420), 1);
}

static void answers_have_a_fingerprint_when_requests_have(void **state)
{
    (void)state;
    turn_world_init(&world, NULL);
    for (int with = 0; with < 2; with++) {
        struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
        client.source.path.remote.port = (uint16_t)(5000 + with);
        client.fingerprint = with; // every answer is checked for it, or for none
        client.anonymous = true;
        turn_client_start(&client, STUN_BINDING);
        assert_int_equal(turn_client_ask(&client), 0);
        client.anonymous = false;
        assert_int_equal(turn_client_allocate(&client), 0);
        assert_int_equal(turn_client_allocate(&client), 437);
        assert_int_equal(turn_client_permit(&client, "46.4.0.9:1"), 0);
        client.password = "guess";
        assert_int_equal(turn_client_refresh(&client, 0), 401);
    }
}

static void a_name_may_be_hidden(void **state)
{
    (void)state;
    turn_world_init(&world, NULL);
    for (int sha256 = 0; sha256 < 2; sha256++) {
        struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
        client.source.path.remote.port = (uint16_t)(5000 + sha256);
        client.userhash = true;
        client.sha256 = sha256;
        assert_int_equal(turn_client_allocate(&client), 0);
        // and is the same user
        client.userhash = false;
        assert_int_equal(turn_client_refresh(&client, 600), 0);
    }
}

static void a_binding_indication_is_taken_in_silence(void **state)
{
    (void)state;
    turn_world_init(&world, NULL);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    turn_client_start_class(&client, STUN_INDICATION, STUN_BINDING);
    assert_int_equal(turn_client_give(&client, turn_client_finish(&client)), TURN_DONE);
    assert_int_equal(world.sent_count, 0);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_UNEXPECTED), 0);
}

static void rubbish_is_dropped_and_counted(void **state)
{
    (void)state;
    turn_world_init(&world, NULL);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    uint8_t rubbish[64];
    for (uint8_t size = 0; size < sizeof(rubbish); size++) {
        memset(rubbish, size & 0x3f, sizeof(rubbish));
        assert_int_equal(turn_client_give(&client, bytes_of(rubbish, size)), TURN_DONE);
    }
    assert_int_equal(world.sent_count, 0);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_MALFORMED), sizeof(rubbish));
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(binding_tells_the_clients_address_on_every_transport),
        TEST(binding_with_an_unknown_attribute_is_420),
        TEST(answers_have_a_fingerprint_when_requests_have),
        TEST(a_name_may_be_hidden),
        TEST(a_binding_indication_is_taken_in_silence),
        TEST(rubbish_is_dropped_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
