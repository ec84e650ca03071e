// Clients that their transport vouches for: no hello, no token, a session that comes back by its
// name.
#include "signal_harness.h"

/** Another transport than /ws: what it was told to close. */
static struct native_transport other = { .send = client_receive, .close = client_told_to_close };

static int try(struct client *client, const char *name, const char *user)
{
    int error = 0;
    struct net_address remote = address_of("192.0.2.7");
    client->connection = signal_native_open_login(
        world.native, world.now_us, &other, client, &remote,
        &(struct native_login){ .name = name, .user = user, .binding = CALL_BINDING_MQTT }, &error);
    return client->connection ? 0 : error;
}

static void come(struct client *client, const char *name, const char *user)
{
    memset(client, 0, sizeof(*client));
    assert_int_equal(try(client, name, user), 0);
}

static json_t *call_to(const char *to)
{
    return json_pack("{s:s,s:s,s:s}", "type", "call", "to", to, "sdp", "v=0");
}

static json_t *register_as(const char *user)
{
    return json_pack("{s:s,s:s}", "type", "register", "user", user);
}

static void answer(struct client *callee)
{
    json_t *incoming = client_hears(callee, "call_incoming");
    assert_non_null(incoming);
    char id[32];
    snprintf(id, sizeof(id), "%s", text_at(incoming, "call"));
    client_must(callee,
                json_pack("{s:s,s:s,s:s}", "type", "call_accept", "call", id, "sdp", "v=0"));
}

static const char *ended(struct client *client)
{
    json_t *event = client_hears(client, "call_ended");
    return event ? text_at(event, "reason") : "not told";
}

static void test_it_calls_and_is_called_without_a_word_before(void **state)
{
    (void)state;
    struct native_config closed = { .require_token = true };
    world_start(&closed);
    struct client lamp, bell;
    come(&lamp, "lamp of ann", "ann");
    come(&bell, "bell of ben", "ben");
    assert_int_equal(lamp.count, 0);
    client_must(&lamp, call_to("ben"));
    json_t *from = json_object_get(client_hears(&bell, "call_incoming"), "from");
    assert_string_equal(text_at(from, "user"), "ann");
    assert_true(is_true_at(from, "verified"));
    // a display name may be had, another user may not
    assert_string_equal(client_refused(&lamp, register_as("ben")), "not_permitted");
    client_must(&lamp, register_as("ann"));
    client_must(&lamp, json_pack("{s:s,s:s,s:s}", "type", "link", "link", "door", "name", "Ann"));
    // rooms are for tokens to open
    assert_string_equal(client_refused(&lamp, join_request("garden", "Ann")), "token_required");
    client_done(&lamp);
    client_done(&bell);
    world_stop();
}

static void test_names_that_cannot_be_called(void **state)
{
    (void)state;
    static const char *const names[] = { "",
                                         "an n",
                                         "ann/x",
                                         "ann\xff",
                                         "#",
                                         ("a name that is longer than all names of users may be, "
                                          "by far and away") };
    struct client client = { 0 };
    for (size_t i = 0; i < array_size(names); i++)
        assert_int_equal(try(&client, "x", names[i]), -EINVAL);
    come(&client, "x", "ann+1@h\xc3\xa9.example");
    client_done(&client);
}

static void test_requests_may_have_any_ids(void **state)
{
    (void)state;
    struct client lamp;
    come(&lamp, "lamp", "ann");
    for (unsigned i = 0; i < 3; i++)
        client_say(&lamp, "{\"type\":\"ice_servers\",\"id\":7}");
    client_say(&lamp, "{\"type\":\"ice_servers\",\"id\":3}");
    assert_int_equal(client_heard(&lamp, "ok"), 4);
    client_done(&lamp);
}

static void test_it_comes_back_to_its_call_and_hears_what_it_missed(void **state)
{
    (void)state;
    struct client lamp, bell;
    come(&lamp, "lamp", "ann");
    come(&bell, "bell", "ben");
    client_must(&lamp, call_to("ben"));
    answer(&bell);
    assert_non_null(client_hears(&lamp, "call_accepted"));
    client_break(&lamp, 1006);
    assert_true(is_true_at(client_hears(&bell, "call_peer"), "away"));
    signal_native_forget(world.native, world.now_us, "another");
    size_t before = lamp.count;
    uint64_t seq = lamp.last_seq;
    assert_int_equal(try(&lamp, "lamp", "ann"), 0);
    assert_int_equal(lamp.count, before);
    assert_int_equal(lamp.last_seq, seq);
    assert_false(is_true_at(client_hears(&bell, "call_peer"), "away"));
    client_break(&lamp, 1006);
    client_hears(&bell, "call_peer");
    // what was missed comes once, and no more the next time
    client_break(&bell, 1001);
    assert_int_equal(try(&lamp, "lamp", "ann"), 0);
    assert_string_equal(ended(&lamp), "hangup");
    client_break(&lamp, 1006);
    assert_int_equal(try(&lamp, "lamp", "ann"), 0);
    assert_string_equal(ended(&lamp), "not told");
    client_done(&lamp);
    client_done(&bell);
}

static void test_away_for_too_long_or_forgotten_it_is_lost(void **state)
{
    (void)state;
    for (unsigned forgotten = 0; forgotten < 2; forgotten++) {
        struct client lamp, bell;
        come(&lamp, "lamp", "ann");
        come(&bell, "bell", "ben");
        client_must(&lamp, call_to("ben"));
        answer(&bell);
        client_break(&lamp, 1006);
        if (forgotten)
            signal_native_forget(world.native, world.now_us, "lamp");
        else
            world_pass(31 * S);
        assert_string_equal(ended(&bell), "lost");
        assert_string_equal(client_refused(&bell, call_to("ann")), "user_unavailable");
        // and begins anew
        assert_int_equal(try(&lamp, "lamp", "ann"), 0);
        client_must(&bell, call_to("ann"));
        client_done(&lamp);
        client_done(&bell);
    }
}

