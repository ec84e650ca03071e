/** One change of the user store, whole or not at all: what `roost user` and the control API ask
 * for. */
#pragma once

#include "base/random.h"
#include "users/user_store.h"

/** Whether digest keys are made of a password. */
enum user_digest {
    USER_DIGEST_AS_IT_IS, /**< if there were some; none for a new user */
    USER_DIGEST_NO,
    USER_DIGEST_YES,
};

struct user_edit {
    enum {
        USER_EDIT_ADD,
        USER_EDIT_CHANGE,
        USER_EDIT_REMOVE,
    } kind;
    const char *name;
    const char *realm;
    const char *password;     /**< as opaque_string_prepare has it; NULL: as it is */
    const char *display_name; /**< NULL: as it is; "": none */
    enum user_digest digest;  /**< of the password */
    bool has_role;
    enum user_role role;
    bool has_disabled;
    bool disabled;
};

/**
 * Blocks, also for the 4 ms that a password takes. A user who is added has a password. Returns 0
 * or what the calls of the store return: -EEXIST, -ENOENT, -EINVAL; user_store_problem then says
 * more.
 */
must_check int user_edit_apply(struct user_store *store, const struct user_edit *edit,
                               struct random *random, int64_t now_unix_s);
