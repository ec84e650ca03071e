// Calls: being reachable, calling, and what passes within a call.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/native/native_int.h"

_Static_assert((int)WIRE_CALL_MEDIA_AUDIO == (int)CALL_MEDIA_AUDIO &&
                   (int)WIRE_CALL_MEDIA_VIDEO == (int)CALL_MEDIA_VIDEO,
               "the schema's call media are the model's");

static struct call_directory *calls_of(const struct native_session *session)
{
    return session->native->config.calls;
}

/** The reply to whatever concerns a call that exists. */
static void reply_in_call(struct native_session *session, const struct wire_message *message,
                          int result)
{
    switch (result) {
    case 0:
        native_ok(session, message);
        break;
    case -EPROTO:
        native_refuse(session, message, WIRE_ERROR_CALL_STATE, NULL);
        break;
    case -EBADMSG:
        native_refuse(session, message, WIRE_ERROR_OFFER_INVALID, calls_of(session)->problem);
        break;
    case -EAGAIN:
        native_refuse(session, message, WIRE_ERROR_NEGOTIATION_PENDING, NULL);
        break;
    case -EALREADY:
        native_refuse(session, message, WIRE_ERROR_ALREADY_IN_CALL, NULL);
        break;
    case -EOPNOTSUPP:
        native_refuse(session, message, WIRE_ERROR_CANNOT_TRANSFER, NULL);
        break;
    case -EINVAL:
        native_refuse(session, message, WIRE_ERROR_BAD_REQUEST,
                      "A call is transferred to somebody who is not in it.");
        break;
    default:
        native_refuse(session, message, WIRE_ERROR_NO_SUCH_CALL, NULL);
    }
}

/** A user name or link that the session cannot have. */
static void refuse_name(struct native_session *session, const struct wire_message *message,
                        int result)
{
    switch (result) {
    case -EEXIST:
        native_refuse(session, message, WIRE_ERROR_USER_TAKEN, NULL);
        break;
    case -EACCES:
        native_refuse(session, message, WIRE_ERROR_USER_TAKEN,
                      "The name belongs to an account of this server.");
        break;
    case -EBUSY:
        native_refuse(session, message, WIRE_ERROR_USER_BUSY, NULL);
        break;
    default:
        native_refuse(session, message, WIRE_ERROR_SERVER_FULL, NULL);
    }
}

/** What the client says that it can; NULL: nothing new. */
static void take_abilities(struct native_session *session, const bool *trickle,
                           const bool *transfers)
{
    if (trickle)
        session->device.trickles = *trickle;
    if (transfers)
        session->device.transfers = *transfers;
}

/** What a token for rooms allows counts for calls to them, too. */
static void keep_grants(struct native_session *session, const struct token_grants *grants)
{
    free(session->grants);
    session->grants = grants->room[0] ? memory_copy(grants, sizeof(*grants)) : NULL;
}

void native_register(struct native_session *session, uint64_t now_us,
                     const struct wire_message *message)
{
    const struct wire_request_register *request = &message->request.register_;
    struct token_grants grants;
    struct admission_question question = { .purpose = ADMISSION_REGISTER,
                                           .user = request->user,
                                           .name = request->name,
                                           .token = request->token,
                                           .password = request->password };
    if (request->password && (request->token || !session->native->config.passwords)) {
        native_refuse(session, message, WIRE_ERROR_LOGIN_REFUSED,
                      request->token ? "Show a token or a password, not both."
                                     : "This server has no accounts.");
        return;
    }
    if (!native_admit(session, now_us, message, &question, &grants))
        return;
    bool by_grants = session->identity.user || request->token || request->password ||
                     session->native->config.admission;
    if (by_grants && strcmp(grants.user, request->user) != 0) {
        if (session->identity.user)
            native_refuse(session, message, WIRE_ERROR_NOT_PERMITTED,
                          "You are logged in under another user name.");
        else
            native_refuse(session, message, WIRE_ERROR_TOKEN_INVALID,
                          "The token is for another user name.");
        return;
    }
    const char *name = grants.name[0] ? grants.name : request->name;
    if (request->has_relay && !native_relay_may_set(session, request->relay)) {
        native_refuse(session, message, WIRE_ERROR_ALREADY_IN_CALL, NULL);
        return;
    }
    const char *before = call_device_user(&session->device);
    bool is_new = !before || strcmp(before, request->user) != 0;
    int result =
        call_device_register(calls_of(session), &session->device, request->user, name, by_grants);
    if (result < 0) {
        refuse_name(session, message, result);
        return;
    }
    take_abilities(session, request->has_trickle ? &request->trickle : NULL,
                   request->has_transfers ? &request->transfers : NULL);
    if (request->has_relay)
        native_relay_set(session, request->relay);
    keep_grants(session, &grants);
    struct native_ice ice;
    native_ice_init(&ice, session, now_us);
    wire_write_result_register(native_out(session->native), message->id,
                               &(struct wire_result_register){ .user = request->user,
                                                               .ice_servers = ice.servers,
                                                               .ice_servers_count = ice.count });
    native_ice_done(&ice);
    native_send_reply(session, message->id);
    native_device_registered(session, now_us, is_new);
}

