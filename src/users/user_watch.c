#include "users/user_watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "runtime/jobs.h"

#define DEFAULT_INTERVAL_US TIME_US_PER_S
#define PROBLEM_MAX         512
/** Changes that are told in one turn of the loop. */
#define TOLD_PER_TURN 256

struct user_watch {
    struct loop *loop;
    struct jobs *jobs;
    struct job_inbox inbox;
    struct loop_timer timer;
    const struct log *log;
    uint64_t interval_us;
    void (*changed)(void *owner);
    void *owner;
    struct user_list users;
    struct list listeners;
    struct list waiting; /**< looks for the next read */
    struct list looking; /**< looks that the read in progress will be the answer to */
    bool failed;         /**< told already */
    struct loop_task task;
    bool closing;
    size_t told; /**< of the changes, so many */

    struct job job;
    /** Of the job's thread while the job is out. */
    char *path;
    char *realm;
    struct user_store *store; /**< NULL: to be opened */
    uint32_t version;
    dev_t device;
    ino_t inode;
    bool fresh; /**< `read` is newer than `users`, and `changes` is what has changed */
    int error;
    char problem[PROBLEM_MAX];
    struct user_list read;
    struct user_list former; /**< which the next job lets go */
    struct user_changes changes;
};

/** Another file may stand there now: a backup that was put back. */
static bool file_is_same(const struct user_watch *watch)
{
    struct stat status;
    return stat(watch->path, &status) == 0 && status.st_dev == watch->device &&
           status.st_ino == watch->inode;
}

static int open_store(struct user_watch *watch)
{
    struct text_builder problem = text_builder_of(watch->problem, sizeof(watch->problem));
    int result = user_store_open(watch->path, &watch->store, &problem);
    struct stat status;
    if (result == 0 && stat(watch->path, &status) == 0) {
        watch->device = status.st_dev;
        watch->inode = status.st_ino;
    }
    return result;
}

static int note_problem(struct user_watch *watch, int error)
{
    struct text_builder problem = text_builder_of(watch->problem, sizeof(watch->problem));
    text_append_format(&problem, "cannot read %s: %s", watch->path,
                       user_store_problem(watch->store));
    // opened anew next time: it may be repaired by then
    watch->store = user_store_close(watch->store);
    return error;
}

/** Reads the users if they may have changed. Blocks. Returns 0 or a negative errno. */
static int look(struct user_watch *watch)
{
    if (watch->store && !file_is_same(watch))
        watch->store = user_store_close(watch->store);
    bool opened = !watch->store;
    int result = opened ? open_store(watch) : 0;
    if (result < 0)
        return result;
    uint32_t version = 0;
    // the version first: a change in between is seen the next time
    result = user_store_version(watch->store, &version);
    if (result < 0)
        return note_problem(watch, result);
    if (!opened && version == watch->version)
        return 0;
    result = user_store_read(watch->store, watch->realm, &watch->read);
    if (result < 0)
        return note_problem(watch, result);
    watch->version = version;
    watch->fresh = true;
    return 0;
}

static void work(struct job *job)
{
    struct user_watch *watch = container_of(job, struct user_watch, job);
    user_changes_done(&watch->changes);
    user_list_done(&watch->former);
    watch->error = look(watch);
    // those in use stay as they are until the job is done
    if (watch->fresh)
        user_changes_find(&watch->users, &watch->read, &watch->changes);
}

/** ---- what has changed ---- */

static void adopt(struct user_watch *watch)
{
    watch->former = watch->users;
    watch->users = watch->read;
    watch->read = (struct user_list){ 0 };
    watch->fresh = false;
    watch->told = 0;
}

static void tell(struct user_watch *watch, const struct user_change *change)
{
    struct user_listener *listener;
    list_each(listener, &watch->listeners, node)
        listener->changed(listener, change->name, change->fate);
}

/** Returns whether all were told. */
static bool tell_some(struct user_watch *watch)
{
    size_t end = min_of(watch->changes.count, watch->told + TOLD_PER_TURN);
    while (watch->told < end)
        tell(watch, &watch->changes.items[watch->told++]);
    struct user_listener *listener;
    list_each(listener, &watch->listeners, node)
    {
        if (listener->told)
            listener->told(listener);
    }
    return watch->told == watch->changes.count;
}

void user_watch_listen(struct user_watch *watch, struct user_listener *listener)
{
    list_append(&watch->listeners, &listener->node);
}

