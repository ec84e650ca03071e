#include <string.h>

#include "signal/native/native_int.h"

struct json_text *native_out(struct signal_native *native)
{
    json_text_clear(&native->out);
    return &native->out;
}

void native_close_connection(struct native_connection *connection, uint16_t code,
                             const char *reason)
{
    if (connection->closing)
        return;
    connection->closing = true;
    struct native_transport *transport = connection->transport;
    transport->close(transport, connection->socket, code, reason);
}

/** Whether the transport took it. */
static bool transmit(struct native_connection *connection, struct bytes text)
{
    struct signal_native *native = connection->native;
    if (connection->closing)
        return false;
    struct native_transport *transport = connection->transport;
    if (transport->send(transport, connection->socket, text) < 0) {
        // what was not sent is kept: the client resumes when it can read again
        native_count(native, NATIVE_METRIC_SLOW, 1);
        native_close_connection(connection, NATIVE_CLOSE_TRY_LATER, "too slow");
        return false;
    }
    native_count(native, NATIVE_METRIC_SENT, 1);
    native_count(native, NATIVE_METRIC_SENT_BYTES, text.size);
    return true;
}

void native_send_bare(struct native_connection *connection)
{
    transmit(connection, json_text_bytes(&connection->native->out));
}

/** {"seq":7,"type":... */
static void transmit_numbered(struct native_session *session, const struct native_body *body,
                              uint64_t seq)
{
    if (!session->connection)
        return;
    struct json_text *frame = &session->native->frame;
    json_text_clear(frame);
    json_text_open(frame, '{');
    json_text_key(frame, "seq");
    json_text_number(frame, seq);
    // the rest of the object, whose first member follows ours
    json_text_raw(frame, bytes_of(body->text + 1, body->size - 1));
    if (transmit(session->connection, json_text_bytes(frame)))
        session->handed_seq = seq;
}

/** What a session keeps at least, however much the others do. */
#define KEPT_BYTES_MIN (16u << 10)

bool native_keeps_too_much(const struct signal_native *native)
{
    return native->kept_bytes >= native->config.resume_memory_max;
}

void native_confirm(struct native_session *session, uint64_t seq)
{
    size_t before = session->replay.bytes;
    native_replay_confirm(&session->replay, seq);
    session->native->kept_bytes -= before - session->replay.bytes;
    native_messages_confirmed(session, seq);
}

void native_send_body(struct native_session *session, struct native_body *body)
{
    struct signal_native *native = session->native;
    size_t limit = native->config.resume_buffer_size;
    if (native_keeps_too_much(native))
        limit = min_of(limit, (size_t)KEPT_BYTES_MIN);
    size_t before = session->replay.bytes;
    uint64_t seq = native_replay_add(&session->replay, body, limit);
    native->kept_bytes = native->kept_bytes - before + session->replay.bytes;
    native->sent_count++;
    native->sent_bytes += body->size;
    transmit_numbered(session, body, seq);
}

void native_send_again(struct native_session *session, uint64_t seq)
{
    transmit_numbered(session, native_replay_get(&session->replay, seq), seq);
}

static void send_out(struct native_session *session, uint64_t reply_to)
{
    struct native_body *body = native_body_new(json_text_bytes(&session->native->out), reply_to);
    native_send_body(session, body);
    native_body_release(body);
}

void native_send_event(struct native_session *session)
{
    send_out(session, 0);
}

void native_send_reply(struct native_session *session, uint64_t request_id)
{
    send_out(session, request_id);
}

void native_ok(struct native_session *session, const struct wire_message *message)
{
    wire_write_ok(native_out(session->native), message->id);
    native_send_reply(session, message->id);
}

void native_refuse(struct native_session *session, const struct wire_message *message,
                   enum wire_error error, const char *sentence)
{
    metric_add(&session->native->errors[error], 1);
    wire_write_error(native_out(session->native), message->id, error, sentence);
    native_send_reply(session, message->id);
}

void native_refuse_bare(struct native_connection *connection, uint64_t id, enum wire_error error,
                        const char *sentence)
{
    metric_add(&connection->native->errors[error], 1);
    wire_write_error(native_out(connection->native), id, error, sentence);
    native_send_bare(connection);
}
