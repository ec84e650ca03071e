// Coming in, ids that are taken, taking a place back, limits.
#include "peerjs_harness.h"

static void test_a_client_is_told_that_it_is_open(void **state)
{
    (void)state;
    struct client ada;
    client_enter(&ada, "ada");
    client_say_text(&ada, "{\"type\":\"HEARTBEAT\"}");
    client_is_quiet(&ada);
    assert_int_equal(metric_of("peerjs_peers", "state=\"connected\""), 1);
    client_leave(&ada, 1001);
    assert_int_equal(metric_of("peerjs_peers", "state=\"connected\""), 0);
}

static void refused(const char *key, const char *id, const char *token, const char *type,
                    const char *reason)
{
    struct client client;
    client_connect_as(&client, key, id, token);
    assert_null(client.peer);
    assert_string_equal(text_at(json_object_get(client_hears(&client, type), "payload"), "type"),
                        "(none)");
    assert_string_not_equal(text_at(json_object_get(client.taken, "payload"), "msg"), "(none)");
    assert_int_equal(client.close_code, 1008);
    char labels[64];
    snprintf(labels, sizeof(labels), "reason=\"%s\"", reason);
    assert_int_equal(metric_of("peerjs_refused_total", labels), 1);
    client_leave(&client, 1008);
}

static void test_a_wrong_key_and_missing_parameters_are_refused(void **state)
{
    (void)state;
    refused("other", "ada", "t", "INVALID-KEY", "key");
    refused("peerjs", "a/b", "t", "ERROR", "parameters");
}

static void test_an_id_belongs_to_who_shows_its_token(void **state)
{
    (void)state;
    struct client ada, thief, again;
    client_enter(&ada, "ada");
    client_connect_as(&thief, "peerjs", "ada", "another token");
    assert_null(thief.peer);
    client_hears(&thief, "ID-TAKEN");
    client_leave(&thief, 1008);
    client_is_quiet(&ada);
    // the client itself, whose old connection nobody knows to be dead
    client_connect_as(&again, "peerjs", "ada", "ada");
    assert_non_null(again.peer);
    client_hears(&again, "OPEN");
    assert_null(ada.peer);
    assert_int_equal(ada.close_code, 4000);
    assert_int_equal(metric_of("peerjs_resumed_total", ""), 1);
    // gone with its page, the id is anyone's
    client_leave(&again, 1001);
    client_leave(&ada, 4000);
    client_connect_as(&thief, "peerjs", "ada", "another token");
    client_hears(&thief, "OPEN");
    client_leave(&thief, 1001);
}

/** Ada is back on another socket before the first one, which we closed, is gone. */
static void comes_back(struct client *first, uint16_t code)
{
    assert_int_equal(first->close_code, code);
    assert_non_null(first->peer);
    struct client again, ben;
    client_enter(&again, "ada");
    assert_int_equal(first->close_code, code); // it is not closed twice
    client_leave(first, code);
    // the end of the first socket is not the peer's
    client_enter(&ben, "ben");
    client_say(&again, data_message("OFFER", "ben", "dc_1"));
    assert_string_equal(text_at(client_hears(&ben, "OFFER"), "src"), "ada");
    client_say(&ben, data_message("ANSWER", "ada", "dc_1"));
    client_hears(&again, "ANSWER");
    client_leave(&ben, 1001);
    client_leave(&again, 1001);
    assert_int_equal(metric_of("peerjs_peers", "state=\"connected\""), 0);
    assert_int_equal(metric_of("peerjs_peers", "state=\"away\""), 0);
}

static void test_a_place_is_taken_back_from_a_closing_socket(void **state)
{
    (void)state;
    struct client ada, ben;
    client_enter(&ada, "ada");
    client_say_text(&ada, "{\"type\":\"LEAVE\"}");
    client_say_text(&ada, "{\"type\":\"HEARTBEAT\"}"); // not heard any more
    comes_back(&ada, 1000);
    // the same when it was closed because it does not read
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    ada.slow = true;
    client_say(&ben, data_message("OFFER", "ada", "dc_1"));
    client_leave(&ben, 1001);
    comes_back(&ada, 1013);
}

static void test_an_id_of_another_language_is_taken(void **state)
{
    (void)state;
    struct other otto;
    other_enter(&otto, "otto");
    refused("peerjs", "otto", "t", "ID-TAKEN", "id_taken");
    other_leave(&otto);
}

static void test_an_account_that_is_made_takes_its_id(void **state)
{
    (void)state;
    struct client ada, ben;
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    call_name_claim(&world.calls, world.now_us, "ada");
    client_hears(&ada, "ID-TAKEN");
    assert_int_equal(ada.close_code, 1008);
    client_say(&ben, data_message("OFFER", "ada", "dc_1"));
    client_is_quiet(&ada);
    client_leave(&ada, 1008);
    client_leave(&ben, 1001);
}

static void test_no_more_come_in_than_may(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct peerjs_config){ .peer_count_max = 2 });
    struct client clients[2];
    client_enter(&clients[0], "a");
    client_enter(&clients[1], "b");
    refused("peerjs", "c", "t", "ERROR", "full");
    client_leave(&clients[0], 1006);
    client_enter(&clients[0], "c");
    client_leave(&clients[0], 1006);
    client_leave(&clients[1], 1006);
}

