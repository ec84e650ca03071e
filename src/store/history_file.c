#include "store/history_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static const char *const steps[] = {
    "CREATE TABLE entries ("
    " number INTEGER PRIMARY KEY,"
    " owner TEXT NOT NULL," // whose row it is
    " kind INTEGER NOT NULL,"
    " id TEXT NOT NULL,"
    " peer TEXT NOT NULL,"
    " share TEXT NOT NULL," // of whose rows it counts: the peer's, or '', all guests'
    " name TEXT NOT NULL,"
    " outgoing INTEGER NOT NULL,"
    " verified INTEGER NOT NULL,"
    " missed INTEGER NOT NULL,"
    " unix_ms INTEGER NOT NULL,"
    " text TEXT NOT NULL,"
    " media INTEGER NOT NULL,"
    " result INTEGER NOT NULL,"
    " seconds INTEGER NOT NULL,"
    " binding TEXT NOT NULL"
    ") STRICT;"
    "CREATE UNIQUE INDEX entries_id ON entries (owner, kind, id);"
    "CREATE INDEX entries_peer ON entries (owner, kind, peer, id);"
    "CREATE INDEX entries_share ON entries (owner, share, id);"
    "CREATE INDEX entries_missed ON entries (owner, kind, id) WHERE missed = 1;"
    // how many rows there are, so that a user's need not be counted for each new one
    "CREATE TABLE shares ("
    " owner TEXT NOT NULL, share TEXT NOT NULL, count INTEGER NOT NULL,"
    " PRIMARY KEY (owner, share)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TRIGGER entries_added AFTER INSERT ON entries BEGIN"
    " INSERT INTO shares VALUES (new.owner, new.share, 1)"
    "  ON CONFLICT DO UPDATE SET count = count + 1;"
    " END;"
    "CREATE TRIGGER entries_removed AFTER DELETE ON entries BEGIN"
    " UPDATE shares SET count = count - 1 WHERE owner = old.owner AND share = old.share;"
    " DELETE FROM shares WHERE owner = old.owner AND share = old.share AND count = 0;"
    " END;"
    // users who are no accounts, but whose name a token vouched for
    "CREATE TABLE people ("
    " name TEXT PRIMARY KEY, seen INTEGER NOT NULL" // Unix milliseconds
    ") STRICT, WITHOUT ROWID;",
    // for those that grow too old: a clock that once was wrong has them in another order
    "CREATE INDEX entries_age ON entries (unix_ms);",
};

static const struct database_format format = {
    .application_id = 0x726f7368, // "rosh"
    .steps = steps,
    .step_count = array_size(steps),
    .settings = "PRAGMA locking_mode = EXCLUSIVE;"
                "PRAGMA journal_mode = WAL;"
                "PRAGMA journal_size_limit = 4194304;",
};

#define COLUMNS                                                                                    \
    "kind, id, peer, name, outgoing, verified, missed, unix_ms, text, media, result, seconds, "    \
    "binding"

enum sql {
    SQL_INSERT,
    SQL_TOTAL,
    SQL_GUESTS,
    SQL_LARGEST,
    SQL_DISPLACE,
    SQL_KNOWN,
    SQL_KNOW,
    SQL_FORGET,
    SQL_SETTLE,
    SQL_UNSETTLE,
    SQL_READ,
    SQL_READ_PEER,
    SQL_READ_MISSED,
    SQL_COUNT_MISSED,
    SQL_EXPIRE,
    SQL_FORGET_PEOPLE,
    SQL_COUNT,
};

