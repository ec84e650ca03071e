/**
 * The users for a running server: read at the start, and again whenever `roost user` in another
 * process has changed the store. All disk work is done on a thread of its own, and so is what takes
 * time with many users: finding out what has changed, and letting go of the users of before.
 * Changes are told some at a time, so that nothing else waits for a list of a hundred thousand.
 */
#pragma once

#include "base/log.h"
#include "runtime/loop.h"
#include "users/user_changes.h"

struct user_watch;

/** Somebody who wants to know. */
struct user_listener {
    struct list node;
    /** On the loop's thread; user_watch_users has the new ones already. */
    void (*changed)(struct user_listener *self, const char *name, enum user_fate fate);
    /** Some were told, perhaps not the last ones: what takes long is done once here. NULL: nothing.
     */
    void (*told)(struct user_listener *self);
};

struct user_watch_config {
    struct loop *loop;     /**< required */
    const char *path;      /**< of users.db; copied */
    const char *realm;     /**< only its users; copied. NULL: all */
    const struct log *log; /**< NULL: silent */
    uint64_t interval_us;  /**< how often it looks [1 s] */
    /**
     * On the loop's thread: the users are others now, and all listeners were told. user_watch_users
     * has them. Not called for those found at the start.
     */
    void (*changed)(void *owner);
    void *owner;
};

/**
 * Opens (or makes) the store and reads it, blocking: before the loop runs. Returns 0 or a negative
 * errno with a sentence for the user.
 */
must_check int user_watch_open(const struct user_watch_config *config,
                               struct user_watch **ret_watch, struct text_builder *ret_problem);
/** Waits for a read in progress. Accepts NULL; returns NULL. */
struct user_watch *user_watch_close(struct user_watch *watch);
/** As last read; valid within the turn of the loop. */
const struct user_list *user_watch_users(const struct user_watch *watch);
/** As configured; they live as long as the watch, for other threads too. `realm` may be NULL. */
const char *user_watch_path(const struct user_watch *watch);
const char *user_watch_realm(const struct user_watch *watch);
/** `listener` must live until user_watch_unlisten. */
void user_watch_listen(struct user_watch *watch, struct user_listener *listener);
/** Harmless for one that does not listen but is zeroed. */
void user_watch_unlisten(struct user_listener *listener);

/** Somebody who changed the store and waits until the users are as they are there. */
struct user_look {
    struct list node;
    void (*done)(struct user_look *self);
};

/**
 * Looks at once instead of within the interval. `look->done` is called when a look that began after
 * this call is over, also when it failed. Its memory must stay until then.
 */
void user_watch_look(struct user_watch *watch, struct user_look *look);
/** `done` will not be called. */
void user_watch_look_cancel(struct user_look *look);
