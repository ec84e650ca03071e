#include "credential.h"

#include <errno.h>

#include "base/text.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "proto/turn/turn_token_int.h"

#define SERVER_NAME "turn.example.org"
#define REALM       "example.org"
#define MADE_S      1800000000
#define LIFETIME_S  3600

/*
 * Made with the tool turnutils_oauth of coturn 4.6.1: server name as above, keys of the bytes 0, 1,
 * 2, ..., mac keys of the bytes 0x40, 0x41, ..., nonce "h4j3k2l2n4b5".
 */
#define COTURN_A256GCM                                                                             \
    "AAxoNGozazJsMm40YjWRTT8VmtnDLBTtSAVm+ICTy4ivIeJ9ptuEnmg92/nkStJaX6vv63B5Xxd972Uvp0aNI+oxmvAV" \
    "niNqreAa2A=="
#define COTURN_A128GCM                                                                             \
    "AAxoNGozazJsMm40YjVRno4+aR+8xdCGyM3iExi/AKwmiElWcUaRYiLQ7LW6jaSkvc5mLzT5C6CpPlmd+ldAkQ=="

static uint8_t mac_key[32];
static struct turn_token_key keys[2];

static int set_up(void **state)
{
    (void)state;
    keys[0] =
        (struct turn_token_key){ .kid = "kid-1", .algorithm = TURN_TOKEN_A256GCM, .key_size = 32 };
    keys[1] =
        (struct turn_token_key){ .kid = "kid-2", .algorithm = TURN_TOKEN_A128GCM, .key_size = 16 };
    for (size_t k = 0; k < array_size(keys); k++) {
        for (uint8_t i = 0; i < keys[k].key_size; i++)
            keys[k].key[i] = i;
    }
    for (uint8_t i = 0; i < sizeof(mac_key); i++)
        mac_key[i] = (uint8_t)(0x40 + i);
    return 0;
}

/** A token of our own making, possibly a bad one. */
struct maker {
    size_t nonce_size; /**< as the token says; 12 bytes are there */
    size_t key_size;   /**< as the token says */
    size_t mac_key_size;
    uint64_t timestamp;
    uint32_t lifetime_s;
    size_t surplus; /**< encrypted bytes behind the lifetime */
    const char *server_name;
};

static struct maker good(void)
{
    return (struct maker){ .nonce_size = 12,
                           .key_size = 20,
                           .mac_key_size = 20,
                           .timestamp = (uint64_t)MADE_S << 16,
                           .lifetime_s = LIFETIME_S,
                           .server_name = SERVER_NAME };
}

static struct bytes make(const struct maker *maker, uint8_t out[512])
{
    static const uint8_t iv[12] = { 1, 2, 3 };
    uint8_t plain[256];
    struct writer writer = writer_of(plain, sizeof(plain));
    writer_u16(&writer, (uint16_t)maker->key_size);
    writer_bytes(&writer, mac_key, maker->mac_key_size);
    writer_u64(&writer, maker->timestamp);
    writer_u32(&writer, maker->lifetime_s);
    writer_zeros(&writer, maker->surplus);
    store_u16(out, (uint16_t)maker->nonce_size);
    memcpy(out + 2, iv, sizeof(iv));
    struct aead *aead = aead_new(NULL, bytes_of(keys[0].key, keys[0].key_size));
    aead_seal(aead, iv, client_text(maker->server_name), writer_written(&writer), out + 14);
    aead_free(aead);
    return bytes_of(out, 14 + writer.size + AEAD_TAG_SIZE);
}

static int open_at(struct bytes bytes, int64_t now_unix_s, struct turn_token *token)
{
    memset(token, 0xaa, sizeof(*token));
    int result = turn_token_open(&keys[0], SERVER_NAME, bytes, now_unix_s, token);
    if (result != 0) {
        const uint8_t *untouched = (const uint8_t *)token;
        for (size_t i = 0; i < sizeof(*token); i++)
            assert_int_equal(untouched[i], 0xaa);
    }
    return result;
}

static int open_made(const struct maker *maker)
{
    uint8_t out[512];
    struct turn_token token;
    return open_at(make(maker, out), MADE_S, &token);
}

static void check_coturn(const char *text, const struct turn_token_key *key, size_t mac_key_size)
{
    uint8_t bytes[128];
    int size = text_base64_parse(client_text(text), bytes, sizeof(bytes));
    assert_true(size > 0);
    struct turn_token token;
    assert_int_equal(
        turn_token_open(key, SERVER_NAME, bytes_of(bytes, (size_t)size), MADE_S + 10, &token), 0);
    assert_int_equal(token.mac_key_size, mac_key_size);
    assert_memory_equal(token.mac_key, mac_key, mac_key_size);
    assert_int_equal(token.expires_unix_s, MADE_S + LIFETIME_S);
}