static const char *const sentences[SQL_COUNT] = {
    [SQL_INSERT] = "INSERT INTO entries (owner, share, " COLUMNS ") "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SQL_TOTAL] = "SELECT coalesce(sum(count), 0) FROM shares WHERE owner = ?",
    [SQL_GUESTS] = "SELECT count FROM shares WHERE owner = ? AND share = ''",
    [SQL_LARGEST] = "SELECT share FROM shares WHERE owner = ? ORDER BY count DESC LIMIT 1",
    [SQL_DISPLACE] = "DELETE FROM entries WHERE number = (SELECT number FROM entries "
                     "WHERE owner = ? AND share = ? ORDER BY id LIMIT 1)",
    [SQL_KNOWN] = "SELECT 1 FROM people WHERE name = ?",
    [SQL_KNOW] = "INSERT INTO people VALUES (?, ?) "
                 "ON CONFLICT DO UPDATE SET seen = excluded.seen",
    [SQL_FORGET] = "DELETE FROM entries WHERE owner = ? AND kind IN (0, 1) AND id < ?",
    [SQL_SETTLE] = "UPDATE entries SET missed = 0 "
                   "WHERE owner = ? AND kind = ? AND missed = 1 AND id <= ?",
    [SQL_UNSETTLE] = "UPDATE entries SET missed = 1 "
                     "WHERE owner = ? AND kind = 0 AND id = ? AND outgoing = 0",
    [SQL_READ] = "SELECT " COLUMNS " FROM entries WHERE owner = ? AND kind = ? AND id < ? "
                 "ORDER BY id DESC LIMIT ?",
    [SQL_READ_PEER] = "SELECT " COLUMNS " FROM entries WHERE owner = ? AND kind = ? AND id < ? "
                      "AND peer = ?5 ORDER BY id DESC LIMIT ?4",
    [SQL_READ_MISSED] = "SELECT " COLUMNS " FROM entries WHERE owner = ? AND kind = 0 "
                        "AND missed = 1 ORDER BY id LIMIT ?",
    [SQL_COUNT_MISSED] = "SELECT kind, count(*) FROM entries WHERE owner = ? AND missed = 1 "
                         "GROUP BY kind",
    [SQL_EXPIRE] = "DELETE FROM entries WHERE number IN (SELECT number FROM entries "
                   "WHERE unix_ms < ? ORDER BY unix_ms LIMIT 500)",
    [SQL_FORGET_PEOPLE] = "DELETE FROM people WHERE seen < ?",
};
_Static_assert(SQL_COUNT <= HISTORY_STATEMENTS_MAX, "room for all statements");

int history_file_open(struct history_file *file, const char *path, struct text_builder *ret_problem)
{
    return database_open(&file->database, path, &format, ret_problem);
}

void history_file_close(struct history_file *file)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(file->statements[i]);
        file->statements[i] = NULL;
    }
    database_close(&file->database);
}

/** ---- statements ---- */

/** A statement whose values are bound one after the other; the first failure stays. */
struct query {
    struct history_file *file;
    sqlite3_stmt *statement;
    int place;
    int code;
};

static struct query query_begin(struct history_file *file, enum sql sql)
{
    struct query query = { .file = file };
    if (!file->statements[sql])
        query.code = sqlite3_prepare_v3(file->database.connection, sentences[sql], -1,
                                        SQLITE_PREPARE_PERSISTENT, &file->statements[sql], NULL);
    query.statement = file->statements[sql];
    return query;
}

static void bind_text(struct query *query, const char *text)
{
    query->place++;
    if (query->code == SQLITE_OK)
        query->code =
            sqlite3_bind_text(query->statement, query->place, text ? text : "", -1, SQLITE_STATIC);
}

static void bind_number(struct query *query, int64_t number)
{
    query->place++;
    if (query->code == SQLITE_OK)
        query->code = sqlite3_bind_int64(query->statement, query->place, number);
}

/** True while there is a row. */
static bool query_next(struct query *query)
{
    if (query->code == SQLITE_OK || query->code == SQLITE_ROW)
        query->code = sqlite3_step(query->statement);
    return query->code == SQLITE_ROW;
}

/** Returns 0 or a negative errno. */
static int query_end(struct query *query)
{
    bool good = query->code == SQLITE_OK || query->code == SQLITE_DONE || query->code == SQLITE_ROW;
    int result = good ? 0 : database_failure(&query->file->database, query->code);
    if (query->statement) {
        sqlite3_reset(query->statement);
        sqlite3_clear_bindings(query->statement);
    }
    return result;
}

static int run(struct query *query)
{
    (void)query_next(query);
    return query_end(query);
}

/** The first column of the first row; 0: there is none. */
static int read_number(struct query *query, int64_t *ret_number)
{
    *ret_number = query_next(query) ? sqlite3_column_int64(query->statement, 0) : 0;
    return query_end(query);
}

static void read_text(struct query *query, int column, char *out, size_t capacity)
{
    const char *text = (const char *)sqlite3_column_text(query->statement, column);
    snprintf(out, capacity, "%s", text ? text : "");
}

int history_file_last(struct history_file *file, char ret_id[HISTORY_ID_SIZE])
{
    sqlite3_stmt *statement = NULL;
    int result = database_prepare(&file->database, "SELECT max(id) FROM entries", &statement);
    if (result < 0)
        return result;
    struct query query = { .file = file, .statement = statement };
    ret_id[0] = 0;
    if (query_next(&query))
        read_text(&query, 0, ret_id, HISTORY_ID_SIZE);
    result = query_end(&query);
    sqlite3_finalize(statement);
    return result;
}

/** ---- keeping ---- */

static int displace(struct history_file *file, const char *owner, const char *share)
{
    struct query query = query_begin(file, SQL_DISPLACE);
    bind_text(&query, owner);
    bind_text(&query, share);
    file->displaced++;
    return run(&query);
}

