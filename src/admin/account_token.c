#include "admin/account_token.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/hmac.h"

#define PREFIX    "login:"
#define CODE_SIZE 24

/** In whatever form it is kept: keys that are made anew of the same password leave it as it is. */
static struct bytes proof_of(const struct user_keys *keys)
{
    return keys->has_digest
               ? bytes_of(keys->sha256, sizeof(keys->sha256))
               : bytes_of(keys->scram_sha256.stored_key, sizeof(keys->scram_sha256.stored_key));
}

void account_token_id(const struct user *user, struct bytes key, char out[TOKEN_NAME_SIZE])
{
    uint8_t code[HMAC_SHA256_SIZE];
    char hex[2 * CODE_SIZE + 1], state[96];
    snprintf(state, sizeof(state), "%lld %lld %s", (long long)user->created_unix_s,
             (long long)user->changed_unix_s, user_role_name(user->role));
    const struct bytes parts[] = { bytes_of_text(PREFIX), bytes_of_text(state),
                                   proof_of(&user->keys), bytes_of_text(user->name) };
    hmac_sha256_parts(key, parts, array_size(parts), code);
    text_hex_write(bytes_of(code, CODE_SIZE), hex);
    snprintf(out, TOKEN_NAME_SIZE, PREFIX "%s", hex);
}

bool account_token_stands(const struct user_list *users, struct bytes key,
                          const struct token_grants *grants)
{
    char id[TOKEN_NAME_SIZE];
    if (!text_starts_with(bytes_of_text(grants->id), PREFIX))
        return true;
    const struct user *user = users ? user_list_find(users, bytes_of_text(grants->user)) : NULL;
    if (!user || user->disabled)
        return false;
    account_token_id(user, key, id);
    return bytes_equal_constant_time(bytes_of_text(id), bytes_of_text(grants->id));
}
