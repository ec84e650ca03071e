/** What the files of the lite agent share. Private to ice/. */
#pragma once

#include "proto/ice/ice_check.h"
#include "proto/ice/ice_lite.h"

#define ICE_LITE_NONE (-1)

/** The path with this index is in use from now on. */
void ice_lite_select(struct ice_lite *ice, uint64_t now_us, int8_t index);
/** The path with this index has answered a check of ours that nothing else can have read. */
static inline void ice_lite_proven(struct ice_lite *ice, uint64_t now_us, int8_t index)
{
    ice->paths[index].answered_us = max_of(now_us, (uint64_t)1); // 0 means never
    ice->proven = true;
}

/** Whether the controlling role is ours for now. */
static inline bool ice_lite_controls(const struct ice_lite *ice, uint64_t now_us)
{
    return now_us < ice->controlling_until_us;
}

/** Writes a check to `path`. Returns false when the batch has no room. */
bool ice_lite_write_check(struct ice_lite *ice, uint64_t now_us, const struct net_path *path,
                          const uint8_t transaction_id[12], bool nominate,
                          struct datagram_batch *batch);

// ice_lite_failover.c: another path in place of one that fell silent.

uint64_t ice_lite_failover_deadline(const struct ice_lite *ice);
/** Moves to a path that answered, when it is time. */
void ice_lite_failover_tick(struct ice_lite *ice, uint64_t now_us);
/** Writes questions, and what tells the peer of a move. */
void ice_lite_failover_output(struct ice_lite *ice, uint64_t now_us, struct datagram_batch *batch);
/** Whether an answer with this id is to one of those. */
bool ice_lite_failover_matches(const struct ice_lite *ice, const uint8_t transaction_id[12]);
/** Takes it. Returns 0 or a counted drop. */
int ice_lite_failover_answer(struct ice_lite *ice, uint64_t now_us, const struct net_path *path,
                             const struct stun_message *message);
