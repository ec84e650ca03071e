#include "signal/model/presence.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "signal/model/calls_int.h"

#define INTERVAL_US TIME_US_PER_S

enum place {
    PLACE_NONE,
    PLACE_CHANGED,
    PLACE_RECENT,
};

/** A user who is watched, or who is there and somebody watches all. */
struct presence_user {
    char user[CALL_NAME_SIZE];
    struct list watches; /**< struct watch */
    /** What watchers know. */
    enum presence told;
    char told_name[CALL_NAME_SIZE];
    uint32_t told_bindings;
    uint64_t told_us;

    struct list node; /**< in changed or recent */
    enum place place;
    bool again; /**< changed while in recent */
};

struct watch {
    struct list user_node;
    struct list watcher_node;
    struct presence_user *user;
    struct presence_watcher *watcher;
};

void presence_board_init(struct presence_board *board, const uint64_t secret[2])
{
    map_init(&board->users, secret);
    list_init(&board->changed);
    list_init(&board->recent);
    list_init(&board->everyone);
}

void presence_board_done(struct presence_board *board)
{
    ensure(board->watch_count == 0);
    size_t cursor = 0;
    void *user;
    while (map_next(&board->users, &cursor, NULL, &user))
        free(user);
    map_done(&board->users);
}

/** ---- what is seen of a user ---- */

static enum presence device_presence(const struct call_device *device)
{
    if (device->choice == PRESENCE_DND)
        return PRESENCE_DND;
    if (call_device_talks(device))
        return PRESENCE_BUSY;
    return device->away ? PRESENCE_AWAY : device->choice;
}

static struct presence_view view_of(const struct call_user *user)
{
    struct presence_view view = { .presence = PRESENCE_OFFLINE, .is_shown = user->is_shown };
    const struct call_device *device;
    list_each(device, &user->devices, user_node)
    {
        view.presence = max_of(view.presence, device_presence(device));
        view.bindings |= 1u << device->binding;
        if (!view.name)
            view.name = device->name;
    }
    return view;
}

struct presence_view presence_of(const struct call_directory *directory, const char *name)
{
    const struct call_user *user = map_find(&directory->users, bytes_of_text(name));
    return user ? view_of(user) : (struct presence_view){ .presence = PRESENCE_OFFLINE };
}

int presence_choose(struct call_directory *directory, struct call_device *device,
                    enum presence choice)
{
    if (!device->user)
        return -ENOENT;
    device->choice = choice;
    presence_touch(directory, device->user->name);
    return 0;
}

/** ---- watching ---- */

static void note_told(struct presence_user *user, const struct presence_view *view)
{
    user->told = view->presence;
    snprintf(user->told_name, sizeof(user->told_name), "%s", view->name ? view->name : "");
    user->told_bindings = view->bindings;
}

static bool is_told(const struct presence_user *user, const struct presence_view *view)
{
    return user->told == view->presence && user->told_bindings == view->bindings &&
           strcmp(user->told_name, view->name ? view->name : "") == 0;
}

static struct presence_user *user_new(struct presence_board *board, const char *name)
{
    struct presence_user *user = memory_new(struct presence_user);
    snprintf(user->user, sizeof(user->user), "%s", name);
    list_init(&user->watches);
    list_init(&user->node);
    map_set(&board->users, bytes_of_text(name), user);
    return user;
}

/** Frees what nobody needs. */
static void user_release(struct presence_board *board, struct presence_user *user)
{
    bool of_all = !list_empty(&board->everyone) && user->told != PRESENCE_OFFLINE;
    if (!list_empty(&user->watches) || of_all || user->place != PLACE_NONE)
        return;
    map_remove(&board->users, bytes_of_text(user->user));
    free(user);
}

static void place(struct presence_board *board, struct presence_user *user, enum place place)
{
    list_remove(&user->node);
    user->place = place;
    user->again = false;
    if (place != PLACE_NONE)
        list_append(place == PLACE_CHANGED ? &board->changed : &board->recent, &user->node);
    else
        user_release(board, user);
}

void presence_watcher_init(struct presence_watcher *watcher,
                           void (*notify)(struct presence_watcher *watcher, const char *user,
                                          const struct presence_view *view))
{
    *watcher = (struct presence_watcher){ .notify = notify };
    list_init(&watcher->watches);
}

