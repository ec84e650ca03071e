#include "runtime/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/map.h"
#include "base/memory.h"
#include "runtime/files.h"
#include "runtime/jobs.h"

#define DEFAULT_COMPACT_BYTES (8u << 20)
#define RETRY_US              TIME_US_PER_S
#define HEAD_SIZE             12
#define FILE_SIZE_MAX         (1ull << 40) // what was written can be read
#define BATCH_SIZE_MAX        (1u << 30)   // of a snapshot's
#define FILES_MAX             100000
#define NAME_FORMAT           "%08llu.%s"

struct journal_file {
    struct journal_file_config config;
    char folder[PATH_MAX];
    int lock_fd;
    struct jobs *jobs;
    struct job_inbox inbox;
    struct loop_timer retry;
    uint64_t number;   /**< of the file that is written */
    uint64_t snapshot; /**< number of the last snapshot; 0: none */
    uint64_t snapshot_size;
    uint64_t since_snapshot; /**< bytes of journals behind it */
    bool failed;             /**< told already */

    struct job write_job;
    bool writing; /**< a job is out, or is made again soon, or `held` */
    bool held;    /**< the batch is written, and its owner hears so when the journal is shorter */
    /** Of the job's thread while it is out. */
    int fd;
    uint64_t offset; /**< behind the last whole batch */
    bool is_named;   /**< its name would survive a power cut */
    uint8_t *data;
    size_t size;
    int error;

    struct job compact_job;
    bool compacting;
    /** Of the job's thread while it is out. */
    uint64_t compact_from; /**< the snapshot to begin with */
    uint64_t compact_to;   /**< the last journal to take in */
    uint64_t compacted_size;
    int compact_error;
};

/** ---- batches ---- */

/** Against cut and overwritten ends; nobody forges files of ours. */
static uint64_t check_of(struct bytes data)
{
    static const uint64_t no_secret[2] = { 0, 0 };
    return map_hash(no_secret, data);
}

static void write_head(struct bytes data, uint8_t head[HEAD_SIZE])
{
    store_u32(head, (uint32_t)data.size);
    store_u64(head + 4, check_of(data));
}

struct records {
    uint8_t *data;
    size_t size;
};

static void records_append(struct records *records, struct bytes data)
{
    if (data.size == 0)
        return;
    records->data = memory_resize(records->data, records->size + data.size);
    memcpy(records->data + records->size, data.data, data.size);
    records->size += data.size;
}

/** Takes whole batches out of a file; returns how many bytes are left behind them. */
static size_t take_batches(struct bytes content, struct records *records)
{
    struct reader reader = reader_of(content.data, content.size);
    for (;;) {
        size_t start = reader.at;
        uint32_t size = reader_u32(&reader);
        uint64_t check = reader_u64(&reader);
        struct bytes data = reader_bytes(&reader, size);
        if (reader.failed || check != check_of(data))
            return content.size - start;
        records_append(records, data);
    }
}

/** ---- files ---- */

static int path_of(const struct journal_file *file, uint64_t number, const char *kind,
                   char out[PATH_MAX])
{
    char name[64];
    snprintf(name, sizeof(name), NAME_FORMAT, (unsigned long long)number, kind);
    return file_join(out, PATH_MAX, file->folder, name);
}

/** Reads one file of ours into `records`. `ret_left`: bytes that are no whole batch. */
static int read_one(const struct journal_file *file, uint64_t number, const char *kind,
                    struct records *records, size_t *ret_left)
{
    char path[PATH_MAX];
    char *content;
    size_t size;
    int result = path_of(file, number, kind, path);
    if (result == 0)
        result = file_read(path, FILE_SIZE_MAX, &content, &size);
    if (result < 0)
        return result;
    *ret_left = take_batches(bytes_of(content, size), records);
    free(content);
    return 0;
}

/** A snapshot and the journals behind it, as far as they are there. */
static int read_all(const struct journal_file *file, uint64_t snapshot, uint64_t last,
                    struct records *records, size_t *ret_left)
{
    *ret_left = 0;
    size_t left = 0;
    if (snapshot) {
        int result = read_one(file, snapshot, "snapshot", records, &left);
        // it was renamed into its place: it is whole or something else has changed it
        if (result < 0 || left > 0)
            return result < 0 ? result : -EBADMSG;
    }
    for (uint64_t number = snapshot + 1; number <= last; number++) {
        int result = read_one(file, number, "journal", records, &left);
        if (result < 0 && result != -ENOENT)
            return result;
        if (result == 0)
            *ret_left += left;
    }
    return 0;
}

