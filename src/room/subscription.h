/**
 * A slot of one receiver and the track that fills it now. It outlives tracks: the numbers of the
 * outgoing stream go on when another track comes.
 */
#pragma once

#include "room/allocate.h"
#include "room/follow.h"
#include "room/frame_ids.h"
#include "room/gop_replay.h"
#include "room/ladder.h"
#include "room/layer_select.h"
#include "room/protection.h"
#include "room/redundancy.h"
#include "room/resent.h"
#include "room/rewrite.h"
#include "room/track.h"
#include "room/wish.h"
#include "rtc/negotiate.h"

#define SUBSCRIPTION_NO_LAYER 0xff

/**
 * Retransmissions that a receiver may have beyond one for each packet it got: without a bound, one
 * datagram of NACKs costs us thousands of packets.
 */
#define SUBSCRIPTION_REPAIRS 512
/**
 * A gap in the incoming numbers that is not passed on as a loss. Gaps of half the number space, of
 * the publisher's making or because the receiver was away, would make receivers lose count of the
 * rollovers (RFC 3711, 3.3.1), and the slot would be dead for the rest of the session.
 */
#define SUBSCRIPTION_GAP_MAX 1000

struct subscription {
    struct list by_track;
    struct track *track; /**< NULL: the slot is empty */
    struct rtc_sender *sender;
    struct rewrite rewrite;
    uint32_t repairs_left; /**< retransmissions that may still be had, see SUBSCRIPTION_REPAIRS */
    struct resent *resent; /**< NULL until something is */
    struct keyframe_allowance key_frames; /**< that the receiver may still ask for */
    struct follow follow;                 /**< when it is behind its track */
    struct redundancy redundancy;
    struct protection protection;
    struct media_wish wish;
    struct allocate_state allocation;
    struct ladder_place limit; /**< of video: the best that may be sent */
    enum media_pause paused;   /**< as the receiver was told */
    uint8_t red_payload_type;  /**< the receiver's for redundant audio; 0: it takes none */
    uint8_t epoch;             /**< of the stream being forwarded */
    uint8_t layer;             /**< being forwarded, or SUBSCRIPTION_NO_LAYER until a key frame */
    bool described;            /**< the receiver takes the dependency descriptor */
    bool one_size;             /**< all that it can take: of AV1, without the descriptor */
    struct layer_moves moves;  /**< operating points inside the layer, see media/layering.h */
    struct frame_ids ids;
    /** The receiver's payload type for each of the publisher's; RTC_PAYLOAD_TYPE_NONE: none. */
    uint8_t payload_types[RTP_PAYLOAD_TYPE_MAX + 1];
};

struct subscription *subscription_new(struct rtc_sender *sender);
/** Leaves its track first. Accepts NULL; returns NULL. */
struct subscription *subscription_free(struct subscription *subscription);
/**
 * Watches a track: `publisher` and `receiver` are the two sections, which tell the payload types.
 * Video starts with the cached group of pictures, or with the next key frame, which is asked for.
 */
void subscription_attach(struct subscription *subscription, uint64_t now_us, struct track *track,
                         const struct rtc_section *publisher, const struct rtc_section *receiver);
/** The two sections may have new payload types. */
void subscription_remap(struct subscription *subscription, const struct rtc_section *publisher,
                        const struct rtc_section *receiver);
void subscription_detach(struct subscription *subscription);
/** The track's packets broke off on purpose (block and unblock): begin again at a key frame. */
void subscription_restart(struct subscription *subscription);
/** The track's packets are another publication's from now on. */
void subscription_forget(struct subscription *subscription);
/** Packets of one track that came together. */
struct subscription_burst {
    struct packet *const *packets; /**< in order */
    uint32_t count;
    uint32_t bytes;  /**< of all packets */
    uint16_t pad_to; /**< see rtc_outgoing; 0 for bursts too short to pay */
};
/**
 * Forwards a burst: at once what the path to the receiver has room for, video that it has not in
 * later ticks. Returns the number of packets sent.
 */
uint32_t subscription_forward(struct subscription *subscription, uint64_t now_us,
                              struct datagram_batch *batch, const struct subscription_burst *burst);
/** Forwards packets at once. Returns the number of packets sent. */
uint32_t subscription_forward_packets(struct subscription *subscription, uint64_t now_us,
                                      struct datagram_batch *batch, struct packet *const *packets,
                                      uint32_t count, uint16_t pad_to);
/**
 * Whether a stream that is in layer `from` may go on with this packet: audio at any time, video
 * only where a decoder may begin, towards the layer that the receiver should get.
 */
bool subscription_may_switch(const struct subscription *subscription, uint64_t now_us, uint8_t from,
                             const struct media_info *info);
/**
 * Whether a packet of the stream being forwarded belongs to what the receiver gets; a late one, to
 * what it got at the time.
 */
bool subscription_gets(const struct subscription *subscription, const struct media_info *info);
/**
 * Answers a NACK of the receiver from the track's ring. Returns how many were sent again.
 * `ret_refused` counts those that were there, but more than a receiver may have, or more than its
 * path has room for, or sent again less than a round trip ago: it asks again.
 */
uint32_t subscription_repair(struct subscription *subscription, uint64_t now_us,
                             struct datagram_batch *batch, const uint16_t *lost, uint32_t count,
                             uint32_t *ret_refused);
/**
 * The layer that should be forwarded now: the best that is sent and may be; SUBSCRIPTION_NO_LAYER
 * when none may.
 */
uint8_t subscription_best_layer(const struct subscription *subscription, uint64_t now_us);
/**
 * After a division: what may be sent (`layer` SUBSCRIPTION_NO_LAYER: nothing). Stops what may not
 * be sent at all, asks for the key frame that a change has to wait for.
 */
void subscription_allocated(struct subscription *subscription, uint64_t now_us,
                            const struct ladder_place *limit);
/** The receiver cannot decode: a key frame of what it gets. */
void subscription_want_key_frame(struct subscription *subscription, uint64_t now_us);
/** Hands the track's clock on to the sender, for its reports. */
void subscription_update_clock(struct subscription *subscription);
