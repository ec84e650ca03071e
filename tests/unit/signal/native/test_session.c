#include "signal_harness.h"

static json_t *hello(int version)
{
    return json_pack("{s:s,s:i}", "type", "hello", "version", version);
}

static json_t *chat(const char *text)
{
    return json_pack("{s:s,s:s}", "type", "chat", "text", text);
}

static void test_hello_comes_first_and_once(void **state)
{
    (void)state;
    struct client ada = { 0 };
    client_connect(&ada);
    assert_string_equal(client_refused(&ada, join_request("room", "Ada")), "not_connected");
    assert_string_equal(client_refused(&ada, hello(2)), "version_unsupported");
    json_t *result = client_must(&ada, hello(1));
    assert_int_equal(json_integer_value(json_object_get(result, "resume_within_ms")), 30000);
    assert_string_equal(client_refused(&ada, hello(1)), "already_connected");
    client_done(&ada);
}

static void test_a_connection_without_hello_is_closed(void **state)
{
    (void)state;
    struct client ada = { 0 };
    client_connect(&ada);
    world_pass(9 * S);
    assert_int_equal(ada.close_code, 0);
    world_pass(1 * S);
    assert_int_equal(ada.close_code, 1008);
    client_done(&ada);
}

static void test_unreadable_messages_get_a_sentence(void **state)
{
    (void)state;
    struct client ada;
    client_hello(&ada);
    static const struct {
        const char *text;
        const char *code;
    } cases[] = {
        { "", "bad_message" },
        { "[]", "bad_message" },
        { "{\"type\":\"leave\",\"id\":1", "bad_message" },
        { "{\"type\":\"leave\",\"id\":1,\"id\":2}", "bad_message" },
        { "{\"id\":2}", "bad_message" },
        { "{\"id\":3,\"type\":\"\xc3\x28\"}", "bad_message" },
        { "{\"id\":4,\"type\":\"dance\"}", "unknown_type" },
        { "{\"type\":\"leave\"}", "bad_request" },
        { "{\"type\":\"leave\",\"id\":0}", "bad_request" },
        { "{\"type\":\"leave\",\"id\":1.5}", "bad_request" },
        { "{\"type\":\"leave\",\"id\":-1}", "bad_request" },
        { "{\"type\":\"leave\",\"id\":5,\"x\":[[[[[[[[[1]]]]]]]]]}", "bad_message" },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        client_say(&ada, cases[i].text);
        json_t *reply = client_hears(&ada, "error");
        assert_non_null(reply);
        assert_string_equal(text_at(reply, "code"), cases[i].code);
    }
    // and the session goes on
    client_must(&ada, (ada.next_id = 100, join_request("room", "Ada")));
    client_done(&ada);
}

static void test_pong_answers_ping_with_or_without_id(void **state)
{
    (void)state;
    struct client ada;
    client_hello(&ada);
    client_say(&ada, "{\"type\":\"ping\"}");
    client_say(&ada, "{\"type\":\"ping\",\"id\":7,\"last_seq\":0}");
    assert_int_equal(client_heard(&ada, "pong"), 2);
    client_done(&ada);
}

static void test_a_resumed_session_misses_nothing(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_clear(&grace);
    grace.deaf = true; // the network is gone, nobody knows yet
    for (int i = 0; i < 3; i++)
        client_must(&ada, chat("lost on the way"));
    client_break(&grace, 1006);
    client_clear(&ada);
    client_must(&ada, chat("kept"));
    world_pass(29 * S);
    json_t *reply = client_resume(&grace);
    assert_string_equal(type_of(reply), "ok");
    assert_null(json_object_get(reply, "seq"));
    // 4 chats and that she herself went away
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(reply, "result"), "replayed")), 5);
    assert_int_equal(client_heard(&grace, "chat"), 4);
    client_must(&ada, chat("after"));
    assert_int_equal(client_heard(&grace, "chat"), 5);
    client_done(&ada);
    client_done(&grace);
}

static void test_others_see_who_is_away_and_back(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_clear(&ada);
    client_break(&grace, 1006);
    json_t *member = json_object_get(client_hears(&ada, "member_updated"), "member");
    assert_true(is_true_at(member, "away"));
    assert_string_equal(type_of(client_resume(&grace)), "ok");
    member = json_object_get(client_hears(&ada, "member_updated"), "member");
    assert_false(is_true_at(member, "away"));
    client_done(&ada);
    client_done(&grace);
}

