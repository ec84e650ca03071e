/**
 * Tokens that admit people: JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256 ("HS256" only,
 * whatever the header says otherwise; RFC 8725, 3.1). Claims of ours:
 *
 *     room       name of a room, or "*" for all
 *     user       user name that the token vouches for (else "sub")
 *     name       display name
 *     moderator  true: moderator of the room
 *     admin      true: may use the admin API
 *     nbf, exp   Unix times
 */
#pragma once

#include "base/bytes.h"

#define TOKEN_NAME_SIZE 65
#define TOKEN_SIZE_MAX  4096 /**< of a whole token */

struct token_grants {
    char room[TOKEN_NAME_SIZE]; /**< "" : no room */
    char user[TOKEN_NAME_SIZE]; /**< "" : none */
    char name[TOKEN_NAME_SIZE]; /**< "" : free to choose */
    bool moderator;
    bool admin;
    uint64_t expires_unix_s; /**< 0: never */
};

/**
 * Verifies a token. Returns 0; -EBADMSG (not a token, or not signed with this key, or with a
 * algorithm other than HS256), -ETIME (expired), -EAGAIN (not valid yet).
 */
must_check int token_verify(struct bytes token, struct bytes key, uint64_t now_unix_s,
                            struct token_grants *ret_grants);
/** Makes a token; the caller frees it. Never NULL. */
char *token_mint(const struct token_grants *grants, struct bytes key, uint64_t now_unix_s);
/** True when the grants admit to the room. */
bool token_admits(const struct token_grants *grants, const char *room);
