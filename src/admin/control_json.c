#include "admin/control_json.h"

#include "room/directory.h"
#include "signal/access/token.h"

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

json_t *control_room_json(const struct room *room)
{
    struct media_playout_delay delay = room_playout_delay(room);
    return json_pack("{s:s,s:i,s:i,s:i,s:i,s:i,s:b,s:b,s:i,s:o}", "name", room->name,
                     "participants", (int)room->member_count, "hidden", (int)room->viewer_count,
                     "tracks", (int)room->publications_by_id.count, "max_participants",
                     (int)room_member_limit(room), "max_hidden", (int)room_viewer_limit(room),
                     "locked", (int)room->locked, "kept", (int)room->kept, "loudest_audio",
                     (int)room_loudest_audio(room), "playout_delay",
                     delay.set ? json_integer(delay.ms) : json_null());
}

static json_t *sources_json(const struct room_member *member)
{
    json_t *sources = json_array();
    for (unsigned i = 0; i < ROOM_SOURCE_COUNT; i++) {
        if (room_may_publish(member, (enum room_source)i))
            json_array_append_new(sources, json_string(token_source_name((enum room_source)i)));
    }
    return sources;
}

json_t *control_member_json(const struct room_member *member)
{
    static const char *const states[] = {
        [ROOM_MEDIA_NONE] = "none",           [ROOM_MEDIA_CONNECTING] = "connecting",
        [ROOM_MEDIA_CONNECTED] = "connected", [ROOM_MEDIA_DISCONNECTED] = "disconnected",
        [ROOM_MEDIA_FAILED] = "failed",
    };
    json_t *tracks = json_array();
    const struct room_publication *publication;
    list_each(publication, &member->publications, member_node)
        json_array_append_new(tracks, control_track_json(publication));
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:b,s:b,s:b,s:s,s:o,s:b,s:b,s:o}", "id", member->id,
                     "room", member->room->name, "name", member->name, "user",
                     text_or_null(member->user), "status", text_or_null(member->status),
                     "moderator", (int)member->moderator, "hidden", (int)member->hidden, "away",
                     (int)member->away, "media", states[member->media_state], "publish",
                     sources_json(member), "subscribe", (int)!member->denials.subscribe, "data",
                     (int)room_may_send(member), "tracks", tracks);
}

json_t *control_track_json(const struct room_publication *publication)
{
    return json_pack(
        "{s:s,s:s,s:s,s:s,s:o,s:b,s:b,s:b,s:b}", "id", publication->id, "participant",
        publication->member->id, "kind", publication->kind == MEDIA_AUDIO ? "audio" : "video",
        "source", token_source_name(publication->source), "name", text_or_null(publication->name),
        "muted", (int)publication->muted, "blocked", (int)publication->blocked, "live",
        (int)publication->live, "speaking", (int)publication->speaking);
}

const char *control_reason_name(enum room_left_reason reason)
{
    switch (reason) {
    case ROOM_LEFT_LEFT:
        return "left";
    case ROOM_LEFT_LOST:
        return "lost";
    case ROOM_LEFT_KICKED:
        return "kicked";
    case ROOM_LEFT_MOVED:
        return "moved";
    default:
        return "ended";
    }
}
