// The PeerJS server of the process.
#include <errno.h>
#include <string.h>

#include "admin/serve_int.h"

static struct peerjs_endpoint_config config_of(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    return (struct peerjs_endpoint_config){
        .server = serve->http,
        .random = &serve->entropy.random,
        .hub = &serve->hub,
        .allowed_origins = (const char *const *)options->peerjs.allowed_origins.items,
        .allow_discovery = options->peerjs.allow_discovery,
        .rate_per_address = options->peerjs.max_rate_per_address,
        .ping_interval_us = options->signal.ping_interval_us,
        .pong_timeout_us = options->signal.ping_timeout_us,
        .peerjs = {
            .key = options->peerjs.key,
            .tokens = &serve->tokens,
            .admission = serve->admission ? admission_hook_admission(serve->admission) : NULL,
            .require_token = options_are_closed(options),
            .keys_pending = serve_keys_pending,
            .owner = serve,
            .expire_us = options->peerjs.expire_us,
            .resume_window_us = options->signal.resume_window_us,
            .peer_count_max = options->peerjs.max_peers,
            .peer_per_address_count_max = options->peerjs.max_peers_per_address,
            .message_rate = options->signal.message_rate,
            // the offers of a mesh come with their candidates, all at once
            .message_burst = 2 * options->signal.message_burst,
        },
    };
}

int serve_peerjs_start(struct serve *serve)
{
    if (!serve->signal || !serve->options->peerjs.enabled)
        return 0;
    struct peerjs_endpoint_config config = config_of(serve);
    int result = peerjs_endpoint_new(&config, &serve->peerjs);
    if (result < 0) {
        text_append_format(&serve->problem, "cannot start the PeerJS server: %s",
                           strerror(-result));
        return result;
    }
    struct metric_set set = peerjs_endpoint_metrics(serve->peerjs);
    metrics_page_add(serve->metrics, &set);
    return 0;
}

void serve_peerjs_stop(struct serve *serve)
{
    peerjs_endpoint_free(serve->peerjs);
    serve->peerjs = NULL;
}

void serve_peerjs_reload(struct serve *serve)
{
    if (!serve->peerjs)
        return;
    struct peerjs_endpoint_config config = config_of(serve);
    peerjs_endpoint_reload(serve->peerjs, &config);
}