void user_watch_unlisten(struct user_listener *listener)
{
    if (listener->node.next)
        list_remove(&listener->node);
}

/** ---- looking ---- */

/** All is known that this look has found. */
static void finish(struct user_watch *watch, bool changed)
{
    if (changed)
        watch->changed(watch->owner);
    loop_timer_set_after(&watch->timer, list_empty(&watch->waiting) ? watch->interval_us : 0);
    while (!list_empty(&watch->looking)) {
        struct user_look *look = container_of(watch->looking.next, struct user_look, node);
        list_remove(&look->node);
        look->done(look);
    }
}

static void go_on_telling(struct loop_task *task)
{
    struct user_watch *watch = container_of(task, struct user_watch, task);
    if (tell_some(watch))
        finish(watch, true);
    else
        loop_task_defer(watch->loop, task);
}

static void done(struct job *job)
{
    struct user_watch *watch = container_of(job, struct user_watch, job);
    if (watch->closing)
        return;
    if (watch->error < 0 && !watch->failed && watch->log)
        log_warning(watch->log, "the users cannot be read, those known before stay in use",
                    log_text("problem", watch->problem));
    watch->failed = watch->error < 0;
    if (!watch->fresh) {
        finish(watch, false);
        return;
    }
    adopt(watch);
    go_on_telling(&watch->task);
}

static void due(struct loop_timer *timer, unused uint64_t now_us)
{
    struct user_watch *watch = container_of(timer, struct user_watch, timer);
    if (job_submit(&watch->inbox, &watch->job) < 0) {
        loop_timer_set_after(timer, watch->interval_us);
        return;
    }
    while (!list_empty(&watch->waiting)) {
        struct list *node = watch->waiting.next;
        list_remove(node);
        list_append(&watch->looking, node);
    }
}

void user_watch_look(struct user_watch *watch, struct user_look *look)
{
    list_append(&watch->waiting, &look->node);
    // else a look is under way, and a new one follows it
    if (loop_timer_armed(&watch->timer))
        loop_timer_set_after(&watch->timer, 0);
}

void user_watch_look_cancel(struct user_look *look)
{
    list_remove(&look->node);
}

static int start_jobs(struct user_watch *watch)
{
    int result = jobs_start(1, 1, &watch->jobs);
    return result < 0 ? result : job_inbox_init(&watch->inbox, watch->loop, watch->jobs);
}

int user_watch_open(const struct user_watch_config *config, struct user_watch **ret_watch,
                    struct text_builder *ret_problem)
{
    struct user_watch *watch = memory_new(struct user_watch);
    *watch = (struct user_watch){
        .loop = config->loop,
        .log = config->log,
        .interval_us = config->interval_us ? config->interval_us : DEFAULT_INTERVAL_US,
        .changed = config->changed,
        .owner = config->owner,
        .job = { .work = work, .done = done },
        .path = memory_copy(config->path, strlen(config->path)),
        .realm = config->realm ? memory_copy(config->realm, strlen(config->realm)) : NULL,
    };
    list_init(&watch->listeners);
    list_init(&watch->waiting);
    list_init(&watch->looking);
    loop_timer_init(&watch->timer, config->loop, due);
    loop_task_init(&watch->task, go_on_telling);
    int result = look(watch);
    if (result < 0)
        text_append(ret_problem, watch->problem);
    else if ((result = start_jobs(watch)) < 0)
        text_append_format(ret_problem, "cannot start a thread: %s", strerror(-result));
    if (result < 0) {
        user_watch_close(watch);
        return result;
    }
    adopt(watch);
    loop_timer_set_after(&watch->timer, watch->interval_us);
    *ret_watch = watch;
    return 0;
}

struct user_watch *user_watch_close(struct user_watch *watch)
{
    if (!watch)
        return NULL;
    watch->closing = true; // the job that is out ends here
    job_inbox_done(&watch->inbox);
    loop_timer_cancel(&watch->timer);
    loop_task_cancel(&watch->task);
    jobs_stop(watch->jobs);
    user_store_close(watch->store);
    user_list_done(&watch->users);
    user_list_done(&watch->read);
    user_list_done(&watch->former);
    user_changes_done(&watch->changes);
    free(watch->path);
    free(watch->realm);
    free(watch);
    return NULL;
}

const struct user_list *user_watch_users(const struct user_watch *watch)
{
    return &watch->users;
}

const char *user_watch_path(const struct user_watch *watch)
{
    return watch->path;
}

const char *user_watch_realm(const struct user_watch *watch)
{
    return watch->realm;
}
