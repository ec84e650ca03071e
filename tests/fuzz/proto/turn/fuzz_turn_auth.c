// Credentials under attack. Input: one byte of options, then either a whole message, or attributes
// that get a header, a nonce of ours and a right MESSAGE-INTEGRITY around them, so that everything
// behind the integrity check is reached too.
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "proto/turn/turn_auth.h"
#include "proto/turn/turn_nonce_int.h"

#define REALM      "example.org"
#define SECRET     "north"
#define NOW_US     (5000 * TIME_US_PER_S)
#define NOW_UNIX_S 1700000000

enum option {
    OPTION_SIGNED = 1, /**< attributes, not a message */
    OPTION_SHA256 = 2, /**< of the code */
    OPTION_REST = 4,   /**< the name is "1800000000:gwen" */
    OPTION_IPV6 = 8,
    OPTION_NO_SECRET = 16,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct turn_settings *make_settings(uint8_t options)
{
    struct turn_static_user user = { .username = "gwen" };
    struct turn_token_key key = {
        .kid = "kid-1", .algorithm = TURN_TOKEN_A128GCM, .key = { 1, 2, 3 }, .key_size = 16
    };
    struct bytes secret = bytes_of_text(SECRET);
    stun_long_term_key(bytes_of_text("gwen"), bytes_of_text(REALM), bytes_of_text("pass"),
                       user.md5_key);
    stun_long_term_key_sha256(bytes_of_text("gwen"), bytes_of_text(REALM), bytes_of_text("pass"),
                              user.sha256_key);
    struct turn_settings_config config = { .realm = REALM,
                                           .users = &user,
                                           .user_count = 1,
                                           .secrets = &secret,
                                           .secret_count = options & OPTION_NO_SECRET ? 0 : 1,
                                           .token_keys = &key,
                                           .token_key_count = 1 };
    return turn_settings_new(&config);
}

/** A message with the attributes of the input, and a right code behind. Returns its size or 0. */
static size_t make_signed(uint8_t options, struct bytes attributes,
                          const struct turn_auth_request *request,
                          const struct turn_nonce_key *nonce_key, uint8_t *out, size_t capacity)
{
    static const uint8_t transaction[STUN_TRANSACTION_ID_SIZE] = { 1 };
    const char *name = options & OPTION_REST ? "1800000000:gwen" : "gwen";
    char password[TURN_REST_PASSWORD_SIZE] = "pass", nonce[TURN_NONCE_MAX];
    uint8_t key[HASH_MD5_SIZE];
    struct stun_writer writer;
    if (options & OPTION_REST)
        turn_rest_password(bytes_of_text(SECRET), bytes_of_text(name), password);
    stun_long_term_key(bytes_of_text(name), bytes_of_text(REALM), bytes_of_text(password), key);
    size_t nonce_size =
        turn_nonce_write(nonce_key, bytes_of_text(REALM), TURN_FEATURE_PASSWORD_ALGORITHMS,
                         request->source, request->now_us, nonce);
    stun_writer_start(&writer, out, capacity, STUN_REQUEST, STUN_ALLOCATE, transaction);
    // what the input has comes first, and so counts
    writer_bytes(&writer.out, attributes.data, attributes.size & ~(size_t)3);
    stun_write_bytes(&writer, STUN_USERNAME, bytes_of_text(name));
    stun_write_bytes(&writer, STUN_REALM, bytes_of_text(REALM));
    stun_write_bytes(&writer, STUN_NONCE, bytes_of(nonce, nonce_size));
    if (options & OPTION_SHA256)
        stun_write_integrity_sha256(&writer, bytes_of(key, sizeof(key)));
    else
        stun_write_integrity(&writer, bytes_of(key, sizeof(key)));
    return stun_writer_finish(&writer);
}

static void check_identity(const struct turn_identity *identity)
{
    ensure(identity->key_size >= 16 && identity->key_size <= sizeof(identity->key));
    ensure(identity->name_size <= TURN_USERNAME_MAX);
    ensure(strlen(identity->name) == identity->name_size);
    ensure(identity->quota_skip <= identity->name_size);
    ensure(text_is_utf8(bytes_of(identity->name, identity->name_size)));
    ensure(identity->expires_unix_s == 0 || identity->expires_unix_s >= NOW_UNIX_S - 5);
}

static void check_answer(const struct turn_settings *settings,
                         const struct turn_nonce_key *nonce_key,
                         const struct turn_auth_request *request,
                         const struct turn_identity *identity, int error)
{
    uint8_t out[512];
    struct stun_writer writer;
    struct stun_message answer;
    stun_writer_start(&writer, out, sizeof(out), STUN_ERROR, request->message->method,
                      stun_message_transaction_id(request->message));
    if (error == 0)
        turn_auth_write_integrity(identity, &writer);
    else
        turn_auth_write_challenge(settings, nonce_key, request, &writer);
    size_t size = stun_writer_finish(&writer);
    ensure(size > 0 && stun_message_parse(bytes_of(out, size), &answer) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t options = data[0], made[2048];
    struct bytes input = bytes_of(data + 1, size - 1);
    struct net_address source = net_address_ipv4(198, 51, 100, 7, 40000);
    if (options & OPTION_IPV6)
        source = (struct net_address){ .family = NET_IPV6, .ip = { 0x20, 1 }, .port = 4 };
    struct random random;
    struct turn_nonce_key nonce_key;
    struct stun_message message;
    struct turn_auth_request request = {
        .message = &message, .source = &source, .now_us = NOW_US, .now_unix_s = NOW_UNIX_S
    };
    random_seeded_init(&random, 1);
    turn_nonce_key_init(&nonce_key, &random);
    if (options & OPTION_SIGNED)
        input =
            bytes_of(made, make_signed(options, input, &request, &nonce_key, made, sizeof(made)));
    if (stun_message_parse(input, &message) != 0)
        return 0;
    struct turn_settings *settings = make_settings(options);
    struct turn_identity identity;
    int error = turn_auth_check(settings, &nonce_key, &request, &identity);
    ensure(error == 0 || error == STUN_BAD_REQUEST || error == STUN_UNAUTHENTICATED ||
           error == STUN_STALE_NONCE);
    // nobody guesses a code or a nonce
    ensure(error != 0 || options & OPTION_SIGNED);
    if (error == 0)
        check_identity(&identity);
    check_answer(settings, &nonce_key, &request, &identity, error);
    turn_settings_unref(settings);
    return 0;
}
