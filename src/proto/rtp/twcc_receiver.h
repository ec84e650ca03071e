/**
 * The receiving side of transport-wide congestion control: remembers when each transport-wide
 * sequence number arrived and makes feedback packets. One per transport.
 */
#pragma once

#include "proto/rtp/sequence.h"
#include "proto/rtp/twcc_feedback.h"

/** Sequence numbers remembered; a power of two. */
#define TWCC_RECEIVER_WINDOW 2048

struct twcc_receiver_config {
    uint32_t interval_us; /**< between feedback packets: 50 to 100 ms */
    uint32_t packets_max; /**< or as soon as this many packets arrived */
};

struct twcc_receiver {
    struct twcc_receiver_config config;
    struct rtp_unwrapper sequence;
    uint64_t next_sequence; /**< first one not reported yet */
    uint64_t end_sequence;  /**< one above the highest one received */
    uint64_t deadline_us;   /**< TIME_NEVER when nothing is pending */
    uint32_t pending;       /**< packets received since the last feedback */
    uint32_t media_ssrc;    /**< of the last packet */
    uint8_t feedback_count;
    uint64_t *arrivals_us; /**< ring of TWCC_RECEIVER_WINDOW, 0: not received; heap on first use */
};

void twcc_receiver_init(struct twcc_receiver *receiver, const struct twcc_receiver_config *config);
void twcc_receiver_done(struct twcc_receiver *receiver);
/** A packet with this transport-wide number arrived. Duplicates and very late ones are ignored. */
void twcc_receiver_packet(struct twcc_receiver *receiver, uint64_t now_us, uint16_t sequence,
                          uint32_t media_ssrc);
/** When the next feedback is due, or TIME_NEVER. */
uint64_t twcc_receiver_deadline(const struct twcc_receiver *receiver);
/**
 * Appends one feedback packet when it is due. Returns true when one was written: call again, there
 * may be more.
 */
bool twcc_receiver_output(struct twcc_receiver *receiver, uint64_t now_us, uint32_t sender_ssrc,
                          struct writer *writer);
