/**
 * Tokens that are made for whoever shows the password of an account. They are good as long as the
 * account is as it was then: not when it is gone, disabled, has another role or another password.
 * That is told by their id, a code over the account, so nothing need be kept of them.
 */
#pragma once

#include "signal/access/token.h"
#include "users/user_store.h"

/** `key` is what signs tokens. */
void account_token_id(const struct user *user, struct bytes key, char out[TOKEN_NAME_SIZE]);
/** False for a token of this kind whose account is not as it was; true for other tokens. */
bool account_token_stands(const struct user_list *users, struct bytes key,
                          const struct token_grants *grants);
