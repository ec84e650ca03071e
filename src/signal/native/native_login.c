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

/** Callable from the first moment on: who only waits to be called need not say so. */
static void register_user(struct native_session *session, uint64_t now_us)
{
    int result = call_device_register(session->native->config.calls, &session->device,
                                      session->user, NULL, true);
    if (result < 0)
        native_refuse_bare(session->connection, 0,
                           result == -EEXIST ? WIRE_ERROR_USER_TAKEN : WIRE_ERROR_SERVER_FULL,
                           NULL);
    else
        native_device_registered(session, now_us);
}

/** NULL: the server is full. */
static struct native_session *begin(struct native_connection *connection,
                                    const struct native_login *login)
{
    struct native_session *session = native_session_new(connection);
    if (!session)
        return NULL;
    session->login = copy(login->name);
    session->user = copy(login->user);
    call_device_init(&session->device, &native_call_ops, login->binding);
    session->device.unpaced = true;
    session->admitted = true;
    map_set(&session->native->logins, bytes_of_text(session->login), session);
    native_session_attach(session, connection);
    return session;
}

static void come_back(struct native_session *session, uint64_t now_us,
                      struct native_connection *connection)
{
    struct signal_native *native = session->native;
    native_session_attach(session, connection);
    // what was sent is confirmed: the rest came while it was away
    uint64_t missed =
        native_session_send_missed(session, native_replay_oldest(&session->replay) - 1);
    if (!connection->closing)
        native_confirm(session, session->replay.next_seq - 1);
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
    struct native_session *session = map_find(&native->logins, bytes_of_text(login->name));
    if (session) {
        ensure(!session->connection);
        come_back(session, now_us, connection);
        return connection;
    }
    session = begin(connection, login);
    if (!session) {
        signal_native_closed(native, now_us, connection, NATIVE_CLOSE_TRY_LATER);
        return NULL;
    }
    register_user(session, now_us);
    return connection;
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
    struct native_session *former = connection->session;
    char *name = copy(former->login), *user = copy(former->user);
    struct native_login login = { name, user, former->device.binding };
    native_session_end(former, now_us, false);
    struct native_session *session = begin(connection, &login);
    if (session) {
        native_welcome(session, now_us, message->id);
        register_user(session, now_us);
    } else {
        native_refuse_bare(connection, message->id, WIRE_ERROR_SERVER_FULL, NULL);
    }
    free(name);
    free(user);
}
