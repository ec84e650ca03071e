#include "store/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"
#include "runtime/jobs.h"
#include "store/history_file.h"
#include "store/history_share.h"

#define DEFAULT_WAITING       10000
#define DEFAULT_WAITING_BYTES (16u << 20)
/** In one transaction: bounds what their answers hold. */
#define BATCH_MAX 256
/** How often old rows are looked for, and how soon again while there are more. */
#define EXPIRE_EVERY_US  (60 * TIME_US_PER_S)
#define EXPIRE_AGAIN_US  (100 * TIME_US_PER_MS)
#define EXPIRED_AT_LEAST 500

static const struct metric_description descriptions[HISTORY_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(HISTORY_METRIC_##id, __VA_ARGS__)
#include "store/history_metrics.def"
#undef METRIC
};

struct history {
    struct history_config config;
    char *path;
    struct jobs *jobs;
    struct job_inbox inbox;
    struct loop_timer expire_timer;
    struct list waiting; /**< struct history_task */
    uint32_t waiting_count;
    uint64_t waiting_bytes;
    struct history_shares shares; /**< of what waits */
    bool working;                 /**< a job is out */
    bool expire_due;
    bool failed; /**< told already */
    bool closing;
    char last_id[HISTORY_ID_SIZE];
    metric_value metrics[HISTORY_METRIC_COUNT];

    struct job job;
    /** Of the job's thread while the job is out. */
    struct history_file file;
    struct list batch;
    int error;
    int64_t expire_before_ms; /**< 0: nothing is to be expired */
    uint64_t expired;
};

/** ---- tasks ---- */

static char *copy(const char *text)
{
    return text ? memory_copy(text, strlen(text)) : NULL;
}

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

static void task_free(struct history_task *task)
{
    for (size_t i = 0; i < task->entry_count; i++)
        free(task->entries[i].text);
    free(task->entries);
    for (size_t i = 0; i < HISTORY_TEXTS_MAX; i++)
        free(task->texts[i]);
    free(task->user);
    free(task->peer);
    free(task->id);
    free(task);
}

/** ---- work ---- */

static void work(struct job *job)
{
    struct history *history = container_of(job, struct history, job);
    history->error =
        list_empty(&history->batch) ? 0 : history_file_run(&history->file, &history->batch);
    history->expired = 0;
    if (history->error == 0 && history->expire_before_ms)
        history->error =
            history_file_expire(&history->file, history->expire_before_ms, &history->expired);
}

/** Some of what waits becomes the batch. */
static void take_batch(struct history *history)
{
    struct history_task *task;
    size_t count = 0;
    list_each(task, &history->waiting, node)
    {
        if (count++ == BATCH_MAX)
            break;
        history->waiting_count--;
        history->waiting_bytes -= task->size;
        history_shares_give(&history->shares, task->sender, task->of_guest, task->size);
        list_remove(&task->node);
        list_append(&history->batch, &task->node);
    }
    metric_set(&history->metrics[HISTORY_METRIC_WAITING], history->waiting_count);
    history->expire_before_ms = 0;
    if (history->expire_due)
        history->expire_before_ms =
            (int64_t)((clock_unix_us() - history->config.keep_us) / TIME_US_PER_MS);
    history->expire_due = false;
}

static void work_soon(struct history *history)
{
    if (history->working || (list_empty(&history->waiting) && !history->expire_due))
        return;
    take_batch(history);
    history->working = true;
    // the pool is ours and has a place for the one job that there is
    ensure(job_submit(&history->inbox, &history->job) == 0);
}

static void note_result(struct history *history)
{
    metric_value *metrics = history->metrics;
    metric_add(&metrics[HISTORY_METRIC_KEPT], history->file.kept);
    metric_add(&metrics[HISTORY_METRIC_DISPLACED], history->file.displaced);
    metric_add(&metrics[HISTORY_METRIC_EXPIRED], history->expired);
    history->file.kept = history->file.displaced = 0;
    if (history->error < 0) {
        metric_add(&metrics[HISTORY_METRIC_FAILURES], 1);
        if (!history->failed && history->config.log)
            log_warning(history->config.log,
                        "messages and calls cannot be kept on the disk, senders are told",
                        log_text("path", history->path),
                        log_text("problem", history->file.database.problem));
    }
    history->failed = history->error < 0;
}

/** Answers what was done; what is asked for from within waits for the next job. */
static void answer_batch(struct history *history)
{
    struct list done;
    list_init(&done);
    struct history_task *task;
    list_each(task, &history->batch, node)
    {
        list_remove(&task->node);
        list_append(&done, &task->node);
    }
    list_each(task, &done, node)
    {
        list_remove(&task->node);
        if (task->back.done && !history->closing)
            task->back.done(&task->back, &task->answer);
        task_free(task);
    }
}

static void job_done(struct job *job)
{
    struct history *history = container_of(job, struct history, job);
    note_result(history);
    if (history->expire_before_ms && !history->closing)
        loop_timer_set_after(&history->expire_timer, history->expired >= EXPIRED_AT_LEAST
                                                         ? EXPIRE_AGAIN_US
                                                         : EXPIRE_EVERY_US);
    answer_batch(history);
    history->working = false;
    if (!history->closing)
        work_soon(history);
}

static void expire_due(struct loop_timer *timer, unused uint64_t now_us)
{
    struct history *history = container_of(timer, struct history, expire_timer);
    history->expire_due = true;
    work_soon(history);
}

/** ---- open and close ---- */

static int start_jobs(struct history *history, struct text_builder *ret_problem)
{
    int result = jobs_start(1, 1, &history->jobs);
    if (result == 0)
        result = job_inbox_init(&history->inbox, history->config.loop, history->jobs);
    if (result < 0)
        text_append_format(ret_problem, "cannot start a thread: %s", strerror(-result));
    return result;
}

static int open_file(struct history *history, struct text_builder *ret_problem)
{
    history->file.per_user_max = max_of(history->config.per_user_max, 1u);
    int result = history_file_open(&history->file, history->path, ret_problem);
    if (result < 0)
        return result;
    result = history_file_last(&history->file, history->last_id);
    if (result < 0)
        text_append_format(ret_problem, "cannot read %s: %s", history->path,
                           history->file.database.problem);
    return result;
}

static void start_shares(struct history *history)
{
    struct entropy entropy;
    entropy_init(&entropy);
    const uint64_t secret[2] = { random_u64(&entropy.random), random_u64(&entropy.random) };
    entropy_done(&entropy);
    struct history_amount max = { history->config.waiting_max, history->config.waiting_bytes };
    history_shares_init(&history->shares, secret, max);
}

int history_open(const struct history_config *config, struct history **ret_history,
                 struct text_builder *ret_problem)
{
    struct history *history = memory_new(struct history);
    history->config = *config;
    if (!history->config.waiting_max)
        history->config.waiting_max = DEFAULT_WAITING;
    if (!history->config.waiting_bytes)
        history->config.waiting_bytes = DEFAULT_WAITING_BYTES;
    start_shares(history);
    history->path = copy(config->path);
    history->job = (struct job){ .work = work, .done = job_done };
    list_init(&history->waiting);
    list_init(&history->batch);
    loop_timer_init(&history->expire_timer, config->loop, expire_due);
    int result = open_file(history, ret_problem);
    if (result == 0)
        result = start_jobs(history, ret_problem);
    if (result < 0) {
        history_close(history);
        return result;
    }
    if (config->keep_us)
        loop_timer_set_after(&history->expire_timer, TIME_US_PER_S);
    *ret_history = history;
    return 0;
}

struct history *history_close(struct history *history)
{
    if (!history)
        return NULL;
    history->closing = true;
    job_inbox_done(&history->inbox);
    jobs_stop(history->jobs);
    loop_timer_cancel(&history->expire_timer);
    // the last writes, on this thread
    while (!list_empty(&history->waiting)) {
        take_batch(history);
        work(&history->job);
        note_result(history);
        answer_batch(history);
    }
    history_file_close(&history->file);
    history_shares_done(&history->shares);
    free(history->path);
    free(history);
    return NULL;
}

struct metric_set history_metrics(const struct history *history)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = history->metrics,
                                .count = HISTORY_METRIC_COUNT,
                                .labels = "" };
}

