// What happens in rooms, as the protocol tells it.
#include <stdlib.h>

#include "base/memory.h"
#include "signal/native/native_int.h"

_Static_assert((int)WIRE_MEDIA_STATE_NONE == (int)ROOM_MEDIA_NONE &&
                   (int)WIRE_MEDIA_STATE_CONNECTING == (int)ROOM_MEDIA_CONNECTING &&
                   (int)WIRE_MEDIA_STATE_CONNECTED == (int)ROOM_MEDIA_CONNECTED &&
                   (int)WIRE_MEDIA_STATE_DISCONNECTED == (int)ROOM_MEDIA_DISCONNECTED &&
                   (int)WIRE_MEDIA_STATE_FAILED == (int)ROOM_MEDIA_FAILED,
               "the schema's media states are the room's");
_Static_assert((int)WIRE_PAUSE_NONE == (int)MEDIA_PAUSE_NONE &&
                   (int)WIRE_PAUSE_PATH == (int)MEDIA_PAUSE_PATH &&
                   (int)WIRE_PAUSE_SERVER == (int)MEDIA_PAUSE_SERVER,
               "the schema's reasons for a pause are the media server's");
_Static_assert((int)WIRE_LEFT_REASON_LEFT == (int)ROOM_LEFT_LEFT &&
                   (int)WIRE_LEFT_REASON_LOST == (int)ROOM_LEFT_LOST &&
                   (int)WIRE_LEFT_REASON_KICKED == (int)ROOM_LEFT_KICKED &&
                   (int)WIRE_LEFT_REASON_ENDED == (int)ROOM_LEFT_ENDED &&
                   (int)WIRE_LEFT_REASON_MOVED == (int)ROOM_LEFT_MOVED,
               "the schema's reasons are the room's");
_Static_assert((int)WIRE_KIND_AUDIO == (int)MEDIA_AUDIO && (int)WIRE_KIND_VIDEO == (int)MEDIA_VIDEO,
               "the schema's kinds are media's");

static const char *text_or_null(const char *text)
{
    return text[0] ? text : NULL;
}

struct wire_member native_wire_member(const struct room_member *member)
{
    return (struct wire_member){
        .id = member->id,
        .name = member->name,
        .user = text_or_null(member->user),
        .moderator = member->moderator,
        .away = member->away,
        .media = (enum wire_media_state)member->media_state,
        .status = text_or_null(member->status),
    };
}

struct wire_track native_wire_track(const struct room_publication *publication)
{
    return (struct wire_track){
        .id = publication->id,
        .member = publication->member->id,
        .kind = (enum wire_kind)publication->kind,
        .source = (enum wire_source)publication->source,
        .name = text_or_null(publication->name),
        .muted = publication->muted,
        .blocked = publication->blocked,
        .live = publication->live,
        .encrypted = publication->encrypted,
    };
}

static void write_speakers(struct json_text *out, const struct room_event *event)
{
    struct wire_speaker speakers[ROOM_SPEAKERS_MAX];
    size_t count = min_of(event->speaker_count, array_size(speakers));
    for (size_t i = 0; i < count; i++) {
        const struct room_publication *publication = event->speakers[i];
        speakers[i] = (struct wire_speaker){ .member = publication->member->id,
                                             .track = publication->id,
                                             .level = publication->level_dbov };
    }
    wire_write_event_speakers(
        out, &(struct wire_event_speakers){ .speakers = speakers, .speakers_count = count });
}

static void write_slots(struct json_text *out, const struct room_event *event)
{
    cleanup(memory_free_at) struct wire_slot_change *changes =
        memory_new_array(struct wire_slot_change, event->slot_count);
    for (size_t i = 0; i < event->slot_count; i++) {
        const struct room_slot *slot = event->slots[i];
        changes[i] = (struct wire_slot_change){
            .mid = slot->mid,
            .track = slot->filled_by ? slot->filled_by->id : NULL,
            .member = slot->filled_by ? slot->filled_by->member->id : NULL,
        };
    }
    wire_write_event_slots(
        out, &(struct wire_event_slots){ .changes = changes, .changes_count = event->slot_count });
}

static void write_chat(struct json_text *out, const struct room_event *event)
{
    wire_write_event_chat(out, &(struct wire_event_chat){
                                   .from = event->member ? event->member->id : "server",
                                   .name = event->member ? event->member->name : event->from_name,
                                   .text = event->text,
                                   .to = event->to ? event->to->id : NULL,
                                   .time_ms = event->time_ms });
}

