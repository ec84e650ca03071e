// simple-peer: what its objects say becomes calls, or passes between them as it is.
#include "signal_harness.h"

#define MEDIA                                                                                      \
    "v=0\r\no=- %s 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
#define DATA "v=0\r\no=- %s 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP\r\n"

static json_t *relay(const char *to, json_t *data)
{
    return json_pack("{s:s,s:s,s:o}", "type", "relay", "to", to, "data", data);
}

/** A description of the object whose session id is `origin`. */
static json_t *described(const char *type, const char *format, const char *origin)
{
    char sdp[256];
    size_t at = (size_t)(strstr(format, "%s") - format);
    snprintf(sdp, sizeof(sdp), "%.*s%s%s", (int)at, format, origin, format + at + 2);
    return json_pack("{s:s,s:s}", "type", type, "sdp", sdp);
}

static json_t *candidate_of(const char *text)
{
    return json_pack("{s:s,s:{s:s,s:i,s:s}}", "type", "candidate", "candidate", "candidate", text,
                     "sdpMLineIndex", 0, "sdpMid", "0");
}

static json_t *bye(void)
{
    return json_pack("{s:s}", "type", "bye");
}

static void refuses(struct client *client, json_t *request, const char *code)
{
    assert_string_equal(client_refused(client, request), code);
}

static void enter(struct client *client, const char *user)
{
    client_hello(client);
    client_must(client,
                json_pack("{s:s,s:s,s:b}", "type", "register", "user", user, "relay", true));
}

static void enter_plain(struct client *client, const char *user)
{
    client_hello(client);
    client_must(client, json_pack("{s:s,s:s}", "type", "register", "user", user));
}

/** The next thing that is for a simple-peer object must be of that type, from that user. */
static json_t *hears(struct client *client, const char *from, const char *type)
{
    json_t *event = client_hears(client, "relay");
    if (!event)
        fail_msg("nothing where %s was expected", type);
    assert_string_equal(text_at(event, "from"), from);
    json_t *data = json_object_get(event, "data");
    assert_string_equal(text_at(data, "type"), type);
    return data;
}

static void is_quiet(struct client *client)
{
    assert_int_equal(client_heard(client, "relay"), 0);
}

static void test_two_objects_talk_and_negotiate_again(void **state)
{
    (void)state;
    struct client ann, ben;
    enter(&ann, "ann");
    enter(&ben, "ben");
    client_must(&ann, relay("ben", described("offer", MEDIA, "1")));
    client_must(&ann, relay("ben", candidate_of("candidate:1")));
    assert_non_null(strstr(text_at(hears(&ben, "ann", "offer"), "sdp"), "m=video"));
    json_t *given = json_object_get(hears(&ben, "ann", "candidate"), "candidate");
    assert_string_equal(text_at(given, "candidate"), "candidate:1");
    assert_string_equal(text_at(given, "sdpMid"), "0");
    assert_int_equal(json_integer_value(json_object_get(given, "sdpMLineIndex")), 0);
    client_must(&ben, relay("ann", described("answer", MEDIA, "2")));
    hears(&ann, "ben", "answer");
    assert_int_equal(world.calls.calls.count, 1);
    // what the library says besides passes as it is
    client_must(&ben,
                relay("ann", json_pack("{s:s,s:b}", "type", "renegotiate", "renegotiate", 1)));
    assert_true(is_true_at(hears(&ann, "ben", "renegotiate"), "renegotiate"));
    client_must(&ann, relay("ben", described("offer", MEDIA, "1")));
    hears(&ben, "ann", "offer");
    client_must(&ben, relay("ann", described("answer", MEDIA, "2")));
    hears(&ann, "ben", "answer");
    assert_int_equal(world.calls.calls.count, 1);
    // both sides close, and both say so
    client_must(&ann, relay("ben", bye()));
    assert_string_equal(text_at(hears(&ben, "ann", "bye"), "reason"), "hangup");
    client_must(&ben, relay("ann", bye()));
    is_quiet(&ann);
    assert_int_equal(world.calls.calls.count, 0);
    client_done(&ann);
    client_done(&ben);
}

