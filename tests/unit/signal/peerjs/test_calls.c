// Media connections as calls, data connections beside them, and what waits for who is not there.
#include "fake_anchor.h"
#include "peerjs_harness.h"

static void test_two_clients_talk(void **state)
{
    (void)state;
    struct client ada, ben;
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    client_say(&ada, media_message("OFFER", "ben", "mc_1"));
    client_say(&ada, candidate_message("ben", "mc_1", "candidate:1"));
    json_t *offer = client_hears(&ben, "OFFER");
    assert_string_equal(text_at(offer, "src"), "ada");
    assert_string_equal(text_at(payload_of(offer), "type"), "media");
    assert_string_equal(text_at(payload_of(offer), "connectionId"), "mc_1");
    assert_string_equal(text_at(json_object_get(payload_of(offer), "sdp"), "type"), "offer");
    assert_string_equal(text_at(json_object_get(payload_of(offer), "metadata"), "mood"), "good");
    json_t *candidate = json_object_get(payload_of(client_hears(&ben, "CANDIDATE")), "candidate");
    assert_string_equal(text_at(candidate, "candidate"), "candidate:1");
    assert_string_equal(text_at(candidate, "sdpMid"), "0");
    client_say(&ben, media_message("ANSWER", "ada", "mc_1"));
    client_say(&ben, candidate_message("ada", "mc_1", "candidate:2"));
    json_t *answer = client_hears(&ada, "ANSWER");
    assert_string_equal(text_at(answer, "src"), "ben");
    assert_string_equal(text_at(json_object_get(payload_of(answer), "sdp"), "sdp"),
                        "v=0\r\nanswer");
    client_hears(&ada, "CANDIDATE");
    // the page is closed: the other side's connection closes, and nothing else of that peer
    client_leave(&ben, 1001);
    json_t *close = client_hears(&ada, "OFFER");
    assert_string_equal(text_at(payload_of(close), "connectionId"), "mc_1");
    assert_string_equal(text_at(payload_of(close), "type"), "closed");
    client_is_quiet(&ada);
    client_leave(&ada, 1001);
    assert_int_equal(world.calls.calls.count, 0);
}

/** Two clients talk, and one of them is lost. */
static void talk_and_get_lost(struct client *ada)
{
    struct client ben;
    client_enter(ada, "ada");
    client_enter(&ben, "ben");
    client_say(ada, media_message("OFFER", "ben", "mc_1"));
    client_hears(&ben, "OFFER");
    client_say(&ben, media_message("ANSWER", "ada", "mc_1"));
    client_hears(ada, "ANSWER");
    client_leave(&ben, 1006);
    world_pass(600 * S);
}

static void test_without_the_server_only_direct_connections_go_on(void **state)
{
    (void)state;
    struct client ada;
    talk_and_get_lost(&ada);
    client_is_quiet(&ada);
    client_leave(&ada, 1001);
    world.calls.config.anchor = &fake_anchor;
    world.calls.config.media_way = CALL_MEDIA_WAY_ANCHORED;
    talk_and_get_lost(&ada);
    assert_string_equal(text_at(payload_of(client_closes(&ada)), "connectionId"), "mc_1");
    client_leave(&ada, 1001);
}

static void test_a_client_calls_another_language(void **state)
{
    (void)state;
    struct client ada;
    struct other otto;
    client_enter(&ada, "ada");
    other_enter(&otto, "otto");
    client_say(&ada, media_message("OFFER", "otto", "mc_1"));
    assert_string_equal(other_story(&otto), "incoming");
    assert_string_equal(otto.sdp, "v=0\r\nm=video 9 offer");
    assert_int_equal(call_ringing(&otto.device, otto.call), 0);
    client_is_quiet(&ada); // the protocol has no word for it
    assert_int_equal(call_accept(&world.calls, &otto.device, world.now_us, otto.call, "v=0 yes"),
                     0);
    client_hears(&ada, "ANSWER");
    assert_int_equal(call_hangup(&world.calls, &otto.device, world.now_us, otto.call), 0);
    assert_string_equal(text_at(client_closes(&ada), "src"), "otto");
    client_is_quiet(&ada);
    other_leave(&otto);
    client_leave(&ada, 1001);
}

