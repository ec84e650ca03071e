#include "users/user_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "store/database.h"

struct user_store {
    struct database database;
};

static void say(struct user_store *store, const char *sentence)
{
    snprintf(store->database.problem, sizeof(store->database.problem), "%s", sentence);
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
    const char *display_name; /**< NULL: none */
    enum user_role role;
    int64_t now_unix_s;
    bool disabled;
};

static void bind_verifier(sqlite3_stmt *statement, const char *parameter,
                          const struct scram_verifier *verifier)
{
    char text[SCRAM_VERIFIER_TEXT_SIZE];
    int index = sqlite3_bind_parameter_index(statement, parameter);
    if (index == 0 || verifier->iterations == 0)
        return;
    scram_verifier_write(verifier, text);
    ensure(sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT) == SQLITE_OK);
    memory_wipe(text, sizeof(text));
}

static void bind_keys(sqlite3_stmt *statement, const struct user_keys *keys)
{
    bind_verifier(statement, ":scram_sha256", &keys->scram_sha256);
    bind_verifier(statement, ":scram_sha1", &keys->scram_sha1);
    if (keys->has_digest) {
        bind_blob(statement, ":md5", keys->md5, USER_MD5_SIZE);
        bind_blob(statement, ":sha256", keys->sha256, USER_SHA256_SIZE);
    }
}

/** Returns how many rows changed, -EEXIST, or another negative errno. */
static int change(struct user_store *store, const char *sql, const struct values *values)
{
    sqlite3_stmt *statement = NULL;
    int result = database_prepare(&store->database, sql, &statement);
    if (result < 0)
        return result;
    bind_text(statement, ":name", values->name);
    bind_text(statement, ":realm", values->realm);
    if (values->keys)
        bind_keys(statement, values->keys);
    if (values->display_name)
        bind_text(statement, ":display_name", values->display_name);
    bind_text(statement, ":role", user_role_name(values->role));
    bind_number(statement, ":now", values->now_unix_s);
    bind_number(statement, ":disabled", values->disabled);
    int code = sqlite3_step(statement);
    if (code == SQLITE_DONE)
        result = sqlite3_changes(store->database.connection);
    else if (sqlite3_extended_errcode(store->database.connection) == SQLITE_CONSTRAINT_UNIQUE)
        result = -EEXIST;
    else
        result = database_failure(&store->database, code);
    sqlite3_finalize(statement);
    return result;
}

static int changed_one(struct user_store *store, int result)
{
    if (result == 0)
        say(store, "no user of this name");
    return result > 0 ? 0 : result == 0 ? -ENOENT : result;
}

/** ---- open and close ---- */

static const char *const steps[] = {
    // the keys are NULL for a user who can never show a password (a later way to sign in)
    "CREATE TABLE users ("
    " id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL,"
    " realm TEXT NOT NULL,"
    " created INTEGER NOT NULL," // Unix seconds
    " changed INTEGER NOT NULL," // of the password
    " disabled INTEGER NOT NULL DEFAULT 0,"
    " md5_key BLOB CHECK (length(md5_key) = 16),"
    " sha256_key BLOB CHECK (length(sha256_key) = 32),"
    " UNIQUE (realm, name)"
    ") STRICT;",
    // the digest keys are NULL where they are not wanted; the verifiers are texts of RFC 5803
    "ALTER TABLE users ADD COLUMN scram_sha256 TEXT;"
    "ALTER TABLE users ADD COLUMN scram_sha1 TEXT;"
    "ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'user'"
    " CHECK (role IN ('user', 'moderator', 'operator'));"
    "ALTER TABLE users ADD COLUMN display_name TEXT;",
};

static const struct database_format format = {
    .application_id = 0x726f7374, // "rost"
    .steps = steps,
    .step_count = array_size(steps),
    .settings = "PRAGMA journal_mode = DELETE;",
};

