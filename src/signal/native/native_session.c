// Sessions: hello, resume, heartbeat, goodbye; being away and coming to an end.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/native/native_int.h"

struct native_session *native_session_new(struct native_connection *connection)
{
    struct signal_native *native = connection->native;
    if (native_keeps_too_much(native) ||
        !address_limit_take(&native->address_limit, &connection->remote)) {
        native_count(native, NATIVE_METRIC_FULL, 1);
        return NULL;
    }
    struct native_session *session = memory_new(struct native_session);
    session->native = native;
    session->remote = connection->remote;
    random_identifier(native->config.random, session->id, NATIVE_SESSION_ID_LENGTH);
    random_identifier(native->config.random, session->token, NATIVE_TOKEN_LENGTH);
    list_init(&session->away_node);
    native_replay_init(&session->replay);
    session->observer.notify = native_room_notify;
    call_device_init(&session->device, &native_call_ops, CALL_BINDING_NATIVE);
    list_init(&session->relayed);
    native_contacts_init(session);
    session->device.remote = session->remote;
    session->device.loopback = net_address_is_loopback(&session->remote);
    map_set(&native->sessions, bytes_of_text(session->id), session);
    native_count(native, NATIVE_METRIC_SESSIONS, 1);
    return session;
}

void native_session_attach(struct native_session *session, struct native_connection *connection)
{
    session->connection = connection;
    connection->session = session;
    list_remove(&connection->node);
    list_append(&connection->native->connected, &connection->node);
}

struct wire_limits native_limits(const struct signal_native *native)
{
    const struct room_directory_config *rooms = &native->config.rooms->config;
    return (struct wire_limits){ .members = rooms->member_count_max,
                                 .tracks = rooms->track_count_max,
                                 .audio_slots = rooms->audio_slot_count_max,
                                 .video_slots = rooms->video_slot_count_max,
                                 .chat_bytes = 4096,
                                 .message_bytes = native->config.message_size_max };
}

void native_welcome(struct native_session *session, uint64_t now_us, uint64_t id)
{
    struct signal_native *native = session->native;
    const struct native_config *config = &native->config;
    struct native_ice ice;
    native_ice_init(&ice, session, now_us);
    struct wire_limits limits = native_limits(native);
    struct wire_result_hello result = {
        .version = NATIVE_VERSION,
        .server = config->server_name,
        .session = session->id,
        .resume_token = session->token,
        .resume_within_ms = config->resume_window_us / 1000,
        .heartbeat_ms = config->heartbeat_us / 1000,
        .dead_after_ms = config->dead_after_us / 1000,
        .ice_servers = ice.servers,
        .ice_servers_count = ice.count,
        .limits = &limits,
    };
    wire_write_result_hello(native_out(native), id, &result);
    native_ice_done(&ice);
    native_send_bare(session->connection);
}

void native_hello(struct native_connection *connection, uint64_t now_us,
                  const struct wire_message *message)
{
    enum wire_error error = WIRE_ERROR_COUNT;
    bool has_login = connection->identity.name;
    if (connection->session && !has_login)
        error = WIRE_ERROR_ALREADY_CONNECTED;
    else if (message->request.hello.version != NATIVE_VERSION)
        error = WIRE_ERROR_VERSION_UNSUPPORTED;
    if (error == WIRE_ERROR_COUNT && has_login) {
        native_login_again(connection, now_us, message);
        return;
    }
    struct native_session *session =
        error == WIRE_ERROR_COUNT ? native_session_new(connection) : NULL;
    if (!session) {
        if (error == WIRE_ERROR_COUNT)
            error = WIRE_ERROR_SERVER_FULL;
        native_refuse_bare(connection, message->id, error, NULL);
        return;
    }
    native_session_attach(session, connection);
    native_welcome(session, now_us, message->id);
}

static bool token_matches(const struct native_session *session, const char *token)
{
    return bytes_equal_constant_time(bytes_of_text(session->token), bytes_of_text(token));
}

/** Another connection of the session, which may not know yet that it is dead, gives way. */
static void displace(struct native_session *session)
{
    struct native_connection *old = session->connection;
    if (!old)
        return;
    old->session = NULL;
    session->connection = NULL;
    native_close_connection(old, NATIVE_CLOSE_TAKEN_OVER, "resumed elsewhere");
}

uint64_t native_session_send_missed(struct native_session *session, uint64_t last_seq)
{
    uint64_t first = last_seq + 1, end = session->replay.next_seq;
    for (uint64_t seq = first; seq < end; seq++)
        native_send_again(session, seq);
    return end - first;
}

