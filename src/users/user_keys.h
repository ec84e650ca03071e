/**
 * What is kept of a password, and whether somebody who shows one is the user.
 *
 * Every user has SCRAM verifiers (crypto/scram.h): for SHA-256, which passwords in the clear are
 * checked with too, and for SHA-1, which is all that older XMPP clients speak.
 *
 * Digest keys are MD5 and SHA-256 of "name:realm:password" (TURN: RFC 8489 section 9.2.2; SIP: RFC
 * 3261 section 22.4, RFC 8760). They open no other realm, but who has one can use it as the
 * password there, and guesses the password itself a thousand million times a second. So they are
 * kept only for the users whom the operator wants to use TURN or SIP with their password.
 */
#pragma once

#include "base/bytes.h"
#include "base/random.h"
#include "crypto/scram.h"

/**
 * 2 ms of a core: five hundred logins a second and core, or all ten thousand users of a site back
 * in twenty seconds of one core after a restart; half a second in an XMPP client that is plain
 * JavaScript. The same for both, since who steals the store guesses with the cheaper one.
 */
#define USER_ITERATIONS 20000
#define USER_SALT_SIZE  16

#define USER_MD5_SIZE    16
#define USER_SHA256_SIZE 32

#define USER_PASSWORD_MAX 508 /**< bytes, as RFC 8489 section 14.3 has it for names */

/** Secret. */
struct user_keys {
    struct scram_verifier scram_sha256; /**< without iterations: none, as in older stores */
    struct scram_verifier scram_sha1;
    bool has_digest;
    uint8_t md5[USER_MD5_SIZE];
    uint8_t sha256[USER_SHA256_SIZE];
};

/**
 * The keys of a password in the form of opaque_string_prepare; those for digests if they are
 * wanted. Slow: 4 ms.
 */
void user_keys_make(struct user_keys *keys, const char *name, const char *realm,
                    const char *password, bool with_digest, struct random *random);
/**
 * Whether this is the password, as somebody typed it. By SCRAM-SHA-256, or where that is missing by
 * the digest key; takes 2 ms either way, and longer only for keys of other servers with more
 * iterations than ours. False for keys that hold neither.
 */
bool user_keys_admit(const struct user_keys *keys, const char *name, const char *realm,
                     struct bytes password);
/** Whether they were made of one password at one time: a new password has another salt. */
bool user_keys_equal(const struct user_keys *one, const struct user_keys *other);
/** Whether they are of one password, as far as can be told: equal, or with the same digest keys. */
bool user_keys_same_password(const struct user_keys *one, const struct user_keys *other);
