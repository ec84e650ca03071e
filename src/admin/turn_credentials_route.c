// GET /api/v1/turn: what goes into `new RTCPeerConnection(...)`.
#include <errno.h>
#include <string.h>

#include "admin/turn_api_int.h"
#include "admin/turn_ticket_text.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/loop.h"

/** For clients without a name: each credential is a user of its own. */
#define NOBODY_LENGTH 12

/** A proxy on this machine brings many people from one address. */
static bool is_proxied(const struct http_exchange *exchange)
{
    static const char *const traces[] = { "forwarded", "x-forwarded-for", "x-real-ip", "via" };
    bool traced = false;
    for (size_t i = 0; i < array_size(traces); i++)
        traced = traced || http_exchange_field(exchange, traces[i]).data;
    return traced && net_address_is_loopback(http_exchange_remote(exchange));
}

static bool origin_is_listed(const struct turn_api *api, struct bytes origin)
{
    const struct option_list *allowed = &api->config.options->signal.allowed_origins;
    for (size_t i = 0; origin.data && i < allowed->count; i++) {
        if (strcmp(allowed->items[i], "*") == 0 ||
            text_equal_ignore_case(origin, allowed->items[i]))
            return true;
    }
    return false;
}

/** Pages of elsewhere get our relays with a token, or when signal.allowed_origins names them. */
static bool origin_is_allowed(const struct turn_api *api, struct http_exchange *exchange)
{
    struct bytes origin = http_exchange_field(exchange, "origin");
    const char *own = http_exchange_origin(exchange);
    return !origin.data || (own[0] && text_equal_ignore_case(origin, own)) ||
           origin_is_listed(api, origin);
}

/**
 * People of this server's own application and signaling get relays as they get in. A TURN server
 * alone has none, and must not become everybody's because its metrics were wanted.
 */
static bool is_for_everyone(const struct turn_api *api, struct http_exchange *exchange)
{
    const struct roost_options *options = api->config.options;
    bool has_people = option_list_has(&options->server.roles, "app") ||
                      option_list_has(&options->server.roles, "signal");
    return !options_are_closed(options) &&
           (has_people || origin_is_listed(api, http_exchange_field(exchange, "origin")));
}

/** True when the request may have a credential, with whom it is for; else it is answered. */
static bool admit(struct turn_api *api, struct http_exchange *exchange, char user[TOKEN_NAME_SIZE])
{
    struct token_grants grants = { 0 };
    int result = turn_api_token(api, exchange, &grants);
    if (result == -ENOENT && !is_for_everyone(api, exchange)) {
        metric_add(&api->metrics[TURN_API_UNAUTHORIZED], 1);
        turn_api_refuse_token(exchange,
                              "A token is needed: Authorization: Bearer TOKEN (roost token "
                              "--user NAME).");
        return false;
    }
    if (result < 0 && result != -ENOENT) {
        metric_add(&api->metrics[TURN_API_UNAUTHORIZED], 1);
        turn_api_refuse_token(exchange, token_problem(result));
        return false;
    }
    if (result == -ENOENT && !origin_is_allowed(api, exchange)) {
        metric_add(&api->metrics[TURN_API_ORIGIN], 1);
        http_exchange_fail(exchange, 403,
                           "Pages of this origin need a token, or a place in "
                           "signal.allowed_origins.");
        return false;
    }
    if (grants.user[0])
        memcpy(user, grants.user, TOKEN_NAME_SIZE);
    else
        random_identifier(api->config.random, user, NOBODY_LENGTH);
    return true;
}

static void handle_credentials(struct http_exchange *exchange, void *owner)
{
    struct turn_api *api = owner;
    const struct roost_options *options = api->config.options;
    if (!is_proxied(exchange) &&
        !address_rate_take(&api->rate, http_exchange_remote(exchange),
                           loop_now_us(api->config.loop), options->turn.credential_rate,
                           options->turn.credential_burst)) {
        metric_add(&api->metrics[TURN_API_RATE_LIMITED], 1);
        http_exchange_add_field(exchange, "Retry-After", "1");
        http_exchange_fail(exchange, 429, "Too many requests of your address.");
        return;
    }
    char user[TOKEN_NAME_SIZE] = "", reached[TURN_HOST_SIZE];
    if (!admit(api, exchange, user))
        return;
    turn_reached_host(exchange, reached);
    struct turn_ticket ticket;
    if (turn_ticket_issue(api->config.offer, reached, bytes_of_text(user),
                          clock_unix_us() / TIME_US_PER_S, &ticket) < 0) {
        metric_add(&api->metrics[TURN_API_UNREACHABLE], 1);
        http_exchange_fail(exchange, 500, "This server does not know its name: turn.public_host.");
        return;
    }
    struct json_text json;
    json_text_init(&json);
    turn_ticket_write(&ticket, &json);
    memory_wipe(&ticket, sizeof(ticket));
    metric_add(&api->metrics[TURN_API_ISSUED], 1);
    turn_api_respond(exchange, 200, &json);
}

int turn_credentials_route_add(struct turn_api *api)
{
    // the token, or the origin, decides who gets one; a page that may not reads only that
    return http_server_add_route(api->config.http, &(struct http_route){
                                                       .methods = HTTP_METHOD_GET,
                                                       .pattern = "/api/v1/turn",
                                                       .handle = handle_credentials,
                                                       .owner = api,
                                                       .flags = HTTP_ROUTE_CORS,
                                                   });
}
