#include "store/outbox_file.h"

#include "base/memory.h"

static const char *const steps[] = {
    "CREATE TABLE events ("
    " number INTEGER PRIMARY KEY," // the order
    " destination TEXT NOT NULL,"
    " subject TEXT NOT NULL,"
    " id TEXT NOT NULL,"
    " body BLOB NOT NULL,"
    " made INTEGER NOT NULL" // Unix microseconds
    ") STRICT;",
};

static const struct database_format format = {
    .application_id = 0x726f7378, // "rosx"
    .steps = steps,
    .step_count = array_size(steps),
    // one fsync for a transaction; no second process reads along
    .settings = "PRAGMA locking_mode = EXCLUSIVE;"
                "PRAGMA journal_mode = WAL;"
                "PRAGMA journal_size_limit = 1048576;",
};

int outbox_file_open(struct database *database, const char *path, struct text_builder *ret_problem)
{
    return database_open(database, path, &format, ret_problem);
}

static bool insert(sqlite3_stmt *statement, const struct outbox_event *event)
{
    struct bytes body = blob_bytes(event->body);
    int code = sqlite3_reset(statement);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 1, event->number);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 2, event->destination, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 3, event->subject, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 4, event->id, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_blob64(statement, 5, body.data, body.size, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 6, (int64_t)event->made_unix_us);
    return code == SQLITE_OK && sqlite3_step(statement) == SQLITE_DONE;
}

static bool insert_all(struct database *database, const struct list *added)
{
    sqlite3_stmt *statement = NULL;
    if (database_prepare(database, "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", &statement) < 0)
        return false;
    bool good = true;
    const struct outbox_event *event;
    list_each(event, added, node) good = good && insert(statement, event);
    sqlite3_finalize(statement);
    return good;
}

static bool remove_all(struct database *database, const struct outbox_batch *batch)
{
    sqlite3_stmt *statement = NULL;
    if (database_prepare(database, "DELETE FROM events WHERE number = ?", &statement) < 0)
        return false;
    bool good = true;
    for (size_t i = 0; good && i < batch->removed_count; i++) {
        good = sqlite3_reset(statement) == SQLITE_OK &&
               sqlite3_bind_int64(statement, 1, batch->removed[i]) == SQLITE_OK &&
               sqlite3_step(statement) == SQLITE_DONE;
    }
    sqlite3_finalize(statement);
    return good;
}

int outbox_file_write(struct database *database, const struct outbox_batch *batch)
{
    int result = database_execute(database, "BEGIN IMMEDIATE");
    if (result < 0)
        return result;
    if (!insert_all(database, &batch->added) || !remove_all(database, batch))
        result = database_failure(database, sqlite3_extended_errcode(database->connection));
    if (result == 0)
        result = database_execute(database, "COMMIT");
    if (result < 0)
        sqlite3_exec(database->connection, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

static struct outbox_event *take_row(sqlite3_stmt *row)
{
    const char *destination = (const char *)sqlite3_column_text(row, 1);
    const char *subject = (const char *)sqlite3_column_text(row, 2);
    const char *id = (const char *)sqlite3_column_text(row, 3);
    struct bytes body = bytes_of(sqlite3_column_blob(row, 4), (size_t)sqlite3_column_bytes(row, 4));
    struct blob *blob = destination && subject && id ? blob_new(body) : NULL;
    if (!blob)
        return NULL;
    struct outbox_event *event =
        outbox_event_new(destination, subject, id, blob, (uint64_t)sqlite3_column_int64(row, 5));
    event->number = sqlite3_column_int64(row, 0);
    event->state = OUTBOX_WRITTEN;
    return event;
}

int outbox_file_read(struct database *database, struct list *ret_events)
{
    sqlite3_stmt *statement = NULL;
    int result = database_prepare(database,
                                  "SELECT number, destination, subject, id, body, made FROM events "
                                  "ORDER BY number",
                                  &statement);
    int code = SQLITE_DONE;
    while (result == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct outbox_event *event = take_row(statement);
        if (event)
            list_append(ret_events, &event->node);
        else
            result = database_failure(database, SQLITE_NOMEM);
    }
    if (result == 0 && code != SQLITE_DONE)
        result = database_failure(database, code);
    sqlite3_finalize(statement);
    return result;
}
