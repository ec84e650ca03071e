#include "signal/access/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "crypto/hmac.h"
#include "signal/access/token_claims.h"
#include "signal/access/token_keys_int.h"

#define NO_POLICY (&(struct token_policy){ 0 })

/** A token taken apart (RFC 7515, 7.1); views of it. */
struct parts {
    struct bytes header;
    struct bytes payload;
    struct bytes signature;
    struct bytes signed_part;
};

/** What a header says about its key. */
struct header {
    const char *algorithm;
    const char *kid; /**< NULL: nothing */
};

static int take_apart(struct bytes token, struct parts *parts)
{
    if (token.size > TOKEN_SIZE_MAX)
        return -EBADMSG;
    struct bytes rest = token;
    parts->header = text_take_until(&rest, '.');
    parts->payload = text_take_until(&rest, '.');
    parts->signature = rest;
    if (!rest.data || parts->header.size == 0 || parts->payload.size == 0)
        return -EBADMSG;
    parts->signed_part = bytes_of(token.data, parts->header.size + 1 + parts->payload.size);
    return 0;
}

static int decode_json(struct bytes part, json_t **ret_json)
{
    uint8_t text[TOKEN_SIZE_MAX];
    int size = text_base64_parse(part, text, sizeof(text));
    if (size < 0)
        return -EBADMSG;
    json_error_t error;
    json_t *json = json_loadb((const char *)text, (size_t)size, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(json)) {
        json_decref(json);
        return -EBADMSG;
    }
    *ret_json = json;
    return 0;
}

/** `json` owns the texts. */
static int read_header(json_t *json, struct header *header)
{
    json_t *kid = json_object_get(json, "kid");
    header->algorithm = json_string_value(json_object_get(json, "alg"));
    header->kid = json_string_value(kid);
    // what must be understood is not
    bool good = header->algorithm && (!kid || header->kid) && !json_object_get(json, "crit");
    return good ? 0 : -EBADMSG;
}

/** The one algorithm that a key is for: a token cannot choose (RFC 8725, 3.1). */
static const char *algorithm_of(const struct token_key *key)
{
    if (key->secret)
        return "HS256";
    switch (public_key_kind(key->public)) {
    case SIGNATURE_RS256:
        return "RS256";
    case SIGNATURE_ES256:
        return "ES256";
    default:
        return "EdDSA";
    }
}

static bool signature_is_good(const struct token_key *key, const struct parts *parts)
{
    uint8_t given[SIGNATURE_SIZE_MAX], expected[HMAC_SHA256_SIZE];
    int size = text_base64_parse(parts->signature, given, sizeof(given));
    if (size <= 0)
        return false;
    if (key->public)
        return public_key_verify(key->public, parts->signed_part, bytes_of(given, (size_t)size));
    if (size != HMAC_SHA256_SIZE || key->secret_size == 0)
        return false;
    hmac_sha256(bytes_of(key->secret, key->secret_size), parts->signed_part, expected);
    return bytes_equal_constant_time(bytes_of(given, HMAC_SHA256_SIZE),
                                     bytes_of(expected, HMAC_SHA256_SIZE));
}

/** A kid of the token's names a key; keys without one are tried for all tokens. */
static bool is_meant(const struct token_key *key, const struct header *header)
{
    return strcmp(algorithm_of(key), header->algorithm) == 0 &&
           (!header->kid || !key->kid[0] || strcmp(key->kid, header->kid) == 0);
}

/** The key that signed it. Returns 0, -EBADMSG or -ENOKEY. */
static int find_key(const struct token_keys *const *sets, size_t set_count,
                    const struct header *header, const struct parts *parts,
                    const struct token_key **ret_key)
{
    bool named = false;
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; sets[s] && i < sets[s]->count; i++) {
            const struct token_key *key = &sets[s]->items[i];
            if (!is_meant(key, header))
                continue;
            named = named || (header->kid && strcmp(key->kid, header->kid) == 0);
            if (signature_is_good(key, parts)) {
                *ret_key = key;
                return 0;
            }
        }
    }
    // without a kid any key may be meant, also one that is not here yet
    return named ? -EBADMSG : -ENOKEY;
}

/** "aud" is a text or an array of texts (RFC 7519, 4.1.3). */
static bool is_for(json_t *audience, const char *wanted)
{
    if (json_is_string(audience))
        return strcmp(json_string_value(audience), wanted) == 0;
    for (size_t i = 0; i < json_array_size(audience); i++) {
        const char *item = json_string_value(json_array_get(audience, i));
        if (item && strcmp(item, wanted) == 0)
            return true;
    }
    return false;
}

static int check_policy(json_t *claims, const struct token_policy *policy)
{
    const char *issuer = json_string_value(json_object_get(claims, "iss"));
    if (policy->issuer && *policy->issuer && (!issuer || strcmp(issuer, policy->issuer) != 0))
        return -EBADMSG;
    if (policy->audience && *policy->audience &&
        !is_for(json_object_get(claims, "aud"), policy->audience))
        return -EBADMSG;
    return 0;
}

