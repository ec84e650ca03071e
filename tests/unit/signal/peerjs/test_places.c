// Who gives way when there is no place for one more, and whose messages wait for whom.
#include "fake_anchor.h"
#include "peerjs_harness.h"

/** `from` calls `to`, which accepts it or lets it ring. */
static void client_calls(struct client *from, struct client *to, const char *to_id,
                         const char *from_id, const char *connection, bool accept)
{
    client_say(from, media_message("OFFER", to_id, connection));
    client_hears(to, "OFFER");
    if (!accept)
        return;
    client_say(to, media_message("ANSWER", from_id, connection));
    client_hears(from, "ANSWER");
}

static void test_a_stranger_ends_no_call_of_the_callee(void **state)
{
    (void)state;
    struct client ada, ben, eve, zoe;
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    client_enter(&eve, "eve");
    client_enter(&zoe, "zoe");
    client_calls(&ada, &ben, "ben", "ada", "mc_1", true);
    char connection[16];
    for (int i = 0; i < CALL_ATTEMPTS_OWED_MAX; i++) {
        snprintf(connection, sizeof(connection), "mc_e%d", i);
        client_say(&eve, media_message("OFFER", "ben", connection));
        // what rang longest gives way, for both of them
        if (i >= 8) {
            client_closes(&eve);
            client_closes(&ben);
        }
        assert_string_equal(text_at(payload_of(client_hears(&ben, "OFFER")), "type"), "media");
        client_is_quiet(&eve);
        client_is_quiet(&ben);
    }
    assert_int_equal(world.calls.calls.count, 1 + 8);
    for (int i = 0; i < 7; i++) {
        snprintf(connection, sizeof(connection), "mc_z%d", i);
        client_calls(&zoe, &ben, "ben", "zoe", connection, false);
    }
    // full: neither of the two gets in by ending what ada has
    client_say(&zoe, media_message("OFFER", "ben", "mc_z7"));
    client_closes(&zoe);
    client_hears(&zoe, "EXPIRE");
    client_is_quiet(&ben);
    assert_int_equal(world.calls.calls.count, 1 + 8 + 7);
    // but ada does, who had it with ben, and may have ended it since
    client_calls(&ada, &ben, "ben", "ada", "mc_2", true);
    client_is_quiet(&ada);
    assert_int_equal(world.calls.calls.count, 1 + 8 + 7);
    client_leave(&zoe, 1001);
    client_leave(&eve, 1001);
    client_leave(&ben, 1001);
    client_leave(&ada, 1001);
}

static void test_who_wants_no_calls_keeps_those_there_are(void **state)
{
    (void)state;
    struct client ada, ben;
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    client_calls(&ada, &ben, "ben", "ada", "mc_1", true);
    struct call_device *device = call_user_next(&world.calls, "ben", NULL);
    assert_non_null(device);
    assert_null(call_user_next(&world.calls, "ben", device));
    assert_null(call_user_next(&world.calls, "nobody", NULL));
    device->choice = PRESENCE_DND;
    client_say(&ada, media_message("OFFER", "ben", "mc_2"));
    client_closes(&ada);
    client_hears(&ada, "EXPIRE");
    assert_int_equal(world.calls.calls.count, 1);
    client_leave(&ben, 1001);
    client_leave(&ada, 1001);
}

static void test_what_the_server_carries_gives_no_way(void **state)
{
    (void)state;
    world.calls.config.anchor = &fake_anchor;
    world.calls.config.media_way = CALL_MEDIA_WAY_ANCHORED;
    struct client ada, ben;
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    char connection[16];
    for (int i = 0; i < 16; i++) {
        snprintf(connection, sizeof(connection), "mc_%d", i);
        client_calls(&ada, &ben, "ben", "ada", connection, true);
    }
    client_say(&ada, media_message("OFFER", "ben", "mc_16"));
    client_closes(&ada);
    client_hears(&ada, "EXPIRE");
    client_is_quiet(&ben);
    assert_int_equal(world.calls.calls.count, 16);
    client_leave(&ben, 1001);
    client_leave(&ada, 1001);
}

static void test_a_lost_socket_lets_other_devices_ring(void **state)
{
    (void)state;
    struct client ada, ben;
    struct other caller, second;
    char id[CALL_ID_SIZE];
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    other_enter(&caller, "otto");
    client_calls(&ada, &ben, "ben", "ada", "mc_1", true);
    // another device of ada's user, as only those have whose right to the name was proven
    other_enter(&second, NULL);
    call_user_next(&world.calls, "ada", NULL)->verified = true;
    assert_int_equal(call_device_register(&world.calls, &second.device, "ada", NULL, true), 0);
    const struct call_request request = { .to = "ada", .sdp = "v=0", .media = CALL_MEDIA_AUDIO };
    assert_int_equal(call_start(&world.calls, &caller.device, world.now_us, &request, id), 0);
    client_hears(&ada, "OFFER");
    assert_string_equal(other_story(&second), "incoming");
    client_leave(&ada, 1006);
    assert_int_equal(metric_of("peerjs_peers", "state=\"away\""), 1);
    assert_string_equal(other_story(&second), "");
    assert_string_equal(other_story(&caller), "");
    assert_int_equal(call_accept(&world.calls, &second.device, world.now_us, id, "v=0"), 0);
    assert_string_equal(other_story(&caller), "accepted");
    other_leave(&second);
    other_leave(&caller);
    client_leave(&ben, 1001);
}

static void test_messages_wait_for_their_receiver_alone(void **state)
{
    (void)state;
    struct client ada, ben, zoe;
    client_enter(&ada, "ada");
    client_enter(&zoe, "zoe");
    client_say(&ada, data_message("OFFER", "ben", "dc_1"));
    client_say(&zoe, data_message("OFFER", "ben", "dc_2"));
    client_say(&ada, data_message("OFFER", "nobody", "dc_3"));
    client_say(&zoe, media_message("OFFER", "ben", "mc_4"));
    // ada has no offer of a call to ben that waits, but something else
    client_say(&ada, candidate_message("nowhere", "mc_5", "candidate:1"));
    assert_int_equal(dropped("no_call"), 1);
    client_leave(&zoe, 1001);
    client_enter(&zoe, "zoe");
    client_say(&zoe, data_message("OFFER", "ben", "dc_6"));
    client_enter(&ben, "ben");
    assert_string_equal(text_at(payload_of(client_hears(&ben, "OFFER")), "connectionId"), "dc_1");
    assert_string_equal(text_at(payload_of(client_hears(&ben, "OFFER")), "connectionId"), "dc_6");
    client_is_quiet(&ben);
    world_pass(5 * S);
    assert_string_equal(text_at(client_hears(&ada, "EXPIRE"), "src"), "nobody");
    client_is_quiet(&ada);
    client_is_quiet(&zoe);
    assert_int_equal(signal_peerjs_deadline(world.peerjs), TIME_NEVER);
    client_leave(&zoe, 1001);
    client_leave(&ben, 1001);
    client_leave(&ada, 1001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_a_stranger_ends_no_call_of_the_callee),
        TEST(test_who_wants_no_calls_keeps_those_there_are),
        TEST(test_what_the_server_carries_gives_no_way),
        TEST(test_a_lost_socket_lets_other_devices_ring),
        TEST(test_messages_wait_for_their_receiver_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