static int displace_of_largest(struct history_file *file, const char *owner)
{
    struct query query = query_begin(file, SQL_LARGEST);
    bind_text(&query, owner);
    char share[HISTORY_NAME_SIZE] = "";
    if (query_next(&query))
        read_text(&query, 0, share, sizeof(share));
    int result = query_end(&query);
    return result < 0 ? result : displace(file, owner, share);
}

static int make_room(struct history_file *file, const char *owner, bool of_guest)
{
    struct query query = query_begin(file, of_guest ? SQL_GUESTS : SQL_TOTAL);
    bind_text(&query, owner);
    int64_t count = 0;
    int result = read_number(&query, &count);
    if (result < 0)
        return result;
    if (of_guest && count >= max_of(file->per_user_max / HISTORY_GUESTS, 1u))
        return displace(file, owner, "");
    if (of_guest)
        return make_room(file, owner, false);
    return count >= file->per_user_max ? displace_of_largest(file, owner) : 0;
}

static int insert(struct history_file *file, const struct history_note *note, bool outgoing)
{
    const char *owner = outgoing ? note->from : note->to;
    const char *peer = outgoing ? note->to : note->from;
    bool of_guest = !outgoing && !note->from_verified;
    int result = make_room(file, owner, of_guest);
    if (result < 0)
        return result;
    struct query query = query_begin(file, SQL_INSERT);
    bind_text(&query, owner);
    bind_text(&query, of_guest ? "" : peer);
    bind_number(&query, note->kind);
    bind_text(&query, note->id);
    bind_text(&query, peer);
    bind_text(&query, note->from_name);
    bind_number(&query, outgoing);
    bind_number(&query, note->from_verified);
    bind_number(&query, !outgoing && note->missed);
    bind_number(&query, note->unix_ms);
    bind_text(&query, note->text);
    bind_number(&query, note->media);
    bind_number(&query, note->result);
    bind_number(&query, note->seconds);
    bind_text(&query, outgoing ? note->to_binding : note->from_binding);
    file->kept++;
    return run(&query);
}

static int keep(struct history_file *file, struct history_task *task)
{
    const struct history_note *note = &task->note;
    int64_t known = note->to_is_known;
    int result = 0;
    if (note->to_keeps && !known) {
        struct query query = query_begin(file, SQL_KNOWN);
        bind_text(&query, note->to);
        result = read_number(&query, &known);
    }
    if (result == 0 && note->to_keeps && known)
        result = insert(file, note, false);
    // who asks whether it waits for the receiver keeps nothing when it does not
    bool lost = note->missed && !(note->to_keeps && known);
    bool of_message = note->kind == HISTORY_MESSAGE;
    if (result == 0 && note->from_keeps && !(lost && of_message))
        result = insert(file, note, true);
    task->answer.error = lost ? -ENOENT : 0;
    return result;
}

/** ---- reading ---- */

static void read_entry(struct query *query, struct history_entry *ret_entry)
{
    sqlite3_stmt *row = query->statement;
    *ret_entry = (struct history_entry){
        .kind = (enum history_kind)sqlite3_column_int(row, 0),
        .outgoing = sqlite3_column_int(row, 4) != 0,
        .verified = sqlite3_column_int(row, 5) != 0,
        .missed = sqlite3_column_int(row, 6) != 0,
        .unix_ms = sqlite3_column_int64(row, 7),
        .media = (uint8_t)sqlite3_column_int(row, 9),
        .result = (uint8_t)sqlite3_column_int(row, 10),
        .seconds = (uint32_t)sqlite3_column_int64(row, 11),
    };
    read_text(query, 1, ret_entry->id, sizeof(ret_entry->id));
    read_text(query, 2, ret_entry->peer, sizeof(ret_entry->peer));
    read_text(query, 3, ret_entry->name, sizeof(ret_entry->name));
    read_text(query, 12, ret_entry->binding, sizeof(ret_entry->binding));
    const char *text = (const char *)sqlite3_column_text(row, 8);
    ret_entry->text = memory_copy(text ? text : "", text ? strlen(text) : 0);
}

/** Takes rows up to `limit` and the bytes of a page. */
static int read_page(struct query *query, struct history_task *task, uint32_t limit)
{
    task->entries = memory_new_array(struct history_entry, limit + 1);
    size_t bytes = 0, count = 0;
    while (query_next(query)) {
        if (count == limit || (count > 0 && bytes >= HISTORY_PAGE_BYTES)) {
            task->answer.more = true;
            break;
        }
        read_entry(query, &task->entries[count]);
        bytes += strlen(task->entries[count++].text);
    }
    task->answer.entries = task->entries;
    task->answer.count = task->entry_count = count;
    return query_end(query);
}

