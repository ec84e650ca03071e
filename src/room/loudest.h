/**
 * The loudest few of a room's voices: of many microphones that are on, only some are heard at a
 * time, and only those are worth sending. Decided packet by packet from the levels that senders
 * put into them (RFC 6464), on each worker for its own receivers; all see the same levels.
 *
 * A voice gets a place with its first loud packet, so that no word loses its beginning, and keeps
 * it over pauses for breath. A room with no more voices than places is left alone.
 */
#pragma once

#include "base/compiler.h"
#include "base/list.h"

/** Loudness of packets that do not tell it: as of somebody who speaks. */
#define LOUDEST_UNKNOWN 90
/** Places of a room by default. */
#define LOUDEST_PLACES_DEFAULT 5

struct loudest {
    uint32_t places;
    uint32_t chosen_count;
    uint32_t voice_count;
    struct list voices;
};

/** One audio track; part of it. Zeroed: in no group, always heard. */
struct loudest_voice {
    struct list node;
    struct loudest *loudest; /**< NULL: in none */
    uint8_t peak;            /**< 127 - level, 0 silent: it fades with time */
    bool chosen;
    uint64_t peak_us;
    uint64_t loud_us;   /**< when it was last loud enough to be speech */
    uint64_t chosen_us; /**< since when it has its place */
};

void loudest_init(struct loudest *loudest, uint32_t places);
/** Other places from now on; 0: everyone has one. */
void loudest_set_places(struct loudest *loudest, uint32_t places);
/** Joins a group, after leaving the one it was in. */
void loudest_join(struct loudest *loudest, struct loudest_voice *voice);
/** Leaves its group, if it is in one. */
void loudest_leave(struct loudest_voice *voice);
/**
 * A packet of a voice: `loudness` is 127 minus its level, 0 for silence. Returns whether it shall
 * be heard; another voice may have lost its place by it.
 */
bool loudest_packet(struct loudest_voice *voice, uint64_t now_us, uint8_t loudness);
