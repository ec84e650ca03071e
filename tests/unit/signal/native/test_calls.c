#include <errno.h>

#include "signal_harness.h"

#include "signal/access/token.h"

static json_t *registration(const char *user)
{
    return json_pack("{s:s,s:s}", "type", "register", "user", user);
}

static json_t *call_to(const char *to)
{
    return json_pack("{s:s,s:s,s:s}", "type", "call", "to", to, "sdp", "v=0 offer");
}

/** A request that only names the call. */
static json_t *in_call(const char *type, const char *call)
{
    return json_pack("{s:s,s:s}", "type", type, "call", call);
}

static json_t *with_sdp(const char *type, const char *call, const char *sdp)
{
    return json_pack("{s:s,s:s,s:s}", "type", type, "call", call, "sdp", sdp);
}

static json_t *candidate(const char *call, const char *text)
{
    return json_pack("{s:s,s:s,s:{s:s,s:s,s:i}}", "type", "call_candidate", "call", call,
                     "candidate", "candidate", text, "sdpMid", "0", "sdpMLineIndex", 0);
}

static void enter(struct client *client, const char *user)
{
    client_hello(client);
    client_must(client, registration(user));
}

/** Calls and returns the id. */
static void start(struct client *caller, const char *to, char id[32])
{
    json_t *result = client_must(caller, call_to(to));
    snprintf(id, 32, "%s", text_at(result, "call"));
}

static const char *ended(struct client *client)
{
    json_t *event = client_hears(client, "call_ended");
    return event ? text_at(event, "reason") : "not told";
}

static void test_a_call_rings_is_accepted_and_hung_up(void **state)
{
    (void)state;
    struct client ada, grace;
    char id[32];
    enter(&ada, "ada");
    enter(&grace, "grace");
    start(&ada, "grace", id);
    json_t *incoming = client_hears(&grace, "call_incoming");
    assert_string_equal(text_at(incoming, "call"), id);
    assert_string_equal(text_at(incoming, "sdp"), "v=0 offer");
    assert_string_equal(text_at(incoming, "media"), "video");
    assert_string_equal(text_at(json_object_get(incoming, "from"), "user"), "ada");
    assert_false(is_true_at(incoming, "glare"));
    client_must(&grace, in_call("call_ringing", id));
    client_must(&grace, in_call("call_ringing", id));
    assert_int_equal(client_heard(&ada, "call_ringing"), 1);
    client_must(&grace, with_sdp("call_accept", id, "v=0 answer"));
    json_t *accepted = client_hears(&ada, "call_accepted");
    assert_string_equal(text_at(accepted, "sdp"), "v=0 answer");
    assert_string_equal(text_at(json_object_get(accepted, "by"), "user"), "grace");
    client_must(&ada, in_call("call_hangup", id));
    assert_string_equal(ended(&grace), "hangup");
    assert_int_equal(client_heard(&ada, "call_ended"), 0);
    assert_string_equal(client_refused(&grace, in_call("call_hangup", id)), "no_such_call");
    // it does not time out afterwards, and both are free again
    world_pass(60 * S);
    start(&grace, "ada", id);
    client_done(&ada);
    client_done(&grace);
}

static void test_a_rejected_call_ends(void **state)
{
    (void)state;
    struct client ada, grace;
    char id[32];
    enter(&ada, "ada");
    enter(&grace, "grace");
    start(&ada, "grace", id);
    client_must(&grace, in_call("call_reject", id));
    assert_string_equal(ended(&ada), "rejected");
    start(&ada, "grace", id);
    client_must(&grace,
                json_pack("{s:s,s:s,s:s}", "type", "call_reject", "call", id, "reason", "busy"));
    assert_string_equal(ended(&ada), "busy");
    client_done(&ada);
    client_done(&grace);
}