static int read_claims(const struct parts *parts, const struct token_policy *policy,
                       enum token_trust trust, uint64_t now_unix_s, struct token_grants *ret_grants)
{
    json_t *claims;
    struct token_grants grants;
    int result = decode_json(parts->payload, &claims);
    if (result < 0)
        return result;
    result = check_policy(claims, policy);
    if (result == 0)
        result = token_claims_read(claims, now_unix_s, policy->skew_s, &grants);
    json_decref(claims);
    if (result < 0)
        return result;
    grants.admin = grants.admin && trust == TOKEN_TRUST_ALL;
    *ret_grants = grants;
    return 0;
}

int token_verify_with(const struct token_keys *const *sets, size_t set_count,
                      const struct token_policy *policy, struct bytes token, uint64_t now_unix_s,
                      struct token_grants *ret_grants)
{
    struct parts parts;
    struct header header;
    json_t *json;
    const struct token_key *key = NULL;
    int result = take_apart(token, &parts);
    if (result < 0 || (result = decode_json(parts.header, &json)) < 0)
        return result;
    result = read_header(json, &header);
    if (result == 0)
        result = find_key(sets, set_count, &header, &parts, &key);
    json_decref(json);
    if (result < 0)
        return result;
    return read_claims(&parts, policy, key->trust, now_unix_s, ret_grants);
}

int token_verify(struct bytes token, struct bytes key, uint64_t now_unix_s,
                 struct token_grants *ret_grants)
{
    if (key.size == 0)
        return -EBADMSG;
    struct token_keys *keys = token_keys_new();
    ensure(token_keys_add_secret(keys, NULL, key) == 0);
    int result = token_verify_with((const struct token_keys *const[]){ keys }, 1, NO_POLICY, token,
                                   now_unix_s, ret_grants);
    token_keys_free(keys);
    return result == -ENOKEY ? -EBADMSG : result;
}

/** ---- making ---- */

/** Header and payload in base64url with a dot between, room for a signature behind. */
static char *write_unsigned(json_t *header, json_t *claims, size_t *ret_length)
{
    char *head = json_dumps(header, JSON_COMPACT), *payload = json_dumps(claims, JSON_COMPACT);
    json_decref(header);
    json_decref(claims);
    ensure(head && payload); // the grants are texts that were valid UTF-8 to begin with
    struct bytes first = bytes_of_text(head), second = bytes_of_text(payload);
    char *token = memory_allocate(1, TEXT_BASE64_SIZE(first.size) + TEXT_BASE64_SIZE(second.size) +
                                         TEXT_BASE64_SIZE(SIGNATURE_SIZE_MAX) + 2);
    text_base64url_write(first, token);
    size_t length = strlen(token);
    token[length++] = '.';
    text_base64url_write(second, token + length);
    *ret_length = length + strlen(token + length);
    free(head);
    free(payload);
    return token;
}

static json_t *make_header(const char *algorithm, const char *kid)
{
    json_t *header = json_pack("{s:s,s:s}", "alg", algorithm, "typ", "JWT");
    if (kid && *kid)
        json_object_set_new(header, "kid", json_string(kid));
    return header;
}

static void append_signature(char *token, size_t length, struct bytes signature)
{
    token[length++] = '.';
    text_base64url_write(signature, token + length);
}

char *token_mint(const struct token_grants *grants, struct bytes key, uint64_t now_unix_s)
{
    size_t length;
    char *token =
        write_unsigned(make_header("HS256", NULL), token_claims_write(grants, now_unix_s), &length);
    uint8_t signature[HMAC_SHA256_SIZE];
    hmac_sha256(key, bytes_of(token, length), signature);
    append_signature(token, length, bytes_of(signature, sizeof(signature)));
    return token;
}

char *token_sign(const struct token_grants *grants, const struct private_key *key, const char *kid,
                 const struct token_policy *policy, uint64_t now_unix_s)
{
    static const char *const names[] = {
        [SIGNATURE_RS256] = "RS256", [SIGNATURE_ES256] = "ES256", [SIGNATURE_EDDSA] = "EdDSA"
    };
    json_t *claims = token_claims_write(grants, now_unix_s);
    if (policy->issuer && *policy->issuer)
        json_object_set_new(claims, "iss", json_string(policy->issuer));
    if (policy->audience && *policy->audience)
        json_object_set_new(claims, "aud", json_string(policy->audience));
    size_t length;
    char *token = write_unsigned(make_header(names[private_key_kind(key)], kid), claims, &length);
    uint8_t signature[SIGNATURE_SIZE_MAX];
    int size = private_key_sign(key, bytes_of(token, length), signature);
    if (size < 0) {
        free(token);
        return NULL;
    }
    append_signature(token, length, bytes_of(signature, (size_t)size));
    return token;
}

struct room_pass token_pass(const struct token_grants *grants, bool used)
{
    struct room_pass pass = { .issued_unix_s = grants->issued_unix_s, .used = used };
    memcpy(pass.id, grants->id, sizeof(pass.id));
    return pass;
}

/** Whether `text` fits a pattern in which each * stands for any text. */
static bool fits(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            // the last star takes one more; those before it need not move
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool token_admits(const struct token_grants *grants, const char *room)
{
    return grants->room[0] && fits(grants->room, room);
}
