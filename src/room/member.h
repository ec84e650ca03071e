/** What a member does in its room: its media, its subscriptions, how it shows itself. */
#pragma once

#include "room/room.h"

/** What a client says about a section in which it sends. */
struct room_track_offer {
    const char *mid;
    enum room_source source;
    const char *name; /**< NULL: none */
    bool muted;
    bool encrypted;
};

struct room_offer {
    struct bytes sdp;
    const struct room_track_offer *tracks;
    size_t track_count;
    bool fresh; /**< a new peer connection: close the former one first */
    /** Nobody says what the tracks are: sound is of a microphone, video of a camera. */
    bool plain;
};

/**
 * Answers an offer and takes over its publications and slots; the member's own slots are filled
 * when this returns, silently. Returns 0 with `ret_answer` (the caller frees `sdp` and `sections`);
 * -EINVAL with a sentence in `ret_problem`; -E2BIG: too many tracks (an offer of the client's that
 * is not answered leaves all as it was); -EACCES: a track from a source that the member may not
 * publish, with a sentence; -ENOSPC: the media server is full.
 */
must_check int room_member_offer(struct room_member *member, const struct room_offer *offer,
                                 struct media_answer *ret_answer, const char **ret_problem);
/** Sets name and status; NULL leaves one as it is. Both fit their sizes. */
void room_member_update(struct room_member *member, const char *name, const char *status);
/**
 * Changes what the member may do: its tracks from sources that are denied now are blocked, those
 * that are allowed again resume, slots are filled or emptied.
 */
void room_member_set_denials(struct room_member *member, const struct room_denials *denials);
/** The signaling connection of the member is lost, or back. */
void room_member_set_away(struct room_member *member, bool away);
/** Says that an own publication is muted or not. */
void room_publication_mute(struct room_publication *publication, bool muted);
/** Wants a publication or does not. */
void room_member_subscribe(struct room_member *member, struct room_publication *publication,
                           bool wanted);
/** Says how a video track is shown; ignored for audio and own tracks. */
void room_member_wish(struct room_member *member, struct room_publication *publication,
                      const struct media_wish *wish);
/** Whether a track is read rather than watched: a shared screen. */
bool room_publication_is_read(const struct room_publication *publication);
/** What was said of a track, or what is usual for its source. */
struct media_wish room_member_wish_of(const struct room_member *member,
                                      const struct room_publication *publication);
/**
 * Says how a video slot is shown, whatever fills it; NULL: as what fills it. Returns 0, or -ENOENT
 * when the member has no video slot at that place of its offer.
 */
must_check int room_member_wish_slot(struct room_member *member, uint16_t section,
                                     const struct media_wish *wish);
/** The first video slot of a member, or the one at that place of the offer; NULL: there is none. */
const struct room_slot *room_member_video_slot(const struct room_member *member, int section);
/** Whether a wanted publication was asked for: by subscribing to it, or by a priority above usual.
 */
bool room_member_asked_for(const struct room_member *member,
                           const struct room_publication *publication);
bool room_member_wants(const struct room_member *member,
                       const struct room_publication *publication);
struct room_publication *room_member_find_mid(const struct room_member *member, const char *mid);
/** How many slots a member who joins now should offer first. */
void room_suggest_slots(const struct room *room, const struct room_member *member,
                        uint32_t *ret_audio, uint32_t *ret_video);

/** What media reports of this member's session. */
void room_member_media_event(struct room_member *member, uint64_t now_us,
                             const struct media_event *event);
