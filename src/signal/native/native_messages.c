// Messages between users, and what was kept of them and of calls. What the disk is asked for is
// answered later; until then the request is pending.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/native/native_int.h"

/** Messages that were handed to a client and are remembered until it confirms them. */
#define UNCONFIRMED_MAX 1024
/** Requests of a session that wait for the disk. */
#define PENDING_MAX 64

_Static_assert((int)WIRE_PAST_CALL_RESULT_ANSWERED == (int)PAST_CALL_ANSWERED &&
                   (int)WIRE_PAST_CALL_RESULT_MISSED == (int)PAST_CALL_MISSED &&
                   (int)WIRE_PAST_CALL_RESULT_CANCELLED == (int)PAST_CALL_CANCELLED &&
                   (int)WIRE_PAST_CALL_RESULT_REJECTED == (int)PAST_CALL_REJECTED &&
                   (int)WIRE_PAST_CALL_RESULT_BUSY == (int)PAST_CALL_BUSY &&
                   (int)WIRE_PAST_CALL_RESULT_UNAVAILABLE == (int)PAST_CALL_UNAVAILABLE &&
                   (int)WIRE_PAST_CALL_RESULT_LOST == (int)PAST_CALL_LOST,
               "the schema's results are the messaging's");

/** ---- what a device hears ---- */

/** What was sent last is a message to its user: in case the client is gone before it confirms it.
 */
static void remember(struct native_session *session, const char *id)
{
    struct native_unconfirmed *unconfirmed = &session->unconfirmed;
    if (unconfirmed->count == UNCONFIRMED_MAX) {
        unconfirmed->count--;
        memmove(unconfirmed->items, unconfirmed->items + 1,
                unconfirmed->count * sizeof(unconfirmed->items[0]));
    }
    if (unconfirmed->count == unconfirmed->capacity) {
        unconfirmed->capacity = max_of(unconfirmed->capacity * 2, (size_t)8);
        unconfirmed->items = memory_resize(unconfirmed->items,
                                           unconfirmed->capacity * sizeof(unconfirmed->items[0]));
    }
    struct native_handed *handed = &unconfirmed->items[unconfirmed->count++];
    handed->seq = session->replay.next_seq - 1;
    snprintf(handed->id, sizeof(handed->id), "%s", id);
}

void native_message_came(struct call_device *device, const struct user_message *message)
{
    struct native_session *session = container_of(device, struct native_session, device);
    struct wire_caller from = { .user = message->from,
                                .name = message->from_name,
                                .verified = message->from_verified };
    struct wire_event_message event = { .message = message->id,
                                        .from = &from,
                                        .to = message->to,
                                        .text = message->text,
                                        .sent_at = (uint64_t)message->sent_unix_ms,
                                        .missed = message->missed };
    wire_write_event_message(native_out(session->native), &event);
    native_send_event(session);
    if (device->verified && strcmp(message->to, call_device_user(device)) == 0)
        remember(session, message->id);
}

void native_missed_some(struct call_device *device, uint64_t calls, uint64_t messages)
{
    struct native_session *session = container_of(device, struct native_session, device);
    struct wire_event_missed event = { .calls = calls, .messages = messages };
    wire_write_event_missed(native_out(session->native), &event);
    native_send_event(session);
}

void native_messages_confirmed(struct native_session *session, uint64_t seq)
{
    struct native_unconfirmed *unconfirmed = &session->unconfirmed;
    size_t done = 0;
    while (done < unconfirmed->count && unconfirmed->items[done].seq <= seq)
        done++;
    unconfirmed->count -= done;
    if (done > 0)
        memmove(unconfirmed->items, unconfirmed->items + done,
                unconfirmed->count * sizeof(unconfirmed->items[0]));
    if (session->device.more_waits && session->replay.count == 0)
        messaging_give_more(session->native->config.messaging, &session->device);
}

void native_messages_done(struct native_session *session, bool lost)
{
    struct native_unconfirmed *unconfirmed = &session->unconfirmed;
    struct messaging *messaging = session->native->config.messaging;
    const char *user = call_device_user(&session->device);
    // what another device of the user's has, the user has: who came later was given it, too
    bool to_take_back = lost && !list_empty(&session->away_node) && user &&
                        session->device.verified &&
                        message_audience(messaging->calls, user, &session->device).connected == 0;
    for (size_t i = 0; to_take_back && i < unconfirmed->count; i++)
        messaging_take_back(messaging, user, unconfirmed->items[i].id);
    free(unconfirmed->items);
    *unconfirmed = (struct native_unconfirmed){ 0 };
    free(session->pending);
    session->pending = NULL;
    session->pending_count = 0;
}

/** ---- what a newcomer is given ---- */

