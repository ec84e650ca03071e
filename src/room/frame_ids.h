/**
 * Numbers of pictures inside of packets, over switches between streams: the picture id and
 * TL0PICIDX of VP8 (RFC 7741) and VP9 (RFC 9628), the frame number of the dependency descriptor.
 * Receivers find references by them, and take a step back for something old.
 *
 * What is added to them is kept with the sequence numbers (struct rewrite_ids); a stream that needs
 * nothing added is forwarded as it is.
 */
#pragma once

#include "room/rewrite.h"
#include "rtc/media_info.h"

/** The newest ids that went out. Zeroed: none yet. */
struct frame_ids {
    bool has_picture;
    bool has_frame;
    bool left_out; /**< `left_out_picture` is valid */
    uint16_t picture;
    uint16_t frame;
    uint8_t tl0;
    uint16_t left_out_picture; /**< incoming id of the picture that was left out last */
};

/** What is to be added in a stream that begins with this packet, so that it follows the last. */
struct rewrite_ids frame_ids_begin(const struct frame_ids *ids, struct packet *packet);
/** A packet went out that is the newest. */
void frame_ids_sent(struct frame_ids *ids, const struct rewrite_ids *added, struct packet *packet);
/**
 * A packet is left out: whether a picture goes with it whose id closes up. VP8's do: its receivers
 * wait for a picture that is missing. Those of VP9 mean places in a pattern, or are referred to by
 * difference, and keep their gaps.
 */
bool frame_ids_leave_out(struct frame_ids *ids, struct packet *packet);

/** Bytes of a payload descriptor that may have to be written anew. */
#define FRAME_IDS_HEAD_MAX 5

/**
 * The beginning of the payload with its ids, in `buffer` of FRAME_IDS_HEAD_MAX bytes; empty when
 * nothing changes.
 */
struct bytes frame_ids_head(const struct rewrite_ids *added, struct packet *packet,
                            uint8_t *buffer);
/**
 * The dependency descriptor with its frame number and, with `active` not 0, with these decode
 * targets active, in `buffer` of DEPENDENCY_DESCRIPTOR_MAX bytes; empty when nothing changes.
 */
struct bytes frame_ids_descriptor(const struct rewrite_ids *added, uint32_t active,
                                  struct packet *packet, uint8_t *buffer);
