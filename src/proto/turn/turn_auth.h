/**
 * Long-term credentials of one server (RFC 8489 section 9.2) with everything that can be behind a
 * username: a static user, a time-limited credential of the REST scheme, a third party's access
 * token (RFC 7635). Stateless: nonces are codes over address, time and security features, and
 * nothing is remembered about anyone.
 */
#pragma once

#include "base/address.h"
#include "base/random.h"
#include "proto/stun/stun.h"
#include "proto/turn/turn_settings.h"

/** Shared by all workers: a nonce made by one is good on another. Immutable. */
struct turn_nonce_key {
    struct hmac_key key;
};
/** A new random key: nonces of any other are stale (438). */
void turn_nonce_key_init(struct turn_nonce_key *key, struct random *random);

/** Longest NONCE we make, bytes. */
#define TURN_NONCE_MAX 80

/** Who a request is from, and how answers to it are protected. A value. Secret. */
struct turn_identity {
    uint8_t key[32];  /**< of MESSAGE-INTEGRITY: MD5 or SHA-256 form, or the token's mac key */
    uint8_t key_size; /**< 16, 20 or 32 */
    bool sha256;      /**< protect with MESSAGE-INTEGRITY-SHA256 */
    bool none;        /**< settings.no_auth: unprotected */
    bool token;       /**< of an ACCESS-TOKEN: keep `key` with the allocation, see below */
    uint16_t name_size;
    uint16_t quota_skip; /**< bytes of `name` that are not the user (the expiry of REST) */
    char name[TURN_USERNAME_MAX + 1]; /**< as quotas, logs and 441 comparisons see it */
    int64_t expires_unix_s;           /**< when the credential ends; 0: never */
};

struct turn_auth_request {
    const struct stun_message *message;
    const struct net_address *source; /**< the client's address */
    uint64_t now_us;                  /**< monotonic: age of nonces */
    int64_t now_unix_s;               /**< expiry of credentials */
    /**
     * Of the request's allocation when that was made with a token: clients send the ACCESS-TOKEN
     * with Allocate and Refresh only (RFC 7635 section 9), and protect all else with its mac key.
     * The identity's key, name and end as the last Allocate or Refresh gave them. An empty key: the
     * allocation was not made with a token, or there is none. A Refresh may bring a new token, even
     * of another kid: names of tokens must not be compared as those of users are (441).
     */
    struct bytes session_key;
    struct bytes session_name;
    int64_t session_ends_unix_s;
};

/**
 * Judges a request. Returns 0 with the identity, or the STUN error code to answer with: 400, 401 or
 * 438 (then add turn_auth_write_challenge), never anything that tells whether a user exists.
 * The bid-down protection of section 9.2.4 is included. `ret_identity->sha256` is also set, as far
 * as known, on errors whose answer could be protected.
 */
must_check int turn_auth_check(const struct turn_settings *settings,
                               const struct turn_nonce_key *nonce_key,
                               const struct turn_auth_request *request,
                               struct turn_identity *ret_identity);
/**
 * For the log of the operator, never for the client: why a request with credentials was answered
 * with 401. NULL when it had none.
 */
const char *turn_auth_reason(const struct turn_settings *settings,
                             const struct turn_auth_request *request);
/**
 * REALM, NONCE, PASSWORD-ALGORITHMS (and THIRD-PARTY-AUTHORIZATION when token keys exist) for an
 * answer 401 or 438.
 */
void turn_auth_write_challenge(const struct turn_settings *settings,
                               const struct turn_nonce_key *nonce_key,
                               const struct turn_auth_request *request, struct stun_writer *writer);
/** The integrity attribute of an answer to a request of `identity`; nothing when `none`. */
void turn_auth_write_integrity(const struct turn_identity *identity, struct stun_writer *writer);