void presence_watcher_clear(struct call_directory *directory, struct presence_watcher *watcher)
{
    struct presence_board *board = &directory->presence;
    struct watch *watch;
    list_each(watch, &watcher->watches, watcher_node)
    {
        struct presence_user *user = watch->user;
        list_remove(&watch->user_node);
        list_remove(&watch->watcher_node);
        free(watch);
        board->watch_count--;
        watcher->watch_count--;
        user_release(board, user);
    }
}

int presence_watch(struct call_directory *directory, struct presence_watcher *watcher,
                   const char *name)
{
    struct presence_board *board = &directory->presence;
    if (watcher->watch_count >= PRESENCE_WATCHED_MAX || board->watch_count >= PRESENCE_WATCHES_MAX)
        return -ENOSPC;
    struct presence_user *user = map_find(&board->users, bytes_of_text(name));
    if (!user) {
        user = user_new(board, name);
        struct presence_view view = presence_of(directory, name);
        note_told(user, &view);
    }
    struct watch *watch = memory_new(struct watch);
    *watch = (struct watch){ .user = user, .watcher = watcher };
    list_append(&user->watches, &watch->user_node);
    list_append(&watcher->watches, &watch->watcher_node);
    board->watch_count++;
    watcher->watch_count++;
    return 0;
}

void presence_watch_all(struct call_directory *directory, struct presence_all *all)
{
    struct presence_board *board = &directory->presence;
    list_append(&board->everyone, &all->node);
    size_t cursor = 0;
    void *item;
    while (map_next(&directory->users, &cursor, NULL, &item)) {
        const struct call_user *there = item;
        struct presence_view view = view_of(there);
        struct presence_user *user = map_find(&board->users, bytes_of_text(there->name));
        if (!user)
            note_told(user_new(board, there->name), &view);
        all->notify(all, there->name, &view);
    }
}

void presence_unwatch_all(struct call_directory *directory, struct presence_all *all)
{
    struct presence_board *board = &directory->presence;
    list_remove(&all->node);
    if (!list_empty(&board->everyone))
        return;
    size_t cursor = 0;
    void *user;
    while (map_next(&board->users, &cursor, NULL, &user))
        user_release(board, user);
}

/** ---- telling ---- */

void presence_touch(struct call_directory *directory, const char *name)
{
    struct presence_board *board = &directory->presence;
    struct presence_user *user = map_find(&board->users, bytes_of_text(name));
    if (!user && list_empty(&board->everyone))
        return;
    if (!user)
        user = user_new(board, name);
    if (user->place == PLACE_RECENT)
        user->again = true;
    else if (user->place == PLACE_NONE)
        place(board, user, PLACE_CHANGED);
}

static void tell(struct call_directory *directory, struct presence_user *user, uint64_t now_us)
{
    struct presence_board *board = &directory->presence;
    struct presence_view view = presence_of(directory, user->user);
    if (is_told(user, &view)) {
        place(board, user, PLACE_NONE);
        return;
    }
    note_told(user, &view);
    user->told_us = now_us;
    place(board, user, PLACE_RECENT);
    struct watch *watch;
    list_each(watch, &user->watches, user_node)
        watch->watcher->notify(watch->watcher, user->user, &view);
    struct presence_all *all;
    list_each(all, &board->everyone, node) all->notify(all, user->user, &view);
}

void presence_tick(struct call_directory *directory, uint64_t now_us)
{
    struct presence_board *board = &directory->presence;
    struct presence_user *user;
    list_each(user, &board->recent, node)
    {
        if (user->told_us + INTERVAL_US > now_us)
            break;
        place(board, user, user->again ? PLACE_CHANGED : PLACE_NONE);
    }
    list_each(user, &board->changed, node) tell(directory, user, now_us);
}

uint64_t presence_deadline(const struct call_directory *directory)
{
    const struct presence_board *board = &directory->presence;
    if (!list_empty(&board->changed))
        return 0;
    if (list_empty(&board->recent))
        return TIME_NEVER;
    const struct presence_user *first =
        container_of(board->recent.next, struct presence_user, node);
    return first->told_us + INTERVAL_US;
}
