#include "room/slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define NONE UINT16_MAX
/** Slots are offered in steps, so that a few more members need no offer. */
#define SUGGEST_STEP 4

/** One assignment in progress. */
struct assignment {
    struct room_slots *slots;
    uint16_t place[2][MEDIA_SECTIONS_MAX]; /**< index of the slot, by kind and pair */
    bool taken[MEDIA_SECTIONS_MAX];        /**< by slot: keeps or got a chosen publication */
    const struct room_slot_wish *chosen[MEDIA_SECTIONS_MAX];
    uint16_t slot_of[MEDIA_SECTIONS_MAX]; /**< by chosen; NONE: not placed yet */
    size_t chosen_count;
};

void room_slots_init(struct room_slots *slots)
{
    *slots = (struct room_slots){ 0 };
}

void room_slots_done(struct room_slots *slots)
{
    free(slots->items);
    room_slots_init(slots);
}

static uint32_t *kind_count(struct room_slots *slots, enum media_kind kind)
{
    return kind == MEDIA_AUDIO ? &slots->audio_count : &slots->video_count;
}

static void take_over(struct room_slot *slot, const struct room_slots *old)
{
    for (size_t i = 0; i < old->count; i++) {
        const struct room_slot *before = &old->items[i];
        if (before->kind == slot->kind && strcmp(before->mid, slot->mid) == 0) {
            slot->filled_by = before->filled_by;
            slot->group = before->group;
            slot->vacated = before->vacated;
            slot->wished = before->wished;
            slot->wish = before->wish;
            return;
        }
    }
}

void room_slots_update(struct room_slots *slots, const struct media_section *sections,
                       size_t section_count)
{
    struct room_slots fresh = { 0 };
    section_count = min_of(section_count, (size_t)MEDIA_SECTIONS_MAX);
    fresh.items = memory_new_array(struct room_slot, max_of(section_count, (size_t)1));
    for (size_t i = 0; i < section_count; i++) {
        const struct media_section *section = &sections[i];
        if (!(section->role & MEDIA_SLOT) || section->kind == MEDIA_DATA)
            continue;
        struct room_slot *slot = &fresh.items[fresh.count++];
        memcpy(slot->mid, section->mid, sizeof(slot->mid));
        slot->kind = section->kind;
        slot->section = (uint16_t)i;
        slot->pair = (uint16_t)(*kind_count(&fresh, slot->kind))++;
        take_over(slot, slots);
    }
    room_slots_done(slots);
    *slots = fresh;
}

void room_slots_vacate(struct room_slots *slots, const struct room_publication *publication)
{
    for (size_t i = 0; i < slots->count; i++) {
        if (slots->items[i].filled_by == publication) {
            slots->items[i].filled_by = NULL;
            slots->items[i].vacated = true;
        }
    }
}

static void choose(struct assignment *assignment, const struct room_slot_wish *wishes,
                   size_t wish_count)
{
    uint32_t left[2] = { assignment->slots->audio_count, assignment->slots->video_count };
    for (size_t i = 0; i < wish_count && left[0] + left[1] > 0; i++) {
        if (left[wishes[i].kind] == 0)
            continue;
        left[wishes[i].kind]--;
        assignment->slot_of[assignment->chosen_count] = NONE;
        assignment->chosen[assignment->chosen_count++] = &wishes[i];
    }
}

/** What is chosen and fills a slot stays there. */
static void keep(struct assignment *assignment)
{
    struct room_slots *slots = assignment->slots;
    for (size_t i = 0; i < assignment->chosen_count; i++) {
        for (size_t s = 0; s < slots->count; s++) {
            if (slots->items[s].filled_by == assignment->chosen[i]->publication) {
                assignment->slot_of[i] = (uint16_t)s;
                assignment->taken[s] = true;
                break;
            }
        }
    }
}

/** The slot's partner of the other kind, or NONE. */
static uint16_t partner(const struct assignment *assignment, uint16_t slot)
{
    const struct room_slot *item = &assignment->slots->items[slot];
    enum media_kind other = item->kind == MEDIA_AUDIO ? MEDIA_VIDEO : MEDIA_AUDIO;
    return assignment->place[other][item->pair];
}

static bool is_free(const struct assignment *assignment, uint16_t slot)
{
    return slot != NONE && !assignment->taken[slot];
}

