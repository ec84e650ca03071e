#include "room/room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "room/directory_int.h"

void room_tell(struct room_member *member, struct room_event *event)
{
    event->room = member->room;
    event->serial = ++member->room->directory->next_serial;
    member->observer->notify(member->observer, event);
}

void room_broadcast(struct room *room, struct room_event *event, const struct room_member *except)
{
    event->room = room;
    event->serial = ++room->directory->next_serial;
    struct room_member *member;
    list_each(member, &room->members, node)
    {
        if (member != except)
            member->observer->notify(member->observer, event);
    }
    list_each(member, &room->viewers, node)
    {
        if (member->own_events_only)
            break;
        if (member != except)
            member->observer->notify(member->observer, event);
    }
}

void room_make_id(struct room_directory *directory, char letter, char out[ROOM_ID_SIZE])
{
    out[0] = letter;
    random_identifier(directory->config.random, out + 1, ROOM_ID_SIZE - 2);
}

static void mark(struct room *room)
{
    if (list_empty(&room->unsettled_node))
        list_append(&room->directory->unsettled, &room->unsettled_node);
}

void room_mark_slots(struct room *room)
{
    room->slots_dirty = true;
    mark(room);
}

void room_mark_ranking(struct room *room)
{
    room->ranked_valid = false;
    mark(room);
}

void room_mark_member_slots(struct room_member *member)
{
    if (list_empty(&member->unsettled_node))
        list_append(&member->room->unsettled_members, &member->unsettled_node);
    mark(member->room);
}

void room_mark_speakers(struct room *room)
{
    room->speakers_dirty = true;
    mark(room);
}

void room_tell_of_member(struct room_member *member, struct room_event *event,
                         const struct room_member *except)
{
    if (!member->hidden)
        room_broadcast(member->room, event, except);
    else if (member != except)
        room_tell(member, event);
}

static bool is_banned(const struct room *room, const char *key)
{
    for (uint32_t i = 0; i < room->ban_count; i++) {
        if (strcmp(room->bans[i], key) == 0)
            return true;
    }
    return false;
}

static void ban(struct room *room, const char *key)
{
    if (!key[0] || is_banned(room, key))
        return;
    if (!room->bans)
        room->bans = memory_allocate(ROOM_BANS_MAX, sizeof(*room->bans));
    if (room->ban_count == ROOM_BANS_MAX) {
        // the oldest makes room
        room->ban_count--;
        memmove(room->bans[0], room->bans[1], room->ban_count * sizeof(*room->bans));
    }
    snprintf(room->bans[room->ban_count++], sizeof(*room->bans), "%s", key);
}

uint32_t room_member_limit(const struct room *room)
{
    uint32_t limit = room->directory->config.member_count_max;
    return room->member_count_max ? min_of(limit, room->member_count_max) : limit;
}

uint32_t room_viewer_limit(const struct room *room)
{
    uint32_t limit = room->directory->config.viewer_count_max;
    return room->viewer_count_max ? min_of(limit, room->viewer_count_max) : limit;
}

static int check_join(const struct room *room, const struct room_join *join)
{
    if (join->hidden ? room->viewer_count >= room_viewer_limit(room)
                     : room->member_count >= room_member_limit(room))
        return -ENOSPC;
    if (join->moderator)
        return 0;
    if (join->ban_key && is_banned(room, join->ban_key))
        return -EPERM;
    return room->locked ? -EACCES : 0;
}

/** Clients that know calls alone have no way to run a room. */
static bool has_who_runs_it(const struct room *room)
{
    const struct room_member *member;
    list_each(member, &room->members, node)
    {
        if (member->moderator || !member->two_way)
            return true;
    }
    return false;
}

static struct room_member *member_new(struct room *room, const struct room_join *join)
{
    struct room_member *member = memory_new(struct room_member);
    member->room = room;
    member->observer = join->observer;
    snprintf(member->name, sizeof(member->name), "%s", join->name);
    snprintf(member->user, sizeof(member->user), "%s", join->user ? join->user : "");
    snprintf(member->ban_key, sizeof(member->ban_key), "%s", join->ban_key ? join->ban_key : "");
    // the first one that can be seen runs the room
    member->moderator =
        join->moderator || (!join->hidden && !join->two_way && !has_who_runs_it(room));
    member->hidden = join->hidden;
    member->own_events_only = join->hidden && join->own_events_only;
    snprintf(member->follows, sizeof(member->follows), "%s", join->follows ? join->follows : "");
    member->denials = join->denials;
    member->pass = join->pass;
    member->auto_subscribe = join->auto_subscribe;
    member->loopback = join->loopback;
    member->two_way = join->two_way;
    member->playout_delay = join->playout_delay;
    member->order = room->next_order++;
    list_init(&member->unsettled_node);
    list_init(&member->publications);
    room_slots_init(&member->slots);
    map_init(&member->exceptions, (uint64_t[2]){ 0, 0 }); // its keys are our own random ids
    map_init(&member->wishes, (uint64_t[2]){ 0, 0 });
    room_make_id(room->directory, 'm', member->id);
    return member;
}

