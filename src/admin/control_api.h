/**
 * The control API: rooms, members, tracks and tokens for the operator's own programs, as REST with
 * JSON under /api/v1. Every route but the document itself and the login needs a token with the
 * admin grant (`roost token --admin`, or of an operator's login). src/admin/openapi.json says what
 * each takes and gives, and docs/control-api.md shows it.
 */
#pragma once

#include "admin/options.h"
#include "room/directory.h"
#include "server/http_server.h"
#include "signal/access/token_verifier.h"

struct control_api;
struct media_host;
struct history;
struct user_login;
struct user_watch;

struct control_api_config {
    struct http_server *http;
    struct loop *loop;
    const struct log *log;
    struct room_directory *rooms; /**< of signaling; the routes end before it does */
    struct media_host *media;     /**< for statistics */
    struct token_verifier *tokens;
    struct user_watch *users;               /**< the users, and where they stand */
    struct user_login *logins;              /**< their passwords */
    struct history *history;                /**< of calls; NULL: none is kept */
    const struct roost_options *options;    /**< may be reloaded */
    const char *data_dir;                   /**< captures are written into a folder of it */
    struct bytes (*token_key)(void *owner); /**< what signs tokens that are asked for */
    int (*save_revocations)(void *owner);   /**< 0 or a negative errno */
    void (*changed)(void *owner);           /**< rooms were changed: deadlines may be nearer */
    void *owner;
};

/** Adds the routes. Returns 0 or what http_server_add_route returned. */
must_check int control_api_new(const struct control_api_config *config,
                               struct control_api **ret_api);
/** The HTTP server is about to go: nothing under way is answered any more. Accepts NULL. */
void control_api_detach(struct control_api *api);
/** After the HTTP server and the media host are gone. Accepts NULL; returns NULL. */
struct control_api *control_api_free(struct control_api *api);
struct metric_set control_api_metrics(const struct control_api *api);

/** One row of the table of routes, for the check against the document. */
struct control_route {
    unsigned method; /**< enum http_method */
    const char *pattern;
    void (*handle)(struct http_exchange *exchange, void *owner);
};
/** The table; ends with a row without a pattern. */
extern const struct control_route control_routes[];
