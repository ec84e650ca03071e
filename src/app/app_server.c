#include "app/app_server.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/static_files.h"

struct app_server {
    const struct log *log;
    struct static_folder *root;   /**< the user's own site; NULL: none */
    struct static_folder *assets; /**< web/ on disk; NULL: what is embedded */
    struct static_folder *acme;   /**< NULL: none */
};

/** A file of web/ from the disk or the program. `path` is relative to web/. */
static void asset_respond(struct app_server *app, struct http_exchange *exchange, const char *path)
{
    if (app->assets) {
        if (static_folder_respond(app->assets, exchange, bytes_of_text(path)) == 0)
            return;
    } else {
        const struct static_asset *asset = static_assets_find(&static_assets_embedded, path);
        if (asset) {
            static_asset_respond(exchange, asset);
            return;
        }
    }
    http_exchange_fail(exchange, 404, "There is no such file.");
}

/** The user's own file at the request's path. False when there is none. */
static bool site_responds(struct app_server *app, struct http_exchange *exchange)
{
    if (!app->root)
        return false;
    http_exchange_set_page(exchange, HTTP_PAGE_SITE);
    if (static_folder_respond(app->root, exchange, http_exchange_request(exchange)->path) == 0)
        return true;
    http_exchange_set_page(exchange, HTTP_PAGE_OURS);
    return false;
}

/** "/", "/r/{room}", "/call/{user}", "/contacts", "/watch/{room}": one page that reads its own
 * address. */
static void handle_page(struct http_exchange *exchange, void *owner)
{
    struct app_server *app = owner;
    if (!site_responds(app, exchange))
        asset_respond(app, exchange, "app/index.html");
}

/** "/app/..." and "/sdk/...": the paths below web/. */
static void handle_asset(struct http_exchange *exchange, void *owner)
{
    struct app_server *app = owner;
    struct bytes path = http_exchange_request(exchange)->path;
    char name[1024];
    if (site_responds(app, exchange))
        return;
    if (text_copy(name, sizeof(name), bytes_of(path.data + 1, path.size - 1)) != 0)
        http_exchange_fail(exchange, 404, "There is no such file.");
    else
        asset_respond(app, exchange, name);
}

/** Everything that nothing else answers: the user's own site. */
static void handle_rest(struct http_exchange *exchange, void *owner)
{
    struct app_server *app = owner;
    if (!site_responds(app, exchange))
        http_exchange_fail(exchange, 404, "There is nothing at this address.");
}

static void handle_favicon(struct http_exchange *exchange, void *owner)
{
    struct app_server *app = owner;
    if (!site_responds(app, exchange))
        asset_respond(app, exchange, "app/favicon.svg");
}

static void handle_acme(struct http_exchange *exchange, void *owner)
{
    struct app_server *app = owner;
    const char *token = http_exchange_parameter(exchange, "token");
    if (!app->acme || token[0] == '.' || strchr(token, '/') ||
        static_folder_respond(app->acme, exchange, bytes_of_text(token)) != 0)
        http_exchange_fail(exchange, 404, "There is no such challenge.");
}

static int routes_add(struct app_server *app, struct http_server *http)
{
    const struct http_route routes[] = {
        { .pattern = "/", .handle = handle_page },
        { .pattern = "/r/{room}", .handle = handle_page },
        { .pattern = "/call/{user}", .handle = handle_page },
        { .pattern = "/contacts", .handle = handle_page },
        { .pattern = "/watch/{room}[/{name}]", .handle = handle_page },
        { .pattern = "/app/**", .handle = handle_asset },
        { .pattern = "/sdk/**", .handle = handle_asset, .flags = HTTP_ROUTE_CORS },
        { .pattern = "/favicon.ico", .handle = handle_favicon },
        { .pattern = "/.well-known/acme-challenge/{token}",
          .handle = handle_acme,
          .flags = HTTP_ROUTE_PLAIN_TOO },
        { .pattern = "/**", .handle = handle_rest },
    };
    for (size_t i = 0; i < array_size(routes); i++) {
        struct http_route route = routes[i];
        route.methods = HTTP_METHOD_GET;
        route.owner = app;
        int result = http_server_add_route(http, &route);
        if (result != 0)
            return result;
    }
    return 0;
}

/** Opens a folder that is configured. */
static int folder_open(const char *path, struct static_folder **ret_folder, const char **ret_failed)
{
    if (!path || path[0] == '\0')
        return 0;
    int result = static_folder_open(path, ret_folder);
    if (result != 0 && ret_failed)
        *ret_failed = path;
    return result;
}

int app_server_new(const struct app_server_config *config, struct app_server **ret_app,
                   const char **ret_failed)
{
    struct app_server *app = memory_new(struct app_server);
    app->log = config->log;
    int result = folder_open(config->root, &app->root, ret_failed);
    if (result == 0)
        result = folder_open(config->assets_dir, &app->assets, ret_failed);
    if (result == 0)
        result = folder_open(config->acme_dir, &app->acme, ret_failed);
    if (result == 0)
        result = routes_add(app, config->http);
    if (result != 0) {
        app_server_free(app);
        return result;
    }
    if (!app->assets && static_assets_embedded.count == 0)
        log_warning(app->log, "this build has no embedded web application");
    *ret_app = app;
    return 0;
}

void app_server_free(struct app_server *app)
{
    if (!app)
        return;
    static_folder_close(app->root);
    static_folder_close(app->assets);
    static_folder_close(app->acme);
    free(app);
}

int app_server_set_acme_dir(struct app_server *app, const char *path)
{
    struct static_folder *folder = NULL;
    int result = folder_open(path, &folder, NULL);
    if (result != 0)
        return result;
    static_folder_close(app->acme);
    app->acme = folder;
    return 0;
}
