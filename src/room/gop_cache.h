/**
 * Where the newest group of pictures of a stream begins in its ring. A joiner that gets these
 * packets first sees a picture at once, and the publisher is not asked for a key frame.
 *
 * Only a mark is kept here, the packets are those of the ring (packet_ring.h), which holds them as
 * long as the group is young enough to be worth sending.
 */
#pragma once

#include "room/packet_ring.h"

/** What one worker allows, shared by all its tracks. Outlives them. */
struct gop_policy {
    uint64_t age_us; /**< an older key frame is not replayed; 0: no group is */
    uint32_t bytes;  /**< nor is a group that has grown larger */
};

/** Bounds by default. */
#define GOP_AGE_DEFAULT_US (2500 * TIME_US_PER_MS)
#define GOP_BYTES_MAX      (1024 * 1024)

/** Zeroed: there is none. */
struct gop_cache {
    bool valid;
    uint8_t epoch;
    uint32_t timestamp; /**< of the key frame */
    uint64_t first;     /**< number of its first packet */
    uint64_t since_us;  /**< when that came */
};

/** A whole group, up to the newest packet of the ring. */
struct gop_run {
    uint64_t first;
    uint32_t count;
    uint32_t bytes;
    uint32_t last_timestamp;
};

/** Takes note of a packet that the ring has taken. */
void gop_cache_packet(struct gop_cache *cache, struct packet *packet);
/** The packets are not to be replayed (the publication was blocked, or began anew). */
void gop_cache_forget(struct gop_cache *cache);
/** Packets from before this moment may go: `history_us`, or earlier when a group is kept. */
uint64_t gop_cache_keep_since(const struct gop_cache *cache, uint64_t now_us, uint64_t history_us,
                              uint64_t age_us);
/**
 * The group that can be replayed now: young and small enough, and without a gap. False when there
 * is none.
 */
bool gop_cache_run(const struct gop_cache *cache, const struct packet_ring *ring, uint64_t now_us,
                   const struct gop_policy *policy, struct gop_run *ret_run);
