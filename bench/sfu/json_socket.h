/** JSON messages over a WebSocket, as signaling of one client. */
#pragma once

#include <jansson.h>

#include "base/address.h"
#include "base/random.h"

struct json_socket;

struct json_socket_config {
    const struct net_address *server; /**< plain HTTP */
    const char *target;               /**< "/ws" */
    const char *subprotocol;          /**< NULL: none */
    struct random *random;            /**< outlives the socket */
    /** Does other work until `fd` is readable, or for a few milliseconds. */
    void (*wait)(void *owner, int fd);
    void *owner;
};

/** Connects. NULL, with a message, on failure. */
struct json_socket *json_socket_open(const struct json_socket_config *config);
/** Accepts NULL. */
void json_socket_close(struct json_socket *socket);
/** Sends and drops the reference. */
bool json_socket_send(struct json_socket *socket, json_t *message);
/** What `read` does with a message: returns true for one that is waited for. */
typedef bool json_socket_reader(void *context, json_t *message);
/**
 * Waits for a message that `reader` returns true for; every message before it is shown to it, too.
 * Returns it (the caller's reference), or NULL after 20 seconds or at the end of the connection.
 */
json_t *json_socket_wait(struct json_socket *socket, json_socket_reader *reader, void *context);
/** Shows `reader` what is there, without waiting. */
void json_socket_read(struct json_socket *socket, json_socket_reader *reader, void *context);
