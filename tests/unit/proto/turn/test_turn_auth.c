#include "credential.h"

#include <stdio.h>

#include "../stun/rfc5769.h"
#include "base/random.h"
#include "base/text.h"
#include "base/time.h"
#include "proto/turn/turn_nonce_int.h"

#define NOW_US      (5000 * TIME_US_PER_S)
#define NOW_UNIX_S  1800000000
#define REALM       "example.org"
#define SECRET      "an old secret"
#define SECRET_NEW  "a new secret"
#define STATIC_NAME "gwen"
#define STATIC_PASS "pass:word"
#define FRESH       "1800000600"
#define MATRIX_NAME                                                                                \
    "\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9" // in katakana

/** A server, and the address that its client comes from. */
static struct server {
    struct turn_settings *settings;
    struct turn_nonce_key nonce_key;
    struct net_address source;
    uint64_t now_us;
    int64_t now_unix_s;
    struct turn_identity identity; /**< of the last request */
} server;

static struct turn_static_user static_user(const char *name, const char *password)
{
    struct turn_static_user user = { .username = name };
    stun_long_term_key(client_text(name), client_text(REALM), client_text(password), user.md5_key);
    stun_long_term_key_sha256(client_text(name), client_text(REALM), client_text(password),
                              user.sha256_key);
    return user;
}

static void use_settings(const struct turn_settings_config *config)
{
    turn_settings_unref(server.settings);
    server.settings = turn_settings_new(config);
}

