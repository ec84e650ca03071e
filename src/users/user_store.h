/**
 * The users that an operator made, in an SQLite file of the data folder (users.db). Several
 * processes may have it open: the server and `roost user`. Changes are rare, so it keeps a rollback
 * journal and no write-ahead log: between changes the one file is all there is, to be copied and
 * put back, even under a server that runs.
 *
 * No password is kept, only what user_keys.h makes of it.
 *
 * Every call may block on the disk: job threads and commands only. A store may move between
 * threads, but serves one at a time.
 */
#pragma once

#include "base/bytes.h"
#include "base/text.h"
#include "users/user_keys.h"

#define DATA_FILE_USERS "users.db"

#define USER_NAME_MAX  255 /**< bytes */
#define USER_REALM_MAX 127

#define USER_DISPLAY_NAME_MAX 128

/** Kept for protocols that ask for it: each one's page says what follows from it. */
enum user_role {
    USER_ROLE_USER,
    USER_ROLE_MODERATOR,
    USER_ROLE_OPERATOR,
    USER_ROLE_COUNT,
};

struct user {
    char *name;
    char *realm;
    char *display_name; /**< for people to read; NULL: none was given */
    enum user_role role;
    int64_t created_unix_s;
    int64_t changed_unix_s; /**< of the password */
    bool disabled;
    struct user_keys keys;
};

/** Sorted by name. */
struct user_list {
    struct user *items;
    size_t count;
};

struct user_store;

/**
 * Opens the file, making it (mode 0600) or bringing its schema up to date. Returns 0 or a negative
 * errno with a sentence for the user in `ret_problem`: -EACCES, -EROFS, -EBUSY, -EBADMSG (no user
 * store, or damaged), -ENOTSUP (made by a newer version), -EIO.
 */
must_check int user_store_open(const char *path, struct user_store **ret_store,
                               struct text_builder *ret_problem);
/** Accepts NULL; returns NULL. */
struct user_store *user_store_close(struct user_store *store);

/**
 * Whether a name can be one: UTF-8 of 1 to USER_NAME_MAX bytes without control characters, without
 * ":" (which separates name and realm in the keys), without space at its ends.
 */
bool user_name_is_valid(const char *name);
/** UTF-8 of 1 to USER_DISPLAY_NAME_MAX bytes without control characters or space at its ends. */
bool user_display_name_is_valid(const char *text);
/** "user", "moderator", "operator" */
const char *user_role_name(enum user_role role);
/** Returns 0, or -EINVAL: no role has this name. */
must_check int user_role_parse(struct bytes name, enum user_role *ret_role);

/** All below return 0 or a negative errno; user_store_problem then says more. */

/** -EEXIST: the realm has a user of this name. -EINVAL: no valid name or realm. */
must_check int user_store_add(struct user_store *store, const char *name, const char *realm,
                              const struct user_keys *keys, int64_t now_unix_s);
/** -ENOENT: nobody has this name. */
must_check int user_store_remove(struct user_store *store, const char *name, const char *realm);
/** -ENOENT: nobody has this name. */
must_check int user_store_set_keys(struct user_store *store, const char *name, const char *realm,
                                   const struct user_keys *keys, int64_t now_unix_s);
/**
 * Gives a user who has digest keys alone the SCRAM verifiers of `keys`, made of the password that
 * was set at `changed_unix_s`, which stays the time of the password. -ENOENT: nobody of this name
 * has this password still and no verifiers.
 */
must_check int user_store_add_verifiers(struct user_store *store, const char *name,
                                        const char *realm, const struct user_keys *keys,
                                        int64_t changed_unix_s);
/** A disabled user is as good as removed, but keeps name and password. -ENOENT as above. */
must_check int user_store_set_disabled(struct user_store *store, const char *name,
                                       const char *realm, bool disabled);
/** -ENOENT as above, -EINVAL: no role. */
must_check int user_store_set_role(struct user_store *store, const char *name, const char *realm,
                                   enum user_role role);
/** NULL: none any more. -ENOENT as above, -EINVAL: it cannot be one. */
must_check int user_store_set_display_name(struct user_store *store, const char *name,
                                           const char *realm, const char *display_name);
/**
 * Several changes that are all made or none: those between these two. Others who write wait.
 * user_store_end without `keep` undoes them; with it, it may fail, and then they are undone as
 * well.
 */
must_check int user_store_begin(struct user_store *store);
must_check int user_store_end(struct user_store *store, bool keep);
/** All users, or those of one realm. `ret_list` goes to user_list_done. */
must_check int user_store_read(struct user_store *store, const char *realm,
                               struct user_list *ret_list);
/** A number that changes when another process or connection has changed the file. */
must_check int user_store_version(struct user_store *store, uint32_t *ret_version);
/** The sentence of the last failure. */
const char *user_store_problem(const struct user_store *store);

/** The user of this name, told apart by case, in a list of one realm; NULL: nobody. */
const struct user *user_list_find(const struct user_list *list, struct bytes name);
/** Wipes the keys. Accepts a zeroed list. */
void user_list_done(struct user_list *list);
