// Which audio of a room is forwarded: its loudest few.
#include <stdlib.h>

#include "base/memory.h"
#include "room/exchange_int.h"

/** Opus in DTX, and what else says that there is nothing to hear. */
#define SILENT_PAYLOAD_MAX 8

/** The voices of one room that are heard on this worker. */
struct exchange_group {
    uint64_t name;
    struct loudest loudest;
};

static struct exchange_group *group_get(struct exchange *exchange, uint64_t name, uint32_t places)
{
    struct exchange_group *group = map_find(&exchange->groups, map_key_u64(&name));
    if (group) {
        loudest_set_places(&group->loudest, places);
        return group;
    }
    group = memory_new(struct exchange_group);
    group->name = name;
    loudest_init(&group->loudest, places);
    map_set(&exchange->groups, map_key_u64(&group->name), group);
    return group;
}

void exchange_group_leave(struct exchange *exchange, struct track *track)
{
    if (!track->voice.loudest)
        return;
    struct exchange_group *group =
        container_of(track->voice.loudest, struct exchange_group, loudest);
    loudest_leave(&track->voice);
    if (group->loudest.voice_count > 0)
        return;
    map_remove(&exchange->groups, map_key_u64(&group->name));
    free(group);
}

void exchange_publication_group(struct exchange *exchange, const struct track_key *publisher,
                                uint64_t name, uint32_t places)
{
    struct track *track = exchange_find_track(exchange, publisher);
    if (!track || track->video)
        return;
    if (name == 0) {
        exchange_group_leave(exchange, track);
        return;
    }
    struct exchange_group *group = group_get(exchange, name, places);
    if (track->voice.loudest == &group->loudest)
        return;
    exchange_group_leave(exchange, track);
    loudest_join(&group->loudest, &track->voice);
}

void exchange_group_places(struct exchange *exchange, uint64_t name, uint32_t places)
{
    struct exchange_group *group = map_find(&exchange->groups, map_key_u64(&name));
    if (group)
        loudest_set_places(&group->loudest, places);
}

static uint8_t loudness_of(struct packet *packet)
{
    const struct media_info *info = media_info_of(packet);
    uint8_t level;
    bool voice;
    if (rtp_extensions_audio_level(&info->extensions, packet->bytes, &level, &voice))
        return (uint8_t)(127u - (level & 127u));
    return info->payload_size > SILENT_PAYLOAD_MAX ? LOUDEST_UNKNOWN : 0;
}

uint32_t exchange_loudest_filter(struct exchange *exchange, uint64_t now_us, struct track *track,
                                 struct packet **packets, uint32_t count)
{
    if (!track->voice.loudest || count == 0)
        return count;
    uint32_t heard = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (loudest_packet(&track->voice, now_us, loudness_of(packets[i])))
            packets[heard++] = packets[i];
    }
    if (heard == count) {
        track->unheard = false;
        return count;
    }
    exchange_count(exchange, ROOM_METRIC_DROPPED_QUIET, count - heard);
    if (!track->unheard) {
        // what is left out is no loss: receivers' numbers go on with the next packet they get
        struct subscription *subscription;
        list_each(subscription, &track->subscriptions, by_track) subscription_restart(subscription);
        track->unheard = heard == 0;
    }
    return heard;
}
