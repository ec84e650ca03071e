/** All rooms of this server by name, their limits, and the media sessions of their members. */
#pragma once

#include "base/metric.h"
#include "room/member.h"
#include "room/watch.h"

struct room_directory_config {
    struct media_control *media;
    struct random *random; /**< the system's: ids are not to be guessed */
    uint32_t room_count_max;
    uint32_t member_count_max; /**< per room, of those who can be seen */
    uint32_t viewer_count_max; /**< per room, of hidden ones */
    uint32_t track_count_max;  /**< per member */
    uint32_t audio_slot_count_max;
    uint32_t video_slot_count_max;
    struct media_playout_delay playout_delay; /**< of members who do not choose */
    uint32_t last_speakers;                   /**< cameras that a member gets unasked; 0: all */
    uint32_t loudest_audio;    /**< voices of a room that are forwarded at a time; 0: all */
    uint64_t empty_timeout_us; /**< how long a room without members keeps its bans */
    bool auto_create;
    struct room_watcher *watcher; /**< hears of all rooms; NULL: nobody does */
};

enum room_directory_metric {
#define METRIC(id, kind, name, labels, help) ROOM_DIRECTORY_METRIC_##id,
#include "room/directory_metrics.def"
#undef METRIC
    ROOM_DIRECTORY_METRIC_COUNT,
};

struct room_directory {
    struct room_directory_config config;
    struct map rooms;      /**< struct room by name */
    struct map by_media;   /**< struct room_member by media session */
    struct list unsettled; /**< rooms with something to settle */
    struct list empty;     /**< rooms without members, those that are so for longest first */
    uint64_t next_serial;
    uint64_t last_number; /**< of a room */
    metric_value metrics[ROOM_DIRECTORY_METRIC_COUNT];
};

void room_directory_init(struct room_directory *directory,
                         const struct room_directory_config *config);
/** Takes new limits and settings; those who are in stay in. */
void room_directory_reload(struct room_directory *directory,
                           const struct room_directory_config *config);
/** Frees all rooms and members without telling anyone. Accepts a zeroed one. */
void room_directory_done(struct room_directory *directory);

struct room *room_directory_find(const struct room_directory *directory, const char *name);
/**
 * The room of that name, made when there is none and `may_create` or the configuration allow it.
 * Returns 0, -ENFILE (too many rooms) or -ENOENT.
 */
must_check int room_directory_open(struct room_directory *directory, uint64_t now_us,
                                   const char *name, bool may_create, struct room **ret_room);
/** Forgets a room that has no members, kept or not. -EBUSY when it has some. */
must_check int room_directory_forget(struct room *room);
/** A room that is kept stays when it is empty, with its lock and limits, until it is forgotten. */
void room_set_kept(struct room *room, bool kept, uint64_t now_us);
/** Takes an event of media. Settle after the last one. */
void room_directory_media_event(struct room_directory *directory, uint64_t now_us,
                                const struct media_event *event);
/** Fills slots and tells speakers of rooms that changed. Call it after every input. */
void room_directory_settle(struct room_directory *directory, uint64_t now_us);
/** Forgets rooms that were empty for long, settles what is due. */
void room_directory_tick(struct room_directory *directory, uint64_t now_us);
uint64_t room_directory_deadline(const struct room_directory *directory);
struct metric_set room_directory_metrics(const struct room_directory *directory);
