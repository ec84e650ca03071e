/**
 * Rooms as the control thread sees them: members, what they publish, moderation, and who gets what
 * in which slot. No sockets, no JSON: every signaling binding and gateway joins people the same
 * way and hears of the others through its member's observer.
 *
 * A room's changes are told at once (`notify`), but slots are settled once per input of the
 * directory's owner: call room_directory_settle after each message, media event or tick.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/random.h"
#include "room/slots.h"

#define ROOM_NAME_SIZE    65 /**< with terminator, as all sizes here */
#define ROOM_MEMBER_SIZE  65 /**< display and user names */
#define ROOM_STATUS_SIZE  65
#define ROOM_ID_SIZE      12 /**< ids of members and tracks: a letter and 10 random ones */
#define ROOM_BAN_KEY_SIZE 128
#define ROOM_BANS_MAX     256
#define ROOM_SPEAKERS_MAX 16
/** In place of a number that a room has of its own. */
#define ROOM_SETTING_NONE UINT32_MAX

struct room;
struct room_directory;
struct room_member;

enum room_source {
    ROOM_SOURCE_CAMERA,
    ROOM_SOURCE_MICROPHONE,
    ROOM_SOURCE_SCREEN,
    ROOM_SOURCE_SCREEN_AUDIO,
    ROOM_SOURCE_OTHER,
    ROOM_SOURCE_COUNT,
};

#define ROOM_SOURCES_ALL ((1u << ROOM_SOURCE_COUNT) - 1)

/** What a member may not do. Zeros: everything is allowed. */
struct room_denials {
    uint8_t publish; /**< mask of 1 << enum room_source */
    bool subscribe;  /**< gets no tracks: its slots stay empty */
    bool data;       /**< sends no chat and no data */
};

/** The token that let a member in, so that it can be revoked while the member is here. */
struct room_pass {
    char id[ROOM_MEMBER_SIZE]; /**< "" : it has none */
    uint64_t issued_unix_s;    /**< 0: not known */
    bool used;                 /**< false: came in without a token */
};

enum room_media_state {
    ROOM_MEDIA_NONE,
    ROOM_MEDIA_CONNECTING,
    ROOM_MEDIA_CONNECTED,
    ROOM_MEDIA_DISCONNECTED,
    ROOM_MEDIA_FAILED,
};

enum room_left_reason {
    ROOM_LEFT_LEFT,
    ROOM_LEFT_LOST,
    ROOM_LEFT_KICKED,
    ROOM_LEFT_ENDED,
    ROOM_LEFT_MOVED, /**< to another room: room_move */
};

/** A published track: one sending section of a member. */
struct room_publication {
    struct list member_node; /**< in room_member.publications */
    struct room_member *member;
    char id[ROOM_ID_SIZE];
    char mid[MEDIA_MID_MAX];
    char name[ROOM_MEMBER_SIZE]; /**< "" when it has none */
    enum media_kind kind;
    enum room_source source;
    bool muted;
    bool blocked;
    bool live;
    bool encrypted; /**< end to end: payloads behind their descriptors are not readable here */
    bool speaking;
    uint8_t level_dbov;
    uint64_t order;                              /**< of publishing, in the room */
    struct media_layer layers[MEDIA_LAYERS_MAX]; /**< of video, smallest first */
    uint8_t demand;         /**< so many of the smallest are watched; only told after a change */
    uint64_t layers_serial; /**< never the same for other layers or another publication */
};

enum room_event_kind {
    ROOM_EVENT_MEMBER_JOINED,     /**< member */
    ROOM_EVENT_MEMBER_UPDATED,    /**< member */
    ROOM_EVENT_MEMBER_LEFT,       /**< member, reason */
    ROOM_EVENT_TRACK_PUBLISHED,   /**< publication */
    ROOM_EVENT_TRACK_UPDATED,     /**< publication */
    ROOM_EVENT_TRACK_UNPUBLISHED, /**< publication */
    ROOM_EVENT_UPDATED,           /**< room->locked */
    ROOM_EVENT_SPEAKERS,          /**< speakers, speaker_count */
    ROOM_EVENT_CHAT,              /**< member (NULL: the server) wrote text to `to` (NULL: all) */
    ROOM_EVENT_KEYS,              /**< member sent text about its keys */
    ROOM_EVENT_REMOVED,           /**< the observer's own member is gone: reason, text */
    ROOM_EVENT_SLOTS,             /**< slots, slot_count: the observer's own that changed */
    ROOM_EVENT_SLOTS_NEEDED,      /**< audio, video: the observer should offer so many */
    ROOM_EVENT_DEMAND,            /**< publication, the observer's own: other sizes are watched */
    ROOM_EVENT_TRACK_PAUSED,      /**< publication, pause: not sent to the observer, or again */
    ROOM_EVENT_MEDIA_STATE,       /**< the observer's own state; text: why it failed, or NULL */
};

