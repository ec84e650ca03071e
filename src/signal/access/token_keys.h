/**
 * The keys that tokens may be signed with: HMAC secrets and public keys, from the configuration,
 * from a file (PEM, or a JWK Set of RFC 7517), or from the address of an identity provider. Each
 * key is good for one algorithm only, whatever a token's header says (RFC 8725, 3.1).
 */
#pragma once

#include "base/text.h"
#include "signal/access/token.h"

#define TOKEN_KID_SIZE      129
#define TOKEN_KEYS_MAX      64
#define TOKEN_KEYS_TEXT_MAX (256u << 10) /**< bytes of a JWK Set or PEM file */

/** Whom we believe what. */
enum token_trust {
    TOKEN_TRUST_GRANTS, /**< everything but "admin": keys of somebody else's server */
    TOKEN_TRUST_ALL,    /**< keys of our own configuration */
};

struct token_keys;

struct token_keys *token_keys_new(void);
/** Accepts NULL; returns NULL. */
struct token_keys *token_keys_free(struct token_keys *keys);
size_t token_keys_count(const struct token_keys *keys);
/** Adds a secret (copied) for HS256; `kid` may be NULL. 0, or -ENOSPC. */
must_check int token_keys_add_secret(struct token_keys *keys, const char *kid, struct bytes secret);
/**
 * Adds the keys of a text: a JWK Set, one JWK, or PEM blocks one after the other. Keys of unknown
 * kinds and those for encryption are skipped. Symmetric keys are taken with TOKEN_TRUST_ALL only.
 * Returns how many were added; -EINVAL with a clause in `error` (may be NULL).
 */
must_check int token_keys_add_text(struct token_keys *keys, struct bytes text,
                                   enum token_trust trust, struct text_builder *error);

/** What is asked of a token besides its signature. NULL or "": not asked. */
struct token_policy {
    const char *issuer;   /**< "iss" must be this */
    const char *audience; /**< "aud" must be or contain this */
    uint64_t skew_s;      /**< by which clocks may differ */
};

/**
 * Verifies a token against one of several sets (the first `set_count` of `sets`; NULL ones are
 * skipped). Returns 0; -EBADMSG (not a token, no good signature, a claim of the wrong kind, other
 * issuer or audience), -ENOKEY (no set has a key of that id: newer keys may help), -ETIME
 * (expired), -EAGAIN (not valid yet).
 */
must_check int token_verify_with(const struct token_keys *const *sets, size_t set_count,
                                 const struct token_policy *policy, struct bytes token,
                                 uint64_t now_unix_s, struct token_grants *ret_grants);

struct private_key;
/** Makes a token with a private key; `kid` may be NULL. NULL when the key does not sign. */
char *token_sign(const struct token_grants *grants, const struct private_key *key, const char *kid,
                 const struct token_policy *policy, uint64_t now_unix_s);
