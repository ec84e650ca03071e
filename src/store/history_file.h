/** The file of a history, for history.c. Every call blocks. */
#pragma once

#include "store/database.h"
#include "store/history.h"

enum history_verb {
    HISTORY_KEEP,
    HISTORY_KNOW,
    HISTORY_FORGET,
    HISTORY_SETTLE,
    HISTORY_UNSETTLE,
    HISTORY_READ,
    HISTORY_READ_MISSED,
};

#define HISTORY_TEXTS_MAX 6

/** One thing to do. The texts are its own. */
struct history_task {
    struct list node;
    size_t size;
    enum history_verb verb;
    struct history_return back;

    const char *sender; /**< whose share it is of: one of the texts below; NULL: nobody's name */
    bool of_guest;

    struct history_note note;       /**< KEEP; points to these: */
    char *texts[HISTORY_TEXTS_MAX]; /**< NULL: none, as all texts here */
    enum history_kind kind;
    char *user;
    char *peer;
    char *id;
    uint32_t limit;
    int64_t unix_ms;

    struct history_answer answer;
    struct history_entry *entries; /**< HISTORY_PAGE_MAX + 1, made by a read */
    size_t entry_count;            /**< how many have a text, also when the answer is an error */
};

#define HISTORY_STATEMENTS_MAX 20

struct history_file {
    struct database database;
    sqlite3_stmt *statements[HISTORY_STATEMENTS_MAX]; /**< made at their first use */
    uint32_t per_user_max;
    uint64_t kept, displaced; /**< by the last batch */
};

must_check int history_file_open(struct history_file *file, const char *path,
                                 struct text_builder *ret_problem);
/** Accepts a zeroed one. */
void history_file_close(struct history_file *file);
/** The greatest id in the file; "": none. Returns 0 or a negative errno. */
must_check int history_file_last(struct history_file *file, char ret_id[HISTORY_ID_SIZE]);
/**
 * Does all tasks of the list in one transaction and fills in their answers. Returns 0 or a negative
 * errno, and then nothing was done and each answer has that error.
 */
must_check int history_file_run(struct history_file *file, const struct list *tasks);
/** Removes rows from before that time, some hundreds at most. */
must_check int history_file_expire(struct history_file *file, int64_t before_unix_ms,
                                   uint64_t *ret_count);
