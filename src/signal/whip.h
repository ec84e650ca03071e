/**
 * WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): publishing into a room and watching it with HTTP
 * requests alone. The client POSTs its offer and gets the answer; the session is a resource at the
 * Location that was answered, ended by DELETE, changed by PATCH (trickle, ICE restart).
 *
 *     POST /whip/{room}[/{name}]   publishes under a name        -> 201, Location, ETag, Link
 *     POST /whep/{room}[/{name}]   watches one publisher, or what the room shows  -> 201, or 409
 *     PATCH, DELETE /whip-session/{id}, /whep-session/{id}
 *
 * A publisher is a member of the room like any other; a viewer is a hidden member, which nobody is
 * told of. The id in the path is the session's only key: it is random and as long as a secret.
 */
#pragma once

#include "base/log.h"
#include "base/metric.h"
#include "room/directory.h"
#include "runtime/loop.h"
#include "server/http_server.h"
#include "signal/token_verifier.h"
#include "signal/turn_offer.h"

struct whip_config {
    struct loop *loop; /**< of the control thread */
    struct http_server *server;
    struct random *random; /**< the system's */
    struct room_directory *rooms;
    const struct token_verifier *tokens;
    const struct turn_offer *turn;  /**< for Link fields; NULL: no TURN server of ours */
    const char *const *ice_servers; /**< further URLs for Link fields (stun:) */
    size_t ice_server_count;
    const struct log *log;
    bool require_token;
    uint32_t session_count_max;
    /** How long a session may be without a path, at its beginning or later. */
    uint64_t path_timeout_us;
    /** Called after rooms changed: whoever shares them has something to tell. */
    void (*rooms_changed)(void *owner);
    void *owner;
};

struct whip_endpoint;

/** Adds the routes. Returns 0 or what http_server_add_route returned. */
must_check int whip_endpoint_new(const struct whip_config *config,
                                 struct whip_endpoint **ret_endpoint);
/** Ends all sessions. Before the rooms are gone, after the HTTP server. NULL is allowed. */
void whip_endpoint_free(struct whip_endpoint *endpoint);
/** Takes over limits and whether tokens are required. */
void whip_endpoint_reload(struct whip_endpoint *endpoint, const struct whip_config *config);
struct metric_set whip_endpoint_metrics(const struct whip_endpoint *endpoint);
