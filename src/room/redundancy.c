#include "room/redundancy.h"

#include <string.h>

#include "base/time.h"
#include "proto/rtp/red.h"

/** Of 256: what is worth one repetition (1 %), and two (6 %). */
#define LOSS_ONE 3
#define LOSS_TWO 15
/** One repetition less after so long without a loss. */
#define RELEASE_US (10 * TIME_US_PER_S)
/** A packet repeated in each takes about 40 kbit/s: a fifth of the room that pictures have. */
#define DEPTH_NEEDS_BPS 200000

uint8_t redundancy_allowed(const struct redundancy *redundancy)
{
    return min_of(redundancy->depth, (uint8_t)(REDUNDANCY_DEPTH_MAX - redundancy->denied));
}

uint8_t redundancy_depth(struct redundancy *redundancy, uint64_t now_us,
                         const struct rtc_reported *reported)
{
    if (reported->at_us == redundancy->reported_us)
        return redundancy_allowed(redundancy);
    redundancy->reported_us = reported->at_us;
    if (reported->fraction_lost >= LOSS_ONE) {
        uint8_t wanted = reported->fraction_lost >= LOSS_TWO ? 2 : 1;
        redundancy->depth = max_of(redundancy->depth, wanted);
        redundancy->lossless_since_us = 0;
    } else if (redundancy->lossless_since_us == 0) {
        redundancy->lossless_since_us = now_us;
    } else if (redundancy->depth > 0 && now_us - redundancy->lossless_since_us >= RELEASE_US) {
        redundancy->depth--;
        redundancy->lossless_since_us = now_us;
    }
    return redundancy_allowed(redundancy);
}

void redundancy_crowd(struct redundancy *redundancy, uint64_t left_bps)
{
    uint64_t room = min_of(left_bps / DEPTH_NEEDS_BPS, (uint64_t)REDUNDANCY_DEPTH_MAX);
    redundancy->denied = (uint8_t)(REDUNDANCY_DEPTH_MAX - room);
}

static size_t pass(struct packet *packet, uint8_t payload_type, uint8_t *out)
{
    const struct media_info *info = media_info_of(packet);
    size_t size = (size_t)info->payload_at + info->payload_size - info->red_at;
    if (size > REDUNDANCY_SIZE_MAX)
        return 0;
    memcpy(out, packet->bytes + info->red_at, size);
    red_set_payload_type(out, size, payload_type);
    return size;
}

/** The packet `back` places before, when it can be a block. */
static bool block_of(const struct packet_ring *ring, const struct media_info *info, uint8_t back,
                     struct red_block *ret_block)
{
    struct packet *packet = packet_ring_find(ring, info->sequence - back);
    if (!packet)
        return false;
    const struct media_info *before = media_info_of(packet);
    uint32_t offset = info->timestamp - before->timestamp;
    if (before->epoch != info->epoch || before->payload_type != info->payload_type ||
        before->payload_size == 0 || before->payload_size > RED_BLOCK_SIZE_MAX || offset == 0 ||
        offset > RED_TIMESTAMP_OFFSET_MAX)
        return false;
    *ret_block = (struct red_block){ .timestamp_offset = (uint16_t)offset,
                                     .data = media_payload_of(packet) };
    return true;
}

size_t redundancy_write(const struct packet_ring *ring, struct packet *packet, uint8_t depth,
                        uint8_t payload_type, uint8_t *out)
{
    const struct media_info *info = media_info_of(packet);
    if (info->payload_size == 0)
        return 0;
    if (info->red_at > 0)
        return pass(packet, payload_type, out);
    struct red_payload red = { 0 };
    for (uint8_t back = depth; back > 0; back--) {
        struct red_block *block = &red.blocks[red.count];
        if (!block_of(ring, info, back, block))
            continue;
        block->payload_type = payload_type;
        red.count++;
    }
    if (red.count == 0)
        return 0;
    red.blocks[red.count++] = (struct red_block){ .payload_type = payload_type,
                                                  .primary = true,
                                                  .data = media_payload_of(packet) };
    ssize_t size = red_write(&red, out, REDUNDANCY_SIZE_MAX);
    return size < 0 ? 0 : (size_t)size;
}
