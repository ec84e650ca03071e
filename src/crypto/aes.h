/** AES in counter mode (SP 800-38A), as AES-CM of SRTP uses it (RFC 3711, 4.1.1). */
#pragma once

#include "base/bytes.h"

#define AES_BLOCK_SIZE_BYTES 16

struct aes_counter;

/** `key` is 16 or 32 bytes. Never NULL. Belongs to one thread at a time. */
struct aes_counter *aes_counter_new(struct bytes key);
void aes_counter_free(struct aes_counter *counter);
/**
 * XORs `in` with the key stream that starts at counter block `iv` into `out` (may be `in.data`).
 */
void aes_counter_crypt(struct aes_counter *counter, const uint8_t iv[AES_BLOCK_SIZE_BYTES],
                       struct bytes in, uint8_t *out);
