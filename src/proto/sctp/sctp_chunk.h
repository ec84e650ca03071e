/**
 * What is inside the chunks of SCTP (RFC 9260, 3.3) and its extensions: partial reliability
 * (RFC 3758), interleaving (RFC 8260), stream reset (RFC 6525), zero checksums (RFC 9653). Parsed
 * structures are views of the packet.
 */
#pragma once

#include "proto/sctp/sctp_packet.h"

enum sctp_chunk_type {
    SCTP_DATA = 0,
    SCTP_INIT = 1,
    SCTP_INIT_ACK = 2,
    SCTP_SACK = 3,
    SCTP_HEARTBEAT = 4,
    SCTP_HEARTBEAT_ACK = 5,
    SCTP_ABORT = 6,
    SCTP_SHUTDOWN = 7,
    SCTP_SHUTDOWN_ACK = 8,
    SCTP_ERROR = 9,
    SCTP_COOKIE_ECHO = 10,
    SCTP_COOKIE_ACK = 11,
    SCTP_SHUTDOWN_COMPLETE = 14,
    SCTP_I_DATA = 64,
    SCTP_RECONFIG = 130,
    SCTP_FORWARD_TSN = 192,
    SCTP_I_FORWARD_TSN = 194,
};

/** What the two highest bits of an unknown type ask for (RFC 9260, 3.2 and 3.2.1). */
static inline bool sctp_unknown_stops(uint32_t highest_byte)
{
    return !(highest_byte & 0x80);
}

static inline bool sctp_unknown_is_reported(uint32_t highest_byte)
{
    return highest_byte & 0x40;
}

/** Flag of ABORT and SHUTDOWN COMPLETE: the tag is the receiver's own, sent back. */
#define SCTP_FLAG_T 0x01

// Serial numbers (RFC 9260, 1.6).
static inline bool sctp_after(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

static inline bool sctp_at_least(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) >= 0;
}

// DATA and I-DATA

#define SCTP_DATA_HEADER_SIZE   16
#define SCTP_I_DATA_HEADER_SIZE 20

/**
 *    |  type = 0     |   |I|U|B|E|   |            length             |   RFC 9260, 3.3.1
 *    |                              TSN                              |
 *    |           stream              |       stream sequence         |
 *    |                  payload protocol identifier                  |
 *
 *    |  type = 64    |   |I|U|B|E|   |            length             |   RFC 8260, 2.1
 *    |                              TSN                              |
 *    |           stream              |           reserved            |
 *    |                      message identifier                       |
 *    |   payload protocol identifier (B), or fragment number (not B) |
 */
struct sctp_data {
    bool interleaved; /**< I-DATA */
    bool immediate;   /**< a SACK is wanted now (RFC 9260, I bit) */
    bool unordered;
    bool begin;
    bool end;
    uint16_t stream;
    uint32_t tsn;
    uint32_t message;  /**< stream sequence number (16 bits), or message identifier */
    uint32_t fragment; /**< of I-DATA, counted from 0 */
    uint32_t ppid;     /**< of I-DATA only with `begin` */
    struct bytes payload;
};

/** Returns 0, or -EINVAL: too short, or without payload. */
must_check int sctp_data_parse(const struct sctp_chunk *chunk, struct sctp_data *ret_data);
/** Writes a DATA or I-DATA chunk. */
void sctp_data_write(struct writer *packet, const struct sctp_data *data);

static inline size_t sctp_data_header_size(bool interleaved)
{
    return interleaved ? SCTP_I_DATA_HEADER_SIZE : SCTP_DATA_HEADER_SIZE;
}

// INIT and INIT ACK

enum sctp_parameter_type {
    SCTP_PARAMETER_HEARTBEAT_INFO = 1,
    SCTP_PARAMETER_STATE_COOKIE = 7,
    SCTP_PARAMETER_UNRECOGNIZED = 8,
    SCTP_PARAMETER_RESET_OUTGOING = 13,
    SCTP_PARAMETER_RESET_INCOMING = 14,
    SCTP_PARAMETER_RESET_TSN = 15,
    SCTP_PARAMETER_RESET_RESPONSE = 16,
    SCTP_PARAMETER_ADD_OUTGOING = 17,
    SCTP_PARAMETER_ADD_INCOMING = 18,
    SCTP_PARAMETER_ZERO_CHECKSUM = 0x8001,
    SCTP_PARAMETER_EXTENSIONS = 0x8008,
    SCTP_PARAMETER_FORWARD_TSN = 0xc000,
};

/** Unknown parameters of an INIT that are sent back. */
#define SCTP_UNRECOGNIZED_MAX 4

/** Extensions that both sides of an association must know. */
struct sctp_features {
    bool forward_tsn;   /**< partial reliability */
    bool interleaving;  /**< I-DATA */
    bool reconfig;      /**< stream reset */
    bool zero_checksum; /**< packets without checksum are taken, as DTLS protects them */
};

