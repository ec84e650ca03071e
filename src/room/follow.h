/**
 * A subscription that is behind its track goes on by a place in the track's ring: packets that come
 * meanwhile go into the ring behind that place, and are sent as the path to the receiver has room,
 * until the place has reached the present. No packet is copied, and none is queued.
 *
 * There are two reasons to be behind. A joiner begins with the packets since the last key frame
 * (gop_replay.h). And a burst that is more than the path carries at once, a key frame towards a
 * thin link above all, is spread over time: what does not fit its room (rtc_sender_room) waits.
 */
#pragma once

#include "base/list.h"
#include "room/metrics.h"
#include "room/packet_ring.h"

struct subscription;
struct datagram_batch;

/** Subscriptions of one worker that are behind, and what they share. */
struct follow_queue {
    struct list waiting; /**< each gets its turn */
    uint32_t budget;     /**< packets that they may still send in this tick */
    struct room_metrics *metrics;
};

/** Packets in one tick of 20 ms, about a fifth of a worker's time. */
#define FOLLOW_TICK_PACKETS 4000
/** Between looks at those who wait. */
#define FOLLOW_TICK_US 5000

struct follow {
    struct list by_queue; /**< in the queue while active */
    bool active;
    /** Frames up to `last_timestamp` are from before the beginning: to be decoded, not watched. */
    bool past;
    uint8_t layer;
    uint32_t last_timestamp;
    uint64_t next;      /**< number of the next packet */
    uint64_t begin_us;  /**< not before, unless the receiver shows its keys; 0: at once */
    uint64_t expire_us; /**< who has not caught up until then never will */
};

void follow_queue_init(struct follow_queue *queue, struct room_metrics *metrics);
/** Gives everybody who waits what the paths have room for. Returns the number of packets sent. */
uint32_t follow_queue_tick(struct follow_queue *queue, uint64_t now_us,
                           struct datagram_batch *batch);

void follow_init(struct follow *follow);
/**
 * The subscription goes on at `begin->next` of `begin->layer`; of the rest of `begin`, what tells
 * of the past counts. When it was in another layer, that one is over.
 */
void follow_begin(struct subscription *subscription, uint64_t now_us, const struct follow *begin);
/** Ends it where it is. Harmless when nothing is followed. */
void follow_stop(struct subscription *subscription);
/** Sends what there is room for. Returns the number of packets sent. */
uint32_t follow_pump(struct subscription *subscription, uint64_t now_us,
                     struct datagram_batch *batch);
/**
 * A burst of the track while the subscription is behind: late packets in it go out, the rest in its
 * turn. A key frame that the receiver should change to makes void what it waited for.
 */
uint32_t follow_burst(struct subscription *subscription, uint64_t now_us,
                      struct datagram_batch *batch, struct packet *const *packets, uint32_t count);
/** A burst that is too much at once: sends what there is room for, and follows with the rest. */
uint32_t follow_overflow(struct subscription *subscription, uint64_t now_us,
                         struct datagram_batch *batch, struct packet *const *packets,
                         uint32_t count, uint16_t pad_to);
