#include "admin/token_fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "runtime/loop.h"

/** Tokens with invented key ids must not make us a burden for somebody else. */
#define SPACING_US (10 * TIME_US_PER_S)
#define TIMEOUT_MS 5000

enum token_fetch_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "admin/token_fetch.def"
#undef METRIC
    TOKEN_FETCH_METRIC_COUNT,
};

static const struct metric_description descriptions[TOKEN_FETCH_METRIC_COUNT] = {
#define METRIC METRIC_DESCRIPTION
#include "admin/token_fetch.def"
#undef METRIC
};

struct token_fetch {
    struct token_fetch_config config;
    struct loop_timer timer;
    char *url; /**< of the keys in use */
    uint64_t begun_us;
    bool begun;
    bool busy;
    metric_value metrics[TOKEN_FETCH_METRIC_COUNT];
};

static int adopt(struct token_fetch *fetch, const struct http_call *call)
{
    struct token_keys *keys = token_keys_new();
    int added = call->status == 200
                    ? token_keys_add_text(keys, bytes_of(call->answer, call->answer_size),
                                          TOKEN_TRUST_GRANTS, NULL)
                    : -EIO;
    if (added <= 0) {
        token_keys_free(keys);
        return -EIO;
    }
    token_keys_free(fetch->config.tokens->remote);
    fetch->config.tokens->remote = keys;
    fetch->metrics[TOKEN_FETCH_KEYS] = 0;
    metric_add(&fetch->metrics[TOKEN_FETCH_KEYS], (uint64_t)added);
    return 0;
}

static void begin(struct token_fetch *fetch);

static void fetched(struct http_call *call, void *owner)
{
    struct token_fetch *fetch = owner;
    const struct token_fetch_config *config = &fetch->config;
    fetch->busy = false;
    if (call->error == -ECANCELED)
        return;
    if (strcmp(call->url, config->options->auth.jwks_url) != 0) {
        begin(fetch); // another address by now
        return;
    }
    bool good = call->error == 0 && adopt(fetch, call) == 0;
    metric_add(&fetch->metrics[good ? TOKEN_FETCH_DONE : TOKEN_FETCH_FAILED], 1);
    if (!good)
        log_warning(config->log, "JWK Set not fetched, the keys of before stay in use",
                    log_text("url", call->url),
                    log_text("problem", *call->problem ? call->problem : "no key to be used"));
    loop_timer_set_after(&fetch->timer, good ? config->options->auth.jwks_interval_us : SPACING_US);
    if (config->fetched)
        config->fetched(config->owner);
}

static void begin(struct token_fetch *fetch)
{
    const struct token_fetch_config *config = &fetch->config;
    if (fetch->busy || !*config->options->auth.jwks_url)
        return;
    struct http_call *call = http_call_new(config->options->auth.jwks_url);
    call->timeout_ms = TIMEOUT_MS;
    call->answer_size_max = TOKEN_KEYS_TEXT_MAX;
    call->done = fetched;
    call->owner = fetch;
    http_call_add_header(call, "Accept", "application/jwk-set+json, application/json");
    fetch->begun = true;
    fetch->begun_us = loop_now_us(config->loop);
    fetch->busy = http_call_start(config->client, call) == 0;
    if (!fetch->busy)
        loop_timer_set_after(&fetch->timer, SPACING_US);
}

static void due(struct loop_timer *timer, unused uint64_t now_us)
{
    begin(container_of(timer, struct token_fetch, timer));
}

static void key_missing(void *owner)
{
    struct token_fetch *fetch = owner;
    if (fetch->busy || !*fetch->config.options->auth.jwks_url)
        return;
    if (fetch->begun && loop_now_us(fetch->config.loop) - fetch->begun_us < SPACING_US)
        metric_add(&fetch->metrics[TOKEN_FETCH_LIMITED], 1);
    else
        begin(fetch);
}

static void take_address(struct token_fetch *fetch)
{
    const char *url = fetch->config.options->auth.jwks_url;
    free(fetch->url);
    fetch->url = memory_copy(url, strlen(url));
    loop_timer_cancel(&fetch->timer);
    begin(fetch);
}

struct token_fetch *token_fetch_new(const struct token_fetch_config *config)
{
    struct token_fetch *fetch = memory_new(struct token_fetch);
    fetch->config = *config;
    loop_timer_init(&fetch->timer, config->loop, due);
    config->tokens->key_missing = key_missing;
    config->tokens->owner = fetch;
    take_address(fetch);
    return fetch;
}

struct token_fetch *token_fetch_free(struct token_fetch *fetch)
{
    if (!fetch)
        return NULL;
    fetch->config.tokens->key_missing = NULL;
    loop_timer_cancel(&fetch->timer);
    free(fetch->url);
    free(fetch);
    return NULL;
}

void token_fetch_reload(struct token_fetch *fetch)
{
    if (strcmp(fetch->url, fetch->config.options->auth.jwks_url) == 0)
        return;
    // the keys of an address that is believed no more
    fetch->config.tokens->remote = token_keys_free(fetch->config.tokens->remote);
    take_address(fetch);
}

bool token_fetch_is_busy(const struct token_fetch *fetch)
{
    return fetch->busy;
}

struct metric_set token_fetch_metrics(const struct token_fetch *fetch)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = fetch->metrics,
                                .count = TOKEN_FETCH_METRIC_COUNT,
                                .labels = "" };
}
