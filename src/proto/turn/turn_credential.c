#include "proto/turn/turn_credential_int.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/opaque_string.h"
#include "base/text.h"
#include "proto/turn/turn_settings_int.h"
#include "proto/turn/turn_token_int.h"

/** Bytes of a token's digest in the name of its holder. */
#define TURN_TOKEN_NAME_DIGEST 6

/** One claim under examination. */
struct examination {
    const struct turn_settings *settings;
    const struct turn_auth_request *request;
    const struct turn_claim *claim;
    struct turn_identity *identity;
    char name[TURN_USERNAME_MAX + 1]; /**< the username as OpaqueString */
    size_t name_size;
};

static void set_key(struct turn_identity *identity, const uint8_t *key, size_t size)
{
    memcpy(identity->key, key, size);
    identity->key_size = (uint8_t)size;
}

/** Whether the message was protected with the identity's key. */
static bool is_protected(const struct examination *examination)
{
    const struct turn_identity *identity = examination->identity;
    struct bytes key = bytes_of(identity->key, identity->key_size);
    // a client that sends both codes is judged by the better one (RFC 8489 section 9.2.4)
    return identity->sha256
               ? stun_message_check_integrity_sha256(examination->request->message, key) == 0
               : stun_message_check_integrity(examination->request->message, key) == 0;
}

/** Does the work of a check that cannot succeed. Returns false. */
static bool fail_slowly(const struct examination *examination)
{
    static const uint8_t no_key[HASH_SHA256_SIZE];
    bool sha256 = examination->claim->algorithm == TURN_PASSWORD_SHA256;
    set_key(examination->identity, no_key, sha256 ? HASH_SHA256_SIZE : HASH_MD5_SIZE);
    (void)is_protected(examination);
    return false;
}

static void set_name(struct turn_identity *identity, struct bytes name)
{
    identity->name_size = (uint16_t)name.size;
    memcpy(identity->name, name.data, name.size);
    identity->name[name.size] = '\0';
}

static bool verify_static(const struct examination *examination,
                          const struct turn_static_user *user)
{
    set_name(examination->identity, bytes_of_text(user->username));
    if (examination->claim->algorithm == TURN_PASSWORD_SHA256)
        set_key(examination->identity, user->sha256_key, sizeof(user->sha256_key));
    else
        set_key(examination->identity, user->md5_key, sizeof(user->md5_key));
    return is_protected(examination);
}

/**
 * "expiry:user", "user:expiry" or "expiry". `ret_user` is empty in the last case. Returns 0 or
 * -EINVAL.
 */
static int split_rest_name(struct bytes name, int64_t *ret_expiry, struct bytes *ret_user)
{
    uint64_t expiry;
    struct bytes user = name;
    struct bytes head = text_take_until(&user, ':');
    if (text_parse_u64(head, INT64_MAX, &expiry) != 0) {
        const uint8_t *colon = name.size > 0 ? memrchr(name.data, ':', name.size) : NULL;
        if (!colon)
            return -EINVAL;
        user = bytes_of(name.data, (size_t)(colon - name.data));
        struct bytes tail = bytes_of(colon + 1, name.size - user.size - 1);
        if (text_parse_u64(tail, INT64_MAX, &expiry) != 0)
            return -EINVAL;
    }
    *ret_expiry = (int64_t)expiry;
    *ret_user = user;
    return 0;
}

/** The name of all credentials of one user begins the same way: with the expiry. */
static void set_rest_name(struct turn_identity *identity, int64_t expiry, struct bytes user)
{
    struct text_builder name = text_builder_of(identity->name, sizeof(identity->name));
    text_append_format(&name, "%lld", (long long)expiry);
    if (user.size > 0) {
        text_append(&name, ":");
        identity->quota_skip = (uint16_t)name.length;
        text_append_bytes(&name, user);
    }
    identity->name_size = (uint16_t)name.length;
}

/** Whether the message was protected with a password made of one of our secrets. */
static bool is_protected_by_secret(const struct examination *examination)
{
    const struct turn_claim *claim = examination->claim;
    struct turn_identity *identity = examination->identity;
    size_t count;
    const struct hmac_key *keys = turn_settings_rest_keys(examination->settings, &count);
    bool genuine = false;
    for (size_t i = 0; i < count && !genuine; i++) {
        char text[TURN_REST_PASSWORD_SIZE];
        turn_rest_password_key(&keys[i], claim->username, text);
        struct bytes password = bytes_of(text, sizeof(text) - 1);
        if (claim->algorithm == TURN_PASSWORD_SHA256) {
            stun_long_term_key_sha256(claim->username, claim->realm, password, identity->key);
            identity->key_size = HASH_SHA256_SIZE;
        } else {
            stun_long_term_key(claim->username, claim->realm, password, identity->key);
            identity->key_size = HASH_MD5_SIZE;
        }
        memory_wipe(text, sizeof(text));
        genuine = is_protected(examination);
    }
    return genuine;
}

static bool verify_rest(const struct examination *examination)
{
    int64_t expiry;
    struct bytes user;
    if (turn_settings_get(examination->settings)->secret_count == 0 ||
        split_rest_name(examination->claim->username, &expiry, &user) != 0 ||
        expiry < examination->request->now_unix_s)
        return fail_slowly(examination);
    examination->identity->expires_unix_s = expiry;
    set_rest_name(examination->identity, expiry, user);
    return is_protected_by_secret(examination);
}

