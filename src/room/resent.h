/**
 * What a receiver was sent again a moment ago. On a path with a long queue, receivers ask for a
 * packet once more while its copy still waits in that queue, and another copy makes it longer.
 */
#pragma once

#include "base/compiler.h"

#define RESENT_PLACES 128

/** The last repair of each place; numbers that share one displace each other. Zeroed: none. */
struct resent {
    uint16_t numbers[RESENT_PLACES];
    uint64_t at_us[RESENT_PLACES]; /**< 0: none */
};

/** Whether `number` was sent again less than `within_us` ago. */
bool resent_lately(const struct resent *resent, uint64_t now_us, uint16_t number,
                   uint64_t within_us);
/** Takes note that it is sent again now. */
void resent_note(struct resent *resent, uint64_t now_us, uint16_t number);
