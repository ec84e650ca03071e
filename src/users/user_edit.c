#include "users/user_edit.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"

/** Returns 0, or -ENOENT with `ret_digest` untouched. */
static int has_digest(struct user_store *store, const struct user_edit *edit, bool *ret_digest)
{
    struct user_list users;
    int result = user_store_read(store, edit->realm, &users);
    if (result < 0)
        return result;
    const struct user *user = user_list_find(&users, bytes_of_text(edit->name));
    if (user)
        *ret_digest = user->keys.has_digest;
    else
        result = -ENOENT;
    user_list_done(&users);
    return result;
}

/** Before the store is locked. Returns 0 or a negative errno. */
static int make_keys(struct user_store *store, const struct user_edit *edit, struct random *random,
                     struct user_keys *ret_keys)
{
    bool digest = edit->digest == USER_DIGEST_YES;
    int result = 0;
    if (!edit->password)
        return edit->kind == USER_EDIT_ADD ? -EINVAL : 0;
    if (edit->kind == USER_EDIT_CHANGE && edit->digest == USER_DIGEST_AS_IT_IS)
        result = has_digest(store, edit, &digest);
    if (result == 0)
        user_keys_make(ret_keys, edit->name, edit->realm, edit->password, digest, random);
    return result;
}

static int apply(struct user_store *store, const struct user_edit *edit,
                 const struct user_keys *keys, int64_t now_unix_s)
{
    const char *name = edit->name, *realm = edit->realm;
    int result = 0;
    if (edit->kind == USER_EDIT_REMOVE)
        return user_store_remove(store, name, realm);
    if (edit->kind == USER_EDIT_ADD)
        result = user_store_add(store, name, realm, keys, now_unix_s);
    else if (edit->password)
        result = user_store_set_keys(store, name, realm, keys, now_unix_s);
    if (result == 0 && edit->has_role)
        result = user_store_set_role(store, name, realm, edit->role);
    if (result == 0 && edit->display_name)
        result = user_store_set_display_name(store, name, realm,
                                             *edit->display_name ? edit->display_name : NULL);
    if (result == 0 && edit->has_disabled)
        result = user_store_set_disabled(store, name, realm, edit->disabled);
    return result;
}

int user_edit_apply(struct user_store *store, const struct user_edit *edit, struct random *random,
                    int64_t now_unix_s)
{
    struct user_keys keys;
    int result = make_keys(store, edit, random, &keys);
    if (result == 0)
        result = user_store_begin(store);
    if (result == 0) {
        result = apply(store, edit, &keys, now_unix_s);
        int end = user_store_end(store, result == 0);
        result = result < 0 ? result : end;
    }
    memory_wipe(&keys, sizeof(keys));
    return result;
}
