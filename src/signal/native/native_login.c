// Sessions of clients that their transport vouches for: no hello, no token, no confirmations.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/native/native_int.h"

static char *copy(const char *text)
{
    return memory_copy(text, strlen(text));
}

static struct native_identity identity_copy(const char *name, const char *user,
                                            enum call_binding binding)
{
    return (struct native_identity){ copy(name), copy(user), binding };
}

void native_identity_done(struct native_identity *identity)
{
    free(identity->name);
    free(identity->user);
    *identity = (struct native_identity){ 0 };
}

/** Callable from the first moment on: who only waits to be called need not say so. */
static void register_user(struct native_session *session, uint64_t now_us)
{
    int result = call_device_register(session->native->config.calls, &session->device,
                                      session->identity.user, NULL, true);
    if (result < 0)
        native_refuse_bare(session->connection, 0,
                           result == -EEXIST ? WIRE_ERROR_USER_TAKEN : WIRE_ERROR_SERVER_FULL,
                           NULL);
    else
        native_device_registered(session, now_us, true);
}

/** NULL: the server is full. */
static struct native_session *begin(struct native_connection *connection)
{
    struct native_session *session = native_session_new(connection);
    if (!session)
        return NULL;
    const struct native_identity *identity = &connection->identity;
    session->identity = identity_copy(identity->name, identity->user, identity->binding);
    const struct call_device_ops *ops = connection->hears ? &native_call_ops : &native_deaf_ops;
    call_device_init(&session->device, ops, identity->binding);
    session->device.remote = session->remote;
    session->device.loopback = net_address_is_loopback(&session->remote);
    session->admitted = true;
    map_set(&session->native->logins, bytes_of_text(identity->name), session);
    native_session_attach(session, connection);
    return session;
}

struct native_session *native_login_begin(struct native_connection *connection, uint64_t now_us)
{
    struct native_session *session = begin(connection);
    if (session)
        register_user(session, now_us);
    return session;
}

static void come_back(struct native_session *session, uint64_t now_us,
                      struct native_connection *connection)
{
    struct signal_native *native = session->native;
    native_session_attach(session, connection);
    // its transport keeps what it took: the rest came while it was away
    uint64_t first = max_of(session->handed_seq + 1, native_replay_oldest(&session->replay));
    uint64_t missed = native_session_send_missed(session, first - 1);
    native_count(native, NATIVE_METRIC_RESUMED, 1);
    native_count(native, NATIVE_METRIC_REPLAYED, missed);
    native_session_come_back(session);
    native_run_parked(session, now_us);
}

struct native_connection *signal_native_open_login(struct signal_native *native, uint64_t now_us,
                                                   struct native_transport *transport, void *socket,
                                                   const struct net_address *remote,
                                                   const struct native_login *login, int *ret_error)
{
    *ret_error = -EINVAL;
    if (strlen(login->user) >= CALL_NAME_SIZE || !wire_is_slug(bytes_of_text(login->user)))
        return NULL;
    *ret_error = -ENOSPC;
    struct native_connection *connection =
        native_connection_new(native, now_us, transport, socket, remote);
    if (!connection)
        return NULL;
    connection->identity = identity_copy(login->name, login->user, login->binding);
    struct native_session *session = map_find(&native->logins, bytes_of_text(login->name));
    if (session) {
        ensure(!session->connection);
        come_back(session, now_us, connection);
        return connection;
    }
    if (!native_login_begin(connection, now_us)) {
        signal_native_closed(native, now_us, connection, NATIVE_CLOSE_TRY_LATER);
        return NULL;
    }
    return connection;
}

/** What waits for its user comes now. */
static void begin_to_hear(struct native_session *session, uint64_t now_us)
{
    if (session->device.ops == &native_call_ops)
        return;
    session->device.ops = &native_call_ops;
    if (call_device_user(&session->device))
        native_device_registered(session, now_us, true);
}

void signal_native_begin_login(struct signal_native *native, uint64_t now_us,
                               struct native_connection *connection)
{
    (void)native;
    if (connection->closing)
        return;
    connection->hears = true;
    if (connection->session)
        begin_to_hear(connection->session, now_us);
    else if (!native_login_begin(connection, now_us))
        native_refuse_bare(connection, 0, WIRE_ERROR_SERVER_FULL, NULL);
}

void signal_native_end_login(struct signal_native *native, uint64_t now_us,
                             struct native_connection *connection)
{
    (void)native;
    connection->hears = false;
    if (connection->session)
        native_session_end(connection->session, now_us, false);
}

void signal_native_confirm_login(struct signal_native *native, struct native_connection *connection)
{
    (void)native;
    if (connection->session)
        native_confirm(connection->session, connection->session->handed_seq);
}

bool signal_native_has_login(const struct signal_native *native, const char *name)
{
    return map_find(&native->logins, bytes_of_text(name));
}

void signal_native_forget(struct signal_native *native, uint64_t now_us, const char *name)
{
    struct native_session *session = map_find(&native->logins, bytes_of_text(name));
    if (session && !session->connection)
        native_session_end(session, now_us, true);
}

void native_login_again(struct native_connection *connection, uint64_t now_us,
                        const struct wire_message *message)
{
    if (connection->session)
        native_session_end(connection->session, now_us, false);
    struct native_session *session = begin(connection);
    if (!session) {
        native_refuse_bare(connection, message->id, WIRE_ERROR_SERVER_FULL, NULL);
        return;
    }
    native_welcome(session, now_us, message->id);
    register_user(session, now_us);
}
