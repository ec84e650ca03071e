/**
 * Estimates on the sending side what the path to one receiver carries, from transport-wide feedback
 * (draft-holmer-rmcat-transport-wide-cc-extensions-01), by the Google congestion control family
 * (draft-ietf-rmcat-gcc-02 and what later practice added): delay gradient, losses, the acknowledged
 * rate, probes. docs/congestion-control.md tells how the parts play together.
 *
 * Rates are bits/s of what bwe_sent is told, best whole IP packets. Packets carry consecutive
 * transport-wide sequence numbers; feedback may say anything: numbers that were never sent are
 * refused, and no lie about times brings the estimate above what was sent.
 */
#pragma once

#include "proto/bwe/acknowledged.h"
#include "proto/bwe/groups.h"
#include "proto/bwe/history.h"
#include "proto/bwe/loss.h"
#include "proto/bwe/probe.h"
#include "proto/bwe/rate_control.h"
#include "proto/bwe/standing.h"
#include "proto/bwe/trend.h"
#include "proto/rtp/twcc_feedback.h"

/** The estimate before feedback has told anything. */
#define BWE_START_BPS 600000
/** It never goes below: sound still passes. */
#define BWE_MIN_BPS 30000
/** No path of ours carries more, and sums of rates must not overflow. */
#define BWE_MAX_BPS 100000000000ull

/** What the estimate is held by. */
enum bwe_limit {
    BWE_LIMIT_NONE,  /**< it grows, or nothing asks for more */
    BWE_LIMIT_DELAY, /**< the queue of the path grew lately */
    BWE_LIMIT_LOSS,
    BWE_LIMIT_SILENCE, /**< feedback stays away */
};

struct bwe {
    struct bwe_history history;
    uint64_t started_us; /**< when the first packet was sent */
    uint64_t wanted_bps; /**< 0: not known */

    // feedback
    uint64_t feedback_us; /**< when it last came; 0: never */
    bool deaf;            /**< none came at all for long: there will be none */
    int32_t reference;    /**< of the last one, 24 bits */
    int64_t reference_us; /**< the same, unwrapped */
    uint32_t tells_left;  /**< of so many packets feedback may tell before more are sent */
    uint16_t tells_next;  /**< packets before this one count in it */
    uint64_t round_trip_us;
    int64_t base_delay_us;      /**< smallest one-way delay of this period, by two clocks */
    int64_t last_base_delay_us; /**< and of the one before */
    uint64_t base_delay_since_us;
    int64_t queue_us; /**< delay of the newest packet above the smallest one */

    struct bwe_groups groups;
    struct bwe_trend trend;
    struct bwe_standing standing;
    struct bwe_acknowledged acknowledged;
    uint64_t acknowledged_bps;
    uint64_t sent_bps;    /**< smoothed */
    uint64_t sent_us;     /**< when it was taken last */
    uint64_t sent_before; /**< bytes by then */
    struct bwe_rate_control rate_control;
    struct bwe_loss loss;
    struct bwe_probe probe;

    uint64_t estimate_bps;
    uint64_t dropped_from_bps; /**< the estimate before it went down; 0: probed since, or too old */
    uint64_t dropped_us;
    uint64_t waiting_us; /**< since then packets are seen to go unanswered; 0: none do */
    uint64_t silence_us; /**< when silence last took from the estimate; 0: never */
    uint64_t tick_us;
};

void bwe_init(struct bwe *bwe, uint64_t now_us);
void bwe_done(struct bwe *bwe);

/** Notes a packet of `size` bytes that leaves now. */
static inline void bwe_sent(struct bwe *bwe, uint64_t now_us, uint16_t sequence, size_t size)
{
    uint8_t mark = bwe_probe_mark(&bwe->probe);
    bwe_history_add(&bwe->history, now_us, sequence, size, mark);
    if (unlikely(mark != 0))
        bwe_probe_sent(&bwe->probe, now_us, sequence, size);
}

/**
 * Takes one feedback packet. Returns 0, -EBADMSG when it cannot be read, -ERANGE when it tells of
 * packets that were never sent, or -EDQUOT when all packets were told of many times already; these
 * change nothing.
 */
must_check int bwe_feedback(struct bwe *bwe, uint64_t now_us, const struct twcc_feedback *feedback);
/** What would be sent if the path carried it: probing aims there. 0: not known. */
void bwe_set_wanted(struct bwe *bwe, uint64_t now_us, uint64_t wanted_bps);
/**
 * Packets take another way now: what was learned about the old one is forgotten, but for the rate
 * that they arrived at.
 */
void bwe_path_changed(struct bwe *bwe, uint64_t now_us);
/** Silence and probes that come to nothing. Call at bwe_deadline. */
void bwe_tick(struct bwe *bwe, uint64_t now_us);
uint64_t bwe_deadline(const struct bwe *bwe);

/** Whether feedback has come: until then the estimate is a guess. */
static inline bool bwe_heard(const struct bwe *bwe)
{
    return bwe->feedback_us > 0;
}
/** The estimate; 0 when no feedback comes at all, so that nothing is known. */
static inline uint64_t bwe_bps(const struct bwe *bwe)
{
    return bwe->deaf ? 0 : bwe->estimate_bps;
}
/** Whether a queue that grew has to drain: more than the estimate would keep it. */
static inline bool bwe_drains(const struct bwe *bwe)
{
    return bwe->rate_control.holds;
}
enum bwe_limit bwe_limit(const struct bwe *bwe, uint64_t now_us);
