/** What the files of the endpoint share. */
#pragma once

#include "base/list.h"
#include "runtime/address_limit.h"
#include "runtime/buffer.h"
#include "runtime/journal_file.h"
#include "runtime/tcp.h"
#include "server/websocket.h"
#include "signal/mqtt/mqtt_bridges.h"
#include "signal/mqtt/mqtt_endpoint.h"
#include "signal/mqtt/mqtt_presence.h"
#include "users/user_watch.h"

#define MQTT_LISTENERS_MAX 32
/** Beyond it messages wait in the broker, which knows which of them may be dropped. */
#define MQTT_UNSENT_MAX (64u << 10)

struct mqtt_listener {
    struct mqtt_endpoint *endpoint;
    struct tcp_listener *tcp;
    bool tls_only;
};

struct mqtt_endpoint {
    struct mqtt_endpoint_config config;
    struct mqtt_access access;
    struct user_listener users;
    struct map gone, rekeyed; /**< users by name, until they were all looked for at once */
    struct mqtt_calls calls;
    struct mqtt_presence presence;
    struct broker *broker;
    struct mqtt_bridges *bridges; /**< NULL: there were never any */
    struct journal_file *journal; /**< NULL: nothing is kept */
    uint64_t journal_position;    /**< behind the batch that is being written */
    struct tls_server_context *tls;
    struct mqtt_listener listeners[MQTT_LISTENERS_MAX];
    size_t listener_count;
    struct address_limit limit;
    struct list sockets; /**< struct mqtt_socket */
    struct loop_timer timer;
    struct loop_task task; /**< what is ready goes out at the end of the turn */
    bool draining;
};

/** What a WebSocket has in place of a stream. */
struct mqtt_websocket {
    struct websocket *websocket; /**< NULL: it is gone */
    struct buffer input;         /**< what the broker has not taken */
    char host[];                 /**< by which it reached us */
};

/** One connection, of either kind. */
struct mqtt_socket {
    struct list node;
    struct mqtt_endpoint *endpoint;
    struct broker_client *client; /**< NULL: it is over, what was written still goes out */
    struct stream *stream;        /**< NULL: a WebSocket */
    struct mqtt_websocket *ws;    /**< NULL: a stream */
    struct net_address remote;
    bool tls_only;
    bool sniffed;    /**< TLS or not is decided */
    bool is_counted; /**< in `limit` */
    bool paused;
};

/** ---- mqtt_endpoint.c ---- */

/** The clock of this turn, for the broker and for logins. */
uint64_t mqtt_endpoint_now(struct mqtt_endpoint *endpoint);
/** Something may be ready: it goes out at the end of the turn. */
void mqtt_endpoint_wake(struct mqtt_endpoint *endpoint);

/** ---- mqtt_socket.c ---- */

void mqtt_socket_accept(struct mqtt_listener *listener, int fd, const struct net_address *remote);
/** Writes what the broker has for a client that is ready. */
void mqtt_socket_send(struct mqtt_socket *socket);
/** By which host it reached us, as in a URL. */
void mqtt_socket_host(const struct mqtt_socket *socket, char out[TURN_HOST_SIZE]);
/** Ends it at once. */
void mqtt_socket_free(struct mqtt_socket *socket);
/** Adds /mqtt. Returns 0 or what http_server_add_websocket returned. */
must_check int mqtt_socket_add_route(struct mqtt_endpoint *endpoint);