static void test_tokens_of_coturn_are_understood(void **state)
{
    (void)state;
    check_coturn(COTURN_A256GCM, &keys[0], 32);
    check_coturn(COTURN_A128GCM, &keys[1], 20);
}

static void test_a_token_is_valid_from_its_making_to_its_end(void **state)
{
    (void)state;
    struct maker maker = good();
    uint8_t out[512];
    struct turn_token token;
    struct bytes bytes = make(&maker, out);
    assert_int_equal(open_at(bytes, MADE_S, &token), 0);
    assert_int_equal(token.mac_key_size, 20);
    assert_int_equal(open_at(bytes, MADE_S + LIFETIME_S, &token), 0);
    // clocks may differ by 5 s
    assert_int_equal(open_at(bytes, MADE_S + LIFETIME_S + 5, &token), 0);
    assert_int_equal(open_at(bytes, MADE_S + LIFETIME_S + 6, &token), -ETIME);
    assert_int_equal(open_at(bytes, MADE_S - 5, &token), 0);
    assert_int_equal(open_at(bytes, MADE_S - 6, &token), -ETIME);
}

static void test_a_key_has_its_own_time(void **state)
{
    (void)state;
    struct maker maker = good();
    keys[0].not_before_s = MADE_S + 1;
    assert_int_equal(open_made(&maker), -ETIME);
    keys[0].not_before_s = MADE_S;
    assert_int_equal(open_made(&maker), 0);
    keys[0].not_after_s = MADE_S - 1;
    assert_int_equal(open_made(&maker), -ETIME);
}

static void test_attack_cve_2026_43994_a_nonce_as_long_as_one_likes(void **state)
{
    (void)state;
    // coturn copied that many bytes onto its stack, before anything was verified
    const size_t sizes[] = { 0, 1, 11, 13, 16, 256, 735, 1024, 0xffff };
    for (size_t i = 0; i < array_size(sizes); i++) {
        struct maker maker = good();
        maker.nonce_size = sizes[i];
        assert_int_equal(open_made(&maker), -EBADMSG);
    }
}

static void test_tokens_cut_anywhere_are_refused(void **state)
{
    (void)state;
    struct maker maker = good();
    uint8_t out[512];
    struct turn_token token;
    struct bytes bytes = make(&maker, out);
    for (size_t size = 0; size < bytes.size; size++) {
        // its own block of memory, so that a sanitizer sees the first byte too many
        uint8_t *copy = test_malloc(size + 1);
        memcpy(copy + 1, out, size);
        assert_int_equal(open_at(bytes_of(copy + 1, size), MADE_S, &token), -EBADMSG);
        test_free(copy);
    }
}

static void test_lengths_inside_of_a_genuine_token_are_checked(void **state)
{
    (void)state;
    struct maker maker = good();
    for (size_t size = 0; size < 400; size++) {
        maker.key_size = size;
        assert_int_equal(open_made(&maker), size == 20 ? 0 : -EBADMSG);
    }
    maker = good();
    maker.key_size = 0xffff;
    assert_int_equal(open_made(&maker), -EBADMSG);
    for (size_t size = 1; size <= 200; size++) {
        maker = good();
        maker.surplus = size;
        assert_int_equal(open_made(&maker), -EBADMSG);
    }
    for (size_t size = 0; size <= 32; size++) {
        maker = good();
        maker.key_size = maker.mac_key_size = size;
        assert_int_equal(open_made(&maker), size >= 16 ? 0 : -EBADMSG);
    }
}

static void test_times_at_the_edge_of_numbers(void **state)
{
    (void)state;
    struct maker maker = good();
    maker.timestamp = UINT64_MAX;
    maker.lifetime_s = UINT32_MAX;
    assert_int_equal(open_made(&maker), -ETIME);
    maker.timestamp = 0;
    assert_int_equal(open_made(&maker), 0); // 136 years of lifetime
    maker.lifetime_s = 0;
    assert_int_equal(open_made(&maker), -ETIME);
}

static void test_a_token_is_for_one_server_and_one_key(void **state)
{
    (void)state;
    struct maker maker = good();
    uint8_t out[512];
    struct turn_token token;
    struct bytes bytes = make(&maker, out);
    assert_int_equal(turn_token_open(&keys[0], "other.example.org", bytes, MADE_S, &token),
                     -EBADMSG);
    assert_int_equal(turn_token_open(&keys[1], SERVER_NAME, bytes, MADE_S, &token), -EBADMSG);
    for (size_t i = 0; i < bytes.size; i++) {
        out[i] ^= 0x10;
        assert_int_equal(open_at(bytes, MADE_S, &token), -EBADMSG);
        out[i] ^= 0x10;
    }
    assert_int_equal(open_at(bytes, MADE_S, &token), 0);
}

