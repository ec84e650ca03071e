// The control API: tokens for the operator's own pages, and revoked ones.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/control_api_int.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/loop.h"

#define VALID_DEFAULT_S 86400
#define VALID_MAX_S     (10ull * 365 * 86400)
#define TIME_MAX        1000000000000ull

static void copy(char out[TOKEN_NAME_SIZE], const char *text)
{
    ensure(text_copy(out, TOKEN_NAME_SIZE, bytes_of_text(text)) == 0); // the field had a limit
}

void control_token_make(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    json_t *body = control_admit(api, exchange) ? control_body(exchange) : NULL;
    if (!body)
        return;
    const char *room = "", *user = "", *name = "", *id = "";
    uint64_t valid_s = VALID_DEFAULT_S, now_s = clock_unix_us() / TIME_US_PER_S;
    bool subscribe = true, data = true;
    struct token_grants grants = { 0 };
    const uint64_t longest = TOKEN_NAME_SIZE - 1;
    const struct control_field fields[] = {
        { "room", CONTROL_TEXT, longest, false, &room, NULL },
        { "user", CONTROL_TEXT, longest, false, &user, NULL },
        { "name", CONTROL_TEXT, longest, false, &name, NULL },
        { "jti", CONTROL_TEXT, longest, false, &id, NULL },
        { "valid_s", CONTROL_NUMBER, VALID_MAX_S, false, &valid_s, NULL },
        { "publish", CONTROL_SOURCES, 0, false, &grants.denials.publish, NULL },
        { "subscribe", CONTROL_FLAG, 0, false, &subscribe, NULL },
        { "data", CONTROL_FLAG, 0, false, &data, NULL },
        { "moderate", CONTROL_FLAG, 0, false, &grants.moderator, NULL },
        { "record", CONTROL_FLAG, 0, false, &grants.record, NULL },
        { "hidden", CONTROL_FLAG, 0, false, &grants.hidden, NULL },
    };
    if (control_fields(exchange, body, fields, array_size(fields))) {
        copy(grants.room, room);
        copy(grants.user, user);
        copy(grants.name, name);
        copy(grants.id, id);
        grants.denials.subscribe = !subscribe;
        grants.denials.data = !data;
        grants.expires_unix_s = now_s + valid_s;
        char *token = token_mint(&grants, api->config.token_key(api->config.owner), now_s);
        control_respond(
            exchange, 201,
            json_pack("{s:s,s:I}", "token", token, "expires", (json_int_t)grants.expires_unix_s));
        free(token);
    }
    json_decref(body);
}

void control_revocations_get(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    if (control_admit(api, exchange))
        control_respond(exchange, 200, token_revocations_write(&api->config.tokens->revocations));
}

/** Members whose token is revoked now leave. */
static void remove_revoked(struct control_api *api)
{
    uint64_t now_us = loop_now_us(api->config.loop);
    size_t cursor = 0;
    void *item;
    while (map_next(&api->config.rooms->rooms, &cursor, NULL, &item)) {
        struct room *room = item;
        struct room_member *member;
        for (struct room_member *next = room_next_member(room, NULL); (member = next);) {
            next = room_next_member(room, member);
            if (!member->pass.used ||
                !token_revocations_cover(&api->config.tokens->revocations, member->pass.id,
                                         member->user, member->pass.issued_unix_s))
                continue;
            metric_add(&api->metrics[CONTROL_API_REVOKED_MEMBERS], 1);
            room_remove(member, now_us, "Your invitation was revoked.");
        }
    }
}

/** What was asked is done when it is on the disk, and not before. */
static void save(struct control_api *api, struct http_exchange *exchange)
{
    int result = api->config.save_revocations(api->config.owner);
    if (result == 0) {
        control_done(api, exchange);
        return;
    }
    log_failure(api->config.log, "revoked tokens could not be written",
                log_text("error", strerror(-result)));
    http_exchange_fail(exchange, 500,
                       "It holds until the server stops, but could not be written to disk.");
}

/** The one of three ways to name tokens that a body has. */
struct target {
    const char *id;
    const char *user;
    uint64_t before;
    bool has_before;
};

static bool read_target(struct http_exchange *exchange, json_t *body, struct target *target)
{
    const struct control_field fields[] = {
        { "jti", CONTROL_TEXT, TOKEN_NAME_SIZE - 1, false, &target->id, NULL },
        { "user", CONTROL_TEXT, TOKEN_NAME_SIZE - 1, false, &target->user, NULL },
        { "issued_before", CONTROL_NUMBER, TIME_MAX, false, &target->before, &target->has_before },
    };
    if (!control_fields(exchange, body, fields, array_size(fields)))
        return false;
    bool good = target->id ? *target->id && !target->user && !target->has_before
                           : target->has_before || (target->user && *target->user);
    if (!good)
        http_exchange_fail(exchange, 400,
                           "Name tokens by jti, by user (with issued_before or up to now), or all "
                           "by issued_before.");
    return good;
}

void control_revoke(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    json_t *body = control_admit(api, exchange) ? control_body(exchange) : NULL;
    if (!body)
        return;
    struct token_revocations *list = &api->config.tokens->revocations;
    uint64_t now_s = clock_unix_us() / TIME_US_PER_S;
    struct target target = { 0 };
    int result = 0;
    if (!read_target(exchange, body, &target)) {
        json_decref(body);
        return;
    }
    if (target.id)
        result = token_revocations_add_id(list, target.id, now_s);
    else if (target.user)
        // those of this second, too
        result = token_revocations_add_user(list, target.user,
                                            target.has_before ? target.before : now_s + 1);
    else
        list->issued_before_unix_s = max_of(list->issued_before_unix_s, target.before);
    json_decref(body);
    if (result < 0) {
        http_exchange_fail(exchange, 507, "As many tokens are revoked as the server can hold.");
        return;
    }
    log_info(api->config.log, "tokens revoked by the control API");
    remove_revoked(api);
    save(api, exchange);
}

/** A text of the query, "" when absent. False, with 400 answered, when it cannot be one. */
static bool take_query(struct http_exchange *exchange, const char *name, char out[TOKEN_NAME_SIZE])
{
    out[0] = '\0';
    int result = http_exchange_query(exchange, name, out, TOKEN_NAME_SIZE);
    if (result >= 0 || result == -ENOENT)
        return true;
    http_exchange_fail(exchange, 400, "jti and user are texts of at most 64 bytes.");
    return false;
}

void control_unrevoke(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    char id[TOKEN_NAME_SIZE], user[TOKEN_NAME_SIZE];
    if (!control_admit(api, exchange) || !take_query(exchange, "jti", id) ||
        !take_query(exchange, "user", user))
        return;
    struct token_revocations *list = &api->config.tokens->revocations;
    if (!*id == !*user)
        http_exchange_fail(exchange, 400, "Name what was revoked by jti or by user.");
    else if (*id ? token_revocations_remove_id(list, id)
                 : token_revocations_remove_user(list, user))
        save(api, exchange);
    else
        http_exchange_fail(exchange, 404, "That was not revoked.");
}
