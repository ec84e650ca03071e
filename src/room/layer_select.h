/**
 * When a receiver goes from one operating point of a layered stream to another (media/layering.h):
 * at the first packet of a picture that it can decode, and all that follows there as well.
 */
#pragma once

#include "media/layering.h"

/**
 * The point of a receiver from this packet on, the first of a picture: `current`, or one that is
 * nearer to `wanted`.
 */
uint8_t layer_select(uint8_t current, uint8_t wanted, const struct media_layers *layers);
/**
 * The same inside of a picture, at the first packet of a frame: only to a higher frame rate of the
 * same size. Where upper sizes do not refer to lower ones (K-SVC), a picture's first frame says
 * nothing of them.
 */
uint8_t layer_select_rate(uint8_t current, uint8_t wanted, const struct media_layers *layers);
/**
 * The point that a receiver begins with, at a packet where decoders may begin: `wanted`, or what
 * comes next to it.
 */
uint8_t layer_select_first(uint8_t wanted, const struct media_layers *layers);

/** Moves that are remembered for packets that come late: several in a second are the exception. */
#define LAYER_MOVES 6

/** The points that a receiver has had in a stream, by incoming numbers. */
struct layer_moves {
    uint64_t began; /**< number of the first packet of all */
    uint64_t since; /**< of the first at `point` */
    uint8_t point;
    uint8_t points[LAYER_MOVES]; /**< before it, the latest first */
    uint64_t sinces[LAYER_MOVES];
};

void layer_moves_begin(struct layer_moves *moves, uint64_t sequence, uint8_t point);
void layer_moves_to(struct layer_moves *moves, uint64_t sequence, uint8_t point);
/** For layer_moves_at. */
uint8_t layer_moves_before(const struct layer_moves *moves, uint64_t sequence);

/** The point that counts for a packet: of one that is late, the point of its time. */
static inline uint8_t layer_moves_at(const struct layer_moves *moves, uint64_t sequence)
{
    return sequence >= moves->since ? moves->point : layer_moves_before(moves, sequence);
}