static void test_hello_begins_anew(void **state)
{
    (void)state;
    struct client lamp, bell, thief;
    come(&lamp, "lamp", "ann");
    come(&bell, "bell", "ben");
    client_must(&lamp, call_to("ben"));
    answer(&bell);
    json_t *result = client_must(&lamp, json_pack("{s:s,s:i}", "type", "hello", "version", 1));
    char session[64], token[64];
    snprintf(session, sizeof(session), "%s", text_at(result, "session"));
    snprintf(token, sizeof(token), "%s", text_at(result, "resume_token"));
    assert_string_equal(ended(&bell), "hangup");
    client_must(&bell, call_to("ann"));
    assert_string_equal(
        client_refused(&lamp, json_pack("{s:s,s:i}", "type", "hello", "version", 2)),
        "version_unsupported");
    // nobody comes to it by another way
    memset(&thief, 0, sizeof(thief));
    client_connect(&thief);
    snprintf(thief.session, sizeof(thief.session), "%s", session);
    snprintf(thief.token, sizeof(thief.token), "%s", token);
    assert_string_equal(
        client_refused(&thief, json_pack("{s:s,s:s,s:s,s:i}", "type", "resume", "session", session,
                                         "resume_token", token, "last_seq", 0)),
        "resume_unknown");
    client_done(&thief);
    client_done(&lamp);
    client_done(&bell);
}

static void test_a_name_that_somebody_has(void **state)
{
    (void)state;
    struct client page, lamp;
    client_hello(&page);
    client_must(&page, register_as("ann"));
    // who has proven to be ann has the name at once, and the guest has it no more
    come(&lamp, "lamp", "ann");
    assert_string_equal(client_refused(&page, json_pack("{s:s}", "type", "unregister")),
                        "not_registered");
    assert_string_equal(client_refused(&page, register_as("ann")), "user_taken");
    client_must(&lamp, register_as("ann"));
    client_done(&page);
    client_done(&lamp);
}

static void test_what_its_transport_does_not_take_waits_for_it(void **state)
{
    (void)state;
    struct client lamp, bell;
    come(&lamp, "lamp", "ann");
    come(&bell, "bell", "ben");
    lamp.slow = true;
    client_must(&bell, call_to("ann"));
    assert_int_equal(lamp.close_code, 1013);
    client_break(&lamp, 1006);
    lamp.slow = false;
    assert_int_equal(try(&lamp, "lamp", "ann"), 0);
    assert_non_null(client_hears(&lamp, "call_incoming"));
    client_done(&lamp);
    client_done(&bell);
}

static void test_goodbye_ends_its_session_and_not_its_limits(void **state)
{
    (void)state;
    struct native_config tight = { .message_rate = 1, .message_burst = 6 };
    world_start(&tight);
    struct client lamp, bell;
    come(&lamp, "lamp", "ann");
    come(&bell, "bell", "ben");
    client_must(&lamp, json_pack("{s:s}", "type", "goodbye"));
    assert_int_equal(lamp.close_code, 0);
    assert_string_equal(client_refused(&bell, call_to("ann")), "user_unavailable");
    // by request, and by its transport
    client_must(&lamp, json_pack("{s:s}", "type", "ice_servers"));
    client_must(&bell, call_to("ann"));
    signal_native_end_login(world.native, world.now_us, lamp.connection);
    signal_native_end_login(world.native, world.now_us, lamp.connection);
    assert_string_equal(ended(&bell), "hangup");
    assert_string_equal(client_refused(&bell, call_to("ann")), "user_unavailable");
    signal_native_begin_login(world.native, world.now_us, lamp.connection);
    signal_native_begin_login(world.native, world.now_us, lamp.connection);
    client_must(&bell, call_to("ann"));
    assert_string_equal(
        client_refused(&lamp, json_pack("{s:s,s:s,s:s,s:i}", "type", "resume", "session", "x",
                                        "resume_token", "y", "last_seq", 0)),
        "already_connected");
    for (unsigned i = 0; i < 3; i++)
        client_must(&lamp, json_pack("{s:s}", "type", "ice_servers"));
    signal_native_end_login(world.native, world.now_us, lamp.connection);
    signal_native_begin_login(world.native, world.now_us, lamp.connection);
    assert_string_equal(client_refused(&lamp, json_pack("{s:s}", "type", "ice_servers")),
                        "rate_limited");
    client_done(&lamp);
    client_done(&bell);
    world_stop();
}

static void test_a_full_server_takes_none(void **state)
{
    (void)state;
    struct native_config small = { .session_count_max = 1 };
    world_start(&small);
    struct client lamp, bell = { 0 };
    come(&lamp, "lamp", "ann");
    assert_int_equal(try(&bell, "bell", "ben"), -ENOSPC);
    client_done(&lamp);
    world_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_calls_and_is_called_without_a_word_before),
        cmocka_unit_test_setup_teardown(test_names_that_cannot_be_called, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_requests_may_have_any_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_it_comes_back_to_its_call_and_hears_what_it_missed,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_away_for_too_long_or_forgotten_it_is_lost, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_hello_begins_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_name_that_somebody_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_its_transport_does_not_take_waits_for_it, set_up,
                                        tear_down),
        cmocka_unit_test(test_goodbye_ends_its_session_and_not_its_limits),
        cmocka_unit_test(test_a_full_server_takes_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
