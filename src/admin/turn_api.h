/**
 * TURN over HTTP: credentials for clients, and what operators ask.
 *
 *     GET    /api/v1/turn                          iceServers with a credential
 *     GET    /api/v1/admin/turn                    state
 *     GET    /api/v1/admin/turn/allocations        a page of the list
 *     DELETE /api/v1/admin/turn/allocations/{id}   ends one
 *     POST   /api/v1/admin/turn/drain, .../undrain
 *
 * The first follows the rules of rooms (auth.require_token, signal.allowed_origins); the others
 * need a token with the admin grant (`roost token --admin`). docs/turn.md describes them.
 */
#pragma once

#include "admin/first_start.h"
#include "base/random.h"
#include "server/http_server.h"
#include "signal/access/turn_offer.h"

struct token_verifier;
struct turn_host;
struct turn_api;

/** How far a drain is. */
struct turn_api_drain {
    bool on;
    uint64_t deadline_us; /**< monotonic */
};

struct turn_api_config {
    struct http_server *http;
    struct turn_host *turn;
    struct loop *loop;
    struct random *random;
    const struct log *log;
    const struct roost_options *options; /**< may be reloaded */
    const struct token_verifier *tokens;
    const struct turn_offer *offer; /**< may be reloaded */
    void (*drain)(void *owner, bool on, uint64_t timeout_us);
    struct turn_api_drain (*drain_state)(void *owner);
    void *owner;
};

/** Adds the routes. Returns 0 or what http_server_add_route returned. */
must_check int turn_api_new(const struct turn_api_config *config, struct turn_api **ret_api);
/** The HTTP server is about to go: nothing under way is answered any more. Accepts NULL. */
void turn_api_detach(struct turn_api *api);
/** After the HTTP server is gone and the TURN host detached. Accepts NULL; returns NULL. */
struct turn_api *turn_api_free(struct turn_api *api);
struct metric_set turn_api_metrics(const struct turn_api *api);
