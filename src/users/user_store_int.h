/** What the files of this folder share. */
#pragma once

#include <sqlite3.h>

#include "users/user_store.h"

#define USER_PROBLEM_MAX 256

struct user_store {
    sqlite3 *database;
    char problem[USER_PROBLEM_MAX];
};

/** The negative errno of an SQLite result code, and its sentence in store->problem. */
int user_store_failure(struct user_store *store, int code);
/** Runs statements that return no rows. Returns 0 or a negative errno. */
must_check int user_store_execute(struct user_store *store, const char *sql);
/** Reads one number. Returns 0 or a negative errno. */
must_check int user_store_number(struct user_store *store, const char *sql, int64_t *ret_number);

/**
 * Makes or updates the tables, in one transaction. Returns 0 or a negative errno; -ENOTSUP when
 * the file is of a newer version, -EBADMSG when it is another program's.
 */
must_check int user_schema_update(struct user_store *store);
