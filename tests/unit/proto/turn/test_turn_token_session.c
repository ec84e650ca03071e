// Third-party authorisation over the life of an allocation (RFC 7635 section 9).
#include "support/check.h"

#include "base/text.h"
#include "crypto/aead.h"
#include "support/turn_client.h"

#define SERVER_NAME "turn.example.org"
#define LIFETIME_S  1000

static struct turn_world world;
/** Of two kids, as when an authorisation server changes its key. */
static const struct turn_token_key keys[2] = {
    { .kid = "kid-1", .algorithm = TURN_TOKEN_A256GCM, .key = { 1, 2, 3 }, .key_size = 32 },
    { .kid = "kid-2", .algorithm = TURN_TOKEN_A256GCM, .key = { 1, 2, 3 }, .key_size = 32 },
};

static int teardown(void **state)
{
    (void)state;
    turn_world_done(&world);
    return 0;
}

static struct turn_client begin(void)
{
    struct turn_world_options options = {
        .settings = { .server_name = SERVER_NAME, .token_keys = keys, .token_key_count = 2 }
    };
    turn_world_init(&world, &options);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    client.username = "kid-1";
    turn_client_challenge(&client);
    struct bytes value;
    assert_true(stun_message_find(&client.answer, STUN_THIRD_PARTY_AUTHORIZATION, &value));
    assert_true(text_equal(value, SERVER_NAME));
    return client;
}

/** A token whose mac key is 20 bytes of `letter`, made `age_s` ago. */
static struct bytes token(uint8_t letter, int64_t age_s, uint8_t out[128])
{
    const uint8_t iv[AEAD_IV_SIZE] = { letter };
    uint8_t plain[64];
    struct writer writer = writer_of(plain, sizeof(plain));
    int64_t now_s = TURN_WORLD_UNIX_S + (int64_t)(world.now_us / TIME_US_PER_S) - 1000;
    writer_u16(&writer, 20);
    for (int i = 0; i < 20; i++)
        writer_u8(&writer, letter);
    writer_u64(&writer, (uint64_t)(now_s - age_s) << 16);
    writer_u32(&writer, LIFETIME_S);
    store_u16(out, sizeof(iv));
    memcpy(out + 2, iv, sizeof(iv));
    struct aead *aead = aead_new(NULL, bytes_of(keys[0].key, keys[0].key_size));
    aead_seal(aead, iv, bytes_of_text(SERVER_NAME), writer_written(&writer), out + 14);
    aead_free(aead);
    return bytes_of(out, 14 + writer.size + AEAD_TAG_SIZE);
}

/**
 * Signs with the mac key of `letter` and sends; a token goes along unless it is empty. Returns how
 * many messages the server has sent until then.
 */
static size_t give_signed(struct turn_client *client, uint8_t letter, struct bytes access_token)
{
    uint8_t mac_key[20];
    memset(mac_key, letter, sizeof(mac_key));
    stun_write_bytes(&client->writer, STUN_USERNAME, bytes_of_text(client->username));
    stun_write_bytes(&client->writer, STUN_REALM, bytes_of_text(TURN_WORLD_REALM));
    stun_write_bytes(&client->writer, STUN_NONCE, bytes_of(client->nonce, client->nonce_size));
    if (access_token.size > 0)
        stun_write_bytes(&client->writer, STUN_ACCESS_TOKEN, access_token);
    stun_write_integrity(&client->writer, bytes_of(mac_key, sizeof(mac_key)));
    assert_int_equal(turn_client_give(client, turn_client_finish(client)), TURN_DONE);
    return world.sent_count;
}

/** The same, and the code of the answer; 0 for a success. */
static int ask(struct turn_client *client, uint8_t letter, struct bytes access_token)
{
    uint8_t mac_key[20];
    memset(mac_key, letter, sizeof(mac_key));
    size_t before = world.sent_count;
    assert_true(give_signed(client, letter, access_token) > before);
    const struct turn_sent *sent = turn_world_sent(&world, 0);
    struct stun_message answer;
    assert_int_equal(stun_message_parse(bytes_of(sent->data, sent->size), &answer), 0);
    uint16_t code = 0;
    if (answer.class == STUN_ERROR)
        assert_int_equal(stun_message_find_error(&answer, &code, NULL), 0);
    if (code != STUN_UNAUTHENTICATED && code != STUN_STALE_NONCE)
        assert_int_equal(stun_message_check_integrity(&answer, bytes_of(mac_key, sizeof(mac_key))),
                         0);
    return code;
}

