/**
 * Key-frame requests towards one publisher stream: many subscribers ask, few requests go out. A
 * request is repeated until a key frame comes, at most one each interval, and no more in the long
 * run than a budget: each key frame costs all viewers of the stream, so that broken or hostile
 * ones must not keep a publisher making them.
 *
 * Budgets are leaky buckets that are kept as one moment: when the bucket will be full again.
 */
#pragma once

#include "base/compiler.h"
#include "base/time.h"

struct keyframe_request {
    bool wanted;
    bool sent_once;
    bool deferred; /**< the present wish waits for the budget */
    uint64_t last_sent_us;
    uint64_t full_us; /**< when the whole budget is there again */
};

/** What one subscriber may ask for (PLI, FIR). Zeroed at first. */
struct keyframe_allowance {
    uint64_t full_us;
};

/** A subscriber needs a key frame (joined, switched, or sent PLI or FIR). */
void keyframe_want(struct keyframe_request *request);
/** A key frame of the stream arrived. */
void keyframe_arrived(struct keyframe_request *request);
/** True when a PLI should go out now; counts it as sent. */
bool keyframe_due(struct keyframe_request *request, uint64_t now_us);
/** True once for each wish that is held back by the budget alone. Ask after keyframe_due. */
bool keyframe_deferred(struct keyframe_request *request, uint64_t now_us);
/** When keyframe_due may next be true; TIME_NEVER when nobody waits. */
uint64_t keyframe_deadline(const struct keyframe_request *request);
/** Whether a subscriber may ask once more; takes from its allowance when it may. */
bool keyframe_allow(struct keyframe_allowance *allowance, uint64_t now_us);