const char *history_last_id(const struct history *history)
{
    return history->last_id;
}

/** ---- asking ---- */

/** Counts and frees what is not taken; returns `result`. */
static int refuse(struct history *history, struct history_task *task, enum history_metric metric,
                  int result)
{
    metric_add(&history->metrics[metric], 1);
    task_free(task);
    return result;
}

/** Takes the task over. */
static int add(struct history *history, struct history_task *task,
               const struct history_return *back)
{
    const struct history_config *config = &history->config;
    if (history->waiting_count >= config->waiting_max ||
        history->waiting_bytes + task->size > config->waiting_bytes)
        return refuse(history, task, HISTORY_METRIC_REFUSED_FULL, -EAGAIN);
    if (!history_shares_take(&history->shares, task->sender, task->of_guest, task->size))
        return refuse(history, task, HISTORY_METRIC_REFUSED_SHARE, -EDQUOT);
    if (back)
        task->back = *back;
    list_append(&history->waiting, &task->node);
    history->waiting_count++;
    history->waiting_bytes += task->size;
    metric_set(&history->metrics[HISTORY_METRIC_WAITING], history->waiting_count);
    work_soon(history);
    return 0;
}

static struct history_task *task_new(enum history_verb verb, const char *user, const char *id)
{
    struct history_task *task = memory_new(struct history_task);
    task->verb = verb;
    task->sender = task->user = copy(user);
    task->id = copy(id);
    task->size = sizeof(*task);
    list_init(&task->node);
    return task;
}

