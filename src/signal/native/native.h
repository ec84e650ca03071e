/**
 * The native protocol (docs/protocol.md) as an engine: texts of connections in, texts out through
 * the transport it was given. No sockets, no clock: server glue is ws_endpoint.h.
 */
#pragma once

#include "base/address.h"
#include "base/metric.h"
#include "base/random.h"
#include "signal/model/call_device.h"

struct admission;
struct admission_answer;
struct room_directory;
struct call_directory;
struct messaging;
struct signal_native;
struct native_connection;
struct token_verifier;
struct turn_offer;

/** How texts leave. It may not call back into the engine from within. */
struct native_transport {
    /** Queues a text. Returns 0 or a negative errno: the engine then closes the connection. */
    int (*send)(struct native_transport *self, void *socket, struct bytes text);
    /** Starts to close; signal_native_closed must not follow from within. */
    void (*close)(struct native_transport *self, void *socket, uint16_t code, const char *reason);
};

struct native_ice_server {
    const char *const *urls;
    size_t url_count;
    const char *username;   /**< NULL: none */
    const char *credential; /**< NULL: none */
};

/** Zero fields take the defaults in brackets. What it points to must live as long as the engine. */
struct native_config {
    struct room_directory *rooms;       /**< required */
    struct call_directory *calls;       /**< required */
    struct messaging *messaging;        /**< of these calls; required */
    struct native_transport *transport; /**< of signal_native_open; required */
    struct random *random;              /**< required; the system's */
    const char *server_name;            /**< ["roost"] */
    uint64_t resume_window_us;          /**< [30 s] */
    size_t resume_buffer_size;          /**< bytes of unconfirmed messages per session [256 KiB] */
    /** Unconfirmed messages of all sessions together, bytes; above it sessions keep little and
     *  none is begun [512 MiB]. Messages to many count once for each. */
    size_t resume_memory_max;
    uint64_t hello_timeout_us;  /**< [10 s] */
    uint64_t heartbeat_us;      /**< how often clients ping [4 s] */
    uint64_t dead_after_us;     /**< told to clients; the endpoint finds dead peers [10 s] */
    size_t message_size_max;    /**< [1 MiB] */
    uint32_t session_count_max; /**< [20000] */
    uint32_t session_per_address_count_max; /**< [200] */
    uint32_t message_rate;                  /**< per second and session [50] */
    uint32_t message_burst;                 /**< [200] */
    bool require_token;
    struct bytes token_key; /**< empty: no token is valid */
    /** Instead of `token_key`, with all kinds of keys and revocations; NULL: none. */
    const struct token_verifier *tokens;
    /** Decides instead of tokens; NULL: tokens do. */
    struct admission *admission;
    /** Decides about passwords of accounts; NULL: none is good. */
    struct admission *passwords;
    /** Whether keys are being fetched that a token with an unknown key may need; NULL: never. */
    bool (*keys_pending)(void *owner);
    void *keys_owner;
    const struct native_ice_server *ice_servers;
    size_t ice_server_count;
    /** Our own TURN server, with a credential for each session; NULL: none. With `require_token`
     *  for sessions that showed a token only. */
    const struct turn_offer *turn;
};

struct signal_native *signal_native_new(const struct native_config *config);
/** Takes limits, tokens and ICE servers of a new config; `rooms`, `transport` etc. stay. */
void signal_native_reload(struct signal_native *native, const struct native_config *config);
/** Ends all sessions without a word. NULL is allowed. */
void signal_native_free(struct signal_native *native);

/** A client connected. `now_unix_ms` is read for chat and tokens. NULL when the server is full. */
struct native_connection *signal_native_open(struct signal_native *native, uint64_t now_us,
                                             void *socket, const struct net_address *remote);
/** Whom a transport with logins of its own lets in. */
struct native_login {
    const char *name; /**< of the session: who comes with it again comes back to it. Copied */
    const char *user; /**< whom it has proven to be: callable under that name from now on. Copied */
    enum call_binding binding;
};
/**
 * A client that needs no hello and no token. Its requests may have any ids. It has its session at
 * once: the one of that name if it waits for a client, or a new one. `hello` begins anew. Until
 * signal_native_begin_login it is taken for one that asks and does not listen: no messages are
 * given to it. NULL: the server is full, or nobody can be called by that user name (-ENOSPC and
 * -EINVAL in `ret_error`).
 */
struct native_connection *signal_native_open_login(struct signal_native *native, uint64_t now_us,
                                                   struct native_transport *transport, void *socket,
                                                   const struct net_address *remote,
                                                   const struct native_login *login,
                                                   int *ret_error);
/** Of a connection with a login, from here on too: it listens, in a session, new if it has none. */
void signal_native_begin_login(struct signal_native *native, uint64_t now_us,
                               struct native_connection *connection);
/**
 * It listens no more: its session ends, as by `goodbye`. A request begins another; what the
 * connection may send is counted on.
 */
void signal_native_end_login(struct signal_native *native, uint64_t now_us,
                             struct native_connection *connection);
/** The client has all that its transport took. */
void signal_native_confirm_login(struct signal_native *native,
                                 struct native_connection *connection);
/** Whether there is a session of that name, connected or waiting for who was lost. */
bool signal_native_has_login(const struct signal_native *native, const char *name);
/** Nobody comes back to the session of that name: it is lost. There may be none. */
void signal_native_forget(struct signal_native *native, uint64_t now_us, const char *name);
/** The host by which the client reached us, as in a URL: for turn_offer. Copied. */
void signal_native_set_host(struct native_connection *connection, const char *host);
/** A text of the client's. */
void signal_native_input(struct signal_native *native, uint64_t now_us,
                         struct native_connection *connection, struct bytes text);
/** The connection is gone, whoever closed it; `code` is WebSocket's. Frees it. */
void signal_native_closed(struct signal_native *native, uint64_t now_us,
                          struct native_connection *connection, uint16_t code);
/** The answer of `admission` for a session, which may be gone by now. */
void signal_native_admitted(struct signal_native *native, uint64_t now_us, const char *session,
                            const struct admission_answer *answer);
/** Keys were fetched, or could not be had: tokens that waited for them are looked at again. */
void signal_native_keys_fetched(struct signal_native *native, uint64_t now_us);
void signal_native_tick(struct signal_native *native, uint64_t now_us);
uint64_t signal_native_deadline(const struct signal_native *native);
/** Unix time at `now_us` 0, in microseconds: set it at start and when the clock was stepped. */
void signal_native_set_unix_offset(struct signal_native *native, uint64_t unix_at_zero_us);
/** Tells everyone that the server stops soon, and closes with 1001. */
void signal_native_drain(struct signal_native *native, uint64_t now_us, const char *message);
/** Sets: the engine's own, by request type, by error code. Writes `capacity` at most. */
size_t signal_native_metrics(const struct signal_native *native, struct metric_set *sets,
                             size_t capacity);
