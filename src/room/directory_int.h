/** What room.c, member.c, settle.c and directory.c share. */
#pragma once

#include "room/directory.h"

/** Tells all who hear of the room but `except` (NULL: all). Sets the event's room and serial. */
void room_broadcast(struct room *room, struct room_event *event, const struct room_member *except);
/** Tells all who hear of the room, or only the member itself when it is hidden, but never `except`.
 */
void room_tell_of_member(struct room_member *member, struct room_event *event,
                         const struct room_member *except);
/** Tells the directory's watcher, if any. Sets the event's room. */
void room_watch(const struct room *room, struct room_watch_event *event);
/** Tells one member. */
void room_tell(struct room_member *member, struct room_event *event);
/** A new id: `letter` and ROOM_ID_SIZE - 2 random letters and digits. */
void room_make_id(struct room_directory *directory, char letter, char out[ROOM_ID_SIZE]);
/** Everyone may get something else: to be settled. */
void room_mark_slots(struct room *room);
/** The same, if publications turn out to be in another order than before. */
void room_mark_ranking(struct room *room);
/** Only this member wants something else: the others' slots stay as they are. */
void room_mark_member_slots(struct room_member *member);
void room_mark_speakers(struct room *room);

/** offer_check.c: refuses an offer before it is answered; errors as room_member_offer. */
must_check int room_offer_check(const struct room_member *member, const struct room_offer *offer,
                                const char **ret_problem);

/** What a track of that kind is when nobody says it. */
enum room_source room_source_usual(enum media_kind kind);
/** Stops or resumes the forwarding of one publication, and tells all. */
void room_set_blocked(struct room_publication *publication, bool blocked);

/** Closes the member's media, if any: its publications and slots go. `silent`: nobody is told. */
void room_member_close_media(struct room_member *member, bool silent);
/** Tells everyone that the member changed. */
void room_member_tell_updated(struct room_member *member);
/** Fills the slots of one member; `quiet`: the member is not told. */
void room_member_settle(struct room_member *member, bool quiet);

/** How long a member's pictures are held back. */
struct media_playout_delay room_member_playout_delay(const struct room_member *member);
/** Tells media again what holds for the room, if it does not know. */
void room_tell_media(struct room *room);

/** Neither members nor viewers. */
bool room_has_nobody(const struct room *room);
void room_free(struct room *room);
/** Frees a member that is in no room's list any more. */
void room_member_free(struct room_member *member);

static inline void room_count(struct room_directory *directory, enum room_directory_metric metric,
                              uint64_t amount)
{
    metric_add(&directory->metrics[metric], amount);
}
