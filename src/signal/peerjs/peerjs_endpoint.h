/**
 * The PeerJS server of the process, for unmodified `peerjs` clients with the path "/" or "/peerjs":
 *
 *     GET [/peerjs]/{key}/id       a peer id that nobody has
 *     GET [/peerjs]/{key}/peers    the ids that can be called; 401 unless it is allowed
 *     WebSocket [/peerjs]/peerjs?key=...&id=...&token=...
 */
#pragma once

#include "runtime/loop.h"
#include "server/websocket.h"
#include "signal/hub/hub.h"
#include "signal/peerjs/peerjs.h"

/** Zero fields take the defaults in brackets. What it points to must outlive the endpoint. */
struct peerjs_endpoint_config {
    struct http_server *server;
    struct random *random; /**< the system's */
    struct signal_hub *hub;
    const char *const *allowed_origins; /**< of pages; NULL-terminated, "*": every one */
    bool allow_discovery;
    uint32_t rate_per_address;   /**< ids and connections a second; loopback is exempt [20] */
    uint64_t ping_interval_us;   /**< [3 s] */
    uint64_t pong_timeout_us;    /**< [10 s] */
    struct peerjs_config peerjs; /**< calls, transport and random are filled in */
};

struct peerjs_endpoint;

/** Adds the routes. Returns 0 or what http_server_add_route returned. */
must_check int peerjs_endpoint_new(const struct peerjs_endpoint_config *config,
                                   struct peerjs_endpoint **ret_endpoint);
/** After the HTTP server, before the hub. NULL is allowed. */
void peerjs_endpoint_free(struct peerjs_endpoint *endpoint);
/** Takes over limits, origins and tokens; the key stays. */
void peerjs_endpoint_reload(struct peerjs_endpoint *endpoint,
                            const struct peerjs_endpoint_config *config);
/** The answer for a client that waits for it; nothing for one that is gone. */
void peerjs_endpoint_admitted(struct peerjs_endpoint *endpoint, const char *session,
                              const struct admission_answer *answer);
/** Looks again at tokens that waited for keys. */
void peerjs_endpoint_keys_fetched(struct peerjs_endpoint *endpoint);
/** The server is about to stop. */
void peerjs_endpoint_drain(struct peerjs_endpoint *endpoint);
struct metric_set peerjs_endpoint_metrics(const struct peerjs_endpoint *endpoint);