/**
 * A token does not say whom it was given to, and many share a kid: its holder is named by both kid
 * and token ("kid:" and a part of the token's digest), so that quotas are per token.
 */
static void set_token_name(struct turn_identity *identity, const struct turn_claim *claim)
{
    uint8_t digest[HASH_SHA256_SIZE];
    char hex[2 * TURN_TOKEN_NAME_DIGEST + 1];
    struct text_builder name = text_builder_of(identity->name, sizeof(identity->name));
    hash_sha256(claim->token, digest);
    text_hex_write(bytes_of(digest, TURN_TOKEN_NAME_DIGEST), hex);
    text_append_bytes(&name, claim->username);
    text_append(&name, ":");
    text_append(&name, hex);
    identity->name_size = (uint16_t)name.length;
}

/**
 * Clients made with coturn, as that server itself, use only 16 bytes of a mac key with SHA-1 (as
 * many as MD5 gives). 128 bits of a random key are as good as 160 here.
 */
static bool is_protected_by_mac_key(const struct examination *examination)
{
    struct turn_identity *identity = examination->identity;
    if (is_protected(examination))
        return true;
    if (identity->sha256 || identity->key_size <= HASH_MD5_SIZE)
        return false;
    identity->key_size = HASH_MD5_SIZE;
    return is_protected(examination);
}

static bool verify_token(const struct examination *examination)
{
    const struct turn_settings_config *config = turn_settings_get(examination->settings);
    struct turn_identity *identity = examination->identity;
    struct turn_token token;
    const struct turn_token_key *key =
        turn_settings_token_key(examination->settings, examination->claim->username);
    if (!key || turn_token_open(key, config->server_name, examination->claim->token,
                                examination->request->now_unix_s, &token) != 0)
        return fail_slowly(examination);
    set_key(identity, token.mac_key, token.mac_key_size);
    memory_wipe(token.mac_key, sizeof(token.mac_key));
    identity->token = true;
    identity->expires_unix_s = token.expires_unix_s;
    set_token_name(identity, examination->claim);
    return is_protected_by_mac_key(examination);
}

/**
 * Whether this is a request under a token that came with an earlier one, not with this one. The kid
 * that it names is still one of ours, or was when the session began.
 */
static bool is_of_session(const struct examination *examination)
{
    struct bytes kid = examination->claim->username;
    struct bytes holder = examination->request->session_name;
    if (examination->request->session_key.size == 0)
        return false;
    return turn_settings_token_key(examination->settings, kid) ||
           (holder.size > kid.size && holder.data[kid.size] == ':' &&
            memcmp(holder.data, kid.data, kid.size) == 0);
}

static bool verify_session(const struct examination *examination)
{
    const struct turn_auth_request *request = examination->request;
    struct turn_identity *identity = examination->identity;
    if (request->session_ends_unix_s + TURN_TOKEN_GRACE_S < request->now_unix_s ||
        request->session_key.size > sizeof(identity->key))
        return fail_slowly(examination);
    set_key(identity, request->session_key.data, request->session_key.size);
    identity->token = true;
    identity->expires_unix_s = request->session_ends_unix_s;
    set_name(identity, request->session_name);
    return is_protected(examination);
}

bool turn_credential_verify(const struct turn_settings *settings,
                            const struct turn_auth_request *request, const struct turn_claim *claim,
                            struct turn_identity *identity)
{
    struct examination examination = {
        .settings = settings, .request = request, .claim = claim, .identity = identity
    };
    const struct turn_static_user *user;
    if (claim->userhash.size > 0) {
        user = turn_settings_user_by_hash(settings, claim->userhash);
        return user ? verify_static(&examination, user) : fail_slowly(&examination);
    }
    if (opaque_string_prepare(claim->username, examination.name, sizeof(examination.name),
                              &examination.name_size) != 0)
        return fail_slowly(&examination);
    if (claim->token.size > 0)
        return verify_token(&examination);
    if (is_of_session(&examination))
        return verify_session(&examination);
    user = turn_settings_user(settings, bytes_of(examination.name, examination.name_size));
    return user ? verify_static(&examination, user) : verify_rest(&examination);
}

const char *turn_credential_reason(const struct turn_settings *settings,
                                   const struct turn_auth_request *request,
                                   const struct turn_claim *claim)
{
    char name[TURN_USERNAME_MAX + 1];
    size_t size;
    int64_t expiry;
    struct bytes user;
    if (claim->token.size > 0)
        return "the access token is not good, or not made with one of turn.oauth_keys";
    if (claim->userhash.size > 0)
        return turn_settings_user_by_hash(settings, claim->userhash)
                   ? "the password is wrong"
                   : "no user has this name and realm (it was sent as a hash)";
    if (opaque_string_prepare(claim->username, name, sizeof(name), &size) != 0)
        return "the user name has characters that it cannot have";
    if (turn_settings_user(settings, bytes_of(name, size)))
        return "the password is wrong";
    if (split_rest_name(claim->username, &expiry, &user) != 0)
        return "there is no such user, and a time-limited name is EXPIRY:NAME";
    if (expiry < request->now_unix_s)
        return "the credential has expired";
    return "the password was not made with one of turn.secrets";
}
