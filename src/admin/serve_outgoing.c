// What the process asks of other servers: webhooks, admission and JWK Sets.
#include <string.h>

#include "admin/serve_int.h"
#include "runtime/files.h"

#define THREADS 4

static void keys_fetched(void *owner)
{
    struct serve *serve = owner;
    if (serve->signal)
        ws_endpoint_keys_fetched(serve->signal);
    if (serve->whip)
        whip_endpoint_keys_fetched(serve->whip);
    if (serve->peerjs)
        peerjs_endpoint_keys_fetched(serve->peerjs);
}

static void decided(void *owner, const char *session, const struct admission_answer *answer)
{
    struct serve *serve = owner;
    if (serve->signal) {
        ws_endpoint_admitted(serve->signal, session, answer);
        signal_hub_admitted(&serve->hub, session, answer);
    }
    if (serve->whip)
        whip_endpoint_admitted(serve->whip, session, answer);
    if (serve->peerjs)
        peerjs_endpoint_admitted(serve->peerjs, session, answer);
}

static void start_admission(struct serve *serve)
{
    if (serve->options->auth.mode != OPTION_AUTH_MODE_WEBHOOK)
        return;
    serve->admission = admission_hook_new(&(struct admission_hook_config){
        .loop = &serve->loop,
        .random = &serve->entropy.random,
        .log = &serve->log,
        .client = serve->client,
        .options = serve->options,
        .decided = decided,
        .owner = serve,
    });
    struct metric_set metrics = admission_hook_metrics(serve->admission);
    metrics_page_add(serve->metrics, &metrics);
}

static int start_webhooks(struct serve *serve)
{
    char path[4096];
    int result = file_join(path, sizeof(path), serve->data.path, DATA_FILE_WEBHOOKS);
    if (result < 0)
        return result;
    struct webhooks_config config = {
        .loop = &serve->loop,
        .random = &serve->entropy.random,
        .log = &serve->log,
        .client = serve->client,
        .options = serve->options,
        .path = path,
    };
    result = webhooks_open(&config, &serve->webhooks, &serve->problem);
    if (result < 0)
        return result;
    struct metric_set metrics = webhooks_metrics(serve->webhooks);
    metrics_page_add(serve->metrics, &metrics);
    return 0;
}

int serve_outgoing_start(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    if (!option_list_has(&options->server.roles, "signal") && !*options->auth.jwks_url)
        return 0;
    int result = http_client_start(&serve->loop, THREADS, &serve->client);
    if (result < 0)
        return result;
    serve->token_fetch = token_fetch_new(&(struct token_fetch_config){
        .loop = &serve->loop,
        .log = &serve->log,
        .client = serve->client,
        .options = options,
        .tokens = &serve->tokens,
        .fetched = keys_fetched,
        .owner = serve,
    });
    struct metric_set metrics = token_fetch_metrics(serve->token_fetch);
    metrics_page_add(serve->metrics, &metrics);
    start_admission(serve);
    if (options->webhooks.urls.count == 0)
        return 0;
    return start_webhooks(serve);
}

void serve_outgoing_stop(struct serve *serve)
{
    serve->client = http_client_stop(serve->client);
    serve->webhooks = webhooks_close(serve->webhooks);
    serve->admission = admission_hook_free(serve->admission);
    serve->token_fetch = token_fetch_free(serve->token_fetch);
}

void serve_outgoing_reload(struct serve *serve)
{
    if (serve->token_fetch)
        token_fetch_reload(serve->token_fetch);
}
