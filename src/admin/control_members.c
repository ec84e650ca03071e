// The control API: members of rooms and their tracks.
#include <errno.h>

#include "admin/control_api_int.h"
#include "base/text.h"
#include "runtime/loop.h"

void control_members_list(struct http_exchange *exchange, void *owner)
{
    const struct room *room = control_room(owner, exchange);
    if (!room)
        return;
    json_t *array = json_array();
    const struct room_member *member;
    list_each(member, &room->members, node)
        json_array_append_new(array, control_member_json(member));
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
