// The accounts of `roost user`, as signaling lists them.
#include <string.h>

#include "admin/serve_int.h"

/** Place of the first user whose name does not sort before `name`. */
static size_t find_place(const struct user_list *users, const char *name)
{
    size_t low = 0, high = users->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(users->items[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct user *find(const struct serve *serve, const char *name)
{
    return serve->users ? user_list_find(user_watch_users(serve->users), bytes_of_text(name))
                        : NULL;
}

bool serve_is_account(void *owner, const char *name)
{
    // a disabled one keeps its name
    return find(owner, name) != NULL;
}

int64_t serve_account_since(void *owner, const char *name)
{
    const struct user *user = find(owner, name);
    return user ? user->created_unix_s * 1000 : 0;
}

size_t serve_contact_accounts(void *owner, const char *prefix, size_t limit,
                              struct contact_account *ret_accounts)
{
    const struct serve *serve = owner;
    if (!serve->users)
        return 0;
    const struct user_list *users = user_watch_users(serve->users);
    size_t count = 0, length = strlen(prefix);
    for (size_t i = find_place(users, prefix); i < users->count && count < limit; i++) {
        const struct user *user = &users->items[i];
        if (strncmp(user->name, prefix, length) != 0)
            break;
        // longer ones serve TURN or MQTT alone: nobody can register them here
        if (!user->disabled && strlen(user->name) < CALL_NAME_SIZE)
            ret_accounts[count++] =
                (struct contact_account){ .user = user->name, .name = user->display_name };
    }
    return count;
}
