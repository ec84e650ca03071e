/**
 * The keys of an identity provider, from its address (auth.jwks_url): fetched at the start, from
 * time to time, and when a token names a key that is not known, but no more often than every ten
 * seconds. What was fetched stays good while the address cannot be reached.
 */
#pragma once

#include "admin/options.h"
#include "base/log.h"
#include "base/metric.h"
#include "runtime/http_client.h"
#include "signal/access/token_verifier.h"

struct token_fetch;

struct token_fetch_config {
    struct loop *loop;
    const struct log *log;
    struct http_client *client;
    const struct roost_options *options; /**< may be reloaded */
    struct token_verifier *tokens;       /**< gets the keys */
    void (*fetched)(void *owner);        /**< keys came, or could not be had; NULL: nobody waits */
    void *owner;
};

/** Begins to fetch when there is an address. Never NULL. */
struct token_fetch *token_fetch_new(const struct token_fetch_config *config);
/** After the client has stopped. Accepts NULL; returns NULL. */
struct token_fetch *token_fetch_free(struct token_fetch *fetch);
/** The options were reloaded: another address, perhaps. */
void token_fetch_reload(struct token_fetch *fetch);
/** Whether a fetch is under way that may bring a key that was missing. */
bool token_fetch_is_busy(const struct token_fetch *fetch);
struct metric_set token_fetch_metrics(const struct token_fetch *fetch);