int history_keep(struct history *history, const struct history_note *note,
                 const struct history_return *back)
{
    struct history_task *task = task_new(HISTORY_KEEP, NULL, NULL);
    task->note = *note;
    task->note.from = task->sender = task->texts[0] = copy(note->from);
    task->of_guest = !note->from_verified;
    task->note.from_name = task->texts[1] = copy(note->from_name);
    task->note.to = task->texts[2] = copy(note->to);
    task->note.text = task->texts[3] = copy(note->text);
    task->note.from_binding = task->texts[4] = copy(note->from_binding);
    task->note.to_binding = task->texts[5] = copy(note->to_binding);
    task->size += length(note->text);
    return add(history, task, back);
}

int history_know(struct history *history, const char *user, int64_t unix_ms)
{
    struct history_task *task = task_new(HISTORY_KNOW, user, NULL);
    task->unix_ms = unix_ms;
    return add(history, task, NULL);
}

int history_forget(struct history *history, const char *user, const char *id)
{
    return add(history, task_new(HISTORY_FORGET, user, id), NULL);
}

int history_settle(struct history *history, const char *user, enum history_kind kind,
                   const char *id)
{
    struct history_task *task = task_new(HISTORY_SETTLE, user, id);
    task->kind = kind;
    return add(history, task, NULL);
}

int history_unsettle(struct history *history, const char *user, const char *id)
{
    return add(history, task_new(HISTORY_UNSETTLE, user, id), NULL);
}

int history_read(struct history *history, const char *user, enum history_kind kind,
                 const char *peer, const char *before, uint32_t limit,
                 const struct history_return *back)
{
    struct history_task *task = task_new(HISTORY_READ, user, before);
    task->kind = kind;
    task->peer = copy(peer);
    task->limit = limit;
    return add(history, task, back);
}

int history_read_missed(struct history *history, const char *user,
                        const struct history_return *back)
{
    return add(history, task_new(HISTORY_READ_MISSED, user, NULL), back);
}
