/** Whom a user can call and write to: accounts, there or not, and whoever is registered now. */
#pragma once

#include "base/bytes.h"
#include "signal/model/presence.h"

struct call_device;
struct call_directory;
struct call_user;

#define CONTACTS_MAX 1000 /**< in one list */

/** An account as its owner names it. */
struct contact_account {
    const char *user;
    const char *name; /**< display name; NULL: none was given */
};

struct contact {
    const char *user;
    const char *name; /**< display name */
    bool verified;
    struct presence_view view;
};

/**
 * Lists users whose names begin with `prefix` ("": all), sorted by name, at most `limit` (1 to
 * CONTACTS_MAX), without the asker's own. A verified asker sees accounts too that are offline; a
 * guest those who are registered. Returns how many; -ENOENT: the asker is not registered; -EACCES:
 * it is a guest, and these are hidden. The texts are good until users or accounts change.
 */
must_check int contacts_list(const struct call_directory *directory,
                             const struct call_device *asker, const char *prefix, size_t limit,
                             struct contact *ret_contacts);

/** ---- for the rest of the model ---- */

/** Users who are registered and shown, sorted by name. Part of a call_directory. */
struct contact_index {
    struct call_user **users;
    size_t count;
    size_t capacity;
};

/** Shows the user to others; harmless when it is shown. */
void contact_index_add(struct contact_index *index, struct call_user *user);
/** Harmless when it is not shown. */
void contact_index_remove(struct contact_index *index, struct call_user *user);
void contact_index_done(struct contact_index *index);