/** Valid within the call. */
struct room_event {
    enum room_event_kind kind;
    /** Equal for all observers of one event, never repeated: a key for what a binding made of it.
     */
    uint64_t serial;
    struct room *room;
    struct room_member *member;
    struct room_publication *publication;
    enum room_left_reason reason;
    const char *text;
    const char *from_name; /**< CHAT without `member`: the server's own word, by this name */
    const char *to_room; /**< REMOVED because of ROOM_LEFT_MOVED: where to, and the token for it */
    const char *token;
    struct room_member *to;
    uint64_t time_ms;                         /**< CHAT: Unix time */
    struct room_publication *const *speakers; /**< loudest first */
    size_t speaker_count;
    const struct room_slot *const *slots;
    size_t slot_count;
    enum media_pause pause;
    uint32_t audio;
    uint32_t video;
};

/** Who hears what happens to and around a member. It must not call into rooms from within. */
struct room_observer {
    void (*notify)(struct room_observer *self, const struct room_event *event);
};

struct room_member {
    struct list node;           /**< in room.members or room.viewers */
    struct list unsettled_node; /**< in room.unsettled_members, or in none */
    struct room *room;
    struct room_observer *observer;
    char id[ROOM_ID_SIZE];
    char name[ROOM_MEMBER_SIZE];
    char user[ROOM_MEMBER_SIZE]; /**< "" when no token vouched for one */
    char status[ROOM_STATUS_SIZE];
    char ban_key[ROOM_BAN_KEY_SIZE];
    bool moderator;
    /** Announced to nobody and listed for nobody; it publishes and says nothing (viewers of a
     *  broadcast, recorders). */
    bool hidden;
    /** Hears of itself alone, not of the room: its coming costs no more than its own slots. */
    bool own_events_only;
    struct room_denials denials;
    struct room_pass pass;
    bool away;
    bool auto_subscribe;
    /** Wants what members of this name publish and nothing else; "": see auto_subscribe. */
    char follows[ROOM_MEMBER_SIZE];
    bool loopback;
    bool two_way;
    struct media_playout_delay playout_delay; /**< not set: the room's */
    enum room_media_state media_state;
    media_session media; /**< 0 before the first offer */
    struct list publications;
    uint32_t publication_count;
    /** By media kind: a moderator's mute holds for what is published after it, too. */
    bool blocked_kinds[MEDIA_DATA + 1];
    struct room_slots slots;
    struct map exceptions; /**< tracks wanted although others are not, or the other way, by id */
    struct map wishes;     /**< how tracks are shown: struct media_wish (heap) by track id */
    uint64_t order;        /**< of joining, in the room */
    uint64_t spoke_us;     /**< when it last began to speak; 0: never */
    uint32_t asked_audio;  /**< last SLOTS_NEEDED */
    uint32_t asked_video;
};

struct room {
    struct list unsettled_node; /**< in room_directory.unsettled, or in none */
    struct list empty_node;     /**< in room_directory.empty while there are no members */
    struct room_directory *directory;
    char name[ROOM_NAME_SIZE];
    uint64_t number;     /**< names it for media: never used again, not 0 */
    struct list members; /**< those who can be seen, in the order of joining */
    uint32_t member_count;
    /** Hidden members: a broadcast has tens of thousands, so that nothing one of them does may walk
     *  this list. Those who hear of the room come first. */
    struct list viewers;
    uint32_t viewer_count;
    struct map members_by_id; /**< viewers, too */
    struct map publications_by_id;
    /** All publications, most important first; `ranked_valid` false: to be sorted again. */
    struct room_publication **ranked;
    struct room_publication **ranking; /**< of the same capacity: where they are sorted */
    size_t ranked_count;
    size_t ranked_capacity;
    bool ranked_valid;
    bool slots_dirty;              /**< of everyone */
    struct list unsettled_members; /**< whose own wishes or slots changed */
    bool locked;
    bool kept;                 /**< see room_set_kept */
    uint32_t member_count_max; /**< of this room; 0: the directory's */
    uint32_t viewer_count_max; /**< the same of viewers */
    uint32_t loudest_audio;    /**< of this room; ROOM_SETTING_NONE: the directory's */
    struct media_playout_delay playout_delay; /**< not set: the directory's */
    bool speakers_dirty;
    uint64_t speakers_told_us;
    uint64_t next_order; /**< of members and publications */
    char (*bans)[ROOM_BAN_KEY_SIZE];
    uint32_t ban_count;
    uint64_t empty_since_us;
};

