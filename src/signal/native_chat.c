// Chat.
#include "signal/native_int.h"

void native_chat(struct native_session *session, uint64_t now_us,
                 const struct wire_message *message)
{
    const struct wire_request_chat *request = &message->request.chat;
    if (!native_need_member(session, message))
        return;
    if (!room_may_send(session->member)) {
        native_refuse(session, message, WIRE_ERROR_NOT_PERMITTED, NULL);
        return;
    }
    struct room_member *to = NULL;
    if (request->to && !(to = room_find_member(session->member->room, request->to))) {
        native_refuse(session, message, WIRE_ERROR_NO_SUCH_MEMBER, NULL);
        return;
    }
    room_chat(session->member, to, request->text, native_unix_us(session->native, now_us) / 1000);
    native_ok(session, message);
}
