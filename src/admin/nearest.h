/** The name a user probably meant, for "did you mean ...?". */
#pragma once

#include "base/bytes.h"

/** Longer names are never near to anything. */
#define NEAREST_NAME_MAX 64

/**
 * Edit distance (insert, delete, replace, swap of neighbours count 1 each, ASCII case does not
 * count), or SIZE_MAX when one is longer than NEAREST_NAME_MAX.
 */
size_t nearest_distance(struct bytes a, struct bytes b);

/** A running search: offer names, then take the nearest. */
struct nearest {
    struct bytes wanted;
    const char *best; /**< NULL while nothing was near enough */
    size_t distance;
};

/** Names further than a third of their length (at least 1) are not near. */
struct nearest nearest_to(struct bytes wanted);
void nearest_offer(struct nearest *nearest, const char *name);