static void test_a_cancelled_call_stops_ringing(void **state)
{
    (void)state;
    struct client ada, grace;
    char id[32];
    enter(&ada, "ada");
    enter(&grace, "grace");
    start(&ada, "grace", id);
    assert_string_equal(client_refused(&grace, in_call("call_cancel", id)), "call_state");
    client_must(&ada, in_call("call_cancel", id));
    assert_string_equal(ended(&grace), "cancelled");
    assert_string_equal(client_refused(&grace, with_sdp("call_accept", id, "v=0")), "no_such_call");
    client_done(&ada);
    client_done(&grace);
}

static void test_nobody_answers(void **state)
{
    (void)state;
    struct client ada, grace;
    char id[32];
    enter(&ada, "ada");
    enter(&grace, "grace");
    start(&ada, "grace", id);
    world_pass(45 * S - 1);
    assert_int_equal(client_heard(&ada, "call_ended"), 0);
    world_pass(1);
    assert_string_equal(ended(&ada), "timeout");
    assert_string_equal(ended(&grace), "timeout");
    client_done(&ada);
    client_done(&grace);
}

static void test_calls_that_cannot_be_placed_say_why(void **state)
{
    (void)state;
    struct client ada, grace, edsger;
    char id[32];
    enter(&ada, "ada");
    assert_string_equal(client_refused(&ada, call_to("nobody")), "user_unavailable");
    assert_string_equal(client_refused(&ada, call_to("ada")), "bad_request");
    enter(&grace, "grace");
    enter(&edsger, "edsger");
    start(&ada, "grace", id);
    assert_string_equal(client_refused(&edsger, call_to("grace")), "user_busy");
    assert_string_equal(client_refused(&edsger, call_to("ada")), "user_busy");
    assert_string_equal(client_refused(&ada, call_to("edsger")), "already_in_call");
    assert_string_equal(client_refused(&edsger, in_call("call_hangup", id)), "no_such_call");
    client_done(&ada);
    client_done(&grace);
    client_done(&edsger);
}

static void test_a_name_belongs_to_one_unless_tokens_say_otherwise(void **state)
{
    (void)state;
    struct client ada, eve;
    enter(&ada, "ada");
    client_hello(&eve);
    assert_string_equal(client_refused(&eve, registration("ada")), "user_taken");
    client_must(&ada, json_pack("{s:s}", "type", "unregister"));
    assert_string_equal(client_refused(&ada, json_pack("{s:s}", "type", "unregister")),
                        "not_registered");
    client_must(&eve, registration("ada"));
    client_done(&ada);
    client_done(&eve);
}

static void test_candidates_pass_and_wait_for_the_answer(void **state)
{
    (void)state;
    struct client ada, grace;
    char id[32];
    enter(&ada, "ada");
    enter(&grace, "grace");
    start(&ada, "grace", id);
    client_must(&ada, candidate(id, "candidate:1"));
    json_t *passed = json_object_get(client_hears(&grace, "call_candidate"), "candidate");
    assert_string_equal(text_at(passed, "candidate"), "candidate:1");
    assert_string_equal(text_at(passed, "sdpMid"), "0");
    assert_int_equal(json_integer_value(json_object_get(passed, "sdpMLineIndex")), 0);
    assert_null(json_object_get(passed, "usernameFragment"));
    // the callee's wait for its answer, in order
    client_must(&grace, candidate(id, "candidate:2"));
    client_must(&grace,
                json_pack("{s:s,s:s,s:n}", "type", "call_candidate", "call", id, "candidate"));
    assert_int_equal(client_heard(&ada, "call_candidate"), 0);
    client_clear(&ada);
    client_must(&grace, with_sdp("call_accept", id, "v=0 answer"));
    assert_string_equal(type_of(ada.inbox[0]), "call_accepted");
    passed = json_object_get(client_take(&ada, 1), "candidate");
    assert_string_equal(text_at(passed, "candidate"), "candidate:2");
    passed = json_object_get(client_take(&ada, 1), "candidate");
    assert_true(json_is_null(passed));
    client_must(&grace, candidate(id, "candidate:3"));
    passed = json_object_get(client_hears(&ada, "call_candidate"), "candidate");
    assert_string_equal(text_at(passed, "candidate"), "candidate:3");
    client_done(&ada);
    client_done(&grace);
}

