// TURN over HTTP in the process: credentials and the admin API.
#include "admin/serve_int.h"

static void drain(void *owner, bool on, uint64_t timeout_us)
{
    serve_turn_drain(owner, on, timeout_us);
}

static struct turn_api_drain drain_state(void *owner)
{
    const struct serve *serve = owner;
    return (struct turn_api_drain){ .on = serve->turn_draining,
                                    .deadline_us = serve->turn_drain_deadline_us };
}

int serve_turn_api_start(struct serve *serve)
{
    if (!serve->turn || !serve->http)
        return 0;
    struct turn_api_config config = {
        .http = serve->http,
        .turn = serve->turn,
        .loop = &serve->loop,
        .random = &serve->entropy.random,
        .log = &serve->log,
        .options = serve->options,
        .tokens = &serve->tokens,
        .offer = &serve->turn_offer,
        .drain = drain,
        .drain_state = drain_state,
        .owner = serve,
    };
    int result = turn_api_new(&config, &serve->turn_api);
    if (result < 0)
        return result;
    struct metric_set metrics = turn_api_metrics(serve->turn_api);
    metrics_page_add(serve->metrics, &metrics);
    return 0;
}

void serve_turn_api_detach(struct serve *serve)
{
    turn_api_detach(serve->turn_api);
}

void serve_turn_api_stop(struct serve *serve)
{
    serve->turn_api = turn_api_free(serve->turn_api);
}
