#include "users/user_password.h"

#include <string.h>

#include "base/text.h"
#include "crypto/hash.h"

static const struct user *find(const struct user_list *list, struct bytes name)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *at = list->items[middle].name;
        size_t length = strlen(at);
        int order = memcmp(name.data, at, min_of(name.size, length));
        if (order == 0 && name.size == length)
            return &list->items[middle];
        if (order < 0 || (order == 0 && name.size < length))
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool user_list_admits(const struct user_list *list, struct bytes name, struct bytes password)
{
    static const struct user nobody = { .realm = (char *)(uintptr_t) "", .disabled = true };
    const struct user *user = name.size > 0 ? find(list, name) : NULL;
    if (!user)
        user = &nobody;
    uint8_t key[USER_SHA256_SIZE];
    struct hash hash;
    hash_begin(&hash, HASH_SHA256);
    hash_add(&hash, name);
    hash_add(&hash, bytes_of_text(":"));
    hash_add(&hash, bytes_of_text(user->realm));
    hash_add(&hash, bytes_of_text(":"));
    hash_add(&hash, password);
    hash_end(&hash, key);
    bool same = bytes_equal_constant_time(bytes_of(key, sizeof(key)),
                                          bytes_of(user->keys.sha256, USER_SHA256_SIZE));
    return same && !user->disabled;
}