static int set_up(void **state)
{
    (void)state;
    struct random random;
    random_seeded_init(&random, 1);
    server = (struct server){ .now_us = NOW_US, .now_unix_s = NOW_UNIX_S };
    turn_nonce_key_init(&server.nonce_key, &random);
    server.source = net_address_ipv4(198, 51, 100, 1, 40000);
    const struct bytes secrets[] = { client_text(SECRET), client_text(SECRET_NEW) };
    const struct turn_static_user users[] = { static_user(STATIC_NAME, STATIC_PASS),
                                              static_user("1800000001:ann", "static"),
                                              static_user(MATRIX_NAME, "TheMatrIX"),
                                              static_user("a b", "space") };
    struct turn_settings_config config = { .realm = REALM,
                                           .secrets = secrets,
                                           .secret_count = array_size(secrets),
                                           .users = users,
                                           .user_count = array_size(users) };
    use_settings(&config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server.settings = turn_settings_unref(server.settings);
    return 0;
}

static int check_message(const struct stun_message *message)
{
    struct turn_auth_request request = { .message = message,
                                         .source = &server.source,
                                         .now_us = server.now_us,
                                         .now_unix_s = server.now_unix_s };
    return turn_auth_check(server.settings, &server.nonce_key, &request, &server.identity);
}

static int check(const struct client *client)
{
    struct request request;
    client_request(client, &request);
    return check_message(&request.message);
}

/** A 401 or 438 as the server writes it. */
static void challenge(struct request *answer)
{
    struct stun_writer writer;
    struct turn_auth_request request = { .source = &server.source, .now_us = server.now_us };
    stun_writer_start(&writer, answer->data, sizeof(answer->data), STUN_ERROR, STUN_ALLOCATE,
                      client_transaction);
    stun_write_error(&writer, STUN_UNAUTHENTICATED);
    turn_auth_write_challenge(server.settings, &server.nonce_key, &request, &writer);
    size_t size = stun_writer_finish(&writer);
    assert_true(size > 0);
    assert_int_equal(stun_message_parse(bytes_of(answer->data, size), &answer->message), 0);
}

/** The nonce of a challenge; valid until the next call. */
static const char *nonce(void)
{
    static char text[TURN_NONCE_MAX + 1];
    struct request answer;
    struct bytes value;
    challenge(&answer);
    assert_true(stun_message_find(&answer.message, STUN_NONCE, &value));
    assert_int_equal(text_copy(text, sizeof(text), value), 0);
    return text;
}

static struct client gwen(void)
{
    return (struct client){ .username = STATIC_NAME,
                            .password = STATIC_PASS,
                            .realm = REALM,
                            .nonce = nonce(),
                            .sha1 = true };
}

/** A client with a time-limited credential of `secret`. */
static struct client limited(const char *username, const char *secret, char *password)
{
    turn_rest_password(client_text(secret), client_text(username), password);
    struct client client = gwen();
    client.username = username;
    client.password = password;
    return client;
}

static void test_a_request_without_integrity_is_challenged(void **state)
{
    (void)state;
    struct client client = gwen();
    client.sha1 = false;
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
    struct client bare = { 0 };
    assert_int_equal(check(&bare), STUN_UNAUTHENTICATED);
}

static void test_a_client_of_rfc5389_is_let_in(void **state)
{
    (void)state;
    // Chromium, Firefox and coturn's tools: no algorithms, MD5, MESSAGE-INTEGRITY
    struct client client = gwen();
    assert_int_equal(check(&client), 0);
    assert_text_equal(server.identity.name, STATIC_NAME);
    assert_int_equal(server.identity.name_size, strlen(STATIC_NAME));
    assert_int_equal(server.identity.quota_skip, 0);
    assert_int_equal(server.identity.key_size, 16);
    assert_int_equal(server.identity.expires_unix_s, 0);
    assert_false(server.identity.sha256);
    assert_false(server.identity.none);
}

static void test_missing_attributes_are_bad_requests(void **state)
{
    (void)state;
    struct client client = gwen();
    client.username = NULL;
    client.key_name = STATIC_NAME;
    assert_int_equal(check(&client), STUN_BAD_REQUEST);
    client = gwen();
    client.realm = NULL;
    assert_int_equal(check(&client), STUN_BAD_REQUEST);
    client = gwen();
    client.nonce = NULL;
    assert_int_equal(check(&client), STUN_BAD_REQUEST);
}

static void test_an_overlong_username_is_a_bad_request(void **state)
{
    (void)state;
    char name[TURN_USERNAME_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[TURN_USERNAME_MAX + 1] = '\0';
    struct client client = gwen();
    client.username = name;
    assert_int_equal(check(&client), STUN_BAD_REQUEST);
    name[TURN_USERNAME_MAX] = '\0';
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
}

static void test_a_userhash_of_wrong_size_is_a_bad_request(void **state)
{
    (void)state;
    struct request request;
    struct stun_writer writer;
    stun_writer_start(&writer, request.data, sizeof(request.data), STUN_REQUEST, STUN_ALLOCATE,
                      client_transaction);
    stun_write_bytes(&writer, STUN_USERHASH, bytes_of("only these", 10));
    stun_write_bytes(&writer, STUN_REALM, client_text(REALM));
    stun_write_bytes(&writer, STUN_NONCE, client_text(nonce()));
    stun_write_integrity(&writer, client_text("key"));
    size_t size = stun_writer_finish(&writer);
    assert_int_equal(stun_message_parse(bytes_of(request.data, size), &request.message), 0);
    assert_int_equal(check_message(&request.message), STUN_BAD_REQUEST);
}

static void test_unknown_user_wrong_password_and_wrong_realm_look_the_same(void **state)
{
    (void)state;
    struct client client = gwen();
    client.username = "nobody";
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
    client = gwen();
    client.password = "guess";
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
    client = gwen();
    client.realm = "other.example";
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
    client = gwen();
    client.username = "";
    client.key_name = STATIC_NAME;
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
}

static void test_attack_a_realm_of_the_clients_choice(void **state)
{
    (void)state;
    // right in itself: the password is good, and the key was made for that realm
    char password[TURN_REST_PASSWORD_SIZE];
    struct client client = limited(FRESH ":bob", SECRET, password);
    client.realm = "other.example";
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
    // our key under another name of the realm
    uint8_t key[HASH_MD5_SIZE];
    stun_long_term_key(client_text(STATIC_NAME), client_text(REALM), client_text(STATIC_PASS), key);
    client = gwen();
    client.realm = "other.example";
    client.mac_key = bytes_of(key, sizeof(key));
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
}

static void test_no_key_leaks_out_of_a_failed_check(void **state)
{
    (void)state;
    static const uint8_t zeros[sizeof(server.identity.key)];
    struct client client = gwen();
    client.password = "guess";
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
    assert_memory_equal(server.identity.key, zeros, sizeof(zeros));
}

static void test_attack_key_of_zeros_for_an_unknown_user(void **state)
{
    (void)state;
    // what stands in for the key of unknown users must not let anyone in
    static const uint8_t zeros[32];
    struct client client = gwen();
    client.username = "nobody";
    client.mac_key = bytes_of(zeros, 16);
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
    client.mac_key = bytes_of(zeros, 32);
    client.algorithm = SHA256;
    client.offered = bytes_of(client_algorithms, 8);
    client.sha1 = false;
    client.sha256 = true;
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
}

static void test_every_combination_of_algorithm_and_code_is_understood(void **state)
{
    (void)state;
    for (int algorithm = NO_ALGORITHM; algorithm <= SHA256; algorithm++) {
        for (int codes = 1; codes <= 3; codes++) {
            struct client client = gwen();
            client.algorithm = algorithm;
            if (algorithm != NO_ALGORITHM)
                client.offered = bytes_of(client_algorithms, sizeof(client_algorithms));
            client.sha1 = codes & 1;
            client.sha256 = codes & 2;
            assert_int_equal(check(&client), 0);
            assert_int_equal(server.identity.sha256, client.sha256);
            assert_int_equal(server.identity.key_size, algorithm == SHA256 ? 32 : 16);
            client.password = "guess";
            assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
        }
    }
}

static void test_of_two_codes_the_better_one_decides(void **state)
{
    (void)state;
    struct client client = gwen();
    client.sha1 = client.sha256 = true;
    struct request request;
    client_request(&client, &request);
    request.data[request.message.sha256 + 4] ^= 1;
    assert_int_equal(check_message(&request.message), STUN_UNAUTHENTICATED);
}

static void test_a_truncated_sha256_code_is_verified_in_what_there_is(void **state)
{
    (void)state;
    struct client client = gwen();
    client.sha1 = false;
    struct request request;
    client_request(&client, &request);
    size_t size = request.message.bytes.size;
    // RFC 8489 section 14.6: 16 bytes at least; the code covers the length it makes itself
    uint8_t key[32], code[HMAC_SHA256_SIZE];
    store_u16(request.data + 2, (uint16_t)(size + 20 - STUN_HEADER_SIZE));
    hmac_sha256(client_key(&client, key), bytes_of(request.data, size), code);
    store_u16(request.data + size, STUN_MESSAGE_INTEGRITY_SHA256);
    store_u16(request.data + size + 2, 16);
    memcpy(request.data + size + 4, code, 16);
    assert_int_equal(stun_message_parse(bytes_of(request.data, size + 20), &request.message), 0);
    assert_int_equal(check_message(&request.message), 0);
    request.data[size + 4 + 15] ^= 1;
    assert_int_equal(check_message(&request.message), STUN_UNAUTHENTICATED);
}

static void test_attack_bidding_down_the_password_algorithms(void **state)
{
    (void)state;
    // section 9.2.4: an attacker took SHA-256 out of the list that the client repeats
    static const uint8_t only_md5[4] = { 0, 1, 0, 0 };
    static const uint8_t reversed[8] = { 0, 1, 0, 0, 0, 2, 0, 0 };
    struct client client = gwen();
    client.algorithm = MD5;
    client.offered = bytes_of(only_md5, sizeof(only_md5));
    assert_int_equal(check(&client), STUN_BAD_REQUEST);
    client.offered = bytes_of(reversed, sizeof(reversed));
    assert_int_equal(check(&client), STUN_BAD_REQUEST);
    // the algorithm without the list, the list without the algorithm
    client.offered = bytes_of(NULL, 0);
    assert_int_equal(check(&client), STUN_BAD_REQUEST);
    client.algorithm = NO_ALGORITHM;
    client.offered = bytes_of(client_algorithms, sizeof(client_algorithms));
    assert_int_equal(check(&client), STUN_BAD_REQUEST);
    // an algorithm that was never offered
    client.algorithm = 3;
    assert_int_equal(check(&client), STUN_BAD_REQUEST);
}

static void test_attack_taking_the_feature_bits_out_of_the_nonce(void **state)
{
    (void)state;
    // with the bits gone the client falls back to MD5: the nonce is no longer ours
    char altered[TURN_NONCE_MAX + 1];
    strcpy(altered, nonce());
    memcpy(altered + 9, "AAAA", 4);
    struct client client = gwen();
    client.nonce = altered;
    assert_int_equal(check(&client), STUN_STALE_NONCE);
    strcpy(altered, nonce());
    client.nonce = altered + 13; // the whole cookie
    assert_int_equal(check(&client), STUN_STALE_NONCE);
}

static void test_a_nonce_ages(void **state)
{
    (void)state;
    struct client client = gwen();
    char mine[TURN_NONCE_MAX + 1];
    strcpy(mine, client.nonce);
    client.nonce = mine;
    server.now_us += 3600 * TIME_US_PER_S;
    assert_int_equal(check(&client), 0);
    server.now_us += TIME_US_PER_S;
    assert_int_equal(check(&client), STUN_STALE_NONCE);
    // RFC 8489 section 9.2.4: a wrong password is told first
    client.password = "guess";
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
    client = gwen();
    assert_int_equal(check(&client), 0);
}

static void test_a_nonce_is_bound_to_the_ip_address(void **state)
{
    (void)state;
    char mine[TURN_NONCE_MAX + 1];
    strcpy(mine, nonce());
    struct client client = gwen();
    client.nonce = mine;
    server.source.port = 40001; // a NAT that rebinds, a data connection of RFC 6062
    assert_int_equal(check(&client), 0);
    server.source = net_address_ipv4(198, 51, 100, 2, 40000);
    assert_int_equal(check(&client), STUN_STALE_NONCE);
    // the same client on a socket for both families is the same client
    assert_int_equal(net_address_parse_ip("::ffff:198.51.100.1", 40000, &server.source), 0);
    assert_int_equal(check(&client), 0);
}

static void test_nonces_of_two_ports_and_of_two_addresses_differ(void **state)
{
    (void)state;
    char first[TURN_NONCE_MAX + 1];
    strcpy(first, nonce());
    assert_text_equal(first, nonce());
    server.source.port++;
    assert_string_not_equal(first, nonce());
    server.source.port--;
    server.source.ip[3]++;
    assert_string_not_equal(first, nonce());
}

static void test_a_nonce_of_another_server_or_realm_is_stale(void **state)
{
    (void)state;
    struct client client = gwen();
    struct random random;
    random_seeded_init(&random, 2);
    struct turn_nonce_key other;
    turn_nonce_key_init(&other, &random);
    char theirs[TURN_NONCE_MAX + 1];
    size_t size = turn_nonce_write(&other, client_text(REALM), TURN_FEATURE_PASSWORD_ALGORITHMS,
                                   &server.source, server.now_us, theirs);
    theirs[size] = '\0';
    client.nonce = theirs;
    assert_int_equal(check(&client), STUN_STALE_NONCE);
    size =
        turn_nonce_write(&server.nonce_key, client_text("example.net"),
                         TURN_FEATURE_PASSWORD_ALGORITHMS, &server.source, server.now_us, theirs);
    theirs[size] = '\0';
    assert_int_equal(check(&client), STUN_STALE_NONCE);
    client.nonce = "";
    assert_int_equal(check(&client), STUN_STALE_NONCE);
    client.nonce = "f//499k954d6OL34oL9FSTvy64sA";
    assert_int_equal(check(&client), STUN_STALE_NONCE);
}

static void test_no_byte_of_a_nonce_can_be_changed(void **state)
{
    (void)state;
    char mine[TURN_NONCE_MAX + 1];
    strcpy(mine, nonce());
    size_t size = strlen(mine);
    for (size_t i = 0; i < size; i++) {
        char altered[TURN_NONCE_MAX + 1];
        strcpy(altered, mine);
        // another letter of the alphabet; the last one has 4 bits that do not count
        altered[i] = mine[i] == 'Q' ? 'g' : 'Q';
        assert_false(turn_nonce_check(&server.nonce_key, client_text(REALM),
                                      bytes_of(altered, size), &server.source, server.now_us,
                                      3600));
    }
    assert_true(turn_nonce_check(&server.nonce_key, client_text(REALM), bytes_of(mine, size),
                                 &server.source, server.now_us, 3600));
}

static void test_the_challenge_is_small_and_complete(void **state)
{
    (void)state;
    struct request answer;
    struct bytes value;
    challenge(&answer);
    // 20 header, 24 error, 16 realm, 36 nonce, 12 algorithms
    assert_int_equal(answer.message.bytes.size, 108);
    assert_true(stun_message_find(&answer.message, STUN_REALM, &value));
    assert_true(text_equal(value, REALM));
    assert_true(stun_message_find(&answer.message, STUN_PASSWORD_ALGORITHMS, &value));
    assert_true(bytes_equal(value, bytes_of(client_algorithms, sizeof(client_algorithms))));
    assert_false(stun_message_find(&answer.message, STUN_THIRD_PARTY_AUTHORIZATION, &value));
    assert_false(stun_message_find(&answer.message, STUN_SOFTWARE, &value));
    assert_int_equal(answer.message.integrity, 0);
    assert_true(stun_message_find(&answer.message, STUN_NONCE, &value));
    assert_true(text_starts_with(value, "obMatJos2gAAA"));
    assert_true(value.size < 128); // RFC 8489 section 14.10
    assert_int_equal(turn_nonce_features(value), TURN_FEATURE_PASSWORD_ALGORITHMS);
}

static void test_names_are_hidden_where_all_names_are_known(void **state)
{
    (void)state;
    const struct turn_static_user user = static_user(STATIC_NAME, STATIC_PASS);
    struct turn_settings_config config = { .realm = REALM, .users = &user, .user_count = 1 };
    use_settings(&config);
    assert_int_equal(turn_nonce_features(client_text(nonce())),
                     TURN_FEATURE_PASSWORD_ALGORITHMS | TURN_FEATURE_USERNAME_ANONYMITY);
    assert_true(text_starts_with(client_text(nonce()), "obMatJos2wAAA"));
}

static void test_a_userhash_finds_its_user(void **state)
{
    (void)state;
    struct client client = gwen();
    client.username = NULL;
    client.userhash_of = STATIC_NAME;
    client.algorithm = SHA256;
    client.offered = bytes_of(client_algorithms, sizeof(client_algorithms));
    client.sha1 = false;
    client.sha256 = true;
    assert_int_equal(check(&client), 0);
    assert_text_equal(server.identity.name, STATIC_NAME);
    client.userhash_of = "nobody";
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
}

static void check_vector(const uint8_t *data, size_t size, int expected)
{
    struct stun_message message;
    assert_int_equal(stun_message_parse(bytes_of(data, size), &message), 0);
    assert_int_equal(check_message(&message), expected);
}

static void test_vectors_of_the_rfcs_have_the_right_password_and_not_our_nonce(void **state)
{
    (void)state;
    // RFC 5769 section 2.4; RFC 8489 appendix B.1 with USERHASH and SHA-256
    check_vector(vector_request_long_term, sizeof(vector_request_long_term), STUN_STALE_NONCE);
    check_vector(vector_request_sha256, sizeof(vector_request_sha256), STUN_STALE_NONCE);
    uint8_t altered[sizeof(vector_request_long_term)];
    memcpy(altered, vector_request_long_term, sizeof(altered));
    altered[sizeof(altered) - 1] ^= 1;
    check_vector(altered, sizeof(altered), STUN_UNAUTHENTICATED);
}

static void test_time_limited_credentials_of_every_secret_are_good(void **state)
{
    (void)state;
    const char *const secrets[] = { SECRET, SECRET_NEW };
    for (size_t i = 0; i < array_size(secrets); i++) {
        char password[TURN_REST_PASSWORD_SIZE];
        struct client client = limited(FRESH ":bob", secrets[i], password);
        assert_int_equal(check(&client), 0);
        assert_text_equal(server.identity.name, FRESH ":bob");
        assert_text_equal(server.identity.name + server.identity.quota_skip, "bob");
        assert_int_equal(server.identity.expires_unix_s, 1800000600);
        client.algorithm = SHA256;
        client.offered = bytes_of(client_algorithms, sizeof(client_algorithms));
        client.sha256 = true;
        assert_int_equal(check(&client), 0);
        assert_int_equal(server.identity.key_size, 32);
    }
    char password[TURN_REST_PASSWORD_SIZE];
    struct client client = limited(FRESH ":bob", "a withdrawn secret", password);
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
}

static void test_time_limited_credentials_end(void **state)
{
    (void)state;
    char password[TURN_REST_PASSWORD_SIZE];
    struct client client = limited(FRESH ":bob", SECRET, password);
    server.now_unix_s = 1800000600;
    assert_int_equal(check(&client), 0);
    server.now_unix_s = 1800000601;
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
}

static const char *reason_of(const struct client *client)
{
    struct request request;
    client_request(client, &request);
    struct turn_auth_request auth = { .message = &request.message,
                                      .now_unix_s = server.now_unix_s };
    return turn_auth_reason(server.settings, &auth);
}

static void test_the_operator_is_told_why_credentials_are_refused(void **state)
{
    (void)state;
    char password[TURN_REST_PASSWORD_SIZE];
    struct client client = limited(FRESH ":bob", SECRET, password);
    server.now_unix_s = 1800000601;
    assert_text_equal(reason_of(&client), "the credential has expired");
    server.now_unix_s = NOW_UNIX_S;
    client = limited(FRESH ":bob", "another secret", password);
    assert_text_equal(reason_of(&client), "the password was not made with one of turn.secrets");
    client = gwen();
    client.password = "guess";
    assert_text_equal(reason_of(&client), "the password is wrong");
    client.username = "nobody";
    assert_non_null(strstr(reason_of(&client), "no such user"));
    client = gwen();
    client.realm = "other.example";
    assert_text_equal(reason_of(&client), "the client's realm is not turn.realm");
    client = gwen();
    client.sha1 = false;
    assert_null(reason_of(&client));
}

static void test_attack_a_later_expiry_on_an_old_password(void **state)
{
    (void)state;
    char password[TURN_REST_PASSWORD_SIZE];
    struct client client = limited("1700000000:bob", SECRET, password);
    client.username = "1900000000:bob";
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
    client.username = FRESH ":alice";
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
}

static void test_the_other_orders_of_a_time_limited_name(void **state)
{
    (void)state;
    char password[TURN_REST_PASSWORD_SIZE];
    struct client client = limited("bob:" FRESH, SECRET, password);
    assert_int_equal(check(&client), 0);
    // all names of one user end alike: quotas count what follows the expiry
    assert_text_equal(server.identity.name, FRESH ":bob");
    assert_text_equal(server.identity.name + server.identity.quota_skip, "bob");
    assert_int_equal(server.identity.name_size, strlen(FRESH ":bob"));
    client = limited(FRESH, SECRET, password);
    assert_int_equal(check(&client), 0);
    assert_text_equal(server.identity.name, FRESH);
    assert_int_equal(server.identity.quota_skip, 0);
    client = limited(FRESH ":", SECRET, password);
    assert_int_equal(check(&client), 0);
    assert_int_equal(server.identity.quota_skip, 0);
    client = limited(FRESH ":with:colons", SECRET, password);
    assert_int_equal(check(&client), 0);
    assert_text_equal(server.identity.name + server.identity.quota_skip, "with:colons");
    client = limited("with:colons:" FRESH, SECRET, password);
    assert_int_equal(check(&client), 0);
    assert_text_equal(server.identity.name, FRESH ":with:colons");
}

static void test_names_that_are_no_time_are_unknown(void **state)
{
    (void)state;
    const char *const names[] = { "bob",    ":",       "-1:bob",      "+1800000600:bob",
                                  "bob:",   "0x7:bob", " 1800000600", "99999999999999999999:bob",
                                  "1e9:bob" };
    for (size_t i = 0; i < array_size(names); i++) {
        char password[TURN_REST_PASSWORD_SIZE];
        struct client client = limited(names[i], SECRET, password);
        assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
    }
}

static void test_a_static_user_of_that_very_name_wins(void **state)
{
    (void)state;
    struct client client = gwen();
    client.username = "1800000001:ann";
    client.password = "static";
    server.now_unix_s = 1900000000; // its name is a name, not a time
    assert_int_equal(check(&client), 0);
    assert_int_equal(server.identity.expires_unix_s, 0);
    server.now_unix_s = NOW_UNIX_S;
    char password[TURN_REST_PASSWORD_SIZE];
    client = limited("1800000001:ann", SECRET, password);
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
}

static void test_without_a_secret_no_time_limited_credential_is_good(void **state)
{
    (void)state;
    struct turn_settings_config config = { .realm = REALM };
    use_settings(&config);
    char password[TURN_REST_PASSWORD_SIZE];
    struct client client = limited(FRESH ":bob", "", password);
    assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
}

static void test_the_rest_password_is_what_everyone_computes(void **state)
{
    (void)state;
    // printf %s 1433895918:alice | openssl dgst -binary -sha1 -hmac north | base64
    char password[TURN_REST_PASSWORD_SIZE];
    turn_rest_password(client_text("north"), client_text("1433895918:alice"), password);
    assert_text_equal(password, "RqMvcGPYTJMGThVLSi4amT4zFtI=");
}

static void test_usernames_are_prepared_as_opaque_strings(void **state)
{
    (void)state;
    struct client client = gwen();
    client.username = "a\xc2\xa0"
                      "b"; // a no-break space is a space
    client.key_name = "a b";
    client.password = "space";
    assert_int_equal(check(&client), 0);
    assert_text_equal(server.identity.name, "a b");
    const char *const broken[] = {
        "a\nb", "a\x7f", "\xc2\x85", "\xff", "\xed\xa0\x80", "\xc0\x80"
    };
    for (size_t i = 0; i < array_size(broken); i++) {
        // not even with the right password: such a name must not come into the log
        char password[TURN_REST_PASSWORD_SIZE], name[64];
        snprintf(name, sizeof(name), FRESH ":%s", broken[i]);
        client = limited(name, SECRET, password);
        assert_int_equal(check(&client), STUN_UNAUTHENTICATED);
    }
    char password[TURN_REST_PASSWORD_SIZE];
    client = limited(FRESH ":" MATRIX_NAME, SECRET, password);
    assert_int_equal(check(&client), 0);
}

static void test_an_open_server_asks_nobody(void **state)
{
    (void)state;
    struct turn_settings_config config = { .realm = REALM, .no_auth = true };
    use_settings(&config);
    struct client client = { 0 };
    assert_int_equal(check(&client), 0);
    assert_true(server.identity.none);
    assert_int_equal(server.identity.name_size, 0);
    uint8_t out[64];
    struct stun_writer writer;
    stun_writer_start(&writer, out, sizeof(out), STUN_SUCCESS, STUN_ALLOCATE, client_transaction);
    turn_auth_write_integrity(&server.identity, &writer);
    assert_int_equal(stun_writer_finish(&writer), STUN_HEADER_SIZE);
}

static void check_answer(bool sha256, int algorithm)
{
    struct client client = gwen();
    client.sha1 = !sha256;
    client.sha256 = sha256;
    client.algorithm = algorithm;
    if (algorithm != NO_ALGORITHM)
        client.offered = bytes_of(client_algorithms, sizeof(client_algorithms));
    assert_int_equal(check(&client), 0);
    uint8_t out[128], key[32];
    struct stun_writer writer;
    struct stun_message message;
    stun_writer_start(&writer, out, sizeof(out), STUN_SUCCESS, STUN_ALLOCATE, client_transaction);
    turn_auth_write_integrity(&server.identity, &writer);
    size_t size = stun_writer_finish(&writer);
    assert_int_equal(stun_message_parse(bytes_of(out, size), &message), 0);
    struct bytes secret = client_key(&client, key);
    if (sha256) {
        assert_int_equal(message.integrity, 0);
        assert_int_equal(stun_message_check_integrity_sha256(&message, secret), 0);
    } else {
        assert_int_equal(message.sha256, 0);
        assert_int_equal(stun_message_check_integrity(&message, secret), 0);
    }
}

static void test_answers_are_protected_as_the_request_was(void **state)
{
    (void)state;
    check_answer(false, NO_ALGORITHM);
    check_answer(true, NO_ALGORITHM);
    check_answer(false, SHA256);
    check_answer(true, SHA256);
}

static void test_an_attribute_behind_the_code_changes_nothing(void **state)
{
    (void)state;
    // attack: append PASSWORD-ALGORITHM to someone's request; section 14.5 leaves it out
    struct client client = gwen();
    struct request request;
    client_request(&client, &request);
    size_t size = request.message.bytes.size;
    store_u16(request.data + size, STUN_PASSWORD_ALGORITHM);
    store_u16(request.data + size + 2, 4);
    store_u32(request.data + size + 4, 2u << 16);
    store_u16(request.data + 2, (uint16_t)(size + 8 - STUN_HEADER_SIZE));
    assert_int_equal(stun_message_parse(bytes_of(request.data, size + 8), &request.message), 0);
    assert_int_equal(check_message(&request.message), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_request_without_integrity_is_challenged),
        TEST(test_a_client_of_rfc5389_is_let_in),
        TEST(test_missing_attributes_are_bad_requests),
        TEST(test_an_overlong_username_is_a_bad_request),
        TEST(test_a_userhash_of_wrong_size_is_a_bad_request),
        TEST(test_unknown_user_wrong_password_and_wrong_realm_look_the_same),
        TEST(test_attack_a_realm_of_the_clients_choice),
        TEST(test_no_key_leaks_out_of_a_failed_check),
        TEST(test_attack_key_of_zeros_for_an_unknown_user),
        TEST(test_every_combination_of_algorithm_and_code_is_understood),
        TEST(test_of_two_codes_the_better_one_decides),
        TEST(test_a_truncated_sha256_code_is_verified_in_what_there_is),
        TEST(test_attack_bidding_down_the_password_algorithms),
        TEST(test_attack_taking_the_feature_bits_out_of_the_nonce),
        TEST(test_a_nonce_ages),
        TEST(test_a_nonce_is_bound_to_the_ip_address),
        TEST(test_nonces_of_two_ports_and_of_two_addresses_differ),
        TEST(test_a_nonce_of_another_server_or_realm_is_stale),
        TEST(test_no_byte_of_a_nonce_can_be_changed),
        TEST(test_the_challenge_is_small_and_complete),
        TEST(test_names_are_hidden_where_all_names_are_known),
        TEST(test_a_userhash_finds_its_user),
        TEST(test_vectors_of_the_rfcs_have_the_right_password_and_not_our_nonce),
        TEST(test_time_limited_credentials_of_every_secret_are_good),
        TEST(test_time_limited_credentials_end),
        TEST(test_the_operator_is_told_why_credentials_are_refused),
        TEST(test_attack_a_later_expiry_on_an_old_password),
        TEST(test_the_other_orders_of_a_time_limited_name),
        TEST(test_names_that_are_no_time_are_unknown),
        TEST(test_a_static_user_of_that_very_name_wins),
        TEST(test_without_a_secret_no_time_limited_credential_is_good),
        TEST(test_the_rest_password_is_what_everyone_computes),
        TEST(test_usernames_are_prepared_as_opaque_strings),
        TEST(test_an_open_server_asks_nobody),
        TEST(test_answers_are_protected_as_the_request_was),
        TEST(test_an_attribute_behind_the_code_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