static void test_another_language_calls_a_client(void **state)
{
    (void)state;
    struct client ada;
    struct other otto;
    char id[CALL_ID_SIZE];
    client_enter(&ada, "ada");
    other_enter(&otto, "otto");
    const struct call_request request = { .to = "ada", .sdp = "v=0", .media = CALL_MEDIA_VIDEO };
    assert_int_equal(call_start(&world.calls, &otto.device, world.now_us, &request, id), 0);
    json_t *offer = client_hears(&ada, "OFFER");
    char connection[64];
    snprintf(connection, sizeof(connection), "%s", text_at(payload_of(offer), "connectionId"));
    assert_memory_equal(connection, "mc_", 3);
    assert_string_equal(text_at(json_object_get(payload_of(offer), "metadata"), "name"), "Otto");
    assert_int_equal(world.wakes, 1);
    world_pass(1);
    assert_string_equal(other_story(&otto), "ringing");
    client_say(&ada, candidate_message("otto", connection, "candidate:1"));
    client_say(&ada, media_message("ANSWER", "otto", connection));
    assert_string_equal(other_story(&otto), "accepted candidate");
    client_say(&ada, json_pack("{s:s,s:s}", "type", "LEAVE", "dst", "otto"));
    assert_string_equal(other_story(&otto), "ended");
    other_leave(&otto);
    client_leave(&ada, 1001);
}

static void test_who_is_not_registered_is_known_by_the_call(void **state)
{
    (void)state;
    struct client ada;
    struct other guest;
    char id[CALL_ID_SIZE];
    client_enter(&ada, "ada");
    other_enter(&guest, NULL);
    const struct call_request request = { .to = "ada", .sdp = "v=0", .name = "Gast" };
    assert_int_equal(call_start(&world.calls, &guest.device, world.now_us, &request, id), 0);
    char from[64], connection[64];
    json_t *offer = client_hears(&ada, "OFFER");
    snprintf(from, sizeof(from), "%s", text_at(offer, "src"));
    snprintf(connection, sizeof(connection), "%s", text_at(payload_of(offer), "connectionId"));
    assert_string_equal(from, id);
    client_say(&ada, media_message("ANSWER", from, connection));
    assert_string_equal(other_story(&guest), "accepted");
    other_leave(&guest);
    client_closes(&ada);
    client_leave(&ada, 1001);
}

static void test_a_refusal_is_told_to_the_page(void **state)
{
    (void)state;
    struct client ada;
    struct other otto;
    client_enter(&ada, "ada");
    other_enter(&otto, "otto");
    client_say(&ada, media_message("OFFER", "otto", "mc_1"));
    assert_int_equal(call_reject(&world.calls, &otto.device, world.now_us, otto.call, false), 0);
    client_closes(&ada);
    client_hears(&ada, "EXPIRE");
    // and so is that nobody answers
    client_say(&ada, media_message("OFFER", "otto", "mc_2"));
    world_pass(46 * S);
    client_closes(&ada);
    client_hears(&ada, "EXPIRE");
    client_is_quiet(&ada);
    other_leave(&otto);
    client_leave(&ada, 1001);
}

static void test_a_busy_callee_expires_at_once(void **state)
{
    (void)state;
    struct client ada, ben;
    struct other otto;
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    other_enter(&otto, "otto");
    client_say(&ada, media_message("OFFER", "otto", "mc_1"));
    client_say(&ben, media_message("OFFER", "otto", "mc_2"));
    client_closes(&ben);
    client_hears(&ben, "EXPIRE");
    client_is_quiet(&ada);
    other_leave(&otto);
    client_leave(&ben, 1001);
    client_leave(&ada, 1001);
}

