#include "signal/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/memory.h"
#include "base/text.h"
#include "crypto/hmac.h"
#include "signal/token_claims.h"

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
    result = token_claims_read(claims, now_unix_s, 0, ret_grants);
    json_decref(claims);
    return result;
}

char *token_mint(const struct token_grants *grants, struct bytes key, uint64_t now_unix_s)
{
    json_t *claims = token_claims_write(grants, now_unix_s);
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
