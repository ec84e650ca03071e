/** The file of an outbox, for outbox.c. Every call blocks. */
#pragma once

#include "store/database.h"
#include "store/outbox.h"

/** Written in one transaction. */
struct outbox_batch {
    struct list added; /**< of outbox_event.node, in their order */
    int64_t *removed;  /**< numbers */
    size_t removed_count;
    size_t removed_capacity;
};

must_check int outbox_file_open(struct database *database, const char *path,
                                struct text_builder *ret_problem);
/** Returns 0 or a negative errno, and then nothing was written. */
must_check int outbox_file_write(struct database *database, const struct outbox_batch *batch);
/**
 * Appends all events, oldest first, each with a reference for the caller. Returns 0 or a negative
 * errno, and then those read until then are there, too.
 */
must_check int outbox_file_read(struct database *database, struct list *ret_events);
