// simple-peer: what its objects say, and the calls that it is. Sites bring the two objects together
// by user name alone, so there is one call with each user at a time.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_read.h"
#include "base/memory.h"
#include "signal/native/native_int.h"
#include "signal/native/relay_signal.h"

/** Connections without sound and picture that a session may have begun. */
#define OPAQUE_MAX 32

/** Whom a session has something with: a call, or a connection that only such sessions understand.
 */
struct native_relayed {
    struct list node;
    char with[CALL_NAME_SIZE];      /**< as the client knows the other side */
    char call[CALL_ID_SIZE];        /**< "": no call's */
    char origin[RELAY_ORIGIN_SIZE]; /**< of the client's own object; "": it has said nothing yet */
    bool incoming;
    bool accepted;
};

static struct call_directory *calls_of(const struct native_session *session)
{
    return session->native->config.calls;
}

/** ---- whom the session has something with ---- */

static struct native_relayed *find_with(const struct native_session *session, const char *with)
{
    struct native_relayed *relayed;
    list_each(relayed, &session->relayed, node)
    {
        if (strcmp(relayed->with, with) == 0)
            return relayed;
    }
    return NULL;
}

static struct native_relayed *find_call(const struct native_session *session, const char *call)
{
    struct native_relayed *relayed;
    list_each(relayed, &session->relayed, node)
    {
        if (relayed->call[0] && strcmp(relayed->call, call) == 0)
            return relayed;
    }
    return NULL;
}

static void relayed_free(struct native_relayed *relayed)
{
    list_remove(&relayed->node);
    free(relayed);
}

static struct native_relayed *relayed_new(struct native_session *session, const char *with,
                                          const char *call)
{
    struct native_relayed *relayed = memory_new(struct native_relayed);
    snprintf(relayed->with, sizeof(relayed->with), "%s", with);
    snprintf(relayed->call, sizeof(relayed->call), "%s", call);
    list_append(&session->relayed, &relayed->node);
    return relayed;
}

/** A connection that is no call: the oldest one makes room, its clients go on. */
static struct native_relayed *opaque_new(struct native_session *session, const char *with)
{
    struct native_relayed *relayed, *oldest = NULL;
    size_t count = 0;
    list_each(relayed, &session->relayed, node)
    {
        if (relayed->call[0])
            continue;
        oldest = oldest ? oldest : relayed;
        count++;
    }
    if (count >= OPAQUE_MAX)
        relayed_free(oldest);
    return relayed_new(session, with, "");
}

void native_relay_done(struct native_session *session)
{
    struct native_relayed *relayed;
    list_each(relayed, &session->relayed, node) relayed_free(relayed);
}

bool native_relay_may_set(const struct native_session *session, bool relays)
{
    return session->relays == relays || session->device.side_count == 0;
}

void native_relay_set(struct native_session *session, bool relays)
{
    if (session->relays == relays)
        return;
    struct call_device *device = &session->device;
    if (relays)
        session->binding_before = device->binding;
    session->relays = relays;
    call_device_set_binding(calls_of(session), device,
                            relays ? CALL_BINDING_RELAY : session->binding_before);
    native_relay_done(session);
}

/** ---- what the client says ---- */

/** To the objects of the same library alone. */
static void pass_on(struct native_session *session, const struct wire_message *message)
{
    const struct wire_request_relay *request = &message->request.relay;
    int result = call_relay(calls_of(session), &session->device, request->to, request->data);
    if (result < 0)
        native_refuse(session, message, WIRE_ERROR_USER_UNAVAILABLE, NULL);
    else
        native_ok(session, message);
}

static void send_signal(struct native_session *session, const char *from, const char *name,
                        const char *data)
{
    wire_write_event_relay(native_out(session->native),
                           &(struct wire_event_relay){ .from = from, .name = name, .data = data });
    native_send_event(session);
}

static void send_bye(struct native_session *session, const char *from, const char *reason)
{
    char data[64];
    snprintf(data, sizeof(data), "{\"type\":\"bye\",\"reason\":\"%s\"}", reason);
    send_signal(session, from, NULL, data);
}

static void hang_up(struct native_session *session, uint64_t now_us, struct native_relayed *relayed)
{
    if (relayed->call[0])
        (void)!call_hangup(calls_of(session), &session->device, now_us, relayed->call);
    relayed_free(relayed);
}

