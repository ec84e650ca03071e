// Messages and devices as the native protocol has them, without a store.
#include "signal_harness.h"

#include <unistd.h>

#include "runtime/clock.h"
#include "signal/access/token.h"

static void enter(struct client *client, const char *user)
{
    client_hello(client);
    client_must(client, json_pack("{s:s,s:s}", "type", "register", "user", user));
}

static json_t *text_to(const char *to, const char *text)
{
    return json_pack("{s:s,s:s,s:s}", "type", "message", "to", to, "text", text);
}

static json_t *plain(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

static json_t *revocation(const char *device)
{
    return json_pack("{s:s,s:s}", "type", "device_revoke", "device", device);
}

static void test_a_message_reaches_the_other_user(void **state)
{
    (void)state;
    struct client ada, ben;
    enter(&ada, "ada");
    enter(&ben, "ben");
    json_t *result = client_must(&ada, text_to("ben", "Lunch?"));
    char id[32];
    snprintf(id, sizeof(id), "%s", text_at(result, "message"));
    assert_int_equal(strlen(id), 26);
    json_t *event = client_hears(&ben, "message");
    assert_string_equal(text_at(event, "message"), id);
    assert_string_equal(text_at(event, "text"), "Lunch?");
    assert_string_equal(text_at(event, "to"), "ben");
    assert_string_equal(text_at(json_object_get(event, "from"), "user"), "ada");
    assert_false(is_true_at(event, "missed"));
    assert_int_equal(client_heard(&ada, "message"), 0);
    client_done(&ada);
    client_done(&ben);
}

static void test_who_cannot_send_is_told_why(void **state)
{
    (void)state;
    struct client ada, nobody;
    enter(&ada, "ada");
    client_hello(&nobody);
    assert_string_equal(client_refused(&nobody, text_to("ada", "x")), "not_registered");
    assert_string_equal(client_refused(&ada, text_to("ada", "x")), "bad_request");
    assert_string_equal(client_refused(&ada, text_to("ben", "x")), "user_unavailable");
    char long_text[4200];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = 0;
    assert_string_equal(client_refused(&ada, text_to("ben", long_text)), "bad_request");
    // a guest's name is nobody's
    assert_string_equal(
        client_refused(&ada, json_pack("{s:s,s:s}", "type", "messages", "with", "ben")),
        "not_permitted");
    assert_string_equal(client_refused(&ada, plain("calls")), "not_permitted");
    client_done(&ada);
    client_done(&nobody);
}

static void test_a_message_to_an_away_client_comes_with_its_resume(void **state)
{
    (void)state;
    struct client ada, ben;
    enter(&ada, "ada");
    enter(&ben, "ben");
    client_break(&ben, 1006);
    client_must(&ada, text_to("ben", "still there?"));
    assert_non_null(client_resume(&ben));
    assert_string_equal(text_at(client_hears(&ben, "message"), "text"), "still there?");
    client_done(&ada);
    client_done(&ben);
}

static const char key_text[] = "a key of sixteen bytes and more";

/** Valid until the next call. */
static const char *token_of(const char *user)
{
    static char text[512];
    struct token_grants grants = { 0 };
    snprintf(grants.user, sizeof(grants.user), "%s", user);
    char *token = token_mint(&grants, bytes_of_text(key_text), 1700000000);
    snprintf(text, sizeof(text), "%s", token);
    free(token);
    return text;
}

static void enter_with_token(struct client *client, const char *user)
{
    client_hello(client);
    client_must(client, json_pack("{s:s,s:s,s:s}", "type", "register", "user", user, "token",
                                  token_of(user)));
}

static void test_devices_are_listed_and_one_is_disconnected_for_good(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct native_config){ .token_key = bytes_of_text(key_text) });
    struct client phone, desk, other;
    enter_with_token(&phone, "ada");
    enter_with_token(&desk, "ada");
    enter_with_token(&other, "ben");
    json_t *result = client_must(&desk, plain("devices"));
    assert_int_equal(json_array_size(json_object_get(result, "devices")), 2);
    json_t *first = item_at(result, "devices", 0);
    assert_true(is_true_at(item_at(result, "devices", 1), "this"));
    assert_false(is_true_at(first, "this"));
    assert_string_equal(text_at(first, "binding"), "native");
    assert_string_equal(text_at(first, "address"), "192.0.2.7");
    assert_int_equal(json_integer_value(json_object_get(first, "since")), 1700001000000);
    char id[32], own[32];
    snprintf(id, sizeof(id), "%s", text_at(first, "device"));
    snprintf(own, sizeof(own), "%s", text_at(item_at(result, "devices", 1), "device"));

    // nobody disconnects another user's, or itself
    assert_string_equal(client_refused(&other, revocation(id)), "no_such_device");
    assert_string_equal(client_refused(&desk, revocation(own)), "bad_request");
    client_must(&desk, revocation(id));
    assert_int_equal(phone.close_code, 4001);
    client_break(&phone, 4001);
    assert_string_equal(type_of(client_resume(&phone)), "error");
    assert_string_equal(client_refused(&desk, revocation(id)), "no_such_device");
    result = client_must(&desk, plain("devices"));
    assert_int_equal(json_array_size(json_object_get(result, "devices")), 1);
    client_done(&phone);
    client_done(&desk);
    client_done(&other);
}

