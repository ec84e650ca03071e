#include "users/user_changes.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static void add(struct user_changes *changes, const struct user *user, enum user_fate fate)
{
    if (changes->count == changes->capacity) {
        changes->capacity = max_of(changes->capacity * 2, (size_t)16);
        changes->items =
            memory_resize(changes->items, changes->capacity * sizeof(changes->items[0]));
    }
    changes->items[changes->count++] = (struct user_change){ user->name, fate };
}

static bool same_text(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

static void compare(struct user_changes *changes, const struct user *before,
                    const struct user *after)
{
    // who was removed and made again is somebody else
    if (!after || after->created_unix_s != before->created_unix_s ||
        (after->disabled && !before->disabled))
        add(changes, before, USER_IS_GONE);
    else if (!user_keys_same_password(&before->keys, &after->keys))
        add(changes, before, USER_IS_REKEYED);
    else if (before->role != after->role || !same_text(before->display_name, after->display_name))
        add(changes, before, USER_IS_RENAMED);
}

static int order_of(const struct user *one, const struct user *other)
{
    int order = strcmp(one->name, other->name);
    return order ? order : strcmp(one->realm, other->realm);
}

void user_changes_find(const struct user_list *before, const struct user_list *after,
                       struct user_changes *ret_changes)
{
    // both are sorted
    *ret_changes = (struct user_changes){ 0 };
    size_t at = 0;
    for (size_t i = 0; i < before->count; i++) {
        const struct user *user = &before->items[i];
        for (; at < after->count && order_of(&after->items[at], user) < 0; at++)
            add(ret_changes, &after->items[at], USER_IS_NEW);
        bool is_there = at < after->count && order_of(&after->items[at], user) == 0;
        compare(ret_changes, user, is_there ? &after->items[at] : NULL);
        at += is_there;
    }
    for (; at < after->count; at++)
        add(ret_changes, &after->items[at], USER_IS_NEW);
}

void user_changes_done(struct user_changes *changes)
{
    free(changes->items);
    *changes = (struct user_changes){ 0 };
}
