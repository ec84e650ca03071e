#include "store/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "runtime/jobs.h"
#include "store/outbox_file.h"

/** After a write that failed, as on a full disk. */
#define RETRY_US TIME_US_PER_S

struct outbox {
    struct outbox_config config;
    char *path;
    struct jobs *jobs;
    struct job_inbox inbox;
    struct loop_timer timer;
    int64_t next_number;
    struct outbox_batch waiting; /**< what the next job gets */
    bool writing;                /**< a job is out, or is made again soon */
    bool failed;                 /**< told already */
    bool closing;

    struct job job;
    /** Of the job's thread while the job is out. */
    struct database database;
    struct outbox_batch batch;
    int error;
};

/** ---- events ---- */

struct outbox_event *outbox_event_new(const char *destination, const char *subject, const char *id,
                                      struct blob *body, uint64_t made_unix_us)
{
    struct outbox_event *event = memory_new(struct outbox_event);
    *event = (struct outbox_event){
        .destination = memory_copy(destination, strlen(destination)),
        .subject = memory_copy(subject, strlen(subject)),
        .id = memory_copy(id, strlen(id)),
        .body = body,
        .made_unix_us = made_unix_us,
        .references = 1,
    };
    list_init(&event->node);
    return event;
}

struct outbox_event *outbox_event_unref(struct outbox_event *event)
{
    if (!event || --event->references > 0)
        return NULL;
    free(event->destination);
    free(event->subject);
    free(event->id);
    blob_unref(event->body);
    free(event);
    return NULL;
}

/** ---- batches ---- */

static bool is_empty(const struct outbox_batch *batch)
{
    return list_empty(&batch->added) && batch->removed_count == 0;
}

/** What was added leaves the batch in this state. Returns how many that were. */
static size_t clear(struct outbox_batch *batch, enum outbox_state state)
{
    size_t count = 0;
    struct outbox_event *event;
    list_each(event, &batch->added, node)
    {
        event->state = state;
        list_remove(&event->node);
        outbox_event_unref(event);
        count++;
    }
    batch->removed_count = 0;
    return count;
}

static void note_removed(struct outbox_batch *batch, int64_t number)
{
    if (batch->removed_count == batch->removed_capacity) {
        batch->removed_capacity = max_of(batch->removed_capacity * 2, (size_t)64);
        batch->removed =
            memory_resize(batch->removed, batch->removed_capacity * sizeof(*batch->removed));
    }
    batch->removed[batch->removed_count++] = number;
}

/** `to` is empty. */
static void move(struct outbox_batch *from, struct outbox_batch *to)
{
    struct outbox_event *event;
    list_each(event, &from->added, node)
    {
        event->state = OUTBOX_WRITING;
        list_remove(&event->node);
        list_append(&to->added, &event->node);
    }
    // both keep an array of numbers
    int64_t *removed = to->removed;
    size_t capacity = to->removed_capacity;
    to->removed = from->removed;
    to->removed_count = from->removed_count;
    to->removed_capacity = from->removed_capacity;
    from->removed = removed;
    from->removed_count = 0;
    from->removed_capacity = capacity;
}

/** ---- writing ---- */

static void work(struct job *job)
{
    struct outbox *outbox = container_of(job, struct outbox, job);
    outbox->error = outbox_file_write(&outbox->database, &outbox->batch);
}

static void submit(struct outbox *outbox)
{
    outbox->writing = true;
    if (job_submit(&outbox->inbox, &outbox->job) < 0)
        loop_timer_set_after(&outbox->timer, RETRY_US);
}

static void due(struct loop_timer *timer, unused uint64_t now_us)
{
    submit(container_of(timer, struct outbox, timer));
}

/** What happens until a job is done is the next job's. */
static void write_soon(struct outbox *outbox)
{
    if (outbox->writing || is_empty(&outbox->waiting))
        return;
    move(&outbox->waiting, &outbox->batch);
    submit(outbox);
}

/** Returns whether the batch was written. */
static bool take_result(struct outbox *outbox)
{
    if (outbox->error < 0) {
        metric_add(outbox->config.failures, 1);
        if (!outbox->failed && outbox->config.log)
            log_warning(outbox->config.log,
                        "events cannot be kept on the disk, it is tried again: they would be lost "
                        "with the process",
                        log_text("path", outbox->path),
                        log_text("problem", outbox->database.problem));
    }
    outbox->failed = outbox->error < 0;
    if (outbox->failed)
        return false;
    metric_subtract(outbox->config.written, outbox->batch.removed_count);
    metric_add(outbox->config.written, clear(&outbox->batch, OUTBOX_WRITTEN));
    return true;
}

