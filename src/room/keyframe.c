#include "room/keyframe.h"

/** A publisher gets one request in this time, however many ask: each key frame costs all viewers.
 */
#define INTERVAL_US (500 * TIME_US_PER_MS)

void keyframe_want(struct keyframe_request *request)
{
    request->wanted = true;
}

void keyframe_arrived(struct keyframe_request *request)
{
    request->wanted = false;
}

uint64_t keyframe_deadline(const struct keyframe_request *request)
{
    if (!request->wanted)
        return TIME_NEVER;
    return request->sent_once ? request->last_sent_us + INTERVAL_US : 0;
}

bool keyframe_due(struct keyframe_request *request, uint64_t now_us)
{
    if (keyframe_deadline(request) > now_us)
        return false;
    request->sent_once = true;
    request->last_sent_us = now_us;
    return true;
}