/** The session of a device of ours that gets messages; NULL: it is another's. */
static struct native_session *hearing_session(struct call_device *device)
{
    return device->ops == &native_call_ops ? container_of(device, struct native_session, device)
                                           : NULL;
}

/** Gives `session` what the other one has not confirmed; `given` has the ids that it got before. */
static void give_unconfirmed(struct native_session *session, const struct native_session *other,
                             struct map *given)
{
    const struct native_unconfirmed *unconfirmed = &other->unconfirmed;
    for (size_t i = 0; i < unconfirmed->count && given->count < UNCONFIRMED_MAX; i++) {
        const struct native_handed *handed = &unconfirmed->items[i];
        if (map_set(given, bytes_of_text(handed->id), session))
            continue;
        if (handed->seq >= native_replay_oldest(&other->replay)) {
            native_send_body(session, native_replay_get(&other->replay, handed->seq));
            remember(session, handed->id);
        } else { // the other one cannot get it any more either: it comes from the disk
            messaging_take_back(session->native->config.messaging,
                                call_device_user(&session->device), handed->id);
        }
    }
}

void native_messages_catch_up(struct native_session *session)
{
    struct call_device *device = &session->device;
    const struct call_directory *calls = session->native->config.calls;
    const char *user = call_device_user(device);
    struct call_device *other = NULL;
    struct map given = { 0 };
    if (!user || !device->verified || !hearing_session(device) || session->relays)
        return;
    while ((other = call_user_next(calls, user, other))) {
        const struct native_session *theirs = hearing_session(other);
        if (theirs && theirs != session)
            give_unconfirmed(session, theirs, &given);
    }
    map_done(&given);
}

/** ---- requests that wait for the disk ---- */

static struct native_pending *find_pending(const struct native_session *session, uint64_t request)
{
    for (size_t i = 0; i < session->pending_count; i++) {
        if (session->pending[i].request == request)
            return &session->pending[i];
    }
    return NULL;
}

bool native_is_pending(const struct native_session *session, uint64_t request)
{
    return find_pending(session, request) != NULL;
}

/** False with a refusal when too many are. */
static bool begin_pending(struct native_session *session, const struct wire_message *message)
{
    if (session->pending_count == PENDING_MAX) {
        native_refuse(session, message, WIRE_ERROR_RATE_LIMITED,
                      "Too many requests wait for the disk. Wait for their replies.");
        return false;
    }
    if (!session->pending) // few sessions need it at all
        session->pending = memory_new_array(struct native_pending, PENDING_MAX);
    session->pending[session->pending_count++] =
        (struct native_pending){ .request = message->id, .type = message->type };
    return true;
}

/** Takes it out. */
static struct native_pending end_pending(struct native_session *session, uint64_t request)
{
    struct native_pending *place = find_pending(session, request);
    struct native_pending pending = *place;
    *place = session->pending[--session->pending_count];
    return pending;
}

static void reply_message(struct native_session *session, const struct native_pending *pending)
{
    struct wire_result_message result = { .message = pending->receipt.id,
                                          .sent_at = (uint64_t)pending->receipt.sent_unix_ms };
    wire_write_result_message(native_out(session->native), pending->request, &result);
    native_send_reply(session, pending->request);
}

static void reply_messages(struct native_session *session, const struct native_pending *pending,
                           const struct history_answer *answer)
{
    cleanup(memory_free_at) struct wire_kept_message *shown =
        memory_new_array(struct wire_kept_message, answer->count + 1);
    cleanup(memory_free_at) struct wire_caller *from =
        memory_new_array(struct wire_caller, answer->count + 1);
    const char *user = call_device_user(&session->device);
    for (size_t i = 0; i < answer->count; i++) {
        const struct history_entry *entry = &answer->entries[i];
        from[i] = (struct wire_caller){ .user = entry->outgoing ? user : entry->peer,
                                        .name = entry->name,
                                        .verified = entry->verified };
        shown[i] = (struct wire_kept_message){ .message = entry->id,
                                               .from = &from[i],
                                               .to = entry->outgoing ? entry->peer : user,
                                               .text = entry->text,
                                               .sent_at = (uint64_t)entry->unix_ms };
    }
    struct wire_result_messages result = { .messages = shown,
                                           .messages_count = answer->count,
                                           .more = answer->more };
    wire_write_result_messages(native_out(session->native), pending->request, &result);
    native_send_reply(session, pending->request);
}

static struct wire_past_call past_call(const struct history_entry *entry)
{
    return (struct wire_past_call){
        .call = entry->id,
        .with = entry->peer,
        .name = entry->outgoing ? entry->peer : entry->name,
        .direction = entry->outgoing ? WIRE_CALL_DIRECTION_OUT : WIRE_CALL_DIRECTION_IN,
        .media = (enum wire_call_media)entry->media,
        .result = (enum wire_past_call_result)entry->result,
        .missed = entry->missed,
        .began_at = (uint64_t)entry->unix_ms,
        .seconds = entry->seconds,
        .binding = entry->binding[0] ? entry->binding : NULL,
    };
}