static void test_candidates_of_a_ringing_callee_are_bounded(void **state)
{
    (void)state;
    struct client ada, grace;
    char id[32];
    enter(&ada, "ada");
    enter(&grace, "grace");
    start(&ada, "grace", id);
    for (int i = 0; i < 150; i++)
        client_must(&grace, candidate(id, "candidate:x"));
    client_must(&grace, with_sdp("call_accept", id, "v=0 answer"));
    assert_int_equal(client_heard(&ada, "call_candidate"), CALL_CANDIDATES_MAX);
    client_done(&ada);
    client_done(&grace);
}

static void test_a_session_may_take_candidates_within_descriptions_alone(void **state)
{
    (void)state;
    struct client ada, grace;
    char id[32];
    enter(&ada, "ada");
    client_hello(&grace);
    client_must(&grace,
                json_pack("{s:s,s:s,s:b}", "type", "register", "user", "grace", "trickle", 0));
    // to say nothing of it changes nothing
    client_must(&grace, registration("grace"));
    json_t *result = client_must(&ada, json_pack("{s:s,s:s,s:s}", "type", "call", "to", "grace",
                                                 "sdp", "v=0\r\nm=audio 9 RTP/AVP 0\r\n"));
    snprintf(id, sizeof(id), "%s", text_at(result, "call"));
    client_must(&ada, candidate(id, "candidate:1 1 udp 1 192.0.2.1 9 typ host"));
    assert_int_equal(client_heard(&grace, "call_incoming"), 0);
    world_pass(S);
    json_t *incoming = client_hears(&grace, "call_incoming");
    assert_string_equal(text_at(incoming, "sdp"),
                        "v=0\r\nm=audio 9 RTP/AVP 0\r\n"
                        "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n");
    assert_int_equal(client_heard(&grace, "call_candidate"), 0);
    client_done(&ada);
    client_done(&grace);
}

static void test_offers_within_a_call_do_not_cross(void **state)
{
    (void)state;
    struct client ada, grace;
    char id[32];
    enter(&ada, "ada");
    enter(&grace, "grace");
    start(&ada, "grace", id);
    assert_string_equal(client_refused(&ada, with_sdp("call_offer", id, "v=0")), "call_state");
    client_must(&grace, with_sdp("call_accept", id, "v=0 answer"));
    assert_string_equal(client_refused(&ada, with_sdp("call_answer", id, "v=0")), "call_state");
    client_must(&ada, with_sdp("call_offer", id, "v=0 restart"));
    assert_string_equal(text_at(client_hears(&grace, "call_offer"), "sdp"), "v=0 restart");
    assert_string_equal(client_refused(&grace, with_sdp("call_offer", id, "v=0 mine")),
                        "negotiation_pending");
    client_must(&grace, with_sdp("call_answer", id, "v=0 yes"));
    assert_string_equal(text_at(client_hears(&ada, "call_answer"), "sdp"), "v=0 yes");
    client_must(&grace, with_sdp("call_offer", id, "v=0 mine"));
    assert_string_equal(text_at(client_hears(&ada, "call_offer"), "sdp"), "v=0 mine");
    client_done(&ada);
    client_done(&grace);
}

