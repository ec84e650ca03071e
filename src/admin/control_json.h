/** Rooms, members and tracks as the control API and webhooks show them. */
#pragma once

#include <jansson.h>

#include "room/room.h"

/** New objects; the caller owns them. */
json_t *control_room_json(const struct room *room);
json_t *control_member_json(const struct room_member *member);
json_t *control_track_json(const struct room_publication *publication);
/** "kicked" and the like. */
const char *control_reason_name(enum room_left_reason reason);