int user_store_open(const char *path, struct user_store **ret_store,
                    struct text_builder *ret_problem)
{
    struct user_store *store = memory_new(struct user_store);
    int result = database_open(&store->database, path, &format, ret_problem);
    if (result < 0)
        free(store);
    else
        *ret_store = store;
    return result;
}

struct user_store *user_store_close(struct user_store *store)
{
    if (store) {
        database_close(&store->database);
        free(store);
    }
    return NULL;
}

const char *user_store_problem(const struct user_store *store)
{
    return store->database.problem;
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

bool user_display_name_is_valid(const char *text)
{
    return is_valid_text(text, USER_DISPLAY_NAME_MAX);
}

static const char *const role_names[USER_ROLE_COUNT] = {
    [USER_ROLE_USER] = "user",
    [USER_ROLE_MODERATOR] = "moderator",
    [USER_ROLE_OPERATOR] = "operator",
};

const char *user_role_name(enum user_role role)
{
    return role_names[role];
}

int user_role_parse(struct bytes name, enum user_role *ret_role)
{
    for (enum user_role role = 0; role < USER_ROLE_COUNT; role++) {
        if (!text_equal(name, role_names[role]))
            continue;
        *ret_role = role;
        return 0;
    }
    return -EINVAL;
}

int user_store_add(struct user_store *store, const char *name, const char *realm,
                   const struct user_keys *keys, int64_t now_unix_s)
{
    if (!user_name_is_valid(name) || !is_valid_text(realm, USER_REALM_MAX)) {
        say(store, "not a valid name or realm");
        return -EINVAL;
    }
    struct values values = { .name = name, .realm = realm, .keys = keys, .now_unix_s = now_unix_s };
    int result = change(store,
                        "INSERT INTO users (name, realm, created, changed, md5_key, sha256_key, "
                        "scram_sha256, scram_sha1) "
                        "VALUES (:name, :realm, :now, :now, :md5, :sha256, :scram_sha256, "
                        ":scram_sha1)",
                        &values);
    if (result == -EEXIST)
        say(store, "there is a user of this name");
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
                                     "scram_sha256 = :scram_sha256, scram_sha1 = :scram_sha1, "
                                     "changed = :now WHERE name = :name AND realm = :realm",
                                     &values));
}

