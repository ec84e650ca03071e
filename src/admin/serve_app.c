// The web application of the process.
#include <string.h>

#include "admin/serve_int.h"

int serve_app_start(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    if (!option_list_has(&options->server.roles, "app"))
        return 0;
    struct app_server_config config = {
        .http = serve->http,
        .log = &serve->log,
        .root = options->app.root,
        .assets_dir = options->app.assets_dir,
        .acme_dir = options->app.acme_dir,
    };
    const char *failed = NULL;
    int result = app_server_new(&config, &serve->app, &failed);
    if (result < 0)
        text_append_format(&serve->problem, "cannot open %s: %s", failed ? failed : "a folder",
                           strerror(-result));
    return result;
}

void serve_app_stop(struct serve *serve)
{
    app_server_free(serve->app);
    serve->app = NULL;
}

void serve_app_reload(struct serve *serve)
{
    if (!serve->app)
        return;
    int result = app_server_set_acme_dir(serve->app, serve->options->app.acme_dir);
    if (result < 0)
        log_warning(&serve->log, "app.acme_dir cannot be opened, the old one stays in use",
                    log_text("folder", serve->options->app.acme_dir),
                    log_error_code("error", result));
}
