/** Shared by bwe.c, feedback.c and probing.c only. */
#pragma once

#include "proto/bwe/bwe.h"

/** Above the smallest delay: the queue is no noise any more. */
#define BWE_QUEUE_US (30 * (int64_t)TIME_US_PER_MS)

/**
 * A few bytes of feedback tell of thousands of packets, and looking at them takes time. Honest
 * receivers tell of a packet once, and again for half a second where others overtake it.
 */
#define BWE_TELLS_PER_PACKET 16
#define BWE_TELLS_MAX        (16u * BWE_HISTORY_MAX)

/** What one feedback told. */
struct bwe_told {
    uint16_t last_sequence; /**< it tells nothing of later ones */
    uint32_t received;      /**< for the first time */
    uint32_t lost;
    uint32_t recovered; /**< called lost before */
    uint64_t sent_us;   /**< of the newest that was received; 0: none was */
    int64_t arrival_us;
};

// bwe.c
/** Brings the estimate up to date after a feedback. */
void bwe_update(struct bwe *bwe, uint64_t now_us, const struct bwe_told *told);

// probing.c
/** Uses what a train found, when feedback completes it. */
void bwe_take_probe(struct bwe *bwe, uint64_t now_us, const struct bwe_told *told);
/** Whether more than the estimate is wanted. */
bool bwe_wants_more(const struct bwe *bwe);
/** Wants a probe when one may find something that is of use. */
void bwe_consider_probe(struct bwe *bwe, uint64_t now_us);
/** The estimate went down from `from_bps`: whether and when to ask the path again. */
void bwe_note_drop(struct bwe *bwe, uint64_t now_us, uint64_t from_bps);
