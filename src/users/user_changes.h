/** What became of users between two readings of the store. */
#pragma once

#include "users/user_store.h"

enum user_fate {
    USER_IS_NEW,     /**< added: the name is this user's alone from now on */
    USER_IS_GONE,    /**< removed or disabled: whoever is here as this user has to go */
    USER_IS_REKEYED, /**< another password: whoever came with the old one has to go */
    USER_IS_RENAMED, /**< another role or display name */
};

struct user_change {
    const char *name; /**< of one of the two lists */
    enum user_fate fate;
};

struct user_changes {
    struct user_change *items; /**< heap; by name */
    size_t count;
    size_t capacity;
};

/** Both lists must live as long as the changes. */
void user_changes_find(const struct user_list *before, const struct user_list *after,
                       struct user_changes *ret_changes);
/** Accepts a zeroed value. */
void user_changes_done(struct user_changes *changes);
