// The control API: rooms.
#include <errno.h>

#include "admin/control_api_int.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/loop.h"

#define MESSAGE_MAX 4096
#define LIST_MAX    10000

#define LOUDEST_AUDIO_MAX 256
#define PLAYOUT_DELAY_MAX 10000 /* milliseconds */

/** What a room has of its own; CONTROL_NULL: nothing, the configuration's holds. */
struct media_settings {
    uint64_t loudest_audio;
    uint64_t playout_delay_ms;
};

static struct media_settings media_settings_of(const struct room *room)
{
    return (struct media_settings){
        .loudest_audio =
            room->loudest_audio == ROOM_SETTING_NONE ? CONTROL_NULL : room->loudest_audio,
        .playout_delay_ms = room->playout_delay.set ? room->playout_delay.ms : CONTROL_NULL,
    };
}

static void apply_media_settings(struct room *room, const struct media_settings *settings)
{
    room_set_loudest_audio(room, settings->loudest_audio == CONTROL_NULL
                                     ? ROOM_SETTING_NONE
                                     : (uint32_t)settings->loudest_audio);
    bool set = settings->playout_delay_ms != CONTROL_NULL;
    room_set_playout_delay(room, (struct media_playout_delay){
                                     .set = set,
                                     .ms = set ? (uint16_t)settings->playout_delay_ms : 0,
                                 });
}

void control_rooms_list(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    if (!control_admit(api, exchange))
        return;
    json_t *array = json_array();
    size_t cursor = 0;
    void *room;
    while (json_array_size(array) < LIST_MAX &&
           map_next(&api->config.rooms->rooms, &cursor, NULL, &room))
        json_array_append_new(array, control_room_json(room));
    control_respond(exchange, 200, json_pack("{s:o}", "rooms", array));
}

void control_rooms_create(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    const char *name = "";
    uint64_t limit = 0, hidden_limit = 0;
    bool locked = false, kept = true;
    struct media_settings media = { CONTROL_NULL, CONTROL_NULL };
    if (!control_admit(api, exchange))
        return;
    json_t *body = control_body(exchange);
    if (!body)
        return;
    const struct control_field fields[] = {
        { "name", CONTROL_TEXT, ROOM_NAME_SIZE - 1, true, &name, NULL },
        { "max_participants", CONTROL_NUMBER, UINT32_MAX, false, &limit, NULL },
        { "max_hidden", CONTROL_NUMBER, UINT32_MAX, false, &hidden_limit, NULL },
        { "locked", CONTROL_FLAG, 0, false, &locked, NULL },
        { "kept", CONTROL_FLAG, 0, false, &kept, NULL },
        { "loudest_audio", CONTROL_NUMBER_OR_NULL, LOUDEST_AUDIO_MAX, false, &media.loudest_audio,
          NULL },
        { "playout_delay", CONTROL_NUMBER_OR_NULL, PLAYOUT_DELAY_MAX, false,
          &media.playout_delay_ms, NULL },
    };
    uint64_t now_us = loop_now_us(api->config.loop);
    struct room *room;
    if (!control_fields(exchange, body, fields, array_size(fields))) {
    } else if (!control_is_name(name)) {
        http_exchange_fail(exchange, 400, "A room's name has 1 to 64 letters, digits, - _ or .");
    } else if (room_directory_find(api->config.rooms, name)) {
        http_exchange_fail(exchange, 409, "There is a room of this name.");
    } else if (room_directory_open(api->config.rooms, now_us, name, true, &room) < 0) {
        http_exchange_fail(exchange, 503, "The server holds as many rooms as it may.");
    } else {
        room->member_count_max = (uint32_t)limit;
        room->viewer_count_max = (uint32_t)hidden_limit;
        room_lock(room, locked);
        room_set_kept(room, kept, now_us);
        apply_media_settings(room, &media);
        api->config.changed(api->config.owner);
        control_respond(exchange, 201, control_room_json(room));
    }
    json_decref(body);
}

void control_room_get(struct http_exchange *exchange, void *owner)
{
    const struct room *room = control_room(owner, exchange);
    if (room)
        control_respond(exchange, 200, control_room_json(room));
}

void control_room_update(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    struct room *room = control_room(api, exchange);
    json_t *body = room ? control_body(exchange) : NULL;
    if (!body)
        return;
    uint64_t limit = room->member_count_max, hidden_limit = room->viewer_count_max;
    bool locked = room->locked, kept = room->kept;
    struct media_settings media = media_settings_of(room);
    const struct control_field fields[] = {
        { "max_participants", CONTROL_NUMBER, UINT32_MAX, false, &limit, NULL },
        { "max_hidden", CONTROL_NUMBER, UINT32_MAX, false, &hidden_limit, NULL },
        { "locked", CONTROL_FLAG, 0, false, &locked, NULL },
        { "kept", CONTROL_FLAG, 0, false, &kept, NULL },
        { "loudest_audio", CONTROL_NUMBER_OR_NULL, LOUDEST_AUDIO_MAX, false, &media.loudest_audio,
          NULL },
        { "playout_delay", CONTROL_NUMBER_OR_NULL, PLAYOUT_DELAY_MAX, false,
          &media.playout_delay_ms, NULL },
    };
    if (control_fields(exchange, body, fields, array_size(fields))) {
        room->member_count_max = (uint32_t)limit;
        room->viewer_count_max = (uint32_t)hidden_limit;
        room_lock(room, locked);
        room_set_kept(room, kept, loop_now_us(api->config.loop));
        apply_media_settings(room, &media);
        api->config.changed(api->config.owner);
        control_respond(exchange, 200, control_room_json(room));
    }
    json_decref(body);
}

void control_room_end(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    struct room *room = control_room(api, exchange);
    if (!room)
        return;
    char message[256] = "";
    int result = http_exchange_query(exchange, "message", message, sizeof(message));
    if (result < 0 && result != -ENOENT) {
        http_exchange_fail(exchange, 400, "message is a text of at most 255 bytes.");
        return;
    }
    uint64_t now_us = loop_now_us(api->config.loop);
    log_info(api->config.log, "room ended by the control API", log_text("room", room->name));
    room_end(room, now_us, *message ? message : "The operator ended the meeting.");
    room_directory_settle(api->config.rooms, now_us);
    (void)!room_directory_forget(room); // empty now
    control_done(api, exchange);
}

void control_room_message(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    struct room *room = control_room(api, exchange);
    json_t *body = room ? control_body(exchange) : NULL;
    if (!body)
        return;
    const char *text = "", *to_id = NULL, *name = "Server";
    const struct control_field fields[] = {
        { "text", CONTROL_TEXT, MESSAGE_MAX, true, &text, NULL },
        { "to", CONTROL_TEXT, ROOM_ID_SIZE - 1, false, &to_id, NULL },
        { "name", CONTROL_TEXT, ROOM_MEMBER_SIZE - 1, false, &name, NULL },
    };
    struct room_member *to = NULL;
    if (!control_fields(exchange, body, fields, array_size(fields))) {
    } else if (to_id && !(to = room_find_member(room, to_id))) {
        http_exchange_fail(exchange, 404, "There is no such participant in the room.");
    } else if (!*text || !*name) {
        http_exchange_fail(exchange, 400, "text and name may not be empty.");
    } else {
        room_announce(room, to, name, text, clock_unix_us() / TIME_US_PER_MS);
        control_done(api, exchange);
    }
    json_decref(body);
}