static int allocate(struct turn_client *client, uint8_t letter, struct bytes access_token)
{
    turn_client_start_allocate(client);
    return ask(client, letter, access_token);
}

static int refresh(struct turn_client *client, uint8_t letter, struct bytes access_token)
{
    turn_client_start(client, STUN_REFRESH);
    return ask(client, letter, access_token);
}

static int permit(struct turn_client *client, uint8_t letter)
{
    turn_client_start(client, STUN_CREATE_PERMISSION);
    turn_client_peer(client, "8.8.8.8:9");
    return ask(client, letter, bytes_of(NULL, 0));
}

static void a_token_begins_an_allocation_and_its_key_goes_on(void **state)
{
    (void)state;
    uint8_t out[128];
    struct turn_client client = begin();
    assert_int_equal(allocate(&client, 'a', token('b', 0, out)), STUN_UNAUTHENTICATED);
    assert_int_equal(allocate(&client, 'a', token('a', 0, out)), 0);
    assert_int_equal(permit(&client, 'a'), 0);
    assert_int_equal(permit(&client, 'b'), STUN_UNAUTHENTICATED);
    assert_int_equal(refresh(&client, 'a', bytes_of(NULL, 0)), 0);
}

static void without_an_allocation_a_token_is_needed(void **state)
{
    (void)state;
    uint8_t out[128];
    struct turn_client client = begin();
    assert_int_equal(allocate(&client, 'a', token('a', 0, out)), 0);
    // another 5-tuple
    struct turn_client other = turn_client_of(&world, "203.1.2.3:5001", TURN_UDP);
    other.username = "kid-1";
    turn_client_challenge(&other);
    assert_int_equal(permit(&other, 'a'), STUN_UNAUTHENTICATED);
    assert_int_equal(allocate(&other, 'a', bytes_of(NULL, 0)), STUN_UNAUTHENTICATED);
}

static void a_refresh_with_a_new_token_changes_the_key(void **state)
{
    (void)state;
    uint8_t out[128];
    struct turn_client client = begin();
    assert_int_equal(allocate(&client, 'a', token('a', 0, out)), 0);
    turn_world_pass_s(&world, 500);
    client.username = "kid-2";
    assert_int_equal(refresh(&client, 'b', token('b', 0, out)), 0);
    assert_int_equal(permit(&client, 'a'), STUN_UNAUTHENTICATED);
    assert_int_equal(permit(&client, 'b'), 0);
}

static void a_token_does_not_take_over_what_a_user_has(void **state)
{
    (void)state;
    uint8_t out[128];
    struct turn_client client = begin();
    client.username = "alice";
    assert_int_equal(turn_client_allocate(&client), 0);
    client.username = "kid-1";
    assert_int_equal(refresh(&client, 'a', token('a', 0, out)), STUN_WRONG_CREDENTIALS);
    assert_int_equal(permit(&client, 'a'), STUN_UNAUTHENTICATED);
}

static void a_user_does_not_take_over_what_a_token_has(void **state)
{
    (void)state;
    uint8_t out[128];
    struct turn_client client = begin();
    assert_int_equal(allocate(&client, 'a', token('a', 0, out)), 0);
    client.username = "alice";
    assert_int_equal(turn_client_permit(&client, "8.8.8.8:9"), STUN_WRONG_CREDENTIALS);
}

