// WHIP and WHEP of the process: publishing and watching over HTTP.
#include <errno.h>
#include <string.h>

#include "admin/serve_int.h"

static struct whip_config config_of(struct serve *serve)
{
    static const enum whip_same_name same_names[] = {
        [OPTION_WHIP_SAME_NAME_AUTO] = WHIP_SAME_NAME_AUTO,
        [OPTION_WHIP_SAME_NAME_REPLACE] = WHIP_SAME_NAME_REPLACE,
        [OPTION_WHIP_SAME_NAME_REFUSE] = WHIP_SAME_NAME_REFUSE,
    };
    const struct roost_options *options = serve->options;
    return (struct whip_config){
        .loop = &serve->loop,
        .server = serve->http,
        .random = &serve->entropy.random,
        .hub = &serve->hub,
        .tokens = &serve->tokens,
        .turn = serve->turn ? &serve->turn_offer : NULL,
        .ice_servers = (const char *const *)options->signal.ice_servers.items,
        .ice_server_count = options->signal.ice_servers.count,
        .log = &serve->log,
        .admission = serve->admission ? admission_hook_admission(serve->admission) : NULL,
        .keys_pending = serve_keys_pending,
        .require_token = options_are_closed(options),
        .allowed_origins = (const char *const *)options->whip.allowed_origins.items,
        .same_name = same_names[options->whip.same_name],
        .redirect = options->whip.redirect,
        .session_count_max = options->whip.max_sessions,
        .rate_per_address = options->whip.max_rate_per_address,
        .path_timeout_us = options->whip.path_timeout_us,
        .owner = serve,
    };
}

int serve_whip_start(struct serve *serve)
{
    if (!serve->signal || !serve->options->whip.enabled)
        return 0;
    struct whip_config config = config_of(serve);
    int result = whip_endpoint_new(&config, &serve->whip);
    if (result < 0) {
        text_append_format(&serve->problem, "cannot start WHIP and WHEP: %s", strerror(-result));
        return result;
    }
    struct metric_set set = whip_endpoint_metrics(serve->whip);
    metrics_page_add(serve->metrics, &set);
    return 0;
}

void serve_whip_stop(struct serve *serve)
{
    whip_endpoint_free(serve->whip);
    serve->whip = NULL;
}

void serve_whip_reload(struct serve *serve)
{
    if (!serve->whip)
        return;
    struct whip_config config = config_of(serve);
    whip_endpoint_reload(serve->whip, &config);
}