int user_store_add_verifiers(struct user_store *store, const char *name, const char *realm,
                             const struct user_keys *keys, int64_t changed_unix_s)
{
    struct values values = {
        .name = name, .realm = realm, .keys = keys, .now_unix_s = changed_unix_s
    };
    return changed_one(
        store, change(store,
                      "UPDATE users SET scram_sha256 = :scram_sha256, scram_sha1 = :scram_sha1 "
                      "WHERE name = :name AND realm = :realm AND changed = :now "
                      "AND scram_sha256 IS NULL AND sha256_key IS NOT NULL",
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

int user_store_set_role(struct user_store *store, const char *name, const char *realm,
                        enum user_role role)
{
    if (role >= USER_ROLE_COUNT) {
        say(store, "not a role");
        return -EINVAL;
    }
    struct values values = { .name = name, .realm = realm, .role = role };
    return changed_one(store, change(store,
                                     "UPDATE users SET role = :role "
                                     "WHERE name = :name AND realm = :realm",
                                     &values));
}

int user_store_set_display_name(struct user_store *store, const char *name, const char *realm,
                                const char *display_name)
{
    if (display_name && !user_display_name_is_valid(display_name)) {
        say(store, "not a valid display name");
        return -EINVAL;
    }
    struct values values = { .name = name, .realm = realm, .display_name = display_name };
    return changed_one(store, change(store,
                                     "UPDATE users SET display_name = :display_name "
                                     "WHERE name = :name AND realm = :realm",
                                     &values));
}

int user_store_begin(struct user_store *store)
{
    return database_execute(&store->database, "BEGIN IMMEDIATE");
}

int user_store_end(struct user_store *store, bool keep)
{
    int result = keep ? database_execute(&store->database, "COMMIT") : 0;
    if (!keep || result < 0)
        sqlite3_exec(store->database.connection, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

/** ---- reading ---- */

enum column {
    COLUMN_NAME,
    COLUMN_REALM,
    COLUMN_CREATED,
    COLUMN_CHANGED,
    COLUMN_DISABLED,
    COLUMN_MD5_KEY,
    COLUMN_SHA256_KEY,
    COLUMN_SCRAM_SHA256,
    COLUMN_SCRAM_SHA1,
    COLUMN_ROLE,
    COLUMN_DISPLAY_NAME,
};

#define COLUMNS                                                                                    \
    "name, realm, created, changed, disabled, md5_key, sha256_key, scram_sha256, scram_sha1, "     \
    "role, display_name"

static bool take_key(sqlite3_stmt *statement, int column, uint8_t *out, int size)
{
    const void *data = sqlite3_column_blob(statement, column);
    if (!data || sqlite3_column_bytes(statement, column) != size)
        return false;
    memcpy(out, data, (size_t)size);
    return true;
}

/** Empty for NULL. */
static struct bytes text_of(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return bytes_of(text, (size_t)sqlite3_column_bytes(statement, column));
}

/** One that cannot be read is as good as none. */
static void take_verifier(sqlite3_stmt *statement, int column, enum hash_kind kind,
                          struct scram_verifier *out)
{
    struct scram_verifier verifier;
    if (scram_verifier_parse(text_of(statement, column), &verifier) == 0 && verifier.kind == kind)
        *out = verifier;
}

static void take_keys(sqlite3_stmt *statement, struct user_keys *keys)
{
    keys->has_digest = take_key(statement, COLUMN_MD5_KEY, keys->md5, USER_MD5_SIZE) &&
                       take_key(statement, COLUMN_SHA256_KEY, keys->sha256, USER_SHA256_SIZE);
    take_verifier(statement, COLUMN_SCRAM_SHA256, HASH_SHA256, &keys->scram_sha256);
    take_verifier(statement, COLUMN_SCRAM_SHA1, HASH_SHA1, &keys->scram_sha1);
}

static void take_user(sqlite3_stmt *statement, struct user *user)
{
    struct bytes name = text_of(statement, COLUMN_NAME);
    struct bytes realm = text_of(statement, COLUMN_REALM);
    struct bytes display_name = text_of(statement, COLUMN_DISPLAY_NAME);
    user->name = memory_copy(name.data, name.size);
    user->realm = memory_copy(realm.data, realm.size);
    if (display_name.size > 0)
        user->display_name = memory_copy(display_name.data, display_name.size);
    // the schema lets no other in; a damaged one is not more than a user
    if (user_role_parse(text_of(statement, COLUMN_ROLE), &user->role) < 0)
        user->role = USER_ROLE_USER;
    user->created_unix_s = sqlite3_column_int64(statement, COLUMN_CREATED);
    user->changed_unix_s = sqlite3_column_int64(statement, COLUMN_CHANGED);
    user->disabled = sqlite3_column_int(statement, COLUMN_DISABLED) != 0;
    take_keys(statement, &user->keys);
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
    int result = database_prepare(
        &store->database,
        "SELECT " COLUMNS " FROM users WHERE :realm IS NULL OR realm = :realm ORDER BY name, realm",
        &statement);
    if (result < 0)
        return result;
    if (realm)
        bind_text(statement, ":realm", realm);
    struct user_list list = { 0 };
    size_t capacity = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        take_user(statement, list_room(&list, &capacity));
        list.count++;
    }
    if (code != SQLITE_DONE)
        result = database_failure(&store->database, code);
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
    int result = database_number(&store->database, "PRAGMA data_version", &version);
    if (result == 0)
        *ret_version = (uint32_t)version;
    return result;
}

const struct user *user_list_find(const struct user_list *list, struct bytes name)
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

void user_list_done(struct user_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].realm);
        free(list->items[i].display_name);
    }
    if (list->items)
        memory_wipe(list->items, list->count * sizeof(*list->items));
    free(list->items);
    *list = (struct user_list){ 0 };
}
