#include "room/directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "room/directory_int.h"

static const struct metric_description descriptions[ROOM_DIRECTORY_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(ROOM_DIRECTORY_METRIC_##id, __VA_ARGS__)
#include "room/directory_metrics.def"
#undef METRIC
};

static void init_keyed(struct map *map, struct random *random)
{
    uint64_t secret[2] = { random_u64(random), random_u64(random) };
    map_init(map, secret);
}

void room_directory_init(struct room_directory *directory,
                         const struct room_directory_config *config)
{
    *directory = (struct room_directory){ .config = *config };
    init_keyed(&directory->rooms, config->random);
    init_keyed(&directory->by_media, config->random);
    list_init(&directory->unsettled);
    list_init(&directory->empty);
}

void room_directory_reload(struct room_directory *directory,
                           const struct room_directory_config *config)
{
    struct room_directory_config merged = *config;
    merged.media = directory->config.media;
    merged.random = directory->config.random;
    merged.watcher = directory->config.watcher;
    bool media_changed = merged.loudest_audio != directory->config.loudest_audio ||
                         merged.playout_delay.set != directory->config.playout_delay.set;
    directory->config = merged;
    size_t cursor = 0;
    void *room;
    while (media_changed && map_next(&directory->rooms, &cursor, NULL, &room))
        room_tell_media(room);
}

void room_directory_done(struct room_directory *directory)
{
    size_t cursor = 0;
    void *room;
    while (map_next(&directory->rooms, &cursor, NULL, &room))
        room_free(room);
    map_done(&directory->rooms);
    map_done(&directory->by_media);
}

struct room *room_directory_find(const struct room_directory *directory, const char *name)
{
    return map_find(&directory->rooms, bytes_of_text(name));
}

static struct room *room_new(struct room_directory *directory, uint64_t now_us, const char *name)
{
    struct room *room = memory_new(struct room);
    room->directory = directory;
    room->number = ++directory->last_number;
    room->loudest_audio = ROOM_SETTING_NONE;
    snprintf(room->name, sizeof(room->name), "%s", name);
    list_init(&room->members);
    list_init(&room->viewers);
    list_init(&room->unsettled_members);
    list_init(&room->unsettled_node);
    list_init(&room->empty_node);
    // their keys are our own random ids
    map_init(&room->members_by_id, (uint64_t[2]){ 0, 0 });
    map_init(&room->publications_by_id, (uint64_t[2]){ 0, 0 });
    room->empty_since_us = now_us;
    return room;
}

void room_free(struct room *room)
{
    struct room_member *member;
    for (struct room_member *next = room_next_member(room, NULL); (member = next);) {
        next = room_next_member(room, member);
        list_remove(&member->node);
        room_member_free(member);
    }
    map_done(&room->members_by_id);
    map_done(&room->publications_by_id);
    free(room->ranked);
    free(room->ranking);
    free(room->bans);
    free(room);
}

/** Forgets a room that has no members. */
static void forget(struct room *room)
{
    struct room_directory *directory = room->directory;
    ensure(room_has_nobody(room));
    room_watch(room, &(struct room_watch_event){ .kind = ROOM_WATCH_ROOM_ENDED });
    list_remove(&room->unsettled_node);
    list_remove(&room->empty_node);
    map_remove(&directory->rooms, bytes_of_text(room->name));
    metric_subtract(&directory->metrics[ROOM_DIRECTORY_METRIC_ROOMS], 1);
    room_free(room);
}

static struct room *oldest_empty(const struct room_directory *directory)
{
    if (list_empty(&directory->empty))
        return NULL;
    return container_of(directory->empty.next, struct room, empty_node);
}

int room_directory_open(struct room_directory *directory, uint64_t now_us, const char *name,
                        bool may_create, struct room **ret_room)
{
    struct room *room = room_directory_find(directory, name);
    if (room) {
        *ret_room = room;
        return 0;
    }
    if (!may_create && !directory->config.auto_create)
        return -ENOENT;
    if (directory->rooms.count >= directory->config.room_count_max) {
        struct room *oldest = oldest_empty(directory);
        if (!oldest)
            return -ENFILE;
        forget(oldest);
    }
    room = room_new(directory, now_us, name);
    list_append(&directory->empty, &room->empty_node);
    map_set(&directory->rooms, bytes_of_text(name), room);
    room_count(directory, ROOM_DIRECTORY_METRIC_ROOMS, 1);
    room_watch(room, &(struct room_watch_event){ .kind = ROOM_WATCH_ROOM_STARTED });
    *ret_room = room;
    return 0;
}

int room_directory_forget(struct room *room)
{
    if (!room_has_nobody(room))
        return -EBUSY;
    forget(room);
    return 0;
}

void room_set_kept(struct room *room, bool kept, uint64_t now_us)
{
    if (room->kept == kept)
        return;
    room->kept = kept;
    if (!room_has_nobody(room))
        return;
    list_remove(&room->empty_node);
    if (!kept) {
        room->empty_since_us = now_us;
        list_append(&room->directory->empty, &room->empty_node);
    }
}

void room_watch(const struct room *room, struct room_watch_event *event)
{
    struct room_watcher *watcher = room->directory->config.watcher;
    if (!watcher)
        return;
    event->room = room;
    watcher->notify(watcher, event);
}

void room_directory_media_event(struct room_directory *directory, uint64_t now_us,
                                const struct media_event *event)
{
    struct room_member *member = map_find(&directory->by_media, map_key_u64(&event->session));
    if (member)
        room_member_media_event(member, now_us, event);
    else
        room_count(directory, ROOM_DIRECTORY_METRIC_MEDIA_STALE, 1);
}

void room_directory_tick(struct room_directory *directory, uint64_t now_us)
{
    room_directory_settle(directory, now_us);
    struct room *room;
    while ((room = oldest_empty(directory)) &&
           room->empty_since_us + directory->config.empty_timeout_us <= now_us)
        forget(room);
}

struct metric_set room_directory_metrics(const struct room_directory *directory)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = directory->metrics,
                                .count = ROOM_DIRECTORY_METRIC_COUNT,
                                .labels = "" };
}
