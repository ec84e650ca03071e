#include "proto/turn/turn_nonce_int.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"

#define COOKIE        "obMatJos2"
#define COOKIE_SIZE   9
#define FEATURES_SIZE 4 /**< 24 bits in base64 */
#define HEAD_SIZE     (COOKIE_SIZE + FEATURES_SIZE)
#define TIME_SIZE     3
#define PORT_SIZE     2
#define CODE_SIZE     8
#define BODY_SIZE     (TIME_SIZE + PORT_SIZE + CODE_SIZE)
#define BODY_TEXT     18 /**< base64url without padding */

_Static_assert(HEAD_SIZE + TEXT_BASE64_SIZE(BODY_SIZE) <= TURN_NONCE_MAX, "a nonce fits");

void turn_nonce_key_init(struct turn_nonce_key *key, struct random *random)
{
    uint8_t secret[HASH_SHA256_SIZE];
    random_fill(random, secret, sizeof(secret));
    hmac_key_init(&key->key, HASH_SHA256, bytes_of(secret, sizeof(secret)));
    memory_wipe(secret, sizeof(secret));
}

/** The code over everything that a nonce is good for. `head` is the cookie and the features. */
static void make_code(const struct turn_nonce_key *key, struct bytes head, struct bytes realm,
                      const uint8_t *time_and_port, const struct net_address *source,
                      uint8_t out[HASH_SHA256_SIZE])
{
    struct net_address plain = net_address_unmapped(source);
    struct hmac hmac;
    hmac_begin(&hmac, &key->key);
    hmac_add(&hmac, head);
    hmac_add(&hmac, bytes_of(time_and_port, TIME_SIZE + PORT_SIZE));
    hmac_add(&hmac, bytes_of(&plain.family, 1));
    hmac_add(&hmac, bytes_of(plain.ip, sizeof(plain.ip)));
    hmac_add(&hmac, realm);
    hmac_end(&hmac, out);
}

size_t turn_nonce_write(const struct turn_nonce_key *key, struct bytes realm, uint32_t features,
                        const struct net_address *source, uint64_t now_us, char out[TURN_NONCE_MAX])
{
    uint8_t bits[3], body[BODY_SIZE], code[HASH_SHA256_SIZE];
    store_u24(bits, features);
    memcpy(out, COOKIE, COOKIE_SIZE);
    text_base64_write(bytes_of(bits, sizeof(bits)), out + COOKIE_SIZE);
    store_u24(body, (uint32_t)(now_us / TIME_US_PER_S) & 0xffffff);
    store_u16(body + TIME_SIZE, source->port);
    make_code(key, bytes_of(out, HEAD_SIZE), realm, body, source, code);
    memcpy(body + TIME_SIZE + PORT_SIZE, code, CODE_SIZE);
    text_base64url_write(bytes_of(body, sizeof(body)), out + HEAD_SIZE);
    return HEAD_SIZE + BODY_TEXT;
}

bool turn_nonce_check(const struct turn_nonce_key *key, struct bytes realm, struct bytes nonce,
                      const struct net_address *source, uint64_t now_us, uint32_t lifetime_s)
{
    uint8_t body[BODY_SIZE], code[HASH_SHA256_SIZE];
    if (nonce.size != HEAD_SIZE + BODY_TEXT ||
        text_base64_parse(bytes_of(nonce.data + HEAD_SIZE, BODY_TEXT), body, sizeof(body)) !=
            BODY_SIZE)
        return false;
    make_code(key, bytes_of(nonce.data, HEAD_SIZE), realm, body, source, code);
    bool genuine = bytes_equal_constant_time(bytes_of(code, CODE_SIZE),
                                             bytes_of(body + TIME_SIZE + PORT_SIZE, CODE_SIZE));
    uint32_t age_s = ((uint32_t)(now_us / TIME_US_PER_S) - load_u24(body)) & 0xffffff;
    return genuine && age_s <= lifetime_s;
}

uint32_t turn_nonce_features(struct bytes nonce)
{
    uint8_t bits[3];
    if (nonce.size < HEAD_SIZE || memcmp(nonce.data, COOKIE, COOKIE_SIZE) != 0 ||
        text_base64_parse(bytes_of(nonce.data + COOKIE_SIZE, FEATURES_SIZE), bits, sizeof(bits)) !=
            sizeof(bits))
        return 0;
    return load_u24(bits);
}