static enum room_directory_metric gauge_of(const struct room_member *member)
{
    return member->hidden ? ROOM_DIRECTORY_METRIC_VIEWERS : ROOM_DIRECTORY_METRIC_MEMBERS;
}

static void attach(struct room_member *member)
{
    struct room *room = member->room;
    if (!member->hidden)
        list_append(&room->members, &member->node);
    else if (member->own_events_only)
        list_append(&room->viewers, &member->node);
    else
        list_prepend(&room->viewers, &member->node);
    *(member->hidden ? &room->viewer_count : &room->member_count) += 1;
    map_set(&room->members_by_id, bytes_of_text(member->id), member);
    list_remove(&room->empty_node);
}

int room_join(struct room *room, const struct room_join *join, struct room_member **ret_member)
{
    struct room_directory *directory = room->directory;
    int result = check_join(room, join);
    if (result < 0) {
        room_count(directory, ROOM_DIRECTORY_METRIC_JOINS_REFUSED, 1);
        return result;
    }
    struct room_member *member = member_new(room, join);
    attach(member);
    room_count(directory, ROOM_DIRECTORY_METRIC_JOINS, 1);
    room_count(directory, gauge_of(member), 1);
    room_tell_of_member(
        member, &(struct room_event){ .kind = ROOM_EVENT_MEMBER_JOINED, .member = member }, member);
    room_watch(room,
               &(struct room_watch_event){ .kind = ROOM_WATCH_MEMBER_JOINED, .member = member });
    *ret_member = member;
    return 0;
}

void room_member_free(struct room_member *member)
{
    struct room_publication *publication;
    list_each(publication, &member->publications, member_node) free(publication);
    room_slots_done(&member->slots);
    map_done(&member->exceptions);
    size_t cursor = 0;
    void *wish;
    while (map_next(&member->wishes, &cursor, NULL, &wish))
        free(wish);
    map_done(&member->wishes);
    free(member);
}

bool room_has_nobody(const struct room *room)
{
    return room->member_count + room->viewer_count == 0;
}

/** Out of the room's tables; its publications are gone already. */
static void detach(struct room_member *member, uint64_t now_us)
{
    struct room *room = member->room;
    list_remove(&member->node);
    list_remove(&member->unsettled_node);
    map_remove(&room->members_by_id, bytes_of_text(member->id));
    *(member->hidden ? &room->viewer_count : &room->member_count) -= 1;
    metric_subtract(&room->directory->metrics[gauge_of(member)], 1);
    if (room_has_nobody(room) && !room->kept) {
        room->locked = false; // or nobody could ever come in again
        room->empty_since_us = now_us;
        list_append(&room->directory->empty, &room->empty_node);
    }
}

/** The last moderator that can be seen leaves: who came first of the others runs the room. */
static void pass_moderation_on(struct room *room)
{
    struct room_member *member, *next = NULL;
    list_each(member, &room->members, node)
    {
        if (member->moderator)
            return;
        if (!next && !member->two_way)
            next = member;
    }
    if (next)
        room_promote(next);
}

static void watch_leaving(const struct room_member *member, enum room_left_reason reason)
{
    room_watch(member->room, &(struct room_watch_event){ .kind = ROOM_WATCH_MEMBER_LEFT,
                                                         .member = member,
                                                         .reason = reason });
}

void room_leave(struct room_member *member, uint64_t now_us, enum room_left_reason reason)
{
    struct room *room = member->room;
    room_member_close_media(member, false);
    detach(member, now_us);
    if (!member->hidden)
        room_broadcast(room,
                       &(struct room_event){
                           .kind = ROOM_EVENT_MEMBER_LEFT, .member = member, .reason = reason },
                       NULL);
    watch_leaving(member, reason);
    if (!member->hidden)
        pass_moderation_on(room);
    room_member_free(member);
}

struct room_member *room_find_member(const struct room *room, const char *id)
{
    return map_find(&room->members_by_id, bytes_of_text(id));
}

struct room_member *room_next_member(const struct room *room, const struct room_member *current)
{
    struct list *next = current ? current->node.next : room->members.next;
    if (next == &room->members)
        next = room->viewers.next;
    return next == &room->viewers ? NULL : container_of(next, struct room_member, node);
}

bool room_is_live(const struct room *room, const char *name)
{
    size_t cursor = 0;
    void *item;
    while (map_next(&room->publications_by_id, &cursor, NULL, &item)) {
        const struct room_publication *publication = item;
        if (publication->live && (!name[0] || strcmp(publication->member->name, name) == 0))
            return true;
    }
    return false;
}

