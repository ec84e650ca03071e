#include "crypto/hmac.h"

#include <string.h>

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "base/memory.h"

#define BLOCK_SIZE 64 // of both SHA-1 and SHA-256

// A saved state is the chaining value after exactly one block; the rest of OpenSSL's context
// follows from that.
static void state_save(const struct hash *hash, uint32_t saved[8])
{
    if (hash->kind == HASH_SHA1) {
        const SHA_CTX *state = (const void *)hash->state;
        saved[0] = state->h0;
        saved[1] = state->h1;
        saved[2] = state->h2;
        saved[3] = state->h3;
        saved[4] = state->h4;
    } else {
        const SHA256_CTX *state = (const void *)hash->state;
        memcpy(saved, state->h, sizeof(state->h));
    }
}

static void state_restore(struct hash *hash, enum hash_kind kind, const uint32_t saved[8])
{
    hash->kind = kind;
    if (kind == HASH_SHA1) {
        SHA_CTX *state = (void *)hash->state;
        state->h0 = saved[0];
        state->h1 = saved[1];
        state->h2 = saved[2];
        state->h3 = saved[3];
        state->h4 = saved[4];
        state->Nl = BLOCK_SIZE * 8;
        state->Nh = 0;
        state->num = 0;
    } else {
        SHA256_CTX *state = (void *)hash->state;
        memcpy(state->h, saved, sizeof(state->h));
        state->Nl = BLOCK_SIZE * 8;
        state->Nh = 0;
        state->num = 0;
        state->md_len = SHA256_DIGEST_LENGTH;
    }
}

static void absorb_padded(uint8_t block[BLOCK_SIZE], uint8_t pad, enum hash_kind kind,
                          uint32_t saved[8])
{
    struct hash hash;
    for (size_t i = 0; i < BLOCK_SIZE; i++)
        block[i] ^= pad;
    hash_begin(&hash, kind);
    hash_add(&hash, bytes_of(block, BLOCK_SIZE));
    state_save(&hash, saved);
    memory_wipe(&hash, sizeof(hash));
    for (size_t i = 0; i < BLOCK_SIZE; i++)
        block[i] ^= pad;
}

void hmac_key_init(struct hmac_key *key, enum hash_kind kind, struct bytes secret)
{
    ensure(kind == HASH_SHA1 || kind == HASH_SHA256);
    uint8_t block[BLOCK_SIZE] = { 0 };
    if (secret.size > BLOCK_SIZE)
        hash_compute(kind, secret, block);
    else if (secret.size > 0)
        memcpy(block, secret.data, secret.size);
    *key = (struct hmac_key){ .kind = kind };
    absorb_padded(block, 0x36, kind, key->inner);
    absorb_padded(block, 0x5c, kind, key->outer);
    memory_wipe(block, sizeof(block));
}

void hmac_key_wipe(struct hmac_key *key)
{
    memory_wipe(key, sizeof(*key));
}

void hmac_begin(struct hmac *hmac, const struct hmac_key *key)
{
    hmac->key = key;
    state_restore(&hmac->hash, key->kind, key->inner);
}

void hmac_add(struct hmac *hmac, struct bytes data)
{
    hash_add(&hmac->hash, data);
}

/** As hash_end, without its wipe: the state tells nothing of the key beyond the code itself. */
static void finish(struct hash *hash, uint8_t *out)
{
    if (hash->kind == HASH_SHA1)
        SHA1_Final(out, (void *)hash->state);
    else
        SHA256_Final(out, (void *)hash->state);
}

void hmac_end(struct hmac *hmac, uint8_t *out)
{
    uint8_t digest[HASH_SIZE_MAX];
    finish(&hmac->hash, digest);
    state_restore(&hmac->hash, hmac->key->kind, hmac->key->outer);
    hash_add(&hmac->hash, bytes_of(digest, hash_size(hmac->key->kind)));
    finish(&hmac->hash, out);
}

static void compute_parts(enum hash_kind kind, struct bytes secret, const struct bytes *parts,
                          size_t count, uint8_t *out)
{
    struct hmac_key key;
    struct hmac hmac;
    hmac_key_init(&key, kind, secret);
    hmac_begin(&hmac, &key);
    for (size_t i = 0; i < count; i++)
        hmac_add(&hmac, parts[i]);
    hmac_end(&hmac, out);
    hmac_key_wipe(&key);
}

void hmac_sha1_parts(struct bytes key, const struct bytes *parts, size_t count,
                     uint8_t out[HMAC_SHA1_SIZE])
{
    compute_parts(HASH_SHA1, key, parts, count, out);
}

void hmac_sha256_parts(struct bytes key, const struct bytes *parts, size_t count,
                       uint8_t out[HMAC_SHA256_SIZE])
{
    compute_parts(HASH_SHA256, key, parts, count, out);
}

void hmac_sha1(struct bytes key, struct bytes data, uint8_t out[HMAC_SHA1_SIZE])
{
    compute_parts(HASH_SHA1, key, &data, 1, out);
}

void hmac_sha256(struct bytes key, struct bytes data, uint8_t out[HMAC_SHA256_SIZE])
{
    compute_parts(HASH_SHA256, key, &data, 1, out);
}
