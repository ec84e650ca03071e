#include "users/user_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "users/user_store_int.h"

/** How long a call waits for another process that writes. */
#define BUSY_TIMEOUT_MS 5000

/** ---- SQLite, in our words ---- */

static int error_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
        return -EACCES;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
        return -EBADMSG;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

int user_store_failure(struct user_store *store, int code)
{
    snprintf(store->problem, sizeof(store->problem), "%s",
             store->database ? sqlite3_errmsg(store->database) : sqlite3_errstr(code));
    return error_of(code);
}

int user_store_execute(struct user_store *store, const char *sql)
{
    int code = sqlite3_exec(store->database, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : user_store_failure(store, code);
}

static int prepare(struct user_store *store, const char *sql, sqlite3_stmt **ret_statement)
{
    int code = sqlite3_prepare_v2(store->database, sql, -1, ret_statement, NULL);
    return code == SQLITE_OK ? 0 : user_store_failure(store, code);
}

int user_store_number(struct user_store *store, const char *sql, int64_t *ret_number)
{
    sqlite3_stmt *statement = NULL;
    int result = prepare(store, sql, &statement);
    if (result < 0)
        return result;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    else
        result = user_store_failure(store, code);
    sqlite3_finalize(statement);
    return result;
}

static void bind_text(sqlite3_stmt *statement, const char *parameter, const char *text)
{
    int index = sqlite3_bind_parameter_index(statement, parameter);
    if (index > 0)
        ensure(sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC) == SQLITE_OK);
}

static void bind_blob(sqlite3_stmt *statement, const char *parameter, const uint8_t *data, int size)
{
    int index = sqlite3_bind_parameter_index(statement, parameter);
    if (index > 0)
        ensure(sqlite3_bind_blob(statement, index, data, size, SQLITE_STATIC) == SQLITE_OK);
}

static void bind_number(sqlite3_stmt *statement, const char *parameter, int64_t number)
{
    int index = sqlite3_bind_parameter_index(statement, parameter);
    if (index > 0)
        ensure(sqlite3_bind_int64(statement, index, number) == SQLITE_OK);
}

/** What the statements below take, by name; those they do not name are left out. */
struct values {
    const char *name;
    const char *realm;
    const struct user_keys *keys;
    int64_t now_unix_s;
    bool disabled;
};

/** Returns how many rows changed, -EEXIST, or another negative errno. */
static int change(struct user_store *store, const char *sql, const struct values *values)
{
    sqlite3_stmt *statement = NULL;
    int result = prepare(store, sql, &statement);
    if (result < 0)
        return result;
    bind_text(statement, ":name", values->name);
    bind_text(statement, ":realm", values->realm);
    if (values->keys) {
        bind_blob(statement, ":md5", values->keys->md5, USER_MD5_SIZE);
        bind_blob(statement, ":sha256", values->keys->sha256, USER_SHA256_SIZE);
    }
    bind_number(statement, ":now", values->now_unix_s);
    bind_number(statement, ":disabled", values->disabled);
    int code = sqlite3_step(statement);
    if (code == SQLITE_DONE)
        result = sqlite3_changes(store->database);
    else if (sqlite3_extended_errcode(store->database) == SQLITE_CONSTRAINT_UNIQUE)
        result = -EEXIST;
    else
        result = user_store_failure(store, code);
    sqlite3_finalize(statement);
    return result;
}

static int changed_one(struct user_store *store, int result)
{
    if (result == 0)
        snprintf(store->problem, sizeof(store->problem), "no user of this name");
    return result > 0 ? 0 : result == 0 ? -ENOENT : result;
}

/** ---- open and close ---- */

/** What root makes for a server that runs as somebody else must be that somebody's. */
static void give_to_folder_owner(int fd, const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) + 1 : 0;
    struct stat status;
    if (geteuid() != 0 || text_copy(folder, sizeof(folder), bytes_of(path, size)) < 0 ||
        stat(size > 0 ? folder : ".", &status) < 0)
        return;
    if (fchown(fd, status.st_uid, status.st_gid) < 0)
        return; // the server will say that it cannot open it
}

/** SQLite would make the file for everyone to read. */
static int make_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == EEXIST ? 0 : -errno;
    give_to_folder_owner(fd, path);
    close(fd);
    return 0;
}

static int begin(struct user_store *store, const char *path)
{
    int code =
        sqlite3_open_v2(path, &store->database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK)
        return user_store_failure(store, code);
    sqlite3_busy_timeout(store->database, BUSY_TIMEOUT_MS);
    // removed keys are overwritten; a file that was tampered with runs nothing
    int result = user_store_execute(store, "PRAGMA journal_mode = DELETE;"
                                           "PRAGMA synchronous = FULL;"
                                           "PRAGMA secure_delete = ON;"
                                           "PRAGMA trusted_schema = OFF;"
                                           "PRAGMA foreign_keys = ON;");
    return result < 0 ? result : user_schema_update(store);
}

int user_store_open(const char *path, struct user_store **ret_store,
                    struct text_builder *ret_problem)
{
    int result = make_private(path);
    if (result < 0) {
        text_append_format(ret_problem, "cannot open %s: %s", path, strerror(-result));
        return result;
    }
    struct user_store *store = memory_new(struct user_store);
    result = begin(store, path);
    if (result < 0) {
        if (access(path, R_OK | W_OK) < 0)
            text_append_format(ret_problem,
                               "cannot use %s: %s; it must belong to the user that the server runs "
                               "as, with mode 0600",
                               path, strerror(errno));
        else
            text_append_format(ret_problem, "cannot use %s: %s", path, store->problem);
        user_store_close(store);
        return result;
    }
    *ret_store = store;
    return 0;
}

