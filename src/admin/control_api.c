#include "admin/control_api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/control_api_int.h"
#include "admin/openapi.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/loop.h"

#define BODY_SIZE_MAX (64u << 10)

static const struct metric_description descriptions[CONTROL_API_METRIC_COUNT] = {
#define METRIC METRIC_DESCRIPTION
#include "admin/control_api.def"
#undef METRIC
};

static void get_document(struct http_exchange *exchange, unused void *owner)
{
    http_exchange_add_field(exchange, "Cache-Control", "no-cache");
    http_exchange_respond_static(exchange, 200, "application/json", openapi_text);
}

const struct control_route control_routes[] = {
    { HTTP_METHOD_GET, "/api/v1/openapi.json", get_document },
    { HTTP_METHOD_GET, "/api/v1/rooms", control_rooms_list },
    { HTTP_METHOD_POST, "/api/v1/rooms", control_rooms_create },
    { HTTP_METHOD_GET, "/api/v1/rooms/{room}", control_room_get },
    { HTTP_METHOD_PATCH, "/api/v1/rooms/{room}", control_room_update },
    { HTTP_METHOD_DELETE, "/api/v1/rooms/{room}", control_room_end },
    { HTTP_METHOD_POST, "/api/v1/rooms/{room}/messages", control_room_message },
    { HTTP_METHOD_POST, "/api/v1/rooms/{room}/data", control_room_data },
    { HTTP_METHOD_GET, "/api/v1/rooms/{room}/participants", control_members_list },
    { HTTP_METHOD_GET, "/api/v1/rooms/{room}/participants/{participant}", control_member_get },
    { HTTP_METHOD_PATCH, "/api/v1/rooms/{room}/participants/{participant}", control_member_update },
    { HTTP_METHOD_DELETE, "/api/v1/rooms/{room}/participants/{participant}", control_member_kick },
    { HTTP_METHOD_POST, "/api/v1/rooms/{room}/participants/{participant}/move",
      control_member_move },
    { HTTP_METHOD_GET, "/api/v1/rooms/{room}/participants/{participant}/stats",
      control_member_stats },
    { HTTP_METHOD_POST, "/api/v1/rooms/{room}/participants/{participant}/capture",
      control_capture_start },
    { HTTP_METHOD_GET, "/api/v1/captures", control_captures_list },
    { HTTP_METHOD_GET, "/api/v1/captures/{capture}", control_capture_get },
    { HTTP_METHOD_DELETE, "/api/v1/captures/{capture}", control_capture_delete },
    { HTTP_METHOD_POST, "/api/v1/captures/{capture}/stop", control_capture_stop },
    { HTTP_METHOD_GET, "/api/v1/captures/{capture}/pcap", control_capture_download },
    { HTTP_METHOD_GET, "/api/v1/rooms/{room}/tracks", control_tracks_list },
    { HTTP_METHOD_PATCH, "/api/v1/rooms/{room}/tracks/{track}", control_track_update },
    { HTTP_METHOD_GET, "/api/v1/users", control_users_list },
    { HTTP_METHOD_POST, "/api/v1/users", control_user_add },
    { HTTP_METHOD_GET, "/api/v1/users/{user}", control_user_get },
    { HTTP_METHOD_PATCH, "/api/v1/users/{user}", control_user_update },
    { HTTP_METHOD_DELETE, "/api/v1/users/{user}", control_user_remove },
    { HTTP_METHOD_GET, "/api/v1/users/{user}/calls", control_user_calls },
    { HTTP_METHOD_POST, "/api/v1/login", control_login },
    { HTTP_METHOD_POST, "/api/v1/tokens", control_token_make },
    { HTTP_METHOD_GET, "/api/v1/revocations", control_revocations_get },
    { HTTP_METHOD_POST, "/api/v1/revocations", control_revoke },
    { HTTP_METHOD_DELETE, "/api/v1/revocations", control_unrevoke },
    { 0 },
};