/** Both orders of arrival come to the same end: ada's call goes on. */
static void test_glare_has_one_winner_whoever_comes_first(void **state)
{
    (void)state;
    for (int grace_first = 0; grace_first < 2; grace_first++) {
        struct client ada, grace;
        char id[32];
        enter(&ada, "ada");
        enter(&grace, "grace");
        if (grace_first) {
            char lost[32];
            start(&grace, "ada", lost);
            assert_non_null(client_hears(&ada, "call_incoming"));
            start(&ada, "grace", id);
            assert_string_equal(ended(&grace), "glare");
            assert_string_equal(ended(&ada), "glare");
            json_t *incoming = client_hears(&grace, "call_incoming");
            assert_string_equal(text_at(incoming, "call"), id);
            assert_true(is_true_at(incoming, "glare"));
        } else {
            start(&ada, "grace", id);
            assert_string_equal(client_refused(&grace, call_to("ada")), "glare");
            assert_string_equal(text_at(client_hears(&grace, "call_incoming"), "call"), id);
        }
        client_must(&grace, with_sdp("call_accept", id, "v=0 answer"));
        assert_non_null(client_hears(&ada, "call_accepted"));
        client_done(&ada);
        client_done(&grace);
    }
}

static const char key_text[] = "a key that is long enough to be one";

static void enter_with_token(struct client *client, const char *user)
{
    struct token_grants grants = { 0 };
    snprintf(grants.user, sizeof(grants.user), "%s", user);
    char *token = token_mint(&grants, bytes_of_text(key_text), 1700000000);
    client_hello(client);
    json_t *request = registration(user);
    json_object_set_new(request, "token", json_string(token));
    client_must(client, request);
    free(token);
}

static void test_all_devices_of_a_user_ring_and_one_answers(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct native_config){ .token_key = bytes_of_text(key_text) });
    struct client ada, laptop, phone, tablet;
    char id[32];
    enter(&ada, "ada");
    enter_with_token(&laptop, "grace");
    enter_with_token(&phone, "grace");
    enter_with_token(&tablet, "grace");
    start(&ada, "grace", id);
    assert_non_null(client_hears(&laptop, "call_incoming"));
    assert_non_null(client_hears(&phone, "call_incoming"));
    assert_non_null(client_hears(&tablet, "call_incoming"));
    client_must(&tablet,
                json_pack("{s:s,s:s,s:s}", "type", "call_reject", "call", id, "reason", "busy"));
    assert_int_equal(client_heard(&ada, "call_ended"), 0);
    client_must(&phone, with_sdp("call_accept", id, "v=0 answer"));
    assert_string_equal(ended(&laptop), "elsewhere");
    json_t *by = json_object_get(client_hears(&ada, "call_accepted"), "by");
    assert_true(is_true_at(by, "verified"));
    assert_string_equal(client_refused(&laptop, with_sdp("call_accept", id, "v=0")),
                        "no_such_call");
    client_must(&phone, in_call("call_hangup", id));
    // declined on one is declined on all
    start(&ada, "grace", id);
    client_must(&laptop, in_call("call_reject", id));
    assert_string_equal(ended(&phone), "elsewhere");
    client_hears(&ada, "call_ended");
    assert_string_equal(ended(&ada), "rejected");
    client_done(&ada);
    client_done(&laptop);
    client_done(&phone);
    client_done(&tablet);
}

static json_t *link_to(const char *link, const char *name)
{
    return json_pack("{s:s,s:s,s:s}", "type", "link", "link", link, "name", name);
}

static void test_two_meet_at_a_link(void **state)
{
    (void)state;
    struct client ada, grace, eve;
    char id[32];
    client_hello(&ada);
    client_hello(&grace);
    client_hello(&eve);
    assert_string_equal(text_at(client_must(&ada, link_to("x7-k2", "Ada")), "role"), "wait");
    assert_string_equal(text_at(client_must(&grace, link_to("x7-k2", "Grace")), "role"), "call");
    start(&grace, "x7-k2", id);
    json_t *from = json_object_get(client_hears(&ada, "call_incoming"), "from");
    assert_string_equal(text_at(from, "name"), "Grace");
    assert_null(json_object_get(from, "user"));
    assert_string_equal(client_refused(&eve, link_to("x7-k2", "Eve")), "user_busy");
    client_must(&ada, with_sdp("call_accept", id, "v=0"));
    assert_string_equal(client_refused(&eve, call_to("x7-k2")), "user_busy");
    client_must(&ada, json_pack("{s:s}", "type", "unlink"));
    assert_string_equal(client_refused(&ada, json_pack("{s:s}", "type", "unlink")),
                        "not_registered");
    client_done(&ada);
    client_done(&grace);
    client_done(&eve);
}