/** The free slot beside one that the group's other track has, or NONE. */
static uint16_t beside_partner(const struct assignment *assignment,
                               const struct room_slot_wish *wish)
{
    for (size_t i = 0; i < assignment->chosen_count; i++) {
        const struct room_slot_wish *other = assignment->chosen[i];
        if (other->group != wish->group || other->kind == wish->kind ||
            assignment->slot_of[i] == NONE)
            continue;
        uint16_t slot = partner(assignment, assignment->slot_of[i]);
        if (is_free(assignment, slot))
            return slot;
    }
    return NONE;
}

static bool partner_waits(const struct assignment *assignment, const struct room_slot_wish *wish)
{
    for (size_t i = 0; i < assignment->chosen_count; i++) {
        const struct room_slot_wish *other = assignment->chosen[i];
        if (other->group == wish->group && other->kind != wish->kind &&
            assignment->slot_of[i] == NONE)
            return true;
    }
    return false;
}

/**
 * The best free slot of the kind. Those who bring a partner want a pair that is free as a whole;
 * the others should leave these alone.
 */
static uint16_t best_free(const struct assignment *assignment, enum media_kind kind,
                          bool with_partner)
{
    uint32_t count = *kind_count(assignment->slots, kind);
    uint16_t any = NONE;
    for (uint32_t pair = 0; pair < count; pair++) {
        uint16_t slot = assignment->place[kind][pair];
        if (!is_free(assignment, slot))
            continue;
        if (is_free(assignment, partner(assignment, slot)) == with_partner)
            return slot;
        any = slot;
    }
    return any;
}

static void place_rest(struct assignment *assignment)
{
    for (size_t i = 0; i < assignment->chosen_count; i++) {
        if (assignment->slot_of[i] != NONE)
            continue;
        const struct room_slot_wish *wish = assignment->chosen[i];
        uint16_t slot = beside_partner(assignment, wish);
        if (slot == NONE)
            slot = best_free(assignment, wish->kind, partner_waits(assignment, wish));
        ensure(slot != NONE); // no more were chosen than there are slots
        assignment->slot_of[i] = slot;
        assignment->taken[slot] = true;
    }
}

static size_t apply(struct assignment *assignment, uint16_t *changed)
{
    struct room_slots *slots = assignment->slots;
    const struct room_slot_wish *content[MEDIA_SECTIONS_MAX];
    memset(content, 0, slots->count * sizeof(content[0]));
    for (size_t i = 0; i < assignment->chosen_count; i++)
        content[assignment->slot_of[i]] = assignment->chosen[i];
    size_t count = 0;
    for (size_t s = 0; s < slots->count; s++) {
        struct room_slot *slot = &slots->items[s];
        struct room_publication *publication = content[s] ? content[s]->publication : NULL;
        if (slot->filled_by != publication || slot->vacated)
            changed[count++] = (uint16_t)s;
        slot->filled_by = publication;
        slot->group = content[s] ? content[s]->group : 0;
        slot->vacated = false;
    }
    return count;
}

size_t room_slots_assign(struct room_slots *slots, const struct room_slot_wish *wishes,
                         size_t wish_count, uint16_t *changed)
{
    struct assignment assignment;
    ensure(slots->count <= MEDIA_SECTIONS_MAX);
    assignment.slots = slots;
    assignment.chosen_count = 0;
    memset(assignment.taken, 0, slots->count * sizeof(assignment.taken[0]));
    uint32_t pairs = max_of(slots->audio_count, slots->video_count);
    for (int kind = 0; kind < 2; kind++)
        memset(assignment.place[kind], 0xff, pairs * sizeof(assignment.place[kind][0]));
    for (size_t s = 0; s < slots->count; s++)
        assignment.place[slots->items[s].kind][slots->items[s].pair] = (uint16_t)s;
    choose(&assignment, wishes, wish_count);
    keep(&assignment);
    place_rest(&assignment);
    return apply(&assignment, changed);
}

uint32_t room_slots_suggest(uint32_t wanted, uint32_t limit)
{
    uint32_t rounded = (wanted + SUGGEST_STEP - 1) / SUGGEST_STEP * SUGGEST_STEP;
    return min_of(rounded, limit);
}
