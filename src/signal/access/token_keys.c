#include "signal/access/token_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/memory.h"
#include "signal/access/token_keys_int.h"

#define SECRET_MIN 16 /**< bytes of a symmetric key in a JWK */
#define MEMBER_MAX 1100

struct token_keys *token_keys_new(void)
{
    return memory_new(struct token_keys);
}

struct token_keys *token_keys_free(struct token_keys *keys)
{
    if (!keys)
        return NULL;
    for (size_t i = 0; i < keys->count; i++) {
        struct token_key *key = &keys->items[i];
        public_key_free(key->public);
        if (key->secret)
            memory_wipe(key->secret, key->secret_size);
        free(key->secret);
    }
    free(keys);
    return NULL;
}

size_t token_keys_count(const struct token_keys *keys)
{
    return keys->count;
}

static struct token_key *new_key(struct token_keys *keys, const char *kid, enum token_trust trust)
{
    struct token_key *key = &keys->items[keys->count++];
    snprintf(key->kid, sizeof(key->kid), "%s", kid ? kid : "");
    key->trust = trust;
    return key;
}

int token_keys_add_secret(struct token_keys *keys, const char *kid, struct bytes secret)
{
    if (keys->count == TOKEN_KEYS_MAX)
        return -ENOSPC;
    struct token_key *key = new_key(keys, kid, TOKEN_TRUST_ALL);
    key->secret = memory_copy(secret.data, secret.size);
    key->secret_size = secret.size;
    return 0;
}

/** ---- JWK (RFC 7517) ---- */

/** A base64url member. Returns the size, or -EINVAL. */
static int take_bytes(json_t *jwk, const char *name, uint8_t out[MEMBER_MAX])
{
    json_t *value = json_object_get(jwk, name);
    if (!json_is_string(value))
        return -EINVAL;
    int size = text_base64_parse(bytes_of(json_string_value(value), json_string_length(value)), out,
                                 MEMBER_MAX);
    return size > 0 ? size : -EINVAL;
}

static bool is(json_t *jwk, const char *name, const char *wanted)
{
    const char *value = json_string_value(json_object_get(jwk, name));
    return value && strcmp(value, wanted) == 0;
}

/** Absent, or as wanted: "use" and "alg" narrow what a key is for. */
static bool may_be(json_t *jwk, const char *name, const char *wanted)
{
    return !json_object_get(jwk, name) || is(jwk, name, wanted);
}

/** A public key of a JWK, or -EINVAL. */
static int read_public(json_t *jwk, struct public_key **ret_key)
{
    uint8_t a[MEMBER_MAX], b[MEMBER_MAX];
    if (is(jwk, "kty", "RSA") && may_be(jwk, "alg", "RS256")) {
        int n = take_bytes(jwk, "n", a), e = take_bytes(jwk, "e", b);
        if (n < 0 || e < 0)
            return -EINVAL;
        return public_key_from_rsa(bytes_of(a, (size_t)n), bytes_of(b, (size_t)e), ret_key);
    }
    if (is(jwk, "kty", "EC") && is(jwk, "crv", "P-256") && may_be(jwk, "alg", "ES256")) {
        int x = take_bytes(jwk, "x", a), y = take_bytes(jwk, "y", b);
        if (x < 0 || y < 0)
            return -EINVAL;
        return public_key_from_p256(bytes_of(a, (size_t)x), bytes_of(b, (size_t)y), ret_key);
    }
    if (is(jwk, "kty", "OKP") && is(jwk, "crv", "Ed25519") &&
        (may_be(jwk, "alg", "EdDSA") || is(jwk, "alg", "Ed25519"))) {
        int x = take_bytes(jwk, "x", a);
        if (x < 0)
            return -EINVAL;
        return public_key_from_ed25519(bytes_of(a, (size_t)x), ret_key);
    }
    return -EINVAL;
}

/** Adds one JWK. Returns how many keys that is: 0 for those that are none of our kinds. */
static int add_jwk(struct token_keys *keys, json_t *jwk, enum token_trust trust)
{
    json_t *kid = json_object_get(jwk, "kid");
    if (!json_is_object(jwk) || keys->count == TOKEN_KEYS_MAX || !may_be(jwk, "use", "sig") ||
        (kid && (!json_is_string(kid) || json_string_length(kid) >= TOKEN_KID_SIZE)))
        return 0;
    if (is(jwk, "kty", "oct")) {
        uint8_t secret[MEMBER_MAX];
        // what anyone may fetch is no secret
        int size = trust == TOKEN_TRUST_ALL && may_be(jwk, "alg", "HS256")
                       ? take_bytes(jwk, "k", secret)
                       : -EINVAL;
        if (size < SECRET_MIN)
            return 0;
        int result =
            token_keys_add_secret(keys, json_string_value(kid), bytes_of(secret, (size_t)size));
        memory_wipe(secret, sizeof(secret));
        return result == 0;
    }
    struct public_key *public;
    if (read_public(jwk, &public) < 0)
        return 0;
    new_key(keys, json_string_value(kid), trust)->public = public;
    return 1;
}

static int add_json(struct token_keys *keys, struct bytes text, enum token_trust trust,
                    struct text_builder *error)
{
    json_error_t json_error;
    json_t *root =
        json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &json_error);
    json_t *array = json_object_get(root, "keys");
    int added = 0;
    if (json_is_array(array)) {
        size_t i;
        json_t *jwk;
        json_array_foreach(array, i, jwk) added += add_jwk(keys, jwk, trust);
    } else if (json_is_object(root)) {
        added = add_jwk(keys, root, trust);
    } else {
        added = -EINVAL;
        if (error)
            text_append(error, "it is no JWK Set");
    }
    json_decref(root);
    return added;
}

/** ---- PEM ---- */

static int add_pem(struct token_keys *keys, struct bytes text, enum token_trust trust,
                   struct text_builder *error)
{
    static const char end_mark[] = "-----END ";
    int added = 0;
    const char *at = (const char *)text.data, *end = at + text.size;
    while (keys->count < TOKEN_KEYS_MAX) {
        const char *last = memmem(at, (size_t)(end - at), end_mark, strlen(end_mark));
        if (!last)
            break;
        const char *line_end = memchr(last, '\n', (size_t)(end - last));
        const char *next = line_end ? line_end + 1 : end;
        struct public_key *public;
        if (public_key_load(bytes_of(at, (size_t)(next - at)), error, &public) < 0)
            return -EINVAL;
        new_key(keys, NULL, trust)->public = public;
        added++;
        at = next;
    }
    return added;
}

int token_keys_add_text(struct token_keys *keys, struct bytes text, enum token_trust trust,
                        struct text_builder *error)
{
    struct bytes rest = text;
    while (rest.size > 0 && (rest.data[0] == ' ' || rest.data[0] == '\t' || rest.data[0] == '\r' ||
                             rest.data[0] == '\n'))
        rest = bytes_of(rest.data + 1, rest.size - 1);
    if (rest.size > TOKEN_KEYS_TEXT_MAX || rest.size == 0) {
        if (error)
            text_append(error, rest.size ? "it is too large" : "it is empty");
        return -EINVAL;
    }
    return rest.data[0] == '{' ? add_json(keys, rest, trust, error)
                               : add_pem(keys, rest, trust, error);
}
