// Tokens: arbitrary bytes as a token, as the claims of a genuine one, and as a set of keys. The
// first byte chooses.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "crypto/hmac.h"
#include "signal/access/token_keys.h"

#define NOW_UNIX_S 1800000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[32] = { 1, 2, 3 };

static int verify(struct bytes token, struct token_grants *grants)
{
    struct token_keys *keys = token_keys_new();
    ensure(token_keys_add_secret(keys, "k", bytes_of(secret, sizeof(secret))) == 0);
    int result =
        token_verify_with((const struct token_keys *const[]){ NULL, keys }, 2,
                          &(struct token_policy){ .skew_s = 5 }, token, NOW_UNIX_S, grants);
    token_keys_free(keys);
    return result;
}

/** A token with these claims and a good signature. */
static char *sign(struct bytes claims)
{
    static const char header[] = "{\"alg\":\"HS256\",\"kid\":\"k\"}";
    char *token = memory_allocate(1, 256 + TEXT_BASE64_SIZE(claims.size));
    text_base64url_write(bytes_of_text(header), token);
    strcat(token, ".");
    text_base64url_write(claims, token + strlen(token));
    uint8_t code[HMAC_SHA256_SIZE];
    hmac_sha256(bytes_of(secret, sizeof(secret)), bytes_of_text(token), code);
    strcat(token, ".");
    text_base64url_write(bytes_of(code, sizeof(code)), token + strlen(token));
    return token;
}

static void check_grants(const struct token_grants *grants)
{
    ensure(memchr(grants->room, 0, sizeof(grants->room)) != NULL);
    ensure(memchr(grants->user, 0, sizeof(grants->user)) != NULL);
    ensure(grants->expires_unix_s == 0 || grants->expires_unix_s + 5 > NOW_UNIX_S);
    ensure((grants->denials.publish & ~ROOM_SOURCES_ALL) == 0);
    (void)token_admits(grants, "room");
    // what was granted can be said again
    char *again = token_mint(grants, bytes_of(secret, sizeof(secret)), grants->issued_unix_s);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > TOKEN_SIZE_MAX)
        return 0;
    struct bytes input = bytes_of(data + 1, size - 1);
    struct token_grants grants;
    if (data[0] % 3 == 0) {
        ensure(verify(input, &grants) < 0); // nobody guesses the secret
    } else if (data[0] % 3 == 1) {
        char *token = sign(input);
        if (verify(bytes_of_text(token), &grants) == 0)
            check_grants(&grants);
        free(token);
    } else {
        struct token_keys *keys = token_keys_new();
        int added = token_keys_add_text(keys, input, TOKEN_TRUST_ALL, NULL);
        ensure(added < 0 || token_keys_count(keys) == (size_t)added);
        token_keys_free(keys);
    }
    return 0;
}
