/**
 * Public keys that check signatures, and the private keys that make them, for the signatures of
 * JSON Web Tokens (RFC 7518, section 3; RFC 8037). What a key is decides the algorithm: a caller
 * cannot be talked into another one.
 */
#pragma once

#include "base/text.h"

enum signature_kind {
    SIGNATURE_RS256, /**< RSASSA-PKCS1-v1_5 with SHA-256 */
    SIGNATURE_ES256, /**< ECDSA with P-256 and SHA-256; 64 bytes, r and s (RFC 7518, 3.4) */
    SIGNATURE_EDDSA, /**< Ed25519 (RFC 8032); 64 bytes */
};

#define SIGNATURE_SIZE_MAX 1024 /**< RSA with 8192 bits */

/** Immutable; may be shared between threads for reading. */
struct public_key;
struct private_key;

/**
 * Loads a PEM public key (or the public half of a PEM private key or certificate). RSA keys have
 * 2048 to 8192 bits, elliptic ones are P-256 or Ed25519. Returns 0, or -EINVAL with a clause in
 * `error` (may be NULL). The caller frees it.
 */
must_check int public_key_load(struct bytes pem, struct text_builder *error,
                               struct public_key **ret_key);
/** An RSA key of modulus and exponent, big-endian (RFC 7518, 6.3.1). 0 or -EINVAL. */
must_check int public_key_from_rsa(struct bytes modulus, struct bytes exponent,
                                   struct public_key **ret_key);
/** A key of the curve P-256 from its coordinates, 32 bytes each (RFC 7518, 6.2.1). 0 or -EINVAL. */
must_check int public_key_from_p256(struct bytes x, struct bytes y, struct public_key **ret_key);
/** An Ed25519 key of 32 bytes (RFC 8037, section 2). 0 or -EINVAL. */
must_check int public_key_from_ed25519(struct bytes x, struct public_key **ret_key);
/** Accepts NULL. */
void public_key_free(struct public_key *key);
enum signature_kind public_key_kind(const struct public_key *key);
/** Whether `signature` is this key's for `data`. */
bool public_key_verify(const struct public_key *key, struct bytes data, struct bytes signature);

/** Loads an unencrypted PEM private key of the same kinds. Returns as public_key_load. */
must_check int private_key_load(struct bytes pem, struct text_builder *error,
                                struct private_key **ret_key);
/** Accepts NULL. */
void private_key_free(struct private_key *key);
enum signature_kind private_key_kind(const struct private_key *key);
/** Signs. Returns the size of the signature in `out`, or -EINVAL. */
must_check int private_key_sign(const struct private_key *key, struct bytes data,
                                uint8_t out[SIGNATURE_SIZE_MAX]);