struct room_publication *room_find_publication(const struct room *room, const char *id)
{
    return map_find(&room->publications_by_id, bytes_of_text(id));
}

void room_chat(struct room_member *from, struct room_member *to, const char *text, uint64_t time_ms)
{
    struct room_event event = {
        .kind = ROOM_EVENT_CHAT, .member = from, .to = to, .text = text, .time_ms = time_ms
    };
    if (!to) {
        room_broadcast(from->room, &event, NULL);
        return;
    }
    room_tell(from, &event);
    if (to != from)
        room_tell(to, &event);
}

void room_announce(struct room *room, struct room_member *to, const char *from_name,
                   const char *text, uint64_t time_ms)
{
    struct room_event event = {
        .kind = ROOM_EVENT_CHAT, .from_name = from_name, .to = to, .text = text, .time_ms = time_ms
    };
    if (to)
        room_tell(to, &event);
    else
        room_broadcast(room, &event, NULL);
}

bool room_may_publish(const struct room_member *member, enum room_source source)
{
    return !member->hidden && !(member->denials.publish & (1u << source));
}

bool room_may_send(const struct room_member *member)
{
    return !member->hidden && !member->denials.data;
}

void room_pass_keys(struct room_member *from, struct room_member *to, const char *text)
{
    struct room_event event = { .kind = ROOM_EVENT_KEYS, .member = from, .to = to, .text = text };
    if (from->hidden) // nobody knows of it: a key would tell
        return;
    if (to)
        room_tell(to, &event);
    else
        room_broadcast(from->room, &event, from);
}

bool room_may_moderate(const struct room_member *by)
{
    return by->moderator;
}

static void tell_removed(struct room_member *member, enum room_left_reason reason,
                         const char *message)
{
    room_tell(member, &(struct room_event){ .kind = ROOM_EVENT_REMOVED,
                                            .member = member,
                                            .reason = reason,
                                            .text = message });
}

void room_kick(struct room_member *member, uint64_t now_us, const char *message)
{
    ban(member->room, member->ban_key);
    tell_removed(member, ROOM_LEFT_KICKED, message);
    room_leave(member, now_us, ROOM_LEFT_KICKED);
}

void room_lock(struct room *room, bool locked)
{
    if (room->locked == locked)
        return;
    room->locked = locked;
    room_broadcast(room, &(struct room_event){ .kind = ROOM_EVENT_UPDATED }, NULL);
}

void room_set_blocked(struct room_publication *publication, bool blocked)
{
    if (publication->blocked == blocked)
        return;
    publication->blocked = blocked;
    struct room *room = publication->member->room;
    struct media_control *media = room->directory->config.media;
    // -ENOENT: the session ended this moment, and its event is on the way
    (void)!media->publication_block(media, publication->member->media, publication->mid, blocked);
    room_mark_ranking(room);
    room_broadcast(room,
                   &(struct room_event){ .kind = ROOM_EVENT_TRACK_UPDATED,
                                         .publication = publication,
                                         .member = publication->member },
                   NULL);
}

void room_block(struct room_publication *publication, bool blocked)
{
    if (!blocked && !room_may_publish(publication->member, publication->source))
        return;
    publication->member->blocked_kinds[publication->kind] = blocked;
    room_set_blocked(publication, blocked);
}

void room_promote(struct room_member *member)
{
    if (member->moderator)
        return;
    member->moderator = true;
    room_member_tell_updated(member);
}

void room_demote(struct room_member *member)
{
    if (!member->moderator)
        return;
    member->moderator = false;
    room_member_tell_updated(member);
}

void room_move(struct room_member *member, uint64_t now_us, const char *to_room, const char *token)
{
    room_tell(member, &(struct room_event){ .kind = ROOM_EVENT_REMOVED,
                                            .member = member,
                                            .reason = ROOM_LEFT_MOVED,
                                            .to_room = to_room,
                                            .token = token });
    room_leave(member, now_us, ROOM_LEFT_MOVED);
}

void room_remove(struct room_member *member, uint64_t now_us, const char *message)
{
    tell_removed(member, ROOM_LEFT_KICKED, message);
    room_leave(member, now_us, ROOM_LEFT_KICKED);
}

void room_end(struct room *room, uint64_t now_us, const char *message)
{
    struct room_member *member = NULL;
    while ((member = room_next_member(room, member)))
        tell_removed(member, ROOM_LEFT_ENDED, message);
    // all are told already: nobody needs to hear of each other's leaving
    for (struct room_member *next = room_next_member(room, NULL); (member = next);) {
        next = room_next_member(room, member);
        room_member_close_media(member, true);
        detach(member, now_us);
        watch_leaving(member, ROOM_LEFT_ENDED);
        room_member_free(member);
    }
    room->ranked_valid = false;
}
