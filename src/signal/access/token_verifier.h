/** All that decides whether a token is good here: keys, policy, revocations. Control thread only.
 */
#pragma once

#include "signal/access/token_keys.h"
#include "signal/access/token_revocations.h"

struct token_verifier {
    struct token_keys *own;    /**< our secret, and the file of the configuration; may be NULL */
    struct token_keys *remote; /**< of an identity provider's address; NULL: none, or not yet */
    struct token_policy policy;
    struct token_revocations revocations;
    /** Called when a token names a key that nobody has; NULL: no address to ask. */
    void (*key_missing)(void *owner);
    void *owner;
    /** Whether a token that is good by itself still holds: false revokes it. NULL: all do. */
    bool (*stands)(void *owner, const struct token_grants *grants);
    void *stands_owner;
};

/** As token_verify_with, and -EKEYREVOKED. */
must_check int token_verifier_check(const struct token_verifier *verifier, struct bytes token,
                                    uint64_t now_unix_s, struct token_grants *ret_grants);
/** Whether what a token granted still holds: it has not expired, and was not revoked since. */
bool token_verifier_stands(const struct token_verifier *verifier, const struct token_grants *grants,
                           uint64_t now_unix_s);
/** What to tell someone whose token gave that error. */
const char *token_problem(int error);
