#include "users/user_watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "runtime/jobs.h"

#define DEFAULT_INTERVAL_US TIME_US_PER_S
#define PROBLEM_MAX         512

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

    struct job job;
    /** Of the job's thread while the job is out. */
    char *path;
    char *realm;
    struct user_store *store; /**< NULL: to be opened */
    uint32_t version;
    dev_t device;
    ino_t inode;
    bool fresh; /**< `read` is newer than `users` */
    int error;
    char problem[PROBLEM_MAX];
    struct user_list read;
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
    watch->error = look(watch);
}

/** ---- what has changed ---- */

static void tell(struct user_watch *watch, const struct user *user, enum user_fate fate)
{
    struct user_listener *listener;
    list_each(listener, &watch->listeners, node) listener->changed(listener, user->name, fate);
}

static bool same_text(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

static void tell_new(struct user_watch *watch, const struct user *from, const struct user *end)
{
    for (const struct user *user = from; user < end; user++)
        tell(watch, user, USER_IS_NEW);
}

static void compare(struct user_watch *watch, const struct user *before, const struct user *after)
{
    // who was removed and made again is somebody else
    if (!after || after->created_unix_s != before->created_unix_s ||
        (after->disabled && !before->disabled))
        tell(watch, before, USER_IS_GONE);
    else if (!user_keys_same_password(&before->keys, &after->keys))
        tell(watch, before, USER_IS_REKEYED);
    else if (before->role != after->role || !same_text(before->display_name, after->display_name))
        tell(watch, before, USER_IS_RENAMED);
}

static int order_of(const struct user *one, const struct user *other)
{
    int order = strcmp(one->name, other->name);
    return order ? order : strcmp(one->realm, other->realm);
}

/** Both are sorted. */
static void tell_changes(struct user_watch *watch, const struct user_list *before)
{
    const struct user_list *after = &watch->users;
    size_t at = 0;
    for (size_t i = 0; i < before->count; i++) {
        const struct user *user = &before->items[i];
        size_t from = at;
        while (at < after->count && order_of(&after->items[at], user) < 0)
            at++;
        tell_new(watch, after->items + from, after->items + at);
        bool is_there = at < after->count && order_of(&after->items[at], user) == 0;
        compare(watch, user, is_there ? &after->items[at] : NULL);
        at += is_there;
    }
    tell_new(watch, after->items + at, after->items + after->count);
}

static void adopt(struct user_watch *watch)
{
    struct user_list before = watch->users;
    watch->users = watch->read;
    watch->read = (struct user_list){ 0 };
    watch->fresh = false;
    tell_changes(watch, &before);
    user_list_done(&before);
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

static void done(struct job *job)
{
    struct user_watch *watch = container_of(job, struct user_watch, job);
    if (watch->error < 0 && !watch->failed && watch->log)
        log_warning(watch->log, "the users cannot be read, those known before stay in use",
                    log_text("problem", watch->problem));
    watch->failed = watch->error < 0;
    loop_timer_set_after(&watch->timer, list_empty(&watch->waiting) ? watch->interval_us : 0);
    if (watch->fresh) {
        adopt(watch);
        watch->changed(watch->owner);
    }
    while (!list_empty(&watch->looking)) {
        struct user_look *look = container_of(watch->looking.next, struct user_look, node);
        list_remove(&look->node);
        look->done(look);
    }
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
    // else the job is out, and a new one follows it
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

static void ignore(unused void *owner)
{
}

struct user_watch *user_watch_close(struct user_watch *watch)
{
    if (!watch)
        return NULL;
    watch->changed = ignore; // the job that is out ends here
    list_init(&watch->listeners);
    job_inbox_done(&watch->inbox);
    loop_timer_cancel(&watch->timer);
    jobs_stop(watch->jobs);
    user_store_close(watch->store);
    user_list_done(&watch->users);
    user_list_done(&watch->read);
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
