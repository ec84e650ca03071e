/** PBKDF2 (RFC 8018 section 5.2) with HMAC: a key from a password, at a price per guess. */
#pragma once

#include "base/bytes.h"
#include "crypto/hash.h"

#define PBKDF2_SALT_SIZE_MAX 64

/**
 * One block of output: hash_size(kind) bytes, which is Hi() of RFC 5802. `kind` is HASH_SHA1 or
 * HASH_SHA256, `salt` has at most PBKDF2_SALT_SIZE_MAX bytes, `iterations` is at least 1. Takes
 * about 0.1 us per iteration.
 */
void pbkdf2_block(enum hash_kind kind, struct bytes password, struct bytes salt,
                  uint32_t iterations, uint8_t *out);