static void test_who_stays_away_is_gone_after_30_seconds(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_must(&grace, offer_request("a+v+"));
    client_clear(&ada);
    client_break(&grace, 1006);
    world_pass(30 * S - 1);
    assert_int_equal(client_heard(&ada, "member_left"), 0);
    world_pass(1);
    assert_int_equal(client_heard(&ada, "track_unpublished"), 2);
    json_t *left = client_hears(&ada, "member_left");
    assert_string_equal(text_at(left, "reason"), "lost");
    assert_string_equal(text_at(left, "member"), grace.member);
    json_t *reply = client_resume(&grace);
    assert_string_equal(text_at(reply, "code"), "resume_unknown");
    client_done(&ada);
    client_done(&grace);
}

static void test_only_the_token_resumes(void **state)
{
    (void)state;
    struct client ada, eve;
    client_enter(&ada, "room", "Ada");
    memset(&eve, 0, sizeof(eve));
    memcpy(eve.session, ada.session, sizeof(eve.session));
    snprintf(eve.token, sizeof(eve.token), "%s", "guess");
    assert_string_equal(text_at(client_resume(&eve), "code"), "resume_unknown");
    assert_int_equal(ada.close_code, 0);
    client_done(&ada);
    client_done(&eve);
}

static void test_a_resume_displaces_the_old_connection(void **state)
{
    (void)state;
    struct client ada;
    client_enter(&ada, "room", "Ada");
    struct client old = ada; // the old connection, which the server still believes in
    memset(old.inbox, 0, sizeof(old.inbox));
    old.count = 0;
    old.taken = NULL;
    struct native_connection *stale = ada.connection;
    assert_string_equal(type_of(client_resume(&ada)), "ok");
    assert_int_equal(ada.close_code, 4000);
    ada.close_code = 0;
    signal_native_input(world.native, world.now_us, stale, bytes_of_text("{\"type\":\"ping\"}"));
    signal_native_closed(world.native, world.now_us, stale, 1006);
    client_must(&ada, chat("still here"));
    client_done(&ada);
}

static void test_a_request_sent_again_is_not_carried_out_twice(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_clear(&ada);
    // the request arrives, its reply does not
    grace.deaf = true;
    assert_null(client_ask(&grace, chat("once")));
    client_break(&grace, 1006);
    assert_string_equal(type_of(client_resume(&grace)), "ok");
    json_t *reply = client_hears(&grace, "ok");
    assert_non_null(reply);
    json_int_t seq = json_integer_value(json_object_get(reply, "seq"));
    // a client that sends it again nevertheless gets the very same reply
    grace.next_id -= 2;
    reply = client_ask(&grace, chat("once"));
    assert_string_equal(type_of(reply), "ok");
    assert_int_equal(json_integer_value(json_object_get(reply, "seq")), seq);
    assert_int_equal(client_heard(&ada, "chat"), 1);
    client_done(&ada);
    client_done(&grace);
}

static void test_a_request_that_never_arrived_is_carried_out(void **state)
{
    (void)state;
    struct client ada;
    client_enter(&ada, "room", "Ada");
    uint64_t lost_id = ++ada.next_id; // sent into a dead connection
    client_break(&ada, 1006);
    assert_string_equal(type_of(client_resume(&ada)), "ok");
    ada.next_id = lost_id - 1;
    client_must(&ada, chat("second try")); // with its old id, below that of `resume`
    assert_int_equal(client_heard(&ada, "chat"), 1);
    client_done(&ada);
}

static void test_a_confirmed_reply_is_not_given_again(void **state)
{
    (void)state;
    struct client ada;
    client_enter(&ada, "room", "Ada");
    client_must(&ada, chat("one"));
    char text[64];
    snprintf(text, sizeof(text), "{\"type\":\"ping\",\"last_seq\":%u}", (unsigned)ada.last_seq);
    client_say(&ada, text);
    ada.next_id--;
    assert_string_equal(client_refused(&ada, chat("one")), "request_repeated");
    client_done(&ada);
}

static void test_a_full_buffer_ends_the_session_honestly(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct native_config){ .resume_buffer_size = 1000 });
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_break(&grace, 1006);
    for (int i = 0; i < 20; i++)
        client_must(&ada, chat("much is said while grace is away"));
    json_t *reply = client_resume(&grace);
    assert_string_equal(text_at(reply, "code"), "resume_lost");
    assert_non_null(client_hears(&ada, "member_left"));
    client_done(&ada);
    client_done(&grace);
}

static void test_closing_the_page_leaves_at_once(void **state)
{
    (void)state;
    struct client ada, grace, edsger;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_enter(&edsger, "room", "Edsger");
    client_clear(&ada);
    client_break(&grace, 1001);
    assert_string_equal(text_at(client_hears(&ada, "member_left"), "reason"), "left");
    client_must(&edsger, json_pack("{s:s}", "type", "goodbye"));
    assert_int_equal(edsger.close_code, 1000);
    assert_string_equal(text_at(client_hears(&ada, "member_left"), "reason"), "left");
    client_done(&ada);
    client_done(&grace);
    client_done(&edsger);
}