/** From here on: tokens in requests. */
struct server {
    struct turn_settings *settings;
    struct turn_nonce_key nonce_key;
    struct net_address source;
    int64_t now_unix_s;
    struct turn_identity identity;
    struct turn_identity session; /**< of the allocation */
    char nonce[TURN_NONCE_MAX + 1];
};

static void server_start(struct server *server, bool with_keys)
{
    struct random random;
    random_seeded_init(&random, 1);
    *server = (struct server){ .now_unix_s = MADE_S };
    struct turn_static_user user = { .username = "kid-9" };
    stun_long_term_key(client_text("kid-9"), client_text(REALM), client_text("static"),
                       user.md5_key);
    struct turn_settings_config config = { .realm = REALM,
                                           .server_name = SERVER_NAME,
                                           .users = &user,
                                           .user_count = 1,
                                           .token_keys = keys,
                                           .token_key_count = with_keys ? 2 : 0 };
    server->settings = turn_settings_new(&config);
    turn_nonce_key_init(&server->nonce_key, &random);
    server->source = net_address_ipv4(198, 51, 100, 1, 40000);
}

/** Writes a challenge and takes the nonce from it. Returns whether tokens are invited. */
static bool server_challenge(struct server *server)
{
    uint8_t out[256];
    struct turn_auth_request request = { .source = &server->source };
    struct stun_writer writer;
    struct stun_message message;
    struct bytes value;
    stun_writer_start(&writer, out, sizeof(out), STUN_ERROR, STUN_ALLOCATE, client_transaction);
    turn_auth_write_challenge(server->settings, &server->nonce_key, &request, &writer);
    size_t size = stun_writer_finish(&writer);
    assert_int_equal(stun_message_parse(bytes_of(out, size), &message), 0);
    assert_true(stun_message_find(&message, STUN_NONCE, &value));
    assert_int_equal(text_copy(server->nonce, sizeof(server->nonce), value), 0);
    return stun_message_find(&message, STUN_THIRD_PARTY_AUTHORIZATION, &value) &&
           text_equal(value, SERVER_NAME);
}

static int server_check(struct server *server, const struct client *client)
{
    struct request request;
    client_request(client, &request);
    struct turn_auth_request check = { .message = &request.message,
                                       .source = &server->source,
                                       .now_unix_s = server->now_unix_s };
    if (server->session.token) {
        check.session_key = bytes_of(server->session.key, server->session.key_size);
        check.session_name = bytes_of(server->session.name, server->session.name_size);
        check.session_ends_unix_s = server->session.expires_unix_s;
    }
    return turn_auth_check(server->settings, &server->nonce_key, &check, &server->identity);
}

/** Somebody with a token whose mac key is the first bytes of `mac_key`. */
static struct client bearer(const struct server *server, struct bytes token, size_t key_size)
{
    return (struct client){ .username = "kid-1",
                            .realm = REALM,
                            .nonce = server->nonce,
                            .token = token,
                            .mac_key = bytes_of(mac_key, key_size),
                            .sha1 = true };
}

static void test_a_token_lets_in_and_its_mac_key_protects(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, true);
    assert_true(server_challenge(&server));
    struct maker maker = good();
    uint8_t out[512];
    struct client client = bearer(&server, make(&maker, out), 20);
    assert_int_equal(server_check(&server, &client), 0);
    assert_true(text_starts_with(bytes_of_text(server.identity.name), "kid-1:"));
    assert_int_equal(server.identity.name_size, strlen("kid-1:") + 12);
    assert_int_equal(server.identity.key_size, 20);
    assert_int_equal(server.identity.expires_unix_s, MADE_S + LIFETIME_S);
    // another's token is of no use without its mac key
    uint8_t other[20] = { 0 };
    client.mac_key = bytes_of(other, sizeof(other));
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    client.mac_key = bytes_of(mac_key, 20);
    client.username = "kid-3";
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    client.username = "kid-1";
    server.now_unix_s += LIFETIME_S + 6;
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    turn_settings_unref(server.settings);
}

static void test_the_shorter_key_of_coturns_clients_is_understood(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, true);
    server_challenge(&server);
    struct maker maker = good();
    uint8_t out[512];
    struct client client = bearer(&server, make(&maker, out), 16);
    assert_int_equal(server_check(&server, &client), 0);
    assert_int_equal(server.identity.key_size, 16); // for answers and for what follows
    client.mac_key = bytes_of(mac_key, 15);
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    client.mac_key = bytes_of(mac_key, 16);
    client.sha256 = true;
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    turn_settings_unref(server.settings);
}

