/**
 * A journal in a folder: batches of bytes that are on the disk, in order, when their owner hears
 * so, and are all found again after the process was killed at any moment. What the bytes say is
 * the owner's business, who also makes a long journal short again.
 *
 *     00000007.snapshot   all that batches up to the end of 00000007.journal lead to
 *     00000008.journal    batches: | size (4) | check (8) | bytes |
 *
 * Every start begins another file, and so does every snapshot; the files before it are then taken
 * away. A batch whose end is missing was never reported as written: it is left out.
 *
 * All disk work is done by threads of its own. One process at a time has the folder.
 */
#pragma once

#include "base/log.h"
#include "base/text.h"
#include "runtime/loop.h"

struct journal_file;

struct journal_file_config {
    struct loop *loop;      /**< required */
    const char *folder;     /**< made when it is missing (0700); copied */
    const struct log *log;  /**< NULL: silent */
    bool sync;              /**< written batches survive a power cut too, not only a kill */
    uint64_t compact_bytes; /**< journal since the last snapshot that calls for another [8 MiB] */
    /** The batch is on the disk: the next may be given. Comes later while the journal grows faster
     *  than it is made short, so that it has an end. */
    void (*written)(void *owner);
    /**
     * On a thread of its own: the shortest bytes that lead to what `records` (snapshot and all
     * batches, one behind the other) leads to; NULL: it cannot say. The caller frees both.
     */
    uint8_t *(*compact)(void *owner, struct bytes records, size_t *ret_size);
    void *owner;
};

/**
 * Opens the folder and reads what is in it, blocking: `ret_records` (the caller frees; NULL: none)
 * is the last snapshot and all batches behind it. Returns 0 or a negative errno with a sentence for
 * the user: -EBUSY when another process has it.
 */
must_check int journal_file_open(const struct journal_file_config *config,
                                 struct journal_file **ret_file, uint8_t **ret_records,
                                 size_t *ret_size, struct text_builder *ret_problem);
/**
 * Waits for what is being written, then writes a last batch (NULL: none), which it frees. Accepts
 * NULL; returns NULL.
 */
struct journal_file *journal_file_close(struct journal_file *file, uint8_t *last, size_t size);
/** A batch is on its way. */
bool journal_file_is_busy(const struct journal_file *file);
/**
 * Writes a batch, whose memory it frees; not while it is busy. When the disk refuses (it is full)
 * that is told once and tried again every second until it takes it.
 */
void journal_file_write(struct journal_file *file, uint8_t *data, size_t size);
