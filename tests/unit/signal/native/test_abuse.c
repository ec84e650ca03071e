// Clients that follow the protocol and mean harm.
#include "signal_harness.h"

static json_t *chat_request(const char *text)
{
    return json_pack("{s:s,s:s}", "type", "chat", "text", text);
}

/** A request of this many bytes that is refused for what it says. */
static char *padded_request(size_t size)
{
    char *text = malloc(size + 64);
    assert_non_null(text);
    int head = sprintf(text, "{\"id\":7,\"type\":\"nothing\",\"x\":\"");
    memset(text + head, 'a', size);
    strcpy(text + head + size, "\"}");
    return text;
}

static void test_large_messages_beyond_the_rate_are_not_read(void **state)
{
    (void)state;
    struct client eve;
    client_hello(&eve);
    world_pass(1 * S);
    char *text = padded_request(900000);
    client_say(&eve, text);
    assert_string_equal(text_at(client_hears(&eve, "error"), "code"), "unknown_type");
    assert_int_equal(eve.close_code, 0);
    client_say(&eve, text);
    assert_string_equal(text_at(client_hears(&eve, "error"), "code"), "rate_limited");
    assert_int_equal(eve.close_code, 1008);
    free(text);
    client_done(&eve);
}

#define AUDIENCE 90
static struct client audience[AUDIENCE];

static void test_large_messages_use_up_the_patience_sooner(void **state)
{
    (void)state;
    struct client eve;
    client_hello(&eve);
    char *text = padded_request(60000);
    size_t count = 0;
    while (!eve.close_code && count < 900) {
        client_say(&eve, text);
        count++;
    }
    // 13 are allowed; of the others each counts as 15
    assert_in_range(count, 20, 80);
    assert_int_equal(eve.close_code, 1008);
    free(text);
    client_done(&eve);
}

static void test_who_speaks_to_many_pays_for_many(void **state)
{
    (void)state;
    for (size_t i = 0; i < AUDIENCE; i++)
        client_enter(&audience[i], "hall", "Listener");
    struct client eve;
    client_enter(&eve, "hall", "Eve");
    world_pass(10 * S);
    for (size_t i = 0; i < AUDIENCE; i++)
        client_clear(&audience[i]);
    for (size_t i = 0; i < 190; i++)
        client_ask(&eve, chat_request("louder"));
    // each is 91 messages: one token for itself and three for those
    size_t heard = client_heard(&audience[0], "chat");
    assert_in_range(heard, 30, 60);
    // the debt is no larger than a burst: after two of them all is well
    world_pass(8 * S);
    client_must(&eve, chat_request("sorry"));
    client_done(&eve);
    for (size_t i = 0; i < AUDIENCE; i++)
        client_done(&audience[i]);
}

static void test_a_conversation_of_few_costs_next_to_nothing(void **state)
{
    (void)state;
    struct client ada, bob;
    client_enter(&ada, "room", "Ada");
    client_enter(&bob, "room", "Bob");
    world_pass(10 * S);
    for (size_t i = 0; i < 180; i++)
        client_must(&ada, chat_request("hello"));
    client_done(&ada);
    client_done(&bob);
}

static void test_a_link_does_not_rename_who_is_vouched_for(void **state)
{
    (void)state;
    static const struct call_device_ops ops = { 0 };
    struct call_device device;
    bool waits;
    call_device_init(&device, &ops, CALL_BINDING_NATIVE);
    assert_int_equal(call_device_register(&world.calls, &device, "eve", "Eve", true), 0);
    assert_int_equal(call_device_link(&world.calls, &device, "link", "The Director", &waits), 0);
    assert_string_equal(device.name, "Eve");
    call_device_done(&world.calls, &device, world.now_us, CALL_ENDED_HANGUP);
}

static uint64_t settles(void)
{
    return metric_get(&world.rooms.metrics[ROOM_DIRECTORY_METRIC_SETTLES]);
}

static void test_a_subscription_moves_nobody_elses_slots(void **state)
{
    (void)state;
    struct client ada, eve;
    client_enter(&ada, "room", "Ada");
    client_enter(&eve, "room", "Eve");
    json_t *result = client_must(&ada, offer_request("a+v+"));
    char track[64];
    snprintf(track, sizeof(track), "%s", text_at(item_at(result, "publications", 0), "track"));
    uint64_t before = settles();
    for (int i = 0; i < 40; i++)
        client_must(&eve, json_pack("{s:s,s:[s]}", "type", i % 2 ? "subscribe" : "unsubscribe",
                                    "tracks", track));
    assert_int_equal(settles(), before);
    client_done(&ada);
    client_done(&eve);
}

static void test_unconfirmed_messages_share_a_budget(void **state)
{
    (void)state;
    tear_down(state);
    world_start(&(struct native_config){ .resume_memory_max = 300000 });
    struct client eve[4];
    char *text = malloc(4001);
    memset(text, 'x', 4000);
    text[4000] = 0;
    for (size_t i = 0; i < 4; i++) {
        char name[] = "a";
        name[0] = (char)('a' + i);
        client_enter(&eve[i], name, "Eve"); // each in a room of its own
    }
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 60; k++)
            client_must(&eve[i], chat_request(text));
    }
    // the first one filled its buffer, then all together were at the limit
    struct client late;
    memset(&late, 0, sizeof(late));
    client_connect(&late);
    assert_string_equal(
        client_refused(&late, json_pack("{s:s,s:i}", "type", "hello", "version", 1)),
        "server_full");
    // who is over its least keeps no more: what it missed is lost
    eve[3].last_seq = 2;
    client_break(&eve[3], 1006);
    client_connect(&eve[3]);
    assert_string_equal(client_refused(&eve[3], json_pack("{s:s,s:s,s:s,s:i}", "type", "resume",
                                                          "session", eve[3].session, "resume_token",
                                                          eve[3].token, "last_seq", 2)),
                        "resume_lost");
    // what is confirmed is free again
    char ping[64];
    snprintf(ping, sizeof(ping), "{\"type\":\"ping\",\"last_seq\":%d}", (int)eve[0].last_seq);
    client_say(&eve[0], ping);
    client_must(&late, json_pack("{s:s,s:i}", "type", "hello", "version", 1));
    client_done(&late);
    for (size_t i = 0; i < 4; i++)
        client_done(&eve[i]);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_large_messages_beyond_the_rate_are_not_read),
        TEST(test_large_messages_use_up_the_patience_sooner),
        TEST(test_who_speaks_to_many_pays_for_many),
        TEST(test_a_link_does_not_rename_who_is_vouched_for),
        TEST(test_a_subscription_moves_nobody_elses_slots),
        TEST(test_unconfirmed_messages_share_a_budget),
        TEST(test_a_conversation_of_few_costs_next_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
