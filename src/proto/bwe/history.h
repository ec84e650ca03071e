/**
 * Packets on their way: when each was sent, how large, and what became of it, by transport-wide
 * sequence number. A ring of 8 bytes per packet that grows only while packets younger than
 * BWE_HISTORY_KEEP_US wait for feedback.
 */
#pragma once

#include "base/compiler.h"
#include "base/time.h"

#define BWE_HISTORY_MIN 64   /**< places at first */
#define BWE_HISTORY_MAX 8192 /**< as many as one feedback can tell of */
/** Feedback that takes longer tells nothing about the path of now. */
#define BWE_HISTORY_KEEP_US (2 * TIME_US_PER_S)

enum bwe_fate {
    BWE_FATE_NONE, /**< an empty place */
    BWE_FATE_OPEN,
    BWE_FATE_LOST, /**< the receiver said so; it may still come */
    BWE_FATE_RECEIVED,
};

struct bwe_packet {
    uint32_t sent_us; /**< the low half of the time */
    uint16_t size;
    uint8_t cluster; /**< of a probe; 0: none */
    uint8_t fate;    /**< enum bwe_fate */
};

struct bwe_history {
    struct bwe_packet *ring;
    uint32_t mask; /**< places - 1, a power of two - 1 */
    uint16_t next; /**< number behind the newest packet */
    uint64_t last_sent_us;
    uint64_t sent_bytes;
};

void bwe_history_init(struct bwe_history *history);
void bwe_history_done(struct bwe_history *history);
/** Makes room where a packet still waits; see bwe_history_add. */
void bwe_history_grow(struct bwe_history *history);
/** Gives memory back that a faster time needed: call when nothing has been sent for long. */
void bwe_history_shrink(struct bwe_history *history);

/** Notes a packet. Numbers must follow each other. */
static inline void bwe_history_add(struct bwe_history *history, uint64_t now_us, uint16_t sequence,
                                   size_t size, uint8_t cluster)
{
    struct bwe_packet *packet = &history->ring[sequence & history->mask];
    if (unlikely(packet->fate == BWE_FATE_OPEN &&
                 (uint32_t)now_us - packet->sent_us < BWE_HISTORY_KEEP_US &&
                 history->mask + 1 < BWE_HISTORY_MAX)) {
        bwe_history_grow(history);
        packet = &history->ring[sequence & history->mask];
    }
    *packet = (struct bwe_packet){ (uint32_t)now_us, (uint16_t)size, cluster, BWE_FATE_OPEN };
    history->next = (uint16_t)(sequence + 1);
    history->last_sent_us = now_us;
    history->sent_bytes += size;
}

/** Whether a number lies behind the newest packet: nobody can have received it. */
static inline bool bwe_history_unsent(const struct bwe_history *history, uint16_t sequence)
{
    return (int16_t)(sequence - history->next) >= 0;
}

/** The packet of a number; NULL when it was never sent or is forgotten. */
static inline struct bwe_packet *bwe_history_find(const struct bwe_history *history,
                                                  uint16_t sequence)
{
    if ((uint16_t)(history->next - 1 - sequence) > history->mask)
        return NULL;
    struct bwe_packet *packet = &history->ring[sequence & history->mask];
    return packet->fate == BWE_FATE_NONE ? NULL : packet;
}

/** When a packet was sent, on the clock of `now_us`. */
static inline uint64_t bwe_packet_sent_us(const struct bwe_packet *packet, uint64_t now_us)
{
    return now_us - (uint32_t)((uint32_t)now_us - packet->sent_us);
}