static void done(struct job *job)
{
    struct outbox *outbox = container_of(job, struct outbox, job);
    bool written = take_result(outbox);
    if (outbox->closing)
        return;
    if (!written) {
        loop_timer_set_after(&outbox->timer, RETRY_US);
        return;
    }
    outbox->writing = false;
    write_soon(outbox);
}

void outbox_add(struct outbox *outbox, struct outbox_event *event)
{
    event->number = outbox->next_number++;
    event->state = OUTBOX_NEW;
    event->references++;
    list_append(&outbox->waiting.added, &event->node);
    write_soon(outbox);
}

void outbox_remove(struct outbox *outbox, struct outbox_event *event)
{
    if (event->state == OUTBOX_NEW) {
        list_remove(&event->node);
        ensure(event->references > 1); // the map's, too
        outbox_event_unref(event);     // that of the batch
    } else {
        note_removed(&outbox->waiting, event->number);
        write_soon(outbox);
    }
    outbox_event_unref(event);
}

/** ---- open and close ---- */

static void init_batch(struct outbox_batch *batch)
{
    list_init(&batch->added);
}

static void done_batch(struct outbox_batch *batch)
{
    clear(batch, OUTBOX_NEW);
    free(batch->removed);
}

static int start_jobs(struct outbox *outbox, struct text_builder *ret_problem)
{
    int result = jobs_start(1, 1, &outbox->jobs);
    if (result == 0)
        result = job_inbox_init(&outbox->inbox, outbox->config.loop, outbox->jobs);
    if (result < 0)
        text_append_format(ret_problem, "cannot start a thread: %s", strerror(-result));
    return result;
}

int outbox_open(const struct outbox_config *config, struct outbox **ret_outbox,
                struct text_builder *ret_problem)
{
    struct outbox *outbox = memory_new(struct outbox);
    outbox->config = *config;
    outbox->path = memory_copy(config->path, strlen(config->path));
    outbox->next_number = 1;
    outbox->job = (struct job){ .work = work, .done = done };
    init_batch(&outbox->waiting);
    init_batch(&outbox->batch);
    loop_timer_init(&outbox->timer, config->loop, due);
    int result = outbox_file_open(&outbox->database, config->path, ret_problem);
    if (result == 0)
        result = start_jobs(outbox, ret_problem);
    if (result < 0)
        outbox_close(outbox);
    else
        *ret_outbox = outbox;
    return result;
}

/** The last writes, on this thread: one that had failed, then what came after it. */
static void write_rest(struct outbox *outbox)
{
    for (int i = 0; i < 2; i++) {
        if (!is_empty(&outbox->batch)) {
            work(&outbox->job);
            if (!take_result(outbox))
                return;
        }
        move(&outbox->waiting, &outbox->batch);
    }
}

struct outbox *outbox_close(struct outbox *outbox)
{
    if (!outbox)
        return NULL;
    outbox->closing = true;
    job_inbox_done(&outbox->inbox);
    jobs_stop(outbox->jobs);
    loop_timer_cancel(&outbox->timer);
    if (outbox->database.connection)
        write_rest(outbox);
    database_close(&outbox->database);
    done_batch(&outbox->waiting);
    done_batch(&outbox->batch);
    free(outbox->path);
    free(outbox);
    return NULL;
}

int outbox_read(struct outbox *outbox, void (*take)(struct outbox_event *event, void *owner),
                void *owner, struct text_builder *ret_problem)
{
    struct list events;
    list_init(&events);
    int result = outbox_file_read(&outbox->database, &events);
    if (result < 0)
        text_append_format(ret_problem, "cannot read %s: %s", outbox->path,
                           outbox->database.problem);
    struct outbox_event *event;
    list_each(event, &events, node)
    {
        list_remove(&event->node);
        outbox->next_number = event->number + 1;
        metric_add(outbox->config.written, 1);
        if (result < 0)
            outbox_event_unref(event);
        else
            take(event, owner);
    }
    return result;
}
