/**
 * The plaintext packets of one stream, by unwrapped sequence number: the one place that forwarding,
 * retransmission and later readers (recorder, HLS) take packets from. Holds a reference to each.
 */
#pragma once

#include "rtc/media_info.h"

struct packet_ring {
    struct packet **slots; /**< allocated with the first packet */
    uint32_t capacity;     /**< of `slots`, a power of two: grows with the numbers' span */
    uint32_t capacity_max; /**< a power of two */
    uint32_t limit;        /**< packets kept at most */
    uint32_t count;        /**< packets kept */
    uint64_t oldest;       /**< what is below is refused; valid when `slots` is set */
    uint64_t newest;       /**< highest number put; valid when `slots` is set */
};

/** For numbers that span at most `capacity_max`, a power of two. Allocates nothing yet. */
void packet_ring_init(struct packet_ring *ring, uint32_t capacity_max);
void packet_ring_done(struct packet_ring *ring);
/** Keeps at most so many packets from now on, however large the numbers' span (at least 1). */
void packet_ring_limit(struct packet_ring *ring, uint32_t packets);
/** Drops all packets (the stream started anew). */
void packet_ring_clear(struct packet_ring *ring);
/**
 * Keeps a packet (its own reference). Returns false for a duplicate or one older than what the
 * ring still covers: such a packet must not be forwarded.
 */
bool packet_ring_put(struct packet_ring *ring, struct packet *packet);
/**
 * Gives back what came before a time: nobody asks for it again, and the pool of all publishers is
 * small beside what full rings would hold.
 */
void packet_ring_expire(struct packet_ring *ring, uint64_t before_us);
/** The packet with this sequence number, or NULL. Valid while the ring keeps it. */
struct packet *packet_ring_find(const struct packet_ring *ring, uint64_t sequence);
