/**
 * A joiner's way from the last key frame to the present: the subscription begins behind (follow.h),
 * with the packets of a cached group, and its numbers have no seam when it catches up.
 *
 * The frames of the past shall be decoded, not watched: their timestamps are drawn together
 * (rewrite_squeeze), so that a receiver shows the newest at once and gains no delay by them.
 */
#pragma once

#include "base/compiler.h"

struct subscription;

/**
 * A subscription has begun to watch, or its receiver has become ready, or it has fallen too far
 * behind: replays the cached group of the best layer that has one, or else asks for a key frame.
 * While the receiver cannot take packets yet, a group is only looked for, and a key frame asked for
 * that will become one.
 */
void gop_replay_begin(struct subscription *subscription, uint64_t now_us);