static void test_a_token_with_a_sha256_key(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, true);
    server_challenge(&server);
    uint8_t token[128];
    int size = text_base64_parse(client_text(COTURN_A256GCM), token, sizeof(token));
    struct client client = { .username = "kid-1",
                             .realm = REALM,
                             .nonce = server.nonce,
                             .token = bytes_of(token, (size_t)size),
                             .mac_key = bytes_of(mac_key, 32),
                             .sha256 = true };
    assert_int_equal(server_check(&server, &client), 0);
    assert_int_equal(server.identity.key_size, 32);
    assert_true(server.identity.sha256);
    turn_settings_unref(server.settings);
}

static void test_requests_after_the_first_bring_no_token(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, true);
    server_challenge(&server);
    struct maker maker = good();
    uint8_t out[512];
    struct client client = bearer(&server, make(&maker, out), 20);
    assert_int_equal(server_check(&server, &client), 0);
    assert_true(server.identity.token);
    struct turn_identity first = server.identity;
    // RFC 7635 section 9: CreatePermission and ChannelBind bring none
    client.token = bytes_of(NULL, 0);
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    server.session = first;
    assert_int_equal(server_check(&server, &client), 0);
    assert_true(server.identity.token);
    assert_int_equal(server.identity.key_size, 20);
    assert_int_equal(server.identity.expires_unix_s, MADE_S + LIFETIME_S);
    // neither with another key, nor another name, nor for ever
    client.mac_key = bytes_of(mac_key, 16);
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    client.mac_key = bytes_of(mac_key, 20);
    struct turn_settings *settings = server.settings;
    struct turn_settings_config without = { .realm = REALM };
    server.settings = turn_settings_new(&without); // the key was taken out since
    assert_int_equal(server_check(&server, &client), 0);
    client.username = "kid";
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    turn_settings_unref(server.settings);
    server.settings = settings;
    client.username = "kid-9";
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    client.username = "kid-2"; // the newer one of two keys
    assert_int_equal(server_check(&server, &client), 0);
    client.username = "kid-1";
    server.now_unix_s = MADE_S + LIFETIME_S + 5;
    assert_int_equal(server_check(&server, &client), 0);
    server.now_unix_s++;
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    turn_settings_unref(server.settings);
}

static void test_attack_a_made_up_token_takes_no_static_users_way(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, true);
    server_challenge(&server);
    static const uint8_t zeros[64];
    struct client client = { .username = "kid-1",
                             .realm = REALM,
                             .nonce = server.nonce,
                             .token = bytes_of(zeros, sizeof(zeros)),
                             .mac_key = bytes_of(zeros, 16),
                             .sha1 = true };
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    // nor does it keep a static user out who does not send one
    client = (struct client){ .username = "kid-9",
                              .password = "static",
                              .realm = REALM,
                              .nonce = server.nonce,
                              .sha1 = true };
    assert_int_equal(server_check(&server, &client), 0);
    turn_settings_unref(server.settings);
}

static void test_without_keys_nobody_is_invited_to_bring_a_token(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, false);
    assert_false(server_challenge(&server));
    struct maker maker = good();
    uint8_t out[512];
    struct client client = bearer(&server, make(&maker, out), 20);
    assert_int_equal(server_check(&server, &client), STUN_UNAUTHENTICATED);
    turn_settings_unref(server.settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_tokens_of_coturn_are_understood, set_up),
        cmocka_unit_test_setup(test_a_token_is_valid_from_its_making_to_its_end, set_up),
        cmocka_unit_test_setup(test_a_key_has_its_own_time, set_up),
        cmocka_unit_test_setup(test_attack_cve_2026_43994_a_nonce_as_long_as_one_likes, set_up),
        cmocka_unit_test_setup(test_tokens_cut_anywhere_are_refused, set_up),
        cmocka_unit_test_setup(test_lengths_inside_of_a_genuine_token_are_checked, set_up),
        cmocka_unit_test_setup(test_times_at_the_edge_of_numbers, set_up),
        cmocka_unit_test_setup(test_a_token_is_for_one_server_and_one_key, set_up),
        cmocka_unit_test_setup(test_a_token_lets_in_and_its_mac_key_protects, set_up),
        cmocka_unit_test_setup(test_the_shorter_key_of_coturns_clients_is_understood, set_up),
        cmocka_unit_test_setup(test_a_token_with_a_sha256_key, set_up),
        cmocka_unit_test_setup(test_requests_after_the_first_bring_no_token, set_up),
        cmocka_unit_test_setup(test_attack_a_made_up_token_takes_no_static_users_way, set_up),
        cmocka_unit_test_setup(test_without_keys_nobody_is_invited_to_bring_a_token, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