static void test_guests_may_be_kept_out(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct peerjs_config){ .require_token = true });
    refused("peerjs", "ada", "k3jd8s", "ERROR", "token");
}

static void test_a_flood_is_dropped_and_then_cut_off(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct peerjs_config){ .message_rate = 10, .message_burst = 20 });
    struct client ada;
    client_enter(&ada, "ada");
    for (int i = 0; i < 30; i++)
        client_say_text(&ada, "{\"type\":\"HEARTBEAT\"}");
    assert_int_equal(dropped("rate"), 10);
    world_pass(2 * S);
    client_say_text(&ada, "{\"type\":\"HEARTBEAT\"}");
    assert_int_equal(dropped("rate"), 10);
    for (int i = 0; i < 200; i++)
        client_say_text(&ada, "{\"type\":\"HEARTBEAT\"}");
    assert_int_equal(ada.close_code, 1008);
    client_leave(&ada, 1008);
}

static void test_what_is_no_message_is_counted(void **state)
{
    (void)state;
    struct client ada;
    client_enter(&ada, "ada");
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "\"OFFER\"",
        "{\"type\":\"OFFER\"}",
        "{\"type\":\"OFFER\",\"dst\":\"b\"}",
        "{\"type\":\"OFFER\",\"dst\":\"b\",\"payload\":7}",
        "{\"type\":\"OFFER\",\"dst\":\"\",\"payload\":{}}",
        "{\"type\":\"OFFER\",\"dst\":\"a/b\",\"payload\":{}}",
        "{\"type\":\"OFFER\",\"dst\":\"b\",\"payload\":{\"type\":\"media\"}}",
        "{\"type\":\"OFFER\",\"dst\":\"b\",\"payload\":{\"type\":\"media\",\"connectionId\":\"c\"}"
        "}",
        "{\"type\":\"OFFER\",\"dst\":\"b\",\"payload\":{\"type\":\"media\",\"connectionId\":\"c\","
        "\"sdp\":{\"sdp\":\"no\"}}}",
        "{\"type\":\"CANDIDATE\",\"dst\":\"b\",\"payload\":{\"type\":\"media\",\"connectionId\":"
        "\"c\","
        "\"candidate\":{\"sdpMLineIndex\":-1}}}",
    };
    for (size_t i = 0; i < array_size(bad); i++) {
        client_say_text(&ada, bad[i]);
        // all but an unknown type
        assert_int_equal(dropped("malformed") + dropped("type"), i + 1);
    }
    client_say_text(&ada, "{\"type\":\"EXPIRE\",\"dst\":\"b\"}");
    assert_true(dropped("type") >= 1);
    client_is_quiet(&ada);
    client_leave(&ada, 1001);
}

static void test_ids_are_uuids_and_all_differ(void **state)
{
    (void)state;
    char one[PEERJS_ID_SIZE], other[PEERJS_ID_SIZE];
    signal_peerjs_make_id(world.peerjs, one);
    signal_peerjs_make_id(world.peerjs, other);
    assert_int_equal(strlen(one), 36);
    assert_int_equal(one[14], '4');
    assert_non_null(strchr("89ab", one[19]));
    assert_string_not_equal(one, other);
}

static void test_whoever_can_be_called_is_listed(void **state)
{
    (void)state;
    struct client ada;
    struct other otto;
    client_enter(&ada, "ada");
    other_enter(&otto, "otto");
    char *text = signal_peerjs_list(world.peerjs);
    assert_true(strcmp(text, "[\"ada\",\"otto\"]") == 0 || strcmp(text, "[\"otto\",\"ada\"]") == 0);
    free(text);
    other_leave(&otto);
    client_leave(&ada, 1001);
}

static void test_nobody_is_listed_for_strangers_where_guests_see_nobody(void **state)
{
    (void)state;
    struct client ada;
    client_enter(&ada, "ada");
    world.calls.config.hide_guests = true;
    assert_null(signal_peerjs_list(world.peerjs));
    client_leave(&ada, 1001);
}

static void test_a_client_that_does_not_read_is_closed(void **state)
{
    (void)state;
    struct client ada, ben;
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    ben.slow = true;
    client_say(&ada, data_message("OFFER", "ben", "dc_1"));
    assert_int_equal(ben.close_code, 1013);
    assert_int_equal(dropped("slow"), 1);
    client_leave(&ben, 1013);
    client_leave(&ada, 1001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_a_client_is_told_that_it_is_open),
        TEST(test_a_wrong_key_and_missing_parameters_are_refused),
        TEST(test_an_id_belongs_to_who_shows_its_token),
        TEST(test_a_place_is_taken_back_from_a_closing_socket),
        TEST(test_an_id_of_another_language_is_taken),
        TEST(test_an_account_that_is_made_takes_its_id),
        TEST(test_no_more_come_in_than_may),
        TEST(test_guests_may_be_kept_out),
        TEST(test_a_flood_is_dropped_and_then_cut_off),
        TEST(test_what_is_no_message_is_counted),
        TEST(test_ids_are_uuids_and_all_differ),
        TEST(test_whoever_can_be_called_is_listed),
        TEST(test_nobody_is_listed_for_strangers_where_guests_see_nobody),
        TEST(test_a_client_that_does_not_read_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
