/**
 * AES-GCM (NIST SP 800-38D) with 12-byte IVs and 16-byte tags. The key schedule is made once; each
 * packet only sets the IV. An `struct aead` belongs to one thread at a time.
 */
#pragma once

#include "base/bytes.h"
#include "crypto/cipher.h"

#define AEAD_IV_SIZE      12
#define AEAD_TAG_SIZE     16
#define AEAD_KEY_SIZE_MAX 32

struct aead;

/**
 * `key` is 16 bytes (AES-128) or 32 bytes (AES-256). `provider` may be NULL: OpenSSL.
 * Never NULL.
 */
struct aead *aead_new(const struct cipher_provider *provider, struct bytes key);
void aead_free(struct aead *aead);
/**
 * Encrypts `plain` to `out` and appends the tag: plain.size + AEAD_TAG_SIZE bytes. `out` may be
 * `plain.data` itself, else they must not overlap. An IV must never be used twice with one key.
 */
void aead_seal(struct aead *aead, const uint8_t iv[AEAD_IV_SIZE], struct bytes additional,
               struct bytes plain, uint8_t *out);
/** Brings the key schedule into the processor's cache, for a seal that comes soon. */
void aead_prefetch(const struct aead *aead);
/**
 * Checks and decrypts `sealed` (ciphertext and tag) to `out`: sealed.size - AEAD_TAG_SIZE bytes.
 * `out` may be `sealed.data`. Returns 0, -EINVAL when shorter than a tag, or -EBADMSG: then `out`
 * holds nothing of use.
 */
must_check int aead_open(struct aead *aead, const uint8_t iv[AEAD_IV_SIZE], struct bytes additional,
                         struct bytes sealed, uint8_t *out);
