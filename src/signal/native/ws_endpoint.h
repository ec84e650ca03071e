/** The native protocol at /ws: joins server/websocket.h and signal/native/native.h on the control
 * loop. */
#pragma once

#include "base/log.h"
#include "runtime/loop.h"
#include "server/websocket.h"
#include "signal/hub/hub.h"
#include "signal/native/native.h"

/** Zero fields take the defaults of the parts. */
struct ws_endpoint_config {
    struct loop *loop;          /**< of the control thread; required */
    struct http_server *server; /**< required */
    struct random *random;      /**< the system's; required */
    struct signal_hub *hub;     /**< required; outlives the endpoint */
    const struct log *log;      /**< NULL: silent */
    const char *pattern;        /**< ["/ws"] */
    uint64_t ping_interval_us;  /**< [3 s] */
    uint64_t pong_timeout_us;   /**< [10 s] */
    /** Origins that may connect besides our own; "*": every one. Ends with NULL; NULL: none. */
    const char *const *allowed_origins;
    struct native_config native; /**< rooms, calls, transport, random are filled in */
};

struct ws_endpoint;

/** Adds the route and starts. Returns 0 or what http_server_add_websocket returned. */
must_check int ws_endpoint_new(const struct ws_endpoint_config *config,
                               struct ws_endpoint **ret_endpoint);
/** Call it after the HTTP server was freed, whose sockets speak to it. NULL is allowed. */
void ws_endpoint_free(struct ws_endpoint *endpoint);
/** Takes over limits, tokens, origins, ICE servers. */
void ws_endpoint_reload(struct ws_endpoint *endpoint, const struct ws_endpoint_config *config);
/** Tells clients that the server stops, and closes their connections. */
void ws_endpoint_drain(struct ws_endpoint *endpoint, const char *message);
/** As signal_native_admitted and signal_native_keys_fetched. */
void ws_endpoint_admitted(struct ws_endpoint *endpoint, const char *session,
                          const struct admission_answer *answer);
void ws_endpoint_keys_fetched(struct ws_endpoint *endpoint);
/** Its engine, for other transports: say ws_endpoint_changed after it was used. */
struct signal_native *ws_endpoint_native(struct ws_endpoint *endpoint);
void ws_endpoint_changed(struct ws_endpoint *endpoint);
/** Writes at most `capacity` metric sets; returns how many. */
size_t ws_endpoint_metrics(const struct ws_endpoint *endpoint, struct metric_set *sets,
                           size_t capacity);