void native_session_come_back(struct native_session *session)
{
    struct signal_native *native = session->native;
    if (!list_empty(&session->away_node)) {
        list_remove(&session->away_node);
        metric_subtract(&native->metrics[NATIVE_METRIC_SESSIONS_AWAY], 1);
    }
    if (session->member)
        room_member_set_away(session->member, false);
    call_device_set_away(native->config.calls, &session->device, false);
    messaging_arrived(native->config.messaging, &session->device);
}

void native_resume(struct native_connection *connection, uint64_t now_us,
                   const struct wire_message *message)
{
    struct signal_native *native = connection->native;
    const struct wire_request_resume *request = &message->request.resume;
    if (connection->session || connection->identity.name) {
        native_refuse_bare(connection, message->id, WIRE_ERROR_ALREADY_CONNECTED, NULL);
        return;
    }
    struct native_session *session = map_find(&native->sessions, bytes_of_text(request->session));
    if (!session || session->identity.name || !token_matches(session, request->resume_token)) {
        native_refuse_bare(connection, message->id, WIRE_ERROR_RESUME_UNKNOWN, NULL);
        return;
    }
    displace(session);
    if (!native_replay_reaches(&session->replay, request->last_seq)) {
        // it can never be resumed: the client's view of the room is broken, and what it did not get
        // waits for it to come anew
        if (request->last_seq < session->replay.next_seq)
            native_confirm(session, request->last_seq);
        if (list_empty(&session->away_node))
            native_session_detach(session, now_us);
        native_session_end(session, now_us, true);
        native_refuse_bare(connection, message->id, WIRE_ERROR_RESUME_LOST, NULL);
        return;
    }
    native_confirm(session, request->last_seq);
    native_session_attach(session, connection);
    uint64_t replayed = native_session_send_missed(session, request->last_seq);
    native_count(native, NATIVE_METRIC_RESUMED, 1);
    native_count(native, NATIVE_METRIC_REPLAYED, replayed);
    wire_write_result_resume(native_out(native), message->id,
                             &(struct wire_result_resume){ .replayed = replayed });
    native_send_bare(connection);
    native_session_come_back(session);
    native_run_parked(session, now_us);
}

void native_ping(struct native_connection *connection, const struct wire_message *message)
{
    struct native_session *session = connection->session;
    if (session && message->request.ping.has_last_seq)
        native_confirm(session, message->request.ping.last_seq);
    wire_write_pong(native_out(connection->native));
    native_send_bare(connection);
}

void native_goodbye(struct native_session *session, uint64_t now_us,
                    const struct wire_message *message)
{
    struct native_connection *connection = session->connection;
    native_ok(session, message);
    native_session_end(session, now_us, false);
    // with a login there is more to come on it, perhaps
    if (!connection->identity.name)
        native_close_connection(connection, NATIVE_CLOSE_NORMAL, "goodbye");
}

void native_session_detach(struct native_session *session, uint64_t now_us)
{
    struct signal_native *native = session->native;
    session->connection = NULL;
    session->away_since_us = now_us;
    list_append(&native->away, &session->away_node);
    native_count(native, NATIVE_METRIC_SESSIONS_AWAY, 1);
    if (session->member)
        room_member_set_away(session->member, true);
    call_device_set_away(native->config.calls, &session->device, true);
}

void native_session_end(struct native_session *session, uint64_t now_us, bool lost)
{
    if (session->member) {
        struct room_member *member = session->member;
        session->member = NULL;
        room_leave(member, now_us, lost ? ROOM_LEFT_LOST : ROOM_LEFT_LEFT);
    }
    native_messages_done(session, lost);
    native_contacts_done(session);
    call_device_done(session->native->config.calls, &session->device, now_us,
                     lost ? CALL_ENDED_LOST : CALL_ENDED_HANGUP);
    map_remove(&session->native->sessions, bytes_of_text(session->id));
    if (session->identity.name)
        map_remove(&session->native->logins, bytes_of_text(session->identity.name));
    native_session_free(session);
}

void native_session_free(struct native_session *session)
{
    struct signal_native *native = session->native;
    if (session->connection)
        session->connection->session = NULL;
    if (!list_empty(&session->away_node)) {
        list_remove(&session->away_node);
        metric_subtract(&native->metrics[NATIVE_METRIC_SESSIONS_AWAY], 1);
    }
    metric_subtract(&native->metrics[NATIVE_METRIC_SESSIONS], 1);
    address_limit_release(&native->address_limit, &session->remote);
    native->kept_bytes -= session->replay.bytes;
    native_replay_done(&session->replay);
    native_parked_done(&session->parked);
    native_relay_done(session);
    memory_wipe(session->token, sizeof(session->token));
    native_identity_done(&session->identity);
    free(session->grants);
    free(session);
}
