/**
 * What users said and whom they called, in an SQLite file (history.db): each user has rows of its
 * own, so that what one forgets, the other keeps. Bounded in age and per user. All work is done by
 * a job thread, in one transaction for all that came while the one before was under way; who asks
 * never waits for the disk. One process at a time has the file.
 *
 * Fairness: when a user has as many rows as it may, the oldest of whoever has the most of them
 * gives way, so who floods a user displaces itself. Rows of peers for whose name nothing vouches
 * count as those of one peer, and get a share of their own: strangers with many names cannot
 * fill the space of an idle user.
 *
 * The same holds for what waits for the disk: nobody can fill it for others.
 *
 * Rows are kept of users that are known: by history_know, or because the caller says so.
 */
#pragma once

#include "base/log.h"
#include "base/metric.h"
#include "base/text.h"
#include "runtime/loop.h"

#define HISTORY_ID_SIZE    27          /**< with terminator; ids sort by time */
#define HISTORY_NAME_SIZE  65          /**< of users and display names */
#define HISTORY_PAGE_MAX   100         /**< rows of one answer */
#define HISTORY_PAGE_BYTES (48u << 10) /**< of texts in one answer, about */
#define HISTORY_GUESTS     10          /**< guests together have this part of a user's rows */

enum history_kind {
    HISTORY_MESSAGE,
    HISTORY_CALL,
};

/** What happened between two users. Texts are copied. */
struct history_note {
    enum history_kind kind;
    char id[HISTORY_ID_SIZE];
    const char *from;      /**< user name */
    const char *from_name; /**< display name */
    bool from_verified;    /**< something vouches for it; else its rows are a guest's */
    bool from_keeps;       /**< a row for the sender or caller */
    const char *to;
    bool to_is_known; /**< else a row is made for it only if history_know had it before */
    bool to_keeps;    /**< a row for the receiver or callee, if it is known */
    bool missed;      /**< it waits for the receiver */
    int64_t unix_ms;  /**< when it was sent, or the call began */
    const char *text; /**< of a message */
    uint8_t media;    /**< of a call, all below: as the caller numbers them */
    uint8_t result;
    uint32_t seconds;
    const char *from_binding; /**< the callee sees it, and */
    const char *to_binding;   /**< the caller this; NULL: none */
};

/** One row. */
struct history_entry {
    enum history_kind kind;
    char id[HISTORY_ID_SIZE];
    char peer[HISTORY_NAME_SIZE];
    char name[HISTORY_NAME_SIZE]; /**< of the sender or caller */
    bool outgoing;                /**< the user itself sent it, or called */
    bool verified;                /**< the sender or caller was */
    bool missed;
    int64_t unix_ms;
    char *text; /**< "": none */
    uint8_t media;
    uint8_t result;
    uint32_t seconds;
    char binding[16]; /**< "": none */
};

struct history_answer {
    int error; /**< 0, or a negative errno: -ENOENT (history_keep: the receiver is not known) */
    const struct history_entry *entries;
    size_t count;
    bool more;
    uint64_t missed_messages; /**< of history_read_missed */
    uint64_t missed_calls;
};

/** Where an answer goes. Copied; `done` is called once, or never when the store closes before. */
struct history_return {
    void (*done)(const struct history_return *back, const struct history_answer *answer);
    void *owner;
    char name[HISTORY_NAME_SIZE]; /**< for the owner's use, as is */
    uint64_t number;
};

struct history_config {
    struct loop *loop;
    const char *path;       /**< copied */
    const struct log *log;  /**< NULL: silent */
    uint64_t keep_us;       /**< rows older than this are removed; 0: they stay */
    uint32_t per_user_max;  /**< rows of one user; at least 1 */
    uint32_t waiting_max;   /**< requests that wait [10000] */
    uint64_t waiting_bytes; /**< and their size [16 MiB] */
};

enum history_metric {
#define METRIC(id, kind, name, labels, help) HISTORY_METRIC_##id,
#include "store/history_metrics.def"
#undef METRIC
    HISTORY_METRIC_COUNT,
};

struct history;

/**
 * Opens or makes the file, blocking: before the loop runs. Returns 0 or a negative errno with a
 * sentence for the user, as database_open does; -EBUSY: another process has it.
 */
must_check int history_open(const struct history_config *config, struct history **ret_history,
                            struct text_builder *ret_problem);
/** Does what waits, blocking, without answering. Accepts NULL; returns NULL. */
struct history *history_close(struct history *history);
/** The greatest id that the file had when it was opened; "": it was empty. New ones are greater. */
const char *history_last_id(const struct history *history);
struct metric_set history_metrics(const struct history *history);

/**
 * All below: 0; -EAGAIN: as much waits as may, or -EDQUOT: of this user or guest alone
 * (history_share.h), and nothing is done. `back` NULL: nobody asks.
 */

/** The note is on the disk when this is answered with 0. */
must_check int history_keep(struct history *history, const struct history_note *note,
                            const struct history_return *back);
/** Rows of this user are kept from now on. */
must_check int history_know(struct history *history, const char *user, int64_t unix_ms);
/** Removes the rows of a user from before that id. */
must_check int history_forget(struct history *history, const char *user, const char *id);
/** Messages up to `id` were handed to the user; calls up to `id` were seen by it. */
must_check int history_settle(struct history *history, const char *user, enum history_kind kind,
                              const char *id);
/** What was handed to the user did not reach it: it waits again. */
must_check int history_unsettle(struct history *history, const char *user, const char *id);
/**
 * The newest rows of a user, oldest first; with one peer (NULL: all), before the one with that id
 * (NULL: from the end).
 */
must_check int history_read(struct history *history, const char *user, enum history_kind kind,
                            const char *peer, const char *before, uint32_t limit,
                            const struct history_return *back);
/** The oldest messages that wait for a user, and how much waits. */
must_check int history_read_missed(struct history *history, const char *user,
                                   const struct history_return *back);
