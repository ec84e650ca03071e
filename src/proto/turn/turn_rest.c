#include "base/memory.h"
#include "base/text.h"
#include "proto/turn/turn_settings_int.h"

_Static_assert(TURN_REST_PASSWORD_SIZE == TEXT_BASE64_SIZE(HMAC_SHA1_SIZE), "a code in base64");

void turn_rest_password_key(const struct hmac_key *key, struct bytes username,
                            char out[TURN_REST_PASSWORD_SIZE])
{
    ensure(key->kind == HASH_SHA1);
    struct hmac hmac;
    uint8_t code[HMAC_SHA1_SIZE];
    hmac_begin(&hmac, key);
    hmac_add(&hmac, username);
    hmac_end(&hmac, code);
    text_base64_write(bytes_of(code, sizeof(code)), out);
    memory_wipe(code, sizeof(code));
}

void turn_rest_password(struct bytes secret, struct bytes username,
                        char out[TURN_REST_PASSWORD_SIZE])
{
    struct hmac_key key;
    hmac_key_init(&key, HASH_SHA1, secret);
    turn_rest_password_key(&key, username, out);
    hmac_key_wipe(&key);
}
