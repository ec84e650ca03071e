/**
 * Which tokens are good no more although their signature is: single ones by their id ("jti"), all
 * of a user that were issued up to a time, all of everyone up to a time. Tokens without "iat" count
 * as issued at the beginning of time.
 */
#pragma once

#include <jansson.h>

#include "base/map.h"
#include "signal/access/token.h"

#define TOKEN_REVOCATIONS_MAX 100000

struct token_revocations {
    struct map ids;                /**< struct token_revocation by jti */
    struct map users;              /**< struct token_revocation by user name */
    uint64_t issued_before_unix_s; /**< of all tokens; 0: none */
};

/** `secret` is random: names come from outside. */
void token_revocations_init(struct token_revocations *revocations, const uint64_t secret[2]);
void token_revocations_done(struct token_revocations *revocations);
/** Revokes the token of that id. 0, -EINVAL (empty or too long) or -ENOSPC. */
must_check int token_revocations_add_id(struct token_revocations *revocations, const char *id,
                                        uint64_t now_unix_s);
/** Revokes all tokens of a user that were issued before a time. As token_revocations_add_id. */
must_check int token_revocations_add_user(struct token_revocations *revocations, const char *user,
                                          uint64_t issued_before_unix_s);
/** Takes a revocation back; false when there was none. */
bool token_revocations_remove_id(struct token_revocations *revocations, const char *id);
bool token_revocations_remove_user(struct token_revocations *revocations, const char *user);
/** Whether a token with these claims is revoked; "" or 0 where it has none. */
bool token_revocations_cover(const struct token_revocations *revocations, const char *id,
                             const char *user, uint64_t issued_unix_s);
/** {"ids": {ID: TIME}, "users": {USER: BEFORE}, "issued_before": TIME}; a new object. */
json_t *token_revocations_write(const struct token_revocations *revocations);
/** Adds what an object of that form holds. 0, -EINVAL or -ENOSPC. */
must_check int token_revocations_read(struct token_revocations *revocations, json_t *json);
