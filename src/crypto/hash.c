#include "crypto/hash.h"

// The low-level digests: no allocation, no look-up of algorithms, states that copy as values.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/md5.h>
#include <openssl/sha.h>

#include "base/memory.h"

_Static_assert(sizeof(MD5_CTX) <= sizeof(((struct hash *)0)->state), "room for MD5");
_Static_assert(sizeof(SHA_CTX) <= sizeof(((struct hash *)0)->state), "room for SHA-1");
_Static_assert(sizeof(SHA256_CTX) <= sizeof(((struct hash *)0)->state), "room for SHA-256");
_Static_assert(sizeof(SHA512_CTX) <= sizeof(((struct hash *)0)->state), "room for SHA-512");

size_t hash_size(enum hash_kind kind)
{
    switch (kind) {
    case HASH_MD5:
        return HASH_MD5_SIZE;
    case HASH_SHA1:
        return HASH_SHA1_SIZE;
    case HASH_SHA256:
        return HASH_SHA256_SIZE;
    case HASH_SHA384:
        return 48;
    case HASH_SHA512:
        return 64;
    }
    __builtin_unreachable();
}

void hash_begin(struct hash *hash, enum hash_kind kind)
{
    hash->kind = kind;
    void *state = hash->state;
    switch (kind) {
    case HASH_MD5:
        MD5_Init(state);
        break;
    case HASH_SHA1:
        SHA1_Init(state);
        break;
    case HASH_SHA256:
        SHA256_Init(state);
        break;
    case HASH_SHA384:
        SHA384_Init(state);
        break;
    case HASH_SHA512:
        SHA512_Init(state);
        break;
    }
}

void hash_add(struct hash *hash, struct bytes data)
{
    if (data.size == 0)
        return;
    void *state = hash->state;
    switch (hash->kind) {
    case HASH_MD5:
        MD5_Update(state, data.data, data.size);
        break;
    case HASH_SHA1:
        SHA1_Update(state, data.data, data.size);
        break;
    case HASH_SHA256:
        SHA256_Update(state, data.data, data.size);
        break;
    case HASH_SHA384:
        SHA384_Update(state, data.data, data.size);
        break;
    case HASH_SHA512:
        SHA512_Update(state, data.data, data.size);
        break;
    }
}

void hash_end(struct hash *hash, uint8_t *out)
{
    void *state = hash->state;
    switch (hash->kind) {
    case HASH_MD5:
        MD5_Final(out, state);
        break;
    case HASH_SHA1:
        SHA1_Final(out, state);
        break;
    case HASH_SHA256:
        SHA256_Final(out, state);
        break;
    case HASH_SHA384:
        SHA384_Final(out, state);
        break;
    case HASH_SHA512:
        SHA512_Final(out, state);
        break;
    }
    memory_wipe(hash->state, sizeof(hash->state));
}

void hash_compute(enum hash_kind kind, struct bytes data, uint8_t *out)
{
    struct hash hash;
    hash_begin(&hash, kind);
    hash_add(&hash, data);
    hash_end(&hash, out);
}

void hash_md5(struct bytes data, uint8_t out[HASH_MD5_SIZE])
{
    hash_compute(HASH_MD5, data, out);
}

void hash_sha1(struct bytes data, uint8_t out[HASH_SHA1_SIZE])
{
    hash_compute(HASH_SHA1, data, out);
}

void hash_sha256(struct bytes data, uint8_t out[HASH_SHA256_SIZE])
{
    hash_compute(HASH_SHA256, data, out);
}
