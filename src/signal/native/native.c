// The engine: connections come and go, requests find their handlers, deadlines pass.
#include "signal/native/native.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "signal/native/native_int.h"

/** Refusals in a row, in bursts, after which a client that does not heed them is cut off. */
#define RATE_PATIENCE 4
/** Bytes of a message that cost one more token of the bucket. */
#define RATE_BYTES 4096
/** Longer ones are not even read beyond the rate: the connection is closed. */
#define RATE_READ_MAX (64u << 10)
/** Messages and bytes that go out because of one that came in, for one token. */
#define RATE_SENT       32
#define RATE_SENT_BYTES (64u << 10)

static const struct metric_description descriptions[NATIVE_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(NATIVE_METRIC_##id, __VA_ARGS__)
#include "signal/native/native_metrics.def"
#undef METRIC
};

/** Requests within a session; hello, resume and ping concern the connection and come before. */
static native_handler *const handlers[WIRE_REQUEST_COUNT] = {
    [WIRE_REQUEST_GOODBYE] = native_goodbye,
    [WIRE_REQUEST_ICE_SERVERS] = native_ice_request,
    [WIRE_REQUEST_JOIN] = native_join,
    [WIRE_REQUEST_LEAVE] = native_leave,
    [WIRE_REQUEST_UPDATE] = native_update,
    [WIRE_REQUEST_OFFER] = native_offer,
    [WIRE_REQUEST_CANDIDATE] = native_candidate,
    [WIRE_REQUEST_MUTE] = native_mute,
    [WIRE_REQUEST_SUBSCRIBE] = native_subscribe,
    [WIRE_REQUEST_UNSUBSCRIBE] = native_unsubscribe,
    [WIRE_REQUEST_WISH] = native_wish,
    [WIRE_REQUEST_CHAT] = native_chat,
    [WIRE_REQUEST_KEYS] = native_keys,
    [WIRE_REQUEST_KICK] = native_kick,
    [WIRE_REQUEST_LOCK] = native_lock,
    [WIRE_REQUEST_BLOCK] = native_block,
    [WIRE_REQUEST_PROMOTE] = native_promote,
    [WIRE_REQUEST_END] = native_end,
    [WIRE_REQUEST_REGISTER] = native_register,
    [WIRE_REQUEST_UNREGISTER] = native_unregister,
    [WIRE_REQUEST_LINK] = native_link,
    [WIRE_REQUEST_UNLINK] = native_unlink,
    [WIRE_REQUEST_CALL] = native_call,
    [WIRE_REQUEST_CALL_RINGING] = native_call_ringing,
    [WIRE_REQUEST_CALL_ACCEPT] = native_call_accept,
    [WIRE_REQUEST_CALL_REJECT] = native_call_reject,
    [WIRE_REQUEST_CALL_CANCEL] = native_call_cancel,
    [WIRE_REQUEST_CALL_HANGUP] = native_call_hangup,
    [WIRE_REQUEST_CALL_CANDIDATE] = native_call_candidate,
    [WIRE_REQUEST_CALL_OFFER] = native_call_offer,
    [WIRE_REQUEST_CALL_ANSWER] = native_call_answer,
    [WIRE_REQUEST_CALL_HOLD] = native_call_hold,
    [WIRE_REQUEST_CALL_TRANSFER] = native_call_transfer,
    [WIRE_REQUEST_RELAY] = native_relay,
    [WIRE_REQUEST_CONTACTS] = native_contacts,
    [WIRE_REQUEST_PRESENCE] = native_presence,
    [WIRE_REQUEST_MESSAGE] = native_message,
    [WIRE_REQUEST_MESSAGES] = native_messages,
    [WIRE_REQUEST_CALLS] = native_calls,
    [WIRE_REQUEST_DEVICES] = native_devices,
    [WIRE_REQUEST_DEVICE_REVOKE] = native_device_revoke,
};

static void set_defaults(struct native_config *config)
{
#define DEFAULT(field, value) config->field = config->field ? config->field : (value)
    DEFAULT(server_name, "roost");
    DEFAULT(resume_window_us, 30 * TIME_US_PER_S);
    DEFAULT(resume_buffer_size, 256 * 1024);
    DEFAULT(resume_memory_max, (size_t)512 << 20);
    DEFAULT(hello_timeout_us, 10 * TIME_US_PER_S);
    DEFAULT(heartbeat_us, 4 * TIME_US_PER_S);
    DEFAULT(dead_after_us, 10 * TIME_US_PER_S);
    DEFAULT(message_size_max, 1024 * 1024);
    DEFAULT(session_count_max, 20000);
    DEFAULT(session_per_address_count_max, 200);
    DEFAULT(message_rate, 50);
    DEFAULT(message_burst, 200);
#undef DEFAULT
}

struct signal_native *signal_native_new(const struct native_config *config)
{
    struct signal_native *native = memory_new(struct signal_native);
    native->config = *config;
    set_defaults(&native->config);
    list_init(&native->waiting);
    list_init(&native->connected);
    list_init(&native->away);
    json_text_init(&native->out);
    json_text_init(&native->frame);
    uint64_t secret[2] = { random_u64(config->random), random_u64(config->random) };
    map_init(&native->sessions, secret);
    map_init(&native->logins, secret);
    address_limit_init(&native->address_limit, native->config.session_per_address_count_max,
                       native->config.session_count_max, secret);
    return native;
}

void signal_native_reload(struct signal_native *native, const struct native_config *config)
{
    struct native_config old = native->config;
    native->config = *config;
    set_defaults(&native->config);
    native->config.rooms = old.rooms;
    native->config.calls = old.calls;
    native->config.messaging = old.messaging;
    native->config.transport = old.transport;
    native->config.random = old.random;
    native->address_limit.per_address = native->config.session_per_address_count_max;
    native->address_limit.total = native->config.session_count_max;
}

static void free_connections(struct list *connections)
{
    struct native_connection *connection;
    list_each(connection, connections, node)
    {
        if (connection->session)
            connection->session->connection = NULL;
        free(connection->host);
        free(connection);
    }
}

void signal_native_free(struct signal_native *native)
{
    if (!native)
        return;
    free_connections(&native->waiting);
    free_connections(&native->connected);
    size_t cursor = 0;
    void *session;
    while (map_next(&native->sessions, &cursor, NULL, &session))
        native_session_end(session, 0, true);
    map_done(&native->sessions);
    map_done(&native->logins);
    address_limit_done(&native->address_limit);
    native_body_release(native->shared);
    json_text_done(&native->out);
    json_text_done(&native->frame);
    free(native);
}

void signal_native_set_unix_offset(struct signal_native *native, uint64_t unix_at_zero_us)
{
    native->unix_at_zero_us = unix_at_zero_us;
}

uint64_t native_unix_us(const struct signal_native *native, uint64_t now_us)
{
    return native->unix_at_zero_us + now_us;
}

struct native_connection *native_connection_new(struct signal_native *native, uint64_t now_us,
                                                struct native_transport *transport, void *socket,
                                                const struct net_address *remote)
{
    // twice as many as sessions: those that wait for a resume must find a way back in
    if (metric_get(&native->metrics[NATIVE_METRIC_CONNECTIONS]) >=
        2ull * native->config.session_count_max) {
        native_count(native, NATIVE_METRIC_FULL, 1);
        return NULL;
    }
    struct native_connection *connection = memory_new(struct native_connection);
    connection->native = native;
    connection->transport = transport;
    connection->socket = socket;
    connection->remote = *remote;
    connection->opened_us = now_us;
    connection->bucket.refilled_us = now_us;
    connection->bucket.millitokens = native->config.message_burst * 1000ll;
    list_append(&native->waiting, &connection->node);
    native_count(native, NATIVE_METRIC_CONNECTIONS, 1);
    return connection;
}

struct native_connection *signal_native_open(struct signal_native *native, uint64_t now_us,
                                             void *socket, const struct net_address *remote)
{
    return native_connection_new(native, now_us, native->config.transport, socket, remote);
}

void signal_native_closed(struct signal_native *native, uint64_t now_us,
                          struct native_connection *connection, uint16_t code)
{
    struct native_session *session = connection->session;
    list_remove(&connection->node);
    metric_subtract(&native->metrics[NATIVE_METRIC_CONNECTIONS], 1);
    if (session) {
        session->connection = NULL;
        // a browser says so when its page is closed; any other end may be the network's
        if (code == NATIVE_CLOSE_GOING_AWAY && !connection->closing)
            native_session_end(session, now_us, false);
        else
            native_session_detach(session, now_us);
    }
    free(connection->host);
    native_identity_done(&connection->identity);
    free(connection);
    room_directory_settle(native->config.rooms, now_us);
}

/** True when the message may pass. */
static bool take_tokens(struct native_connection *connection, uint64_t now_us, size_t size)
{
    const struct native_config *config = &connection->native->config;
    struct native_bucket *bucket = &connection->bucket;
    int64_t full = config->message_burst * 1000ll;
    uint64_t gained = (now_us - bucket->refilled_us) * config->message_rate / 1000;
    if (gained > 0) {
        bucket->refilled_us = now_us;
        bucket->millitokens += (int64_t)min_of(gained, (uint64_t)(full - bucket->millitokens));
    }
    // a message as long as allowed passes with a full bucket
    int64_t cost = min_of(1000 * (1 + (int64_t)(size / RATE_BYTES)), full);
    if (bucket->millitokens < cost) {
        bucket->refused += (uint32_t)(cost / 1000);
        return false;
    }
    bucket->millitokens -= cost;
    // what passes pays off as much: of a flood something passes, too
    bucket->refused -= min_of(bucket->refused, (uint32_t)(cost / 1000));
    return true;
}

/** One word in a full hall is hundreds of messages: who makes us send them pays for them. */
static void charge_sent(struct native_connection *connection, uint64_t count, uint64_t bytes)
{
    struct native_bucket *bucket = &connection->bucket;
    int64_t lowest = connection->native->config.message_burst * -1000ll;
    uint64_t others = count - (count > 0); // the reply is its own
    uint64_t cost = others * 1000 / RATE_SENT + bytes / RATE_SENT_BYTES * 1000;
    bucket->millitokens -= (int64_t)min_of(cost, (uint64_t)(bucket->millitokens - lowest));
}

/** A request that was handled before gets the reply that it got then. */
static bool answer_again(struct native_session *session, uint64_t id)
{
    // with a login, what must not come twice is for its transport to say
    if (id > session->last_request_id || id == 0 || session->identity.name)
        return false;
    native_count(session->native, NATIVE_METRIC_REPEATED, 1);
    if (native_is_pending(session, id))
        return true;
    uint64_t seq = native_replay_find_reply(&session->replay, id);
    if (seq)
        native_send_again(session, seq);
    else
        native_refuse_bare(session->connection, id, WIRE_ERROR_REQUEST_REPEATED, NULL);
    return true;
}

static void refuse(struct native_connection *connection, uint64_t id, enum wire_error error,
                   const char *sentence)
{
    struct native_session *session = connection->session;
    if (!session || id == 0) {
        native_refuse_bare(connection, id, error, sentence);
        return;
    }
    if (answer_again(session, id))
        return;
    session->last_request_id = id;
    native_refuse(session, &(struct wire_message){ .id = id }, error, sentence);
}

static void handle_request(struct native_connection *connection, uint64_t now_us,
                           const struct wire_message *message)
{
    struct native_session *session = connection->session;
    switch (message->type) {
    case WIRE_REQUEST_HELLO:
        native_hello(connection, now_us, message);
        return;
    case WIRE_REQUEST_RESUME:
        native_resume(connection, now_us, message);
        return;
    case WIRE_REQUEST_PING:
        native_ping(connection, message);
        return;
    default:
        break;
    }
    if (!session && connection->identity.name)
        session = native_login_begin(connection, now_us);
    if (!session) {
        native_refuse_bare(
            connection, message->id,
            connection->identity.name ? WIRE_ERROR_SERVER_FULL : WIRE_ERROR_NOT_CONNECTED, NULL);
        return;
    }
    if (answer_again(session, message->id))
        return;
    session->last_request_id = message->id;
    native_handle(session, now_us, message);
}

void native_handle(struct native_session *session, uint64_t now_us,
                   const struct wire_message *message)
{
    handlers[message->type](session, now_us, message);
}

static void refuse_too_fast(struct native_connection *connection, uint64_t id)
{
    refuse(connection, id, WIRE_ERROR_RATE_LIMITED, NULL);
    if (connection->bucket.refused > RATE_PATIENCE * connection->native->config.message_burst)
        native_close_connection(connection, NATIVE_CLOSE_POLICY, "too many messages");
}

void signal_native_input(struct signal_native *native, uint64_t now_us,
                         struct native_connection *connection, struct bytes text)
{
    if (connection->closing)
        return;
    native_count(native, NATIVE_METRIC_RECEIVED_BYTES, text.size);
    if (text.size > native->config.message_size_max) {
        native_refuse_bare(connection, 0, WIRE_ERROR_TOO_LARGE, NULL);
        native_close_connection(connection, NATIVE_CLOSE_TOO_LARGE, "message too large");
        return;
    }
    bool allowed = take_tokens(connection, now_us, text.size);
    if (!allowed && text.size > RATE_READ_MAX) {
        // not even read: deflated, it may have cost its sender a thousandth of that
        native_refuse_bare(connection, 0, WIRE_ERROR_RATE_LIMITED, NULL);
        native_close_connection(connection, NATIVE_CLOSE_POLICY, "too many large messages");
        return;
    }
    uint64_t sent_count = native->sent_count, sent_bytes = native->sent_bytes;
    struct wire_message message;
    struct wire_problem problem;
    if (wire_read(text, &message, &problem) < 0) {
        if (allowed)
            refuse(connection, problem.id, problem.error, problem.sentence);
        else
            refuse_too_fast(connection, problem.id);
        return;
    }
    metric_add(&native->requests[message.type], 1);
    native->input = text;
    if (allowed)
        handle_request(connection, now_us, &message);
    else
        refuse_too_fast(connection, message.id);
    wire_message_done(&message);
    room_directory_settle(native->config.rooms, now_us); // what it makes us send is charged
    charge_sent(connection, native->sent_count - sent_count, native->sent_bytes - sent_bytes);
}

static struct native_connection *oldest_waiting(const struct signal_native *native)
{
    if (list_empty(&native->waiting))
        return NULL;
    return container_of(native->waiting.next, struct native_connection, node);
}

static struct native_session *longest_away(const struct signal_native *native)
{
    if (list_empty(&native->away))
        return NULL;
    return container_of(native->away.next, struct native_session, away_node);
}

void signal_native_tick(struct signal_native *native, uint64_t now_us)
{
    struct native_session *session;
    while ((session = longest_away(native)) &&
           session->away_since_us + native->config.resume_window_us <= now_us) {
        native_count(native, NATIVE_METRIC_EXPIRED, 1);
        native_session_end(session, now_us, true);
    }
    struct native_connection *connection;
    while ((connection = oldest_waiting(native)) &&
           connection->opened_us + native->config.hello_timeout_us <= now_us) {
        // out of the list at once: `closed` may take a while
        list_remove(&connection->node);
        list_append(&native->connected, &connection->node);
        native_close_connection(connection, NATIVE_CLOSE_POLICY, "no hello");
    }
}

uint64_t signal_native_deadline(const struct signal_native *native)
{
    uint64_t deadline = TIME_NEVER;
    const struct native_session *session = longest_away(native);
    if (session)
        deadline = time_earlier(deadline, session->away_since_us + native->config.resume_window_us);
    const struct native_connection *connection = oldest_waiting(native);
    if (connection)
        deadline = time_earlier(deadline, connection->opened_us + native->config.hello_timeout_us);
    return deadline;
}

void signal_native_drain(struct signal_native *native, uint64_t now_us, const char *message)
{
    (void)now_us;
    struct native_connection *connection;
    list_each(connection, &native->connected, node)
    {
        if (connection->session) {
            wire_write_event_server_closing(
                native_out(native), &(struct wire_event_server_closing){ .message = message });
            native_send_event(connection->session);
        }
        native_close_connection(connection, NATIVE_CLOSE_GOING_AWAY, "server stops");
    }
    list_each(connection, &native->waiting, node)
        native_close_connection(connection, NATIVE_CLOSE_GOING_AWAY, "server stops");
}

size_t signal_native_metrics(const struct signal_native *native, struct metric_set *sets,
                             size_t capacity)
{
    const struct metric_set all[] = {
        { descriptions, native->metrics, NATIVE_METRIC_COUNT, "" },
        { wire_request_metrics, native->requests, WIRE_REQUEST_COUNT, "" },
        { wire_error_metrics, native->errors, WIRE_ERROR_COUNT, "" },
    };
    size_t count = min_of(capacity, array_size(all));
    memcpy(sets, all, count * sizeof(all[0]));
    return count;
}
