/** The claims of a token (signal/access/token.h) from JSON and to it; nothing here judges
 * signatures. */
#pragma once

#include <jansson.h>

#include "signal/access/token.h"

/**
 * Reads the claims of an object. Returns 0; -EBADMSG (a claim of the wrong kind), -ETIME (expired)
 * or -EAGAIN (not valid yet), each with `skew_s` in the holder's favour.
 */
must_check int token_claims_read(json_t *claims, uint64_t now_unix_s, uint64_t skew_s,
                                 struct token_grants *ret_grants);
/** A new object of the claims. */
json_t *token_claims_write(const struct token_grants *grants, uint64_t now_unix_s);
