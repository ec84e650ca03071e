/**
 * Redundant audio towards one receiver (RED, RFC 2198): each packet carries the one or two before
 * it, so that a loss is mended without a question. Added from the track's ring for receivers that
 * can take it and lose packets, passed on where the publisher made it, and left out for others.
 */
#pragma once

#include "room/packet_ring.h"
#include "rtc/sender.h"

/** Larger RED payloads are not made. */
#define REDUNDANCY_SIZE_MAX 1200

/** Packets repeated in each at most. */
#define REDUNDANCY_DEPTH_MAX 2

/** Zeroed at first. */
struct redundancy {
    uint8_t depth;              /**< packets repeated in each, 0 to REDUNDANCY_DEPTH_MAX */
    uint8_t denied;             /**< so many less, for the path has no room for them */
    uint64_t reported_us;       /**< of the last report taken into account */
    uint64_t lossless_since_us; /**< 0: the last report told of losses */
};

/** How many packets each shall repeat, by what the receiver reports. */
uint8_t redundancy_depth(struct redundancy *redundancy, uint64_t now_us,
                         const struct rtc_reported *reported);
/** The same, by the reports until now. */
uint8_t redundancy_allowed(const struct redundancy *redundancy);
/**
 * Says what the path carries beside the sound, which is less than what is wanted of it. Packets
 * that are lost because a path is full are not mended by sending more.
 */
void redundancy_crowd(struct redundancy *redundancy, uint64_t left_bps);
/**
 * Writes a RED payload of a packet with at most `depth` of those before it in the ring, or what
 * the publisher sent in RED. `payload_type` is the receiver's of the codec inside, `out` holds
 * REDUNDANCY_SIZE_MAX. Returns its size, or 0 when the packet should go plain.
 */
size_t redundancy_write(const struct packet_ring *ring, struct packet *packet, uint8_t depth,
                        uint8_t payload_type, uint8_t *out);
