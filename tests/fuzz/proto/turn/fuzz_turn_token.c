// Access tokens: arbitrary bytes as a token, and as what is inside of a genuine one (first byte
// odd).
#include <string.h>

#include "crypto/aead.h"
#include "proto/turn/turn_token_int.h"

#define NOW_UNIX_S 1800000000
#define NAME       "turn.example.org"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Encrypts `plain` into a token at `out`. Returns its size. */
static size_t make_token(const struct turn_token_key *key, struct bytes plain, uint8_t *out)
{
    static const uint8_t iv[AEAD_IV_SIZE] = { 7 };
    store_u16(out, sizeof(iv));
    memcpy(out + 2, iv, sizeof(iv));
    struct aead *aead = aead_new(NULL, bytes_of(key->key, key->key_size));
    aead_seal(aead, iv, bytes_of_text(NAME), plain, out + 2 + sizeof(iv));
    aead_free(aead);
    return 2 + sizeof(iv) + plain.size + AEAD_TAG_SIZE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct turn_token_key key = {
        .kid = "kid-1", .algorithm = TURN_TOKEN_A256GCM, .key = { 1, 2, 3 }, .key_size = 32
    };
    uint8_t made[512];
    struct turn_token token;
    if (size < 1 || size > 256)
        return 0;
    struct bytes input = bytes_of(data + 1, size - 1);
    bool genuine = data[0] & 1;
    if (genuine)
        input = bytes_of(made, make_token(&key, input, made));
    if (turn_token_open(&key, NAME, input, NOW_UNIX_S, &token) != 0)
        return 0;
    ensure(genuine);
    ensure(token.mac_key_size >= TURN_TOKEN_MAC_KEY_MIN &&
           token.mac_key_size <= TURN_TOKEN_MAC_KEY_MAX);
    ensure(token.expires_unix_s >= NOW_UNIX_S - 5);
    ensure(memcmp(token.mac_key, data + 3, token.mac_key_size) == 0);
    return 0;
}
