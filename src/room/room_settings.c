// What holds for the media of a whole room: the directory's, or its own.
#include "room/directory_int.h"

uint32_t room_loudest_audio(const struct room *room)
{
    return room->loudest_audio != ROOM_SETTING_NONE ? room->loudest_audio
                                                    : room->directory->config.loudest_audio;
}

struct media_playout_delay room_playout_delay(const struct room *room)
{
    return room->playout_delay.set ? room->playout_delay : room->directory->config.playout_delay;
}

struct media_playout_delay room_member_playout_delay(const struct room_member *member)
{
    return member->playout_delay.set ? member->playout_delay : room_playout_delay(member->room);
}

static void tell_loudest(struct room *room)
{
    struct media_control *media = room->directory->config.media;
    media->group_loudest(media, room->number, room_loudest_audio(room));
}

static void tell_playout_delay(struct room *room)
{
    struct media_control *media = room->directory->config.media;
    for (struct room_member *member = room_next_member(room, NULL); member;
         member = room_next_member(room, member)) {
        if (member->media)
            media->playout_delay(media, member->media, room_member_playout_delay(member));
    }
}

void room_tell_media(struct room *room)
{
    tell_loudest(room);
    tell_playout_delay(room);
}

void room_set_loudest_audio(struct room *room, uint32_t places)
{
    if (room->loudest_audio == places)
        return;
    room->loudest_audio = places;
    tell_loudest(room);
}

void room_set_playout_delay(struct room *room, struct media_playout_delay delay)
{
    room->playout_delay = delay;
    tell_playout_delay(room);
}
