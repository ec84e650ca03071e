#include "signal/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/memory.h"
#include "base/text.h"
#include "crypto/hmac.h"

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

/** The algorithm is ours, not the token's: "none" and the rest find no ear (RFC 8725, 3.1). */
static int check_header(struct bytes part)
{
    json_t *header;
    int result = decode_json(part, &header);
    if (result < 0)
        return result;
    const char *algorithm = json_string_value(json_object_get(header, "alg"));
    bool good = algorithm && strcmp(algorithm, "HS256") == 0 && !json_object_get(header, "crit");
    json_decref(header);
    return good ? 0 : -EBADMSG;
}

static int check_signature(struct bytes signed_part, struct bytes signature, struct bytes key)
{
    uint8_t given[HMAC_SHA256_SIZE], expected[HMAC_SHA256_SIZE];
    int size = text_base64_parse(signature, given, sizeof(given));
    if (size != HMAC_SHA256_SIZE)
        return -EBADMSG;
    hmac_sha256(key, signed_part, expected);
    if (!bytes_equal_constant_time(bytes_of(given, sizeof(given)),
                                   bytes_of(expected, sizeof(expected))))
        return -EBADMSG;
    return 0;
}

/** A claim that is not there leaves `out` empty. */
static int take_text(json_t *claims, const char *name, char out[TOKEN_NAME_SIZE])
{
    json_t *claim = json_object_get(claims, name);
    if (!claim)
        return 0;
    if (!json_is_string(claim))
        return -EBADMSG;
    struct bytes text = bytes_of(json_string_value(claim), json_string_length(claim));
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return -EBADMSG;
    }
    return text_copy(out, TOKEN_NAME_SIZE, text) < 0 ? -EBADMSG : 0;
}

static int take_time(json_t *claims, const char *name, uint64_t *ret_time)
{
    json_t *claim = json_object_get(claims, name);
    if (!claim)
        return 0;
    if (!json_is_number(claim) || json_number_value(claim) < 0 || json_number_value(claim) > 1e15)
        return -EBADMSG;
    *ret_time = (uint64_t)json_number_value(claim);
    return 0;
}

static int take_claims(json_t *claims, uint64_t now_unix_s, struct token_grants *grants)
{
    uint64_t not_before = 0;
    if (take_text(claims, "room", grants->room) < 0 ||
        take_text(claims, "user", grants->user) < 0 ||
        take_text(claims, "name", grants->name) < 0 ||
        take_time(claims, "exp", &grants->expires_unix_s) < 0 ||
        take_time(claims, "nbf", &not_before) < 0)
        return -EBADMSG;
    if (!grants->user[0] && take_text(claims, "sub", grants->user) < 0)
        return -EBADMSG;
    grants->moderator = json_is_true(json_object_get(claims, "moderator"));
    grants->admin = json_is_true(json_object_get(claims, "admin"));
    if (json_object_get(claims, "exp") && grants->expires_unix_s <= now_unix_s)
        return -ETIME;
    return not_before > now_unix_s ? -EAGAIN : 0;
}

int token_verify(struct bytes token, struct bytes key, uint64_t now_unix_s,
                 struct token_grants *ret_grants)
{
    if (token.size > TOKEN_SIZE_MAX || key.size == 0)
        return -EBADMSG;
    struct bytes rest = token;
    struct bytes header = text_take_until(&rest, '.');
    struct bytes payload = text_take_until(&rest, '.');
    struct bytes signature = rest;
    if (!signature.data || header.size == 0 || payload.size == 0)
        return -EBADMSG;
    // the signature first: nothing of an unsigned token is looked at
    struct bytes signed_part = bytes_of(token.data, header.size + 1 + payload.size);
    int result = check_signature(signed_part, signature, key);
    if (result < 0 || (result = check_header(header)) < 0)
        return result;
    json_t *claims;
    result = decode_json(payload, &claims);
    if (result < 0)
        return result;
    struct token_grants grants = { 0 };
    result = take_claims(claims, now_unix_s, &grants);
    json_decref(claims);
    if (result == 0)
        *ret_grants = grants;
    return result;
}

static json_t *make_claims(const struct token_grants *grants, uint64_t now_unix_s)
{
    json_t *claims = json_object();
    if (grants->room[0])
        json_object_set_new(claims, "room", json_string(grants->room));
    if (grants->user[0])
        json_object_set_new(claims, "user", json_string(grants->user));
    if (grants->name[0])
        json_object_set_new(claims, "name", json_string(grants->name));
    if (grants->moderator)
        json_object_set_new(claims, "moderator", json_true());
    if (grants->admin)
        json_object_set_new(claims, "admin", json_true());
    json_object_set_new(claims, "iat", json_integer((json_int_t)now_unix_s));
    if (grants->expires_unix_s)
        json_object_set_new(claims, "exp", json_integer((json_int_t)grants->expires_unix_s));
    return claims;
}

char *token_mint(const struct token_grants *grants, struct bytes key, uint64_t now_unix_s)
{
    json_t *claims = make_claims(grants, now_unix_s);
    char *payload = json_dumps(claims, JSON_COMPACT);
    json_decref(claims);
    ensure(payload != NULL); // the grants are texts that were valid UTF-8 to begin with
    struct bytes header = bytes_of_text("{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
    struct bytes body = bytes_of_text(payload);
    size_t capacity = TEXT_BASE64_SIZE(header.size) + TEXT_BASE64_SIZE(body.size) +
                      TEXT_BASE64_SIZE(HMAC_SHA256_SIZE) + 2;
    char *token = memory_allocate(1, capacity);
    text_base64url_write(header, token);
    size_t length = strlen(token);
    token[length++] = '.';
    text_base64url_write(body, token + length);
    length += strlen(token + length);
    free(payload);
    uint8_t signature[HMAC_SHA256_SIZE];
    hmac_sha256(key, bytes_of(token, length), signature);
    token[length++] = '.';
    text_base64url_write(bytes_of(signature, sizeof(signature)), token + length);
    return token;
}

bool token_admits(const struct token_grants *grants, const char *room)
{
    return strcmp(grants->room, "*") == 0 || (grants->room[0] && strcmp(grants->room, room) == 0);
}
