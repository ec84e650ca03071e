#include "proto/rtp/sequence.h"

uint64_t rtp_sequence_unwrap_near(uint64_t reference, uint16_t sequence)
{
    int16_t step = (int16_t)(uint16_t)(sequence - (uint16_t)reference);
    return reference + (uint64_t)(int64_t)step;
}

uint64_t rtp_sequence_unwrap(struct rtp_unwrapper *unwrapper, uint16_t sequence)
{
    if (!unwrapper->started) {
        unwrapper->started = true;
        unwrapper->highest = (1ull << 16) + sequence;
        return unwrapper->highest;
    }
    uint64_t unwrapped = rtp_sequence_unwrap_near(unwrapper->highest, sequence);
    // a number before the beginning cannot be older than 0
    if (unwrapped > UINT64_MAX / 2)
        unwrapped += 1ull << 16;
    if (unwrapped > unwrapper->highest)
        unwrapper->highest = unwrapped;
    return unwrapped;
}

uint64_t rtp_timestamp_unwrap(struct rtp_unwrapper *unwrapper, uint32_t timestamp)
{
    if (!unwrapper->started) {
        unwrapper->started = true;
        unwrapper->highest = (1ull << 32) + timestamp;
        return unwrapper->highest;
    }
    int32_t step = (int32_t)(timestamp - (uint32_t)unwrapper->highest);
    uint64_t unwrapped = unwrapper->highest + (uint64_t)(int64_t)step;
    if (unwrapped > UINT64_MAX / 2)
        unwrapped += 1ull << 32;
    if (unwrapped > unwrapper->highest)
        unwrapper->highest = unwrapped;
    return unwrapped;
}
