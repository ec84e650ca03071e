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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_large_messages_beyond_the_rate_are_not_read),
        TEST(test_large_messages_use_up_the_patience_sooner),
        TEST(test_who_speaks_to_many_pays_for_many),
        TEST(test_a_conversation_of_few_costs_next_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
