/** The inside of a set of keys. */
#pragma once

#include "crypto/public_key.h"
#include "signal/access/token_keys.h"

struct token_key {
    char kid[TOKEN_KID_SIZE]; /**< "" : none */
    struct public_key *public;
    uint8_t *secret; /**< for HS256; NULL: a public key */
    size_t secret_size;
    enum token_trust trust;
};

struct token_keys {
    struct token_key items[TOKEN_KEYS_MAX];
    size_t count;
};