static void write_removed(struct json_text *out, const struct room_event *event)
{
    const char *text = event->text;
    if (event->reason == ROOM_LEFT_MOVED)
        text = "You are wanted in another room.";
    else if (!text || !text[0])
        text = event->reason == ROOM_LEFT_KICKED ? "A moderator removed you from the room."
                                                 : "A moderator ended the meeting.";
    wire_write_event_removed(
        out, &(struct wire_event_removed){ .reason = (enum wire_left_reason)event->reason,
                                           .message = text,
                                           .room = event->to_room,
                                           .token = event->token });
}

static void write_member_event(struct json_text *out, const struct room_event *event)
{
    struct wire_member member = native_wire_member(event->member);
    if (event->kind == ROOM_EVENT_MEMBER_JOINED)
        wire_write_event_member_joined(out, &(struct wire_event_member_joined){ &member });
    else
        wire_write_event_member_updated(out, &(struct wire_event_member_updated){ &member });
}

static void write_track_event(struct json_text *out, const struct room_event *event)
{
    struct wire_track track = native_wire_track(event->publication);
    if (event->kind == ROOM_EVENT_TRACK_PUBLISHED)
        wire_write_event_track_published(out, &(struct wire_event_track_published){ &track });
    else
        wire_write_event_track_updated(out, &(struct wire_event_track_updated){ &track });
}

static void write_event(struct json_text *out, const struct room_event *event)
{
    switch (event->kind) {
    case ROOM_EVENT_MEMBER_JOINED:
    case ROOM_EVENT_MEMBER_UPDATED:
        write_member_event(out, event);
        break;
    case ROOM_EVENT_MEMBER_LEFT:
        wire_write_event_member_left(
            out, &(struct wire_event_member_left){
                     .member = event->member->id, .reason = (enum wire_left_reason)event->reason });
        break;
    case ROOM_EVENT_TRACK_PUBLISHED:
    case ROOM_EVENT_TRACK_UPDATED:
        write_track_event(out, event);
        break;
    case ROOM_EVENT_TRACK_UNPUBLISHED:
        wire_write_event_track_unpublished(
            out, &(struct wire_event_track_unpublished){ .track = event->publication->id,
                                                         .member = event->member->id });
        break;
    case ROOM_EVENT_UPDATED:
        wire_write_event_room_updated(
            out, &(struct wire_event_room_updated){ .locked = event->room->locked });
        break;
    case ROOM_EVENT_SPEAKERS:
        write_speakers(out, event);
        break;
    case ROOM_EVENT_CHAT:
        write_chat(out, event);
        break;
    case ROOM_EVENT_KEYS:
        wire_write_event_keys(
            out, &(struct wire_event_keys){ .from = event->member->id, .data = event->text });
        break;
    case ROOM_EVENT_REMOVED:
        write_removed(out, event);
        break;
    case ROOM_EVENT_SLOTS:
        write_slots(out, event);
        break;
    case ROOM_EVENT_SLOTS_NEEDED:
        wire_write_event_slots_needed(
            out, &(struct wire_event_slots_needed){ .audio = event->audio, .video = event->video });
        break;
    case ROOM_EVENT_DEMAND:
        wire_write_event_demand(
            out, &(struct wire_event_demand){ .track = event->publication->id,
                                              .layers = event->publication->demand });
        break;
    case ROOM_EVENT_TRACK_PAUSED:
        wire_write_event_track_paused(
            out, &(struct wire_event_track_paused){ .track = event->publication->id,
                                                    .pause = (enum wire_pause)event->pause });
        break;
    case ROOM_EVENT_MEDIA_STATE:
        wire_write_event_media_state(out,
                                     &(struct wire_event_media_state){
                                         .state = (enum wire_media_state)event->member->media_state,
                                         .message = event->text });
        break;
    }
}

/** The event's text, written once for all who hear it. */
static struct native_body *shared_body(struct signal_native *native, const struct room_event *event)
{
    if (native->shared && native->shared_serial == event->serial)
        return native->shared;
    native_body_release(native->shared);
    struct json_text *out = native_out(native);
    write_event(out, event);
    native->shared = native_body_new(json_text_bytes(out), 0);
    native->shared_serial = event->serial;
    return native->shared;
}

void native_room_notify(struct room_observer *observer, const struct room_event *event)
{
    struct native_session *session = container_of(observer, struct native_session, observer);
    native_send_body(session, shared_body(session->native, event));
    if (event->kind == ROOM_EVENT_REMOVED)
        session->member = NULL;
}
