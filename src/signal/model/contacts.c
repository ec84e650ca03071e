#include "signal/model/contacts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/model/calls_int.h"

/** ---- who is registered ---- */

/** Place of the first user whose name does not sort before `name`. */
static size_t find_place(const struct contact_index *index, const char *name)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(index->users[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void contact_index_add(struct contact_index *index, struct call_user *user)
{
    if (user->is_shown)
        return;
    user->is_shown = true;
    if (index->count == index->capacity) {
        index->capacity = max_of(index->capacity * 2, (size_t)64);
        index->users = memory_resize(index->users, index->capacity * sizeof(struct call_user *));
    }
    size_t place = find_place(index, user->name);
    memmove(index->users + place + 1, index->users + place,
            (index->count - place) * sizeof(struct call_user *));
    index->users[place] = user;
    index->count++;
}

void contact_index_remove(struct contact_index *index, struct call_user *user)
{
    if (!user->is_shown)
        return;
    user->is_shown = false;
    size_t place = find_place(index, user->name);
    index->count--;
    memmove(index->users + place, index->users + place + 1,
            (index->count - place) * sizeof(struct call_user *));
}

void contact_index_done(struct contact_index *index)
{
    free(index->users);
    *index = (struct contact_index){ 0 };
}

/** ---- lists ---- */

static bool is_verified(const struct call_user *user)
{
    // devices that share a name are all verified
    const struct call_device *first =
        container_of(user->devices.next, struct call_device, user_node);
    return first->verified;
}

static struct contact contact_of_account(const struct call_directory *directory,
                                         const struct contact_account *account)
{
    struct presence_view view = presence_of(directory, account->user);
    const char *name = account->name ? account->name : account->user;
    return (struct contact){
        .user = account->user, .name = view.name ? view.name : name, .verified = true, .view = view
    };
}

static struct contact contact_of_user(const struct call_directory *directory,
                                      const struct call_user *user)
{
    struct presence_view view = presence_of(directory, user->name);
    return (struct contact){
        .user = user->name, .name = view.name, .verified = is_verified(user), .view = view
    };
}

/** Both lists are sorted; who is in both comes once. */
struct merge {
    const struct contact_account *accounts;
    size_t account_count;
    struct call_user *const *users;
    size_t user_count;
};

static bool take_next(const struct call_directory *directory, struct merge *merge,
                      struct contact *ret_contact)
{
    if (merge->account_count == 0 && merge->user_count == 0)
        return false;
    int order = merge->account_count == 0 ? 1
                : merge->user_count == 0  ? -1
                                          : strcmp(merge->accounts->user, merge->users[0]->name);
    if (order <= 0)
        *ret_contact = contact_of_account(directory, merge->accounts);
    else
        *ret_contact = contact_of_user(directory, merge->users[0]);
    if (order <= 0) {
        merge->accounts++;
        merge->account_count--;
    }
    if (order >= 0) {
        merge->users++;
        merge->user_count--;
    }
    return true;
}

int contacts_list(const struct call_directory *directory, const struct call_device *asker,
                  const char *prefix, size_t limit, struct contact *ret_contacts)
{
    ensure(limit > 0 && limit <= CONTACTS_MAX);
    if (!asker->user)
        return -ENOENT;
    const struct call_directory_config *config = &directory->config;
    if (!asker->verified && config->hide_guests)
        return -EACCES;
    // one more: the asker's own is left out
    cleanup(memory_free_at) struct contact_account *accounts =
        memory_new_array(struct contact_account, limit + 1);
    struct merge merge = { .accounts = accounts };
    if (asker->verified && config->accounts)
        merge.account_count = config->accounts(config->owner, prefix, limit + 1, accounts);
    const struct contact_index *index = &directory->shown;
    size_t place = find_place(index, prefix), length = strlen(prefix);
    merge.users = index->users + place;
    while (place + merge.user_count < index->count && merge.user_count <= limit &&
           strncmp(merge.users[merge.user_count]->name, prefix, length) == 0)
        merge.user_count++;
    size_t count = 0;
    while (count < limit && take_next(directory, &merge, &ret_contacts[count]))
        count += strcmp(ret_contacts[count].user, asker->user->name) != 0;
    return (int)count;
}
