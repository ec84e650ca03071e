/**
 * WebSocket endpoints of the HTTP server: an endpoint is a route that upgrades, its owner gets
 * sockets through one struct of functions. Control thread only.
 *
 * The server pings each peer and closes those that stay silent, so `closed` follows within
 * `pong_timeout_us` when a peer vanishes. Texts are valid UTF-8.
 */
#pragma once

#include "server/http_server.h"

#include "proto/ws/ws_connection.h"

struct websocket;

struct websocket_ops {
    /**
     * A client is connected. `exchange` is its request (path parameters, query, fields, address)
     * and valid only within this call. The owner may send, close, or set a context.
     */
    void (*opened)(struct websocket *socket, struct http_exchange *exchange, void *owner);
    /** A whole message; `data` is valid within this call. */
    void (*message)(struct websocket *socket, bool is_text, struct bytes data, void *owner);
    /**
     * The socket is gone; the last call for it, whoever closed it (websocket_close too, later,
     * never from within it). `code` as in struct ws_event.
     */
    void (*closed)(struct websocket *socket, uint16_t code, struct bytes reason, void *owner);
    /** Optional: all queued output was written after a send had left some waiting. */
    void (*drained)(struct websocket *socket, void *owner);
};

enum websocket_verdict {
    WEBSOCKET_ACCEPT,
    WEBSOCKET_REFUSE, /**< 403 */
};

/** Zero fields take the defaults in brackets. Copied; what it points to must live on. */
struct websocket_endpoint {
    const char *pattern; /**< "/ws" */
    struct websocket_ops ops;
    void *owner;
    const char *const *subprotocols; /**< by preference, ends with NULL; NULL: none */
    bool subprotocol_required;
    bool without_deflate;
    /**
     * Optional policy hook. Without it a browser's Origin must be the host that was asked
     * ("https://host[:port]"), or be missing (not a browser).
     */
    enum websocket_verdict (*check)(struct http_exchange *exchange, struct bytes origin,
                                    void *owner);
    size_t message_size_max;   /**< bytes [65536] */
    size_t output_size_max;    /**< bytes waiting for a slow peer [1 MiB] */
    uint64_t ping_interval_us; /**< [5 s] */
    uint64_t pong_timeout_us;  /**< [10 s] */
};

/** Returns 0, -EEXIST or -EINVAL as http_server_add_route. */
must_check int http_server_add_websocket(struct http_server *server,
                                         const struct websocket_endpoint *endpoint);

/**
 * Queues a message. Returns 0; -ENOBUFS when the peer is too slow (nothing was queued: the owner
 * should close); -EPIPE when closing.
 */
must_check int websocket_send_text(struct websocket *socket, struct bytes text);
must_check int websocket_send_binary(struct websocket *socket, struct bytes data);
/** Starts the closing handshake; `closed` follows. Nothing when it is closing already. */
void websocket_close(struct websocket *socket, uint16_t code, const char *reason);
/** Ends it at once without a handshake; `closed` follows soon with 1006. */
void websocket_abort(struct websocket *socket);

/**
 * Stops or resumes reading from the peer, so that it is slowed by the network instead of our
 * holding what it sends. From within `message` no further message follows that one. While paused
 * its silence is no reason to close, and that it is gone may be noticed late: whoever pauses sees
 * to an end of it. websocket_close resumes, for the answer of the peer.
 */
void websocket_pause(struct websocket *socket, bool paused);

/** The owner's own pointer; NULL at first. */
void websocket_set_context(struct websocket *socket, void *context);
void *websocket_context(const struct websocket *socket);
/** The subprotocol agreed on; NULL: none. */
const char *websocket_subprotocol(const struct websocket *socket);
const struct net_address *websocket_remote(const struct websocket *socket);
/** Bytes waiting to be written. */
size_t websocket_output_size(const struct websocket *socket);
/** Last measured round trip, 0 when unknown. */
uint64_t websocket_rtt_us(const struct websocket *socket);
