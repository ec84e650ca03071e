#include "admin/turn_api.h"

#include <errno.h>
#include <stdlib.h>

#include "admin/turn_api_int.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"

static const struct metric_description descriptions[TURN_API_METRIC_COUNT] = {
#define METRIC METRIC_DESCRIPTION
#include "admin/turn_api.def"
#undef METRIC
};

int turn_api_new(const struct turn_api_config *config, struct turn_api **ret_api)
{
    struct turn_api *api = memory_new(struct turn_api);
    api->config = *config;
    uint64_t secret[2];
    random_fill(config->random, secret, sizeof(secret));
    address_rate_init(&api->rate, secret);
    int result = turn_credentials_route_add(api);
    if (result == 0)
        result = turn_admin_routes_add(api);
    // also after a failure: routes that were added point here until the server is gone
    *ret_api = api;
    return result;
}

void turn_api_detach(struct turn_api *api)
{
    if (api)
        api->detached = true;
}

struct turn_api *turn_api_free(struct turn_api *api)
{
    free(api);
    return NULL;
}

struct metric_set turn_api_metrics(const struct turn_api *api)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = api->metrics,
                                .count = TURN_API_METRIC_COUNT,
                                .labels = "" };
}

void turn_api_respond(struct http_exchange *exchange, unsigned status, struct json_text *json)
{
    http_exchange_add_field(exchange, "Cache-Control", "no-store");
    http_exchange_respond(exchange, status, "application/json", json_text_bytes(json));
    if (json->data)
        memory_wipe(json->data, json->size); // it may hold a credential
    json_text_done(json);
}

void turn_api_refuse_token(struct http_exchange *exchange, const char *sentence)
{
    http_exchange_add_field(exchange, "WWW-Authenticate", "Bearer");
    http_exchange_fail(exchange, 401, sentence);
}

int turn_api_token(const struct turn_api *api, const struct http_exchange *exchange,
                   struct token_grants *ret_grants)
{
    struct bytes token = http_exchange_bearer(exchange);
    if (!token.data)
        return -ENOENT;
    return token_verifier_check(api->config.tokens, token, clock_unix_us() / TIME_US_PER_S,
                                ret_grants);
}
