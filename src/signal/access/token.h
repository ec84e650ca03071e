/**
 * Tokens that admit people: JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256 ("HS256" only,
 * whatever the header says otherwise; RFC 8725, 3.1). Claims of ours:
 *
 *     room       name of a room, or a pattern in which * stands for any text; "*" is all rooms
 *     user       user name that the token vouches for (else "identity", else "sub")
 *     name       display name
 *     join       false: not good for joining rooms
 *     publish    false: nothing; or the sources that may be published, an array of "camera",
 *                "microphone", "screen", "screen_audio", "other"
 *     subscribe  false: gets no tracks
 *     data       false: sends no chat and no data
 *     moderate   true: moderator of the room ("moderator" is the same)
 *     record     true: may have the room recorded
 *     hidden     true: announced to nobody; publishes and says nothing
 *     admin      true: may use the admin API
 *     jti        id, for revocation
 *     nbf, exp, iat   Unix times
 */
#pragma once

#include "base/bytes.h"
#include "room/room.h"

#define TOKEN_NAME_SIZE 65
#define TOKEN_SIZE_MAX  4096 /**< of a whole token */

/**
 * What a token grants. Zeros with a room are a plain participant: what is denied is said, so that
 * tokens of before these grants existed go on working.
 */
struct token_grants {
    char room[TOKEN_NAME_SIZE]; /**< name or pattern; "" : no room */
    char user[TOKEN_NAME_SIZE]; /**< the identity; "" : none */
    char name[TOKEN_NAME_SIZE]; /**< "" : free to choose */
    char id[TOKEN_NAME_SIZE];   /**< "jti"; "" : none */
    bool join_denied;           /**< good for other things than rooms */
    bool moderator;
    bool record;
    bool hidden;
    bool admin;
    struct room_denials denials; /**< publish by source, subscribe, data */
    uint64_t issued_unix_s;      /**< 0: not known */
    uint64_t expires_unix_s;     /**< 0: never */
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
/** Whether the grants let someone publish from a source. */
static inline bool token_may_publish(const struct token_grants *grants, enum room_source source)
{
    return !grants->hidden && !(grants->denials.publish & (1u << source));
}
/** What room_join wants to know of the token; `used`: there was one. */
struct room_pass token_pass(const struct token_grants *grants, bool used);
/** The name of a source in claims, such as "screen_audio". */
const char *token_source_name(enum room_source source);
/** The source of that name, or -EINVAL. */
must_check int token_source_parse(struct bytes name, enum room_source *ret_source);
