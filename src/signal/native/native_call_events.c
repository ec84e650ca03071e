// What happens in calls, as the protocol tells it.
#include "signal/native/native_int.h"

_Static_assert((int)WIRE_CALL_ENDED_REASON_HANGUP == (int)CALL_ENDED_HANGUP &&
                   (int)WIRE_CALL_ENDED_REASON_CANCELLED == (int)CALL_ENDED_CANCELLED &&
                   (int)WIRE_CALL_ENDED_REASON_REJECTED == (int)CALL_ENDED_REJECTED &&
                   (int)WIRE_CALL_ENDED_REASON_BUSY == (int)CALL_ENDED_BUSY &&
                   (int)WIRE_CALL_ENDED_REASON_TIMEOUT == (int)CALL_ENDED_TIMEOUT &&
                   (int)WIRE_CALL_ENDED_REASON_LOST == (int)CALL_ENDED_LOST &&
                   (int)WIRE_CALL_ENDED_REASON_ELSEWHERE == (int)CALL_ENDED_ELSEWHERE &&
                   (int)WIRE_CALL_ENDED_REASON_GLARE == (int)CALL_ENDED_GLARE &&
                   (int)WIRE_CALL_ENDED_REASON_TRANSFERRED == (int)CALL_ENDED_TRANSFERRED &&
                   (int)WIRE_CALL_ENDED_REASON_MEDIA == (int)CALL_ENDED_MEDIA &&
                   (int)WIRE_CALL_ENDED_REASON_UNAVAILABLE == (int)CALL_ENDED_UNAVAILABLE,
               "the schema's reasons are the model's");

static struct wire_caller caller_of(const struct call_device *device)
{
    return (struct wire_caller){ .user = call_device_user(device),
                                 .name = device->name,
                                 .verified = device->user && device->verified };
}

static void write_incoming(struct json_text *out, const struct call_event *event)
{
    struct wire_caller from = caller_of(event->peer);
    struct wire_event_call_incoming incoming = { .call = event->call,
                                                 .from = &from,
                                                 .to = event->to,
                                                 .sdp = event->sdp,
                                                 .media = (enum wire_call_media)event->media,
                                                 .glare = event->glare,
                                                 .replaces = event->replaces,
                                                 .timeout_ms = event->timeout_us / 1000 };
    wire_write_event_call_incoming(out, &incoming);
}

static void write_accepted(struct json_text *out, const struct call_event *event)
{
    struct wire_caller by = caller_of(event->peer);
    struct wire_event_call_accepted accepted = { .call = event->call,
                                                 .by = &by,
                                                 .sdp = event->sdp };
    wire_write_event_call_accepted(out, &accepted);
}

static void write_candidate(struct json_text *out, const struct call_event *event)
{
    const struct call_candidate *given = event->candidate;
    struct wire_candidate candidate = { 0 };
    if (given) {
        candidate = (struct wire_candidate){ .candidate = given->candidate,
                                             .sdp_mid = given->sdp_mid,
                                             .username_fragment = given->username_fragment };
        if (given->sdp_m_line_index >= 0) {
            candidate.sdp_m_line_index = (uint64_t)given->sdp_m_line_index;
            candidate.has_sdp_m_line_index = true;
        }
    }
    struct wire_event_call_candidate passed = { .call = event->call,
                                                .candidate = given ? &candidate : NULL };
    wire_write_event_call_candidate(out, &passed);
}

static void write_event(struct json_text *out, const struct call_event *event)
{
    switch (event->kind) {
    case CALL_EVENT_INCOMING:
        write_incoming(out, event);
        break;
    case CALL_EVENT_RINGING:
        wire_write_event_call_ringing(out,
                                      &(struct wire_event_call_ringing){ .call = event->call });
        break;
    case CALL_EVENT_ACCEPTED:
        write_accepted(out, event);
        break;
    case CALL_EVENT_CANDIDATE:
        write_candidate(out, event);
        break;
    case CALL_EVENT_OFFER:
        wire_write_event_call_offer(
            out, &(struct wire_event_call_offer){ .call = event->call, .sdp = event->sdp });
        break;
    case CALL_EVENT_ANSWER:
        wire_write_event_call_answer(
            out, &(struct wire_event_call_answer){ .call = event->call, .sdp = event->sdp });
        break;
    case CALL_EVENT_PEER:
        wire_write_event_call_peer(
            out, &(struct wire_event_call_peer){ .call = event->call, .away = event->away });
        break;
    case CALL_EVENT_HELD:
        wire_write_event_call_held(
            out, &(struct wire_event_call_held){ .call = event->call, .held = event->held });
        break;
    case CALL_EVENT_TRANSFER:
        wire_write_event_call_transfer(
            out, &(struct wire_event_call_transfer){ .call = event->call, .to = event->to });
        break;
    case CALL_EVENT_TRANSFER_FAILED:
        wire_write_event_call_transfer_failed(
            out, &(struct wire_event_call_transfer_failed){
                     .call = event->call, .reason = (enum wire_call_ended_reason)event->reason });
        break;
    case CALL_EVENT_ENDED:
        wire_write_event_call_ended(
            out, &(struct wire_event_call_ended){
                     .call = event->call, .reason = (enum wire_call_ended_reason)event->reason });
        break;
    case CALL_EVENT_LINK_READY:
        wire_write_event_link_ready(out, &(struct wire_event_link_ready){ .link = event->to });
        break;
    case CALL_EVENT_UNREGISTERED:
        wire_write_event_unregistered(
            out,
            &(struct wire_event_unregistered){
                .user = event->to, .message = "The name belongs to somebody who can prove it." });
        break;
    case CALL_EVENT_RELAY: // to sessions that speak `relay` alone
        ensure(false);
    }
}

static void call_notified(struct call_device *device, const struct call_event *event)
{
    struct native_session *session = container_of(device, struct native_session, device);
    if (session->relays && event->kind != CALL_EVENT_UNREGISTERED) {
        native_relay_event(session, event);
        return;
    }
    write_event(native_out(session->native), event);
    native_send_event(session);
}

const struct call_device_ops native_call_ops = { .notify = call_notified,
                                                 .message = native_message_came,
                                                 .missed = native_missed_some,
                                                 .disconnect = native_device_revoked };

const struct call_device_ops native_deaf_ops = { .notify = call_notified,
                                                 .disconnect = native_device_revoked };
