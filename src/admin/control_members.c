// The control API: members of rooms and their tracks.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/control_api_int.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/loop.h"

/** A client that was away comes back within its resume window. */
#define MOVE_VALID_S 600

void control_members_list(struct http_exchange *exchange, void *owner)
{
    const struct room *room = control_room(owner, exchange);
    if (!room)
        return;
    char hidden[8];
    int result = http_exchange_query(exchange, "hidden", hidden, sizeof(hidden));
    // a broadcast has tens of thousands of them
    bool visible_only = result > 0 && strcmp(hidden, "false") == 0;
    json_t *array = json_array();
    const struct room_member *member = NULL;
    while ((member = room_next_member(room, member))) {
        if (member->hidden && visible_only)
            break; // they come last
        json_array_append_new(array, control_member_json(member));
    }
    control_respond(exchange, 200, json_pack("{s:o}", "participants", array));
}

void control_member_get(struct http_exchange *exchange, void *owner)
{
    const struct room_member *member = control_member(owner, exchange);
    if (member)
        control_respond(exchange, 200, control_member_json(member));
}

void control_member_update(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    struct room_member *member = control_member(api, exchange);
    json_t *body = member ? control_body(exchange) : NULL;
    if (!body)
        return;
    const char *name = NULL, *status = NULL;
    struct room_denials denials = member->denials;
    bool moderator = member->moderator, subscribe = !denials.subscribe, data = !denials.data;
    const struct control_field fields[] = {
        { "name", CONTROL_TEXT, ROOM_MEMBER_SIZE - 1, false, &name, NULL },
        { "status", CONTROL_TEXT, ROOM_STATUS_SIZE - 1, false, &status, NULL },
        { "moderator", CONTROL_FLAG, 0, false, &moderator, NULL },
        { "publish", CONTROL_SOURCES, 0, false, &denials.publish, NULL },
        { "subscribe", CONTROL_FLAG, 0, false, &subscribe, NULL },
        { "data", CONTROL_FLAG, 0, false, &data, NULL },
    };
    if (control_fields(exchange, body, fields, array_size(fields))) {
        denials.subscribe = !subscribe;
        denials.data = !data;
        room_member_set_denials(member, &denials);
        room_member_update(member, name && *name ? name : NULL, status);
        if (moderator)
            room_promote(member);
        else
            room_demote(member);
        room_directory_settle(api->config.rooms, loop_now_us(api->config.loop));
        api->config.changed(api->config.owner);
        control_respond(exchange, 200, control_member_json(member));
    }
    json_decref(body);
}

void control_member_kick(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    struct room_member *member = control_member(api, exchange);
    if (!member)
        return;
    char message[256] = "";
    int result = http_exchange_query(exchange, "message", message, sizeof(message));
    if (result < 0 && result != -ENOENT) {
        http_exchange_fail(exchange, 400, "message is a text of at most 255 bytes.");
        return;
    }
    log_info(api->config.log, "participant removed by the control API",
             log_text("room", member->room->name), log_text("participant", member->id));
    room_kick(member, loop_now_us(api->config.loop),
              *message ? message : "The operator removed you from the room.");
    control_done(api, exchange);
}

/** What the member has here, for another room. */
static struct token_grants grants_for(const struct room_member *member, const char *room,
                                      uint64_t now_s)
{
    struct token_grants grants = { .moderator = member->moderator,
                                   .hidden = member->hidden,
                                   .denials = member->denials,
                                   .expires_unix_s = now_s + MOVE_VALID_S };
    snprintf(grants.room, sizeof(grants.room), "%s", room);
    snprintf(grants.user, sizeof(grants.user), "%s", member->user);
    // revoking the token that it came with ends this one, too
    snprintf(grants.id, sizeof(grants.id), "%s", member->pass.id);
    return grants;
}

void control_member_move(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    struct room_member *member = control_member(api, exchange);
    json_t *body = member ? control_body(exchange) : NULL;
    if (!body)
        return;
    const char *room = "";
    const struct control_field fields[] = {
        { "room", CONTROL_TEXT, ROOM_NAME_SIZE - 1, true, &room, NULL },
    };
    if (!control_fields(exchange, body, fields, array_size(fields))) {
    } else if (!control_is_name(room) || strcmp(room, member->room->name) == 0) {
        http_exchange_fail(exchange, 400, "room is the name of another room.");
    } else {
        uint64_t now_s = clock_unix_us() / TIME_US_PER_S;
        struct token_grants grants = grants_for(member, room, now_s);
        char *token = token_mint(&grants, api->config.token_key(api->config.owner), now_s);
        log_info(api->config.log, "participant moved by the control API",
                 log_text("participant", member->id), log_text("to", room));
        room_move(member, loop_now_us(api->config.loop), room, token);
        free(token);
        control_done(api, exchange);
    }
    json_decref(body);
}

void control_tracks_list(struct http_exchange *exchange, void *owner)
{
    const struct room *room = control_room(owner, exchange);
    if (!room)
        return;
    json_t *array = json_array();
    const struct room_member *member;
    const struct room_publication *publication;
    list_each(member, &room->members, node)
    {
        list_each(publication, &member->publications, member_node)
            json_array_append_new(array, control_track_json(publication));
    }
    control_respond(exchange, 200, json_pack("{s:o}", "tracks", array));
}

void control_track_update(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    struct room_publication *publication = control_track(api, exchange);
    json_t *body = publication ? control_body(exchange) : NULL;
    if (!body)
        return;
    bool blocked = publication->blocked;
    const struct control_field fields[] = {
        { "blocked", CONTROL_FLAG, 0, true, &blocked, NULL },
    };
    if (control_fields(exchange, body, fields, array_size(fields))) {
        room_block(publication, blocked);
        room_directory_settle(api->config.rooms, loop_now_us(api->config.loop));
        api->config.changed(api->config.owner);
        control_respond(exchange, 200, control_track_json(publication));
    }
    json_decref(body);
}