static void test_a_link_of_a_user_reaches_the_user(void **state)
{
    (void)state;
    struct client guest, ada, second;
    char id[32];
    client_hello(&guest);
    assert_string_equal(text_at(client_must(&guest, link_to("ada", "Guest")), "role"), "wait");
    enter(&ada, "ada"); // the user herself comes: the guest may call now
    assert_string_equal(text_at(client_hears(&guest, "link_ready"), "link"), "ada");
    start(&guest, "ada", id);
    assert_non_null(client_hears(&ada, "call_incoming"));
    client_must(&ada, in_call("call_reject", id));
    client_hello(&second);
    assert_string_equal(text_at(client_must(&second, link_to("ada", "Second")), "role"), "call");
    client_done(&guest);
    client_done(&ada);
    client_done(&second);
}

static void test_who_loses_the_name_to_an_account_is_told(void **state)
{
    (void)state;
    struct client squatter, waiter;
    enter(&squatter, "ada");
    client_hello(&waiter);
    client_must(&waiter, link_to("x7-k2", "Guest"));
    call_name_claim(&world.calls, world.now_us, "ada");
    call_name_claim(&world.calls, world.now_us, "x7-k2");
    json_t *event = client_hears(&squatter, "unregistered");
    assert_string_equal(text_at(event, "user"), "ada");
    assert_string_equal(text_at(event, "message"),
                        "The name belongs to somebody who can prove it.");
    assert_string_equal(text_at(client_hears(&waiter, "unregistered"), "user"), "x7-k2");
    assert_string_equal(client_refused(&waiter, call_to("ada")), "user_unavailable");
    client_done(&squatter);
    client_done(&waiter);
}

static void test_a_call_survives_a_dropped_socket(void **state)
{
    (void)state;
    struct client ada, grace;
    char id[32];
    enter(&ada, "ada");
    enter(&grace, "grace");
    start(&ada, "grace", id);
    client_must(&grace, with_sdp("call_accept", id, "v=0 answer"));
    client_break(&grace, 1006);
    json_t *peer = client_hears(&ada, "call_peer");
    assert_true(is_true_at(peer, "away"));
    client_must(&ada, with_sdp("call_offer", id, "v=0 restart"));
    world_pass(10 * S);
    assert_string_equal(type_of(client_resume(&grace)), "ok");
    assert_string_equal(text_at(client_hears(&grace, "call_offer"), "sdp"), "v=0 restart");
    peer = client_hears(&ada, "call_peer");
    assert_false(is_true_at(peer, "away"));
    client_break(&grace, 1006);
    world_pass(30 * S);
    assert_string_equal(ended(&ada), "lost");
    client_done(&ada);
    client_done(&grace);
}

static void test_a_caller_who_goes_ends_the_ringing(void **state)
{
    (void)state;
    struct client ada, grace;
    char id[32];
    enter(&ada, "ada");
    enter(&grace, "grace");
    start(&ada, "grace", id);
    client_break(&ada, 1001);
    assert_string_equal(ended(&grace), "hangup");
    client_clear(&ada);
    enter(&ada, "ada");
    start(&ada, "grace", id);
    client_break(&grace, 1001);
    assert_string_equal(ended(&ada), "hangup");
    client_done(&ada);
    client_done(&grace);
}

