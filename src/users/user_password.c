#include "users/user_password.h"

bool user_list_admits(const struct user_list *list, struct bytes name, struct bytes password)
{
    static const struct user_keys no_keys;
    const struct user *user = name.size > 0 ? user_list_find(list, name) : NULL;
    bool admitted = user ? user_keys_admit(&user->keys, user->name, user->realm, password)
                         : user_keys_admit(&no_keys, "", "", password);
    return admitted && !user->disabled;
}
