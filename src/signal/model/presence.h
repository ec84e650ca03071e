/**
 * How users can be reached, and who is told when that changes. A user's presence follows from its
 * devices, whatever they speak. A change costs one notification for each watcher of that user, and
 * nothing for anyone else; a user who changes faster than once a second is told about once a
 * second.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"

#define PRESENCE_WATCHED_MAX 1000      /**< users that one watcher watches */
#define PRESENCE_WATCHES_MAX (1 << 20) /**< of all watchers together */

struct call_device;
struct call_directory;

/** The highest of a user's devices counts: one that wants no calls speaks for all. */
enum presence {
    PRESENCE_OFFLINE, /**< no device */
    PRESENCE_AWAY,    /**< says so, or lost its connection */
    PRESENCE_ONLINE,
    PRESENCE_BUSY, /**< in a call */
    PRESENCE_DND,  /**< wants no calls, but messages */
};

/** What is seen of a user. */
struct presence_view {
    enum presence presence;
    const char *name;  /**< display name; NULL: offline */
    uint32_t bindings; /**< a bit for each enum call_binding of its devices */
    bool is_shown;     /**< others may see it in their contacts */
};

/** Embedded in a binding's session. `notify` must not call into the model from within. */
struct presence_watcher {
    void (*notify)(struct presence_watcher *watcher, const char *user,
                   const struct presence_view *view);
    struct list watches;
    uint32_t watch_count;
};

/** Part of a call_directory. */
struct presence_board {
    struct map users;     /**< struct presence_user: those that are watched, by name */
    struct list changed;  /**< to be looked at by the next tick */
    struct list recent;   /**< told within the last second, the longest ago first */
    struct list everyone; /**< struct presence_all: watchers of all users */
    uint32_t watch_count;
};

/** Watches every user, for a binding that publishes presence. */
struct presence_all {
    struct list node;
    void (*notify)(struct presence_all *all, const char *user, const struct presence_view *view);
};

void presence_watcher_init(struct presence_watcher *watcher,
                           void (*notify)(struct presence_watcher *watcher, const char *user,
                                          const struct presence_view *view));
/** Watches nobody any more. */
void presence_watcher_clear(struct call_directory *directory, struct presence_watcher *watcher);
/**
 * Is told of changes of this user from now on, who may be offline or unknown as well. Returns 0 or
 * -ENOSPC (this watcher or all together watch too many).
 */
must_check int presence_watch(struct call_directory *directory, struct presence_watcher *watcher,
                              const char *user);
/** Is told of all who are there, at once, and of all changes from now on. */
void presence_watch_all(struct call_directory *directory, struct presence_all *all);
void presence_unwatch_all(struct call_directory *directory, struct presence_all *all);

/** How a user can be reached now. */
struct presence_view presence_of(const struct call_directory *directory, const char *user);
/** What a device says about its user: online, away or dnd. Returns 0 or -ENOENT: of nobody. */
must_check int presence_choose(struct call_directory *directory, struct call_device *device,
                               enum presence choice);

/** ---- for the rest of the model ---- */

void presence_board_init(struct presence_board *board, const uint64_t secret[2]);
/** After all watchers were cleared. */
void presence_board_done(struct presence_board *board);
/** The user's devices or what they do changed: watchers hear of it with the next tick. */
void presence_touch(struct call_directory *directory, const char *user);
void presence_tick(struct call_directory *directory, uint64_t now_us);
/** 0: at once. */
uint64_t presence_deadline(const struct call_directory *directory);