int control_api_new(const struct control_api_config *config, struct control_api **ret_api)
{
    struct control_api *api = memory_new(struct control_api);
    api->config = *config;
    // also after a failure: routes that were added point here until the server is gone
    *ret_api = api;
    list_init(&api->samples);
    list_init(&api->logins);
    list_init(&api->captures.items);
    list_init(&api->users.requests);
    for (const struct control_route *row = control_routes; row->pattern; row++) {
        int result = http_server_add_route(config->http,
                                           &(struct http_route){ .methods = row->method,
                                                                 .pattern = row->pattern,
                                                                 .handle = row->handle,
                                                                 .owner = api,
                                                                 .body_size_max = BODY_SIZE_MAX });
        if (result < 0)
            return result;
    }
    return 0;
}

void control_api_detach(struct control_api *api)
{
    if (!api)
        return;
    api->config.http = NULL;
    control_login_stop(api);
    control_stats_stop(api);
    control_captures_stop(api);
    control_users_stop(api);
}

struct control_api *control_api_free(struct control_api *api)
{
    free(api);
    return NULL;
}

struct metric_set control_api_metrics(const struct control_api *api)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = api->metrics,
                                .count = CONTROL_API_METRIC_COUNT,
                                .labels = "" };
}

/** ---- who asks, and for what ---- */

bool control_admit(struct control_api *api, struct http_exchange *exchange)
{
    struct token_grants grants = { 0 };
    struct bytes token = http_exchange_bearer(exchange);
    int result = token.data ? token_verifier_check(api->config.tokens, token,
                                                   clock_unix_us() / TIME_US_PER_S, &grants)
                            : -ENOENT;
    if (result == 0 && grants.admin) {
        metric_add(&api->metrics[CONTROL_API_REQUESTS], 1);
        return true;
    }
    metric_add(&api->metrics[CONTROL_API_REFUSED], 1);
    if (result == 0) {
        http_exchange_fail(exchange, 403, "This token has no admin grant (roost token --admin).");
        return false;
    }
    http_exchange_add_field(exchange, "WWW-Authenticate", "Bearer");
    http_exchange_fail(
        exchange, 401,
        result == -ENOENT ? "An admin token is needed (roost token --admin, or POST /api/v1/login)."
                          : token_problem(result));
    return false;
}

void control_caller(struct control_api *api, struct http_exchange *exchange,
                    char out[ROOM_MEMBER_SIZE])
{
    struct token_grants grants = { 0 };
    int result = token_verifier_check(api->config.tokens, http_exchange_bearer(exchange),
                                      clock_unix_us() / TIME_US_PER_S, &grants);
    const char *name = result < 0 ? "" : grants.user[0] ? grants.user : grants.id;
    snprintf(out, ROOM_MEMBER_SIZE, "%s", name);
}

struct room *control_room(struct control_api *api, struct http_exchange *exchange)
{
    if (!control_admit(api, exchange))
        return NULL;
    struct room *room =
        room_directory_find(api->config.rooms, http_exchange_parameter(exchange, "room"));
    if (!room)
        http_exchange_fail(exchange, 404, "There is no such room.");
    return room;
}

struct room_member *control_member(struct control_api *api, struct http_exchange *exchange)
{
    struct room *room = control_room(api, exchange);
    if (!room)
        return NULL;
    struct room_member *member =
        room_find_member(room, http_exchange_parameter(exchange, "participant"));
    if (!member)
        http_exchange_fail(exchange, 404, "There is no such participant in the room.");
    return member;
}

struct room_publication *control_track(struct control_api *api, struct http_exchange *exchange)
{
    struct room *room = control_room(api, exchange);
    if (!room)
        return NULL;
    struct room_publication *publication =
        room_find_publication(room, http_exchange_parameter(exchange, "track"));
    if (!publication)
        http_exchange_fail(exchange, 404, "There is no such track in the room.");
    return publication;
}

/** ---- bodies ---- */