static bool parse_name(const char *name, const char *kind, uint64_t *ret_number)
{
    struct bytes rest = bytes_of_text(name);
    struct bytes digits = text_take_until(&rest, '.');
    return text_equal(rest, kind) && text_parse_u64(digits, UINT32_MAX, ret_number) == 0;
}

/** The last snapshot, and the last number that anything has. */
static int look_around(struct journal_file *file)
{
    struct file_entry *entries;
    size_t count;
    int result = file_list(file->folder, FILES_MAX, &entries, &count);
    if (result < 0)
        return result;
    for (size_t i = 0; i < count; i++) {
        uint64_t number;
        if (parse_name(entries[i].name, "snapshot", &number)) {
            file->snapshot = max_of(file->snapshot, number);
            file->number = max_of(file->number, number);
        } else if (parse_name(entries[i].name, "journal", &number)) {
            file->number = max_of(file->number, number);
        }
    }
    free(entries);
    return 0;
}

static bool is_left_over(const struct journal_file *file, const char *name)
{
    uint64_t number;
    if (parse_name(name, "snapshot", &number))
        return number < file->snapshot;
    if (parse_name(name, "journal", &number))
        return number <= file->snapshot;
    // of file_write_atomic
    return strstr(name, ".snapshot.");
}

/** Takes away what a process left behind that was killed while it made a snapshot. */
static void sweep(const struct journal_file *file)
{
    struct file_entry *entries;
    size_t count;
    char path[PATH_MAX];
    if (file_list(file->folder, FILES_MAX, &entries, &count) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        if (is_left_over(file, entries[i].name) &&
            file_join(path, sizeof(path), file->folder, entries[i].name) == 0)
            unlink(path);
    }
    free(entries);
}

static int begin_file(struct journal_file *file)
{
    char path[PATH_MAX];
    int result = path_of(file, file->number + 1, "journal", path);
    if (result < 0)
        return result;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (file->fd >= 0)
        close(file->fd);
    file->fd = fd;
    file->offset = 0;
    file->is_named = false;
    file->number++;
    return 0;
}

/** ---- writing ---- */

