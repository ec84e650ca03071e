// Media: offers, mute, subscriptions.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/native/native_int.h"

_Static_assert((int)WIRE_SOURCE_CAMERA == (int)ROOM_SOURCE_CAMERA &&
                   (int)WIRE_SOURCE_MICROPHONE == (int)ROOM_SOURCE_MICROPHONE &&
                   (int)WIRE_SOURCE_SCREEN == (int)ROOM_SOURCE_SCREEN &&
                   (int)WIRE_SOURCE_SCREEN_AUDIO == (int)ROOM_SOURCE_SCREEN_AUDIO &&
                   (int)WIRE_SOURCE_OTHER == (int)ROOM_SOURCE_OTHER,
               "the schema's sources are the room's");

static void write_answer(struct native_session *session, uint64_t id, const char *sdp)
{
    const struct room_member *member = session->member;
    cleanup(memory_free_at) struct wire_publication *publications = memory_new_array(
        struct wire_publication, max_of((size_t)member->publication_count, (size_t)1));
    cleanup(memory_free_at) struct wire_slot *slots =
        memory_new_array(struct wire_slot, max_of(member->slots.count, (size_t)1));
    size_t count = 0;
    const struct room_publication *publication;
    list_each(publication, &member->publications, member_node) publications[count++] =
        (struct wire_publication){ .mid = publication->mid, .track = publication->id };
    for (size_t i = 0; i < member->slots.count; i++) {
        const struct room_slot *slot = &member->slots.items[i];
        slots[i] = (struct wire_slot){
            .mid = slot->mid,
            .kind = (enum wire_kind)slot->kind,
            .pair = slot->pair,
            .track = slot->filled_by ? slot->filled_by->id : NULL,
            .member = slot->filled_by ? slot->filled_by->member->id : NULL,
        };
    }
    struct wire_result_offer result = { .sdp = sdp,
                                        .publications = publications,
                                        .publications_count = count,
                                        .slots = slots,
                                        .slots_count = member->slots.count };
    wire_write_result_offer(native_out(session->native), id, &result);
}

static bool ends_with_period(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && text[size - 1] == '.';
}

static void refuse_offer(struct native_session *session, const struct wire_message *message,
                         int result, const char *problem)
{
    if (result == -E2BIG) {
        native_refuse(session, message, WIRE_ERROR_TOO_MANY_TRACKS, NULL);
    } else if (result == -EACCES) {
        native_refuse(session, message, WIRE_ERROR_NOT_PERMITTED, problem);
    } else if (result == -ENOSPC) {
        native_refuse(session, message, WIRE_ERROR_MEDIA_FULL, NULL);
    } else if (problem && !ends_with_period(problem)) {
        // a clause of the SDP parser's
        char sentence[256];
        snprintf(sentence, sizeof(sentence), "The offer cannot be answered: %s.", problem);
        native_refuse(session, message, WIRE_ERROR_OFFER_INVALID, sentence);
    } else {
        native_refuse(session, message, WIRE_ERROR_OFFER_INVALID, problem);
    }
}

void native_offer(struct native_session *session, uint64_t now_us,
                  const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_offer *request = &message->request.offer;
    if (!native_need_member(session, message))
        return;
    cleanup(memory_free_at) struct room_track_offer *tracks =
        memory_new_array(struct room_track_offer, max_of(request->tracks_count, (size_t)1));
    for (size_t i = 0; i < request->tracks_count; i++) {
        const struct wire_track_offer *track = &request->tracks[i];
        tracks[i] = (struct room_track_offer){ .mid = track->mid,
                                               .source = (enum room_source)track->source,
                                               .name = track->name,
                                               .muted = track->muted,
                                               .encrypted = track->encrypted };
    }
    struct room_offer offer = { .sdp = bytes_of_text(request->sdp),
                                .tracks = tracks,
                                .track_count = request->tracks_count,
                                .fresh = request->fresh };
    struct media_answer answer;
    const char *problem = NULL;
    int result = room_member_offer(session->member, &offer, &answer, &problem);
    if (result < 0) {
        refuse_offer(session, message, result, problem);
        return;
    }
    write_answer(session, message->id, answer.sdp);
    native_send_reply(session, message->id);
    free(answer.sdp);
    free(answer.sections);
}

void native_candidate(struct native_session *session, uint64_t now_us,
                      const struct wire_message *message)
{
    (void)now_us;
    // ICE-lite: the client's checks themselves tell where it is (RFC 8445, 2.5)
    if (native_need_member(session, message))
        native_ok(session, message);
}

void native_mute(struct native_session *session, uint64_t now_us,
                 const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_mute *request = &message->request.mute;
    if (!native_need_member(session, message))
        return;
    struct room_publication *publication =
        room_find_publication(session->member->room, request->track);
    if (!publication || publication->member != session->member) {
        native_refuse(session, message, WIRE_ERROR_NO_SUCH_TRACK,
                      "You publish no such track. Use an id from the reply to \"offer\".");
        return;
    }
    room_publication_mute(publication, request->muted);
    native_ok(session, message);
}

/** All or nothing: an unknown track changes no subscription. */
static void set_wanted(struct native_session *session, const struct wire_message *message,
                       const char *const *tracks, size_t count, bool wanted)
{
    if (!native_need_member(session, message))
        return;
    struct room_member *member = session->member;
    if (wanted && member->denials.subscribe) {
        native_refuse(session, message, WIRE_ERROR_NOT_PERMITTED, NULL);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!room_find_publication(member->room, tracks[i])) {
            native_refuse(session, message, WIRE_ERROR_NO_SUCH_TRACK, NULL);
            return;
        }
    }
    for (size_t i = 0; i < count; i++)
        room_member_subscribe(member, room_find_publication(member->room, tracks[i]), wanted);
    native_ok(session, message);
}

void native_subscribe(struct native_session *session, uint64_t now_us,
                      const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_subscribe *request = &message->request.subscribe;
    set_wanted(session, message, request->tracks, request->tracks_count, true);
}

void native_unsubscribe(struct native_session *session, uint64_t now_us,
                        const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_unsubscribe *request = &message->request.unsubscribe;
    set_wanted(session, message, request->tracks, request->tracks_count, false);
}

void native_wish(struct native_session *session, uint64_t now_us,
                 const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_wish *request = &message->request.wish;
    if (!native_need_member(session, message))
        return;
    struct room_member *member = session->member;
    for (size_t i = 0; i < request->tracks_count; i++) {
        const struct wire_track_wish *wished = &request->tracks[i];
        struct room_publication *publication = room_find_publication(member->room, wished->track);
        struct media_wish wish = {
            .width = (uint16_t)wished->width,
            .height = (uint16_t)wished->height,
            .priority = (uint8_t)wished->priority,
            .paused = wished->paused,
            .frame_rate = (uint8_t)wished->frame_rate,
        };
        if (!publication)
            continue;
        wish.detail = wished->has_detail ? wished->detail : room_publication_is_read(publication);
        room_member_wish(member, publication, &wish);
    }
    native_ok(session, message);
}
