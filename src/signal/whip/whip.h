/**
 * WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): publishing into a room and watching it with HTTP
 * requests alone. The client POSTs its offer and gets the answer; the session is a resource at the
 * Location that was answered, ended by DELETE, changed by PATCH (trickle, ICE restart).
 *
 *     POST /whip/{room}[/{name}]   publishes under a name        -> 201, Location, ETag, Link
 *     POST /whep/{room}[/{name}]   watches one publisher, or what the room shows  -> 201, or 409
 *     POST /whep/...?wait=true     the same, but 201 although nothing is live: it comes later
 *     PATCH, DELETE /whip-session/{id}, /whep-session/{id}
 *     GET, POST /whep-session/{id}/layer    what a viewer may choose from, and its choice
 *     GET, POST /whep-session/{id}/events   server-sent events
 *
 * A publisher is a member of the room like any other; a viewer is a hidden member, which nobody is
 * told of. The id in the path is the session's only key: it is random and as long as a secret.
 */
#pragma once

#include "base/log.h"
#include "base/metric.h"
#include "runtime/loop.h"
#include "server/http_server.h"
#include "signal/access/admission.h"
#include "signal/access/token_verifier.h"
#include "signal/access/turn_offer.h"
#include "signal/hub/hub.h"

/** What becomes of a publisher whose name another one has in the room. */
enum whip_same_name {
    WHIP_SAME_NAME_AUTO, /**< replaces one of the same user, or without a path; else is refused */
    WHIP_SAME_NAME_REPLACE,
    WHIP_SAME_NAME_REFUSE,
};

struct whip_config {
    struct loop *loop; /**< of the control thread */
    struct http_server *server;
    struct random *random;  /**< the system's */
    struct signal_hub *hub; /**< outlives the endpoint */
    const struct token_verifier *tokens;
    struct admission *admission; /**< the operator's endpoint decides; NULL: tokens do */
    /** Whether keys are being fetched; NULL: never. With `owner`. */
    bool (*keys_pending)(void *owner);
    const struct turn_offer *turn;  /**< for Link fields; NULL: no TURN server of ours */
    const char *const *ice_servers; /**< further URLs for Link fields (stun:) */
    size_t ice_server_count;
    const struct log *log;
    bool require_token;
    const char *const *allowed_origins; /**< of pages; NULL-terminated, "*": every one */
    enum whip_same_name same_name;
    const char *redirect; /**< base URL of another server; "": none */
    uint32_t session_count_max;
    uint32_t rate_per_address; /**< sessions and ICE restarts a second; loopback is exempt */
    /** How long a session may be without a path, at its beginning or later. */
    uint64_t path_timeout_us;
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
/** The answer for a request that waits for it; nothing for an id that is nobody's. */
void whip_endpoint_admitted(struct whip_endpoint *endpoint, const char *id,
                            const struct admission_answer *answer);
/** Runs requests that wait for keys. */
void whip_endpoint_keys_fetched(struct whip_endpoint *endpoint);
/**
 * The process is about to stop: sends newcomers elsewhere, or tells them to come back. `stopping`:
 * it does so now, and streams of events end.
 */
void whip_endpoint_drain(struct whip_endpoint *endpoint, bool stopping);
struct metric_set whip_endpoint_metrics(const struct whip_endpoint *endpoint);
