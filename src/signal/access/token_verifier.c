#include "signal/access/token_verifier.h"

#include <errno.h>

static bool is_revoked(const struct token_verifier *verifier, const struct token_grants *grants)
{
    return token_revocations_cover(&verifier->revocations, grants->id, grants->user,
                                   grants->issued_unix_s) ||
           (verifier->stands && !verifier->stands(verifier->stands_owner, grants));
}

int token_verifier_check(const struct token_verifier *verifier, struct bytes token,
                         uint64_t now_unix_s, struct token_grants *ret_grants)
{
    const struct token_keys *const sets[] = { verifier->own, verifier->remote };
    struct token_grants grants;
    int result =
        token_verify_with(sets, array_size(sets), &verifier->policy, token, now_unix_s, &grants);
    if (result == -ENOKEY && verifier->key_missing)
        verifier->key_missing(verifier->owner);
    if (result < 0)
        return result;
    if (is_revoked(verifier, &grants))
        return -EKEYREVOKED;
    *ret_grants = grants;
    return 0;
}

bool token_verifier_stands(const struct token_verifier *verifier, const struct token_grants *grants,
                           uint64_t now_unix_s)
{
    bool expired =
        grants->expires_unix_s && grants->expires_unix_s + verifier->policy.skew_s <= now_unix_s;
    return !expired && !is_revoked(verifier, grants);
}

const char *token_problem(int error)
{
    switch (error) {
    case -ETIME:
        return "The token has expired.";
    case -EAGAIN:
        return "The token is not valid yet. Try again later.";
    case -EKEYREVOKED:
        return "The token was revoked. Ask for a new one.";
    default:
        return "The token is not valid.";
    }
}
