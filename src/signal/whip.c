// The HTTP side of WHIP and WHEP.
#include "signal/whip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "proto/sdp/sdp_fragment.h"
#include "runtime/clock.h"
#include "signal/whip_int.h"

#define LOOK_US           TIME_US_PER_S
#define OFFER_SIZE_MAX    (128u << 10)
#define RATE_PER_S        5
#define RATE_BURST        40
#define NOT_LIVE_RETRY_S  "2"
#define FULL_RETRY_S      "10"
#define SDP_TYPE          "application/sdp"
#define FRAGMENT_TYPE     "application/trickle-ice-sdpfrag"
#define SESSION_PATH_SIZE (WHIP_ID_LENGTH + 32)

static const struct metric_description descriptions[WHIP_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(WHIP_METRIC_##id, __VA_ARGS__)
#include "signal/whip_metrics.def"
#undef METRIC
};

/** Rooms may have something to tell, and others share them. */
static void changed(struct whip_endpoint *endpoint)
{
    room_directory_settle(endpoint->config.rooms, loop_now_us(endpoint->config.loop));
    if (endpoint->config.rooms_changed)
        endpoint->config.rooms_changed(endpoint->config.owner);
}

static void look(struct loop_timer *timer, uint64_t now_us)
{
    struct whip_endpoint *endpoint = container_of(timer, struct whip_endpoint, timer);
    whip_sessions_look(endpoint, now_us);
    changed(endpoint);
    if (!list_empty(&endpoint->over))
        loop_timer_set(&endpoint->timer, now_us);
    else if (!list_empty(&endpoint->pathless))
        loop_timer_set(&endpoint->timer, now_us + LOOK_US);
}

/** The media type of the request's body, without parameters. */
static bool has_type(const struct http_exchange *exchange, const char *type)
{
    struct bytes field = http_exchange_field(exchange, "content-type");
    return text_equal_ignore_case(text_trim(text_take_until(&field, ';')), type);
}

/** ---- who may ---- */

static void refuse_token(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                         const char *sentence)
{
    whip_count(endpoint, WHIP_METRIC_REFUSED_TOKEN);
    http_exchange_add_field(exchange, "WWW-Authenticate", "Bearer");
    http_exchange_fail(exchange, 401, sentence);
}

/** True with the token's grants; else the request is answered. */
static bool take_token(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                       struct whip_request *request)
{
    struct bytes token = http_exchange_bearer(exchange);
    request->has_token = token.data != NULL;
    if (!token.data) {
        if (!endpoint->config.require_token)
            return true;
        refuse_token(endpoint, exchange, "A token is needed: Authorization: Bearer TOKEN.");
        return false;
    }
    int result = token_verifier_check(endpoint->config.tokens, token,
                                      clock_unix_us() / TIME_US_PER_S, &request->grants);
    // OBS and others send what was typed as the stream key: where nobody needs a token, it is none
    if (result == -EBADMSG && !endpoint->config.require_token) {
        request->has_token = false;
        request->grants = (struct token_grants){ 0 };
        return true;
    }
    if (result < 0) {
        refuse_token(endpoint, exchange, token_problem(result));
        return false;
    }
    return true;
}

static const char *grant_problem(const struct whip_request *request)
{
    const struct token_grants *grants = &request->grants;
    if (!request->has_token)
        return NULL;
    if (!token_admits(grants, request->room))
        return "The token is for another room.";
    if (grants->join_denied)
        return "The token does not let you join rooms.";
    if (request->viewer && grants->denials.subscribe)
        return "The token does not let you watch.";
    if (!request->viewer && !token_may_publish(grants, ROOM_SOURCE_CAMERA) &&
        !token_may_publish(grants, ROOM_SOURCE_MICROPHONE))
        return "The token does not let you publish.";
    return NULL;
}

static bool admit(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                  struct whip_request *request)
{
    const struct net_address *remote = http_exchange_remote(exchange);
    request->loopback = net_address_is_loopback(remote);
    if (!request->loopback &&
        !address_rate_take(&endpoint->rate, remote, loop_now_us(endpoint->config.loop), RATE_PER_S,
                           RATE_BURST)) {
        whip_count(endpoint, WHIP_METRIC_REFUSED_RATE);
        http_exchange_add_field(exchange, "Retry-After", "1");
        http_exchange_fail(exchange, 429, "Too many requests of your address.");
        return false;
    }
    if (!take_token(endpoint, exchange, request))
        return false;
    const char *problem = grant_problem(request);
    if (problem) {
        whip_count(endpoint, WHIP_METRIC_REFUSED_GRANT);
        http_exchange_fail(exchange, 403, problem);
        return false;
    }
    return true;
}

/** ---- the endpoints ---- */

/** True with the room and the name of the path; else the request is answered. */
static bool take_path(struct http_exchange *exchange, struct whip_request *request)
{
    request->room = http_exchange_parameter(exchange, "room");
    request->name = http_exchange_parameter(exchange, "name");
    size_t room_size = strlen(request->room);
    if (room_size == 0 || room_size >= ROOM_NAME_SIZE ||
        strlen(request->name) >= ROOM_MEMBER_SIZE) {
        http_exchange_fail(exchange, 404, "Names of rooms and publishers have 1 to 64 bytes.");
        return false;
    }
    return true;
}

static void respond_refusal(struct http_exchange *exchange, const struct whip_result *result)
{
    if (result->status == 409)
        http_exchange_add_field(exchange, "Retry-After", NOT_LIVE_RETRY_S);
    else if (result->status == 503)
        http_exchange_add_field(exchange, "Retry-After", FULL_RETRY_S);
    http_exchange_fail(exchange, result->status, result->problem);
}

static void create(struct http_exchange *exchange, struct whip_endpoint *endpoint, bool viewer)
{
    struct whip_request request = { .viewer = viewer };
    if (!take_path(exchange, &request) || !admit(endpoint, exchange, &request))
        return;
    if (!has_type(exchange, SDP_TYPE)) {
        http_exchange_fail(exchange, 415, "The body must be an offer of type application/sdp.");
        return;
    }
    request.offer = http_exchange_body(exchange);
    struct whip_result result;
    whip_session_open(endpoint, &request, &result);
    if (result.status == 201) {
        char path[SESSION_PATH_SIZE];
        snprintf(path, sizeof(path), "/%s-session/%s", viewer ? "whep" : "whip",
                 result.session->id);
        http_exchange_add_field(exchange, "Location", path);
        http_exchange_add_field(exchange, "ETag", result.session->etag);
        http_exchange_add_field(exchange, "Accept-Patch", FRAGMENT_TYPE);
        whip_add_links(endpoint, exchange);
        http_exchange_respond(exchange, 201, SDP_TYPE, bytes_of_text(result.answer));
        loop_timer_set(&endpoint->timer, loop_now_us(endpoint->config.loop));
    } else {
        respond_refusal(exchange, &result);
    }
    free(result.answer);
    changed(endpoint);
}

static void publish(struct http_exchange *exchange, void *owner)
{
    create(exchange, owner, false);
}

static void watch(struct http_exchange *exchange, void *owner)
{
    create(exchange, owner, true);
}

/** RFC 9725, 4.2: OPTIONS may carry the ICE servers, for those that may have them. */
static void options(struct http_exchange *exchange, void *owner)
{
    struct whip_endpoint *endpoint = owner;
    http_exchange_add_field(exchange, "Allow", "POST, GET, HEAD, OPTIONS");
    http_exchange_add_field(exchange, "Accept-Post", SDP_TYPE);
    http_exchange_add_field(exchange, "Access-Control-Allow-Methods",
                            "POST, GET, HEAD, PATCH, DELETE, OPTIONS");
    http_exchange_add_field(exchange, "Access-Control-Allow-Headers",
                            "Authorization, Content-Type, If-Match, If-None-Match");
    http_exchange_add_field(exchange, "Access-Control-Max-Age", "86400");
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
    http_exchange_add_field(exchange, "Accept-Post", SDP_TYPE);
    if (head)
        http_exchange_respond(exchange, 200, SDP_TYPE, bytes_of(NULL, 0));
    else
        http_exchange_respond(exchange, 204, NULL, bytes_of(NULL, 0));
}

/** ---- sessions ---- */

/** NULL: the request is answered. */
static struct whip_session *session_of(struct http_exchange *exchange,
                                       struct whip_endpoint *endpoint)
{
    bool viewer = text_starts_with(http_exchange_request(exchange)->path, "/whep-session/");
    struct whip_session *session =
        whip_session_find(endpoint, http_exchange_parameter(exchange, "id"), viewer);
    if (!session)
        http_exchange_fail(exchange, 404, "There is no such session, or it has ended.");
    return session;
}

static void end(struct http_exchange *exchange, void *owner)
{
    struct whip_endpoint *endpoint = owner;
    struct whip_session *session = session_of(exchange, endpoint);
    if (!session)
        return;
    whip_session_end(session, ROOM_LEFT_LEFT);
    // OBS wants 200
    http_exchange_respond(exchange, 200, NULL, bytes_of(NULL, 0));
    changed(endpoint);
}

static void refuse_patch(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                         unsigned status, const char *sentence)
{
    whip_count(endpoint, WHIP_METRIC_REFUSED_PATCH);
    http_exchange_fail(exchange, status, sentence);
}

/** True when the request is about the ICE session that there is (RFC 9725, 4.3.1). */
static bool check_etag(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                       const struct whip_session *session)
{
    struct bytes match = text_trim(http_exchange_field(exchange, "if-match"));
    if (!match.data) {
        refuse_patch(endpoint, exchange, 428, "If-Match is needed: the ETag of the session, or *.");
        return false;
    }
    if (!text_equal(match, "*") && !text_equal(match, session->etag)) {
        refuse_patch(endpoint, exchange, 412, "The ICE session has changed: see the newest ETag.");
        return false;
    }
    return true;
}

static void restart(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                    struct whip_session *session, const struct sdp_fragment *fragment)
{
    char *ours = NULL;
    const char *problem;
    if (whip_session_restart(session, fragment->ice_ufrag, fragment->ice_pwd, &ours, &problem) <
        0) {
        refuse_patch(endpoint, exchange, 422, problem);
        return;
    }
    http_exchange_add_field(exchange, "ETag", session->etag);
    http_exchange_respond(exchange, 200, FRAGMENT_TYPE, bytes_of_text(ours));
    free(ours);
    changed(endpoint);
}

static void patch(struct http_exchange *exchange, void *owner)
{
    struct whip_endpoint *endpoint = owner;
    struct whip_session *session = session_of(exchange, endpoint);
    if (!session)
        return;
    if (!has_type(exchange, FRAGMENT_TYPE)) {
        refuse_patch(endpoint, exchange, 415,
                     "The body must be of type application/trickle-ice-sdpfrag.");
        return;
    }
    if (!check_etag(endpoint, exchange, session))
        return;
    struct sdp_fragment fragment;
    if (sdp_fragment_parse(http_exchange_body(exchange), false, &fragment) < 0) {
        refuse_patch(endpoint, exchange, 400, "The fragment is malformed.");
        return;
    }
    bool same = !fragment.ice_ufrag.data ||
                whip_session_has_credentials(session, fragment.ice_ufrag, fragment.ice_pwd);
    if (!same) {
        restart(endpoint, exchange, session, &fragment);
        return;
    }
    // ICE-lite: the client's checks themselves tell where it is (RFC 8445, 2.5)
    http_exchange_respond(exchange, 204, NULL, bytes_of(NULL, 0));
}

/** ---- the life of the endpoint ---- */

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
        { "/whip-session/{id}", HTTP_METHOD_PATCH, patch },
        { "/whip-session/{id}", HTTP_METHOD_DELETE, end },
        { "/whep-session/{id}", HTTP_METHOD_PATCH, patch },
        { "/whep-session/{id}", HTTP_METHOD_DELETE, end },
    };
    for (size_t i = 0; i < array_size(routes); i++) {
        int result = http_server_add_route(
            endpoint->config.server,
            &(struct http_route){ .methods = routes[i].methods,
                                  .pattern = routes[i].pattern,
                                  .handle = routes[i].handle,
                                  .owner = endpoint,
                                  .body_size_max = OFFER_SIZE_MAX,
                                  .flags = HTTP_ROUTE_CORS | HTTP_ROUTE_OWN_HEAD });
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
    uint64_t secret[2];
    random_fill(config->random, secret, sizeof(secret));
    map_init(&endpoint->by_id, secret);
    random_fill(config->random, secret, sizeof(secret));
    address_rate_init(&endpoint->rate, secret);
    loop_timer_init(&endpoint->timer, config->loop, look);
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
    map_done(&endpoint->by_id);
    free(endpoint);
}

void whip_endpoint_reload(struct whip_endpoint *endpoint, const struct whip_config *config)
{
    endpoint->config = *config;
}

struct metric_set whip_endpoint_metrics(const struct whip_endpoint *endpoint)
{
    return (struct metric_set){ descriptions, endpoint->metrics, WHIP_METRIC_COUNT, "" };
}
