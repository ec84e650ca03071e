// Third-party authorisation over the life of an allocation (RFC 7635 section 9).
#include "support/check.h"

#include "base/text.h"
#include "crypto/aead.h"
#include "support/turn_world.h"

#define SERVER_NAME "turn.example.org"
#define LIFETIME_S  1000

static struct turn_world world;
static struct turn_token_key key = {
    .kid = "kid-1", .algorithm = TURN_TOKEN_A256GCM, .key = { 1, 2, 3 }, .key_size = 32
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
        .settings = { .server_name = SERVER_NAME, .token_keys = &key, .token_key_count = 1 }
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
    struct aead *aead = aead_new(NULL, bytes_of(key.key, key.key_size));
    aead_seal(aead, iv, bytes_of_text(SERVER_NAME), writer_written(&writer), out + 14);
    aead_free(aead);
    return bytes_of(out, 14 + writer.size + AEAD_TAG_SIZE);
}

/** Signs with the mac key of `letter` and sends; a token goes along unless it is empty. */
static int ask(struct turn_client *client, uint8_t letter, struct bytes access_token)
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
    assert_int_equal(refresh(&client, 'b', token('b', 0, out)), 0);
    assert_int_equal(permit(&client, 'a'), STUN_UNAUTHENTICATED);
    assert_int_equal(permit(&client, 'b'), 0);
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
        cmocka_unit_test_teardown(a_token_that_has_ended_begins_nothing, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
