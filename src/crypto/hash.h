/** Message digests (FIPS 180-4; MD5 only where an old protocol asks for it). */
#pragma once

#include "base/bytes.h"

enum hash_kind {
    HASH_MD5, /**< RFC 1321: SIP digests, TURN's long-term key; never for new designs */
    HASH_SHA1,
    HASH_SHA256,
    HASH_SHA384,
    HASH_SHA512,
};

#define HASH_MD5_SIZE    16
#define HASH_SHA1_SIZE   20
#define HASH_SHA256_SIZE 32
#define HASH_SIZE_MAX    64

/** Bytes of a digest of this kind. */
size_t hash_size(enum hash_kind kind);
/** The digest of `data`; `out` holds hash_size(kind). Cannot fail, allocates nothing. */
void hash_compute(enum hash_kind kind, struct bytes data, uint8_t *out);

void hash_md5(struct bytes data, uint8_t out[HASH_MD5_SIZE]);
/** WebSocket's accept key (RFC 6455, 4.2.2) is one of these. */
void hash_sha1(struct bytes data, uint8_t out[HASH_SHA1_SIZE]);
void hash_sha256(struct bytes data, uint8_t out[HASH_SHA256_SIZE]);

/** A digest in progress. A value: may be copied to fork it, needs no release. */
struct hash {
    _Alignas(8) uint8_t state[216];
    enum hash_kind kind;
};

void hash_begin(struct hash *hash, enum hash_kind kind);
void hash_add(struct hash *hash, struct bytes data);
/** Writes the digest and wipes the state. */
void hash_end(struct hash *hash, uint8_t *out);