static void test_an_offer_waits_for_who_is_not_there_yet(void **state)
{
    (void)state;
    struct client ada, ben;
    client_enter(&ada, "ada");
    client_say(&ada, media_message("OFFER", "ben", "mc_1"));
    client_say(&ada, candidate_message("ben", "mc_1", "candidate:1"));
    client_say(&ada, data_message("OFFER", "ben", "dc_1"));
    client_say(&ada, data_message("CANDIDATE", "ben", "dc_1"));
    world_pass(4 * S);
    client_is_quiet(&ada);
    client_connect_as(&ben, "peerjs", "ben", "t");
    client_hears(&ben, "OPEN");
    assert_string_equal(text_at(payload_of(client_hears(&ben, "OFFER")), "connectionId"), "mc_1");
    client_hears(&ben, "CANDIDATE");
    assert_string_equal(text_at(payload_of(client_hears(&ben, "OFFER")), "connectionId"), "dc_1");
    client_hears(&ben, "CANDIDATE");
    world_pass(4 * S);
    client_is_quiet(&ada);
    client_leave(&ben, 1001);
    client_leave(&ada, 1001);
}

static void test_an_offer_to_nobody_expires(void **state)
{
    (void)state;
    struct client ada;
    struct other otto;
    client_enter(&ada, "ada");
    client_say(&ada, media_message("OFFER", "nobody", "mc_1"));
    client_say(&ada, candidate_message("nobody", "mc_1", "candidate:1"));
    world_pass(5 * S);
    assert_string_equal(text_at(client_hears(&ada, "EXPIRE"), "src"), "nobody");
    client_is_quiet(&ada);
    // one of another language who comes meanwhile is found at the end
    client_say(&ada, media_message("OFFER", "otto", "mc_2"));
    other_enter(&otto, "otto");
    world_pass(5 * S);
    assert_string_equal(other_story(&otto), "incoming");
    client_is_quiet(&ada);
    other_leave(&otto);
    client_leave(&ada, 1001);
}

static void test_what_waits_is_bounded(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct peerjs_config){ .held_size_max = 4096, .message_burst = 1000 });
    struct client ada;
    client_enter(&ada, "ada");
    for (int i = 0; i < 40; i++)
        client_say(&ada, data_message("OFFER", "nobody", "dc_1"));
    assert_true(dropped("full") > 0);
    assert_int_equal(ada.count, dropped("full")); // EXPIRE for each
    client_leave(&ada, 1001);
    assert_int_equal(signal_peerjs_deadline(world.peerjs), TIME_NEVER);
}

static void test_data_connections_pass_unchanged(void **state)
{
    (void)state;
    struct client ada, ben;
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    static const char payload[] = "{\"type\":\"data\",\"connectionId\":\"dc_1\",\"sdp\":"
                                  "{ \"any\" : [1.50, null, 123456789012345678901] }}";
    char text[256];
    snprintf(text, sizeof(text),
             "{\"type\":\"OFFER\",\"dst\":\"ben\",\"src\":\"forged\",\"payload\":%s}", payload);
    client_say_text(&ada, text);
    assert_string_equal(text_at(client_hears(&ben, "OFFER"), "src"), "ada");
    assert_non_null(strstr(ben.last, payload));
    client_say(&ben, data_message("ANSWER", "ada", "dc_1"));
    client_hears(&ada, "ANSWER");
    assert_int_equal(world.calls.calls.count, 0);
    client_leave(&ben, 1001);
    client_leave(&ada, 1001);
}