static void reverse(struct history_entry *entries, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct history_entry entry = entries[i];
        entries[i] = entries[count - 1 - i];
        entries[count - 1 - i] = entry;
    }
}

static int read_rows(struct history_file *file, struct history_task *task)
{
    uint32_t limit = min_of(task->limit, (uint32_t)HISTORY_PAGE_MAX);
    struct query query = query_begin(file, task->peer ? SQL_READ_PEER : SQL_READ);
    bind_text(&query, task->user);
    bind_number(&query, task->kind);
    bind_text(&query, task->id ? task->id : "~"); // behind all ids
    bind_number(&query, limit + 1);
    if (task->peer)
        bind_text(&query, task->peer);
    int result = read_page(&query, task, limit);
    reverse(task->entries, task->answer.count);
    return result;
}

static int read_missed(struct history_file *file, struct history_task *task)
{
    struct query count = query_begin(file, SQL_COUNT_MISSED);
    bind_text(&count, task->user);
    while (query_next(&count)) {
        uint64_t number = (uint64_t)sqlite3_column_int64(count.statement, 1);
        if (sqlite3_column_int(count.statement, 0) == HISTORY_CALL)
            task->answer.missed_calls = number;
        else
            task->answer.missed_messages = number;
    }
    int result = query_end(&count);
    if (result < 0)
        return result;
    struct query query = query_begin(file, SQL_READ_MISSED);
    bind_text(&query, task->user);
    bind_number(&query, HISTORY_PAGE_MAX + 1);
    return read_page(&query, task, HISTORY_PAGE_MAX);
}

/** ---- tasks ---- */

static int know(struct history_file *file, const struct history_task *task)
{
    struct query query = query_begin(file, SQL_KNOW);
    bind_text(&query, task->user);
    bind_number(&query, task->unix_ms);
    return run(&query);
}

static int forget(struct history_file *file, const struct history_task *task)
{
    struct query query = query_begin(file, SQL_FORGET);
    bind_text(&query, task->user);
    bind_text(&query, task->id);
    return run(&query);
}

static int settle(struct history_file *file, const struct history_task *task)
{
    struct query query = query_begin(file, SQL_SETTLE);
    bind_text(&query, task->user);
    bind_number(&query, task->kind);
    bind_text(&query, task->id);
    return run(&query);
}

static int unsettle(struct history_file *file, const struct history_task *task)
{
    struct query query = query_begin(file, SQL_UNSETTLE);
    bind_text(&query, task->user);
    bind_text(&query, task->id);
    return run(&query);
}

static int run_task(struct history_file *file, struct history_task *task)
{
    switch (task->verb) {
    case HISTORY_KEEP:
        return keep(file, task);
    case HISTORY_KNOW:
        return know(file, task);
    case HISTORY_FORGET:
        return forget(file, task);
    case HISTORY_SETTLE:
        return settle(file, task);
    case HISTORY_UNSETTLE:
        return unsettle(file, task);
    case HISTORY_READ:
        return read_rows(file, task);
    case HISTORY_READ_MISSED:
        return read_missed(file, task);
    }
    return -EINVAL;
}

int history_file_run(struct history_file *file, const struct list *tasks)
{
    file->kept = file->displaced = 0;
    int result = database_execute(&file->database, "BEGIN IMMEDIATE");
    struct history_task *task;
    list_each(task, tasks, node) result = result < 0 ? result : run_task(file, task);
    if (result == 0)
        result = database_execute(&file->database, "COMMIT");
    if (result == 0)
        return 0;
    sqlite3_exec(file->database.connection, "ROLLBACK", NULL, NULL, NULL);
    file->kept = file->displaced = 0;
    list_each(task, tasks, node)
    {
        task->answer.error = result;
        task->answer.count = 0;
        task->answer.more = false;
    }
    return result;
}

int history_file_expire(struct history_file *file, int64_t before_unix_ms, uint64_t *ret_count)
{
    int result = database_execute(&file->database, "BEGIN IMMEDIATE");
    if (result < 0)
        return result;
    struct query query = query_begin(file, SQL_EXPIRE);
    bind_number(&query, before_unix_ms);
    result = run(&query);
    int64_t count = sqlite3_changes64(file->database.connection);
    if (result == 0) {
        query = query_begin(file, SQL_FORGET_PEOPLE);
        bind_number(&query, before_unix_ms);
        result = run(&query);
    }
    if (result == 0)
        result = database_execute(&file->database, "COMMIT");
    if (result < 0)
        sqlite3_exec(file->database.connection, "ROLLBACK", NULL, NULL, NULL);
    else
        *ret_count = (uint64_t)count;
    return result;
}