static int write_whole(int fd, uint64_t offset, const uint8_t *head, struct bytes data)
{
    struct iovec parts[2] = {
        { .iov_base = (void *)(uintptr_t)head, .iov_len = HEAD_SIZE },
        { .iov_base = (void *)(uintptr_t)data.data, .iov_len = data.size },
    };
    struct iovec *part = parts;
    while (part < parts + 2) {
        ssize_t count = pwritev(fd, part, (int)(parts + 2 - part), (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? -errno : -EIO;
        offset += (uint64_t)count;
        for (; part < parts + 2 && (size_t)count >= part->iov_len; part++)
            count -= (ssize_t)part->iov_len;
        if (part < parts + 2) {
            part->iov_base = (uint8_t *)part->iov_base + count;
            part->iov_len -= (size_t)count;
        }
    }
    return 0;
}

/** Data that is safe in a file without a name is lost. */
static int make_safe(struct journal_file *file)
{
    char path[PATH_MAX];
    if (fdatasync(file->fd) < 0)
        return -errno;
    if (file->is_named)
        return 0;
    int result = path_of(file, file->number, "journal", path);
    if (result == 0)
        result = file_sync_folder(path);
    file->is_named = result == 0;
    return result;
}

static void write_work(struct job *job)
{
    struct journal_file *file = container_of(job, struct journal_file, write_job);
    uint8_t head[HEAD_SIZE];
    struct bytes data = bytes_of(file->data, file->size);
    write_head(data, head);
    file->error = write_whole(file->fd, file->offset, head, data);
    if (file->error == 0 && file->config.sync)
        file->error = make_safe(file);
}

static void compact_begin(struct journal_file *file);
static bool is_too_long(const struct journal_file *file);

static void tell_written(struct journal_file *file)
{
    file->writing = file->held = false;
    file->config.written(file->config.owner);
}

static void write_done(struct job *job)
{
    struct journal_file *file = container_of(job, struct journal_file, write_job);
    if (file->error < 0) {
        if (!file->failed)
            log_failure(file->config.log, "the journal cannot be written: what needs it waits",
                        log_text("folder", file->folder),
                        log_text("error", strerror(-file->error)));
        file->failed = true;
        loop_timer_set_after(&file->retry, RETRY_US);
        return;
    }
    if (file->failed)
        log_info(file->config.log, "the journal is written again",
                 log_text("folder", file->folder));
    file->failed = false;
    file->offset += HEAD_SIZE + file->size;
    file->since_snapshot += HEAD_SIZE + file->size;
    free(file->data);
    file->data = NULL;
    compact_begin(file);
    file->held = is_too_long(file);
    if (!file->held)
        tell_written(file);
}

static void write_submit(struct journal_file *file)
{
    if (job_submit(&file->inbox, &file->write_job) < 0)
        loop_timer_set_after(&file->retry, RETRY_US);
}

static void retry_expired(struct loop_timer *timer, uint64_t now_us)
{
    (void)now_us;
    write_submit(container_of(timer, struct journal_file, retry));
}

bool journal_file_is_busy(const struct journal_file *file)
{
    return file->writing;
}

void journal_file_write(struct journal_file *file, uint8_t *data, size_t size)
{
    ensure(!file->writing && size <= UINT32_MAX);
    file->writing = true;
    file->data = data;
    file->size = size;
    write_submit(file);
}

/** ---- snapshots ---- */

static int write_snapshot(struct journal_file *file, struct bytes records)
{
    size_t size;
    uint8_t *compacted = file->config.compact(file->config.owner, records, &size);
    if (!compacted && size > 0)
        return -EBADMSG;
    // a batch's size has 32 bits
    size_t batches = size / BATCH_SIZE_MAX + 1;
    uint8_t *content = memory_allocate(1, size + batches * HEAD_SIZE);
    size_t content_size = 0;
    for (size_t at = 0; at < size; at += BATCH_SIZE_MAX) {
        struct bytes part = bytes_of(compacted + at, min_of(size - at, (size_t)BATCH_SIZE_MAX));
        write_head(part, content + content_size);
        memcpy(content + content_size + HEAD_SIZE, part.data, part.size);
        content_size += HEAD_SIZE + part.size;
    }
    free(compacted);
    char path[PATH_MAX];
    int result = path_of(file, file->compact_to, "snapshot", path);
    if (result == 0)
        result = file_write_atomic(path, bytes_of(content, content_size), 0600);
    file->compacted_size = size;
    free(content);
    return result;
}

/** What the snapshot stands for. Those that stay are taken away by the next one. */
static void remove_files(const struct journal_file *file, uint64_t snapshot, uint64_t last)
{
    char path[PATH_MAX];
    if (snapshot && path_of(file, snapshot, "snapshot", path) == 0)
        unlink(path);
    for (uint64_t number = snapshot ? snapshot : 1; number <= last; number++) {
        if (path_of(file, number, "journal", path) == 0)
            unlink(path);
    }
}

static void compact_work(struct job *job)
{
    struct journal_file *file = container_of(job, struct journal_file, compact_job);
    struct records records = { 0 };
    size_t left;
    file->compact_error = read_all(file, file->compact_from, file->compact_to, &records, &left);
    if (file->compact_error == 0)
        file->compact_error = write_snapshot(file, bytes_of(records.data, records.size));
    if (file->compact_error == 0)
        remove_files(file, file->compact_from, file->compact_to);
    free(records.data);
}

/** How much journal behind the snapshot calls for another. */
static uint64_t enough(const struct journal_file *file)
{
    return max_of(file->config.compact_bytes, 2 * file->snapshot_size);
}

/** More comes than can be made short: without a wait there would be no end to it. */
static bool is_too_long(const struct journal_file *file)
{
    return file->compacting && file->since_snapshot >= enough(file);
}

static void note_compacted(struct journal_file *file)
{
    if (file->compact_error < 0) {
        log_failure(file->config.log, "the journal cannot be made shorter: it grows",
                    log_text("folder", file->folder),
                    log_text("error", strerror(-file->compact_error)));
        // not before as much has come again
        file->since_snapshot = 0;
        return;
    }
    file->snapshot = file->compact_to;
    file->snapshot_size = file->compacted_size;
}

static void compact_done(struct job *job)
{
    struct journal_file *file = container_of(job, struct journal_file, compact_job);
    file->compacting = false;
    note_compacted(file);
    // not while a job writes to the file; its end looks again
    if (!file->writing || file->held)
        compact_begin(file);
    if (file->held && !is_too_long(file))
        tell_written(file);
}

static void compact_begin(struct journal_file *file)
{
    if (file->compacting || file->since_snapshot < enough(file))
        return;
    file->compact_from = file->snapshot;
    file->compact_to = file->number;
    if (begin_file(file) < 0)
        return;
    file->since_snapshot = 0;
    file->compacting = job_submit(&file->inbox, &file->compact_job) == 0;
}

/** ---- life ---- */

static int lock_folder(struct journal_file *file)
{
    char path[PATH_MAX];
    int result = file_make_folder(file->folder, 0700);
    if (result == 0)
        result = file_join(path, sizeof(path), file->folder, "lock");
    if (result < 0)
        return result;
    file->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file->lock_fd < 0)
        return -errno;
    if (flock(file->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    return 0;
}

static int read_folder(struct journal_file *file, struct records *records)
{
    size_t left;
    int result = look_around(file);
    if (result == 0)
        result = read_all(file, file->snapshot, file->number, records, &left);
    if (result < 0)
        return result;
    sweep(file);
    if (left > 0)
        log_info(file->config.log, "the journal ends in the middle of a batch: it is left out",
                 log_text("folder", file->folder), log_number("bytes", (int64_t)left));
    file->since_snapshot = records->size;
    return begin_file(file);
}

static int start_threads(struct journal_file *file)
{
    int result = jobs_start(2, 0, &file->jobs);
    return result < 0 ? result : job_inbox_init(&file->inbox, file->config.loop, file->jobs);
}

static void explain(const struct journal_file *file, int error, struct text_builder *problem)
{
    if (error == -EBUSY)
        text_append_format(problem, "the folder %s is in use by another process", file->folder);
    else if (error == -EBADMSG)
        text_append_format(problem,
                           "the snapshot in %s is damaged: put a backup back, or move the folder "
                           "away to begin anew",
                           file->folder);
    else
        text_append_format(problem, "the folder %s: %s", file->folder, strerror(-error));
}

int journal_file_open(const struct journal_file_config *config, struct journal_file **ret_file,
                      uint8_t **ret_records, size_t *ret_size, struct text_builder *ret_problem)
{
    struct journal_file *file = memory_new(struct journal_file);
    file->config = *config;
    if (!file->config.compact_bytes)
        file->config.compact_bytes = DEFAULT_COMPACT_BYTES;
    file->fd = file->lock_fd = -1;
    snprintf(file->folder, sizeof(file->folder), "%s", config->folder);
    loop_timer_init(&file->retry, config->loop, retry_expired);
    file->write_job = (struct job){ .work = write_work, .done = write_done };
    file->compact_job = (struct job){ .work = compact_work, .done = compact_done };
    struct records records = { 0 };
    int result = lock_folder(file);
    if (result == 0)
        result = read_folder(file, &records);
    if (result == 0)
        result = start_threads(file);
    if (result < 0) {
        explain(file, result, ret_problem);
        free(records.data);
        journal_file_close(file, NULL, 0);
        return result;
    }
    *ret_file = file;
    *ret_records = records.data;
    *ret_size = records.size;
    return 0;
}

struct journal_file *journal_file_close(struct journal_file *file, uint8_t *last, size_t size)
{
    if (!file) {
        free(last);
        return NULL;
    }
    job_inbox_done(&file->inbox);
    loop_timer_cancel(&file->retry);
    jobs_stop(file->jobs);
    if (size > 0 && !file->failed) {
        free(file->data);
        file->data = last;
        file->size = size;
        write_work(&file->write_job);
        file->failed = file->error < 0;
        last = NULL;
    }
    if (size > 0 && file->failed)
        log_failure(file->config.log, "the end of the journal could not be written",
                    log_text("folder", file->folder), log_number("bytes", (int64_t)size));
    free(last);
    if (file->fd >= 0)
        close(file->fd);
    if (file->lock_fd >= 0)
        close(file->lock_fd);
    free(file->data);
    free(file);
    return NULL;
}
