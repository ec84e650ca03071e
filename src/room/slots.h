/**
 * Which publication fills which slot of a member: the policy alone, without rooms or signaling.
 *
 * A member's receive-only sections are its slots. The n-th audio slot and the n-th video slot are a
 * pair (one media stream in the client). The caller gives its wishes by rank; the best that fit are
 * chosen per kind, and then:
 *  - what is chosen and fills a slot already stays where it is;
 *  - what is not chosen any more leaves its slot;
 *  - publications of one group (a member's microphone and camera) share a pair where they can;
 *  - publications without a partner prefer slots without a partner.
 */
#pragma once

#include "room/media_control.h"

/** Names a publication to the policy; never NULL in a wish. */
struct room_publication;

struct room_slot {
    char mid[MEDIA_MID_MAX];
    enum media_kind kind;               /**< audio or video */
    uint16_t pair;                      /**< its number among the slots of its kind */
    uint64_t group;                     /**< of what fills it */
    struct room_publication *filled_by; /**< NULL: empty */
    bool vacated;                       /**< what filled it is gone, and nobody was told yet */
    uint16_t section;                   /**< its place in the offer */
    bool wished;                        /**< `wish` holds, whatever fills the slot */
    struct media_wish wish;
};

struct room_slots {
    struct room_slot *items; /**< in the order of the offer */
    size_t count;
    uint32_t audio_count;
    uint32_t video_count;
};

struct room_slot_wish {
    struct room_publication *publication;
    uint64_t group;
    enum media_kind kind;
};

/** An empty set of slots. */
void room_slots_init(struct room_slots *slots);
/** Frees the set. Accepts a zeroed one. */
void room_slots_done(struct room_slots *slots);
/**
 * Takes over the slots of a new answer. A slot whose mid was there before with the same kind keeps
 * what fills it; others are empty. Sections that are no slots are skipped.
 */
void room_slots_update(struct room_slots *slots, const struct media_section *sections,
                       size_t section_count);
/**
 * Fills slots by the wishes, best first. `changed` has room for `slots->count` entries and gets the
 * indices of slots with new content, empty ones included. Returns how many.
 */
size_t room_slots_assign(struct room_slots *slots, const struct room_slot_wish *wishes,
                         size_t wish_count, uint16_t *changed);
/** Empties the slot that a publication fills, which is going away; told by the next assignment. */
void room_slots_vacate(struct room_slots *slots, const struct room_publication *publication);
/**
 * How many slots of a kind to have for `wanted` publications: rounded up, so that the next
 * few need no offer, and at most `limit`.
 */
uint32_t room_slots_suggest(uint32_t wanted, uint32_t limit);
