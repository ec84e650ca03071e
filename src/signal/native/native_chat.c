// Chat, and what members tell each other about keys.
#include "signal/native/native_int.h"

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

/** Who has just left is passed over: the sender will hear of it. */
void native_keys(struct native_session *session, uint64_t now_us,
                 const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_keys *request = &message->request.keys;
    if (!native_need_member(session, message))
        return;
    struct room_member *from = session->member;
    if (request->data)
        room_pass_keys(from, NULL, request->data);
    for (size_t i = 0; i < request->messages_count; i++) {
        const struct wire_key_message *single = &request->messages[i];
        struct room_member *to = room_find_member(from->room, single->to);
        if (to)
            room_pass_keys(from, to, single->data);
    }
    native_ok(session, message);
}