static void test_a_slow_client_is_cut_off_and_may_resume(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_clear(&grace);
    grace.slow = true;
    client_must(&ada, chat("one"));
    client_must(&ada, chat("two"));
    assert_int_equal(grace.close_code, 1013);
    client_break(&grace, 1013);
    assert_string_equal(type_of(client_resume(&grace)), "ok");
    assert_int_equal(client_heard(&grace, "chat"), 2);
    client_done(&ada);
    client_done(&grace);
}

static void test_a_flood_is_refused_then_cut_off(void **state)
{
    (void)state;
    struct client ada;
    client_enter(&ada, "room", "Ada");
    client_clear(&ada);
    for (int i = 0; i < 198; i++)
        client_must(&ada, json_pack("{s:s}", "type", "candidate"));
    assert_string_equal(client_refused(&ada, json_pack("{s:s}", "type", "candidate")),
                        "rate_limited");
    // a second's patience earns fifty more
    world_pass(S);
    for (int i = 0; i < 50; i++)
        client_must(&ada, json_pack("{s:s}", "type", "candidate"));
    for (int i = 0; i < 900 && !ada.close_code; i++) {
        client_say(&ada, "{\"type\":\"ping\"}");
        client_clear(&ada);
    }
    assert_int_equal(ada.close_code, 1008);
    client_done(&ada);
}

static void test_a_message_beyond_the_limit_closes(void **state)
{
    (void)state;
    struct client ada;
    client_hello(&ada);
    char *text = malloc(1100 * 1024);
    memset(text, ' ', 1100 * 1024);
    signal_native_input(world.native, world.now_us, ada.connection, bytes_of(text, 1100 * 1024));
    free(text);
    assert_string_equal(text_at(client_hears(&ada, "error"), "code"), "too_large");
    assert_int_equal(ada.close_code, 1009);
    client_done(&ada);
}

static void test_sessions_are_limited_per_address(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct native_config){ .session_per_address_count_max = 2 });
    struct client people[3];
    client_hello(&people[0]);
    client_hello(&people[1]);
    memset(&people[2], 0, sizeof(people[2]));
    client_connect(&people[2]);
    assert_string_equal(client_refused(&people[2], hello(1)), "server_full");
    client_done(&people[0]);
    client_must(&people[2], hello(1));
    client_done(&people[1]);
    client_done(&people[2]);
}

static void test_a_stop_is_announced(void **state)
{
    (void)state;
    struct client ada;
    client_hello(&ada);
    signal_native_drain(world.native, world.now_us, "Back in a minute.");
    assert_string_equal(text_at(client_hears(&ada, "server_closing"), "message"),
                        "Back in a minute.");
    assert_int_equal(ada.close_code, 1001);
    client_done(&ada);
}

static void test_requests_and_refusals_are_counted(void **state)
{
    (void)state;
    struct client ada;
    client_hello(&ada);
    client_refused(&ada, json_pack("{s:s}", "type", "leave"));
    struct metric_set sets[3];
    assert_int_equal(signal_native_metrics(world.native, sets, 3), 3);
    static char page[65536];
    struct text_builder out = text_builder_of(page, sizeof(page));
    metric_write(sets, 3, &out);
    assert_non_null(strstr(page, "roost_signal_sessions 1\n"));
    assert_non_null(strstr(page, "roost_signal_requests_total{type=\"leave\"} 1\n"));
    assert_non_null(strstr(page, "roost_signal_errors_total{code=\"not_in_room\"} 1\n"));
    client_done(&ada);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hello_comes_first_and_once),
        TEST(test_a_connection_without_hello_is_closed),
        TEST(test_unreadable_messages_get_a_sentence),
        TEST(test_pong_answers_ping_with_or_without_id),
        TEST(test_a_resumed_session_misses_nothing),
        TEST(test_others_see_who_is_away_and_back),
        TEST(test_who_stays_away_is_gone_after_30_seconds),
        TEST(test_only_the_token_resumes),
        TEST(test_a_resume_displaces_the_old_connection),
        TEST(test_a_request_sent_again_is_not_carried_out_twice),
        TEST(test_a_request_that_never_arrived_is_carried_out),
        TEST(test_a_confirmed_reply_is_not_given_again),
        TEST(test_a_full_buffer_ends_the_session_honestly),
        TEST(test_closing_the_page_leaves_at_once),
        TEST(test_a_slow_client_is_cut_off_and_may_resume),
        TEST(test_a_flood_is_refused_then_cut_off),
        TEST(test_a_message_beyond_the_limit_closes),
        TEST(test_sessions_are_limited_per_address),
        TEST(test_a_stop_is_announced),
        TEST(test_requests_and_refusals_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
