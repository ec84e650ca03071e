#include "proto/bwe/acknowledged.h"

#include "base/time.h"

/** Points closer than this are not worth a place. */
#define POINT_US (30 * TIME_US_PER_MS)
/** A shorter time tells no rate. */
#define SPAN_MIN_US (100 * TIME_US_PER_MS)
/** Nothing arrived for longer: a pause, after which counting begins anew. */
#define PAUSE_US (2 * TIME_US_PER_S)

void bwe_acknowledged_clear(struct bwe_acknowledged *acknowledged)
{
    *acknowledged = (struct bwe_acknowledged){ .now.bytes = acknowledged->now.bytes };
}

void bwe_acknowledged_add(struct bwe_acknowledged *acknowledged, uint64_t sent_us,
                          int64_t arrival_us, uint32_t bytes)
{
    struct bwe_acknowledged_point *now = &acknowledged->now;
    if (acknowledged->some && (int32_t)((uint32_t)sent_us - now->sent_us) > (int32_t)PAUSE_US)
        bwe_acknowledged_clear(acknowledged);
    bool first = !acknowledged->some;
    if (first || (int32_t)((uint32_t)sent_us - now->sent_us) > 0)
        now->sent_us = (uint32_t)sent_us;
    if (first || (int32_t)((uint32_t)arrival_us - now->arrival_us) > 0)
        now->arrival_us = (uint32_t)arrival_us;
    acknowledged->some = true;
    now->bytes += bytes;
    // the first point counts what comes behind it
    if (first)
        bwe_acknowledged_mark(acknowledged);
}

static const struct bwe_acknowledged_point *
point_before(const struct bwe_acknowledged *acknowledged, uint8_t back)
{
    return &acknowledged->points[(acknowledged->at + BWE_ACKNOWLEDGED_POINTS - back) %
                                 BWE_ACKNOWLEDGED_POINTS];
}

void bwe_acknowledged_mark(struct bwe_acknowledged *acknowledged)
{
    if (!acknowledged->some)
        return;
    const struct bwe_acknowledged_point *now = &acknowledged->now;
    if (acknowledged->count > 0 && now->sent_us - point_before(acknowledged, 1)->sent_us < POINT_US)
        return;
    acknowledged->points[acknowledged->at] = *now;
    acknowledged->at = (uint8_t)((acknowledged->at + 1) % BWE_ACKNOWLEDGED_POINTS);
    acknowledged->count = (uint8_t)min_of(acknowledged->count + 1, BWE_ACKNOWLEDGED_POINTS);
}

uint64_t bwe_acknowledged_bps(const struct bwe_acknowledged *acknowledged, uint32_t window_us)
{
    const struct bwe_acknowledged_point *now = &acknowledged->now;
    uint32_t span_us = 0;
    uint32_t bytes = 0;
    for (uint8_t back = 1; back <= acknowledged->count && span_us < window_us; back++) {
        const struct bwe_acknowledged_point *point = point_before(acknowledged, back);
        span_us = max_of(now->sent_us - point->sent_us, now->arrival_us - point->arrival_us);
        bytes = now->bytes - point->bytes;
    }
    return span_us < SPAN_MIN_US ? 0 : (uint64_t)bytes * 8 * TIME_US_PER_S / span_us;
}
