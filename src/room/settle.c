// Who gets what: ranks a room's publications once, then fills every member's slots by that
// ranking. Also tells who speaks.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "room/directory_int.h"

/** Lists of speakers follow each other no closer than this. */
#define SPEAKERS_INTERVAL_US (200 * TIME_US_PER_MS)

static bool is_screen(const struct room_publication *publication)
{
    return publication->source == ROOM_SOURCE_SCREEN ||
           publication->source == ROOM_SOURCE_SCREEN_AUDIO;
}

static bool is_quiet(const struct room_publication *publication)
{
    return publication->muted || publication->blocked;
}

/** What shows nothing comes last; else screens, then who spoke last, then who came first. */
static int compare_rank(const void *first, const void *second)
{
    const struct room_publication *a = *(struct room_publication *const *)first;
    const struct room_publication *b = *(struct room_publication *const *)second;
    if (is_quiet(a) != is_quiet(b))
        return is_quiet(a) ? 1 : -1;
    if (is_screen(a) != is_screen(b))
        return is_screen(a) ? -1 : 1;
    if (a->member->spoke_us != b->member->spoke_us)
        return a->member->spoke_us > b->member->spoke_us ? -1 : 1;
    if (a->member->order != b->member->order)
        return a->member->order < b->member->order ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static void reserve_ranking(struct room *room, size_t count)
{
    if (count <= room->ranked_capacity)
        return;
    room->ranked_capacity = max_of(count, room->ranked_capacity * 2);
    size_t size = room->ranked_capacity * sizeof(room->ranked[0]);
    room->ranked = memory_resize(room->ranked, size);
    room->ranking = memory_resize(room->ranking, size);
}

/** Sorts the publications again. Another order than before is everyone's affair: a broadcast's one
 *  publisher may speak and pause without a look at its viewers. */
static void rank(struct room *room)
{
    if (room->ranked_valid)
        return;
    reserve_ranking(room, room->publications_by_id.count);
    struct room_publication **ranking = room->ranking;
    size_t count = 0, cursor = 0;
    void *publication;
    while (map_next(&room->publications_by_id, &cursor, NULL, &publication))
        ranking[count++] = publication;
    if (count > 1)
        qsort(ranking, count, sizeof(ranking[0]), compare_rank);
    bool same = count == room->ranked_count &&
                (count == 0 || memcmp(ranking, room->ranked, count * sizeof(ranking[0])) == 0);
    room->ranking = room->ranked;
    room->ranked = ranking;
    room->ranked_count = count;
    room->ranked_valid = true;
    if (!same)
        room_mark_slots(room);
}

/** Tracks of a member that belong together: camera with microphone, screen with its sound. */
static uint64_t group_of(const struct room_publication *publication)
{
    unsigned part = publication->source == ROOM_SOURCE_OTHER ? 2 : is_screen(publication) ? 1 : 0;
    return publication->member->order * 4 + part + 1;
}

struct wishes {
    struct room_slot_wish items[MEDIA_SECTIONS_MAX];
    size_t count;
    uint32_t of_kind[2];
};

/** What a member wants, best first, as far as the limits go. */
static void collect_wishes(const struct room *room, const struct room_member *member,
                           struct wishes *wishes)
{
    const struct room_directory_config *config = &room->directory->config;
    uint32_t limits[2] = { config->audio_slot_count_max, config->video_slot_count_max };
    uint32_t unasked = 0;
    wishes->count = 0;
    wishes->of_kind[0] = wishes->of_kind[1] = 0;
    for (size_t i = 0; i < room->ranked_count && wishes->count < MEDIA_SECTIONS_MAX; i++) {
        struct room_publication *publication = room->ranked[i];
        if (wishes->of_kind[0] >= limits[0] && wishes->of_kind[1] >= limits[1])
            break;
        if (publication->member == member ||
            wishes->of_kind[publication->kind] >= limits[publication->kind] ||
            !room_member_wants(member, publication))
            continue;
        // the ranking is by who spoke last
        if (config->last_speakers > 0 && publication->source == ROOM_SOURCE_CAMERA &&
            !room_member_asked_for(member, publication) && unasked++ >= config->last_speakers)
            continue;
        wishes->of_kind[publication->kind]++;
        wishes->items[wishes->count++] = (struct room_slot_wish){ .publication = publication,
                                                                  .group = group_of(publication),
                                                                  .kind = publication->kind };
    }
}

static void apply_slots(struct room_member *member, const uint16_t *changed, size_t count)
{
    struct room_directory *directory = member->room->directory;
    struct media_control *media = directory->config.media;
    for (size_t i = 0; i < count; i++) {
        const struct room_slot *slot = &member->slots.items[changed[i]];
        const struct room_publication *publication = slot->filled_by;
        // -ENOENT: one of both sessions ended this moment, and its event is on the way
        (void)!media->slot_set(media, member->media, slot->mid,
                               publication ? publication->member->media : 0,
                               publication ? publication->mid : NULL);
        if (!publication || publication->kind != MEDIA_VIDEO)
            continue;
        struct media_wish wish =
            slot->wished ? slot->wish : room_member_wish_of(member, publication);
        (void)!media->slot_wish(media, member->media, slot->mid, &wish);
    }
    room_count(directory, ROOM_DIRECTORY_METRIC_SLOT_CHANGES, count);
}

static void tell_slots(struct room_member *member, const uint16_t *changed, size_t count)
{
    const struct room_slot *slots[MEDIA_SECTIONS_MAX];
    for (size_t i = 0; i < count; i++)
        slots[i] = &member->slots.items[changed[i]];
    room_tell(member, &(struct room_event){ .kind = ROOM_EVENT_SLOTS,
                                            .member = member,
                                            .slots = slots,
                                            .slot_count = count });
}

/** Asks the client for more slots, once per need. */
static void tell_slots_needed(struct room_member *member, const uint32_t wanted[2])
{
    if (!member->media ||
        (wanted[0] <= member->slots.audio_count && wanted[1] <= member->slots.video_count))
        return;
    const struct room_directory_config *config = &member->room->directory->config;
    uint32_t audio = max_of(room_slots_suggest(wanted[0], config->audio_slot_count_max),
                            member->slots.audio_count);
    uint32_t video = max_of(room_slots_suggest(wanted[1], config->video_slot_count_max),
                            member->slots.video_count);
    if (audio <= member->asked_audio && video <= member->asked_video)
        return;
    member->asked_audio = audio;
    member->asked_video = video;
    room_tell(member, &(struct room_event){ .kind = ROOM_EVENT_SLOTS_NEEDED,
                                            .member = member,
                                            .audio = audio,
                                            .video = video });
}

void room_member_settle(struct room_member *member, bool quiet)
{
    struct room *room = member->room;
    rank(room);
    room_count(room->directory, ROOM_DIRECTORY_METRIC_MEMBERS_SETTLED, 1);
    struct wishes wishes;
    collect_wishes(room, member, &wishes);
    uint16_t changed[MEDIA_SECTIONS_MAX];
    size_t count = room_slots_assign(&member->slots, wishes.items, wishes.count, changed);
    if (count > 0) {
        apply_slots(member, changed, count);
        if (!quiet)
            tell_slots(member, changed, count);
    }
    if (!quiet)
        tell_slots_needed(member, wishes.of_kind);
}

void room_suggest_slots(const struct room *room, const struct room_member *member,
                        uint32_t *ret_audio, uint32_t *ret_video)
{
    uint32_t wanted[2] = { 0, 0 };
    size_t cursor = 0;
    void *item;
    while (map_next(&room->publications_by_id, &cursor, NULL, &item)) {
        const struct room_publication *publication = item;
        wanted[publication->kind] +=
            publication->member != member && room_member_wants(member, publication);
    }
    // someone will come
    bool some = member->auto_subscribe && !member->denials.subscribe;
    const struct room_directory_config *config = &room->directory->config;
    *ret_audio = room_slots_suggest(wanted[0] + some, config->audio_slot_count_max);
    *ret_video = room_slots_suggest(wanted[1] + some, config->video_slot_count_max);
}

/** ---- speakers ---- */

static int compare_level(const void *first, const void *second)
{
    const struct room_publication *a = *(struct room_publication *const *)first;
    const struct room_publication *b = *(struct room_publication *const *)second;
    if (a->level_dbov != b->level_dbov)
        return a->level_dbov < b->level_dbov ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static void tell_speakers(struct room *room)
{
    rank(room);
    struct room_publication *speakers[ROOM_SPEAKERS_MAX];
    size_t count = 0;
    // the ranking has those who began to speak last in front
    for (size_t i = 0; i < room->ranked_count && count < ROOM_SPEAKERS_MAX; i++) {
        if (room->ranked[i]->speaking && !is_quiet(room->ranked[i]))
            speakers[count++] = room->ranked[i];
    }
    qsort(speakers, count, sizeof(speakers[0]), compare_level);
    room_broadcast(room,
                   &(struct room_event){
                       .kind = ROOM_EVENT_SPEAKERS, .speakers = speakers, .speaker_count = count },
                   NULL);
}

static uint64_t speakers_due(const struct room *room)
{
    return room->speakers_told_us ? room->speakers_told_us + SPEAKERS_INTERVAL_US : 0;
}

static void settle_everyone(struct room *room)
{
    room->slots_dirty = false;
    room_count(room->directory, ROOM_DIRECTORY_METRIC_SETTLES, 1);
    struct room_member *member = NULL;
    while ((member = room_next_member(room, member))) {
        list_remove(&member->unsettled_node);
        room_member_settle(member, false);
    }
}

static void settle_slots(struct room *room)
{
    rank(room);
    if (room->slots_dirty)
        settle_everyone(room);
    struct room_member *member;
    list_each(member, &room->unsettled_members, unsettled_node)
    {
        list_remove(&member->unsettled_node);
        room_member_settle(member, false);
    }
}

static void settle_room(struct room *room, uint64_t now_us)
{
    settle_slots(room);
    if (room->speakers_dirty && speakers_due(room) <= now_us) {
        room->speakers_dirty = false;
        room->speakers_told_us = max_of(now_us, (uint64_t)1);
        tell_speakers(room);
    }
    if (!room->speakers_dirty)
        list_remove(&room->unsettled_node);
}

void room_directory_settle(struct room_directory *directory, uint64_t now_us)
{
    struct room *room;
    list_each(room, &directory->unsettled, unsettled_node) settle_room(room, now_us);
}

static bool needs_slots(const struct room *room)
{
    return room->slots_dirty || !room->ranked_valid || !list_empty(&room->unsettled_members);
}

uint64_t room_directory_deadline(const struct room_directory *directory)
{
    uint64_t deadline = TIME_NEVER;
    struct room *room;
    list_each(room, &directory->unsettled, unsettled_node) deadline =
        time_earlier(deadline, needs_slots(room) ? 0 : speakers_due(room));
    if (!list_empty(&directory->empty)) {
        room = container_of(directory->empty.next, struct room, empty_node);
        deadline =
            time_earlier(deadline, room->empty_since_us + directory->config.empty_timeout_us);
    }
    return deadline;
}
