/**
 * Probes: short trains of packets, sent faster than the estimate, that show whether the path
 * carries more. One at a time. Which are wanted, their sending as far as this side counts it, and
 * what they found.
 */
#pragma once

#include "base/compiler.h"

enum bwe_probe_state {
    BWE_PROBE_NONE,
    BWE_PROBE_WANTED,  /**< nobody has begun yet */
    BWE_PROBE_SENDING, /**< packets sent now belong to it */
    BWE_PROBE_JUDGING, /**< waits for the feedback of its last packet */
};

struct bwe_probe {
    enum bwe_probe_state state;
    uint8_t id;         /**< 1 to 255, of this or the last one */
    uint8_t strikes;    /**< in a row that found nothing */
    uint8_t deceived;   /**< in a row that found what was not there */
    bool found_first;   /**< the first of a connection's life is over */
    bool begun;         /**< one was sent, ever */
    bool full;          /**< wanted by who sends all that the estimate allows */
    bool hurry;         /**< the next one need not wait */
    double rate_bps;    /**< its pace */
    uint32_t bytes;     /**< still to be sent */
    uint32_t packets;   /**< as well */
    uint32_t all_bytes; /**< of the whole train */
    uint64_t since_us;  /**< when it came into its state */
    uint64_t next_us;   /**< when another may be wanted */
    double raised_bps;  /**< to what */
    uint64_t raised_us; /**< when one last raised the estimate; 0: never */
    // what was sent of it
    uint16_t last_sequence;
    uint16_t last_size;
    uint32_t sent_count;
    uint32_t sent_bytes;
    uint64_t first_sent_us;
    uint64_t last_sent_us;
    // what arrived
    uint16_t first_size;
    uint32_t received_count;
    uint32_t received_bytes;
    uint32_t half_bytes;     /**< of the first half of the train, as it arrived; 0: not yet */
    int64_t half_arrival_us; /**< when that was complete */
    int64_t first_arrival_us;
    int64_t last_arrival_us;
};

/** Wants a train at `rate_bps`. There must be none. */
void bwe_probe_want(struct bwe_probe *probe, uint64_t now_us, double rate_bps);
/** Packets sent from now on belong to it, if one is wanted. */
void bwe_probe_begin(struct bwe_probe *probe, uint64_t now_us);
/** The mark for packets sent now; 0: none. */
static inline uint8_t bwe_probe_mark(const struct bwe_probe *probe)
{
    return probe->state == BWE_PROBE_SENDING ? probe->id : 0;
}
/** Counts a marked packet that was sent; ends the train when it is complete. */
void bwe_probe_sent(struct bwe_probe *probe, uint64_t now_us, uint16_t sequence, size_t size);
/** Counts a packet with `mark` that arrived. */
void bwe_probe_arrived(struct bwe_probe *probe, uint8_t mark, int64_t arrival_us, uint16_t size);
/** Trains that take too long end; see bwe_probe_deadline. */
void bwe_probe_tick(struct bwe_probe *probe, uint64_t now_us);
uint64_t bwe_probe_deadline(const struct bwe_probe *probe);
/**
 * Whether feedback up to `sequence` completes a train. `ret_bps` is the rate that it found, 0 when
 * too little arrived to tell; the train is over.
 */
bool bwe_probe_judge(struct bwe_probe *probe, uint64_t now_us, uint16_t sequence, double *ret_bps);
/** The train that was last judged was of use, or not: says when another may be wanted. */
void bwe_probe_succeeded(struct bwe_probe *probe, uint64_t now_us, double found_bps);
void bwe_probe_failed(struct bwe_probe *probe, uint64_t now_us);