/** Calls the user, or begins a connection that is no call. */
static void begin(struct native_session *session, uint64_t now_us,
                  const struct wire_message *message, const struct relay_signal *data)
{
    const char *to = message->request.relay.to;
    if (!relay_has_media(data->sdp)) {
        relay_read_origin(data->sdp, opaque_new(session, to)->origin);
        pass_on(session, message);
        return;
    }
    const struct call_request request = {
        .to = to,
        .sdp = data->sdp,
        .media = strstr(data->sdp, "\nm=video ") ? CALL_MEDIA_VIDEO : CALL_MEDIA_AUDIO,
        .grants = session->grants,
    };
    char id[CALL_ID_SIZE];
    int result = call_start(calls_of(session), &session->device, now_us, &request, id);
    if (result < 0) {
        native_refuse_call(session, message, result);
        send_bye(session, to, result == -EBUSY ? "busy" : "unavailable");
        return;
    }
    relay_read_origin(data->sdp, relayed_new(session, to, id)->origin);
    native_ok(session, message);
}

static void reply(struct native_session *session, const struct wire_message *message, int result)
{
    if (result == 0)
        native_ok(session, message);
    else if (result == -EAGAIN)
        native_refuse(session, message, WIRE_ERROR_NEGOTIATION_PENDING, NULL);
    else if (result == -EOPNOTSUPP)
        native_refuse(session, message, WIRE_ERROR_CANNOT_RENEGOTIATE, NULL);
    else
        native_refuse(session, message, WIRE_ERROR_CALL_STATE, NULL);
}

static void offer(struct native_session *session, uint64_t now_us,
                  const struct wire_message *message, const struct relay_signal *data,
                  struct native_relayed *relayed)
{
    char origin[RELAY_ORIGIN_SIZE];
    relay_read_origin(data->sdp, origin);
    if (relayed && strcmp(relayed->origin, origin) != 0) {
        // a new object of the page's: the one before is gone without a word
        hang_up(session, now_us, relayed);
        relayed = NULL;
    }
    if (!relayed)
        begin(session, now_us, message, data);
    else if (relayed->call[0])
        reply(
            session, message,
            call_pass_offer(calls_of(session), &session->device, now_us, relayed->call, data->sdp));
    else
        pass_on(session, message);
}

static void answer(struct native_session *session, uint64_t now_us,
                   const struct wire_message *message, const struct relay_signal *data,
                   struct native_relayed *relayed)
{
    if (relayed->accepted || !relayed->incoming) {
        reply(session, message,
              call_pass_answer(calls_of(session), &session->device, now_us, relayed->call,
                               data->sdp));
        return;
    }
    int result = call_accept(calls_of(session), &session->device, now_us, relayed->call, data->sdp);
    if (result == 0) {
        relayed->accepted = true;
        relay_read_origin(data->sdp, relayed->origin);
    }
    reply(session, message, result);
}

static void bye(struct native_session *session, uint64_t now_us, const struct wire_message *message,
                struct native_relayed *relayed)
{
    if (!relayed) {
        native_ok(session, message); // both sides say it when both close
        return;
    }
    bool is_call = relayed->call[0];
    hang_up(session, now_us, relayed);
    if (is_call)
        native_ok(session, message);
    else
        pass_on(session, message);
}

static void carry_out(struct native_session *session, uint64_t now_us,
                      const struct wire_message *message, const struct relay_signal *data)
{
    struct native_relayed *relayed = find_with(session, message->request.relay.to);
    bool in_call = relayed && relayed->call[0];
    if (data->kind == RELAY_OFFER)
        offer(session, now_us, message, data, relayed);
    else if (data->kind == RELAY_BYE)
        bye(session, now_us, message, relayed);
    else if (data->kind == RELAY_ANSWER && in_call)
        answer(session, now_us, message, data, relayed);
    else if (data->kind == RELAY_CANDIDATE && in_call)
        reply(session, message,
              call_pass_candidate(&session->device, relayed->call, &data->candidate));
    else
        pass_on(session, message);
}

/** The document of `data`, which was read before as a part of its message. */
static void read_document(const char *data, struct json_document *ret_document)
{
    static const struct json_limits limits = { .depth_max = WIRE_DEPTH_MAX,
                                               .values_max = WIRE_VALUES_MAX };
    struct json_problem problem;
    int result = json_read(bytes_of_text(data), &limits, ret_document, &problem);
    ensure(result == 0);
}