static void test_tokens_guard_calls_where_required(void **state)
{
    (void)state;
    world_stop();
    world_start(
        &(struct native_config){ .require_token = true, .token_key = bytes_of_text(key_text) });
    struct client ada, eve;
    char id[32];
    enter_with_token(&ada, "ada");
    client_hello(&eve);
    assert_string_equal(client_refused(&eve, registration("eve")), "token_required");
    assert_string_equal(client_refused(&eve, call_to("ada")), "token_required");
    assert_string_equal(client_refused(&eve, link_to("ada", "Eve")), "token_required");
    struct token_grants grants = { .user = "eve" };
    char *token = token_mint(&grants, bytes_of_text(key_text), 1700000000);
    assert_string_equal(client_refused(&eve, json_pack("{s:s,s:s,s:s}", "type", "register", "user",
                                                       "ada", "token", token)),
                        "token_invalid");
    client_must(&eve,
                json_pack("{s:s,s:s,s:s}", "type", "register", "user", "eve", "token", token));
    start(&eve, "ada", id);
    free(token);
    client_done(&ada);
    client_done(&eve);
}

/** What speaks for those who call rooms; it lets nobody in. */
static bool shown;

static int refuse_all(struct call_rooms *rooms, const char *room, const struct token_grants *grants,
                      struct call_device **ret_device)
{
    (void)rooms;
    (void)ret_device;
    assert_string_equal(room, "demo");
    shown = grants != NULL;
    return -EACCES;
}

static void expect_room_call(struct client *client, bool with_grants)
{
    shown = !with_grants;
    assert_string_equal(client_refused(client, call_to("demo@rooms")), "not_permitted");
    assert_true(shown == with_grants);
}

static void test_a_token_for_rooms_counts_while_the_session_is_registered_with_it(void **state)
{
    (void)state;
    struct call_rooms rooms = { .answerer = refuse_all };
    world_stop();
    world_start(&(struct native_config){ .token_key = bytes_of_text(key_text) });
    world.calls.config.rooms = &rooms;
    const struct token_grants grants = { .user = "ada", .room = "*" };
    char *token = token_mint(&grants, bytes_of_text(key_text), 1700000000);
    json_t *with_token =
        json_pack("{s:s,s:s,s:s}", "type", "register", "user", "ada", "token", token);
    free(token);
    struct client ada;
    client_hello(&ada);
    expect_room_call(&ada, false);
    client_must(&ada, json_deep_copy(with_token));
    expect_room_call(&ada, true);
    client_must(&ada, json_pack("{s:s}", "type", "unregister"));
    expect_room_call(&ada, false);
    client_must(&ada, with_token);
    expect_room_call(&ada, true);
    client_must(&ada, registration("eve")); // as anybody may, without it
    expect_room_call(&ada, false);
    client_done(&ada);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_call_rings_is_accepted_and_hung_up),
        TEST(test_a_rejected_call_ends),
        TEST(test_a_cancelled_call_stops_ringing),
        TEST(test_nobody_answers),
        TEST(test_calls_that_cannot_be_placed_say_why),
        TEST(test_a_name_belongs_to_one_unless_tokens_say_otherwise),
        TEST(test_candidates_pass_and_wait_for_the_answer),
        TEST(test_candidates_of_a_ringing_callee_are_bounded),
        TEST(test_a_session_may_take_candidates_within_descriptions_alone),
        TEST(test_offers_within_a_call_do_not_cross),
        TEST(test_glare_has_one_winner_whoever_comes_first),
        TEST(test_all_devices_of_a_user_ring_and_one_answers),
        TEST(test_two_meet_at_a_link),
        TEST(test_a_link_of_a_user_reaches_the_user),
        TEST(test_who_loses_the_name_to_an_account_is_told),
        TEST(test_a_call_survives_a_dropped_socket),
        TEST(test_a_caller_who_goes_ends_the_ringing),
        TEST(test_tokens_guard_calls_where_required),
        TEST(test_a_token_for_rooms_counts_while_the_session_is_registered_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
