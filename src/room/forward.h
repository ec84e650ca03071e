/** The fan-out: one burst of a track to everyone on this worker who watches it. */
#pragma once

#include "room/subscription.h"

/**
 * Sends a burst (packets of one track that arrived together) to all subscriptions, the loop over
 * subscribers outside and the one over packets inside, so that each subscriber's packets form a
 * run. Returns the number of packets sent.
 */
uint32_t forward_burst(struct track *track, uint64_t now_us, struct datagram_batch *batch,
                       struct packet *const *packets, uint32_t count);
