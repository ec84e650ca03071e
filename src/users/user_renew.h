/**
 * Accounts that have digest keys alone, as stores of before had, get SCRAM verifiers when somebody
 * signs in to them: only then is the password there to make them of. All is done on a thread of its
 * own; what cannot be done now is done at another login.
 */
#pragma once

#include "base/log.h"
#include "runtime/loop.h"
#include "users/user_store.h"

struct user_renew;

struct user_renew_config {
    struct loop *loop;     /**< required */
    const char *path;      /**< of users.db; must live as long */
    const struct log *log; /**< NULL: silent */
};

/** Returns 0, or a negative errno: no thread can be had. */
must_check int user_renew_new(const struct user_renew_config *config,
                              struct user_renew **ret_renew);
/** Waits for what is under way. Accepts NULL; returns NULL. */
struct user_renew *user_renew_free(struct user_renew *renew);
/** `password` is the user's, as somebody typed it. Nothing for a user who has verifiers. */
void user_renew_keys(struct user_renew *renew, const struct user *user, struct bytes password);