static void test_other_devices_of_the_sender_see_what_it_sent(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct native_config){ .token_key = bytes_of_text(key_text) });
    struct client phone, desk, ben;
    enter_with_token(&phone, "ada");
    enter_with_token(&desk, "ada");
    enter_with_token(&ben, "ben");
    client_must(&phone, text_to("ben", "Lunch?"));
    json_t *event = client_hears(&desk, "message");
    assert_string_equal(text_at(json_object_get(event, "from"), "user"), "ada");
    assert_true(is_true_at(json_object_get(event, "from"), "verified"));
    assert_string_equal(text_at(event, "to"), "ben");
    assert_int_equal(client_heard(&ben, "message"), 1);
    client_done(&phone);
    client_done(&desk);
    client_done(&ben);
}

/** The client has all that it was sent. */
static void confirm(struct client *client)
{
    char text[64];
    snprintf(text, sizeof(text), "{\"type\":\"ping\",\"last_seq\":%llu}",
             (unsigned long long)client->last_seq);
    client_say(client, text);
}

/** The next message that came says this. */
static void hears_text(struct client *client, const char *text)
{
    json_t *event = client_hears(client, "message");
    if (!event)
        fail_msg("nothing where \"%s\" was expected", text);
    assert_string_equal(text_at(event, "text"), text);
}

static void test_who_comes_gets_what_a_dead_device_was_handed(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct native_config){ .token_key = bytes_of_text(key_text) });
    struct client ada, phone, desk, tablet, late;
    enter_with_token(&ada, "ada");
    enter_with_token(&phone, "ben");
    client_must(&ada, text_to("ben", "read by the phone"));
    hears_text(&phone, "read by the phone");
    confirm(&phone);
    // from here on nobody reads what the phone is sent, and nobody knows
    client_must(&ada, text_to("ben", "one"));
    client_must(&ada, text_to("ben", "two"));
    enter_with_token(&desk, "ben");
    hears_text(&desk, "one");
    hears_text(&desk, "two");
    client_must(&ada, text_to("ben", "three"));
    hears_text(&desk, "three");
    // each comes once to each device, however many have it
    enter_with_token(&tablet, "ben");
    hears_text(&tablet, "one");
    hears_text(&tablet, "two");
    hears_text(&tablet, "three");
    client_must(&tablet, json_pack("{s:s,s:s,s:s}", "type", "register", "user", "ben", "token",
                                   token_of("ben")));
    assert_int_equal(client_heard(&tablet, "message"), 0);
    assert_int_equal(client_heard(&desk, "message"), 0);
    // and no more when all who are alive have confirmed it
    client_break(&phone, 1006);
    world_pass(3600 * S);
    confirm(&desk);
    confirm(&tablet);
    enter_with_token(&late, "ben");
    assert_int_equal(client_heard(&late, "message"), 0);
    client_done(&ada);
    client_done(&phone);
    client_done(&desk);
    client_done(&tablet);
    client_done(&late);
}

static bool is_account(void *owner, const char *name)
{
    (void)owner;
    return strcmp(name, "ben") == 0;
}

/** Until the client was sent something. */
static void await_message(struct loop *loop, const struct client *client)
{
    uint64_t end_us = clock_now_us() + 20 * S;
    while (client->count == 0 && clock_now_us() < end_us)
        loop_turn(loop, 10 * TIME_US_PER_MS);
    assert_int_equal(client->count, 1);
}

static void test_a_request_that_waits_for_the_disk_is_answered_once_over_a_resume(void **state)
{
    (void)state;
    char folder[] = "/tmp/roost-messages-XXXXXX", path[64], text[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/history.db", folder);
    struct loop loop;
    assert_int_equal(loop_init(&loop), 0);
    struct text_builder problem = text_builder_of(text, sizeof(text));
    struct history_config config = { .loop = &loop, .path = path, .per_user_max = 10 };
    assert_int_equal(history_open(&config, &world.messaging.history, &problem), 0);
    world.calls.config.is_account = is_account;

    struct client ada;
    enter(&ada, "ada");
    // no reply yet: the disk has not answered
    assert_null(client_ask(&ada, text_to("ben", "Lunch?")));
    uint64_t id = ada.next_id;
    client_break(&ada, 1006);
    assert_non_null(client_resume(&ada));
    ada.next_id = id - 1; // as a client does that has no reply
    assert_null(client_ask(&ada, text_to("ben", "Lunch?")));
    await_message(&loop, &ada);
    json_t *reply = client_hears(&ada, "ok");
    assert_non_null(reply);
    assert_int_equal(json_integer_value(json_object_get(reply, "id")), id);
    char message[32];
    snprintf(message, sizeof(message), "%s", text_at(json_object_get(reply, "result"), "message"));
    // and from then on with the reply that it got
    ada.next_id = id - 1;
    reply = client_ask(&ada, text_to("ben", "Lunch?"));
    assert_string_equal(text_at(json_object_get(reply, "result"), "message"), message);

    client_done(&ada);
    world.messaging.history = history_close(world.messaging.history);
    loop_done(&loop);
    snprintf(text, sizeof(text), "rm -r %s", folder);
    assert_int_equal(system(text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_message_reaches_the_other_user),
        TEST(test_who_comes_gets_what_a_dead_device_was_handed),
        TEST(test_who_cannot_send_is_told_why),
        TEST(test_devices_are_listed_and_one_is_disconnected_for_good),
        TEST(test_other_devices_of_the_sender_see_what_it_sent),
        TEST(test_a_request_that_waits_for_the_disk_is_answered_once_over_a_resume),
        TEST(test_a_message_to_an_away_client_comes_with_its_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
