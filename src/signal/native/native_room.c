// Rooms: join, leave, update.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "signal/access/ban_key.h"
#include "signal/native/native_int.h"

bool native_need_member(struct native_session *session, const struct wire_message *message)
{
    if (session->member)
        return true;
    native_refuse(session, message, WIRE_ERROR_NOT_IN_ROOM, NULL);
    return false;
}

/** Everything in a room, as a newcomer sees it. */
static void write_room(struct native_session *session, uint64_t now_us, uint64_t id)
{
    struct signal_native *native = session->native;
    const struct room *room = session->member->room;
    size_t track_count = room->publications_by_id.count;
    cleanup(memory_free_at) struct wire_member *members =
        memory_new_array(struct wire_member, room->member_count + 1);
    cleanup(memory_free_at) struct wire_track *tracks =
        memory_new_array(struct wire_track, max_of(track_count, (size_t)1));
    struct native_ice ice;
    native_ice_init(&ice, session, now_us);
    size_t member_place = 0, track_place = 0;
    const struct room_member *member;
    const struct room_publication *publication;
    list_each(member, &room->members, node)
    {
        members[member_place++] = native_wire_member(member);
        list_each(publication, &member->publications, member_node) tracks[track_place++] =
            native_wire_track(publication);
    }
    if (session->member->hidden)
        members[member_place++] = native_wire_member(session->member);
    ensure(track_place == track_count);
    uint32_t audio, video;
    room_suggest_slots(room, session->member, &audio, &video);
    struct wire_slot_count slots = { .audio = audio, .video = video };
    struct wire_limits limits = native_limits(native);
    struct wire_result_join result = {
        .room = room->name,
        .self = session->member->id,
        .locked = room->locked,
        .members = members,
        .members_count = member_place,
        .tracks = tracks,
        .tracks_count = track_place,
        .ice_servers = ice.servers,
        .ice_servers_count = ice.count,
        .slots = &slots,
        .limits = &limits,
    };
    wire_write_result_join(native_out(native), id, &result);
    native_ice_done(&ice);
}

static enum wire_error join_error(int result)
{
    switch (result) {
    case -ENOSPC:
        return WIRE_ERROR_ROOM_FULL;
    case -EACCES:
        return WIRE_ERROR_ROOM_LOCKED;
    case -EPERM:
        return WIRE_ERROR_KICKED;
    case -ENFILE:
        return WIRE_ERROR_TOO_MANY_ROOMS;
    default:
        return WIRE_ERROR_NO_SUCH_ROOM;
    }
}

static int enter(struct native_session *session, uint64_t now_us,
                 const struct wire_request_join *request, const struct token_grants *grants)
{
    struct room *room;
    int result = room_directory_open(session->native->config.rooms, now_us, request->room,
                                     grants->moderator, &room);
    if (result < 0)
        return result;
    char ban_key[ROOM_BAN_KEY_SIZE];
    const char *name = grants->name[0] ? grants->name : request->name;
    ban_key_write(grants, &session->remote, name, ban_key);
    struct room_join join = {
        .name = name,
        .user = grants->user[0] ? grants->user : NULL,
        .ban_key = ban_key,
        .moderator = grants->moderator,
        .auto_subscribe = request->auto_subscribe,
        .loopback = net_address_is_loopback(&session->remote),
        .playout_delay = { request->has_playout_delay, (uint16_t)request->playout_delay },
        .hidden = grants->hidden,
        .denials = grants->denials,
        .pass = token_pass(grants, request->token || session->native->config.admission),
        .observer = &session->observer,
    };
    return room_join(room, &join, &session->member);
}

void native_join(struct native_session *session, uint64_t now_us,
                 const struct wire_message *message)
{
    const struct wire_request_join *request = &message->request.join;
    struct token_grants grants;
    if (session->member) {
        native_refuse(session, message, WIRE_ERROR_ALREADY_IN_ROOM, NULL);
        return;
    }
    struct admission_question question = { .purpose = ADMISSION_JOIN,
                                           .room = request->room,
                                           .name = request->name,
                                           .token = request->token };
    if (!native_admit(session, now_us, message, &question, &grants))
        return;
    if (session->moderates && !request->token && !session->native->config.admission)
        grants.moderator = true;
    bool by_grants = request->token || session->native->config.admission;
    if (by_grants && !token_admits(&grants, request->room)) {
        native_refuse(session, message, WIRE_ERROR_TOKEN_INVALID,
                      "The token is for another room. Ask for one for this room.");
        return;
    }
    if (grants.join_denied) {
        native_refuse(session, message, WIRE_ERROR_NOT_PERMITTED,
                      "The token does not let you join rooms.");
        return;
    }
    int result = enter(session, now_us, request, &grants);
    if (result < 0) {
        native_refuse(session, message, join_error(result), NULL);
        return;
    }
    session->name_is_fixed = grants.name[0] != 0;
    write_room(session, now_us, message->id);
    native_send_reply(session, message->id);
}

void native_leave(struct native_session *session, uint64_t now_us,
                  const struct wire_message *message)
{
    if (!native_need_member(session, message))
        return;
    struct room_member *member = session->member;
    session->member = NULL;
    room_leave(member, now_us, ROOM_LEFT_LEFT);
    native_ok(session, message);
}

void native_update(struct native_session *session, uint64_t now_us,
                   const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_update *request = &message->request.update;
    if (!native_need_member(session, message))
        return;
    if (request->name && session->name_is_fixed) {
        native_refuse(session, message, WIRE_ERROR_BAD_REQUEST,
                      "Your name comes from your token and cannot be changed here.");
        return;
    }
    room_member_update(session->member, request->name, request->status);
    native_ok(session, message);
}
