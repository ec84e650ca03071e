#include "store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

int database_failure(struct database *database, int code)
{
    snprintf(database->problem, sizeof(database->problem), "%s",
             database->connection ? sqlite3_errmsg(database->connection) : sqlite3_errstr(code));
    return error_of(code);
}

int database_execute(struct database *database, const char *sql)
{
    int code = sqlite3_exec(database->connection, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : database_failure(database, code);
}

int database_prepare(struct database *database, const char *sql, sqlite3_stmt **ret_statement)
{
    int code = sqlite3_prepare_v2(database->connection, sql, -1, ret_statement, NULL);
    return code == SQLITE_OK ? 0 : database_failure(database, code);
}

int database_number(struct database *database, const char *sql, int64_t *ret_number)
{
    sqlite3_stmt *statement = NULL;
    int result = database_prepare(database, sql, &statement);
    if (result < 0)
        return result;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    else
        result = database_failure(database, code);
    sqlite3_finalize(statement);
    return result;
}

/** ---- the schema ---- */

static int check_owner(struct database *database, const struct database_format *format,
                       int64_t version)
{
    int64_t application = 0, tables = 0;
    int result = database_number(database, "PRAGMA application_id", &application);
    if (result == 0)
        result = database_number(database, "SELECT count(*) FROM sqlite_schema", &tables);
    if (result < 0)
        return result;
    if (application == format->application_id || (application == 0 && version == 0 && tables == 0))
        return 0;
    snprintf(database->problem, sizeof(database->problem), "it is a database of another program");
    return -EBADMSG;
}

static int run_steps(struct database *database, const struct database_format *format)
{
    int64_t version = 0;
    // read again: another process may have been faster
    int result = database_number(database, "PRAGMA user_version", &version);
    for (size_t i = (size_t)version; result == 0 && i < format->step_count; i++)
        result = database_execute(database, format->steps[i]);
    if (result < 0)
        return result;
    char sql[96];
    snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %zu;",
             format->application_id, format->step_count);
    return database_execute(database, sql);
}

/** Makes or updates the tables, in one transaction. */
static int update_schema(struct database *database, const struct database_format *format)
{
    int64_t version = 0;
    int result = database_number(database, "PRAGMA user_version", &version);
    if (result == 0)
        result = check_owner(database, format, version);
    if (result < 0)
        return result;
    if (version > (int64_t)format->step_count) {
        snprintf(database->problem, sizeof(database->problem),
                 "it was made by a newer version of roost (schema %lld, known: %zu)",
                 (long long)version, format->step_count);
        return -ENOTSUP;
    }
    if (version == (int64_t)format->step_count)
        return 0;
    result = database_execute(database, "BEGIN IMMEDIATE");
    if (result < 0)
        return result;
    result = run_steps(database, format);
    if (result == 0)
        result = database_execute(database, "COMMIT");
    if (result < 0)
        sqlite3_exec(database->connection, "ROLLBACK", NULL, NULL, NULL);
    return result;
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

static int begin(struct database *database, const char *path, const struct database_format *format)
{
    int code =
        sqlite3_open_v2(path, &database->connection,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK)
        return database_failure(database, code);
    sqlite3_busy_timeout(database->connection, BUSY_TIMEOUT_MS);
    int result = database_execute(database, format->settings);
    // removed rows are overwritten; a file that was tampered with runs nothing
    if (result == 0)
        result = database_execute(database, "PRAGMA synchronous = FULL;"
                                            "PRAGMA secure_delete = ON;"
                                            "PRAGMA trusted_schema = OFF;"
                                            "PRAGMA foreign_keys = ON;");
    return result < 0 ? result : update_schema(database, format);
}

int database_open(struct database *database, const char *path, const struct database_format *format,
                  struct text_builder *ret_problem)
{
    *database = (struct database){ 0 };
    int result = make_private(path);
    if (result < 0) {
        text_append_format(ret_problem, "cannot open %s: %s", path, strerror(-result));
        return result;
    }
    result = begin(database, path, format);
    if (result == 0)
        return 0;
    if (access(path, R_OK | W_OK) < 0)
        text_append_format(ret_problem,
                           "cannot use %s: %s; it must belong to the user that the server runs "
                           "as, with mode 0600",
                           path, strerror(errno));
    else
        text_append_format(ret_problem, "cannot use %s: %s", path, database->problem);
    database_close(database);
    return result;
}

void database_close(struct database *database)
{
    sqlite3_close(database->connection);
    database->connection = NULL;
}
