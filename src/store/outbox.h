/**
 * What is to be delivered elsewhere and must not be lost with the process: events in an SQLite
 * file, oldest first. They are written by a job thread, in transactions of all that happened while
 * the one before was written: who adds an event never waits for the disk. One process at a time
 * has the file.
 *
 * An event that was taken off before it was written costs no write. One that was delivered just
 * before the process was killed may be found again: receivers know it by its id.
 */
#pragma once

#include "base/blob.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/text.h"
#include "runtime/loop.h"

enum outbox_state {
    OUTBOX_NEW,     /**< waits to be written */
    OUTBOX_WRITING, /**< a job has it */
    OUTBOX_WRITTEN, /**< in the file, where `outbox_remove` has it taken out */
};

/** Immutable once it was added, but for what the outbox keeps in it. */
struct outbox_event {
    int64_t number; /**< the order */
    char *destination;
    char *subject; /**< what keeps its order: a room */
    char *id;
    struct blob *body;
    uint64_t made_unix_us;

    uint32_t references;
    enum outbox_state state;
    struct list node; /**< of the outbox */
};

struct outbox;

struct outbox_config {
    struct loop *loop;
    const char *path;       /**< copied */
    const struct log *log;  /**< NULL: silent */
    metric_value *failures; /**< writes that failed and are made again */
    metric_value *written;  /**< events in the file */
};

/** Copies the texts; takes over the caller's reference to the body. One reference. */
struct outbox_event *outbox_event_new(const char *destination, const char *subject, const char *id,
                                      struct blob *body, uint64_t made_unix_us);
/** On the loop's thread. Accepts NULL; returns NULL. */
struct outbox_event *outbox_event_unref(struct outbox_event *event);

/**
 * Opens or makes the file, blocking: before the loop runs. Returns 0 or a negative errno with a
 * sentence for the user, as database_open does; -EBUSY: another process has it.
 */
must_check int outbox_open(const struct outbox_config *config, struct outbox **ret_outbox,
                           struct text_builder *ret_problem);
/** Writes what waits, blocking. Accepts NULL; returns NULL. */
struct outbox *outbox_close(struct outbox *outbox);

/**
 * The events of an earlier process, oldest first, blocking: before others are added. `take` gets a
 * reference to each. Returns 0 or a negative errno with a sentence.
 */
must_check int outbox_read(struct outbox *outbox,
                           void (*take)(struct outbox_event *event, void *owner), void *owner,
                           struct text_builder *ret_problem);
/** Has it written soon. The outbox takes a reference. */
void outbox_add(struct outbox *outbox, struct outbox_event *event);
/** It was delivered, or given up. Drops the caller's reference. */
void outbox_remove(struct outbox *outbox, struct outbox_event *event);