static void reply_unregistered(struct native_session *session, const struct wire_message *message,
                               int result)
{
    if (result < 0)
        native_refuse(session, message, WIRE_ERROR_NOT_REGISTERED, NULL);
    else
        native_ok(session, message);
}

void native_unregister(struct native_session *session, uint64_t now_us,
                       const struct wire_message *message)
{
    (void)now_us;
    native_contacts_done(session);
    keep_grants(session, &(struct token_grants){ 0 });
    reply_unregistered(session, message,
                       call_device_unregister(calls_of(session), &session->device));
}

void native_link(struct native_session *session, uint64_t now_us,
                 const struct wire_message *message)
{
    const struct wire_request_link *request = &message->request.link;
    struct token_grants grants;
    struct admission_question question = { .purpose = ADMISSION_LINK,
                                           .name = request->name,
                                           .token = request->token };
    if (!native_admit(session, now_us, message, &question, &grants))
        return;
    bool waits;
    take_abilities(session, request->has_trickle ? &request->trickle : NULL,
                   request->has_transfers ? &request->transfers : NULL);
    int result = call_device_link(calls_of(session), &session->device, request->link,
                                  grants.name[0] ? grants.name : request->name, &waits);
    if (result < 0) {
        refuse_name(session, message, result);
        return;
    }
    struct native_ice ice;
    native_ice_init(&ice, session, now_us);
    struct wire_result_link reply = {
        .role = waits ? WIRE_LINK_ROLE_WAIT : WIRE_LINK_ROLE_CALL,
        .ice_servers = ice.servers,
        .ice_servers_count = ice.count,
    };
    wire_write_result_link(native_out(session->native), message->id, &reply);
    native_ice_done(&ice);
    native_send_reply(session, message->id);
}

void native_unlink(struct native_session *session, uint64_t now_us,
                   const struct wire_message *message)
{
    (void)now_us;
    reply_unregistered(session, message, call_device_unlink(calls_of(session), &session->device));
}

void native_refuse_call(struct native_session *session, const struct wire_message *message,
                        int result)
{
    switch (result) {
    case -EBUSY:
        native_refuse(session, message, WIRE_ERROR_USER_BUSY, NULL);
        break;
    case -EALREADY:
        native_refuse(session, message, WIRE_ERROR_ALREADY_IN_CALL, NULL);
        break;
    case -EMFILE:
        native_refuse(session, message, WIRE_ERROR_ALREADY_IN_CALL,
                      "You are in as many rooms as a client may be in at a time.");
        break;
    case -EINVAL:
        native_refuse(session, message, WIRE_ERROR_BAD_REQUEST, "You cannot call yourself.");
        break;
    case -EBADMSG:
        native_refuse(session, message, WIRE_ERROR_OFFER_INVALID, calls_of(session)->problem);
        break;
    case -EACCES:
        native_refuse(session, message, WIRE_ERROR_NOT_PERMITTED,
                      "You may not come into that room: it takes a token that is for it.");
        break;
    case -EDEADLK:
        native_refuse(session, message, WIRE_ERROR_GLARE, NULL);
        break;
    case -EAGAIN:
        native_refuse(session, message, WIRE_ERROR_RATE_LIMITED,
                      "Too many calls to this user were not answered. Call again later.");
        break;
    case -ENOSPC:
        native_refuse(session, message, WIRE_ERROR_SERVER_FULL, NULL);
        break;
    default:
        native_refuse(session, message, WIRE_ERROR_USER_UNAVAILABLE, NULL);
    }
}

/**
 * Whether the session may call that address; else the request is refused, or waits. `ret_grants`:
 * what it may do in a room.
 */
static bool admit_call(struct native_session *session, uint64_t now_us,
                       const struct wire_message *message, struct token_grants *ret_grants)
{
    const struct wire_request_call *request = &message->request.call;
    char room[CALL_NAME_SIZE];
    if (call_address_room(request->to, room)) {
        struct admission_question question = {
            .purpose = ADMISSION_JOIN, .room = room, .name = request->name, .token = request->token
        };
        if (session->grants && !request->token) {
            *ret_grants = *session->grants;
            return true;
        }
        return native_admit(session, now_us, message, &question, ret_grants);
    }
    if (session->native->config.require_token && !session->admitted) {
        native_refuse(session, message, WIRE_ERROR_TOKEN_REQUIRED, NULL);
        return false;
    }
    return true;
}

