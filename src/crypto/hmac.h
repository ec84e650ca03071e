/**
 * HMAC (RFC 2104) with SHA-1 and SHA-256. Nothing allocates or fails. A `struct hmac_key` keeps the
 * state after the padded key, so that a message costs no key set-up.
 */
#pragma once

#include "base/bytes.h"
#include "crypto/hash.h"

#define HMAC_SHA1_SIZE   20
#define HMAC_SHA256_SIZE 32
#define HMAC_SIZE_MAX    32

/** One shot. */
void hmac_sha1(struct bytes key, struct bytes data, uint8_t out[HMAC_SHA1_SIZE]);
void hmac_sha256(struct bytes key, struct bytes data, uint8_t out[HMAC_SHA256_SIZE]);

/** One shot over several pieces, as if they stood together (STUN's rewritten header + body). */
void hmac_sha1_parts(struct bytes key, const struct bytes *parts, size_t count,
                     uint8_t out[HMAC_SHA1_SIZE]);
void hmac_sha256_parts(struct bytes key, const struct bytes *parts, size_t count,
                       uint8_t out[HMAC_SHA256_SIZE]);

/** A prepared key: a secret. A value, shareable for reading; wipe it with hmac_key_wipe. */
struct hmac_key {
    uint32_t inner[8];
    uint32_t outer[8];
    enum hash_kind kind;
};

/** `kind` is HASH_SHA1 or HASH_SHA256. */
void hmac_key_init(struct hmac_key *key, enum hash_kind kind, struct bytes secret);
void hmac_key_wipe(struct hmac_key *key);

/** A code in progress; `key` must outlive it. */
struct hmac {
    const struct hmac_key *key;
    struct hash hash;
};

void hmac_begin(struct hmac *hmac, const struct hmac_key *key);
void hmac_add(struct hmac *hmac, struct bytes data);
/** Writes HMAC_SHA1_SIZE or HMAC_SHA256_SIZE bytes. */
void hmac_end(struct hmac *hmac, uint8_t *out);