json_t *control_body(struct http_exchange *exchange)
{
    struct bytes body = http_exchange_body(exchange);
    if (body.size == 0)
        return json_object();
    json_t *json = json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(json))
        return json;
    json_decref(json);
    http_exchange_fail(exchange, 400, "The body must be one JSON object.");
    return NULL;
}

static bool take_sources(json_t *value, uint8_t *denied)
{
    if (json_is_boolean(value)) {
        *denied = json_is_true(value) ? 0 : ROOM_SOURCES_ALL;
        return true;
    }
    if (!json_is_array(value))
        return false;
    uint8_t mask = ROOM_SOURCES_ALL;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *name = json_string_value(json_array_get(value, i));
        enum room_source source;
        if (!name || token_source_parse(bytes_of_text(name), &source) < 0)
            return false;
        mask &= (uint8_t) ~(1u << source);
    }
    *denied = mask;
    return true;
}

/** One line of printable text. */
static bool is_line(const char *text, size_t length, uint64_t max)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    }
    return length <= max;
}

static bool take_field(const struct control_field *field, json_t *value)
{
    switch (field->kind) {
    case CONTROL_TEXT:
        if (!json_is_string(value) ||
            !is_line(json_string_value(value), json_string_length(value), field->max))
            return false;
        *(const char **)field->value = json_string_value(value);
        return true;
    case CONTROL_NUMBER:
    case CONTROL_NUMBER_OR_NULL:
        if (field->kind == CONTROL_NUMBER_OR_NULL && json_is_null(value)) {
            *(uint64_t *)field->value = CONTROL_NULL;
            return true;
        }
        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            (uint64_t)json_integer_value(value) > field->max)
            return false;
        *(uint64_t *)field->value = (uint64_t)json_integer_value(value);
        return true;
    case CONTROL_FLAG:
        if (!json_is_boolean(value))
            return false;
        *(bool *)field->value = json_is_true(value);
        return true;
    case CONTROL_JSON:
        *(json_t **)field->value = value;
        return true;
    default:
        return take_sources(value, field->value);
    }
}

static bool refuse_field(struct http_exchange *exchange, const char *name, const char *what)
{
    char sentence[256];
    struct text_builder text = text_builder_of(sentence, sizeof(sentence));
    text_append_format(&text, "The field \"%.64s\" %s.", name, what);
    http_exchange_fail(exchange, 400, sentence);
    return false;
}

bool control_fields(struct http_exchange *exchange, json_t *body,
                    const struct control_field *fields, size_t count)
{
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_object_get(body, fields[i].name);
        if (!value && fields[i].required)
            return refuse_field(exchange, fields[i].name, "is needed");
        if (!value)
            continue;
        known++;
        if (fields[i].present)
            *fields[i].present = true;
        if (!take_field(&fields[i], value))
            return refuse_field(exchange, fields[i].name, "has a value that is not allowed");
    }
    if (known == json_object_size(body))
        return true;
    const char *name;
    json_t *value;
    json_object_foreach(body, name, value)
    {
        size_t i = 0;
        while (i < count && strcmp(fields[i].name, name) != 0)
            i++;
        if (i == count)
            return refuse_field(exchange, name, "is not known here");
    }
    return true;
}

bool control_is_name(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length >= ROOM_NAME_SIZE)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.';
        if (!good)
            return false;
    }
    return true;
}

/** ---- answers ---- */

void control_respond(struct http_exchange *exchange, unsigned status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    ensure(text);
    http_exchange_add_field(exchange, "Cache-Control", "no-store");
    http_exchange_respond(exchange, status, "application/json", bytes_of_text(text));
    free(text);
}

void control_done(struct control_api *api, struct http_exchange *exchange)
{
    room_directory_settle(api->config.rooms, loop_now_us(api->config.loop));
    api->config.changed(api->config.owner);
    http_exchange_respond(exchange, 204, NULL, (struct bytes){ 0 });
}
