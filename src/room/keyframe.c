#include "room/keyframe.h"

/** A publisher gets one request in this time, however many ask: each key frame costs all viewers.
 */
#define INTERVAL_US (500 * TIME_US_PER_MS)
/** Requests that a stream gets in a row, and the time after which it may get one more. */
#define SOURCE_BURST     10
#define SOURCE_REFILL_US (2 * TIME_US_PER_S)
/** The same for what one subscriber asks for. */
#define SUBSCRIBER_BURST     5
#define SUBSCRIBER_REFILL_US (4 * TIME_US_PER_S)

/** When a bucket of `burst` has one to give. */
static uint64_t bucket_ready(uint64_t full_us, uint64_t burst, uint64_t refill_us)
{
    uint64_t room_us = (burst - 1) * refill_us;
    return full_us > room_us ? full_us - room_us : 0;
}

static uint64_t bucket_take(uint64_t full_us, uint64_t now_us, uint64_t refill_us)
{
    return max_of(full_us, now_us) + refill_us;
}

void keyframe_want(struct keyframe_request *request)
{
    request->wanted = true;
}

void keyframe_arrived(struct keyframe_request *request)
{
    request->wanted = false;
    request->deferred = false;
}

uint64_t keyframe_deadline(const struct keyframe_request *request)
{
    if (!request->wanted)
        return TIME_NEVER;
    if (!request->sent_once)
        return 0;
    return max_of(request->last_sent_us + INTERVAL_US,
                  bucket_ready(request->full_us, SOURCE_BURST, SOURCE_REFILL_US));
}

bool keyframe_due(struct keyframe_request *request, uint64_t now_us)
{
    if (keyframe_deadline(request) > now_us)
        return false;
    request->sent_once = true;
    request->deferred = false;
    request->last_sent_us = now_us;
    request->full_us = bucket_take(request->full_us, now_us, SOURCE_REFILL_US);
    return true;
}

bool keyframe_deferred(struct keyframe_request *request, uint64_t now_us)
{
    if (!request->wanted || request->deferred || !request->sent_once ||
        now_us < request->last_sent_us + INTERVAL_US || keyframe_deadline(request) <= now_us)
        return false;
    request->deferred = true;
    return true;
}

bool keyframe_allow(struct keyframe_allowance *allowance, uint64_t now_us)
{
    if (bucket_ready(allowance->full_us, SUBSCRIBER_BURST, SUBSCRIBER_REFILL_US) > now_us)
        return false;
    allowance->full_us = bucket_take(allowance->full_us, now_us, SUBSCRIBER_REFILL_US);
    return true;
}
