// The tables, and how older files become what this version knows.
//
// `PRAGMA user_version` counts the steps that a file has seen. A step is never changed once it was
// released: what comes later (SIP addresses, XMPP rosters) is a step more.
#include <errno.h>
#include <stdio.h>

#include "users/user_store_int.h"

/** "rost": files of other programs are left alone. */
#define APPLICATION_ID 0x726f7374

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
};

#define STEP_COUNT (sizeof(steps) / sizeof(steps[0]))

static int check_owner(struct user_store *store, int64_t version)
{
    int64_t application = 0, tables = 0;
    int result = user_store_number(store, "PRAGMA application_id", &application);
    if (result == 0)
        result = user_store_number(store, "SELECT count(*) FROM sqlite_schema", &tables);
    if (result < 0)
        return result;
    if (application == APPLICATION_ID || (application == 0 && version == 0 && tables == 0))
        return 0;
    snprintf(store->problem, sizeof(store->problem), "it is a database of another program");
    return -EBADMSG;
}

static int run_steps(struct user_store *store)
{
    int64_t version = 0;
    // read again: another process may have been faster
    int result = user_store_number(store, "PRAGMA user_version", &version);
    for (size_t i = (size_t)version; result == 0 && i < STEP_COUNT; i++)
        result = user_store_execute(store, steps[i]);
    if (result < 0)
        return result;
    char sql[96];
    snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %zu;",
             APPLICATION_ID, STEP_COUNT);
    return user_store_execute(store, sql);
}

int user_schema_update(struct user_store *store)
{
    int64_t version = 0;
    int result = user_store_number(store, "PRAGMA user_version", &version);
    if (result == 0)
        result = check_owner(store, version);
    if (result < 0)
        return result;
    if (version > (int64_t)STEP_COUNT) {
        snprintf(store->problem, sizeof(store->problem),
                 "it was made by a newer version of roost (schema %lld, known: %zu)",
                 (long long)version, STEP_COUNT);
        return -ENOTSUP;
    }
    if (version == (int64_t)STEP_COUNT)
        return 0;
    result = user_store_execute(store, "BEGIN IMMEDIATE");
    if (result < 0)
        return result;
    result = run_steps(store);
    if (result == 0)
        result = user_store_execute(store, "COMMIT");
    if (result < 0)
        sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
    return result;
}