struct sctp_init {
    uint32_t tag;
    uint32_t window;
    uint16_t streams_out;
    uint16_t streams_in;
    uint32_t tsn;
    struct sctp_features features;
    struct bytes cookie; /**< of INIT ACK; data is NULL when there is none */
    uint32_t unrecognized_count;
    struct bytes unrecognized[SCTP_UNRECOGNIZED_MAX]; /**< whole parameters */
};

/**
 * Takes INIT or INIT ACK. Returns 0; -EINVAL when it is malformed, or has a tag or number of
 * streams of 0 (RFC 9260, 3.3.2).
 */
must_check int sctp_init_parse(const struct sctp_chunk *chunk, struct sctp_init *ret_init);
/** `type` is INIT or INIT ACK; the latter has a cookie and what was not recognized. */
void sctp_init_write(struct writer *packet, uint8_t type, const struct sctp_init *init);

// SACK

#define SCTP_SACK_SIZE 16

/** First and last TSN of a block, as distances from the cumulative TSN. */
struct sctp_gap {
    uint16_t first;
    uint16_t last;
};

struct sctp_sack {
    uint32_t tsn; /**< cumulative */
    uint32_t window;
    uint16_t gap_count;
    uint16_t duplicate_count;
    const uint8_t *gaps;
};

must_check int sctp_sack_parse(const struct sctp_chunk *chunk, struct sctp_sack *ret_sack);

static inline struct sctp_gap sctp_sack_gap(const struct sctp_sack *sack, uint32_t index)
{
    const uint8_t *at = sack->gaps + 4 * (size_t)index;
    return (struct sctp_gap){ load_u16(at), load_u16(at + 2) };
}

void sctp_sack_write(struct writer *packet, uint32_t tsn, uint32_t window,
                     const struct sctp_gap *gaps, size_t gap_count, const uint32_t *duplicates,
                     size_t duplicate_count);

// FORWARD-TSN and I-FORWARD-TSN

/** A stream whose messages up to this one will not come any more. */
struct sctp_skip {
    uint16_t stream;
    bool unordered;   /**< of I-FORWARD-TSN */
    uint32_t message; /**< stream sequence number (16 bits), or message identifier */
};

/** RFC 3758, 3.2 and RFC 8260, 2.3.1. `ret_skips` is for sctp_skip_next. */
must_check int sctp_forward_parse(const struct sctp_chunk *chunk, uint32_t *ret_tsn,
                                  struct reader *ret_skips);
bool sctp_skip_next(struct reader *skips, bool interleaved, struct sctp_skip *ret_skip);
static inline size_t sctp_skip_size(bool interleaved)
{
    return interleaved ? 8 : 4;
}
void sctp_forward_write(struct writer *packet, bool interleaved, uint32_t tsn,
                        const struct sctp_skip *skips, size_t skip_count);

// RE-CONFIG

/** Results of a request (RFC 6525, 4.4). */
enum sctp_reset_result {
    SCTP_RESET_NOTHING_TO_DO = 0,
    SCTP_RESET_PERFORMED = 1,
    SCTP_RESET_DENIED = 2,
    SCTP_RESET_WRONG_STREAM = 3,
    SCTP_RESET_BUSY = 4,
    SCTP_RESET_BAD_SEQUENCE = 5,
    SCTP_RESET_IN_PROGRESS = 6,
};

/** Outgoing SSN Reset Request (RFC 6525, 4.1). No streams: all. */
struct sctp_reset_request {
    uint32_t sequence;
    uint32_t response_sequence;
    uint32_t last_tsn; /**< the sender's, before it starts again */
    size_t stream_count;
    const uint8_t *streams; /**< 16 bits each */
};

must_check int sctp_reset_request_parse(struct bytes value, struct sctp_reset_request *ret_request);
void sctp_reset_request_write(struct writer *packet, const struct sctp_reset_request *request,
                              const uint16_t *streams);
/** Re-configuration Response (RFC 6525, 4.4), as parsed and as written. */
must_check int sctp_reset_response_parse(struct bytes value, uint32_t *ret_sequence,
                                         uint32_t *ret_result);
void sctp_reset_response_write(struct writer *packet, uint32_t sequence,
                               enum sctp_reset_result result);

// ERROR and ABORT

/** Causes (RFC 9260, 3.3.10). */
enum sctp_cause {
    SCTP_CAUSE_INVALID_STREAM = 1,
    SCTP_CAUSE_STALE_COOKIE = 3,
    SCTP_CAUSE_OUT_OF_RESOURCE = 4,
    SCTP_CAUSE_UNRECOGNIZED_CHUNK = 6,
    SCTP_CAUSE_INVALID_PARAMETER = 7,
    SCTP_CAUSE_NO_USER_DATA = 9,
    SCTP_CAUSE_USER_ABORT = 12,
    SCTP_CAUSE_PROTOCOL_VIOLATION = 13,
};

/** A sentence for the first cause in an ABORT's value. */
const char *sctp_cause_text(struct bytes causes);
