/**
 * What is done when the path in use falls silent in the middle of a call: the other paths that the
 * peer has checked are asked, and the one in use too. Browsers take a path for alive until it was
 * silent for 2.5 seconds, and leave it a second later; whoever walks out of a wireless network
 * hears nothing for so long. This engine decides in a fraction of that. Without I/O and without
 * paths: ice_lite_failover.c sends the questions and moves.
 *
 * Silence means something only where packets kept coming. The longest pause of late tells: silence
 * of a quarter more, and of ICE_FAILOVER_PATIENCE_MIN_US at least, is unusual. Where packets come
 * unevenly that would be long, and a question costs nothing but a few packets: so silence of
 * ICE_FAILOVER_PATIENCE_MAX_US is asked about, too, but when that was in vain, not again within
 * ICE_FAILOVER_VAIN_US. A path with longer pauses than ICE_FAILOVER_PAUSE_MAX_US is not watched:
 * nobody misses anything on it.
 *
 * What moves the peer is not its silence but its answers: it must fail to answer over the path in
 * use, for longer than answers take there, while it answers over another one. A peer that has only
 * stopped sending answers over the path in use, and all is well.
 */
#pragma once

#include "base/random.h"
#include "base/time.h"

#define ICE_FAILOVER_PATIENCE_MIN_US (50 * TIME_US_PER_MS)
#define ICE_FAILOVER_PATIENCE_MAX_US (100 * TIME_US_PER_MS)
#define ICE_FAILOVER_VAIN_US         (500 * TIME_US_PER_MS)
#define ICE_FAILOVER_PAUSE_MAX_US    (250 * TIME_US_PER_MS)
/** From the first question until another path may take over: three of them have left by then. */
#define ICE_FAILOVER_DECIDE_US (50 * TIME_US_PER_MS)
/**
 * What the path in use may answer later than it usually does, and later than another one: both were
 * away, as in a short outage.
 */
#define ICE_FAILOVER_GRACE_US (25 * TIME_US_PER_MS)
/** Between questions at first; it doubles from the third one on, up to a second. */
#define ICE_FAILOVER_INTERVAL_US (20 * TIME_US_PER_MS)
/** Questions end after so long: the peer is gone, or its own restart of ICE will tell. */
#define ICE_FAILOVER_ASK_US (10 * TIME_US_PER_S)
/** Indices of paths are below it. */
#define ICE_FAILOVER_PATHS 16

struct ice_failover {
    uint64_t heard_us;    /**< when something came over the path in use last; 0: nothing yet */
    uint64_t pause_us;    /**< the longest pause of late */
    uint64_t silent_us;   /**< when the first question left; 0: it is not silent */
    uint64_t vain_us;     /**< when a silence began that was none after all; 0: none has */
    uint64_t next_us;     /**< when the next questions are due, while it is silent */
    uint64_t answered_us; /**< when another path answered first; 0: none has */
    uint32_t answered;    /**< which ones have: a bit for each index */
    uint32_t asked;       /**< which ones have an id in this silence, in the same way */
    uint8_t rounds;       /**< of questions sent */
    uint8_t ids[ICE_FAILOVER_PATHS][12]; /**< transaction ids of those */
};

/** Another path is in use from now on: what is usual there has to be seen first. */
void ice_failover_start(struct ice_failover *failover, uint64_t now_us);
/** Something authentic came over the path in use. */
void ice_failover_heard(struct ice_failover *failover, uint64_t now_us);
/** When questions are due: TIME_NEVER when the path in use is not watched. */
uint64_t ice_failover_due_us(const struct ice_failover *failover);
/** Questions leave now; ice_failover_id tells their ids. */
void ice_failover_asked(struct ice_failover *failover, uint64_t now_us);
/**
 * The id of the question to the path with this index, the same in each round of a silence. Nothing
 * tells it but that question: who reads those to its other paths cannot answer for this one.
 */
const uint8_t *ice_failover_id(struct ice_failover *failover, uint8_t index, struct random *random);
/** Whether an answer with this id is to one of the questions; `ret_index`: to which path. */
bool ice_failover_matches(const struct ice_failover *failover, const uint8_t transaction_id[12],
                          uint8_t *ret_index);
/** Another path than the one in use has answered. */
void ice_failover_answered(struct ice_failover *failover, uint64_t now_us, uint8_t index);
/** The path with this index is gone, or another one now: its question has no answer any more. */
void ice_failover_forget(struct ice_failover *failover, uint8_t index);
/**
 * When one of the paths in `answered` is to take over; TIME_NEVER while there is none. `rtt_us`:
 * how long the path in use took to answer before; 0: not known.
 */
uint64_t ice_failover_decide_us(const struct ice_failover *failover, uint32_t rtt_us);
