/** What the files of TURN over HTTP share. */
#pragma once

#include "admin/turn_api.h"
#include "base/json_text.h"
#include "runtime/address_limit.h"
#include "signal/access/token_verifier.h"

enum turn_api_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "admin/turn_api.def"
#undef METRIC
    TURN_API_METRIC_COUNT,
};

struct turn_api {
    struct turn_api_config config;
    struct address_rate rate; /**< of credentials */
    metric_value metrics[TURN_API_METRIC_COUNT];
    bool detached; /**< the HTTP server may be gone */
};

/** Answers with what was written, and frees it. */
void turn_api_respond(struct http_exchange *exchange, unsigned status, struct json_text *json);
/** Answers 401 with what to show. */
void turn_api_refuse_token(struct http_exchange *exchange, const char *sentence);
/** The token of a request. Returns 0, -ENOENT when there is none, or as token_verify. */
must_check int turn_api_token(const struct turn_api *api, const struct http_exchange *exchange,
                              struct token_grants *ret_grants);

/** turn_credentials_route.c, turn_admin_routes.c */
must_check int turn_credentials_route_add(struct turn_api *api);
must_check int turn_admin_routes_add(struct turn_api *api);
