// The control API of the process.
#include "admin/serve_int.h"

static struct bytes token_key(void *owner)
{
    const struct serve *serve = owner;
    return data_token_key(&serve->data, serve->options);
}

static int save_revocations(void *owner)
{
    return serve_tokens_save(owner);
}

static void changed(void *owner)
{
    struct serve *serve = owner;
    signal_hub_changed(&serve->hub);
}

void serve_control_reload(struct serve *serve)
{
    if (serve->control_api && serve->options->captures.decrypted)
        log_warning(&serve->log, "captures with media in the clear may be asked for: "
                                 "captures.decrypted is on");
}

int serve_control_start(struct serve *serve)
{
    if (!serve->http || !serve->signal)
        return 0;
    struct control_api_config config = {
        .http = serve->http,
        .loop = &serve->loop,
        .log = &serve->log,
        .rooms = &serve->hub.rooms,
        .media = serve->media,
        .tokens = &serve->tokens,
        .users = serve->users,
        .logins = serve->logins,
        .history = serve->history,
        .options = serve->options,
        .data_dir = serve->data.path,
        .token_key = token_key,
        .save_revocations = save_revocations,
        .changed = changed,
        .owner = serve,
    };
    int result = control_api_new(&config, &serve->control_api);
    if (result < 0)
        return result;
    struct metric_set metrics = control_api_metrics(serve->control_api);
    metrics_page_add(serve->metrics, &metrics);
    serve_control_reload(serve);
    return 0;
}

void serve_control_detach(struct serve *serve)
{
    control_api_detach(serve->control_api);
}

void serve_control_stop(struct serve *serve)
{
    serve->control_api = control_api_free(serve->control_api);
}