static void test_an_object_calls_the_native_language(void **state)
{
    (void)state;
    struct client ann, ben;
    enter(&ann, "ann");
    enter_plain(&ben, "ben");
    client_must(&ann, relay("ben", described("offer", MEDIA, "1")));
    json_t *incoming = client_hears(&ben, "call_incoming");
    char id[32];
    snprintf(id, sizeof(id), "%s", text_at(incoming, "call"));
    assert_string_equal(text_at(incoming, "media"), "video");
    client_must(&ben,
                json_pack("{s:s,s:s,s:s}", "type", "call_accept", "call", id, "sdp", "v=0 yes"));
    hears(&ann, "ben", "answer");
    client_must(&ben,
                json_pack("{s:s,s:s,s:s}", "type", "call_offer", "call", id, "sdp", "v=0 more"));
    hears(&ann, "ben", "offer");
    client_must(&ann, relay("ben", described("answer", MEDIA, "1")));
    assert_non_null(client_hears(&ben, "call_answer"));
    client_must(&ben, json_pack("{s:s,s:s}", "type", "call_hangup", "call", id));
    assert_string_equal(text_at(hears(&ann, "ben", "bye"), "reason"), "hangup");
    assert_int_equal(client_heard(&ann, "call_ended"), 0);
    client_done(&ann);
    client_done(&ben);
}

static void test_the_native_language_calls_an_object(void **state)
{
    (void)state;
    struct client ann, ben;
    enter(&ann, "ann");
    enter_plain(&ben, "ben");
    client_must(&ben, json_pack("{s:s,s:s,s:s}", "type", "call", "to", "ann", "sdp", "v=0 offer"));
    json_t *event = client_hears(&ann, "relay");
    assert_string_equal(text_at(event, "from"), "ben");
    assert_string_equal(text_at(event, "name"), "ben");
    client_must(&ann, relay("ben", described("answer", MEDIA, "1")));
    client_must(&ann, relay("ben", candidate_of("candidate:1")));
    assert_non_null(client_hears(&ben, "call_accepted"));
    assert_non_null(client_hears(&ben, "call_candidate"));
    client_must(&ann, relay("ben", bye()));
    assert_string_equal(text_at(client_hears(&ben, "call_ended"), "reason"), "hangup");
    client_done(&ann);
    client_done(&ben);
}

static void test_a_bye_refuses(void **state)
{
    (void)state;
    struct client ann, ben;
    enter(&ann, "ann");
    enter_plain(&ben, "ben");
    client_must(&ben, json_pack("{s:s,s:s,s:s}", "type", "call", "to", "ann", "sdp", "v=0 offer"));
    hears(&ann, "ben", "offer");
    client_must(&ann, relay("ben", bye()));
    assert_string_equal(text_at(client_hears(&ben, "call_ended"), "reason"), "rejected");
    client_done(&ann);
    client_done(&ben);
}

static void test_who_is_not_there_says_bye(void **state)
{
    (void)state;
    struct client ann;
    enter(&ann, "ann");
    refuses(&ann, relay("nobody", described("offer", MEDIA, "1")), "user_unavailable");
    assert_string_equal(text_at(hears(&ann, "nobody", "bye"), "reason"), "unavailable");
    client_done(&ann);
}

static void test_data_alone_is_no_call(void **state)
{
    (void)state;
    struct client ann, ben, cleo;
    enter(&ann, "ann");
    enter(&ben, "ben");
    enter_plain(&cleo, "cleo");
    client_must(&ann, relay("ben", described("offer", DATA, "1")));
    hears(&ben, "ann", "offer");
    client_must(&ben, relay("ann", described("answer", DATA, "2")));
    hears(&ann, "ben", "answer");
    // later it gets a picture, which rings nobody
    client_must(&ann, relay("ben", described("offer", MEDIA, "1")));
    hears(&ben, "ann", "offer");
    assert_int_equal(world.calls.calls.count, 0);
    client_must(&ann, relay("ben", bye()));
    hears(&ben, "ann", "bye");
    client_must(&ben, relay("ann", bye()));
    is_quiet(&ann);
    refuses(&ann, relay("cleo", described("offer", DATA, "3")), "user_unavailable");
    client_done(&ann);
    client_done(&ben);
    client_done(&cleo);
}

static void test_a_new_object_takes_the_place_of_one_that_is_gone(void **state)
{
    (void)state;
    struct client ann, ben;
    enter(&ann, "ann");
    enter(&ben, "ben");
    client_must(&ann, relay("ben", described("offer", MEDIA, "1")));
    hears(&ben, "ann", "offer");
    client_must(&ben, relay("ann", described("answer", MEDIA, "2")));
    hears(&ann, "ben", "answer");
    client_must(&ann, relay("ben", described("offer", MEDIA, "another")));
    hears(&ben, "ann", "bye");
    hears(&ben, "ann", "offer");
    assert_int_equal(world.calls.calls.count, 1);
    client_done(&ann);
    client_done(&ben);
}