/** RFC 6062: the data connection is another 5-tuple, and ConnectionBind brings no token. */
static void a_data_connection_is_of_the_session_too(void **state)
{
    (void)state;
    uint8_t out[128];
    struct turn_client client = begin();
    world.options.settings.tcp_relay = true;
    turn_world_reload(&world);
    client.source.transport = TURN_TCP;
    turn_client_start(&client, STUN_ALLOCATE);
    turn_client_transport(&client, 6);
    assert_int_equal(ask(&client, 'a', token('a', 0, out)), 0);
    turn_client_start(&client, STUN_CONNECT);
    turn_client_peer(&client, "8.8.8.8:9");
    size_t before = world.sent_count;
    // answered when the connection is there
    assert_int_equal(give_signed(&client, 'a', bytes_of(NULL, 0)), before);
    turn_server_tcp_connected(world.server, world.now_us, world.connection, 0);
    struct turn_client data = turn_client_of(&world, "203.1.2.3:5002", TURN_TCP);
    data.username = "kid-1";
    turn_client_challenge(&data);
    for (uint8_t letter = 'b'; letter >= 'a'; letter--) {
        turn_client_start(&data, STUN_CONNECTION_BIND);
        stun_write_u32(&data.writer, STUN_CONNECTION_ID, world.connection);
        assert_int_equal(ask(&data, letter, bytes_of(NULL, 0)),
                         letter == 'a' ? 0 : STUN_UNAUTHENTICATED);
    }
    assert_int_equal(world.binds, 1);
}

/** A CONNECTION-ID has 24 bits that must be guessed: a token of one's own is not enough. */
static void a_data_connection_is_not_another_tokens(void **state)
{
    (void)state;
    uint8_t out[128];
    struct turn_client client = begin();
    world.options.settings.tcp_relay = true;
    turn_world_reload(&world);
    client.source.transport = TURN_TCP;
    turn_client_start(&client, STUN_ALLOCATE);
    turn_client_transport(&client, 6);
    assert_int_equal(ask(&client, 'a', token('a', 0, out)), 0);
    assert_int_equal(refresh(&client, 'c', token('c', 0, out)), 0);
    turn_client_start(&client, STUN_CONNECT);
    turn_client_peer(&client, "8.8.8.8:9");
    give_signed(&client, 'c', bytes_of(NULL, 0));
    turn_server_tcp_connected(world.server, world.now_us, world.connection, 0);
    struct turn_client data = turn_client_of(&world, "203.1.2.3:5002", TURN_TCP);
    data.username = "kid-1";
    turn_client_challenge(&data);
    turn_client_start(&data, STUN_CONNECTION_BIND);
    stun_write_u32(&data.writer, STUN_CONNECTION_ID, world.connection);
    assert_int_equal(ask(&data, 'b', token('b', 0, out)), STUN_WRONG_CREDENTIALS);
    assert_int_equal(world.binds, 0);
    turn_client_start(&data, STUN_CONNECTION_BIND);
    stun_write_u32(&data.writer, STUN_CONNECTION_ID, world.connection);
    assert_int_equal(ask(&data, 'c', token('c', 0, out)), 0);
    assert_int_equal(world.binds, 1);
}

static void a_token_that_has_ended_begins_nothing(void **state)
{
    (void)state;
    uint8_t out[128];
    struct turn_client client = begin();
    assert_int_equal(allocate(&client, 'a', token('a', LIFETIME_S + 6, out)), STUN_UNAUTHENTICATED);
    assert_int_equal(allocate(&client, 'a', token('a', -6, out)), STUN_UNAUTHENTICATED);
    assert_int_equal(allocate(&client, 'a', token('a', LIFETIME_S, out)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_token_begins_an_allocation_and_its_key_goes_on, teardown),
        cmocka_unit_test_teardown(without_an_allocation_a_token_is_needed, teardown),
        cmocka_unit_test_teardown(a_refresh_with_a_new_token_changes_the_key, teardown),
        cmocka_unit_test_teardown(a_token_does_not_take_over_what_a_user_has, teardown),
        cmocka_unit_test_teardown(a_user_does_not_take_over_what_a_token_has, teardown),
        cmocka_unit_test_teardown(a_data_connection_is_of_the_session_too, teardown),
        cmocka_unit_test_teardown(a_data_connection_is_not_another_tokens, teardown),
        cmocka_unit_test_teardown(a_token_that_has_ended_begins_nothing, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
