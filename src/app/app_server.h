/**
 * The web application: pages, SDK, the user's own site over them, ACME challenges. It adds routes
 * to an http_server and holds what they need.
 */
#pragma once

#include "server/http_server.h"

struct app_server_config {
    struct http_server *http; /**< required */
    const struct log *log;
    const char *root;       /**< app.root: folder of the user's own site; NULL or "": none */
    const char *assets_dir; /**< app.assets_dir: web/ on disk instead of embedded; NULL or "" */
    const char *acme_dir;   /**< app.acme_dir: files of /.well-known/acme-challenge/; NULL or "" */
};

struct app_server;

/**
 * Adds the routes. Returns 0, or a negative errno when a folder cannot be opened (`ret_failed`
 * names it, may be NULL). Add all other routes as usual: these are the catch-all.
 */
must_check int app_server_new(const struct app_server_config *config, struct app_server **ret_app,
                              const char **ret_failed);
/** Only after the http_server was freed. NULL is allowed. */
void app_server_free(struct app_server *app);
/** Opens acme_dir anew (SIGHUP). 0 or a negative errno; the old folder is kept on failure. */
must_check int app_server_set_acme_dir(struct app_server *app, const char *path);
