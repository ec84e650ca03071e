// How a member wants its tracks to be shown: of a track, or of a slot whatever fills it.
#include <errno.h>

#include "base/memory.h"
#include "room/directory_int.h"

/** Of a screen that nobody said anything about. */
#define SCREEN_PRIORITY 150

bool room_publication_is_read(const struct room_publication *publication)
{
    return publication->source == ROOM_SOURCE_SCREEN;
}

struct media_wish room_member_wish_of(const struct room_member *member,
                                      const struct room_publication *publication)
{
    const struct media_wish *wish =
        member->wishes.count > 0 ? map_find(&member->wishes, bytes_of_text(publication->id)) : NULL;
    if (wish)
        return *wish;
    struct media_wish usual = MEDIA_WISH_DEFAULT;
    // what is shared is what everybody looks at
    if (publication->source == ROOM_SOURCE_SCREEN)
        usual.priority = SCREEN_PRIORITY;
    usual.detail = room_publication_is_read(publication);
    return usual;
}

void room_member_wish(struct room_member *member, struct room_publication *publication,
                      const struct media_wish *wish)
{
    if (publication->kind != MEDIA_VIDEO || publication->member == member)
        return;
    struct media_wish *kept = map_find(&member->wishes, bytes_of_text(publication->id));
    uint8_t before = kept ? kept->priority : MEDIA_WISH_PRIORITY;
    if (before != wish->priority)
        room_mark_member_slots(member); // who is pinned gets in, whoever spoke last
    if (!kept) {
        kept = memory_new(struct media_wish);
        map_set(&member->wishes, bytes_of_text(publication->id), kept);
    }
    *kept = *wish;
    struct media_control *media = member->room->directory->config.media;
    for (size_t i = 0; i < member->slots.count; i++) {
        // -ENOENT: the session ended this moment, and its event is on the way
        if (member->slots.items[i].filled_by == publication && !member->slots.items[i].wished)
            (void)!media->slot_wish(media, member->media, member->slots.items[i].mid, wish);
    }
}

const struct room_slot *room_member_video_slot(const struct room_member *member, int section)
{
    for (size_t i = 0; i < member->slots.count; i++) {
        const struct room_slot *slot = &member->slots.items[i];
        if (slot->kind == MEDIA_VIDEO && (section < 0 || slot->section == section))
            return slot;
    }
    return NULL;
}

int room_member_wish_slot(struct room_member *member, uint16_t section,
                          const struct media_wish *wish)
{
    const struct room_slot *found = room_member_video_slot(member, section);
    if (!found)
        return -ENOENT;
    struct room_slot *slot = &member->slots.items[found - member->slots.items];
    slot->wished = wish != NULL;
    if (wish)
        slot->wish = *wish;
    if (!slot->filled_by)
        return 0;
    struct media_wish now = wish ? *wish : room_member_wish_of(member, slot->filled_by);
    struct media_control *media = member->room->directory->config.media;
    // -ENOENT: the session ended this moment, and its event is on the way
    (void)!media->slot_wish(media, member->media, slot->mid, &now);
    return 0;
}
