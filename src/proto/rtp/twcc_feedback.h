/**
 * Transport-wide congestion control feedback
 * (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1): parser and builder.
 *
 *     0                   1                   2                   3
 *     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |V=2|P| FMT=15  |    PT=205     |             length            |
 *    |                     SSRC of packet sender                     |
 *    |                      SSRC of media source                     |
 *    |      base sequence number     |      packet status count      |
 *    |                 reference time                | fb pkt. count |
 *    |          packet chunk         |         packet chunk ...      |
 *    |   recv delta  |  recv delta ...                               |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * Reference time counts 64 ms, deltas 250 us.
 */
#pragma once

#include "base/bytes.h"

/** Receive deltas that the two-byte signed form can hold. */
#define TWCC_DELTA_US         250
#define TWCC_REFERENCE_US     64000
#define TWCC_STATUS_COUNT_MAX 8192 /**< more in one packet is refused: ours never need it */

struct twcc_feedback {
    uint16_t base_sequence;
    uint16_t status_count;
    int32_t reference; /**< signed 24 bits of 64 ms */
    uint8_t feedback_count;
    struct bytes rest; /**< chunks and deltas */
};

/** Parses the control information of a RTCP_TRANSPORT_WIDE packet. Returns 0 or -EBADMSG. */
must_check int twcc_feedback_parse(struct bytes control, struct twcc_feedback *ret_feedback);

/** Walks the packets a feedback tells of. Initialise with twcc_cursor_of. */
struct twcc_cursor {
    struct reader chunks;
    struct reader deltas;
    uint16_t sequence;
    uint16_t left;
    int64_t time_us; /**< relative to the sender's reference origin */
    uint16_t run_left;
    uint16_t vector;
    uint8_t vector_left;
    uint8_t vector_bits; /**< 0: run */
    uint8_t run_symbol;
};
/** Returns 0 or -EBADMSG when chunks or deltas are missing. */
must_check int twcc_cursor_of(const struct twcc_feedback *feedback, struct twcc_cursor *ret_cursor);
/** The next packet; `*ret_time_us` has meaning when received. False at the end. */
bool twcc_cursor_next(struct twcc_cursor *cursor, uint16_t *ret_sequence, bool *ret_received,
                      int64_t *ret_time_us);

/** One packet for the builder. */
struct twcc_arrival {
    bool received;
    uint64_t time_us;
};

/**
 * Appends one feedback packet about `count` consecutive sequence numbers from `base_sequence`.
 * `arrivals[0]` and the last one should be received ones. Stops early where a delta does not fit 16
 * bits or the writer is full. Returns how many arrivals it covers (0: nothing was written).
 */
size_t twcc_feedback_write(struct writer *writer, uint32_t sender_ssrc, uint32_t media_ssrc,
                           uint8_t feedback_count, uint16_t base_sequence,
                           const struct twcc_arrival *arrivals, size_t count);
