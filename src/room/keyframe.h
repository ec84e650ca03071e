/**
 * Key-frame requests towards one publisher stream: many subscribers ask, few requests go out. A
 * request is repeated until a key frame comes, at most one each interval.
 */
#pragma once

#include "base/time.h"

#include "base/compiler.h"

struct keyframe_request {
    bool wanted;
    bool sent_once;
    uint64_t last_sent_us;
};

/** A subscriber needs a key frame (joined, switched, or sent PLI or FIR). */
void keyframe_want(struct keyframe_request *request);
/** A key frame of the stream arrived. */
void keyframe_arrived(struct keyframe_request *request);
/** True when a PLI should go out now; counts it as sent. */
bool keyframe_due(struct keyframe_request *request, uint64_t now_us);
/** When keyframe_due may next be true; TIME_NEVER when nobody waits. */
uint64_t keyframe_deadline(const struct keyframe_request *request);