void native_call(struct native_session *session, uint64_t now_us,
                 const struct wire_message *message)
{
    const struct wire_request_call *request = &message->request.call;
    struct token_grants grants;
    if (!admit_call(session, now_us, message, &grants))
        return;
    bool by_grants = request->token || session->grants || session->native->config.admission;
    struct call_request start = { .to = request->to,
                                  .sdp = request->sdp,
                                  .name = request->name,
                                  .media = (enum call_media)request->media,
                                  .transfer = request->transfer,
                                  .grants = by_grants ? &grants : NULL };
    char id[CALL_ID_SIZE];
    take_abilities(session, request->has_trickle ? &request->trickle : NULL,
                   request->has_transfers ? &request->transfers : NULL);
    int result = call_start(calls_of(session), &session->device, now_us, &start, id);
    if (result < 0) {
        native_refuse_call(session, message, result);
        return;
    }
    struct wire_result_call reply = { .call = id,
                                      .timeout_ms =
                                          calls_of(session)->config.ring_timeout_us / 1000 };
    wire_write_result_call(native_out(session->native), message->id, &reply);
    native_send_reply(session, message->id);
}

void native_call_ringing(struct native_session *session, uint64_t now_us,
                         const struct wire_message *message)
{
    (void)now_us;
    reply_in_call(session, message,
                  call_ringing(&session->device, message->request.call_ringing.call));
}

void native_call_accept(struct native_session *session, uint64_t now_us,
                        const struct wire_message *message)
{
    const struct wire_request_call_accept *request = &message->request.call_accept;
    reply_in_call(
        session, message,
        call_accept(calls_of(session), &session->device, now_us, request->call, request->sdp));
}

void native_call_reject(struct native_session *session, uint64_t now_us,
                        const struct wire_message *message)
{
    const struct wire_request_call_reject *request = &message->request.call_reject;
    reply_in_call(session, message,
                  call_reject(calls_of(session), &session->device, now_us, request->call,
                              request->reason == WIRE_REJECT_REASON_BUSY));
}

void native_call_cancel(struct native_session *session, uint64_t now_us,
                        const struct wire_message *message)
{
    reply_in_call(session, message,
                  call_cancel(calls_of(session), &session->device, now_us,
                              message->request.call_cancel.call));
}

void native_call_hangup(struct native_session *session, uint64_t now_us,
                        const struct wire_message *message)
{
    reply_in_call(session, message,
                  call_hangup(calls_of(session), &session->device, now_us,
                              message->request.call_hangup.call));
}

void native_call_candidate(struct native_session *session, uint64_t now_us,
                           const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_call_candidate *request = &message->request.call_candidate;
    const struct wire_candidate *given = request->candidate;
    struct call_candidate candidate;
    if (given)
        candidate = (struct call_candidate){
            .candidate = given->candidate,
            .sdp_mid = given->sdp_mid,
            .username_fragment = given->username_fragment,
            .sdp_m_line_index = given->has_sdp_m_line_index ? (int32_t)given->sdp_m_line_index : -1,
        };
    reply_in_call(session, message,
                  call_pass_candidate(&session->device, request->call, given ? &candidate : NULL));
}

void native_call_offer(struct native_session *session, uint64_t now_us,
                       const struct wire_message *message)
{
    const struct wire_request_call_offer *request = &message->request.call_offer;
    int result =
        call_pass_offer(calls_of(session), &session->device, now_us, request->call, request->sdp);
    if (result == -EOPNOTSUPP)
        native_refuse(session, message, WIRE_ERROR_CANNOT_RENEGOTIATE, NULL);
    else
        reply_in_call(session, message, result);
}

void native_call_answer(struct native_session *session, uint64_t now_us,
                        const struct wire_message *message)
{
    const struct wire_request_call_answer *request = &message->request.call_answer;
    reply_in_call(
        session, message,
        call_pass_answer(calls_of(session), &session->device, now_us, request->call, request->sdp));
}

void native_call_hold(struct native_session *session, uint64_t now_us,
                      const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_call_hold *request = &message->request.call_hold;
    reply_in_call(session, message, call_hold(&session->device, request->call, request->held));
}

void native_call_transfer(struct native_session *session, uint64_t now_us,
                          const struct wire_message *message)
{
    (void)now_us;
    const struct wire_request_call_transfer *request = &message->request.call_transfer;
    reply_in_call(session, message, call_transfer(&session->device, request->call, request->to));
}
