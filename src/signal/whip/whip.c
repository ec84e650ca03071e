// The HTTP side of WHIP and WHEP.
#include "signal/whip/whip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "proto/sdp/sdp_fragment.h"
#include "runtime/clock.h"
#include "signal/whip/whip_int.h"

#define LOOK_US              TIME_US_PER_S
#define OFFER_SIZE_MAX       (128u << 10)
#define NOT_LIVE_RETRY_S     "2"
#define FULL_RETRY_S         "10"
#define SESSION_PATH_SIZE    (WHIP_ID_LENGTH + 32)
#define PLAYOUT_DELAY_MAX_MS 10000
#define REDIRECT_SIZE        9000 /**< a request line, and a base in front */

static const struct metric_description descriptions[WHIP_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(WHIP_METRIC_##id, __VA_ARGS__)
#include "signal/whip/whip_metrics.def"
#undef METRIC
};

void whip_changed(struct whip_endpoint *endpoint)
{
    signal_hub_changed(endpoint->config.hub);
}

static void look(struct loop_timer *timer, uint64_t now_us)
{
    struct whip_endpoint *endpoint = container_of(timer, struct whip_endpoint, timer);
    whip_sessions_look(endpoint, now_us);
    whip_changed(endpoint);
    if (!list_empty(&endpoint->over))
        loop_timer_set(&endpoint->timer, now_us);
    else if (!list_empty(&endpoint->pathless))
        loop_timer_set(&endpoint->timer, now_us + LOOK_US);
}

bool whip_has_type(const struct http_exchange *exchange, const char *type)
{
    struct bytes field = http_exchange_field(exchange, "content-type");
    return text_equal_ignore_case(text_trim(text_take_until(&field, ';')), type);
}

/** ---- the endpoints ---- */

/** A viewer's own delay, in milliseconds. False: the query has something else. */
static bool take_playout_delay(const struct http_exchange *exchange, struct whip_request *request)
{
    char text[8];
    uint64_t ms;
    int size = http_exchange_query(exchange, "playout_delay", text, sizeof(text));
    if (size == -ENOENT || !request->viewer)
        return true;
    if (size < 0 || text_parse_u64(bytes_of(text, (size_t)size), PLAYOUT_DELAY_MAX_MS, &ms) < 0)
        return false;
    request->playout_delay = (struct media_playout_delay){ .set = true, .ms = (uint16_t)ms };
    return true;
}

/** True with what the request's target says; else the request is answered. */
static bool take_target(struct http_exchange *exchange, struct whip_request *request)
{
    request->room = http_exchange_parameter(exchange, "room");
    request->name = http_exchange_parameter(exchange, "name");
    size_t room_size = strlen(request->room);
    if (room_size == 0 || room_size >= ROOM_NAME_SIZE ||
        strlen(request->name) >= ROOM_MEMBER_SIZE) {
        http_exchange_fail(exchange, 404, "Names of rooms and publishers have 1 to 64 bytes.");
        return false;
    }
    char wait[8];
    request->wait = request->viewer &&
                    http_exchange_query(exchange, "wait", wait, sizeof(wait)) > 0 &&
                    strcmp(wait, "true") == 0;
    if (!take_playout_delay(exchange, request)) {
        http_exchange_fail(exchange, 400, "playout_delay has 0 to 10000 milliseconds.");
        return false;
    }
    return true;
}

/** To the same target at another server; false when there is none. */
static bool redirect(struct whip_endpoint *endpoint, struct http_exchange *exchange)
{
    const char *base = endpoint->config.redirect;
    if (!base || !*base)
        return false;
    char location[REDIRECT_SIZE];
    struct text_builder text = text_builder_of(location, sizeof(location));
    text_append(&text, base);
    text_append_bytes(&text, http_exchange_request(exchange)->target);
    if (text.truncated)
        return false;
    whip_count(endpoint, WHIP_METRIC_REDIRECTED);
    http_exchange_redirect(exchange, 307, location);
    return true;
}

static void respond_refusal(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                            bool viewer, const struct whip_result *result)
{
    // a publisher belongs where its room is
    if (result->status == 503 && viewer && redirect(endpoint, exchange))
        return;
    if (result->status == 409)
        http_exchange_add_field(exchange, "Retry-After", NOT_LIVE_RETRY_S);
    else if (result->status == 503)
        http_exchange_add_field(exchange, "Retry-After", FULL_RETRY_S);
    http_exchange_fail(exchange, result->status, result->problem);
}

static void respond_created(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                            const struct whip_result *result)
{
    const struct whip_session *session = result->session;
    char path[SESSION_PATH_SIZE];
    snprintf(path, sizeof(path), "/%s-session/%s", session->viewer ? "whep" : "whip", session->id);
    http_exchange_add_field(exchange, "Location", path);
    http_exchange_add_field(exchange, "ETag", session->etag);
    http_exchange_add_field(exchange, "Accept-Patch", WHIP_FRAGMENT_TYPE);
    whip_add_links(endpoint, exchange);
    if (session->viewer)
        whip_events_add_links(session, exchange);
    http_exchange_respond(exchange, 201, WHIP_SDP_TYPE, bytes_of_text(result->answer));
    loop_timer_set(&endpoint->timer, loop_now_us(endpoint->config.loop));
}

/** True at the first look at a request that may be answered; else it is answered. */
static bool is_welcome(struct whip_endpoint *endpoint, struct http_exchange *exchange)
{
    if (!whip_take_rate(endpoint, exchange))
        return false;
    if (endpoint->draining) {
        whip_count(endpoint, WHIP_METRIC_REFUSED_DRAINING);
        if (redirect(endpoint, exchange))
            return false;
        http_exchange_add_field(exchange, "Retry-After", FULL_RETRY_S);
        http_exchange_fail(exchange, 503, "The server is stopping. Try again later.");
        return false;
    }
    if (!whip_has_type(exchange, WHIP_SDP_TYPE)) {
        http_exchange_fail(exchange, 415, "The body must be an offer of type application/sdp.");
        return false;
    }
    return true;
}

void whip_create(struct http_exchange *exchange, struct whip_endpoint *endpoint, bool viewer,
                 const struct whip_decision *decision)
{
    struct whip_request request = { .viewer = viewer, .remote = *http_exchange_remote(exchange) };
    if (!take_target(exchange, &request) || (!decision && !is_welcome(endpoint, exchange)) ||
        !whip_admit(endpoint, exchange, decision, &request))
        return;
    request.offer = http_exchange_body(exchange);
    struct whip_result result;
    whip_session_open(endpoint, &request, &result);
    if (result.status == 201)
        respond_created(endpoint, exchange, &result);
    else
        respond_refusal(endpoint, exchange, viewer, &result);
    free(result.answer);
    whip_changed(endpoint);
}

static void publish(struct http_exchange *exchange, void *owner)
{
    whip_create(exchange, owner, false, NULL);
}

static void watch(struct http_exchange *exchange, void *owner)
{
    whip_create(exchange, owner, true, NULL);
}

static void add_preflight(struct http_exchange *exchange)
{
    http_exchange_add_field(exchange, "Access-Control-Allow-Methods",
                            "POST, GET, HEAD, PATCH, DELETE, OPTIONS");
    http_exchange_add_field(exchange, "Access-Control-Allow-Headers",
                            "Authorization, Content-Type, If-Match, If-None-Match");
    http_exchange_add_field(exchange, "Access-Control-Max-Age", "86400");
}

static void session_options(struct http_exchange *exchange, void *owner unused)
{
    http_exchange_add_field(exchange, "Allow", "PATCH, DELETE, OPTIONS");
    http_exchange_add_field(exchange, "Accept-Patch", WHIP_FRAGMENT_TYPE);
    add_preflight(exchange);
    http_exchange_respond(exchange, 204, NULL, bytes_of(NULL, 0));
}

static void extension_options(struct http_exchange *exchange, void *owner unused)
{
    http_exchange_add_field(exchange, "Allow", "GET, POST, DELETE, OPTIONS");
    add_preflight(exchange);
    http_exchange_respond(exchange, 204, NULL, bytes_of(NULL, 0));
}

/** RFC 9725, 4.2: OPTIONS may carry the ICE servers, for those that may have them. */
static void options(struct http_exchange *exchange, void *owner)
{
    struct whip_endpoint *endpoint = owner;
    http_exchange_add_field(exchange, "Allow", "POST, GET, HEAD, OPTIONS");
    http_exchange_add_field(exchange, "Accept-Post", WHIP_SDP_TYPE);
    add_preflight(exchange);
    // a preflight has no Authorization
    bool preflight = http_exchange_field(exchange, "access-control-request-method").data;
    if (!preflight && !endpoint->config.require_token)
        whip_add_links(endpoint, exchange);
    http_exchange_respond(exchange, 204, NULL, bytes_of(NULL, 0));
}

/** GET has nothing to show (RFC 9725, 4.2); HEAD tells WHEP clients that this speaks SDP. */
static void describe(struct http_exchange *exchange, void *owner unused)
{
    bool head = http_exchange_method(exchange) == HTTP_METHOD_HEAD;
    http_exchange_add_field(exchange, "Accept-Post", WHIP_SDP_TYPE);
    if (head)
        http_exchange_respond(exchange, 200, WHIP_SDP_TYPE, bytes_of(NULL, 0));
    else
        http_exchange_respond(exchange, 204, NULL, bytes_of(NULL, 0));
}

/** ---- the life of the endpoint ---- */

static const char *const *allowed_origins(void *owner)
{
    const struct whip_endpoint *endpoint = owner;
    return endpoint->config.allowed_origins;
}

static int add_routes(struct whip_endpoint *endpoint)
{
    const struct {
        const char *pattern;
        unsigned methods;
        void (*handle)(struct http_exchange *exchange, void *owner);
    } routes[] = {
        { "/whip/{room}[/{name}]", HTTP_METHOD_POST, publish },
        { "/whip/{room}[/{name}]", HTTP_METHOD_OPTIONS, options },
        { "/whip/{room}[/{name}]", HTTP_METHOD_GET, describe },
        { "/whep/{room}[/{name}]", HTTP_METHOD_POST, watch },
        { "/whep/{room}[/{name}]", HTTP_METHOD_OPTIONS, options },
        { "/whep/{room}[/{name}]", HTTP_METHOD_GET, describe },
        { "/whip-session/{id}", HTTP_METHOD_PATCH, whip_patch },
        { "/whip-session/{id}", HTTP_METHOD_DELETE, whip_delete },
        { "/whip-session/{id}", HTTP_METHOD_OPTIONS, session_options },
        { "/whep-session/{id}", HTTP_METHOD_OPTIONS, session_options },
        { "/whep-session/{id}", HTTP_METHOD_PATCH, whip_patch },
        { "/whep-session/{id}", HTTP_METHOD_DELETE, whip_delete },
        { "/whep-session/{id}/layer", HTTP_METHOD_GET, whip_layers_get },
        { "/whep-session/{id}/layer", HTTP_METHOD_POST, whip_layers_choose },
        { "/whep-session/{id}/layer", HTTP_METHOD_OPTIONS, extension_options },
        { "/whep-session/{id}/events", HTTP_METHOD_GET, whip_events_get },
        { "/whep-session/{id}/events", HTTP_METHOD_POST, whip_events_post },
        { "/whep-session/{id}/events", HTTP_METHOD_DELETE, whip_events_delete },
        { "/whep-session/{id}/events", HTTP_METHOD_OPTIONS, extension_options },
    };
    for (size_t i = 0; i < array_size(routes); i++) {
        int result = http_server_add_route(
            endpoint->config.server,
            &(struct http_route){ .methods = routes[i].methods,
                                  .pattern = routes[i].pattern,
                                  .handle = routes[i].handle,
                                  .owner = endpoint,
                                  .body_size_max = OFFER_SIZE_MAX,
                                  .flags = HTTP_ROUTE_CORS |
                                           (routes[i].handle == describe ? HTTP_ROUTE_OWN_HEAD : 0),
                                  .origins = allowed_origins });
        if (result < 0)
            return result;
    }
    return 0;
}

int whip_endpoint_new(const struct whip_config *config, struct whip_endpoint **ret_endpoint)
{
    struct whip_endpoint *endpoint = memory_new(struct whip_endpoint);
    endpoint->config = *config;
    list_init(&endpoint->sessions);
    list_init(&endpoint->pathless);
    list_init(&endpoint->over);
    list_init(&endpoint->events);
    uint64_t secret[2];
    random_fill(config->random, secret, sizeof(secret));
    map_init(&endpoint->by_id, secret);
    random_fill(config->random, secret, sizeof(secret));
    map_init(&endpoint->waiting, secret);
    random_fill(config->random, secret, sizeof(secret));
    address_rate_init(&endpoint->rate, secret);
    loop_timer_init(&endpoint->timer, config->loop, look);
    loop_timer_init(&endpoint->events_timer, config->loop, whip_events_look);
    int result = add_routes(endpoint);
    if (result < 0) {
        whip_endpoint_free(endpoint);
        return result;
    }
    *ret_endpoint = endpoint;
    return 0;
}

void whip_endpoint_free(struct whip_endpoint *endpoint)
{
    if (!endpoint)
        return;
    struct whip_session *session;
    list_each(session, &endpoint->sessions, node) whip_session_end(session, ROOM_LEFT_ENDED);
    loop_timer_cancel(&endpoint->timer);
    loop_timer_cancel(&endpoint->events_timer);
    whip_waiting_done(endpoint);
    map_done(&endpoint->by_id);
    free(endpoint);
}

void whip_endpoint_reload(struct whip_endpoint *endpoint, const struct whip_config *config)
{
    endpoint->config = *config;
}

void whip_endpoint_drain(struct whip_endpoint *endpoint, bool stopping)
{
    endpoint->draining = true;
    if (stopping)
        whip_events_stop(endpoint);
}

struct metric_set whip_endpoint_metrics(const struct whip_endpoint *endpoint)
{
    return (struct metric_set){ descriptions, endpoint->metrics, WHIP_METRIC_COUNT, "" };
}