static void test_a_mesh(void **state)
{
    (void)state;
    static const char *const names[] = { "a", "b", "c", "d" };
    struct client clients[4];
    for (size_t i = 0; i < 4; i++)
        enter(&clients[i], names[i]);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = i + 1; j < 4; j++) {
            client_must(&clients[i], relay(names[j], described("offer", MEDIA, "1")));
            hears(&clients[j], names[i], "offer");
            client_must(&clients[j], relay(names[i], described("answer", MEDIA, "2")));
            hears(&clients[i], names[j], "answer");
        }
    }
    assert_int_equal(world.calls.calls.count, 6);
    client_done(&clients[0]);
    for (size_t i = 1; i < 4; i++)
        hears(&clients[i], "a", "bye");
    for (size_t i = 1; i < 4; i++)
        client_done(&clients[i]);
}

static void test_only_who_said_so_relays(void **state)
{
    (void)state;
    struct client ann, ben;
    enter_plain(&ann, "ann");
    enter(&ben, "ben");
    refuses(&ann, relay("ben", bye()), "not_registered");
    client_must(&ben, json_pack("{s:s}", "type", "unregister"));
    refuses(&ben, relay("ann", bye()), "not_registered");
    // a session changes its mind, but not within a call
    client_must(&ben, json_pack("{s:s,s:s,s:b}", "type", "register", "user", "ben", "relay", 0));
    client_must(&ann, json_pack("{s:s,s:s,s:s}", "type", "call", "to", "ben", "sdp", "v=0"));
    assert_non_null(client_hears(&ben, "call_incoming"));
    refuses(&ben, json_pack("{s:s,s:s,s:b}", "type", "register", "user", "ben", "relay", 1),
            "already_in_call");
    client_done(&ann);
    client_done(&ben);
}

/** What the user of a name is seen as. */
static struct presence_view view_of(const char *user)
{
    return presence_of(&world.calls, user);
}

static void test_a_session_changes_its_language_in_place(void **state)
{
    (void)state;
    struct client ann, ben;
    enter(&ann, "ann");
    enter_plain(&ben, "ben");
    client_must(&ben, json_pack("{s:s,s:s}", "type", "presence", "presence", "dnd"));
    client_must(&ben, json_pack("{s:s,s:s,s:b}", "type", "register", "user", "ben", "relay", 1));
    // the name was never free meanwhile: what was said about it still holds
    assert_int_equal(view_of("ben").presence, PRESENCE_DND);
    assert_int_equal(view_of("ben").bindings, 1u << CALL_BINDING_RELAY);
    client_must(&ben, json_pack("{s:s,s:s}", "type", "presence", "presence", "online"));
    client_must(&ann, relay("ben", described("offer", MEDIA, "1")));
    hears(&ben, "ann", "offer");
    client_must(&ann, relay("ben", bye()));
    // a name that cannot be had leaves the old one, and the language
    refuses(&ben, json_pack("{s:s,s:s,s:b}", "type", "register", "user", "ann", "relay", 0),
            "user_taken");
    assert_int_equal(view_of("ben").bindings, 1u << CALL_BINDING_RELAY);
    client_must(&ben, json_pack("{s:s,s:s,s:b}", "type", "register", "user", "ben", "relay", 0));
    assert_int_equal(view_of("ben").bindings, 1u << CALL_BINDING_NATIVE);
    client_done(&ann);
    client_done(&ben);
}

static void test_whatever_is_said_passes(void **state)
{
    (void)state;
    struct client ann, ben;
    enter(&ann, "ann");
    enter(&ben, "ben");
    static const char *const odd[] = { "null",
                                       "7",
                                       "\"text\"",
                                       "[]",
                                       "{\"type\":7}",
                                       "{\"type\":\"offer\"}",
                                       "{\"type\":\"offer\",\"sdp\":\"no\"}",
                                       "{\"type\":\"candidate\",\"candidate\":\"x\"}" };
    for (size_t i = 0; i < array_size(odd); i++) {
        json_t *data = json_loads(odd[i], JSON_DECODE_ANY, NULL);
        json_t *request = relay("ben", json_incref(data));
        client_must(&ann, request);
        assert_true(json_equal(json_object_get(client_hears(&ben, "relay"), "data"), data));
        json_decref(data);
    }
    client_done(&ann);
    client_done(&ben);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_two_objects_talk_and_negotiate_again),
        TEST(test_an_object_calls_the_native_language),
        TEST(test_the_native_language_calls_an_object),
        TEST(test_a_bye_refuses),
        TEST(test_who_is_not_there_says_bye),
        TEST(test_data_alone_is_no_call),
        TEST(test_a_new_object_takes_the_place_of_one_that_is_gone),
        TEST(test_a_mesh),
        TEST(test_only_who_said_so_relays),
        TEST(test_a_session_changes_its_language_in_place),
        TEST(test_whatever_is_said_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
