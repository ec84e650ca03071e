/**
 * An SQLite file of the data folder: private to the user that the server runs as (mode 0600), and
 * brought up to date by the steps of its schema. What is in it is the business of who opens it.
 *
 * Every call may block on the disk: job threads and commands only. A database may move between
 * threads, but serves one at a time.
 */
#pragma once

#include <sqlite3.h>

#include "base/bytes.h"
#include "base/text.h"

#define DATABASE_PROBLEM_MAX 256

/** What a file of some kind holds. */
struct database_format {
    int32_t application_id; /**< `PRAGMA application_id`: files of other programs are left alone */
    /**
     * SQL statements; `PRAGMA user_version` counts those that a file has seen. A step is never
     * changed once it was released: what comes later is a step more.
     */
    const char *const *steps;
    size_t step_count;
    const char *settings; /**< PRAGMAs for each opening, the journal's mode first */
};

struct database {
    sqlite3 *connection;
    char problem[DATABASE_PROBLEM_MAX]; /**< the sentence of the last failure */
};

/**
 * Opens the file, making it or bringing its schema up to date. Removed rows are overwritten.
 * Returns 0 or a negative errno with a sentence for the user in `ret_problem`: -EACCES, -EROFS,
 * -EBUSY, -EBADMSG (another program's, or damaged), -ENOTSUP (made by a newer version), -EIO.
 */
must_check int database_open(struct database *database, const char *path,
                             const struct database_format *format,
                             struct text_builder *ret_problem);
/** Accepts a zeroed one. */
void database_close(struct database *database);

/** The negative errno of an SQLite result code, and its sentence in `problem`. */
int database_failure(struct database *database, int code);
/** Runs statements that return no rows. Returns 0 or a negative errno. */
must_check int database_execute(struct database *database, const char *sql);
/** Reads one number. Returns 0 or a negative errno. */
must_check int database_number(struct database *database, const char *sql, int64_t *ret_number);
/** For sqlite3_finalize by its owner. Returns 0 or a negative errno. */
must_check int database_prepare(struct database *database, const char *sql,
                                sqlite3_stmt **ret_statement);