struct user_store *user_store_close(struct user_store *store)
{
    if (store) {
        sqlite3_close(store->database);
        free(store);
    }
    return NULL;
}

const char *user_store_problem(const struct user_store *store)
{
    return store->problem;
}

/** ---- users ---- */

static bool is_valid_text(const char *text, size_t size_max)
{
    struct bytes bytes = bytes_of_text(text);
    if (bytes.size == 0 || bytes.size > size_max || !text_is_utf8(bytes))
        return false;
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] < 0x20 || bytes.data[i] == 0x7f)
            return false;
    }
    return text[0] != ' ' && text[bytes.size - 1] != ' ';
}

bool user_name_is_valid(const char *name)
{
    return is_valid_text(name, USER_NAME_MAX) && !strchr(name, ':');
}

int user_store_add(struct user_store *store, const char *name, const char *realm,
                   const struct user_keys *keys, int64_t now_unix_s)
{
    if (!user_name_is_valid(name) || !is_valid_text(realm, USER_REALM_MAX)) {
        snprintf(store->problem, sizeof(store->problem), "not a valid name or realm");
        return -EINVAL;
    }
    struct values values = { .name = name, .realm = realm, .keys = keys, .now_unix_s = now_unix_s };
    int result = change(store,
                        "INSERT INTO users (name, realm, created, changed, md5_key, sha256_key) "
                        "VALUES (:name, :realm, :now, :now, :md5, :sha256)",
                        &values);
    if (result == -EEXIST)
        snprintf(store->problem, sizeof(store->problem), "there is a user of this name");
    return result < 0 ? result : 0;
}

int user_store_remove(struct user_store *store, const char *name, const char *realm)
{
    struct values values = { .name = name, .realm = realm };
    return changed_one(
        store, change(store, "DELETE FROM users WHERE name = :name AND realm = :realm", &values));
}

int user_store_set_keys(struct user_store *store, const char *name, const char *realm,
                        const struct user_keys *keys, int64_t now_unix_s)
{
    struct values values = { .name = name, .realm = realm, .keys = keys, .now_unix_s = now_unix_s };
    return changed_one(store, change(store,
                                     "UPDATE users SET md5_key = :md5, sha256_key = :sha256, "
                                     "changed = :now WHERE name = :name AND realm = :realm",
                                     &values));
}

int user_store_set_disabled(struct user_store *store, const char *name, const char *realm,
                            bool disabled)
{
    struct values values = { .name = name, .realm = realm, .disabled = disabled };
    return changed_one(store, change(store,
                                     "UPDATE users SET disabled = :disabled "
                                     "WHERE name = :name AND realm = :realm",
                                     &values));
}

static bool take_key(sqlite3_stmt *statement, int column, uint8_t *out, int size)
{
    const void *data = sqlite3_column_blob(statement, column);
    if (!data || sqlite3_column_bytes(statement, column) != size)
        return false;
    memcpy(out, data, (size_t)size);
    return true;
}

/** A user without keys cannot show a password, so nobody may sign in as them: left out. */
static bool take_user(sqlite3_stmt *statement, struct user *user)
{
    const unsigned char *name = sqlite3_column_text(statement, 0);
    size_t name_size = (size_t)sqlite3_column_bytes(statement, 0);
    const unsigned char *realm = sqlite3_column_text(statement, 1);
    size_t realm_size = (size_t)sqlite3_column_bytes(statement, 1);
    if (!name || !realm || !take_key(statement, 5, user->keys.md5, USER_MD5_SIZE) ||
        !take_key(statement, 6, user->keys.sha256, USER_SHA256_SIZE))
        return false;
    user->name = memory_copy(name, name_size);
    user->realm = memory_copy(realm, realm_size);
    user->created_unix_s = sqlite3_column_int64(statement, 2);
    user->changed_unix_s = sqlite3_column_int64(statement, 3);
    user->disabled = sqlite3_column_int(statement, 4) != 0;
    return true;
}

static struct user *list_room(struct user_list *list, size_t *capacity)
{
    if (list->count == *capacity) {
        // not memory_resize: it would leave the keys in the old place
        size_t larger = max_of(*capacity * 2, (size_t)64);
        struct user *items = memory_new_array(struct user, larger);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        if (list->items)
            memory_wipe(list->items, list->count * sizeof(*items));
        free(list->items);
        list->items = items;
        *capacity = larger;
    }
    return &list->items[list->count];
}

int user_store_read(struct user_store *store, const char *realm, struct user_list *ret_list)
{
    sqlite3_stmt *statement = NULL;
    int result = prepare(store,
                         "SELECT name, realm, created, changed, disabled, md5_key, sha256_key "
                         "FROM users WHERE :realm IS NULL OR realm = :realm ORDER BY name, realm",
                         &statement);
    if (result < 0)
        return result;
    if (realm)
        bind_text(statement, ":realm", realm);
    struct user_list list = { 0 };
    size_t capacity = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (take_user(statement, list_room(&list, &capacity)))
            list.count++;
    }
    if (code != SQLITE_DONE)
        result = user_store_failure(store, code);
    sqlite3_finalize(statement);
    if (result < 0)
        user_list_done(&list);
    else
        *ret_list = list;
    return result;
}

int user_store_version(struct user_store *store, uint32_t *ret_version)
{
    int64_t version = 0;
    int result = user_store_number(store, "PRAGMA data_version", &version);
    if (result == 0)
        *ret_version = (uint32_t)version;
    return result;
}

void user_list_done(struct user_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].realm);
    }
    if (list->items)
        memory_wipe(list->items, list->count * sizeof(*list->items));
    free(list->items);
    *list = (struct user_list){ 0 };
}