static void test_calls_outlive_a_socket_for_a_while(void **state)
{
    (void)state;
    struct client ada, thief;
    struct other otto;
    client_enter(&ada, "ada");
    other_enter(&otto, "otto");
    client_say(&ada, media_message("OFFER", "otto", "mc_1"));
    assert_int_equal(call_accept(&world.calls, &otto.device, world.now_us, otto.call, "v=0"), 0);
    other_story(&otto);
    client_leave(&ada, 1006);
    assert_string_equal(other_story(&otto), "peer");
    assert_int_equal(metric_of("peerjs_peers", "state=\"away\""), 1);
    world_pass(10 * S);
    client_connect_as(&ada, "peerjs", "ada", "ada");
    client_hears(&ada, "OPEN");
    assert_string_equal(other_story(&otto), "peer");
    assert_int_equal(call_hangup(&world.calls, &otto.device, world.now_us, otto.call), 0);
    client_closes(&ada);
    // another page with that id takes the name, and the call ends when nobody comes back
    client_say(&ada, media_message("OFFER", "otto", "mc_2"));
    assert_int_equal(call_accept(&world.calls, &otto.device, world.now_us, otto.call, "v=0"), 0);
    client_leave(&ada, 1006);
    client_connect_as(&thief, "peerjs", "ada", "another");
    client_hears(&thief, "OPEN");
    other_story(&otto);
    world_pass(31 * S);
    assert_string_equal(other_story(&otto), "ended");
    assert_int_equal(metric_of("peerjs_peers", "state=\"away\""), 0);
    other_leave(&otto);
    client_leave(&thief, 1001);
}

static void test_media_of_two_clients_outlives_the_server(void **state)
{
    (void)state;
    struct client ada, ben;
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    client_say(&ada, media_message("OFFER", "ben", "mc_1"));
    client_hears(&ben, "OFFER");
    client_say(&ben, media_message("ANSWER", "ada", "mc_1"));
    client_hears(&ada, "ANSWER");
    client_leave(&ben, 1005); // peer.disconnect()
    world_pass(60 * S);
    client_is_quiet(&ada);
    client_leave(&ada, 1001);
}

static void test_connections_that_nobody_ended_give_way(void **state)
{
    (void)state;
    struct client ada, ben;
    client_enter(&ada, "ada");
    client_enter(&ben, "ben");
    // pages close connections without a word to the server
    for (int i = 0; i < 40; i++) {
        char connection[16];
        snprintf(connection, sizeof(connection), "mc_%d", i);
        client_say(&ada, media_message("OFFER", "ben", connection));
        client_hears(&ben, "OFFER");
        client_say(&ben, media_message("ANSWER", "ada", connection));
        client_hears(&ada, "ANSWER");
        client_is_quiet(&ada);
        client_is_quiet(&ben);
        world_pass(1 * S);
    }
    client_leave(&ben, 1001);
    client_leave(&ada, 1001);
}

static void test_messages_of_no_call_are_counted(void **state)
{
    (void)state;
    struct client ada;
    client_enter(&ada, "ada");
    client_say(&ada, media_message("ANSWER", "ben", "mc_1"));
    client_say(&ada, candidate_message("ben", "mc_1", "candidate:1"));
    assert_int_equal(dropped("no_call"), 2);
    client_say(&ada, media_message("OFFER", "ada", "mc_1"));
    client_closes(&ada);
    client_hears(&ada, "EXPIRE");
    client_leave(&ada, 1001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_two_clients_talk),
        TEST(test_without_the_server_only_direct_connections_go_on),
        TEST(test_a_client_calls_another_language),
        TEST(test_another_language_calls_a_client),
        TEST(test_who_is_not_registered_is_known_by_the_call),
        TEST(test_a_refusal_is_told_to_the_page),
        TEST(test_a_busy_callee_expires_at_once),
        TEST(test_an_offer_waits_for_who_is_not_there_yet),
        TEST(test_an_offer_to_nobody_expires),
        TEST(test_what_waits_is_bounded),
        TEST(test_data_connections_pass_unchanged),
        TEST(test_calls_outlive_a_socket_for_a_while),
        TEST(test_media_of_two_clients_outlives_the_server),
        TEST(test_connections_that_nobody_ended_give_way),
        TEST(test_messages_of_no_call_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