void native_relay(struct native_session *session, uint64_t now_us,
                  const struct wire_message *message)
{
    if (!session->relays || !call_device_user(&session->device)) {
        native_refuse(session, message, WIRE_ERROR_NOT_REGISTERED,
                      "Register with \"relay\" set to true first.");
        return;
    }
    struct json_document document;
    read_document(message->request.relay.data, &document);
    struct relay_signal data = relay_read(document.values);
    carry_out(session, now_us, message, &data);
    json_document_done(&document);
}

/** ---- what the client hears ---- */

static const char *const reasons[] = {
    [CALL_ENDED_HANGUP] = "hangup",           [CALL_ENDED_CANCELLED] = "cancelled",
    [CALL_ENDED_REJECTED] = "rejected",       [CALL_ENDED_BUSY] = "busy",
    [CALL_ENDED_TIMEOUT] = "timeout",         [CALL_ENDED_LOST] = "lost",
    [CALL_ENDED_ELSEWHERE] = "elsewhere",     [CALL_ENDED_GLARE] = "glare",
    [CALL_ENDED_TRANSFERRED] = "transferred", [CALL_ENDED_MEDIA] = "media",
    [CALL_ENDED_UNAVAILABLE] = "unavailable",
};
_Static_assert(array_size(reasons) == CALL_ENDED_REASON_COUNT && (int)CALL_ENDED_REASON_COUNT == 11,
               "a new reason needs its word here");

/** Takes the text over. */
static void send_written(struct native_session *session, const char *from, const char *name,
                         char *data)
{
    send_signal(session, from, name, data);
    free(data);
}

static void send_sdp(struct native_session *session, const char *from, const char *name,
                     enum relay_kind kind, const char *sdp)
{
    send_written(session, from, name, relay_write_sdp(kind, sdp));
}

static void incoming(struct native_session *session, const struct call_event *event)
{
    const char *user = call_device_user(event->peer);
    // who has no name, or has something with this client already, is known by the call
    const char *with = user && !find_with(session, user) ? user : event->call;
    relayed_new(session, with, event->call)->incoming = true;
    send_sdp(session, with, event->peer->name, RELAY_OFFER, event->sdp);
}

/** Opaque: a connection that begins or ends with it is remembered, so that its end is told once. */
static void relayed_came(struct native_session *session, const struct call_event *event)
{
    const char *from = call_device_user(event->peer);
    struct json_document document;
    read_document(event->data, &document);
    enum relay_kind kind = relay_read(document.values).kind;
    json_document_done(&document);
    struct native_relayed *relayed = find_with(session, from);
    if (kind == RELAY_OFFER && !relayed)
        opaque_new(session, from);
    else if (kind == RELAY_BYE && relayed && !relayed->call[0])
        relayed_free(relayed);
    send_signal(session, from, NULL, event->data);
}

static void call_says(struct native_session *session, struct native_relayed *relayed,
                      const struct call_event *event)
{
    switch (event->kind) {
    case CALL_EVENT_ACCEPTED:
        relayed->accepted = true;
        send_sdp(session, relayed->with, NULL, RELAY_ANSWER, event->sdp);
        break;
    case CALL_EVENT_CANDIDATE:
        // simple-peer knows no end of candidates
        if (event->candidate && event->candidate->candidate[0])
            send_written(session, relayed->with, NULL, relay_write_candidate(event->candidate));
        break;
    case CALL_EVENT_OFFER:
        send_sdp(session, relayed->with, NULL, RELAY_OFFER, event->sdp);
        break;
    case CALL_EVENT_ANSWER:
        send_sdp(session, relayed->with, NULL, RELAY_ANSWER, event->sdp);
        break;
    case CALL_EVENT_ENDED:
        send_bye(session, relayed->with, reasons[event->reason]);
        relayed_free(relayed);
        break;
    default: // ringing, and what else the library has no word for
        break;
    }
}

void native_relay_event(struct native_session *session, const struct call_event *event)
{
    if (event->kind == CALL_EVENT_INCOMING) {
        incoming(session, event);
    } else if (event->kind == CALL_EVENT_RELAY) {
        relayed_came(session, event);
    } else {
        struct native_relayed *relayed = event->call ? find_call(session, event->call) : NULL;
        if (relayed)
            call_says(session, relayed, event);
    }
}
