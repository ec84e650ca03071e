// The admin API of TURN.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "admin/turn_api_int.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/loop.h"
#include "server/turn_host.h"

#define PAGE_DEFAULT  100
#define PAGE_MAX      TURN_LIST_LIMIT_MAX
#define DRAIN_S_MAX   (30ull * 86400)
#define BODY_SIZE_MAX 4096

/** True when the token says so; else the request is answered. */
static bool admit(struct turn_api *api, struct http_exchange *exchange)
{
    struct token_grants grants;
    int result = turn_api_token(api, exchange, &grants);
    if (result == 0 && grants.admin)
        return true;
    metric_add(&api->metrics[TURN_API_ADMIN_REFUSED], 1);
    if (result == 0)
        http_exchange_fail(exchange, 403, "This token has no admin grant (roost token --admin).");
    else
        turn_api_refuse_token(exchange, result == -ENOENT
                                            ? "An admin token is needed (roost token --admin)."
                                            : token_problem(result));
    return false;
}

static void write_text(struct json_text *json, const char *key, const char *value)
{
    json_text_key(json, key);
    json_text_string(json, value);
}

static void write_number(struct json_text *json, const char *key, uint64_t value)
{
    json_text_key(json, key);
    json_text_number(json, value);
}

/** ---- the list ---- */

/** An answer under way, while workers are asked. */
struct question {
    struct turn_api *api;
    handle exchange;
    bool asking;   /**< turn_host_list has not returned yet */
    bool answered; /**< ...but has called back already */
};

static const char *transport_name(const struct turn_allocation_info *info)
{
    static const char *const names[TURN_TRANSPORTS] = {
        [TURN_UDP] = "udp", [TURN_TCP] = "tcp", [TURN_TLS] = "tls", [TURN_DTLS] = "dtls"
    };
    return names[info->transport];
}

static void write_traffic(struct json_text *json, const char *key, uint64_t packets, uint64_t bytes)
{
    json_text_key(json, key);
    json_text_open(json, '{');
    write_number(json, "packets", packets);
    write_number(json, "bytes", bytes);
    json_text_close(json, '}');
}

static void write_allocation(const struct turn_listed *listed, uint64_t now_us,
                             struct json_text *json)
{
    const struct turn_allocation_info *info = &listed->info;
    char text[NET_ADDRESS_TEXT_MAX], id[TURN_ID_TEXT_MAX];
    json_text_open(json, '{');
    write_text(json, "id", turn_id_format(listed->worker, info->id, id));
    write_text(json, "user", listed->name);
    write_text(json, "transport", transport_name(info));
    write_text(json, "client", net_address_format(&info->client, text));
    json_text_key(json, "relayed");
    json_text_open(json, '[');
    for (size_t i = 0; i < array_size(info->relayed); i++) {
        if (info->relayed[i].family != NET_NONE)
            json_text_string(json, net_address_format(&info->relayed[i], text));
    }
    json_text_close(json, ']');
    json_text_key(json, "tcp");
    json_text_boolean(json, info->tcp_relay);
    write_number(json, "age_s", (now_us - min_of(info->created_us, now_us)) / TIME_US_PER_S);
    write_number(json, "expires_in_s", (max_of(info->expires_us, now_us) - now_us) / TIME_US_PER_S);
    write_traffic(json, "sent", info->sent_packets, info->sent_bytes);
    write_traffic(json, "received", info->received_packets, info->received_bytes);
    write_number(json, "dropped_packets", info->dropped_packets);
    write_number(json, "permissions", info->permissions);
    write_number(json, "channels", info->channels);
    json_text_close(json, '}');
}

static void answer_list(struct turn_api *api, struct http_exchange *exchange,
                        const struct turn_listed *items, size_t count, const char *next)
{
    struct json_text json;
    json_text_init(&json);
    json_text_open(&json, '{');
    write_number(&json, "total", turn_host_allocation_count(api->config.turn));
    json_text_key(&json, "allocations");
    json_text_open(&json, '[');
    for (size_t i = 0; i < count; i++)
        write_allocation(&items[i], loop_now_us(api->config.loop), &json);
    json_text_close(&json, ']');
    json_text_key(&json, "next");
    if (*next)
        json_text_string(&json, next);
    else
        json_text_null(&json);
    json_text_close(&json, '}');
    turn_api_respond(exchange, 200, &json);
}

static struct question *question_new(struct turn_api *api, const struct http_exchange *exchange)
{
    struct question *question = memory_new(struct question);
    *question =
        (struct question){ .api = api, .exchange = http_exchange_handle(exchange), .asking = true };
    return question;
}

/** The exchange to answer, or NULL: its client has gone. */
static struct http_exchange *question_exchange(const struct question *question)
{
    const struct turn_api *api = question->api;
    return api->detached ? NULL : http_server_find_exchange(api->config.http, question->exchange);
}

/** Called back, or returned from asking: whichever comes last frees. */
static void question_answered(struct question *question)
{
    question->answered = true;
    if (!question->asking)
        free(question);
}

static void question_asked(struct question *question)
{
    question->asking = false;
    if (question->answered)
        free(question);
}

static void listed(void *owner, const struct turn_listed *items, size_t count, const char *next)
{
    struct question *question = owner;
    struct http_exchange *exchange = question_exchange(question);
    if (exchange)
        answer_list(question->api, exchange, items, count, next);
    question_answered(question);
}

/** A query parameter into `out`: 0, or -EINVAL; an absent one leaves "". */
static int take_parameter(const struct http_exchange *exchange, const char *name, char *out,
                          size_t capacity)
{
    out[0] = '\0';
    int result = http_exchange_query(exchange, name, out, capacity);
    return result < 0 && result != -ENOENT ? -EINVAL : 0;
}

