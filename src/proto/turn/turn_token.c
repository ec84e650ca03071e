#include "proto/turn/turn_token_int.h"

#include <errno.h>

#include "base/memory.h"
#include "base/text.h"
#include "crypto/aead.h"

/** What is encrypted: key length, key, timestamp, lifetime. */
#define PLAIN_SIZE(mac_key_size) (2 + (mac_key_size) + 8 + 4)
#define PLAIN_MAX                PLAIN_SIZE(TURN_TOKEN_MAC_KEY_MAX)

static bool key_is_valid(const struct turn_token_key *key, int64_t now_unix_s)
{
    return (key->not_before_s == 0 || now_unix_s >= key->not_before_s) &&
           (key->not_after_s == 0 || now_unix_s <= key->not_after_s);
}

/** Reads what was encrypted. Returns 0, -EBADMSG or -ETIME. */
static int read_plain(struct bytes plain, int64_t now_unix_s, struct turn_token *token)
{
    struct reader reader = reader_of(plain.data, plain.size);
    token->mac_key_size = (uint8_t)min_of(reader_u16(&reader), UINT8_MAX);
    if (token->mac_key_size < TURN_TOKEN_MAC_KEY_MIN ||
        token->mac_key_size > TURN_TOKEN_MAC_KEY_MAX)
        return -EBADMSG;
    reader_copy(&reader, token->mac_key, token->mac_key_size);
    int64_t made_s = (int64_t)(reader_u64(&reader) >> 16);
    uint32_t lifetime_s = reader_u32(&reader);
    if (!reader_finished(&reader))
        return -EBADMSG;
    token->expires_unix_s = made_s + lifetime_s;
    bool early = made_s > now_unix_s + TURN_TOKEN_GRACE_S;
    bool late = token->expires_unix_s + TURN_TOKEN_GRACE_S < now_unix_s;
    return early || late ? -ETIME : 0;
}

/** Decrypts `sealed` to `plain`, which holds PLAIN_MAX. Returns 0 or -EBADMSG. */
static int open_sealed(const struct turn_token_key *key, const char *server_name,
                       const uint8_t iv[AEAD_IV_SIZE], struct bytes sealed, uint8_t *plain)
{
    struct aead *aead = aead_new(NULL, bytes_of(key->key, key->key_size));
    int result = aead_open(aead, iv, bytes_of_text(server_name), sealed, plain);
    aead_free(aead);
    return result == 0 ? 0 : -EBADMSG;
}

int turn_token_open(const struct turn_token_key *key, const char *server_name, struct bytes token,
                    int64_t now_unix_s, struct turn_token *ret_token)
{
    // every length is known before anything is copied (CVE-2026-43994)
    struct reader reader = reader_of(token.data, token.size);
    if (reader_u16(&reader) != AEAD_IV_SIZE)
        return -EBADMSG;
    struct bytes iv = reader_bytes(&reader, AEAD_IV_SIZE);
    struct bytes sealed = reader_bytes(&reader, reader_left(&reader));
    if (reader.failed || sealed.size > PLAIN_MAX + AEAD_TAG_SIZE)
        return -EBADMSG;
    if (!key_is_valid(key, now_unix_s))
        return -ETIME;
    uint8_t plain[PLAIN_MAX];
    struct turn_token opened = { 0 };
    int result = open_sealed(key, server_name, iv.data, sealed, plain);
    if (result == 0)
        result = read_plain(bytes_of(plain, sealed.size - AEAD_TAG_SIZE), now_unix_s, &opened);
    if (result == 0)
        *ret_token = opened;
    memory_wipe(plain, sizeof(plain));
    memory_wipe(&opened, sizeof(opened));
    return result;
}
