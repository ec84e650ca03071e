/** Who hears of all rooms at once (webhooks, recorders), besides the members' own observers. */
#pragma once

#include "room/room.h"

enum room_watch_kind {
    ROOM_WATCH_ROOM_STARTED,      /**< a room was made */
    ROOM_WATCH_ROOM_ENDED,        /**< a room without members was forgotten */
    ROOM_WATCH_MEMBER_JOINED,     /**< member, hidden ones too */
    ROOM_WATCH_MEMBER_LEFT,       /**< member, reason */
    ROOM_WATCH_TRACK_PUBLISHED,   /**< member, publication */
    ROOM_WATCH_TRACK_UNPUBLISHED, /**< member, publication */
};

/** Valid within the call. */
struct room_watch_event {
    enum room_watch_kind kind;
    const struct room *room;
    const struct room_member *member;
    const struct room_publication *publication;
    enum room_left_reason reason;
};

/** It must not call into rooms from within. */
struct room_watcher {
    void (*notify)(struct room_watcher *self, const struct room_watch_event *event);
};
