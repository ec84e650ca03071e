#include "runtime/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

/** Quiet time after which a burst of changes is over. */
#define QUIET_US (200 * TIME_US_PER_MS)
/** Longest burst: something else in the folder may change all the time. */
#define BURST_US (2 * TIME_US_PER_S)
/** For changes that inotify does not see: a folder on the way replaced, network file systems. */
#define POLL_US (60 * TIME_US_PER_S)

/** What tells one content of a name from another. */
struct signature {
    bool exists;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct watched_file {
    char *path;
    struct signature seen;
};

struct file_watch {
    struct loop_watch watch;
    struct loop_timer timer;
    int fd;
    void (*changed)(void *owner, size_t index);
    void *owner;
    size_t count;
    bool telling; /**< inside `changed`: closing is put off */
    bool closed;
    uint64_t burst_us; /**< when the burst that waits for quiet began; 0: none */
    struct watched_file files[FILE_WATCH_MAX];
};

static struct signature signature_of(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return (struct signature){ .exists = false };
    return (struct signature){
        .exists = true,
        .device = status.st_dev,
        .inode = status.st_ino,
        .size = status.st_size,
        .modified = status.st_mtim,
    };
}

static bool same(const struct signature *a, const struct signature *b)
{
    return a->exists == b->exists && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->modified.tv_sec == b->modified.tv_sec &&
           a->modified.tv_nsec == b->modified.tv_nsec;
}

static void compare_all(struct file_watch *watch)
{
    watch->telling = true;
    for (size_t i = 0; i < watch->count && !watch->closed; i++) {
        struct signature now = signature_of(watch->files[i].path);
        if (same(&now, &watch->files[i].seen))
            continue;
        watch->files[i].seen = now;
        watch->changed(watch->owner, i);
    }
    watch->telling = false;
}

static void on_timer(struct loop_timer *timer, uint64_t unused_now unused)
{
    struct file_watch *watch = container_of(timer, struct file_watch, timer);
    watch->burst_us = 0;
    compare_all(watch);
    if (watch->closed)
        free(watch);
    else
        loop_timer_set_after(&watch->timer, POLL_US);
}

static void on_ready(struct loop_watch *loop_watch, unsigned unused_events unused)
{
    struct file_watch *watch = container_of(loop_watch, struct file_watch, watch);
    _Alignas(struct inotify_event) char events[4096];
    // which name it was does not matter: the files themselves are compared when all is quiet
    while (read(watch->fd, events, sizeof(events)) > 0)
        ;
    uint64_t now_us = loop_now_us(loop_watch->loop);
    if (watch->burst_us == 0)
        watch->burst_us = now_us;
    loop_timer_set(&watch->timer, time_earlier(now_us + QUIET_US, watch->burst_us + BURST_US));
}

/** Watches the folder, since files are replaced by renames. */
static int watch_folder_of(int fd, const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? max_of((size_t)(slash - path), (size_t)1) : 1;
    int error = text_copy(folder, sizeof(folder), bytes_of(slash ? path : ".", size));
    if (error < 0)
        return error;
    uint32_t mask =
        IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_MODIFY;
    return inotify_add_watch(fd, folder, mask) < 0 ? -errno : 0;
}

static int open_all(struct file_watch *watch, struct loop *loop, const char *const *paths)
{
    watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch->fd < 0)
        return -errno;
    for (size_t i = 0; i < watch->count; i++) {
        int error = watch_folder_of(watch->fd, paths[i]);
        if (error < 0)
            return error;
        watch->files[i].path = memory_copy(paths[i], strlen(paths[i]));
        watch->files[i].seen = signature_of(paths[i]);
    }
    loop_watch_init(&watch->watch, watch->fd, on_ready);
    loop_timer_set_after(&watch->timer, POLL_US);
    return loop_watch_add(loop, &watch->watch, LOOP_READABLE);
}

int file_watch_open(struct loop *loop, const char *const *paths, size_t count,
                    void (*changed)(void *owner, size_t index), void *owner,
                    struct file_watch **ret_watch)
{
    if (count > FILE_WATCH_MAX)
        return -E2BIG;
    struct file_watch *watch = memory_new(struct file_watch);
    watch->changed = changed;
    watch->owner = owner;
    watch->count = count;
    loop_timer_init(&watch->timer, loop, on_timer);
    int error = open_all(watch, loop, paths);
    if (error < 0) {
        file_watch_close(watch);
        return error;
    }
    *ret_watch = watch;
    return 0;
}

struct file_watch *file_watch_close(struct file_watch *watch)
{
    if (!watch)
        return NULL;
    loop_watch_remove(&watch->watch);
    loop_timer_cancel(&watch->timer);
    if (watch->fd >= 0)
        close(watch->fd);
    for (size_t i = 0; i < watch->count; i++) {
        free(watch->files[i].path);
        watch->files[i].path = NULL;
    }
    watch->closed = true;
    if (!watch->telling)
        free(watch);
    return NULL;
}
