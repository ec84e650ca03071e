// Contacts: lists, and events of presence.
#include "signal_harness.h"

static json_t *plain(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

static void enter(struct client *client, const char *user)
{
    client_hello(client);
    client_must(client, json_pack("{s:s,s:s}", "type", "register", "user", user));
}

static void choose(struct client *client, const char *presence)
{
    client_must(client, json_pack("{s:s,s:s}", "type", "presence", "presence", presence));
    world_pass(2 * S);
}

static const char *hears_of(struct client *client, const char *user)
{
    json_t *event = client_hears(client, "presence");
    if (!event)
        return "not told";
    assert_string_equal(text_at(event, "user"), user);
    return text_at(event, "presence");
}

static void test_contacts_are_listed_and_watched(void **state)
{
    (void)state;
    struct client ada, ben, cy;
    enter(&ada, "ada");
    enter(&ben, "ben");
    world_pass(2 * S);
    json_t *result = client_must(&ada, plain("contacts"));
    assert_int_equal(json_array_size(json_object_get(result, "contacts")), 1);
    json_t *contact = item_at(result, "contacts", 0);
    assert_string_equal(text_at(contact, "user"), "ben");
    assert_string_equal(text_at(contact, "presence"), "online");
    assert_false(is_true_at(contact, "verified"));
    assert_string_equal(json_string_value(item_at(contact, "bindings", 0)), "native");

    choose(&ben, "dnd");
    assert_string_equal(hears_of(&ada, "ben"), "dnd");
    assert_string_equal(client_refused(&ada, json_pack("{s:s,s:s,s:s}", "type", "call", "to", "ben",
                                                       "sdp", "v=0 offer")),
                        "user_busy");
    choose(&ben, "online");
    assert_string_equal(hears_of(&ada, "ben"), "online");
    client_break(&ben, 1006); // it may come back
    world_pass(2 * S);
    assert_string_equal(hears_of(&ada, "ben"), "away");
    world_pass(60 * S);
    assert_string_equal(hears_of(&ada, "ben"), "offline");
    // who came later is not watched, and does not see changes either
    enter(&cy, "cy");
    world_pass(2 * S);
    assert_string_equal(hears_of(&ada, "cy"), "not told");
    client_done(&ada);
    client_done(&ben);
    client_done(&cy);
}

static void test_only_who_is_registered_sees_others(void **state)
{
    (void)state;
    struct client ada, ben;
    client_hello(&ada);
    assert_string_equal(client_refused(&ada, plain("contacts")), "not_registered");
    assert_string_equal(
        client_refused(&ada, json_pack("{s:s,s:s}", "type", "presence", "presence", "away")),
        "not_registered");
    client_must(&ada, json_pack("{s:s,s:s}", "type", "register", "user", "ada"));
    enter(&ben, "ben");
    client_must(&ada, plain("contacts"));
    client_must(&ada, plain("unregister"));
    world_pass(2 * S);
    client_clear(&ada);
    choose(&ben, "dnd");
    assert_string_equal(hears_of(&ada, "ben"), "not told");
    client_done(&ada);
    client_done(&ben);
}

static void test_a_list_replaces_the_one_before(void **state)
{
    (void)state;
    struct client ada, ben, cy;
    enter(&ada, "ada");
    enter(&ben, "ben");
    enter(&cy, "cy");
    client_must(&ada, plain("contacts"));
    client_must(&ada, json_pack("{s:s,s:s,s:i}", "type", "contacts", "prefix", "c", "limit", 5));
    world_pass(2 * S);
    client_clear(&ada);
    choose(&ben, "dnd");
    assert_string_equal(hears_of(&ada, "ben"), "not told");
    choose(&cy, "dnd");
    assert_string_equal(hears_of(&ada, "cy"), "dnd");
    assert_string_equal(
        client_refused(&ada, json_pack("{s:s,s:i}", "type", "contacts", "limit", 1001)),
        "bad_request");
    client_done(&ada);
    client_done(&ben);
    client_done(&cy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_contacts_are_listed_and_watched),
        TEST(test_only_who_is_registered_sees_others),
        TEST(test_a_list_replaces_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
