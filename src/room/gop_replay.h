/**
 * A joiner's way from the last key frame to the present. The packets of a cached group go out
 * paced, then the subscription goes on live; as what arrives meanwhile goes into the ring behind
 * them, the joiner follows the ring until it has caught up, and its numbers have no seam.
 *
 * The frames of the past shall be decoded, not watched: their timestamps are drawn together
 * (rewrite_squeeze), so that a receiver shows the newest at once and gains no delay by them.
 */
#pragma once

#include "room/gop_cache.h"

struct subscription;
struct datagram_batch;

struct gop_replay {
    bool active;
    uint8_t layer;
    uint32_t last_timestamp; /**< of the newest frame when it began */
    uint64_t next;           /**< number of the next packet */
    uint64_t pumped_us;      /**< when the credit was last renewed */
    uint32_t credit;         /**< bytes that may go now */
};

/**
 * A subscription has begun to watch, or its receiver has become ready: replays the cached group of
 * the best layer that has one, or else asks for a key frame. While the receiver cannot take
 * packets yet, a group is only looked for, and a key frame asked for that will become one.
 */
void gop_replay_begin(struct subscription *subscription, uint64_t now_us);
/** Ends a replay where it is; the track's count of them stays right. */
void gop_replay_stop(struct subscription *subscription);
/** Sends what is due of a replay. Returns the number of packets sent. */
uint32_t gop_replay_pump(struct subscription *subscription, uint64_t now_us,
                         struct datagram_batch *batch);
/** A burst of the track while a replay goes on: late packets in it go out, the rest in its turn. */
uint32_t gop_replay_burst(struct subscription *subscription, uint64_t now_us,
                          struct datagram_batch *batch, struct packet *const *packets,
                          uint32_t count);
