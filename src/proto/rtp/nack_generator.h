/**
 * Decides which missing packets of one stream to ask for, and when (RFC 4585): a gap is asked for
 * after a short wait for reordered packets, again once per round trip, and given up after a number
 * of attempts or an age; giving up, or a gap too large to repair, calls for a key frame.
 */
#pragma once

#include "proto/rtp/sequence.h"

#define RTP_NACK_MISSING_MAX 256
/** A gap above this is a break in the stream, not loss to be repaired. */
#define RTP_NACK_GAP_MAX 1000

struct rtp_nack_config {
    uint32_t reorder_wait_us; /**< before the first request: 0 asks at once */
    uint32_t reorder_packets; /**< or until this many later packets came */
    uint32_t attempts_max;
    uint32_t age_max_us;
    uint32_t round_trip_us;   /**< before anything was measured */
    uint32_t interval_min_us; /**< requests for one packet are never closer than this */
};

/** 10 ms or 3 packets, 10 attempts, 1 s, 100 ms, 20 ms. */
struct rtp_nack_config rtp_nack_config_default(void);

struct rtp_nack_missing {
    uint64_t sequence;
    uint64_t since_us;
    uint64_t asked_us;
    uint32_t attempts;
};

struct rtp_nack_generator {
    struct rtp_nack_config config;
    struct rtp_unwrapper sequence;
    uint64_t key_frame_sequence; /**< of the newest key frame's first packet; 0: none */
    uint32_t missing_count;
    uint32_t missing_capacity;
    struct rtp_nack_missing *missing; /**< ascending; heap, NULL until the first loss */
    uint64_t requested_total;
    uint64_t recovered_total;
    uint64_t given_up_total;
    bool key_frame_wanted;
};

void rtp_nack_generator_init(struct rtp_nack_generator *generator,
                             const struct rtp_nack_config *config);
/** Frees the missing list. Accepts a zeroed generator. */
void rtp_nack_generator_done(struct rtp_nack_generator *generator);
/**
 * Tells of a packet that arrived, first-hand or repaired (RTX: the original number). `key_frame`:
 * it starts a key frame, so that losing what is before it needs no new key frame.
 */
void rtp_nack_generator_received(struct rtp_nack_generator *generator, uint64_t now_us,
                                 uint16_t sequence, bool key_frame);
void rtp_nack_generator_round_trip(struct rtp_nack_generator *generator, uint64_t round_trip_us);
/**
 * Writes up to `capacity` sequence numbers that are due, ascending, and counts them as asked.
 * Returns how many.
 */
size_t rtp_nack_generator_output(struct rtp_nack_generator *generator, uint64_t now_us,
                                 uint16_t *out, size_t capacity);
/** When _output will next have something, or TIME_NEVER. */
uint64_t rtp_nack_generator_deadline(const struct rtp_nack_generator *generator);
/** True once after loss became unrepairable: the caller asks for a key frame. */
bool rtp_nack_generator_key_frame_wanted(struct rtp_nack_generator *generator);