struct room_join {
    const char *name;
    const char *user;    /**< NULL: none */
    const char *ban_key; /**< what a kick keeps out: stable for the person where possible */
    bool moderator;      /**< a token says so; also opens a locked room */
    bool auto_subscribe;
    bool loopback;                            /**< see struct media_session_config */
    bool two_way;                             /**< likewise: its client knows calls, not rooms */
    struct media_playout_delay playout_delay; /**< not set: the room's */
    bool hidden;                              /**< see struct room_member */
    bool own_events_only;                     /**< with `hidden` only */
    const char *follows;                      /**< NULL: nobody in particular */
    struct room_denials denials;
    struct room_pass pass;
    struct room_observer *observer;
};

/** How many may be in the room that can be seen, or are hidden. */
uint32_t room_member_limit(const struct room *room);
uint32_t room_viewer_limit(const struct room *room);

/** Voices that are forwarded at a time; 0: all. */
uint32_t room_loudest_audio(const struct room *room);
/** How long the members' pictures are held back, unless they choose. */
struct media_playout_delay room_playout_delay(const struct room *room);
/**
 * Gives a room such settings of its own, ROOM_SETTING_NONE and a delay that is not set the
 * directory's. They hold at once, for those who are in, too.
 */
void room_set_loudest_audio(struct room *room, uint32_t places);
void room_set_playout_delay(struct room *room, struct media_playout_delay delay);

/**
 * Adds a member and tells the others. Returns 0; -ENOSPC (full), -EACCES (locked), -EPERM (kicked
 * before).
 */
must_check int room_join(struct room *room, const struct room_join *join,
                         struct room_member **ret_member);
/** Removes a member, closes its media and tells the others. The member is freed. */
void room_leave(struct room_member *member, uint64_t now_us, enum room_left_reason reason);
struct room_member *room_find_member(const struct room *room, const char *id);
/**
 * Walks everyone: members, then viewers. NULL begins; returns NULL at the end. The next one is to
 * be asked for before the current one is removed.
 */
struct room_member *room_next_member(const struct room *room, const struct room_member *current);
/** Whether anything is published and arrives, by a member of that name; "": by anyone. */
bool room_is_live(const struct room *room, const char *name);
struct room_publication *room_find_publication(const struct room *room, const char *id);
/** Whether the member may publish from a source (enum room_source). */
bool room_may_publish(const struct room_member *member, enum room_source source);
/** Whether the member may write chat and data messages. */
bool room_may_send(const struct room_member *member);
/** A text to all members (`to` NULL) or to one and its writer. */
void room_chat(struct room_member *from, struct room_member *to, const char *text,
               uint64_t time_ms);

/**
 * Passes an opaque text on, to one member or to all but the sender (`to` NULL): what members agree
 * on for end-to-end encryption.
 */
void room_pass_keys(struct room_member *from, struct room_member *to, const char *text);

/** A text of the server's own, to all or to one member. */
void room_announce(struct room *room, struct room_member *to, const char *from_name,
                   const char *text, uint64_t time_ms);

/** ---- moderation; the callers check that `by` is a moderator with room_may_moderate ---- */

bool room_may_moderate(const struct room_member *by);
/** Tells the member (`message` may be NULL), removes it, keeps it out. The member is freed. */
void room_kick(struct room_member *member, uint64_t now_us, const char *message);
void room_lock(struct room *room, bool locked);
/**
 * Stops or resumes forwarding of a publication at the server. What its member publishes of that
 * kind later begins blocked as well, until a moderator resumes one of the kind: publishing anew is
 * no way around.
 */
void room_block(struct room_publication *publication, bool blocked);
void room_promote(struct room_member *member);
/** Takes the role away; unlike room_leave nobody gets it instead. */
void room_demote(struct room_member *member);
/** Takes the member out and sends it to another room, which `token` admits it to. */
void room_move(struct room_member *member, uint64_t now_us, const char *to_room, const char *token);
/** As room_kick, but the member may come back. */
void room_remove(struct room_member *member, uint64_t now_us, const char *message);
/** Removes all members. */
void room_end(struct room *room, uint64_t now_us, const char *message);