static void reply_calls(struct native_session *session, const struct native_pending *pending,
                        const struct history_answer *answer)
{
    size_t count = answer->count;
    cleanup(memory_free_at) struct wire_past_call *shown =
        memory_new_array(struct wire_past_call, count + 1);
    for (size_t i = 0; i < count; i++)
        shown[i] = past_call(&answer->entries[count - 1 - i]);
    if (pending->seen && count > 0)
        messaging_calls_seen(session->native->config.messaging, &session->device, shown[0].call);
    struct wire_result_calls result = { .calls = shown,
                                        .calls_count = count,
                                        .more = answer->more };
    wire_write_result_calls(native_out(session->native), pending->request, &result);
    native_send_reply(session, pending->request);
}

static void refuse(struct native_session *session, const struct wire_message *message, int result)
{
    switch (result) {
    case -ENOTCONN:
        native_refuse(session, message, WIRE_ERROR_NOT_REGISTERED, NULL);
        break;
    case -EINVAL:
        native_refuse(session, message, WIRE_ERROR_BAD_REQUEST, "You cannot write to yourself.");
        break;
    case -EACCES:
        native_refuse(session, message, WIRE_ERROR_NOT_PERMITTED,
                      "Guests cannot do this here. Sign in.");
        break;
    case -ENOENT:
        native_refuse(session, message, WIRE_ERROR_USER_UNAVAILABLE, NULL);
        break;
    case -EDQUOT:
        native_refuse(session, message, WIRE_ERROR_RATE_LIMITED,
                      "Too many of your messages wait for the disk. Try again soon.");
        break;
    default: // the disk is full, broken, or has too much to do
        native_refuse(session, message, WIRE_ERROR_SERVER_FULL, NULL);
    }
}

static void answered(const struct history_return *back, const struct history_answer *answer)
{
    struct signal_native *native = back->owner;
    struct native_session *session = map_find(&native->sessions, bytes_of_text(back->name));
    if (!session || !native_is_pending(session, back->number))
        return;
    struct native_pending pending = end_pending(session, back->number);
    // between the request and the answer the session may have become nobody's
    bool registered = call_device_user(&session->device) != NULL;
    if (answer->error < 0 || !registered)
        refuse(session, &(struct wire_message){ .id = pending.request },
               registered ? answer->error : -ENOTCONN);
    else if (pending.type == WIRE_REQUEST_MESSAGE)
        reply_message(session, &pending);
    else if (pending.type == WIRE_REQUEST_MESSAGES)
        reply_messages(session, &pending, answer);
    else
        reply_calls(session, &pending, answer);
}

static struct history_return answer_to(struct native_session *session,
                                       const struct wire_message *message)
{
    struct history_return back = { .done = answered,
                                   .owner = session->native,
                                   .number = message->id };
    snprintf(back.name, sizeof(back.name), "%s", session->id);
    return back;
}

void native_message(struct native_session *session, uint64_t now_us,
                    const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_message *request = &message->request.message;
    if (!begin_pending(session, message))
        return;
    struct history_return back = answer_to(session, message);
    struct messaging_receipt receipt = { 0 };
    int result = messaging_send(session->native->config.messaging, &session->device, request->to,
                                request->text, &back, &receipt);
    find_pending(session, message->id)->receipt = receipt;
    if (result == -EINPROGRESS)
        return;
    struct native_pending pending = end_pending(session, message->id);
    if (result < 0)
        refuse(session, message, result);
    else
        reply_message(session, &pending);
}

/** Its reply is written by `answered`. */
static void ask(struct native_session *session, const struct wire_message *message,
                enum history_kind kind, const char *peer, const char *before, uint64_t limit)
{
    struct history_return back = answer_to(session, message);
    int result = messaging_read(session->native->config.messaging, &session->device, kind, peer,
                                before, (uint32_t)limit, &back);
    if (result == 0)
        return;
    (void)end_pending(session, message->id);
    refuse(session, message, result);
}

void native_messages(struct native_session *session, uint64_t now_us,
                     const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_messages *request = &message->request.messages;
    if (begin_pending(session, message))
        ask(session, message, HISTORY_MESSAGE, request->with, request->before, request->limit);
}

void native_calls(struct native_session *session, uint64_t now_us,
                  const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_calls *request = &message->request.calls;
    if (!begin_pending(session, message))
        return;
    find_pending(session, message->id)->seen = request->seen;
    ask(session, message, HISTORY_CALL, NULL, request->before, request->limit);
}