static void handle_list(struct http_exchange *exchange, void *owner)
{
    struct turn_api *api = owner;
    if (!admit(api, exchange))
        return;
    char limit_text[16], after[TURN_ID_TEXT_MAX], user[TURN_USERNAME_MAX + 1];
    uint64_t limit = PAGE_DEFAULT;
    if (take_parameter(exchange, "limit", limit_text, sizeof(limit_text)) < 0 ||
        take_parameter(exchange, "after", after, sizeof(after)) < 0 ||
        take_parameter(exchange, "user", user, sizeof(user)) < 0 ||
        (*limit_text && text_parse_u64(bytes_of_text(limit_text), PAGE_MAX, &limit) < 0) ||
        limit == 0) {
        http_exchange_fail(exchange, 400, "limit is 1 to 1000, after and user are texts.");
        return;
    }
    struct question *question = question_new(api, exchange);
    turn_host_list(api->config.turn,
                   &(struct turn_list_query){ .username = *user ? user : NULL,
                                              .after = *after ? after : NULL,
                                              .limit = (size_t)limit },
                   listed, question);
    question_asked(question);
}

/** ---- kill ---- */

static void killed(void *owner, bool found)
{
    struct question *question = owner;
    struct http_exchange *exchange = question_exchange(question);
    if (exchange && found)
        http_exchange_respond(exchange, 204, NULL, (struct bytes){ 0 });
    else if (exchange)
        http_exchange_fail(exchange, 404, "There is no such allocation (any more).");
    question_answered(question);
}

static void handle_kill(struct http_exchange *exchange, void *owner)
{
    struct turn_api *api = owner;
    if (!admit(api, exchange))
        return;
    const char *id = http_exchange_parameter(exchange, "id");
    log_info(api->config.log, "allocation to be ended by the admin API", log_text("id", id),
             log_address("remote", http_exchange_remote(exchange)));
    struct question *question = question_new(api, exchange);
    turn_host_kill(api->config.turn, id, killed, question);
    question_asked(question);
}

/** ---- state and drain ---- */

static void answer_state(struct turn_api *api, struct http_exchange *exchange)
{
    struct turn_api_drain drain = api->config.drain_state(api->config.owner);
    uint64_t now_us = loop_now_us(api->config.loop);
    struct json_text json;
    json_text_init(&json);
    json_text_open(&json, '{');
    write_number(&json, "allocations", turn_host_allocation_count(api->config.turn));
    json_text_key(&json, "draining");
    json_text_boolean(&json, drain.on);
    json_text_key(&json, "deadline_in_s");
    if (drain.on)
        json_text_number(&json, (max_of(drain.deadline_us, now_us) - now_us) / TIME_US_PER_S);
    else
        json_text_null(&json);
    json_text_close(&json, '}');
    turn_api_respond(exchange, 200, &json);
}

static void handle_state(struct http_exchange *exchange, void *owner)
{
    struct turn_api *api = owner;
    if (admit(api, exchange))
        answer_state(api, exchange);
}

/** "deadline_s" of a JSON body; without one `ret_us` stays. Returns 0 or -EINVAL. */
static int take_deadline(struct bytes body, uint64_t *ret_us)
{
    if (body.size == 0)
        return 0;
    json_t *json = json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, NULL);
    json_t *deadline = json_object_get(json, "deadline_s");
    int result = json_is_object(json) ? 0 : -EINVAL;
    if (deadline && (!json_is_integer(deadline) || json_integer_value(deadline) < 0 ||
                     (uint64_t)json_integer_value(deadline) > DRAIN_S_MAX))
        result = -EINVAL;
    else if (deadline)
        *ret_us = (uint64_t)json_integer_value(deadline) * TIME_US_PER_S;
    json_decref(json);
    return result;
}

static void handle_drain(struct http_exchange *exchange, void *owner)
{
    struct turn_api *api = owner;
    if (!admit(api, exchange))
        return;
    uint64_t timeout_us = api->config.options->turn.drain_timeout_us;
    if (take_deadline(http_exchange_body(exchange), &timeout_us) < 0) {
        http_exchange_fail(exchange, 400,
                           "The body is empty or {\"deadline_s\": SECONDS}, at most 30 days.");
        return;
    }
    api->config.drain(api->config.owner, true, timeout_us);
    answer_state(api, exchange);
}

static void handle_undrain(struct http_exchange *exchange, void *owner)
{
    struct turn_api *api = owner;
    if (!admit(api, exchange))
        return;
    api->config.drain(api->config.owner, false, 0);
    answer_state(api, exchange);
}

int turn_admin_routes_add(struct turn_api *api)
{
    const struct http_route table[] = {
        { .methods = HTTP_METHOD_GET, .pattern = "/api/v1/admin/turn", .handle = handle_state },
        { .methods = HTTP_METHOD_GET,
          .pattern = "/api/v1/admin/turn/allocations",
          .handle = handle_list },
        { .methods = HTTP_METHOD_DELETE,
          .pattern = "/api/v1/admin/turn/allocations/{id}",
          .handle = handle_kill },
        { .methods = HTTP_METHOD_POST,
          .pattern = "/api/v1/admin/turn/drain",
          .handle = handle_drain },
        { .methods = HTTP_METHOD_POST,
          .pattern = "/api/v1/admin/turn/undrain",
          .handle = handle_undrain },
    };
    for (size_t i = 0; i < array_size(table); i++) {
        struct http_route route = table[i];
        route.owner = api;
        route.body_size_max = BODY_SIZE_MAX;
        int result = http_server_add_route(api->config.http, &route);
        if (result < 0)
            return result;
    }
    return 0;
}
