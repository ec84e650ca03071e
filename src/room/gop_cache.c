#include "room/gop_cache.h"

#include "base/time.h"

void gop_cache_packet(struct gop_cache *cache, struct packet *packet)
{
    const struct media_info *info = media_info_of(packet);
    if (!info->key_frame)
        return;
    bool same_stream = cache->valid && cache->epoch == info->epoch;
    if (same_stream && cache->timestamp == info->timestamp) {
        // parameter sets and slices of one frame may all say that a decoder can begin
        cache->first = min_of(cache->first, info->sequence);
        return;
    }
    if (same_stream && info->sequence < cache->first)
        return;
    *cache = (struct gop_cache){
        .valid = true,
        .epoch = info->epoch,
        .timestamp = info->timestamp,
        .first = info->sequence,
        .since_us = packet->received_us,
    };
}

void gop_cache_forget(struct gop_cache *cache)
{
    cache->valid = false;
}

uint64_t gop_cache_keep_since(const struct gop_cache *cache, uint64_t now_us, uint64_t history_us,
                              uint64_t age_us)
{
    uint64_t since_us = now_us > history_us ? now_us - history_us : 0;
    if (cache->valid && cache->since_us + age_us >= now_us)
        return min_of(since_us, cache->since_us);
    return since_us;
}

bool gop_cache_run(const struct gop_cache *cache, const struct packet_ring *ring, uint64_t now_us,
                   const struct gop_policy *policy, struct gop_run *ret_run)
{
    if (!cache->valid || policy->age_us == 0 || cache->since_us + policy->age_us < now_us ||
        !ring->slots || ring->newest < cache->first)
        return false;
    struct gop_run run = { .first = cache->first };
    for (uint64_t at = cache->first; at <= ring->newest; at++) {
        struct packet *packet = packet_ring_find(ring, at);
        if (!packet || media_info_of(packet)->epoch != cache->epoch)
            return false;
        run.count++;
        run.bytes += packet->size;
        run.last_timestamp = media_info_of(packet)->timestamp;
        if (run.bytes > policy->bytes)
            return false;
    }
    *ret_run = run;
    return true;
}
