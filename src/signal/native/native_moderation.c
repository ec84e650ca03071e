// Moderation: kick, lock, block, promote, end.
#include "signal/native/native_int.h"

static bool need_moderator(struct native_session *session, const struct wire_message *message)
{
    if (!native_need_member(session, message))
        return false;
    if (room_may_moderate(session->member))
        return true;
    native_refuse(session, message, WIRE_ERROR_NOT_MODERATOR, NULL);
    return false;
}

static struct room_member *need_target(struct native_session *session,
                                       const struct wire_message *message, const char *id)
{
    struct room_member *member = room_find_member(session->member->room, id);
    if (!member)
        native_refuse(session, message, WIRE_ERROR_NO_SUCH_MEMBER, NULL);
    return member;
}

void native_kick(struct native_session *session, uint64_t now_us,
                 const struct wire_message *message)
{
    const struct wire_request_kick *request = &message->request.kick;
    if (!need_moderator(session, message))
        return;
    struct room_member *target = need_target(session, message, request->member);
    if (!target)
        return;
    if (target == session->member) {
        native_refuse(session, message, WIRE_ERROR_BAD_REQUEST,
                      "This is you. Send \"leave\" instead.");
        return;
    }
    room_kick(target, now_us, request->message);
    native_ok(session, message);
}

void native_lock(struct native_session *session, uint64_t now_us,
                 const struct wire_message *message)
{
    (void)now_us;
    if (!need_moderator(session, message))
        return;
    room_lock(session->member->room, message->request.lock.locked);
    native_ok(session, message);
}

void native_block(struct native_session *session, uint64_t now_us,
                  const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_block *request = &message->request.block;
    if (!need_moderator(session, message))
        return;
    struct room_publication *publication =
        room_find_publication(session->member->room, request->track);
    if (!publication) {
        native_refuse(session, message, WIRE_ERROR_NO_SUCH_TRACK, NULL);
        return;
    }
    room_block(publication, request->blocked);
    native_ok(session, message);
}

void native_promote(struct native_session *session, uint64_t now_us,
                    const struct wire_message *message)
{
    (void)now_us;
    if (!need_moderator(session, message))
        return;
    struct room_member *target = need_target(session, message, message->request.promote.member);
    if (!target)
        return;
    room_promote(target);
    native_ok(session, message);
}

void native_end(struct native_session *session, uint64_t now_us, const struct wire_message *message)
{
    if (!need_moderator(session, message))
        return;
    room_end(session->member->room, now_us, NULL);
    native_ok(session, message);
}
